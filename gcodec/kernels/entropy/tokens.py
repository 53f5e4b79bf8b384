"""Numbers as symbols and raw bits, and back: what the entropy code of levels is made of.

For a class with raw width r the cell of a number n is the number without the r bits above its
lowest one:

    cell = 2·⌊(n + h) / 2^(r+1)⌋ + n mod 2,  with h = 2^r, and h = 0 for r = 0

So a cell has the parity of its number, which a trellis needs. A cell of magnitude below 12 has a
symbol of its own: 0, 1, −1, 2, −2 … are the symbols 0, 1, 2, 3, 4 …. The symbols 23 … 30 stand for
the two parities and four ranges of larger cells. Raw bits tell the numbers of a symbol apart. For
each number they first say what its symbol leaves open of the cell: half of its distance from the
start of the range (in the last range 6 bits of length and the bits below the leading one), and then
the sign. The r bits of the number follow. See spec/levels.md §3.

Raw bits are kept in big-endian words of 32 bits, here as native uint32, so that one read of two
words gives any 32 bits. Classes are uint8 below MAX_CLASSES. Raw widths are int64, by class.
"""

import numpy as np

from ..compiler.jit import njit
from .rans import any_of

MAX_CLASSES = 32
# Raw widths are below it, and the length of a cell and its raw width together are at most this.
MAX_WIDTH = 58
SPARE_WORDS = 6  # words that must follow those that are read: a number has at most 5 of raw bits
DIRECT = 12  # cells of smaller magnitudes have symbols of their own
BIG = 2 * DIRECT - 1  # the first symbol of larger cells
LAST_SYMBOL = 30
STARTS = np.array([12, 16, 24, 40])  # where the ranges of larger cells begin

_EXTRA = np.array([1, 2, 3])  # raw bits, without the sign, of cells of the ranges before the last
_ESCAPE = 3  # the last range
_LENGTH_BITS = 6
_STRIP = 256

# Constants have the types of their operands: with a plain integer numba would turn uint64 into
# float64. Unsigned indices are faster.
_u64 = np.uint64
_0, _1, _5, _31, _32, _63 = map(np.uint64, (0, 1, 5, 31, 32, 63))
_LOW32 = np.uint64(0xFFFF_FFFF)


@njit
def _width(m: int) -> int:
    """The number of bits of m > 0."""
    bits = 0
    while m >> bits:
        bits += 1
    return bits


@njit
def _range_of(m: int) -> int:
    """The range of a cell of magnitude m ≥ DIRECT."""
    found = _ESCAPE
    while STARTS[found] > m:
        found -= 1
    return found


@njit
def big_symbol(m: int) -> int:
    """The symbol of a cell of magnitude m ≥ DIRECT.

    Its token is 12 + 2·⌊range / 2⌋ + parity. The two signs of a token stand for its two ranges.
    """
    found = _range_of(m)
    return 2 * (DIRECT + (found & 2) + (m & 1)) - 1 + (found & 1)


@njit
def extra_bits(m: int) -> int:
    """How many raw bits a cell of magnitude m ≥ DIRECT has, its sign included."""
    found = _range_of(m)
    if found < _ESCAPE:
        return _EXTRA[found] + 1
    return _LENGTH_BITS + _width((m - STARTS[_ESCAPE]) // 2 + 1)


@njit
def tokenise(numbers: np.ndarray, classes: np.ndarray, widths: np.ndarray, symbols: np.ndarray) -> int:
    """Fill in the symbols of numbers; returns how many raw bits they need.

    It works in strips: first as if each cell had a symbol of its own, in loops that the compiler
    can turn into vectors, and then on the cells for which that was wrong.
    """
    plain = not any_of(widths)
    cells = np.empty(_STRIP, np.int64)
    raw = np.int64(0)
    for start in range(0, numbers.size, _STRIP):
        strip, out = numbers[start : start + _STRIP], symbols[start : start + _STRIP]
        low, high = 0, 0
        if plain:
            for i in range(strip.size):
                n = np.int64(strip[i])
                low, high = min(low, n), max(high, n)
                out[i] = (2 * n - 1 if n > 0 else -2 * n) & 0xFF
            if low > -DIRECT and high < DIRECT:
                continue
            for i in range(strip.size):
                m = abs(np.int64(strip[i]))
                if m >= DIRECT:
                    raw += extra_bits(m)
                    out[i] = big_symbol(m)
            continue
        beside = classes[start : start + _STRIP]
        for i in range(strip.size):
            width = widths[beside[i]]
            half = np.int64(1) << width if width > 0 else np.int64(0)
            n = np.int64(strip[i])
            cells[i] = ((n + half) >> (width + 1)) << 1 | (n & 1)
            raw += width
        for i in range(strip.size):
            m = abs(cells[i])
            if m >= DIRECT:
                raw += extra_bits(m)
                out[i] = big_symbol(m)
            else:
                out[i] = 2 * m - 1 if cells[i] > 0 else 2 * m
    return raw


@njit
def numbers_of(codes: np.ndarray, numbers: np.ndarray) -> None:
    """Fill in the numbers, in their books, of codes that have no raw bits."""
    for i in range(codes.size):
        symbol = np.int64(codes[i]) & 31
        numbers[i] = (symbol + 1) >> 1 if symbol & 1 else -(symbol >> 1)


@njit
def _put(
    words: np.ndarray, at: np.uint64, held: np.uint64, bits: np.uint64, value: np.uint64, width: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64]:
    """Append the `width` (at most 32) low bits of `value`; returns the new (at, held, bits).

    held: the bits that wait for a full word, with bits above them that have been written. bits: how
    many wait. All are uint64. There are no branches: words[at] is written even if it is not full.
    """
    held = held << width | value
    bits += width
    full = bits >= _32
    bits -= _32 if full else _0
    words[at] = (held >> bits) & _LOW32
    return at + (_1 if full else _0), held, bits


@njit
def put_long(
    words: np.ndarray, at: np.uint64, held: np.uint64, bits: np.uint64, value: int, width: int
) -> tuple[np.uint64, np.uint64, np.uint64]:
    """Like `put`, for up to 62 bits. value, width: int64."""
    if width > 32:
        at, held, bits = _put(words, at, held, bits, _u64(value >> 32), _u64(width - 32))
        value, width = value & 0xFFFF_FFFF, np.int64(32)
    return _put(words, at, held, bits, _u64(value), _u64(width))


@njit
def put_cell(
    words: np.ndarray, at: np.uint64, held: np.uint64, bits: np.uint64, cell: int
) -> tuple[np.uint64, np.uint64, np.uint64]:
    """Like `put_long`: append the raw bits, without those of the raw width, of a cell.

    A cell whose magnitude is below DIRECT has none.
    """
    m = abs(cell)
    if m < DIRECT:
        return at, held, bits
    found = _range_of(m)
    rest = (m - STARTS[found]) >> 1
    if found == _ESCAPE:
        length = _width(rest + 1) - 1
        at, held, bits = _put(words, at, held, bits, _u64(length), _u64(_LENGTH_BITS))
        at, held, bits = put_long(words, at, held, bits, (rest + 1) ^ (np.int64(1) << length), length)
    else:
        at, held, bits = _put(words, at, held, bits, _u64(rest), _u64(_EXTRA[found]))
    return _put(words, at, held, bits, _u64(cell < 0), _1)


@njit
def finish_raw(words: np.ndarray, at: np.uint64, held: np.uint64, bits: np.uint64) -> None:
    """Write the bits that still wait for a full word."""
    if bits > _0:
        words[at] = (held << (_32 - bits)) & _LOW32


@njit
def put_raw(numbers: np.ndarray, classes: np.ndarray, widths: np.ndarray, words: np.ndarray) -> None:
    """Write the raw bits of all numbers. words: uint32, one more than the bits need."""
    held, bits, at = _0, _0, _0
    plain = not any_of(widths)
    for i in range(numbers.size):
        width, n = widths[classes[i]], np.int64(numbers[i])
        if plain and abs(n) < DIRECT:
            continue
        centred = n + (np.int64(1) << width) if width > 0 else n
        cell = (centred >> (width + 1)) << 1 | (n & 1)
        at, held, bits = put_cell(words, at, held, bits, cell)
        if width > 0:
            low = (centred >> 1) & ((np.int64(1) << width) - 1)
            at, held, bits = put_long(words, at, held, bits, low, width)
    finish_raw(words, at, held, bits)


@njit
def peek(words: np.ndarray, at: np.uint64, width: np.uint64) -> int:
    """The `width` (0…32) bits from bit `at` on. at, width: uint64."""
    pair = _u64(words[at >> _5]) << _32 | _u64(words[(at >> _5) + _1])
    return np.int64((pair << (at & _31)) >> _1 >> (_63 - width))


@njit
def get_long(words: np.ndarray, at: np.uint64, width: int) -> tuple[int, np.uint64]:
    """(the `width` bits, at most 60, from bit `at` on; the position after them)."""
    if width <= 32:
        return peek(words, at, _u64(width)), at + _u64(width)
    high = peek(words, at, _u64(width - 32))
    at += _u64(width - 32)
    return high << 32 | peek(words, at, _32), at + _32


@njit
def get_cell(symbol: int, width: int, words: np.ndarray, at: np.uint64, end: np.uint64) -> tuple[int, np.uint64]:
    """(cell, position after the raw bits that `put_cell` wrote) of a symbol below 31.

    The cell is int64, and positions are uint64. width: the raw width. words: `end` bits, with
    SPARE_WORDS words after them. at ≤ end. The position is beyond `end` if bits are missing or the
    number is too large.
    """
    token = (symbol + 1) >> 1
    if symbol < BIG:
        return np.int64(token if symbol & 1 else -token), at
    found = (token & 2) | ((symbol & 1) ^ 1)
    if found == _ESCAPE:
        length, at = get_long(words, at, _LENGTH_BITS)
        if length + width > MAX_WIDTH:
            return np.int64(0), end + _1
        rest, at = get_long(words, at, length)
        rest = (rest | (np.int64(1) << length)) - 1
    else:
        rest, at = get_long(words, at, _EXTRA[found])
    cell = STARTS[found] + 2 * rest + (token & 1)
    sign, at = get_long(words, at, 1)
    return np.int64(-cell if sign else cell), at


@njit
def get_number(symbol: int, width: int, words: np.ndarray, at: np.uint64, end: np.uint64) -> tuple[int, np.uint64]:
    """(number, position after its raw bits) of a symbol below 31; all else is as in `get_cell`."""
    cell, at = get_cell(symbol, width, words, at, end)
    if width == 0 or at > end:
        return cell, at
    rest, at = get_long(words, at, width)
    return with_raw(cell, width, rest), at


@njit
def with_raw(cell: int, width: int, rest: int) -> int:
    """The number of a cell. width: the raw width, above 0. rest: the raw bits."""
    return ((cell >> 1) << (width + 1) | rest << 1 | (cell & 1)) - (np.int64(1) << width)


@njit
def all_used(words: np.ndarray, at: np.uint64, end: np.uint64) -> bool:
    """Whether the bits from `at` to `end` are fewer than 8 zeros."""
    return at <= end < at + _u64(8) and peek(words, at, end - at) == 0
