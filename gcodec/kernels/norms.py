"""Squared norms of float32 or float64 values, in float64.

They are for measuring, never for decoding.
"""

import numpy as np

from ._jit import njit, njit_any_order


def scan(values):
    """(count, first, max |x|, Σ x²).

    count and first: the number of NaN and infinities, and the index of the first one, or -1. The
    last two are over the finite values.
    """
    largest = largest_magnitude(values)
    if largest < np.inf:
        return 0, -1, largest, sum_squares(values)
    return _scan_each(values)


def largest_magnitude(values):
    """max |x|. It is 0 for no values, and infinite or NaN when a value is.

    Without their signs, floats have the order of the integers with the same bits.
    """
    bits = values.view(f"i{values.itemsize}")
    largest = _largest(bits, np.iinfo(bits.dtype).max)
    return float(np.array(largest, bits.dtype).view(values.dtype))


@njit
def _largest(bits, mask):
    largest = bits.dtype.type(0)
    for i in range(bits.size):
        largest = max(largest, bits.dtype.type(bits[i] & mask))
    return largest


@njit
def _scan_each(values):
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


@njit_any_order
def sum_squares(values):
    """Σ x²."""
    total = 0.0
    for i in range(values.size):
        value = np.float64(values[i])
        total += value * value
    return total


@njit_any_order
def squared_distance(a, b):
    """Σ (a − b)². It is infinite or NaN when a value is."""
    total = 0.0
    for i in range(a.size):
        error = np.float64(a[i]) - np.float64(b[i])
        total += error * error
    return total
