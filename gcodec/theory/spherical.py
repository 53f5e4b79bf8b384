"""Spherical Compression: the mean error of its unbiased variant and the bits of its index.

Encoder and decoder share a sequence of random directions; the index K of the first one within the cap of parameter α
around the vector is sent. K is geometric with success P(α, d), so −log2 P (`sphere.cap_bits`) says all about it: the mean
number of directions to try is 2 to that power.
Source: Albasyoni, Safaryan, Condat, Richtárik, arXiv 2010.03246; the constants are after the paper.
"""

import math

from .domain import check_dimension, check_omega
from .sparse_dithering import NORM_BITS
from .sphere import cap_bits, mean_cosine_excess


def unbiased_omega(alpha: float, d: int) -> float:
    """ω = 1/c̄² − 1 of the unbiased variant (‖x‖/c̄)·v_K with a cap of parameter α, c̄ the mean cosine over the cap."""
    excess = mean_cosine_excess(alpha, d)
    return excess * (2 + excess)


def cap_for_omega(omega: float, d: int) -> float:
    """The largest cap parameter α ≤ 1 with unbiased_omega(α, d) ≤ ω; 1 (half the sphere) when even that is within ω."""
    check_omega(omega)
    if unbiased_omega(1.0, d) <= omega:
        return 1.0
    a = (d - 1) / 2
    low, high = omega / (1 + omega) * (1 - 1e-12), min(1.0, omega * (a + 1) / a)  # 1 + α·a/(a+1) ≤ 1/c̄² ≤ 1/(1−α)
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if unbiased_omega(middle, d) <= omega else (low, middle)
    return low


def geometric_entropy(bits: float) -> float:
    """Entropy in bits of a geometric number with success probability 2^−bits: bits + log2 e for large ones."""
    p = 2.0**-bits
    if p == 1:
        return 0.0
    # −(1−p)·ln(1−p)/p tends to 1
    return bits + (-(1 - p) * math.log1p(-p) / p if p > 0 else 1.0) / math.log(2)


def golomb_parameter(bits: float) -> int:
    """The best Golomb parameter M for a geometric number from 0 on with success probability 2^−bits, bits ≤ 1000.

    The smallest M with q^M + q^(M+1) ≤ 1, q = 1 − 2^−bits (Gallager and van Voorhis, 1975).
    """
    if not 0 <= bits <= 1000:
        raise ValueError(f"a Golomb parameter is given for 0 to 1000 bits, not {bits}")
    p = 2.0**-bits
    if p == 1:
        return 1
    return max(1, math.ceil(math.log1p(1 - p) / -math.log1p(-p)))


def golomb_mean_bits(bits: float) -> float:
    """Mean length of the best Golomb code of a geometric number with success probability 2^−bits.

    b + q^c/(1 − q^M) with b = ⌈log2 M⌉ and c = 2^b − M. Past 2^40 a factor of two in P costs one bit to all digits.
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
    """31 bits of norm and the mean Golomb code of the index, for one block of d coordinates."""
    check_dimension(d)
    return NORM_BITS + golomb_mean_bits(cap_bits(alpha, d))
