"""Contexts of the trellis-coded levels: where a level is expected to be large, and its bits.

A level has a magnitude v ≥ 0: its rank among the points of its sign in the codebook that the trellis state offers. In
row i and column j it is expected to be R·C[j]. C[j] is the column's weighted sum of magnitudes over that of row factors,
R is the row's weighted sum of magnitudes over that of column means; both begin with a prior. A magnitude where μ is
expected weighs 1/(1 + μ), the inverse of its relative variance times μ. The logarithm of R·C[j] in quarters of an octave
(`locate`) selects the adaptive symbol that codes v; large ones go on with an exponential Golomb code. Where large
magnitudes are expected, v >> shift is coded so, and the lower bits apart as they are.

All floats are binary64 with + − × ÷ in the order written: decoding follows the same arithmetic bit for bit.
"""

from functools import cache

import numpy as np

from ._jit import njit
from .range_coder import (
    BOUND_BITS,
    GAP,
    SYMBOLS,
    WIDTH_MAX,
    decode_bits,
    decode_sign,
    decode_sign_if,
    decode_symbol,
    encode_bits,
    encode_sign,
    encode_symbol,
    flush,
    is_whole,
    start,
)

PER_OCTAVE = 4
OCTAVE_MIN = -8  # expected magnitudes below 2^OCTAVE_MIN share the first bin
OCTAVE_SHIFT = 2  # from 2^OCTAVE_SHIFT on, low bits are coded apart
DIRECT_BINS = PER_OCTAVE * (OCTAVE_SHIFT - OCTAVE_MIN)
BINS = DIRECT_BINS + PER_OCTAVE
SHIFT_MAX = 26
EXPECT_MIN = 2.0**OCTAVE_MIN
EXPECT_MAX = 2.0 ** (OCTAVE_SHIFT + SHIFT_MAX) * 0.99
EXPONENT_ZERO = (1023 + OCTAVE_MIN) * PER_OCTAVE  # the top 13 bits of binary64 2^OCTAVE_MIN

ESCAPED = SYMBOLS - 1  # magnitudes from here on have an exponential Golomb code after the symbol
ESCAPE_MAX = 29  # its longest exponent
MAGNITUDE_MAX = (1 << 29) - 1
WORST_BYTES = 128  # no level takes more bytes

ROW_PRIOR = 2.0  # expected columns' worth of magnitude that a row starts with
PRIOR_COUNT = 6
PRIOR_ROW = (0, 1, 2, 3, 3, 4, 4, 4, 5, 5, 5, 5, 5, 5, 5, 5)  # of PRIOR, for the odds of more than i = 0, 1, …
PRIOR = np.array(  # for the even codebook, the odd one without a zero, the odd one with it
    [
        [
            [0.0, 0.73, 7.0, 1.5],
            [0.003, 0.0, 0.61, 0.11],
            [0.011, 0.0, 0.33, 0.02],
            [0.057, 0.0, 0.24, 0.026],
            [0.3, 0.0, 0.12, 0.0],
            [0.53, 0.0, 0.22, 0.27],
        ],
        [
            [0.002, 0.0, 2.75, 0.97],
            [0.005, 0.0, 0.54, 0.07],
            [0.004, 0.0, 0.42, 0.094],
            [0.11, 0.0, 0.245, 0.042],
            [0.36, 0.0, 0.13, 0.0],
            [0.87, 0.0, 0.23, 0.3],
        ],
        [
            [0.001, 0.0, 13.3, 2.26],
            [0.004, 0.0, 0.81, 0.12],
            [0.008, 0.0, 0.28, 0.0],
            [0.01, 0.0, 0.215, 0.0],
            [0.18, 0.0, 0.13, 0.0],
            [0.55, 0.0, 0.135, 0.13],
        ],
    ]
)
DONE, CORRUPT, FULL = 0, -1, -2


@njit
def locate(expected):
    """(bin, shift) of an expected magnitude."""
    clipped = min(max(expected, EXPECT_MIN), EXPECT_MAX)
    place = (np.float64(clipped).view(np.int64) >> 50) - EXPONENT_ZERO
    if place < DIRECT_BINS:
        return place, np.int64(0)
    above = place - DIRECT_BINS
    return DIRECT_BINS + (above & (PER_OCTAVE - 1)), above // PER_OCTAVE + 1


@njit
def magnitude_of(level, book, zero):
    """The magnitude v that codes a level; zero: whether the odd codebook has a zero."""
    size = abs(level)
    return size >> 1 if book and not zero else (size + 1) >> 1


@njit
def encode_escape(out, low, width, pos, rest):
    """Code rest ≥ 1 as its number of binary digits after the first, in ones ended by a zero, and these digits."""
    digits = 0
    while rest >> (digits + 1) > 0:
        low, width, pos = encode_sign(out, low, width, pos, 1)
        digits += 1
    low, width, pos = encode_sign(out, low, width, pos, 0)
    return encode_long(out, low, width, pos, rest & ((1 << digits) - 1), digits)


@njit
def encode_long(out, low, width, pos, value, count):
    """Code `count` equiprobable bits, 16 at a time from the top."""
    while count > 0:
        part = min(count, 16)
        count -= part
        low, width, pos = encode_bits(out, low, width, pos, (value >> count) & ((1 << part) - 1), part)
    return low, width, pos


@njit
def decode_escape(data, code, width, pos):
    """Mirror of `encode_escape`: gives (rest, code, width, pos)."""
    digits = 0
    more, code, width, pos = decode_sign(data, code, width, pos)
    while more and digits < ESCAPE_MAX:
        digits += 1
        more, code, width, pos = decode_sign(data, code, width, pos)
    rest, code, width, pos = decode_long(data, code, width, pos, digits)
    return rest + (1 << digits), code, width, pos


@njit
def decode_long(data, code, width, pos, count):
    """Mirror of `encode_long`: gives (value, code, width, pos)."""
    value = np.int64(0)
    while count > 0:
        part = min(count, 16)
        count -= part
        bits, code, width, pos = decode_bits(data, code, width, pos, part)
        value = (value << part) | bits
    return value, code, width, pos


@njit
def observe(total, weight, mean, column, factor, expected, v, keep):
    """Update a column's sums and mean with the magnitude v of a row with this factor; gives the weight of v."""
    share = 1.0 / (1.0 + factor * expected)
    total[column] = total[column] * keep + v * share
    weight[column] = weight[column] * keep + factor * share
    mean[column] = total[column] / weight[column]
    return share


@njit
def begin(means, confidence):
    """The columns' (totals, weights, means) and the sum that a row begins with, before any magnitude."""
    shares = 1.0 / (1.0 + means)
    base = 0.0
    for j in range(means.size):
        base += means[j] * shares[j]
    weights = confidence * shares
    return means * weights, weights, means.copy(), ROW_PRIOR * base / means.size


@njit
def advance(state, level, book, zero, h0, h1):
    """The trellis state after a level."""
    branch = ((abs(level) + 1) >> 1) & 1 if book and zero else (level >> 1) & 1
    return (state >> 1) ^ (book * (h0 >> 1)) ^ (branch * (h1 >> 1))


@njit
def encode_levels(levels, means, confidence, keep, zero, h0, h1, bounds, counts, out):
    """Code the levels of whole rows; gives the number of bytes, or FULL when `out` is too short.

    levels: int32, rows × means.size values. means: float64, the columns' expected magnitudes before the first row;
    confidence: how many values that expectation counts for; keep: what a column's past is multiplied by per value.
    zero: whether the odd codebook has one. h0, h1: the trellis. bounds, counts: the model, changed.
    """
    columns = means.size
    totals, weights, mean, base = begin(means, confidence)
    low, width, pos = np.int64(0), np.int64(WIDTH_MAX), np.int64(0)
    state, column, seen, due = np.int64(0), np.int64(0), base, base
    for t in range(levels.size):
        if column == columns:
            column, seen, due = np.int64(0), base, base
        if pos + WORST_BYTES > out.size:
            return FULL
        factor = seen / due
        expected = mean[column]
        place, shift = locate(factor * expected)
        level, book = np.int64(levels[t]), state & 1
        v = magnitude_of(level, book, zero)
        high = v >> shift
        row = book * BINS + place
        low, width, pos = encode_symbol(out, low, width, pos, bounds, counts, row, min(high, ESCAPED))
        if high >= ESCAPED:
            low, width, pos = encode_escape(out, low, width, pos, high - ESCAPED + 1)
        if shift > 0:
            low, width, pos = encode_long(out, low, width, pos, v & ((1 << shift) - 1), shift)
        if v > 0 or (book == 1 and not zero):
            low, width, pos = encode_sign(out, low, width, pos, level < 0)
        share = observe(totals, weights, mean, column, factor, expected, v, keep)
        seen, due = seen + v * share, due + expected * share
        state = advance(state, level, book, zero, h0, h1)
        column += 1
    return flush(out, low, width, pos)


@njit
def decode_levels(data, means, confidence, keep, zero, h0, h1, bounds, counts, levels):
    """Mirror of `encode_levels`: fills `levels`; gives DONE, or CORRUPT when no encoder wrote these bytes."""
    columns = means.size
    totals, weights, mean, base = begin(means, confidence)
    code, width, pos = start(data)
    without = np.int64(not zero)  # an odd codebook without a zero
    state, column, seen, due = np.int64(0), np.int64(0), base, base
    for t in range(levels.size):
        if column == columns:
            column, seen, due = np.int64(0), base, base
        factor = seen / due
        expected = mean[column]
        place, shift = locate(factor * expected)
        book = state & 1
        v, code, width, pos = decode_symbol(data, code, width, pos, bounds, counts, book * BINS + place)
        if v == ESCAPED:
            rest, code, width, pos = decode_escape(data, code, width, pos)
            v += rest - 1
        if shift > 0:
            rest, code, width, pos = decode_long(data, code, width, pos, shift)
            v = (v << shift) | rest
        if v > MAGNITUDE_MAX:
            return CORRUPT
        some, odd = np.int64(v > 0), book & without
        level = 2 * v + odd - (book & some & ~without)
        negative, code, width, pos = decode_sign_if(data, code, width, pos, some | odd)
        level = (level ^ -negative) + negative
        levels[t] = level
        share = observe(totals, weights, mean, column, factor, expected, v, keep)
        seen, due = seen + v * share, due + expected * share
        state = advance(state, level, book, zero, h0, h1)
        column += 1
    return DONE if is_whole(data, pos) else CORRUPT


@njit
def classify(values, scale, means, confidence, keep, bins):
    """The bins that coding `values`·scale would meet, were each rounded by itself; the encoder's guess of contexts."""
    columns = means.size
    totals, weights, mean, base = begin(means, confidence)
    column, seen, due = np.int64(0), base, base
    for t in range(values.size):
        if column == columns:
            column, seen, due = np.int64(0), base, base
        factor = seen / due
        expected = mean[column]
        bins[t] = locate(factor * expected)[0]
        v = np.int64(abs(values[t]) * scale * 0.5 + 0.35)
        share = observe(totals, weights, mean, column, factor, expected, v, keep)
        seen, due = seen + v * share, due + expected * share
        column += 1


def prior_model(zero):
    """(bounds, counts) before the first value."""
    return _prior_bounds(zero).copy(), np.full(2 * BINS, PRIOR_COUNT)


@cache
def _prior_bounds(zero):
    """The odds of a larger magnitude grow with the expected one.

    The odds of more than i, given i or more, are (a + bμ + cμ²)/(1 + dμ) with μ the middle of the bin and a…d from
    PRIOR. Computed in the order written: part of the format.
    """
    places = np.arange(BINS)
    octave = places // PER_OCTAVE - (places >= DIRECT_BINS)
    middle = 2.0 ** (octave + OCTAVE_MIN) * (PER_OCTAVE + places % PER_OCTAVE + 0.5) / PER_OCTAVE
    bounds = np.empty((2, BINS, SYMBOLS), dtype=np.int32)
    for book in range(2):
        beyond = np.ones(BINS)
        for i in range(SYMBOLS):
            bounds[book, :, i] = i * GAP + ((1.0 - beyond) * ((1 << BOUND_BITS) - SYMBOLS * GAP)).astype(np.int32)
            a, b, c, d = PRIOR[2 if book and zero else book, PRIOR_ROW[i]]
            odds = (a + (b + c * middle) * middle) / (1.0 + d * middle)
            beyond = beyond * (odds / (1.0 + odds))
    return bounds.reshape(-1, SYMBOLS)
