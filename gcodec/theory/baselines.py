"""Constants and bits of operators from the literature, for comparison tables.

A function named `*_omega` gives the constant of an unbiased operator, E‖C(x) − x‖² ≤ ω‖x‖². A
function named `*_alpha` gives that of a contractive operator, E‖C(x) − x‖² ≤ α‖x‖². Both are for
the worst x unless the function says otherwise. A function named `*_bits` gives the bits of one
message. A number that is sent as it is counts 32 bits, a norm 31 (a positive float32).

All functions raise ValueError for a dimension d, or a count k, out of its range.
"""

import math

from .domain import check_dimension, check_whole
from .lloyd_max import lloyd_max
from .sparse_dithering import NORM_BITS, log2_binomial

NATURAL_OMEGA = 1 / 8  # natural compression: rounding to powers of two (Horváth et al., arXiv 1905.10988)
NATURAL_BITS = 9  # the bits of one number: its sign and its exponent
MOST_LEVELS = 2**63 - 1
ROTATED_FROM = 32  # the fewest coordinates that are nearly normal after a random rotation
MOST_VALUE_BITS = 64  # the most bits of one number
LOCO_CHUNK = 4096  # SparseLoCo takes the largest of so many coordinates
LOCO_VALUE_BITS = 2


def rand_k_omega(d: int, k: int) -> float:
    """d/k − 1. The operator sends k coordinates, chosen at random, times d/k."""
    _check_count(d, k)
    return d / k - 1


def top_k_alpha(d: int, k: int) -> float:
    """1 − k/d, for every input. The operator sends the k largest coordinates."""
    _check_count(d, k)
    return 1 - k / d


def sparse_bits(d: int, k: int) -> float:
    """32·k + log2 C(d, k). The message has k numbers and says which coordinates they are."""
    _check_count(d, k)
    return 32 * k + log2_binomial(d, k)


def ternary_omega(d: int) -> float:
    """√d − 1, of TernGrad's rounding with the 2-norm.

    A coordinate becomes sign(x_i)·‖x‖ with probability |x_i|/‖x‖, else 0.
    """
    check_dimension(d)
    return math.sqrt(d) - 1


def terngrad_omega(d: int) -> float:
    """(√d − 1)/2, of TernGrad: the same rounding with the largest |x_i| in place of the norm.

    Source: arXiv 1705.07878. The variance is M·‖x‖₁ − ‖x‖², where M is the largest |x_i|. With M =
    1, its ratio to ‖x‖² is largest when all other |x_i| are 1/(1 + √d). Then M·‖x‖₁/‖x‖² = (1 +
    √d)/2.
    """
    return ternary_omega(d) / 2


def ternary_bits(d: int) -> float:
    """31 + d·log2 3. The message has the norm and one of three values for each coordinate."""
    check_dimension(d)
    return NORM_BITS + d * math.log2(3)


def dithering_omega(d: int, levels: int) -> float:
    """min(d/s², √d/s), of QSGD with s = `levels` (Alistarh et al., arXiv 1610.02132).

    The operator rounds |x_i|/‖x‖ at random to a multiple of 1/s.
    """
    check_dimension(d)
    _check_levels(levels)
    return min(d / levels**2, math.sqrt(d) / levels)


def dithering_bits(d: int, levels: int) -> float:
    """33 + d·(1 + 2·log2(1 + s/√d)) + min(d, s·√d): an upper bound of QSGD's mean bits, s =
    `levels`.

    Levels are sent in Elias gamma codes, so a level k costs 2⌊log2(k+1)⌋ + 1 bits. The mean of the
    levels is s·‖x‖₁/(d·‖x‖) ≤ s/√d, and log2 is concave. At most min(d, s·√d) levels have a sign.
    The norm takes 32 bits, and one bit tells a dense stream from a sparse one, which is for few
    levels.
    """
    check_dimension(d)
    _check_levels(levels)
    root = math.sqrt(d)
    return 33 + d * (1 + 2 * math.log2(1 + levels / root)) + min(d, levels * root)


def natural_bits(d: int) -> float:
    """9·d. The message has a sign and an exponent of 8 bits for each coordinate."""
    check_dimension(d)
    return NATURAL_BITS * d


def natural_dithering_omega(d: int, levels: int) -> float:
    """1/8 + min(√d·2^(1−s), d·2^(2−2s)), of natural dithering with s = `levels` (arXiv 1905.10988).

    The operator rounds |x_i|/‖x‖ at random to 0, 2^(1−s), …, ½ or 1.
    """
    check_dimension(d)
    _check_levels(levels)
    smallest = 2.0 ** (1 - levels)
    return NATURAL_OMEGA + min(math.sqrt(d) * smallest, d * smallest**2)


def natural_dithering_bits(d: int, levels: int) -> float:
    """31 + d·log2(2s + 1), s = `levels`: the bits of the norm and of d signed levels."""
    check_dimension(d)
    _check_levels(levels)
    return NORM_BITS + d * math.log2(2 * levels + 1)


def sign_alpha(d: int) -> float:
    """1 − 1/d, of the scaled sign ‖x‖₁/d·sign(x). For a given x it is 1 − ‖x‖₁²/(d·‖x‖²)."""
    check_dimension(d)
    return 1 - 1 / d


def sign_bits(d: int) -> float:
    """31 + d. The message has the norm and the signs."""
    check_dimension(d)
    return NORM_BITS + d


def rotation_alpha(bits: int) -> float:
    """The mean error of DRIVE and EDEN with their best scale, for large d; 1 − 2/π for 1 bit.

    A random rotation makes the coordinates of any x nearly normal (arXiv 2105.08339, 2108.08842),
    so the error is that of the Lloyd–Max quantiser of a normal number.
    """
    return lloyd_max(bits)[1]


def rotation_omega(bits: int) -> float:
    """D/(1 − D) with D = `rotation_alpha`; π/2 − 1 for 1 bit.

    The operators are the same, with the scale that makes them unbiased.
    """
    error = rotation_alpha(bits)
    return error / (1 - error)


def turboquant_alpha(bits: int) -> float:
    """(√3·π/2)·4^(−b), b = `bits`: TurboQuant's upper bound for rotation and Lloyd–Max.

    Source: arXiv 2504.19874.
    """
    _check_bits(bits)
    return math.sqrt(3) * math.pi / 2 * 4.0**-bits


def rotation_bits(d: int, bits: int) -> float:
    """32 + b·d, b = `bits`. The rotation comes from a shared seed and costs nothing."""
    check_dimension(d)
    _check_bits(bits)
    return 32 + bits * d


def sparse_loco_count(d: int, fraction: float = 0.03) -> int:
    """How many coordinates SparseLoCo keeps: round(fraction·n), at least 1, of each chunk.

    A chunk has n = 4096 coordinates, the last one what is left.
    """
    check_dimension(d)
    if not 0 < fraction <= 1:
        raise ValueError(f"the fraction must be above 0 and at most 1, not {fraction}")
    whole, rest = divmod(d, LOCO_CHUNK)
    kept = whole * max(1, round(fraction * LOCO_CHUNK))
    return kept + (max(1, round(fraction * rest)) if rest else 0)


def sparse_loco_alpha(d: int) -> float:
    """1 − 1/n, n = min(d, 4096), for every input: Top-k within chunks, two magnitudes in each.

    The kept magnitudes are in two cells, and each cell is at its mean.

    A chunk's cell means keep at least (Σ|x|)²/k ≥ Σx²/k of the k kept coordinates, which hold k/n
    of the chunk's energy or more. The operator was made for error feedback (SparseLoCo, arXiv
    2508.15706); real gradients are far from this worst vector.
    """
    check_dimension(d)
    return 1 - 1 / min(d, LOCO_CHUNK)


def sparse_loco_bits(d: int, k: int) -> float:
    """(12 + 2)·k + 64·⌈d/4096⌉: an index and two bits for each of k values, two float32 a chunk."""
    _check_count(d, k)
    index = (min(d, LOCO_CHUNK) - 1).bit_length()
    return (index + LOCO_VALUE_BITS) * k + 64 * -(-d // LOCO_CHUNK)


def _check_count(d: int, k: int) -> None:
    check_dimension(d)
    check_whole(k, "k", 1, d)


def _check_levels(levels: int) -> None:
    check_whole(levels, "the number of levels", 1, MOST_LEVELS)


def _check_bits(bits: int) -> None:
    check_whole(bits, "the bits of a value", 1, MOST_VALUE_BITS)
