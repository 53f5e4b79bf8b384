"""Spherical Compression: the mean error of its unbiased variant, and the bits of its index.

Encoder and decoder share a sequence of random directions. The encoder sends the index K of the
first direction within the cap of parameter α around the vector. K is geometric with success
probability P(α, d), so −log2 P (`sphere.cap_bits`) says all about it: the mean number of directions
to try is 2 to that power. Source: Albasyoni, Safaryan, Condat, Richtárik, arXiv 2010.03246; the
constants are after the paper.
"""

import math

from .domain import check_dimension, check_omega
from .sparse_dithering import NORM_BITS
from .sphere import cap_bits, mean_cosine_excess

_NOISE = 2.0**-40  # relative: a dozen times the rounding error of `unbiased_omega`
_LEAST = 2.0**-900  # the least ω for the secant method: far enough from numbers of fewer digits
_SECANTS = 20  # the most steps of the secant method; ten are enough
_CLOSE = 2.0**-43  # where the product of two relative offsets is less, the next secant leaves less than _NOISE


def unbiased_omega(alpha: float, d: int) -> float:
    """ω = 1/c̄² − 1 of the unbiased variant (‖x‖/c̄)·v_K with a cap of parameter α.

    c̄ is the mean cosine over the cap. Raises ValueError for α or d out of their ranges.
    """
    excess = mean_cosine_excess(alpha, d)
    return excess * (2 + excess)


def cap_for_omega(omega: float, d: int) -> float:
    """The largest cap parameter α ≤ 1 with unbiased_omega(α, d) ≤ ω.

    It is 1, half the sphere, when even that is within ω. Raises ValueError unless ω is positive and
    finite.
    """
    check_omega(omega)
    if unbiased_omega(1.0, d) <= omega:
        return 1.0
    a = (d - 1) / 2
    low, high = omega / (1 + omega) * (1 - 1e-12), min(1.0, omega * (a + 1) / a)  # 1 + α·a/(a+1) ≤ 1/c̄² ≤ 1/(1−α)
    inner, outer = _bracket(omega, d, low, high)
    while low < (middle := (low + high) / 2) < high:
        within = middle <= inner or middle < outer and unbiased_omega(middle, d) <= omega
        low, high = (middle, high) if within else (low, middle)
    return low


def _bracket(omega: float, d: int, low: float, high: float) -> tuple[float, float]:
    """A narrow range around the α of `cap_for_omega`: (its lower end, its upper end).

    Every α up to the lower end passes the test of `cap_for_omega`, and every α from the upper end
    on fails it. At both ends ω is missed by more than the rounding error of `unbiased_omega`. So a
    bisection that tests only what lies between them takes the same path with less work. Where the
    secant method does not find an end, that end is `low` or `high`.
    """

    def off(alpha: float) -> float:
        value = unbiased_omega(alpha, d)
        return (value - omega) / (1 + value)  # this is nearly linear, as 1/(1+ω) = c̄² is about 1 − α

    if omega < _LEAST:
        return low, high
    unit = omega / (1 + omega)
    last, past, alpha = low, off(low), high
    for _ in range(_SECANTS):
        here = off(alpha)
        slope = (here - past) / (alpha - last) if alpha != last else 0.0
        if not slope > 0:
            return low, high
        close = abs(here * past) < _CLOSE * unit * unit
        last, past, alpha = alpha, here, min(max(alpha - here / slope, low), high)
        if close:
            break
    width = max(2 * _NOISE * unit / slope, 2 * math.ulp(alpha))
    inner, outer = max(alpha - width, low), min(alpha + width, high)
    return (
        inner if unbiased_omega(inner, d) <= omega * (1 - _NOISE) else low,
        outer if unbiased_omega(outer, d) >= omega * (1 + _NOISE) else high,
    )


def geometric_entropy(bits: float) -> float:
    """The entropy in bits of a geometric number with success probability 2^−bits.

    It tends to bits + log2 e.
    """
    p = 2.0**-bits
    if p == 1:
        return 0.0
    # −(1−p)·ln(1−p)/p tends to 1 as p → 0.
    return bits + (-(1 - p) * math.log1p(-p) / p if p > 0 else 1.0) / math.log(2)


def golomb_parameter(bits: float) -> int:
    """The best Golomb parameter M for a geometric number from 0 on with success probability
    2^−bits.

    M is the smallest with q^M + q^(M+1) ≤ 1, q = 1 − 2^−bits (Gallager and van Voorhis, 1975).
    Raises ValueError unless bits is from 0 to 1000.
    """
    if not 0 <= bits <= 1000:
        raise ValueError(f"a Golomb parameter is given for 0 to 1000 bits, not {bits}")
    p = 2.0**-bits
    if p == 1:
        return 1
    return max(1, math.ceil(math.log1p(1 - p) / -math.log1p(-p)))


def golomb_mean_bits(bits: float) -> float:
    """The mean length in bits of the best Golomb code of a geometric number.

    The number's success probability is 2^−bits. The length is b + q^c/(1 − q^M) with b = ⌈log2 M⌉
    and c = 2^b − M. Beyond 40 bits, each further bit adds one bit to the length, to all digits.
    """
    whole = math.floor(bits)
    kept = min(whole, 40)
    rest = kept + (bits - whole)
    p = 2.0**-rest
    if p == 1:
        return 1.0
    parameter = golomb_parameter(rest)
    log_q = math.log1p(-p)
    remainder_bits = (parameter - 1).bit_length()
    short = (1 << remainder_bits) - parameter
    return whole - kept + remainder_bits + math.exp(short * log_q) / -math.expm1(parameter * log_q)


def expected_bits(alpha: float, d: int) -> float:
    """The mean bits of one block of d coordinates: 31 of its norm, and the code of its index."""
    check_dimension(d)
    return NORM_BITS + golomb_mean_bits(cap_bits(alpha, d))
