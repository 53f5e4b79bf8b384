"""What theory says of the bits of one record: a lower bound for vectors on the sphere, and the code's own worst case."""

from dataclasses import dataclass

from ..container.describe import method_name
from ..container.layout import TensorHeader
from ..theory import sparse_dithering, sphere


@dataclass(frozen=True)
class Limit:
    """A number of bits, and what it is in words."""

    bits: float
    words: str
    sure: bool = True  # else it holds in expectation, and one file may exceed it


def lower_bound(header: TensorHeader) -> float | None:
    """Bits that a code with this guarantee needs for some direction (alpha), or in expectation (omega); None for exact.

    A tensor that is not like a random direction may need less: see the note in verify.
    """
    d, guarantee = header.spec.size, header.guarantee
    if d == 0 or guarantee.kind == "exact":
        return None
    if guarantee.kind == "alpha":
        return sphere.cap_bits(guarantee.bound, d)
    return sphere.uncertainty_bits(guarantee.bound / (1 + guarantee.bound), d)


def upper_bound(header: TensorHeader) -> Limit | None:
    """Bits that the method does not exceed (rsd, sc: in expectation) at this guarantee, its coder's constants included; None where there is none."""
    d, bound = header.spec.size, header.guarantee.bound
    match method_name(header):
        case "lossless":
            width = header.spec.dtype.itemsize
            return Limit(8.0 * width * (d + 4 * len(header.chunks)), "the raw bytes and their planes' lengths")
        case "sd":
            return Limit(sparse_dithering.exact_bits(bound, d) + _sd_overhead(header), "the worst case of all vectors")
        case "rsd":
            expected = sparse_dithering.published_expected_bits(bound, d) + 1 + _sd_overhead(header)
            return Limit(expected, "the paper's bound of the expectation", sure=False)
        case "sc":
            return _one_block(header)
    return None


def _sd_overhead(header: TensorHeader) -> float:
    """The coder's stated constant (imported here: it lives beside the code that it speaks of, and that needs numba)."""
    from ..compressors.sparse_dithering.compressor import overhead_bits

    return overhead_bits(header.spec.size, header.chunk, header.head_length)


def _one_block(header: TensorHeader) -> Limit | None:
    """The paper's 31 bits of norm and −log2 P + 3 of index, for one block; tensors in blocks have no bound of their own."""
    from ..compressors.spherical import one_block as single

    if header.head_length > single.MAX_HEAD:
        return None
    cap = single.Cap.of(header.guarantee, header.spec.size)
    expected = sphere.cap_bits(cap.alpha, header.spec.size) + 3 + sparse_dithering.NORM_BITS
    overhead = single.overhead_bits(cap, header.spec.dtype, header.head_length)
    return Limit(expected + overhead, "the paper's bound of the expectation, −log2 P + 3 and a norm", sure=False)
