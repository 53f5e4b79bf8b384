"""The scalar quantiser of least squared error for a standard normal number.

Operators that rotate a vector at random use it, since rotated coordinates are nearly normal. Each
centroid c_i is the mean of the normal density over its cell, and the ends of a cell lie half way
between neighbouring centroids (Lloyd, 1957; Max, 1960). The centroids are solved for, not
tabulated.
"""

import functools
import math
from statistics import NormalDist

import numpy as np

from .domain import check_whole

MOST_BITS = 8

_NORMAL = NormalDist()


@functools.cache
def lloyd_max(bits: int) -> tuple[tuple[float, ...], float]:
    """The positive half of the 2^bits centroids, ascending, and the quantiser's mean squared error.

    The error is 1 − 2/π for 1 bit. Raises ValueError unless bits is a whole number from 1 to
    MOST_BITS.
    """
    check_whole(bits, "the bits of a Lloyd–Max quantiser", 1, MOST_BITS)
    half = 1 << (bits - 1)
    # The search starts where centroids lie for many bits: their density tends to that of a normal
    # number with three times the variance.
    quantiles = [_NORMAL.inv_cdf(0.5 + (i + 0.5) / (2 * half)) for i in range(half)]
    centroids = math.sqrt(3) * np.array(quantiles)
    for _ in range(50):
        centroids, moved = _newton_step(centroids)
        if moved < 1e-13:
            break
    share, _, _ = _cells(centroids)
    return tuple(centroids.tolist()), 1 - 2 * float(np.sum(share * centroids**2))


def _cells(centroids: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each cell its probability, its mean, and the normal density at its lower end."""
    ends = np.concatenate([[0.0], (centroids[1:] + centroids[:-1]) / 2])
    tails = np.array([0.5 * math.erfc(end / math.sqrt(2)) for end in ends] + [0.0])
    density = np.exp(-(ends**2) / 2) / math.sqrt(2 * math.pi)
    share = tails[:-1] - tails[1:]
    mean = (density - np.append(density[1:], 0.0)) / share
    return share, mean, density


def _newton_step(centroids: np.ndarray) -> tuple[np.ndarray, float]:
    """The centroids after one step of Newton's method on c − mean(c), and the largest move.

    The system of equations is tridiagonal: the mean of cell i depends on c_{i−1}, c_i and c_{i+1}.
    """
    share, mean, density = _cells(centroids)
    ends = (centroids[1:] + centroids[:-1]) / 2
    # below: the derivative of the mean of cell i by c_{i−1}, and a part of the one by c_i.
    below = density[1:] * (mean[1:] - ends) / share[1:] / 2
    # above: the derivative of the mean of cell i by c_{i+1}, and the other part of the one by c_i.
    above = density[1:] * (ends - mean[:-1]) / share[:-1] / 2
    own = np.append(0.0, below) + np.append(above, 0.0)
    system = np.diag(1 - own) - np.diag(below, -1) - np.diag(above, 1)
    step = np.linalg.solve(system, mean - centroids)
    return centroids + step, float(np.max(np.abs(step)))
