"""What levels cost, for encoders: prices of points, and raw widths that suit magnitudes."""

import math

import numpy as np

from ..compiler.jit import njit
from ..entropy.rans import SYMBOLS
from ..entropy.tokens import MAX_CLASSES
from .paths import SUBSETS
from .trellis import RATED

_UNSEEN = 2.0  # values by the law of all classes that prices add to the values of a class
_BOOKS = 2
_MAGNITUDES = 2 * RATED  # the magnitudes of numbers that have prices


@njit
def fill_prices(histograms: np.ndarray, widths: np.ndarray, zero: bool, prices: np.ndarray) -> None:
    """prices[class, subset, u] = bits of the point u, as the mean over both signs of a value.

    histograms: how often each symbol occurs, by table and symbol. A class in which a symbol does
    not occur has some values by the law of all classes together, so no price is infinite. Points of
    classes with a raw width cost nothing. zero: whether the odd book has a zero.
    """
    law, shares = np.ones((_BOOKS, SYMBOLS)), np.empty(SYMBOLS)
    lengths = np.empty(_MAGNITUDES)
    for table in range(histograms.shape[0]):
        for symbol in range(SYMBOLS):
            law[table % _BOOKS, symbol] += histograms[table, symbol]
    for book in range(_BOOKS):
        total = 0.0
        for symbol in range(SYMBOLS):
            total += law[book, symbol]
        for symbol in range(SYMBOLS):
            law[book, symbol] *= _UNSEEN / total
    unseen = np.empty((SUBSETS, RATED))
    for c in range(-1, MAX_CLASSES):
        found = unseen if c < 0 else prices[c]
        for book in range(_BOOKS):
            total = 0.0
            for symbol in range(SYMBOLS):
                count = histograms[_BOOKS * c + book, symbol] if c >= 0 else 0
                shares[symbol] = count + law[book, symbol]
                total += count
            if c >= 0 and total == 0:
                for subset in range(2 * book, 2 * book + 2):
                    for point in range(RATED):
                        found[subset, point] = unseen[subset, point]
            else:
                _lengths(shares, total + _UNSEEN, book == 0 or zero, lengths)
                _by_subset(lengths, book, zero, found)
        if c >= 0 and widths[c] > 0:
            found[:] = 0.0


@njit
def _lengths(shares: np.ndarray, total: float, around_zero: bool, lengths: np.ndarray) -> None:
    """Bits of the two symbols that lie at the same distance on both sides of zero, by distance.

    The symbol of the number −n follows that of n. around_zero: whether 0 is one of the levels.
    Without it, the levels on both sides are those of the numbers n and −n − 1.
    """
    for n in range(lengths.size):
        one = max(2 * n - 1, 0)
        other = 2 * n if around_zero else 2 * n + 2
        lengths[n] = -math.log2((shares[one] + shares[min(other, SYMBOLS - 1)]) / (2 * total))


@njit
def _by_subset(lengths: np.ndarray, book: int, zero: bool, found: np.ndarray) -> None:
    """Deal the lengths of a book out to the points of its two subsets."""
    for u in range(RATED):
        even, odd = lengths[2 * u], lengths[2 * u + 1]
        if book == 0:
            found[0, u], found[1, u] = even, odd
        elif zero:
            found[2, u], found[3, u] = odd, even
        else:
            found[2, u] = even
            found[3, u] = lengths[0] if u == 0 else lengths[2 * u - 1]


@njit
def nearest_numbers(values: np.ndarray, scale: float, zero: bool, even: np.ndarray, odd: np.ndarray) -> None:
    """Fill in, int32, the numbers of the nearest level of each book.

    scale: the levels of a book that lie in a unit of the values.
    """
    for i in range(values.size):
        y = values[i] * scale
        even[i] = np.int64(np.rint(y))
        size = np.int64(np.rint(abs(y) + 0.25))
        odd[i] = (size if y >= 0 else -size) if zero else np.int64(np.floor(y))


@njit
def fill_widths(
    numbers: np.ndarray, classes: np.ndarray, stride: int, narrow: float, most: int, widths: np.ndarray
) -> None:
    """Fill in the largest raw widths, by class, whose cells are narrow for the mean magnitude.

    Every number of so many, `stride`, counts. narrow: the widest cell, relative to the mean
    magnitude. A class without values gets the width of the class before it. most: no width is
    larger.
    """
    sums, counts = np.zeros(MAX_CLASSES), np.zeros(MAX_CLASSES, np.int64)
    for i in range(0, numbers.size, stride):
        sums[classes[i]] += abs(np.float64(numbers[i]))
        counts[classes[i]] += 1
    for c in range(MAX_CLASSES):
        if counts[c] > 0:
            widths[c] = min(np.int64(math.log2(max(narrow * sums[c] / counts[c], 1.0))), most)
        else:
            widths[c] = widths[c - 1] if c > 0 else 0
