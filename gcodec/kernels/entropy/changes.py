"""Changes of words from those of a base, in units in the last place, and back.

A word of W bits has a place: words of floating numbers are placed in the order of their values, −0
just below 0, and all other words as two's complement integers. The change of a word is its place
minus that of the base's word, modulo 2^W, from −2^(W−1) on. See spec/compressors/11-delta.md.
"""

import numpy as np

from ..compiler.jit import njit, njit_inline
from .rans import SYMBOLS
from .tokens import (
    BIG,
    DIRECT,
    MAX_CLASSES,
    all_used,
    big_symbol,
    extra_bits,
    finish_raw,
    get_cell,
    get_long,
    put_cell,
    put_long,
)

APART = np.iinfo(np.int64).min  # what stands for a change whose word is stored apart
APART_SYMBOL = SYMBOLS - 1
LAST_CLASS = 31
FAR = np.int64(1) << 56  # changes of this size, or larger ones, are stored apart

_STRIP = 64
_0 = np.uint64(0)
_MAGNITUDE = np.int64(0x7FFF_FFFF_FFFF_FFFF)


@njit_inline
def _change(word: int, below: int, unused: int, floating: bool) -> int:
    """The change of a word from that of the base, int64.

    word, below: signed integers. unused: the bits of 64 that they lack, int64. floating: whether
    they are of floats, whose highest bit is a sign: the place is −1 − magnitude.
    """
    x, b = np.int64(word) << unused, np.int64(below) << unused
    if floating:
        x ^= (x >> np.int64(63)) & _MAGNITUDE
        b ^= (b >> np.int64(63)) & _MAGNITUDE
    n = (x >> unused) - (b >> unused)
    return n << unused >> unused


@njit
def fill_changes(words: np.ndarray, base: np.ndarray, bits: int, floating: bool, numbers: np.ndarray) -> None:
    """numbers[i] (int64) = the change of words[i] from base[i]; APART where that is FAR.

    words, base: signed integers of so many bits. floating: whether they are of floats.
    """
    unused = np.int64(64 - bits)
    for i in range(words.size):
        n = _change(words[i], base[i], unused, floating)
        numbers[i] = n if -FAR < n < FAR else APART


@njit
def largest_change(words: np.ndarray, base: np.ndarray, bits: int, floating: bool) -> int:
    """The largest magnitude of a change, at most FAR."""
    unused = np.int64(64 - bits)
    low, high = np.int64(0), np.int64(0)
    for i in range(words.size):
        n = _change(words[i], base[i], unused, floating)
        low, high = min(low, n), max(high, n)
    return min(max(high, -low if low > -FAR else FAR), FAR)


@njit
def _first_wide(widths: np.ndarray) -> int:
    """The first class with a raw width; MAX_CLASSES if there is none."""
    for c in range(widths.size):
        if widths[c] > 0:
            return c
    return MAX_CLASSES


@njit
def fill_symbols(
    words: np.ndarray,
    base: np.ndarray,
    bits: int,
    floating: bool,
    classes: np.ndarray,
    widths: np.ndarray,
    symbols: np.ndarray,
) -> int:
    """The symbols, uint8, of the changes of words; returns how many raw bits these need.

    The cell of a change is the change without its low `width` bits, and 0, 1, −1, 2, −2 … are the
    cells of the symbols 0, 1, 2, 3, 4 …. A change that is FAR has APART_SYMBOL. A strip is first
    taken as if all its changes had symbols of their own, in a loop that the compiler can turn into
    vectors.
    """
    unused, wide = np.int64(64 - bits), _first_wide(widths)
    raw = np.int64(0)
    for start in range(0, words.size, _STRIP):
        above, below = words[start : start + _STRIP], base[start : start + _STRIP]
        beside, out = classes[start : start + _STRIP], symbols[start : start + _STRIP]
        low, high, highest = np.int64(0), np.int64(0), np.uint8(0)
        for i in range(above.size):
            n = _change(above[i], below[i], unused, floating)
            low, high, highest = min(low, n), max(high, n), max(highest, beside[i])
            out[i] = (2 * n - 1 if n > 0 else -2 * n) & 0xFF
        if low > -DIRECT and high < DIRECT and highest < wide:
            continue
        for i in range(above.size):
            n = _change(above[i], below[i], unused, floating)
            if beside[i] < wide and -DIRECT < n < DIRECT:
                continue
            if not -FAR < n < FAR:
                out[i] = APART_SYMBOL
                continue
            width = widths[beside[i]]
            cell = n >> width
            size = abs(cell)
            raw += width + (extra_bits(size) if size >= DIRECT else 0)
            out[i] = big_symbol(size) if size >= DIRECT else 2 * size - (cell > 0)
    return raw


@njit
def largest_exponent(base: np.ndarray, shift: int, mask: int) -> int:
    """The largest exponent field. shift, mask: (word >> shift) & mask is the field."""
    most = 0
    for word in base:
        most = max(most, np.int64(word) >> shift & mask)
    return most


@njit
def fill_classes(
    base: np.ndarray, shift: int, mask: int, top: int, first: int, width: int, rows: np.ndarray, classes: np.ndarray
) -> None:
    """classes[i] = min(max(rows[row] + top − exponent of base[i], 0), LAST_CLASS), uint8.

    rows: int64, the number of each row, the first one being that of the first value; no rows stand
    for zeros. first: the column of the first value. width: of a row.
    """
    row, at = 0, 0
    while at < base.size:
        stop = base.size if rows.size == 0 else min(base.size, at + width - (first if row == 0 else 0))
        offset = top + (rows[row] if rows.size > 0 else 0)
        for i in range(at, stop):
            classes[i] = min(max(offset - (np.int64(base[i]) >> shift & mask), 0), LAST_CLASS)
        row, at = row + 1, stop


@njit
def add_rows(
    words: np.ndarray,
    base: np.ndarray,
    bits: int,
    floating: bool,
    shift: int,
    mask: int,
    powers: np.ndarray,
    first: int,
    width: int,
    sums: np.ndarray,
) -> None:
    """sums[row] += |change|·powers[exponent of the base] (float64): how far the row has moved."""
    unused = np.int64(64 - bits)
    row, column = 0, first
    for i in range(words.size):
        n = _change(words[i], base[i], unused, floating)
        sums[row] += abs(np.float64(n)) * powers[np.int64(base[i]) >> shift & mask]
        column += 1
        if column == width:
            row, column = row + 1, 0


@njit
def _may_have_raw(symbols: np.ndarray, classes: np.ndarray, wide: int) -> bool:
    """Whether a symbol is not below BIG, or a class is not below `wide`."""
    highest, high = np.uint8(0), np.uint8(0)
    for i in range(symbols.size):
        highest, high = max(highest, symbols[i]), max(high, classes[i])
    return highest >= BIG or high >= wide


@njit
def put_raw(
    words: np.ndarray,
    base: np.ndarray,
    bits: int,
    floating: bool,
    symbols: np.ndarray,
    classes: np.ndarray,
    widths: np.ndarray,
    raw: np.ndarray,
) -> None:
    """Write the raw bits of all changes but those apart.

    raw: uint32, one more than are needed.
    """
    unused, wide = np.int64(64 - bits), _first_wide(widths)
    held, waiting, at = _0, _0, _0
    for start in range(0, words.size, _STRIP):
        strip, beside = symbols[start : start + _STRIP], classes[start : start + _STRIP]
        if not _may_have_raw(strip, beside, wide):
            continue
        for i in range(strip.size):
            width = widths[beside[i]]
            if strip[i] == APART_SYMBOL or (strip[i] < BIG and width == 0):
                continue
            n = _change(words[start + i], base[start + i], unused, floating)
            at, held, waiting = put_cell(raw, at, held, waiting, n >> width)
            if width > 0:
                at, held, waiting = put_long(raw, at, held, waiting, n & ((np.int64(1) << width) - 1), width)
    finish_raw(raw, at, held, waiting)


@njit_inline
def _moved(base: int, n: int, unused: int, floating: bool) -> int:
    """The word whose change from `base` is n; both are int64.

    unused: the bits that a word lacks.
    """
    place = base << unused
    if floating:
        place ^= (place >> np.int64(63)) & _MAGNITUDE
    place += n << unused
    if floating:
        place ^= (place >> np.int64(63)) & _MAGNITUDE
    return place >> unused


@njit
def change_words(
    symbols: np.ndarray,
    classes: np.ndarray,
    widths: np.ndarray,
    raw: np.ndarray,
    end: np.uint64,
    apart: np.ndarray,
    base: np.ndarray,
    bits: int,
    floating: bool,
    out: np.ndarray,
) -> bool:
    """out[i] = the word whose change from base[i] is that of the symbol and its raw bits.

    raw: `end` raw bits, with SPARE_WORDS words after them. apart: the words of APART_SYMBOL.
    Returns whether the raw bits and the words apart are valid, and all of them are used.
    """
    at, taken = _0, 0
    unused, wide = np.int64(64 - bits), _first_wide(widths)
    for start in range(0, symbols.size, _STRIP):
        strip, beside = symbols[start : start + _STRIP], classes[start : start + _STRIP]
        below, above = base[start : start + _STRIP], out[start : start + _STRIP]
        for i in range(strip.size):  # which is wrong for symbols with raw bits
            symbol = np.int64(strip[i])
            n = symbol + 1 >> 1 if symbol & 1 else -(symbol >> 1)
            above[i] = _moved(np.int64(below[i]), n, unused, floating)
        if not _may_have_raw(strip, beside, wide):
            continue
        for i in range(strip.size):
            symbol, width = np.int64(strip[i]), widths[beside[i]]
            if symbol < BIG and width == 0:
                continue
            if symbol == APART_SYMBOL:
                if taken == apart.size:
                    return False
                above[i] = apart[taken]
                taken += 1
                continue
            n, at = get_cell(symbol, width, raw, at, end)
            if at > end:
                return False
            if width > 0:
                low, at = get_long(raw, at, width)
                n = n << width | low
                if at > end:
                    return False
            above[i] = _moved(np.int64(below[i]), n, unused, floating)
    return taken == apart.size and all_used(raw, at, end)
