"""What theory says of the bits of one record: a lower bound for vectors on the sphere, and the code's own worst case."""

from .container.layout import TensorHeader
from .describe import method_name
from .theory import sphere


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


def upper_bound(header: TensorHeader) -> float | None:
    """Bits that the method never exceeds at this guarantee, its coder's constants included; None where there is none."""
    method = method_name(header)
    if method == "lossless":
        return 8.0 * header.spec.size * header.spec.dtype.itemsize + 8 * (4 * header.spec.dtype.itemsize) * len(
            header.chunks
        )
    return None
