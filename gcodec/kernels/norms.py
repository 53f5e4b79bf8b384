"""Squared norms of float32 or float64 values, in float64.

They are for measuring, never for decoding. Sums are taken in a fixed order, so they are equal on
all processors: blocks of 4096 values one after the other, in each 16 sums of every 16th value. A
sum of up to 2²⁰ squares has passed through at most 2⁹ + 40 roundings, each of 2⁻⁵³ of it.
"""

import numpy as np

from .compiler.jit import njit

BLOCK = 4096
LANES = 16


def scan(values: np.ndarray) -> tuple[int, int, float, float]:
    """(count, first, max |x|, Σ x²).

    count and first: the number of NaN and infinities, and the index of the first one, or -1. The
    last two are over the finite values.
    """
    largest = largest_magnitude(values)
    if largest < np.inf:
        return 0, -1, largest, sum_squares(values)
    return _scan_each(values)


def largest_magnitude(values: np.ndarray) -> float:
    """max |x|. It is 0 for no values, and infinite or NaN when a value is.

    Without their signs, floats have the order of the integers with the same bits.
    """
    bits = values.view(f"i{values.itemsize}")
    largest = _largest(bits, np.iinfo(bits.dtype).max)
    return float(np.array(largest, bits.dtype).view(values.dtype))


@njit
def _largest(bits: np.ndarray, mask: int) -> int:
    largest = bits.dtype.type(0)
    for i in range(bits.size):
        largest = max(largest, bits.dtype.type(bits[i] & mask))
    return largest


@njit
def _scan_each(values: np.ndarray) -> tuple[int, int, float, float]:
    largest, total = 0.0, 0.0
    count, first = 0, -1
    for i in range(values.size):
        value = abs(np.float64(values[i]))
        if value < np.inf:
            largest = max(largest, value)
            total += value * value
        else:  # value is infinite or NaN
            first = i if count == 0 else first
            count += 1
    return count, first, largest, total


@njit
def sum_squares(values: np.ndarray) -> float:
    """Σ x²."""
    lanes = np.empty(LANES)
    total = 0.0
    for start in range(0, values.size, BLOCK):
        stop = min(start + BLOCK, values.size)
        whole = start + (stop - start) // LANES * LANES
        lanes[:] = 0.0
        for i in range(start, whole, LANES):
            for j in range(LANES):
                value = np.float64(values[i + j])
                lanes[j] += value * value
        for i in range(whole, stop):
            value = np.float64(values[i])
            lanes[i - whole] += value * value
        total += _sum(lanes)
    return total


@njit
def squared_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Σ (a − b)². It is infinite or NaN when a value is."""
    lanes = np.empty(LANES)
    total = 0.0
    for start in range(0, a.size, BLOCK):
        stop = min(start + BLOCK, a.size)
        whole = start + (stop - start) // LANES * LANES
        lanes[:] = 0.0
        for i in range(start, whole, LANES):
            for j in range(LANES):
                error = np.float64(a[i + j]) - np.float64(b[i + j])
                lanes[j] += error * error
        for i in range(whole, stop):
            error = np.float64(a[i]) - np.float64(b[i])
            lanes[i - whole] += error * error
        total += _sum(lanes)
    return total


@njit
def _sum(lanes: np.ndarray) -> float:
    total = 0.0
    for j in range(LANES):
        total += lanes[j]
    return total
