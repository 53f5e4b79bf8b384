"""Changes of words from those of a base, in units in the last place, and back.

A word of W bits has a place: words of floating numbers are placed in the order of their values, −0
just below 0, and all other words as two's complement integers. The change of a word is its place
minus that of the base's word, modulo 2^W, from −2^(W−1) on. See spec/compressors/11-delta.md.
"""

import numpy as np

from ..compiler.jit import njit, njit_inline
from .rans import SYMBOLS
from .tokens import BIG, DIRECT, all_used, big_symbol, extra_bits, finish_raw, get_cell, get_long, put_cell, put_long

APART = np.iinfo(np.int64).min  # what stands for a change whose word is stored apart
APART_SYMBOL = SYMBOLS - 1
LAST_CLASS = 31
FAR = np.int64(1) << 56  # changes of this size, or larger ones, are stored apart

_STRIP = 64
_0 = np.uint64(0)
_MAGNITUDE = np.int64(0x7FFF_FFFF_FFFF_FFFF)


@njit
def fill_changes(words: np.ndarray, base: np.ndarray, bits: int, floating: bool, numbers: np.ndarray) -> int:
    """numbers[i] (int64) = the change of words[i] from base[i]; returns the largest magnitude.

    words, base: signed integers of so many bits. floating: whether they are of floats.
    """
    unused = np.int64(64 - bits)
    low, high = np.int64(0), np.int64(0)
    for i in range(words.size):
        x, b = np.int64(words[i]) << unused, np.int64(base[i]) << unused
        if floating:  # the highest bit is the sign: −1 − magnitude, in the highest bits
            x ^= (x >> np.int64(63)) & _MAGNITUDE
            b ^= (b >> np.int64(63)) & _MAGNITUDE
        n = (x >> unused) - (b >> unused)
        n = n << unused >> unused
        numbers[i] = n
        low, high = min(low, n), max(high, n)
    return max(high, -low if low > -FAR else FAR)


@njit
def put_apart(numbers: np.ndarray, words: np.ndarray, apart: np.ndarray) -> int:
    """Mark the changes that are FAR, and copy their words to `apart`; returns how many there are.

    With no room in `apart` they are counted alone.
    """
    count = 0
    for i in range(numbers.size):
        if not -FAR < numbers[i] < FAR:
            if apart.size > 0:
                apart[count] = words[i]
                numbers[i] = APART
            count += 1
    return count


@njit
def fill_symbols(numbers: np.ndarray, classes: np.ndarray, widths: np.ndarray, symbols: np.ndarray) -> int:
    """The symbols, uint8, of changes; returns how many raw bits these need.

    The cell of a change is the change without its low `width` bits, and 0, 1, −1, 2, −2 … are the
    cells of the symbols 0, 1, 2, 3, 4 …
    """
    raw, narrow = np.int64(0), not widths.any()
    for start in range(0, numbers.size, _STRIP):
        strip, out = numbers[start : start + _STRIP], symbols[start : start + _STRIP]
        low, high = np.int64(0), np.int64(0)
        for i in range(strip.size if narrow else 0):
            n = strip[i]
            low, high = min(low, n), max(high, n)
            out[i] = (2 * n - 1 if n > 0 else -2 * n) & 0xFF
        if narrow and low > -DIRECT and high < DIRECT:
            continue
        for i in range(strip.size):
            if strip[i] == APART:
                out[i] = APART_SYMBOL
                continue
            width = widths[classes[start + i]]
            cell = strip[i] >> width
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
    numbers: np.ndarray,
    base: np.ndarray,
    shift: int,
    mask: int,
    powers: np.ndarray,
    first: int,
    width: int,
    sums: np.ndarray,
) -> None:
    """sums[row] += |change|·powers[exponent of the base] (float64): how far the row has moved."""
    row, column = 0, first
    for i in range(numbers.size):
        sums[row] += abs(np.float64(numbers[i])) * powers[np.int64(base[i]) >> shift & mask]
        column += 1
        if column == width:
            row, column = row + 1, 0


@njit
def _may_have_raw(symbols: np.ndarray, classes: np.ndarray, widths: np.ndarray) -> bool:
    """Whether a symbol is not below BIG, or its class has a raw width."""
    highest, low, high = np.uint8(0), np.uint8(LAST_CLASS), np.uint8(0)
    for i in range(symbols.size):
        highest = max(highest, symbols[i])
        low, high = min(low, classes[i]), max(high, classes[i])
    return highest >= BIG or widths[low : high + 1].any()


@njit
def put_raw(
    numbers: np.ndarray, symbols: np.ndarray, classes: np.ndarray, widths: np.ndarray, words: np.ndarray
) -> None:
    """Write the raw bits of all changes but those apart.

    words: uint32, one more than are needed.
    """
    held, bits, at = _0, _0, _0
    for start in range(0, numbers.size, _STRIP):
        strip, beside = symbols[start : start + _STRIP], classes[start : start + _STRIP]
        if not _may_have_raw(strip, beside, widths):
            continue
        for i in range(strip.size):
            width = widths[beside[i]]
            if strip[i] == APART_SYMBOL or (strip[i] < BIG and width == 0):
                continue
            n = numbers[start + i]
            at, held, bits = put_cell(words, at, held, bits, n >> width)
            if width > 0:
                at, held, bits = put_long(words, at, held, bits, n & ((np.int64(1) << width) - 1), width)
    finish_raw(words, at, held, bits)


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
    words: np.ndarray,
    end: np.uint64,
    apart: np.ndarray,
    base: np.ndarray,
    bits: int,
    floating: bool,
    out: np.ndarray,
) -> bool:
    """out[i] = the word whose change from base[i] is that of the symbol and its raw bits.

    words: `end` raw bits, with SPARE_WORDS words after them. apart: the words of APART_SYMBOL.
    Returns whether the raw bits and the words apart are valid, and all of them are used.
    """
    at, taken = _0, 0
    unused = np.int64(64 - bits)
    for start in range(0, symbols.size, _STRIP):
        strip, beside = symbols[start : start + _STRIP], classes[start : start + _STRIP]
        below, above = base[start : start + _STRIP], out[start : start + _STRIP]
        if not _may_have_raw(strip, beside, widths):
            for i in range(strip.size):
                symbol = np.int64(strip[i])
                n = symbol + 1 >> 1 if symbol & 1 else -(symbol >> 1)
                above[i] = _moved(np.int64(below[i]), n, unused, floating)
            continue
        for i in range(strip.size):
            symbol, width = np.int64(strip[i]), widths[beside[i]]
            if symbol == APART_SYMBOL:
                if taken == apart.size:
                    return False
                above[i] = apart[taken]
                taken += 1
                continue
            n, at = get_cell(symbol, width, words, at, end)
            if at > end:
                return False
            if width > 0:
                low, at = get_long(words, at, width)
                n = n << width | low
                if at > end:
                    return False
            above[i] = _moved(np.int64(below[i]), n, unused, floating)
    return taken == apart.size and all_used(words, at, end)
