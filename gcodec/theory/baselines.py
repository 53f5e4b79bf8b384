"""Constants and bits of operators from the literature, for comparison tables.

Functions named `*_omega` give the constant of an unbiased operator, E‖C(x) − x‖² ≤ ω‖x‖², those named `*_alpha` that of a
contractive one, E‖C(x) − x‖² ≤ α‖x‖², both for the worst x unless said otherwise. Numbers that are sent as they are count
32 bits, norms 31 (positive float32).
"""

import math

from .domain import check_dimension
from .lloyd_max import lloyd_max
from .sparse_dithering import NORM_BITS, log2_binomial

NATURAL_OMEGA = 1 / 8  # natural compression: rounding to powers of two (Horváth et al., arXiv 1905.10988)
NATURAL_BITS = 9  # of one number: sign and exponent


def rand_k_omega(d: int, k: int) -> float:
    """d/k − 1: k coordinates at random, scaled by d/k."""
    _check_count(d, k)
    return d / k - 1


def top_k_alpha(d: int, k: int) -> float:
    """1 − k/d, surely: the k largest coordinates."""
    _check_count(d, k)
    return 1 - k / d


def sparse_bits(d: int, k: int) -> float:
    """32·k + log2 C(d, k): k numbers and which coordinates they are."""
    _check_count(d, k)
    return 32 * k + log2_binomial(d, k)


def ternary_omega(d: int) -> float:
    """√d − 1: sign(x_i)·‖x‖ with probability |x_i|/‖x‖, else 0 (TernGrad's rounding, with the 2-norm)."""
    check_dimension(d)
    return math.sqrt(d) - 1


def terngrad_omega(d: int) -> float:
    """(√d − 1)/2: the same with the largest |x_i| in place of the norm, as TernGrad has it (arXiv 1705.07878).

    The variance is M·‖x‖₁ − ‖x‖², M the largest |x_i|. With M = 1 it is largest against ‖x‖² when all others are
    1/(1 + √d), where M·‖x‖₁/‖x‖² = (1 + √d)/2.
    """
    return ternary_omega(d) / 2


def ternary_bits(d: int) -> float:
    """31 + d·log2 3."""
    check_dimension(d)
    return NORM_BITS + d * math.log2(3)


def dithering_omega(d: int, levels: int) -> float:
    """min(d/s², √d/s): QSGD, random rounding of |x_i|/‖x‖ to multiples of 1/s (Alistarh et al., arXiv 1610.02132)."""
    check_dimension(d)
    return min(d / levels**2, math.sqrt(d) / levels)


def dithering_bits(d: int, levels: int) -> float:
    """33 + d·(1 + 2·log2(1 + s/√d)) + min(d, s·√d): mean bits of QSGD with Elias gamma codes, at most.

    A level k costs 2⌊log2(k+1)⌋ + 1 bits; the mean of the levels is s·‖x‖₁/(d·‖x‖) ≤ s/√d and log2 is concave. At most
    that many, and at most d, have a sign. Norm: 32 bits; one bit tells dense from sparse streams (few levels only).
    """
    check_dimension(d)
    root = math.sqrt(d)
    return 33 + d * (1 + 2 * math.log2(1 + levels / root)) + min(d, levels * root)


def natural_bits(d: int) -> float:
    """9·d."""
    check_dimension(d)
    return NATURAL_BITS * d


def natural_dithering_omega(d: int, levels: int) -> float:
    """1/8 + min(√d·2^(1−s), d·2^(2−2s)): random rounding of |x_i|/‖x‖ to 0, 2^(1−s), …, ½, 1 (arXiv 1905.10988)."""
    check_dimension(d)
    smallest = 2.0 ** (1 - levels)
    return NATURAL_OMEGA + min(math.sqrt(d) * smallest, d * smallest**2)


def natural_dithering_bits(d: int, levels: int) -> float:
    """31 + d·log2(2s + 1)."""
    check_dimension(d)
    return NORM_BITS + d * math.log2(2 * levels + 1)


def sign_alpha(d: int) -> float:
    """1 − 1/d: the scaled sign ‖x‖₁/d·sign(x) on its worst x; of a given x it is 1 − ‖x‖₁²/(d·‖x‖²)."""
    check_dimension(d)
    return 1 - 1 / d


def sign_bits(d: int) -> float:
    """31 + d."""
    check_dimension(d)
    return NORM_BITS + d


def rotation_alpha(bits: int) -> float:
    """Error of DRIVE and EDEN with their best scale, for large d: that of Lloyd–Max on a normal number, 1 − 2/π for 1 bit.

    A random rotation makes the coordinates of any x nearly normal (arXiv 2105.08339, 2108.08842).
    """
    return lloyd_max(bits)[1]


def rotation_omega(bits: int) -> float:
    """D/(1 − D), D = `rotation_alpha`: the same with the scale that makes it unbiased; π/2 − 1 for 1 bit."""
    error = rotation_alpha(bits)
    return error / (1 - error)


def turboquant_alpha(bits: int) -> float:
    """(√3·π/2)·4^(−b): TurboQuant's bound for rotation and Lloyd–Max with b bits (arXiv 2504.19874)."""
    return math.sqrt(3) * math.pi / 2 * 4.0**-bits


def rotation_bits(d: int, bits: int) -> float:
    """32 + b·d; the rotation comes from a shared seed."""
    check_dimension(d)
    return 32 + bits * d


def _check_count(d: int, k: int) -> None:
    check_dimension(d)
    if not 1 <= k <= d:
        raise ValueError(f"k must be from 1 to {d}, not {k}")
