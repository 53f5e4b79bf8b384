"""Tables of frequencies from a law: four small numbers serve all classes with few values.

The density of a value x, in steps, is (1 + (x/s)²/M)^−M: heavy-tailed for a small M, and nearly
Gaussian for a large M. Its scale s grows by a third of an octave from class to class. The weight of
a symbol is the integral of the density over the values that it stands for, by Simpson's rule. All
of it is float64 in a written order, as it is a part of the format (spec/levels.md §4).
"""

import math

import numpy as np

from ..compiler.jit import njit, njit_inline
from ..entropy.bits import get_bits, put_bits
from ..entropy.rans import SYMBOLS, normalise
from ..entropy.rans_tables import ODD, code_length
from ..entropy.tokens import BIG, LAST_SYMBOL, STARTS

FIELDS = np.array([6, 2, 2, 4])  # bits of the fields scale, shape, peak and last token
LOWEST = np.int64(-10)  # the octave that a scale of 0 stands for
THIRDS = np.array([1.0, 1.2599210498948732, 1.5874010519681994])  # 2^0, 2^(1/3), 2^(2/3)
SHAPES = np.array([1, 2, 3, 5])  # log2 of M
PEAKS = np.array([1.0, 1.5, 2.0, 3.0])  # factors of the weight of zero
END = 64  # where the last range of cells is taken to end
_WEIGHTS = 2.0**24  # the sum of the weights of a table before they are rounded

ZERO_BOOK = 3  # the odd book that has a zero; the other books have the numbers of their pairings


@njit
def scale_of(scale: int, group: int) -> float:
    """The scale s of a class. scale: the law's field. group: the class."""
    third = scale + group
    return THIRDS[third % 3] * 2.0 ** (third // 3 + LOWEST)


@njit_inline
def _density(x: float, s: float, shape: int) -> float:
    quotient = x / s
    base = 1.0 + quotient * quotient / (1 << shape)
    for _ in range(shape):
        base = base * base
    return 1.0 / base


@njit_inline
def _mass(low: float, high: float, s: float, shape: int) -> float:
    middle = (low + high) * 0.5
    sides = _density(low, s, shape) + _density(high, s, shape)
    return (sides + 4.0 * _density(middle, s, shape)) * (high - low)


@njit_inline
def _edges(cell: int, width: int, book: int) -> tuple[float, float]:
    """(low, high): between which values a cell lies that has a symbol of its own."""
    if width > 0:
        size = float(np.int64(2) << width)
        middle = 2 * (cell >> 1)
        return (middle - 1) * size, (middle + 1) * size
    if book == ODD:
        return 2.0 * cell, 2.0 * cell + 2.0
    if book == ZERO_BOOK:
        if cell == 0:
            return -0.5, 0.5
        if cell == 1:
            return 0.5, 2.0
        if cell == -1:
            return -2.0, -0.5
        return (2.0 * cell - 2.0, 2.0 * cell) if cell > 0 else (2.0 * cell, 2.0 * cell + 2.0)
    return 2.0 * cell - 1.0, 2.0 * cell + 1.0


@njit
def fill_law(law: np.ndarray, group: int, width: int, book: int, frequencies: np.ndarray) -> None:
    """Fill in the frequencies of a class that follow from a law.

    law: int64, the fields scale, shape, peak and last token. group: the class. width: its raw
    width. book: EVEN, ODD or ZERO_BOOK, or RAW where the width is not 0.
    """
    s, shape = scale_of(law[0], group), SHAPES[law[1]]
    masses = np.zeros(SYMBOLS)
    total = 0.0
    for symbol in range(LAST_SYMBOL + 1):
        token = (symbol + 1) >> 1
        if token > law[3]:
            break
        if symbol >= BIG:
            found = (token & 2) | ((symbol & 1) ^ 1)
            size = float(np.int64(2) << width)
            end = STARTS[found + 1] if found < 3 else END
            low, high = STARTS[found] * size, end * size
        else:
            low, high = _edges(token if symbol & 1 else -token, width, book)
        mass = _mass(low, high, s, shape)
        if width > 0:
            mass = mass * 0.5 if symbol < BIG else mass
        elif symbol == 0 and book != ODD:
            mass = mass * PEAKS[law[2]]
        masses[symbol] = mass
        total += mass
    weights = np.zeros(SYMBOLS, np.int64)
    for symbol in range(min(2 * law[3], LAST_SYMBOL) + 1):
        weights[symbol] = max(np.int64(masses[symbol] / total * _WEIGHTS), 1)
    normalise(weights, frequencies)


@njit_inline
def put_law(law: np.ndarray, out: np.ndarray, at: int) -> int:
    """Write a law; returns the position after it."""
    for field in range(FIELDS.size):
        at = put_bits(out, at, law[field], FIELDS[field])
    return at


@njit_inline
def get_law(data: np.ndarray, at: int, law: np.ndarray) -> int:
    """Read a law; returns the position after it, which may be beyond the data."""
    for field in range(FIELDS.size):
        law[field] = get_bits(data, at, FIELDS[field])
        at += FIELDS[field]
    return at


@njit_inline
def law_bits(
    law: np.ndarray, histograms: np.ndarray, groups: np.ndarray, widths: np.ndarray, books: np.ndarray
) -> float:
    """The code length, in bits, of histograms (rows) by a law.

    groups, widths, books: the class, the raw width and the book of each row.
    """
    frequencies = np.empty(SYMBOLS, np.int64)
    bits = 0.0
    for row in range(groups.size):
        fill_law(law, groups[row], widths[row], books[row], frequencies)
        bits += code_length(histograms[row], frequencies)
    return bits


@njit_inline
def _first_scale(histograms: np.ndarray, groups: np.ndarray, widths: np.ndarray) -> int:
    """The scale field that suits the mean magnitude of the numbers."""
    weight, total = 0.0, 0.0
    for row in range(groups.size):
        size, count = 0.0, 0.0
        for symbol in range(LAST_SYMBOL + 1):
            size += histograms[row, symbol] * ((symbol + 1) >> 1)
            count += histograms[row, symbol]
        if count > 0:
            octave = math.log2(max(size / count, 0.1)) + widths[row] + 1.5
            total += count * (3 * (octave - LOWEST) - groups[row])
            weight += count
    return np.int64(min(max(total / max(weight, 1.0), 0.0), 63.0))


@njit_inline
def fit_law(histograms: np.ndarray, groups: np.ndarray, widths: np.ndarray, books: np.ndarray) -> np.ndarray:
    """The law with the shortest code of these histograms that a walk over its fields finds.

    The last token is the largest that occurs, so that every symbol that occurs has a frequency.
    """
    law = np.zeros(4, np.int64)
    law[0], law[1] = _first_scale(histograms, groups, widths), 1
    for row in range(groups.size):
        for symbol in range(LAST_SYMBOL + 1):
            if histograms[row, symbol] > 0:
                law[3] = max(law[3], (symbol + 1) >> 1)
    best = np.inf
    stride = 4
    while stride > 0:
        moved = False
        for field, change in ((0, 0), (0, stride), (0, -stride), (1, 1), (1, -1), (2, 1), (2, -1)):
            old = law[field]
            law[field] = min(max(old + change, 0), (1 << FIELDS[field]) - 1)
            if best < np.inf and (law[field] == old or (field > 0 and stride > 1)):
                law[field] = old
                continue
            bits = law_bits(law, histograms, groups, widths, books)
            if bits < best:
                best, moved = bits, change != 0
            else:
                law[field] = old
        if not moved:
            stride >>= 1
    return law
