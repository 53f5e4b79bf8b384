"""The tables of a chunk of levels: for each class a raw width and the tables of its books.

Tables are numbered 2·class + book. A class with a raw width has one table for both books. The
tables that are not described one by one follow from a law, which comes first (spec/levels.md §4).
"""

import math

import numpy as np

from ..compiler.jit import njit, njit_inline
from ..entropy.bits import get_rice, put_rice
from ..entropy.rans import SYMBOLS, any_of
from ..entropy.rans_tables import EVEN, MAX_BITS, ODD, RAW, choose_table, get_table
from ..entropy.tokens import BIG, LAST_SYMBOL, MAX_CLASSES, MAX_WIDTH
from .laws import ZERO_BOOK, fill_law, fit_law, get_law, put_law

BOOKS = 2
TABLES = BOOKS * MAX_CLASSES
ROOM = TABLES * MAX_BITS  # the most bits that the description of all tables takes
# The raw bits of each symbol: those of the last range are an estimate.
_RAW_BITS = np.array([0] * BIG + [2, 3] * 2 + [4, 10] * 2 + [0], np.float64)
# About what the description of a table and each of its entries takes, and the most entries that
# count; and what a table takes, and each of its values, where it follows from the law.
_TABLE_BITS, _ENTRY_BITS, _ENTRIES, _LAW_BITS, _LAW_LOSS = 12.0, 3.5, 16, 3.0, 1 / 16
_FEW = 1 << 12  # the law is fitted to tables of fewer values; larger ones can pay for a description


@njit_inline
def _book_of(table: int, width: int, zero: bool) -> int:
    if width > 0:
        return RAW
    return EVEN if table % BOOKS == 0 else (ZERO_BOOK if zero else ODD)


@njit_inline
def _pairing_of(book: int) -> int:
    return EVEN if book == ZERO_BOOK else book


@njit_inline
def _tables_of(group: int, width: int, books: int) -> int:
    """The number after that of the last table of a class. The first table is 2·group."""
    return BOOKS * group + (1 if width > 0 else books)


@njit
def law_of(used: np.ndarray, widths: np.ndarray, books: int, zero: bool, histograms: np.ndarray) -> np.ndarray:
    """The law that suits the tables of few values; the parameters are those of `put_tables`.

    It adds up the two histograms of each class with a raw width.
    """
    for group in used:
        if widths[group] > 0:
            for symbol in range(SYMBOLS):
                histograms[BOOKS * group, symbol] += histograms[BOOKS * group + 1, symbol]
                histograms[BOOKS * group + 1, symbol] = 0
    rows = np.empty((TABLES, 4), np.int64)  # table, class, raw width, book
    count = 0
    for group in used:
        width = widths[group]
        for table in range(BOOKS * group, _tables_of(group, width, books)):
            size = np.int64(0)
            for symbol in range(SYMBOLS):
                size += histograms[table, symbol]
            if 0 < size < _FEW:
                rows[count, 0], rows[count, 1] = table, group
                rows[count, 2], rows[count, 3] = width, _book_of(table, width, zero)
                count += 1
    chosen = np.empty((count, SYMBOLS), np.int64)
    for row in range(count):
        for symbol in range(SYMBOLS):
            chosen[row, symbol] = histograms[rows[row, 0], symbol]
    return fit_law(chosen, rows[:count, 1], rows[:count, 2], rows[:count, 3])


@njit
def put_tables(
    law: np.ndarray,
    used: np.ndarray,
    widths: np.ndarray,
    books: int,
    zero: bool,
    histograms: np.ndarray,
    out: np.ndarray,
    at: int,
    frequencies: np.ndarray,
) -> int:
    """Write the law, raw widths and tables of the classes `used`; returns the position after them.

    law: what `law_of` gave, which makes fewer kernels that have others in them. used: ascending.
    books: 1 without a trellis, else 2. zero: whether the odd book has a zero. histograms: int64
    (TABLES, SYMBOLS), as `law_of` left them. frequencies: filled in.
    """
    at = put_law(law, out, at)
    before = np.int64(0)
    by_law = np.empty(SYMBOLS, np.int64)
    for group in used:
        width = widths[group]
        change = width - before
        at = put_rice(out, at, 2 * change if change >= 0 else -2 * change - 1, np.int64(0))
        before = width
        for table in range(BOOKS * group, _tables_of(group, width, books)):
            book = _book_of(table, width, zero)
            fill_law(law, group, width, book, by_law)
            at = choose_table(histograms[table], _pairing_of(book), by_law, out, at, frequencies[table])
        if width > 0:
            for symbol in range(SYMBOLS):
                frequencies[BOOKS * group + 1, symbol] = frequencies[BOOKS * group, symbol]
    return at


@njit
def get_tables(
    data: np.ndarray, at: int, used: np.ndarray, books: int, zero: bool, widths: np.ndarray, frequencies: np.ndarray
) -> int:
    """Read what `put_tables` wrote: fills in raw widths by class and frequencies by table.

    Returns the position after them, or -1 if they are not valid.
    """
    law = np.empty(4, np.int64)
    at = get_law(data, at, law)
    before = np.int64(0)
    for group in used:
        change, at = get_rice(data, at, np.int64(0), 2 * MAX_WIDTH)
        width = before + (change >> 1 ^ -(change & 1))
        if change < 0 or width < 0 or width >= MAX_WIDTH:
            return np.int64(-1)
        before = widths[group] = width
        for table in range(BOOKS * group, _tables_of(group, width, books)):
            book = _book_of(table, width, zero)
            fill_law(law, group, width, book, frequencies[table])
            at = get_table(data, at, _pairing_of(book), frequencies[table])
            if at < 0 or any_of(frequencies[table, LAST_SYMBOL + 1 :]):
                return np.int64(-1)
        if width > 0:
            for symbol in range(SYMBOLS):
                frequencies[BOOKS * group + 1, symbol] = frequencies[BOOKS * group, symbol]
    return at


@njit
def estimated_bits(histograms: np.ndarray, widths: np.ndarray) -> float:
    """About how many bits levels and their tables take: the entropies, and tables by their sizes.

    histograms: int64 (TABLES, SYMBOLS). widths: raw widths by class. On gradients and weights it is
    within 1 % of what `put_tables` and the code take.
    """
    bits = 0.0
    for group in range(widths.size):
        joined = widths[group] > 0
        for book in range(1 if joined else BOOKS):
            total, inside, entries = 0.0, 0.0, 0
            for symbol in range(SYMBOLS):
                count = histograms[BOOKS * group + book, symbol]
                if joined:
                    count += histograms[BOOKS * group + 1, symbol]
                if count > 0:
                    total += count
                    entries += 1
                    inside += count * (math.log2(count) - _RAW_BITS[symbol] - widths[group])
            if entries > 0:
                own = _TABLE_BITS + _ENTRY_BITS * min(entries, _ENTRIES)
                bits += total * math.log2(total) - inside + min(own, _LAW_BITS + total * _LAW_LOSS)
    return bits
