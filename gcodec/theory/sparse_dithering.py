"""Bits of Sparse Dithering: what the paper's code needs at worst (deterministic) or in expectation (randomised).

A unit vector u becomes levels k_i = u_i/(2h) rounded to a whole number, with half-step h = √(ν/d) (to the nearest; error
at most ν) or h = √(ω/d) (up or down at random; unbiased, variance at most ω). The code sends the norm (31 bits: a positive
float32), the number of zeros (log2 d), which of the coordinates are zero (log2 C(d, m) for m others), a sign each, and
each level in unary. Source: Albasyoni, Safaryan, Condat, Richtárik, arXiv 2010.03246; the worst case for any ν is
reconstructed after the paper and agrees with the constants that it prints.
"""

import math

import numpy as np

from .domain import check_alpha, check_dimension, check_omega

NORM_BITS = 31  # a positive float32
PUBLISHED_NU = 0.1  # where the paper prints its bound of the deterministic variant

_SLACK = 1e-12  # relative; covers the roundings of a level sum that is exactly whole
_MOST_CANDIDATES = 1 << 21  # numbers of levels other than zero that `exact_bits` compares


def half_step(constant: float, d: int) -> float:
    """h = √(ν/d) or √(ω/d), on the scale of the unit vector."""
    check_dimension(d)
    check_omega(constant)
    return math.sqrt(constant / d)


def published_bits(d: int) -> float:
    """30 + log2 d + 3.35·d: the paper's bound of the deterministic variant at ν = 1/10, for d ≥ 3.

    For d = 1 and 2 `exact_bits` is above it by 0.65 and 0.30 bit and is the one that holds.
    """
    check_dimension(d)
    return 30 + math.log2(d) + 3.35 * d


def published_expected_bits(omega: float, d: int) -> float:
    """30 + log2 d + (log2 3 + 1/(2√ω))·d: the paper's bound of the randomised variant's mean number of bits."""
    check_dimension(d)
    return 30 + math.log2(d) + expected_rate(omega) * d


def expected_rate(omega: float) -> float:
    """log2 3 + 1/(2√ω) bits per coordinate: zero, plus or minus for each, and the mean sum of levels."""
    check_omega(omega)
    return math.log2(3) + 0.5 / math.sqrt(omega)


def worst_rate(nu: float) -> float:
    """max over 0 < κ < 1 of H(κ) + κ + ½(κ + √(κ/ν)) bits per coordinate, κ the share of levels that are not zero."""
    kappa = worst_density(nu)
    return _entropy(kappa) + 1.5 * kappa + 0.5 * math.sqrt(kappa) / math.sqrt(nu)  # κ/ν may be infinite


def worst_density(nu: float) -> float:
    """The κ of `worst_rate`: the function is concave, so its derivative is bisected."""
    check_alpha(nu)
    low, high = 0.0, 1.0
    while low < (kappa := (low + high) / 2) < high:
        slope = math.log2((1 - kappa) / kappa) + 1.5 + 0.25 / (math.sqrt(kappa) * math.sqrt(nu))  # κ·ν may be 0
        low, high = (kappa, high) if slope > 0 else (low, kappa)
    return high


def closed_form_bits(nu: float, d: int) -> float:
    """31 + log2 d + d·worst_rate(ν): no vector needs more, at any ν; a little above `exact_bits`."""
    check_dimension(d)
    return NORM_BITS + math.log2(d) + d * worst_rate(nu)


def exact_bits(nu: float, d: int) -> float:
    """31 + log2 d + max over m of log2 C(d, m) + m + ⌊½(m + √(m·d/ν))⌋: the worst case of the deterministic variant.

    m levels other than zero have |u_i| ≥ (2k_i − 1)·h, so √m ≥ Σ|u_i| bounds the sum of levels. Takes O(√d) time and
    memory, whatever ν is, and the result is finite; past d = 2^40, or where more than 2^21 values of m may be the worst,
    the closed form is given: an upper bound too, some 20 bits above.
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
    """How many times fewer bits than float32 the randomised variant sends for large d: (per message, in all).

    In all counts the slow-down: gradient descent with unbiased messages may need 1+ω times as many of them.
    """
    per_message = 32 / expected_rate(omega)
    return per_message, per_message / (1 + omega)


def best_omega() -> float:
    """The ω that makes (1+ω)·expected_rate(ω) smallest, about 0.242; 1/4 is as good to three digits."""
    low, high = 0.1, 1.0  # of √ω: the derivative changes its sign once between them
    while low < (root := (low + high) / 2) < high:
        slope = 2 * math.log2(3) * root + 0.5 - 0.5 / root**2
        low, high = (root, high) if slope < 0 else (low, root)
    return low * low


def log2_binomial(n: int, k: int) -> float:
    """log2 of the number of ways to choose k of n things."""
    return (math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)) / math.log(2)


def _entropy(p: float) -> float:
    return -sum(q * math.log2(q) for q in (p, 1 - p) if q > 0)


def _root(nu: float, d: int) -> float:
    """√(d/ν), finite where d/ν is not."""
    return math.sqrt(d) / math.sqrt(nu)


def _candidates(nu: float, d: int) -> tuple[int, int]:
    """A range of m that holds the maximum of `exact_bits`: where the bits without the floor are within 1 of their top."""
    root = _root(nu, d)

    def bits(m: int) -> float:
        return log2_binomial(d, m) + 1.5 * m + 0.5 * math.sqrt(m) * root

    def first(low: int, high: int, holds) -> int:
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if holds(middle) else (middle + 1, high)
        return low

    def falls(m: int) -> bool:
        gain = math.log2((d - m) / (m + 1)) + 1.5 + 0.5 * root / (math.sqrt(m + 1) + math.sqrt(m))
        return gain <= 0

    top = first(1, d, falls) if d > 1 else 1
    tolerance = 1 + 1e-13 * d * math.log2(d + 1)  # the roundings of lgamma too
    low = first(1, top, lambda m: bits(m) >= bits(top) - tolerance)
    high = first(top, d, lambda m: bits(m + 1) < bits(top) - tolerance) if top < d else d
    return low, high
