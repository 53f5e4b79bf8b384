"""Bits of Sparse Dithering: what the paper's code needs at worst or in expectation.

A unit vector u becomes levels k_i = u_i/(2h), rounded to whole numbers. There are two variants.

- Deterministic: h = √(ν/d) and rounding to nearest; the error is at most ν.
- Randomised: h = √(ω/d) and rounding up or down at random; unbiased, with variance at most ω.

The code sends the norm (31 bits: a positive float32), the number of zeros (log2 d bits), which
coordinates are zero (log2 C(d, m) bits, where m coordinates are not), m signs, and each level in
unary. Source: Albasyoni, Safaryan, Condat, Richtárik, arXiv 2010.03246. The worst case for any ν is
reconstructed after the paper and agrees with the constants that it prints.
"""

import math
from collections.abc import Callable

import numpy as np

from .domain import check_alpha, check_dimension, check_omega

NORM_BITS = 31  # a positive float32
PUBLISHED_NU = 0.1  # the ν for which the paper prints its upper bound of the deterministic variant

_SLACK = 1e-12  # relative: it covers the rounding errors of a level sum that is exactly whole
_MOST_CANDIDATES = 1 << 21  # how many values of m `exact_bits` compares at most


def half_step(constant: float, d: int) -> float:
    """h = √(ν/d) or √(ω/d), as a number of the unit vector."""
    check_dimension(d)
    check_omega(constant)
    return math.sqrt(constant / d)


def published_bits(d: int) -> float:
    """30 + log2 d + 3.35·d: the paper's upper bound of the deterministic variant at ν = 1/10.

    It holds for d ≥ 3. For d = 1 and 2, `exact_bits` is above it by 0.65 and 0.30 bit and holds
    instead.
    """
    check_dimension(d)
    return 30 + math.log2(d) + 3.35 * d


def published_expected_bits(omega: float, d: int) -> float:
    """30 + log2 d + (log2 3 + 1/(2√ω))·d: the paper's bound of the mean bits of `rsd`."""
    check_dimension(d)
    return 30 + math.log2(d) + expected_rate(omega) * d


def expected_rate(omega: float) -> float:
    """log2 3 + 1/(2√ω) bits per coordinate.

    The first term says for each coordinate whether it is zero, positive or negative. The second is
    the mean sum of levels.
    """
    check_omega(omega)
    return math.log2(3) + 0.5 / math.sqrt(omega)


def worst_rate(nu: float) -> float:
    """max over 0 < κ < 1 of H(κ) + κ + ½(κ + √(κ/ν)) bits per coordinate.

    κ is the share of levels that are not zero, and H is the binary entropy.
    """
    kappa = worst_density(nu)
    return _entropy(kappa) + 1.5 * kappa + 0.5 * math.sqrt(kappa) / math.sqrt(nu)  # κ/ν could be infinite


def worst_density(nu: float) -> float:
    """The κ of `worst_rate`: a bisection finds where the derivative of a concave function is 0."""
    check_alpha(nu)
    low, high = 0.0, 1.0
    while low < (kappa := (low + high) / 2) < high:
        slope = math.log2((1 - kappa) / kappa) + 1.5 + 0.25 / (math.sqrt(kappa) * math.sqrt(nu))  # κ·ν could be 0
        low, high = (kappa, high) if slope > 0 else (low, kappa)
    return high


def closed_form_bits(nu: float, d: int) -> float:
    """31 + log2 d + d·worst_rate(ν): a bound for every vector and ν, a bit above `exact_bits`."""
    check_dimension(d)
    return NORM_BITS + math.log2(d) + d * worst_rate(nu)


def exact_bits(nu: float, d: int) -> float:
    """The worst case of the deterministic variant, over the number m of levels that are not zero.

    It is 31 + log2 d + max over m of log2 C(d, m) + m + ⌊½(m + √(m·d/ν))⌋. These m levels have
    |u_i| ≥ (2k_i − 1)·h, so √m ≥ Σ|u_i| gives an upper bound of the sum of levels.

    It takes O(√d) time and memory for every ν, and the result is finite. Beyond d = 2^40, or where
    more than 2^21 values of m may be the worst, the result is the closed form. That is an upper
    bound too, some 20 bits above. Raises ValueError for ν or d out of their ranges.
    """
    if d > 2**40:
        return closed_form_bits(nu, d)
    check_dimension(d)
    check_alpha(nu)
    low, high = _candidates(nu, d)
    if high - low >= _MOST_CANDIDATES:
        return closed_form_bits(nu, d)
    m = np.arange(low, high + 1, dtype=np.float64)
    ratios = np.log2((d - m[:-1]) / m[1:])
    log_choices = log2_binomial(d, low) + np.concatenate([[0.0], np.cumsum(ratios)])
    level_sums = np.floor(0.5 * (m + np.sqrt(m) * _root(nu, d)) * (1 + _SLACK))
    return NORM_BITS + math.log2(d) + float(np.max(log_choices + m + level_sums))


def saving(omega: float) -> tuple[float, float]:
    """How many times fewer bits than float32 the randomised variant sends: (per message, in all).

    Both are for large d. The second counts the slow-down: gradient descent with unbiased messages
    may need 1+ω times as many messages.
    """
    per_message = 32 / expected_rate(omega)
    return per_message, per_message / (1 + omega)


def best_omega() -> float:
    """The ω with the smallest (1+ω)·expected_rate(ω), about 0.242. 1/4 is nearly as good."""
    low, high = 0.1, 1.0  # a range of √ω in which the derivative changes its sign once
    while low < (root := (low + high) / 2) < high:
        slope = 2 * math.log2(3) * root + 0.5 - 0.5 / root**2
        low, high = (root, high) if slope < 0 else (low, root)
    return low * low


def log2_binomial(n: int, k: int) -> float:
    """log2 C(n, k), where C(n, k) is the number of ways to choose k of n things."""
    return (math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)) / math.log(2)


def _entropy(p: float) -> float:
    return -sum(q * math.log2(q) for q in (p, 1 - p) if q > 0)


def _root(nu: float, d: int) -> float:
    """√(d/ν), which is finite even where d/ν is not."""
    return math.sqrt(d) / math.sqrt(nu)


def _candidates(nu: float, d: int) -> tuple[int, int]:
    """(first, last) of a range of m that holds the maximum of `exact_bits`.

    It is the range in which the bits without the floor are within 1 of their maximum.
    """
    root = _root(nu, d)

    def bits(m: int) -> float:
        return log2_binomial(d, m) + 1.5 * m + 0.5 * math.sqrt(m) * root

    def first(low: int, high: int, holds: Callable[[int], bool]) -> int:
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if holds(middle) else (middle + 1, high)
        return low

    def falls(m: int) -> bool:
        gain = math.log2((d - m) / (m + 1)) + 1.5 + 0.5 * root / (math.sqrt(m + 1) + math.sqrt(m))
        return gain <= 0

    top = first(1, d, falls) if d > 1 else 1
    tolerance = 1 + 1e-13 * d * math.log2(d + 1)  # the second term covers the rounding errors of lgamma
    low = first(1, top, lambda m: bits(m) >= bits(top) - tolerance)
    high = first(top, d, lambda m: bits(m + 1) < bits(top) - tolerance) if top < d else d
    return low, high
