"""The intervals into which magnitudes are cut: each has a level, and a number that stands for it.

See spec/compressors/09-geometric.md §2.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import ml_dtypes
import numpy as np

from ...coding.bitstring import BitReader, BitWriter
from ...kernels import geometric as kernels

_NUMERATOR_BITS, _EXPONENT_BITS, _DOUBLING_BITS = 8, 6, 6
_PLACES = 4  # places by which runs are found, for each run
_LEAST, _LEAST_EXPONENT, _LARGEST_EXPONENT, _MOST_DOUBLINGS = 256, 9, 62, 52


def bits_of(values: np.ndarray) -> np.ndarray:
    """The bits of floats as unsigned integers, without a copy."""
    return values.view(f"u{values.itemsize}")


def magnitudes(values: np.ndarray) -> np.ndarray:
    """The patterns of floats, int64: their bits without the sign."""
    bits = bits_of(values)
    mask = bits.dtype.type((1 << (8 * bits.itemsize - 1)) - 1)
    patterns: np.ndarray = (bits & mask).astype(np.int64)
    return patterns


def signs(values: np.ndarray) -> np.ndarray:
    """Whether each float has a sign, zeros included."""
    bits = bits_of(values)
    negative: np.ndarray = bits >> bits.dtype.type(8 * bits.itemsize - 1) != 0
    return negative


def floats(patterns: np.ndarray, negative: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The floats of a dtype with these patterns, int64, and signs, bool."""
    bits = patterns.astype(f"u{dtype.itemsize}")
    bits |= negative.astype(bits.dtype) << bits.dtype.type(8 * dtype.itemsize - 1)
    return bits.view(dtype)


@dataclass(frozen=True)
class Intervals:
    """The intervals of the patterns first…last of a dtype.

    numerator, exponent: numerator / 2^exponent is the largest relative error. doublings: a run has
    up to 2^doublings intervals.
    """

    dtype: np.dtype
    numerator: int
    exponent: int
    doublings: int
    first: int
    last: int

    @classmethod
    def of(cls, dtype: np.dtype, bound: float, first: int, last: int, most_runs: int) -> "Intervals | None":
        """Intervals with the largest error that a head can hold and that is within the bound.

        None if the bound asks for more levels than there can be. most_runs: about how many are
        wanted at most.
        """
        fraction, exponent = math.frexp(bound)
        numerator = int(math.ldexp(fraction, _NUMERATOR_BITS + 1))
        exponent = _NUMERATOR_BITS + 1 - exponent
        if exponent > _LARGEST_EXPONENT:
            return None
        for doublings in range(_MOST_DOUBLINGS + 1):
            found = cls(dtype, numerator, exponent, doublings, first, last)
            if found.about() <= most_runs << doublings and found.is_valid:
                return found
        return None

    def about(self) -> float:
        """About how many intervals there are, if none holds a single pattern."""
        error = math.ldexp(self.numerator, -self.exponent)
        octaves = (self.last - self.first) / (1 << self.mantissa) + 1
        most = float(self.last - self.first + 1)
        return min(octaves * math.log(2) / (math.log1p(error) - math.log1p(-error)), most)

    @property
    def mantissa(self) -> int:
        return int(ml_dtypes.finfo(self.dtype).nmant)

    @property
    def is_valid(self) -> bool:
        """Whether there are no more runs and levels than the format allows."""
        return self._table[0].size > 0

    @property
    def count(self) -> int:
        """The number of levels."""
        return self._table[1]

    @cached_property
    def _table(self) -> tuple[np.ndarray, int]:
        """(runs, number of levels); no runs if there are too many."""
        runs = np.empty((4, kernels.MAX_RUNS), np.int64)
        args = self.first, self.last, self.mantissa, self.numerator, self.exponent, self.doublings
        count, levels = kernels.fill_runs(*map(np.int64, args), runs)
        return np.ascontiguousarray(runs[:, : max(count, 0)]), int(levels)

    @cached_property
    def _by_pattern(self) -> tuple[np.ndarray, np.int64]:
        return _places(self._table[0][0], self.last)

    @cached_property
    def _by_level(self) -> tuple[np.ndarray, np.int64]:
        return _places(self._table[0][1], self.count - 1)

    def levels(self, patterns: np.ndarray) -> np.ndarray:
        """The level of each pattern, int64; -1 for zero."""
        levels = np.empty(patterns.size, np.int64)
        kernels.levels_of(patterns, self._table[0], *self._by_pattern, levels)
        return levels

    def patterns(self, levels: np.ndarray) -> np.ndarray | None:
        """What stands for each level, int64, 0 for -1. None if there is no such level."""
        patterns = np.empty(levels.size, np.int64)
        runs, count = self._table
        args = levels, np.int64(count), np.int64(self.last), runs, *self._by_level, patterns
        right = kernels.patterns_of(*args)
        return patterns if right else None

    def pack(self, writer: BitWriter) -> None:
        writer.put(self.numerator - _LEAST, _NUMERATOR_BITS)
        writer.put(self.exponent - _LEAST_EXPONENT, _EXPONENT_BITS)
        writer.put(self.doublings, _DOUBLING_BITS)
        for pattern in (self.first, self.last):
            for byte in pattern.to_bytes(self.dtype.itemsize, "big"):
                writer.put(byte, 8)

    @classmethod
    def unpack(cls, reader: BitReader, dtype: np.dtype) -> "Intervals":
        """The intervals that `pack` wrote; raises Corrupt."""
        numerator = reader.get(_NUMERATOR_BITS) + _LEAST
        exponent = reader.get(_EXPONENT_BITS) + _LEAST_EXPONENT
        doublings = reader.get(_DOUBLING_BITS)
        first, last = (int.from_bytes(bytes(reader.get(8) for _ in range(dtype.itemsize)), "big") for _ in range(2))
        if exponent > _LARGEST_EXPONENT or doublings > _MOST_DOUBLINGS or not 0 < first <= last <= largest(dtype):
            raise reader.corrupt("the intervals are out of their range")
        found = cls(dtype, numerator, exponent, doublings, first, last)
        if not found.is_valid:
            raise reader.corrupt("there are too many intervals")
        return found


def _places(starts: np.ndarray, last: int) -> tuple[np.ndarray, np.int64]:
    """(places, shift): where the runs of keys up to `last` are; see `kernels.fill_places`."""
    reach = last - int(starts[0])
    shift = max(reach.bit_length() - (_PLACES * starts.size).bit_length(), 0)
    places = np.empty((reach >> shift) + 2, np.int32)
    kernels.fill_places(starts, np.int64(shift), places)
    return places, np.int64(shift)


def largest(dtype: np.dtype) -> int:
    """The pattern of the largest finite number of a dtype."""
    return int(magnitudes(np.array([ml_dtypes.finfo(dtype).max], dtype))[0])
