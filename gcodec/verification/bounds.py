"""What theory says about the bits of one record.

There are lower bounds, for vectors on the sphere and for Gaussian values, and the upper bound of
the record's own code.
"""

from collections.abc import Iterator

from ..compressors.common.noise import apart
from ..compressors.contract import Check, UpperBound
from ..container.layout import TensorHeader
from ..theory import shannon, sphere


def lower_bound(header: TensorHeader) -> float | None:
    """The bits that a code with this guarantee needs: for some direction, or for omega as its mean.

    None for exact and pointwise, where no direction is the worst. A tensor that is not like a
    random direction may need fewer bits; the check "lower bound" then says that the data is
    compressible.
    """
    d, guarantee = header.spec.size, header.guarantee
    if d == 0 or guarantee.kind in ("exact", "pointwise"):
        return None
    if guarantee.kind == "alpha":
        return sphere.cap_bits(guarantee.bound, d)
    return sphere.uncertainty_bits(guarantee.bound / (1 + guarantee.bound), d)


def bound_checks(header: TensorHeader, lower: float | None, upper: UpperBound | None) -> Iterator[Check]:
    """The record's bits beside the bounds. Only a certain upper bound can fail."""
    bits, d = 8 * header.body_length, max(header.spec.size, 1)
    if upper is not None:
        yield _upper_check(bits, d, upper)
    if lower is not None:
        detail = f"{apart(bits - lower, d)} the sphere's lower bound, {lower:,.0f} bits"
        if bits < lower:
            detail += ": below the sphere bound, the data is compressible"
        yield Check("lower bound", True, detail)
    if header.guarantee.kind == "alpha" and header.spec.size:
        rate = shannon.contractive_rate(header.guarantee.bound)
        detail = f"{apart(bits - d * rate, d)} the {rate:.4f} that independent Gaussian values need"
        yield Check("Shannon's bound", True, detail)


def _upper_check(bits: int, d: int, upper: UpperBound) -> Check:
    detail = f"{bits:,} bits; {upper.words}: {upper.bits - upper.overhead:,.1f}"
    if upper.overhead:
        detail += f", and {upper.overhead:.1f} of the coder's own: {upper.bits:,.1f}"
    detail += f"; {apart(bits - upper.bits, d)}"
    return Check("upper bound", bits <= upper.bits or not upper.certain, detail)
