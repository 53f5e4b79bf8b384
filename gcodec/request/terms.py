"""What an alpha promise says beside its bound (spec/format.md §3.2).

The bound may leave out values that are *kept*: they come back bit for bit, and it speaks of the
others alone. It may hold for each slice along an axis by itself.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import ieee
from ..compressors.contract import TensorSpec
from ..errors import Corrupt
from ..kernels import norms
from ..source import Source

MOST_KEPT = 254  # words
_SLACK = 2.0**-28  # relative; more than all roundings of a ratio of two sums over a slice together
_SMALL = 2.0**-900  # a slice whose squares add up to less must come back as it is


@dataclass(frozen=True)
class Terms:
    """kept: the words, as unsigned integers, of values that are kept. axis: that of the slices."""

    kept: tuple[int, ...] = ()
    axis: int | None = None

    def __bool__(self) -> bool:
        return bool(self.kept) or self.axis is not None

    def attributes(self, dtype: np.dtype, distortion: float) -> dict[str, Any]:
        """What a record says of the terms. distortion: the largest one of a slice."""
        said: dict[str, Any] = {}
        if self.kept:
            said["kept"] = [f"{word:0{2 * dtype.itemsize}x}" for word in self.kept]
        if self.axis is not None:
            said["slices"] = {"axis": self.axis, "distortion": distortion}
        return said

    @classmethod
    def of(cls, attributes: Mapping[str, Any], spec: TensorSpec) -> tuple["Terms", float]:
        """(the terms of a record, the largest distortion of a slice that it states).

        Raises Corrupt if they are not what spec/format.md says.
        """
        kept, slices = attributes.get("kept", []), attributes.get("slices", {"axis": None, "distortion": 0.0})
        digits = 2 * spec.dtype.itemsize
        right: bool = isinstance(kept, list) and len(kept) <= MOST_KEPT and isinstance(slices, dict)
        right = right and all(isinstance(word, str) and len(word) == digits for word in kept)
        right = right and all(set(word) <= set("0123456789abcdef") for word in kept)
        axis, distortion = (slices.get("axis"), slices.get("distortion")) if right else (None, None)
        if "slices" in attributes:
            right = right and type(axis) is int and 0 <= axis < len(spec.shape)
        if not right or not (isinstance(distortion, float | int) and 0 <= distortion < math.inf):
            raise Corrupt("the attributes kept or slices of a record are not what they must be")
        return cls(tuple(int(word, 16) for word in kept), axis), float(distortion)

    def mask(self, values: np.ndarray) -> np.ndarray:
        """Which values are kept."""
        words = np.ascontiguousarray(values).view(f"u{values.itemsize}")
        found = np.zeros(values.size, bool)
        for word in self.kept:
            found |= words == words.dtype.type(word)
        return found

    def others(self, values: np.ndarray) -> np.ndarray:
        """The values with zeros in place of those that are kept."""
        if not self.kept:
            return values
        out = values.copy()
        out[self.mask(values)] = 0
        return out

    def compared(self, values: np.ndarray, decoded: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Both with zeros in place of kept values; None if one of these has not come back."""
        if not self.kept:
            return values, decoded
        mask = self.mask(values)
        if values[mask].tobytes() != decoded[mask].tobytes():
            return None
        values, decoded = values.copy(), decoded.copy()
        values[mask] = decoded[mask] = 0
        return values, decoded


@dataclass(frozen=True)
class Others:
    """A tensor with zeros in place of the values that are kept."""

    source: Source
    terms: Terms

    @property
    def dtype(self) -> np.dtype:
        return self.source.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self.source.shape

    @property
    def size(self) -> int:
        return self.source.size

    def read(self, start: int, stop: int) -> np.ndarray:
        return self.terms.others(self.source.read(start, stop))


class Slices:
    """The errors of a tensor's slices along an axis, chunk by chunk."""

    def __init__(self, shape: tuple[int, ...], axis: int) -> None:
        self._inner, self._count = math.prod(shape[axis + 1 :]), shape[axis]
        self._sums = np.zeros((3, self._count))

    @ieee.arithmetic()
    def sums(self, values: np.ndarray, decoded: np.ndarray, start: int) -> np.ndarray:
        """By slice: ‖x̂ − x‖², ‖x‖², and whether any value differs, of a part that begins there."""
        found = np.zeros((3, self._count))
        wide = (np.ascontiguousarray(part.astype(np.float64)) for part in (values, decoded))
        norms.add_slices(*wide, start, self._inner, found)
        return found

    def add(self, sums: np.ndarray) -> None:
        self._sums += sums

    def largest(self) -> float:
        """The largest distortion of a slice, rounded up; infinite if a tiny slice has any error."""
        errors, norms2, differs = self._sums
        with np.errstate(all="ignore"):
            ratios = np.where(norms2 > _SMALL, errors / norms2 * (1 + _SLACK), np.where(differs > 0, math.inf, 0.0))
        largest = float(ratios.max(initial=0.0))
        return math.inf if math.isnan(largest) else largest
