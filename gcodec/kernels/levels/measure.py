"""Centroids and squared errors of levels, in strips that compilers turn into vectors."""

import numpy as np

from ..compiler.jit import njit, njit_inline
from ..entropy.tokens import BIG
from .values import level_of, value_of

STRIP = 1024  # values that are measured together


@njit_inline
def _levels_of(numbers: np.ndarray, books: np.ndarray, zero: bool, levels: np.ndarray) -> None:
    """Fill in the levels of numbers. books: codes, uint8, whose bit 5 is the book."""
    for i in range(numbers.size):
        n, book = np.int64(numbers[i]), np.int64(books[i]) >> 5 & 1
        back = np.int64(n > 0) - np.int64(n < 0) if zero else -np.int64(1)
        levels[i] = 2 * n - back * book


@njit_inline
def add_excess(
    values: np.ndarray,
    scale: float,
    numbers: np.ndarray,
    codes: np.ndarray,
    zero: bool,
    sums: np.ndarray,
    counts: np.ndarray,
) -> None:
    """Add |value| − |level|, in steps, to the sum of each |level|, and 1 to its count.

    All levels beyond ±CENTROIDS share the last place. A value on the other side of zero than its
    level counts with a negative |value|. Sums are taken in four parts, as equal neighbours would
    wait for each other in one.
    """
    levels, excess = np.empty(STRIP, np.int64), np.empty(STRIP)
    parts, counted = np.zeros((4, sums.size)), np.zeros((4, sums.size), np.int64)
    last = np.int64(sums.size - 1)
    for start in range(0, values.size, STRIP):
        strip = values[start : start + STRIP]
        _levels_of(numbers[start : start + STRIP], codes[start : start + STRIP], zero, levels)
        for i in range(strip.size):
            y, size = np.float64(strip[i] * scale), abs(levels[i])
            excess[i] = (y if levels[i] > 0 else -y) - size
            levels[i] = min(size, last)
        for i in range(strip.size):
            parts[i & 3, levels[i]] += excess[i]
            counted[i & 3, levels[i]] += 1
    for part in range(4):
        for place in range(sums.size):
            sums[place] += parts[part, place]
            counts[place] += counted[part, place]


@njit
def fill_offsets(
    values: np.ndarray,
    scale: float,
    numbers: np.ndarray,
    codes: np.ndarray,
    zero: bool,
    rare: int,
    per_step: int,
    offsets: np.ndarray,
) -> None:
    """Fill in the centroid offsets, int64, of the magnitudes of levels: `per_step` are a step.

    A level that occurs fewer than `rare` times has the offset 0. The other arguments are those of
    `add_excess`.
    """
    sums, counts = np.zeros(offsets.size), np.zeros(offsets.size, np.int64)
    add_excess(values, scale, numbers, codes, zero, sums, counts)
    for level in range(offsets.size):
        mean = sums[level] / counts[level] if counts[level] >= rare else 0.0
        offsets[level] = np.int64(min(max(np.rint(per_step * mean), -127.0), 127.0))


@njit_inline
def _fill_big(
    numbers: np.ndarray,
    codes: np.ndarray,
    zero: bool,
    offsets: np.ndarray,
    scales: np.ndarray,
    largest: float,
    points: np.ndarray,
) -> None:
    """Fill in the decoded values of the numbers with big symbols."""
    for i in range(numbers.size):
        if codes[i] & 31 >= BIG:
            points[i] = value_of(level_of(np.int64(numbers[i]), codes[i] >> 5 & 1, zero), offsets, scales, largest)


@njit
def squared_error(
    values: np.ndarray,
    codes: np.ndarray,
    by_code: np.ndarray,
    numbers: np.ndarray,
    plain: bool,
    zero: bool,
    offsets: np.ndarray,
    scales: np.ndarray,
    largest: float,
) -> float:
    """Σ(x̂ − x)² of values x and what their levels decode to.

    numbers: empty if no code has raw bits. Then by_code[code] is the decoded value. If not, the
    decoded values follow from the numbers, as in `value_of`; where the codes are `plain`, as no
    class has a raw width, only those of big symbols.
    """
    sums, points, levels = np.zeros(STRIP), np.empty(STRIP), np.empty(STRIP, np.int64)
    last = np.int64(offsets.size - 1)
    for start in range(0, values.size, STRIP):
        strip, beside = values[start : start + STRIP], codes[start : start + STRIP]
        if numbers.size == 0 or plain:
            highest = 0
            for code in beside:
                highest = max(highest, code & 31)
            for i in range(strip.size):
                points[i] = np.float64(by_code[beside[i]])
            if highest >= BIG:
                _fill_big(numbers[start : start + STRIP], beside, zero, offsets, scales, largest, points)
            for i in range(strip.size):
                gap = points[i] - np.float64(strip[i])
                sums[i] += gap * gap
        else:
            _levels_of(numbers[start : start + STRIP], beside, zero, levels)
            for i in range(strip.size):
                points[i] = offsets[min(abs(levels[i]), last)]
            for i in range(strip.size):
                size = (np.float64(abs(levels[i])) + points[i]) * scales[0] * scales[1]
                size = size if size < largest else largest
                gap = (size if levels[i] >= 0 else -size) - np.float64(strip[i])
                sums[i] += gap * gap
    total = 0.0
    for part in sums:
        total += part
    return total
