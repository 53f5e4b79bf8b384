"""Norms and errors of tensors, by which bounds are measured.

A promise is about real numbers, so what is measured in float64 is taken with its rounding errors:
`relative_error` is never below the true ratio, and `largest_error` is the true one, rounded up.
Sums have a fixed order, so each is the same number on all processors.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from . import dtypes, ieee
from .compressors.contract import CHUNK
from .errors import NonFinite
from .kernels import norms
from .parallel import spread
from .source import Source, spans

SLACK = 2.0**-40  # relative; more than all roundings of a ratio of two sums together
_SMALL = 2.0**-900  # squares that add up to less may have lost digits to underflow


@dataclass(frozen=True)
class Scan:
    """The squared norm of a tensor: ‖x‖² = scale²·norm2, in float64.

    scale: a power of two. It is 1 unless squares would over- or underflow.
    """

    norm2: float
    scale: float


_ADVICE = (
    "mend them; or keep them as values that are missing, with the bound on all others: "
    "fill=float('nan') in Python (or inf), --fill nan on the command line; or store such tensors exactly: "
    'nonfinite="lossless" in Python, --nonfinite lossless on the command line'
)


@ieee.arithmetic()
def scan_source(name: str, source: Source, nonfinite: str, advice: str = _ADVICE) -> Scan | None:
    """The squared norm of a tensor, found in one pass.

    It is None when there are NaN or infinities and `nonfinite` is "lossless". When `nonfinite` is
    "refuse", NonFinite is raised with their number, the place of the first one, and the advice.
    """
    count, first, largest, squares = 0, -1, 0.0, []
    pieces = spans(source.size, CHUNK)
    found = spread(lambda span: norms.scan(dtypes.for_kernels(source.read(*span))), pieces)
    for (start, _), (bad, at, top, square) in zip(pieces, found, strict=True):
        first = start + at if bad and not count else first
        count, largest = count + bad, max(largest, top)
        squares.append(square)
    if count and nonfinite == "refuse":
        index = tuple(map(int, np.unravel_index(first, source.shape)))
        raise NonFinite(
            f"{name or 'the array'}: {count} of {source.size} values are NaN or infinite, the first at index {index}; "
            f"no bound can hold for them; {advice}"
        )
    if count:
        return None
    if largest == 0 or 1e-140 < largest < 1e140:  # in this range no square over- or underflows
        return Scan(math.fsum(squares), 1.0)
    scale = math.ldexp(1.0, max(math.frexp(largest)[1] - 1, -1022))
    parts = (squared_norm(source.read(start, stop), scale) for start, stop in spans(source.size, CHUNK))
    return Scan(math.fsum(parts), scale)


def squared_norm(values: np.ndarray, scale: float) -> float:
    """‖values / scale‖² in float64. It is infinite when it overflows."""
    with np.errstate(over="ignore"):
        wide = values.astype(np.float64)
        if scale != 1.0:
            wide /= scale
        return float(norms.sum_squares(wide))


@ieee.arithmetic()
def squared_error(values: np.ndarray, decoded: np.ndarray, scale: float, found: float | None = None) -> float:
    """‖(decoded − values) / scale‖² in float64. It is infinite or NaN when `decoded` is.

    It may be too small by rounding errors of relative size 2⁻⁴³, but not by underflow. found: what
    `norms.compare` found of them, if it did and the scale is 1.
    """
    if found is not None:
        error2 = float(found)
    elif scale == 1.0:
        error2 = float(norms.squared_distance(dtypes.widen(decoded), dtypes.widen(values)))
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            error2 = squared_norm(decoded.astype(np.float64) - values.astype(np.float64), scale)
    if error2 < _SMALL and not np.array_equal(values, decoded):
        error2 += math.ldexp(values.size, -1074)
    return error2


def relative_error(errors: Iterable[float], scan: Scan) -> float:
    """Σ errors / norm2, rounded up: no less than ‖x̂ − x‖²/‖x‖² is in real arithmetic.

    errors: what `squared_error` gives for the parts of a tensor, in order. It is infinite when one
    of them is infinite or NaN, and 0 only when x̂ = x.
    """
    parts = list(errors)
    error2 = math.fsum(parts) if all(map(math.isfinite, parts)) else math.inf
    if error2 == 0:
        return 0.0
    return math.nextafter(error2 / scan.norm2 * (1 + SLACK), math.inf) if scan.norm2 else math.inf


def part_error(kind: str, values: np.ndarray, decoded: np.ndarray, scan: Scan, found: float | None = None) -> float:
    """What a part of a tensor with a guarantee of this kind adds to its distortion.

    found: as for `squared_error`.
    """
    if kind == "pointwise":
        return largest_error(values, decoded)
    return squared_error(values, decoded, scan.scale, found)


def whole_error(kind: str, parts: Sequence[float], scan: Scan) -> float:
    """The distortion, from what `part_error` gives for all parts of a tensor, in order."""
    return max(parts, default=0.0) if kind == "pointwise" else relative_error(parts, scan)


@ieee.arithmetic()
def largest_error(values: np.ndarray, decoded: np.ndarray) -> float:
    """max |x̂ᵢ − xᵢ|/|xᵢ| of finite values x, the least float64 that is not below it.

    So it is within a bound that is a float64 only if the real number is. It is infinite when a
    value is not finite, and when a zero or a sign is not kept. Floats find the values whose ratio
    may be the largest, with roundings of 2⁻⁵² of it, and of these it is computed exactly. From 1
    on, where every bound is broken, it is only not below the true one.
    """
    x, y = (dtypes.widen(each).astype(np.float64) for each in (values, decoded))
    if not np.isfinite(y).all() or ((x == 0) != (y == 0)).any() or (np.signbit(x) != np.signbit(y)).any():
        return math.inf
    x, y = np.abs(x[x != y]), np.abs(y[x != y])
    if x.size == 0:
        return 0.0
    with np.errstate(over="ignore"):
        ratios = np.abs(y - x) / x
    largest = ratios.max()
    if largest >= 1:
        return math.nextafter(float(largest) * (1 + 2.0**-50), math.inf)
    near = ratios >= largest * (1 - 2.0**-48)
    pairs = set(zip(x[near].tolist(), y[near].tolist(), strict=True))
    exact = max(abs(Fraction(b) - Fraction(a)) / Fraction(a) for a, b in pairs)
    rounded = float(exact)
    return rounded if Fraction(rounded) >= exact else math.nextafter(rounded, math.inf)


def exceeds(pairs: Iterable[tuple[np.ndarray, np.ndarray]], bound: float) -> bool:
    """Whether ‖x̂ − x‖² > bound·‖x‖² in exact arithmetic, for finite parts (x, x̂) of a tensor.

    It takes some microseconds for each value: for ratios that are too close to the bound for
    floats.
    """
    error2, norm2 = 0, 0
    for values, decoded in pairs:
        for x, y in zip(_integers(values), _integers(decoded), strict=True):
            error2 += (y - x) ** 2
            norm2 += x * x
    return error2 > Fraction(bound) * norm2


def _integers(values: np.ndarray) -> list[int]:
    """The values in units of 2⁻¹⁰⁷⁴."""
    mantissas, exponents = np.frexp(values.reshape(-1).astype(np.float64))
    wholes = np.ldexp(mantissas, 53).astype(np.int64)
    shifts = exponents.astype(np.int64) + (1074 - 53)
    return [m << s if s >= 0 else m >> -s for m, s in zip(wholes.tolist(), shifts.tolist(), strict=True)]
