"""Caps of the unit sphere in R^d, and the lower bounds that their size implies.

The cap of half-angle arcsin √α around a unit vector holds all unit vectors at cosine √(1−α) or more. One point at the
cap's cosine serves just the vectors in its cap, so a code whose error is surely at most α must have at least 1/P(α, d)
code words, where P is the cap's share of the sphere:

    P(α, d) = ½·I_α(a, ½) = α^a·F / (2a·B(a, ½)),    a = (d−1)/2,    F = ₂F₁(½, a; a+1; α).

F is the one quantity to compute; the mean cosine over the cap is 1/F. P itself underflows soon, so only its logarithm is
given. Source: Albasyoni, Safaryan, Condat, Richtárik, "Optimal Gradient Compression for Distributed and Federated
Learning", arXiv 2010.03246.
"""

import math

from .domain import check_alpha, check_dimension
from .shannon import contractive_rate

_PRECISION = 2.0**-55
_NEAR_RIM = 1.5  # of a·(1−α): below it the cap is nearly a half sphere, and its complement converges faster


def cap_bits(alpha: float, d: int) -> float:
    """−log2 P(α, d), at least 1 bit, to about 14 digits for all 0 < α ≤ 1 and d ≥ 1.

    No code with relative squared error surely at most α spends fewer bits on the direction of its worst vector, and the
    mean over uniform directions is about the same. P = ½ for d = 1, where the sphere is two points.
    """
    check_dimension(d)
    check_alpha(alpha)
    if d == 1:
        return 1.0
    a = (d - 1) / 2
    log_p = a * math.log(alpha) - math.log(2 * a) - _log_beta_half(a) + math.log1p(_excess(alpha, a))
    return max(1.0, -log_p / math.log(2))


def mean_cosine_excess(alpha: float, d: int) -> float:
    """1/c̄ − 1, where c̄ is the mean cosine to the centre over the cap; relative precision is kept as α → 0."""
    check_dimension(d)
    check_alpha(alpha)
    return 0.0 if d == 1 else _excess(alpha, (d - 1) / 2)


def mean_cosine(alpha: float, d: int) -> float:
    """c̄, the mean cosine to the cap's centre over the cap: between √(1−α) and 1."""
    return 1 / (1 + mean_cosine_excess(alpha, d))


def uncertainty_bits(alpha: float, d: int) -> float:
    """(d/2)·log2(1/α): no operator with mean relative squared error at most α for all x spends fewer bits."""
    check_dimension(d)
    return d * contractive_rate(alpha)


def covering_bits(alpha: float, d: int) -> float:
    """−log2 P + log2 d + ½·log2 log2 d for d ≥ 2: what the best strict code needs, but for a small constant.

    It counts the caps that cover the sphere. For d = 1, two points suffice: 1 bit.
    """
    bits = cap_bits(alpha, d)
    return bits if d == 1 else bits + math.log2(d) + 0.5 * math.log2(math.log2(d))


def _excess(alpha: float, a: float) -> float:
    """F − 1 for a > 0, by whichever of three expansions converges within some hundred terms."""
    if alpha <= 0.5:
        return _excess_by_series(alpha, a)
    if a * (1 - alpha) > _NEAR_RIM:
        return _by_continued_fraction(alpha, a) - 1
    return _by_complement(alpha, a) - 1


def _excess_by_series(alpha: float, a: float) -> float:
    """F − 1 = Σ_{n≥1} (½)_n/n! · a/(a+n) · α^n; all terms are positive and each is below α times the last."""
    total, coefficient, n = 0.0, 1.0, 0
    while True:
        n += 1
        coefficient *= (n - 0.5) / n * alpha
        term = coefficient * (a / (a + n))
        total += term
        if term <= _PRECISION * total:
            return total


def _by_continued_fraction(alpha: float, a: float) -> float:
    """F for a·(1−α) not small, by the even part of the continued fraction of I_α(a, b), b = ½.

    Coefficients after DiDonato and Morris, "Algorithm 708", ACM TOMS 18 (1992), written with 1−α so that nothing
    cancels as α → 1; evaluated by Lentz's method. As a grows it turns into the fraction of the incomplete gamma
    function at a·(1−α), so the number of terms has a bound that does not depend on a.
    """
    b, rest = 0.5, 1 - alpha
    lam = a * rest - b * alpha
    value = numerator = a * (lam + 1) / (a + 1)
    denominator_inverse, n = 0.0, 0
    while True:
        n += 1
        scale = a + 2 * n - 1
        partial = (a + n - 1) / scale * ((a + b + n - 1) / scale) * (n * (b - n)) * alpha**2
        offset = n + n * (b - n) * alpha / scale + (a + n) / (scale + 2) * (lam + 1 + n * (1 + rest))
        numerator = offset + partial / numerator
        denominator_inverse = 1 / (offset + partial * denominator_inverse)
        step = numerator * denominator_inverse
        value *= step
        if abs(step - 1) <= 16 * _PRECISION:
            return a * math.sqrt(rest) / value


def _by_complement(alpha: float, a: float) -> float:
    """F for α near 1, from I_α(a, ½) = 1 − I_{1−α}(½, a), the latter by its series of positive terms."""
    rest = 1 - alpha
    log_weight = a * math.log(alpha) - _log_beta_half(a)
    total, term, n = 0.0, 1.0, 0
    while term > _PRECISION * total:
        total += term
        n += 1
        term *= (a + n - 0.5) / (n + 0.5) * rest
    outside = 2 * math.sqrt(rest) * math.exp(log_weight) * total
    return a * math.exp(-log_weight) * (1 - outside)


def _log_beta_half(a: float) -> float:
    """ln B(a, ½). Large a need Stirling's series of Γ(a+½)/Γ(a): a difference of two lgamma would lose its digits."""
    if a < 20:
        log_ratio = math.lgamma(a + 0.5) - math.lgamma(a)
    else:
        z = 1 / (a * a)
        log_ratio = 0.5 * math.log(a) - (1 / 8 - z * (1 / 192 - z * (1 / 640 - z * (17 / 14336 - z * 31 / 18432)))) / a
    return 0.5 * math.log(math.pi) - log_ratio
