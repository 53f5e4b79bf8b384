"""Norms and errors of tensors, by which bounds are measured."""

import math
from dataclasses import dataclass

import numpy as np

from . import dtypes
from .compressors.contract import CHUNK
from .errors import NonFinite
from .kernels import norms
from .source import Source, spans


@dataclass(frozen=True)
class Scan:
    """The squared norm of a tensor: ‖x‖² = scale²·norm2, in float64.

    scale: a power of two. It is 1 unless squares would over- or underflow.
    """

    norm2: float
    scale: float


def scan_source(name: str, source: Source, nonfinite: str) -> Scan | None:
    """The squared norm of a tensor, found in one pass.

    It is None when there are NaN or infinities and `nonfinite` is "lossless". When `nonfinite` is
    "refuse", NonFinite is raised with their number and the place of the first one.
    """
    count, first, largest, squares = 0, -1, 0.0, []
    for start, stop in spans(source.size, CHUNK):
        bad, at, top, square = norms.scan(dtypes.widen(source.read(start, stop)))
        first = start + at if bad and not count else first
        count, largest = count + bad, max(largest, top)
        squares.append(square)
    if count and nonfinite == "refuse":
        index = tuple(map(int, np.unravel_index(first, source.shape)))
        raise NonFinite(
            f"{name or 'the array'}: {count} of {source.size} values are NaN or infinite, the first at index {index}; "
            "no bound can hold for them. Mend them, or store such tensors exactly with --nonfinite lossless"
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
        return float(np.dot(wide, wide))


def squared_error(values: np.ndarray, decoded: np.ndarray, scale: float) -> float:
    """‖(decoded − values) / scale‖² in float64. It is infinite or NaN when `decoded` is."""
    if scale == 1.0:
        return float(norms.squared_distance(dtypes.widen(decoded), dtypes.widen(values)))
    with np.errstate(over="ignore", invalid="ignore"):
        return squared_norm(decoded.astype(np.float64) - values.astype(np.float64), scale)
