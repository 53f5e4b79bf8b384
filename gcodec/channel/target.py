"""What coded vectors have to meet: a bound for each tensor, or one for the whole message."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .. import dtypes
from ..compressors.contract import TensorSpec
from ..distortion import Scan, part_error, scan_source, whole_error
from ..errors import InvalidInput
from ..source import ArraySource

_LARGEST = 1e300
_ADVICE = "mend them, or leave this message out and go on with the next one: this end is as before"


@dataclass(frozen=True)
class Target:
    """The bound of a vector, and what gives the error of decoded values that must be within it."""

    bound: float
    measure: Callable[[np.ndarray], float]


def scan_of(name: str, values: np.ndarray) -> Scan | None:
    """The norm of what is to be sent; None for integers. Raises NonFinite, which names it."""
    return scan_source(name, ArraySource(values), "refuse", _ADVICE) if dtypes.is_float(values.dtype) else None


def measure_of(kind: str, values: np.ndarray, dtype: np.dtype, scan: Scan | None) -> Callable[[np.ndarray], float]:
    """What gives the error of decoded values, which are rounded to a dtype before.

    The error is ‖x̂ − x‖²/‖x‖², and for a pointwise bound the largest |x̂ᵢ − xᵢ|/|xᵢ|.
    """
    flat = values.reshape(-1)

    def measure(back: np.ndarray) -> float:
        if scan is None or scan.norm2 == 0:
            return 0.0
        rounded = dtypes.widen(dtypes.narrow(back.reshape(-1), dtype))
        return whole_error(kind, [part_error(kind, flat, rounded, scan)], scan)

    return measure


def shares(alpha: float, specs: Sequence[TensorSpec], scans: Sequence[Scan | None]) -> list[float]:
    """Bounds so that all squared errors together are at most alpha times all squared norms.

    The fewest bits leave the same error in each value, unless a tensor has not that much (reverse
    water-filling; Cover and Thomas, Elements of Information Theory, theorem 10.3.3). Such a tensor
    gets the bound 1, and has no part in the message.

    Raises InvalidInput for norms beyond what float64 holds.
    """
    norms = _norms(scans)
    if not max(norms, default=0.0) < _LARGEST:
        raise InvalidInput("the squared norms are beyond 1e300; one bound for the whole message has no room for them")
    left, level = alpha * (1 - 2.0**-40) * math.fsum(norms), 0.0
    full = sorted((i for i, norm in enumerate(norms) if norm), key=lambda i: norms[i] / specs[i].size)
    for place, i in enumerate(full):
        level = left / sum(specs[j].size for j in full[place:])
        if level * specs[i].size < norms[i]:
            break
        left -= norms[i]
    return [min(level * spec.size / norm, 1.0) if norm else alpha for spec, norm in zip(specs, norms, strict=True)]


def share_left_out(errors: Sequence[float], scans: Sequence[Scan | None]) -> float:
    """Σ error·norm / Σ norm: the share of the energy that vectors with these errors lack."""
    norms = _norms(scans)
    total = math.fsum(norms)
    if not 0 < total < _LARGEST:
        return max(errors, default=0.0)
    return math.fsum(error * norm for error, norm in zip(errors, norms, strict=True)) / total


def _norms(scans: Sequence[Scan | None]) -> list[float]:
    return [scan.norm2 * scan.scale * scan.scale if scan else 0.0 for scan in scans]
