"""The paper's code of levels: number of zeros, which coordinates are zero, signs, levels in unary.

The first two are an enumerative code: a number among (n+1)·C(n, zeros), realised by an arithmetic coder. Its first
symbol is the number of zeros, each of 0…n equally likely; then each coordinate is zero with probability (zeros left) /
(coordinates left), until all that are left are alike. These probabilities multiply to 1 / C(n, zeros) exactly.

The coder works on 62-bit integers, so all arithmetic stays within int64. An interval [low, low + width) shrinks with
every symbol; when width ≤ 2⁴⁶, the top 16 bits of low leave for the output (a later carry still reaches them) and width grows
by 2¹⁶. At the end come the fewest bits that name an interval of 2ᵗ inside the last one, whatever bits follow.

Its length exceeds log2(n+1) + log2 C(n, zeros) by less than 2.03 bits, for n ≤ 2²⁰: a zero's width is rounded down by a
factor above 1 − 2⁻²⁶ (width // left ≥ 2⁴⁶⁻²⁰), together 2²⁰·2⁻²⁶·log2 e < 0.023 bit, the first symbol's less than
2⁻⁴⁰ bit; and the end takes 62 − t bits, t = ⌊log2 width⌋ − 1, where 62 − log2 width would be due: less than 2 more.
"""

import numpy as np

from ._jit import njit
from .bits import get_bit, get_bits, get_rice, put_bits, put_rice

STATE = 62  # bits of the arithmetic coder's state
DIGIT = 16  # bits that leave it at a time
REST = STATE - DIGIT
MOST_VALUES = 1 << 20
RICE_FIELD = 6  # bits that hold the Rice parameter
MAX_RICE = 53
MAX_LEVEL = 1 << MAX_RICE  # float64 counts so far exactly
_FULL = 1 << STATE
_FINE = 1 << REST


@njit
def _carry(out, end):
    """Add 1 to the big-endian number in out[:end]."""
    end -= 1
    while out[end] == 255:
        out[end] = 0
        end -= 1
    out[end] += np.uint8(1)


@njit
def _end_bits(width):
    """t: an interval of `width` contains a multiple of 2ᵗ and the 2ᵗ − 1 numbers after it, wherever it lies."""
    t = -2
    while width > 0:
        width >>= 1
        t += 1
    return t


@njit
def encode_zeros(levels, zeros, out):
    """Write which of 1…2²⁰ levels are zero (`zeros` of them) to the start of `out`; returns the number of bits."""
    left, zeros_left = levels.size, zeros
    width = _FULL // (left + 1)
    low = width * zeros
    end = 0
    i = 0
    while 0 < zeros_left < left:
        while width <= _FINE:
            out[end] = low >> (STATE - 8)
            out[end + 1] = (low >> REST) & 0xFF
            end += 2
            low = (low & (_FINE - 1)) << DIGIT
            width <<= DIGIT
        split = (width // left) * zeros_left
        if levels[i] == 0:
            width = split
            zeros_left -= 1
        else:
            low += split
            width -= split
            if low >= _FULL:
                low -= _FULL
                _carry(out, end)
        left -= 1
        i += 1
    t = _end_bits(width)
    name = (low + (1 << t) - 1) >> t
    if name >> (STATE - t):
        name -= 1 << (STATE - t)
        _carry(out, end)
    return put_bits(out, 8 * end, name, STATE - t)


@njit
def decode_zeros(data, marks):
    """Set marks[i] to 0 where coordinate i is zero, else to 1; returns (number of zeros, bits read).

    The number is −1 when the bits are not those that `encode_zeros` writes.
    """
    left = marks.size
    width = _FULL // (left + 1)
    code = get_bits(data, 0, STATE)  # minus low
    at = STATE
    zeros = code // width
    if zeros > left:
        return np.int64(-1), at
    code -= zeros * width
    zeros_left = zeros
    i = 0
    while 0 < zeros_left < left:
        while width <= _FINE:
            code = (code << DIGIT) | get_bits(data, at, DIGIT)
            at += DIGIT
            width <<= DIGIT
        split = (width // left) * zeros_left
        if code < split:
            width = split
            zeros_left -= 1
            marks[i] = 0
        else:
            code -= split
            width -= split
            marks[i] = 1
        left -= 1
        i += 1
    marks[i:] = 0 if zeros_left else 1
    t = _end_bits(width)
    at -= t
    above = code - get_bits(data, at, t)  # the named multiple of 2ᵗ, minus low: the first one at or above low
    if above < 0 or above >> t or at > 8 * data.size:
        return np.int64(-1), at
    return zeros, at


@njit
def measure_levels(levels):
    """(zeros, Rice parameter, bits of the levels) of signed levels of at most 2⁵³ and a sum of magnitudes below 2⁶³.

    The parameter is the smallest among those that need the fewest bits, so never more than unary (parameter 0). Beyond
    one whose quotients sum to at most their number, each step costs as much as all later ones can save.
    """
    zeros = 0
    for i in range(levels.size):
        zeros += levels[i] == 0
    count = levels.size - zeros
    best, best_bits = 0, np.int64(-1)
    for low in range(MAX_RICE + 1):
        quotients = np.int64(0)
        for i in range(levels.size):
            quotients += max(abs(levels[i]) - 1, 0) >> low
        bits = quotients + count * (low + 1)
        if best_bits < 0 or bits < best_bits:
            best, best_bits = low, bits
        if quotients <= count:
            break
    return zeros, best, best_bits


@njit
def encode_levels(levels, zeros, low, out):
    """Write signed levels with what `measure_levels` found; returns the number of bits.

    out: zeroed bytes, room for 64 bits + one bit a level + signs + the Rice parameter + the bits of the levels.
    """
    at = encode_zeros(levels, zeros, out)
    if zeros == levels.size:
        return at
    for i in range(levels.size):
        if levels[i] != 0:
            if levels[i] < 0:
                out[at >> 3] |= np.uint8(0x80 >> (at & 7))
            at += 1
    at = put_bits(out, at, low, RICE_FIELD)
    for i in range(levels.size):
        if levels[i] != 0:
            at = put_rice(out, at, abs(levels[i]) - 1, low)
    return at


@njit
def decode_levels(data, scale, largest, out):
    """out[i] = ± min(float64(k)·scale, largest), rounded to out's dtype (float32 or float64); returns the status.

    Status 0: fine. −1: not what `encode_levels` writes for out.size (1…2²⁰) levels; `out` is then undefined.
    """
    end = 8 * data.size
    zeros, at = decode_zeros(data, out)
    if zeros < 0:
        return -1
    count = out.size - zeros
    if count > 0:
        if at + count + RICE_FIELD > end:
            return -1
        sign = at
        at += count
        low = get_bits(data, at, RICE_FIELD)
        at += RICE_FIELD
        if low > MAX_RICE:
            return -1
        for i in range(out.size):
            if out[i] != 0:
                level, at = get_rice(data, at, low, MAX_LEVEL - 1)
                if level < 0:
                    return -1
                value = min(float(level + 1) * scale, largest)
                out[i] = -value if get_bit(data, sign) else value
                sign += 1
    if (at + 7) >> 3 != data.size or get_bits(data, at, end - at) != 0:
        return -1
    return 0
