"""Levels as symbols and raw bits, and back to values: what the codes of `ecsq` and `dither` have in common.

For a class with shift r the cell of level k is (k + ⌊2^r / 2⌋) >> r. A cell has a token and a sign, which make the symbol:
token 0 is symbol 0, token t > 0 is 2t − 1 for a positive cell and 2t for a negative one. Raw bits tell the levels of a symbol
apart: for each level first what its token leaves open of the cell (of the escape: 6 bits of length, then the bits of
|cell| − 39 below the leading one), then the `shift` low bits of k + ⌊2^r / 2⌋.

Raw bits are kept in big-endian words of 32 bits, here as native uint32, so that one read of two words gives any 32 bits.
Classes are uint8 below MAX_CLASSES; shifts are int64 by class.
"""

import numpy as np

from ._jit import njit

MAX_CLASSES = 32
MAX_WIDTH = 61  # bits of the largest level
SPARE_WORDS = 6  # that must follow the words that are read: no level has more than 5 words of raw bits
TOKENS = 16
DIRECT = 12  # tokens below are single cells
CELLS = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 16, 24, 40])  # first cell of each token

_EXTRA = np.array([0] * DIRECT + [2, 3, 4])  # raw bits of the tokens that stand for several cells
_ESCAPE = TOKENS - 1
_RAW_SYMBOL = 2 * DIRECT - 1  # the first symbol of a token with raw bits
_LENGTH_BITS = 6
_STRIP = 256

# Constants of the operands' own types: numba gives uint64 with a plain integer to floats, and unsigned indices are faster.
_u64 = np.uint64
_0, _1, _5, _31, _32, _63 = map(np.uint64, (0, 1, 5, 31, 32, 63))
_LOW32 = np.uint64(0xFFFF_FFFF)


@njit
def add_magnitudes(levels, classes, sums, counts):
    """sums[class] += |level| (float64), counts[class] += 1."""
    for i in range(levels.size):
        sums[classes[i]] += abs(np.float64(levels[i]))
        counts[classes[i]] += 1


@njit
def _width(m):
    """The number of bits of m > 0."""
    bits = 0
    while m >> bits:
        bits += 1
    return bits


@njit
def _token_of(m):
    """The token of a cell of magnitude m."""
    token = min(m, _ESCAPE)
    while CELLS[token] > m:
        token -= 1
    return token


@njit
def tokenise(levels, classes, shifts, symbols):
    """The symbols of levels; returns how many raw bits they need.

    In strips: first as if all tokens were single cells, in loops that the compiler can vectorise, then the cells where
    that was wrong.
    """
    by_class = shifts.astype(levels.dtype)
    parts = np.zeros((3, _STRIP), levels.dtype)
    widths, halves, cells = parts[0], parts[1], parts[2]
    raw = np.int64(0)
    plain = not shifts.any()
    for start in range(0, levels.size, _STRIP):
        strip, out = levels[start : start + _STRIP], symbols[start : start + _STRIP]
        if not plain:
            beside = classes[start : start + _STRIP]
            for i in range(strip.size):
                widths[i] = by_class[beside[i]]
            for i in range(strip.size):
                raw += widths[i]
                halves[i] = (1 << widths[i]) >> 1
        low, high = 0, 0
        for i in range(strip.size):
            cell = (strip[i] + halves[i]) >> widths[i]
            low, high = min(low, cell), max(high, cell)
            out[i] = (2 * cell - 1 if cell > 0 else -2 * cell) & 0xFF
            cells[i] = cell
        if low > -DIRECT and high < DIRECT:
            continue
        for i in range(strip.size):
            m = abs(np.int64(cells[i]))
            if m >= DIRECT:
                token = _token_of(m)
                raw += _EXTRA[token] if token < _ESCAPE else _LENGTH_BITS + _width(m - CELLS[_ESCAPE] + 1) - 1
                out[i] = 2 * token - 1 if cells[i] > 0 else 2 * token
    return raw


@njit
def _put(words, at, held, bits, value, width):
    """Append the `width` (at most 32) low bits of value: (at, held, bits) afterwards.

    held: the bits that wait for a full word, below bits that have been written; bits: how many. uint64. No branches, so
    words[at] is written whether it is full or not.
    """
    held = held << width | value
    bits += width
    full = bits >= _32
    bits -= _32 if full else _0
    words[at] = (held >> bits) & _LOW32
    return at + (_1 if full else _0), held, bits


@njit
def _needs_raw(levels, classes, shifts):
    """Whether any of the levels has raw bits."""
    low, high, widest = 0, 0, 0
    for i in range(levels.size):
        low, high = min(low, levels[i]), max(high, levels[i])
    for i in range(levels.size):
        widest = max(widest, shifts[classes[i]])
    return widest > 0 or low <= -DIRECT or high >= DIRECT


@njit
def put_raw(levels, classes, shifts, words):
    """Write the raw bits of all levels into uint32 words, of which there is one more than they need."""
    held, bits, at = _0, _0, _0
    for start in range(0, levels.size, _STRIP):
        strip, beside = levels[start : start + _STRIP], classes[start : start + _STRIP]
        if not _needs_raw(strip, beside, shifts):
            continue
        for i in range(strip.size):
            shift = shifts[beside[i]]
            centred = np.int64(strip[i]) + ((np.int64(1) << shift) >> 1)
            m = abs(centred >> shift)
            if m >= CELLS[_ESCAPE]:
                rest = m - CELLS[_ESCAPE] + 1
                length = _width(rest) - 1
                at, held, bits = _put(words, at, held, bits, _u64(length), _u64(_LENGTH_BITS))
                at, held, bits = _put_long(words, at, held, bits, rest ^ (np.int64(1) << length), length)
            elif m >= DIRECT:
                token = _token_of(m)
                at, held, bits = _put(words, at, held, bits, _u64(m - CELLS[token]), _u64(_EXTRA[token]))
            low = centred & ((np.int64(1) << shift) - 1)
            at, held, bits = _put_long(words, at, held, bits, low, shift)
    if bits > _0:
        words[at] = (held << (_32 - bits)) & _LOW32


@njit
def _put_long(words, at, held, bits, value, width):
    """As `_put`, for up to 62 bits; value and width are int64."""
    if width > 32:
        at, held, bits = _put(words, at, held, bits, _u64(value >> 32), _u64(width - 32))
        value, width = value & 0xFFFF_FFFF, np.int64(32)
    return _put(words, at, held, bits, _u64(value), _u64(width))


@njit
def _peek(words, at, width):
    """The `width` (0…32, uint64) bits from bit `at` (uint64) on."""
    pair = _u64(words[at >> _5]) << _32 | _u64(words[(at >> _5) + _1])
    return np.int64((pair << (at & _31)) >> _1 >> (_63 - width))


@njit
def _get(words, at, width):
    """(the `width` bits, at most 60, from bit `at` on, the position after them)."""
    if width <= 32:
        return _peek(words, at, _u64(width)), at + _u64(width)
    high = _peek(words, at, _u64(width - 32))
    at += _u64(width - 32)
    return high << 32 | _peek(words, at, _32), at + _32


@njit
def get_level(symbol, shift, words, at, end):
    """(level, position after its raw bits) of a symbol below 31. int64, and uint64 for positions.

    `words` have `end` bits and SPARE_WORDS after them; at ≤ end. The position is beyond `end` when bits lack or the
    level is too large.
    """
    token = (symbol + 1) >> 1
    m = CELLS[token]
    if token == _ESCAPE:
        length, at = _get(words, at, _LENGTH_BITS)
        if length + shift >= MAX_WIDTH:
            return np.int64(0), end + _1
        rest, at = _get(words, at, length)
        m += (rest | (np.int64(1) << length)) - 1
    elif token >= DIRECT:
        rest, at = _get(words, at, _EXTRA[token])
        m += rest
    cell = m if symbol & 1 else -m
    rest, at = _get(words, at, shift)
    return (cell << shift) + rest - ((np.int64(1) << shift) >> 1), at


@njit
def all_used(words, at, end):
    """Whether the bits from `at` to `end` are fewer than 8 zeros."""
    return at <= end < at + _u64(8) and _peek(words, at, end - at) == 0


@njit
def values_of_symbols(symbols, by_symbol, out):
    """out[i] = by_symbol[symbol]: the values when no symbol needs raw bits."""
    for i in range(symbols.size):
        out[i] = by_symbol[symbols[i]]


@njit
def values_of_levels(levels, offset1, offset2, step, unit, largest, out):
    """out[i] = ±(|k| + offset)·step·unit, computed in float64 in this order and cut off at ±largest.

    The offset is offset1 for |k| = 1, offset2 for |k| = 2, else 0.
    """
    for i in range(levels.size):
        k = np.float64(levels[i])
        m = abs(k)
        m += offset1 if m == 1.0 else (offset2 if m == 2.0 else 0.0)
        value = min(m * step * unit, largest)
        out[i] = value if k >= 0.0 else -value


@njit
def values_with_raw(symbols, classes, shifts, words, end, offset1, offset2, step, unit, largest, out):
    """The same from symbols below 31 and their raw bits (see `get_level`); whether the raw bits were right.

    In strips: levels as if there were no raw bits, then these where there are some, then values.
    """
    halves = (np.int64(1) << shifts) >> 1
    buffer = np.empty(_STRIP, np.int64)
    at = _0
    for start in range(0, symbols.size, _STRIP):
        strip, beside = symbols[start : start + _STRIP], classes[start : start + _STRIP]
        levels = buffer[: strip.size]
        largest_symbol, widest = 0, 0
        for i in range(strip.size):
            symbol = np.int64(strip[i])
            cell = (symbol + 1) >> 1
            levels[i] = cell if symbol & 1 else -cell
            largest_symbol = max(largest_symbol, symbol)
        for i in range(strip.size):
            widest = max(widest, shifts[beside[i]])
        for i in range(strip.size if largest_symbol >= _RAW_SYMBOL or widest > 0 else 0):
            shift = shifts[beside[i]]
            if strip[i] >= _RAW_SYMBOL or shift > 32:
                levels[i], at = get_level(np.int64(strip[i]), shift, words, min(at, end), end)
                if at > end:
                    return False
            else:
                levels[i] = (levels[i] << shift) + _peek(words, min(at, end), _u64(shift)) - halves[beside[i]]
                at += _u64(shift)
        if at > end:
            return False
        values_of_levels(levels, offset1, offset2, step, unit, largest, out[start : start + strip.size])
    return all_used(words, at, end)
