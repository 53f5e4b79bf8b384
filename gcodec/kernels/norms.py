"""Squared norms of float32 or float64 values, in float64.

Eight running sums, each of every eighth value: a written order, and one that processors work on side by side.
"""

import numpy as np

from ._jit import njit

LANES = 8


@njit
def scan(values):
    """(the number of NaN and infinities, the index of the first or -1, max |x|, Σ x²); the last two of finite values."""
    sums = np.zeros(LANES)
    largest = 0.0
    count, first = 0, -1
    for i in range(values.size):
        value = abs(np.float64(values[i]))
        if value < np.inf:
            largest = max(largest, value)
            sums[i & (LANES - 1)] += value * value
        else:  # NaN as well
            first = i if count == 0 else first
            count += 1
    return count, first, largest, sums.sum()


@njit
def squared_distance(a, b):
    """Σ (a − b)²; infinite or NaN when a value is."""
    sums = np.zeros(LANES)
    for i in range(a.size):
        error = np.float64(a[i]) - np.float64(b[i])
        sums[i & (LANES - 1)] += error * error
    return sums.sum()
