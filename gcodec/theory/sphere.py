"""Caps of the unit sphere in R^d, and the lower bounds that their size implies.

The cap of half-angle arcsin √α around a unit vector holds all unit vectors at cosine √(1−α) or
more. One code word serves the vectors in one cap. So a code whose error is at most α for every
input needs at least 1/P(α, d) code words, where P is the cap's share of the sphere:

    P(α, d) = ½·I_α(a, ½) = α^a·F / (2a·B(a, ½)),    a = (d−1)/2,    F = ₂F₁(½, a; a+1; α).

F is the one quantity to compute. The mean cosine over the cap is 1/F. P itself underflows soon, so
only its logarithm is given. Source: Albasyoni, Safaryan, Condat, Richtárik, "Optimal Gradient
Compression for Distributed and Federated Learning", arXiv 2010.03246.
"""

import math

from .domain import check_alpha, check_dimension
from .shannon import contractive_rate

_PRECISION = 2.0**-55
_NEAR_RIM = 1.5  # where a·(1−α) is less, the cap is nearly a half sphere and its complement converges faster


def cap_bits(alpha: float, d: int) -> float:
    """−log2 P(α, d), at least 1 bit, to about 14 digits for all 0 < α ≤ 1 and d ≥ 1.

    It is a lower bound: a code whose distortion is at most α for every input spends at least as
    many bits on the direction of its worst vector. The mean over uniform directions is about the
    same. For d = 1 the sphere is two points, so P = ½. Raises ValueError for α or d out of their
    ranges.
    """
    check_dimension(d)
    check_alpha(alpha)
    if d == 1:
        return 1.0
    a = (d - 1) / 2
    log_p = a * math.log(alpha) - math.log(2 * a) - _log_beta_half(a) + math.log1p(_excess(alpha, a))
    return max(1.0, -log_p / math.log(2))


def mean_cosine_excess(alpha: float, d: int) -> float:
    """1/c̄ − 1, where c̄ is the mean cosine to the centre over the cap.

    The relative precision is kept as α → 0. Raises ValueError for α or d out of their ranges.
    """
    check_dimension(d)
    check_alpha(alpha)
    return 0.0 if d == 1 else _excess(alpha, (d - 1) / 2)


def mean_cosine(alpha: float, d: int) -> float:
    """c̄, the mean over the cap of the cosine to its centre. It lies between √(1−α) and 1."""
    return 1 / (1 + mean_cosine_excess(alpha, d))


def uncertainty_bits(alpha: float, d: int) -> float:
    """(d/2)·log2(1/α), a lower bound for operators with E‖C(x) − x‖² ≤ α‖x‖² for all x."""
    check_dimension(d)
    return d * contractive_rate(alpha)


def optimum_bits(alpha: float, d: int) -> tuple[float, float]:
    """−log2 P + log2 d and −log2 P + log2 d + log2 log2 d: where the bits of the best code lie.

    Between them, up to a constant that is not known, lie the bits of the worst direction in the
    best code with an error of at most α for every input: they count the caps that cover the sphere.
    So neither is a lower bound: at d = 3 and α = 0.1 the first is 6.87, but 6.29 bits suffice. For
    d = 1 (two points) and d = 2 (⌈π/arcsin √α⌉ arcs cover the circle) both are the exact number.
    """
    bits = cap_bits(alpha, d)
    if d == 1:
        return bits, bits
    if d == 2:
        arcs = math.pi / math.atan2(math.sqrt(alpha), math.sqrt(1 - alpha))
        exact = math.log2(math.ceil(arcs * (1 - 1e-14)))  # rounding may lift a whole number
        return exact, exact
    low = bits + math.log2(d)
    return low, low + math.log2(math.log2(d))


def _excess(alpha: float, a: float) -> float:
    """F − 1 for a > 0, by the one of three expansions that converges within some hundred terms."""
    if alpha <= 0.5:
        return _excess_by_series(alpha, a)
    if a * (1 - alpha) > _NEAR_RIM:
        return _by_continued_fraction(alpha, a) - 1
    return _by_complement(alpha, a) - 1


def _excess_by_series(alpha: float, a: float) -> float:
    """F − 1 = Σ_{n≥1} (½)_n/n! · a/(a+n) · α^n.

    All terms are positive, and each is below α times the one before it.
    """
    total, coefficient, n = 0.0, 1.0, 0
    while True:
        n += 1
        coefficient *= (n - 0.5) / n * alpha
        term = coefficient * (a / (a + n))
        total += term
        if term <= _PRECISION * total:
            return total


def _by_continued_fraction(alpha: float, a: float) -> float:
    """F where a·(1−α) is not small, by the even part of the continued fraction of I_α(a, b), b = ½.

    The coefficients follow DiDonato and Morris, "Algorithm 708", ACM TOMS 18 (1992). They are
    written with 1−α, so that nothing cancels as α → 1. Lentz's method evaluates the fraction. As a
    grows, it turns into the fraction of the incomplete gamma function at a·(1−α), so the number of
    terms has an upper bound that does not depend on a.
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
    """F for α near 1, from I_α(a, ½) = 1 − I_{1−α}(½, a), which is a series of positive terms."""
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
    """ln B(a, ½).

    For large a it uses Stirling's series of Γ(a+½)/Γ(a), since a difference of two lgamma would
    lose its digits.
    """
    if a < 20:
        log_ratio = math.lgamma(a + 0.5) - math.lgamma(a)
    else:
        z = 1 / (a * a)
        log_ratio = 0.5 * math.log(a) - (1 / 8 - z * (1 / 192 - z * (1 / 640 - z * (17 / 14336 - z * 31 / 18432)))) / a
    return 0.5 * math.log(math.pi) - log_ratio
