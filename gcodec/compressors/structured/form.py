"""What is taken off a tensor before another method codes it, and is put back afterwards.

See spec/compressors/10-structured.md. A value is *kept* if its word is one of a list: it comes back
bit for bit, and the other method does not see it. From every other value x the *rest* follows:
(x − mean)/scale, where the scale is that of its slice along an axis.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from ... import dtypes
from ...coding.bitstring import BitReader
from ...source import Source
from ..lossless.planes import Parts, decode_plane, encode_plane

MAX_KEPT = 254
_KEPT, _RANGE, _MEAN, _SCALES, _MEANS = 1, 2, 4, 8, 16  # the flags of a head
_NO_WORDS, _NO_SCALES = np.empty(0, np.uint8), np.empty(0)


@dataclass(frozen=True)
class Form:
    """What a head says beside the other method.

    dtype, shape: of the tensor. kept: the words of kept values, unsigned integers. range: the least
    and the largest of the other values, between which decoded ones are put. mean: of the other
    values, 0 if none is taken off. axis, scales: float64 multipliers, one for each slice along the
    axis; a slice whose scale is 0 is zero throughout. axis_of_means, means: float64, what is taken
    off each slice along that axis. as_they_are: whether the rests are the values themselves, in
    their own dtype.
    """

    dtype: np.dtype
    shape: tuple[int, ...]
    kept: np.ndarray = field(default_factory=lambda: _NO_WORDS)
    range: tuple[float, float] | None = None
    mean: float = 0.0
    axis: int = 0
    scales: np.ndarray = field(default_factory=lambda: _NO_SCALES)
    axis_of_means: int = 0
    means: np.ndarray = field(default_factory=lambda: _NO_SCALES)
    as_they_are: bool = False

    @property
    def word(self) -> np.dtype:
        return np.dtype(f"u{self.dtype.itemsize}")

    @property
    def work(self) -> np.dtype:
        return self.dtype if self.as_they_are else dtypes.work_dtype(self.dtype)

    @property
    def alters(self) -> bool:
        """Whether a value that is left is more than its rest."""
        return self.range is not None or self.mean != 0 or self.scales.size > 0 or self.means.size > 0

    def numbers(self, values: np.ndarray) -> np.ndarray:
        """0 for each value that is not kept, and 1 + the index of its word for one that is.

        Where 0 is kept and −0 is not, −0 becomes 0.
        """
        words = np.ascontiguousarray(values).view(self.word)
        numbers = np.zeros(values.size, np.uint8)
        if self.kept.size and self.kept[0] == 0:
            numbers[values == 0] = 1
        for i, word in enumerate(self.kept):
            numbers[words == word] = i + 1
        return numbers

    def slices(self, positions: np.ndarray, axis: int | None = None) -> np.ndarray:
        """The slice of each flat index along an axis, by default that of the scales."""
        axis = self.axis if axis is None else axis
        found: np.ndarray = positions // math.prod(self.shape[axis + 1 :]) % self.shape[axis]
        return found

    def rest(self, values: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """The rests, in the work dtype, of values at these flat indices, of which none is kept."""
        if not (self.mean or self.scales.size or self.means.size):
            return values if self.as_they_are else dtypes.widen(values)
        wide = values.astype(np.float64) - self.mean
        if self.means.size:
            wide -= self.means[self.slices(positions, self.axis_of_means)]
        if self.scales.size:
            scales = self.scales[self.slices(positions)]
            wide = np.divide(wide, scales, out=np.zeros_like(wide), where=scales > 0)
        return np.ascontiguousarray(dtypes.narrow(wide, self.work))

    def restore(self, rest: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """The values, in the tensor's dtype, that such rests stand for."""
        values = rest.astype(self.work, copy=False)
        if self.mean or self.scales.size or self.means.size:
            wide = values.astype(np.float64)
            with np.errstate(over="ignore"):
                if self.scales.size:
                    wide *= self.scales[self.slices(positions)]
                if self.means.size:
                    wide += self.means[self.slices(positions, self.axis_of_means)]
                if self.mean:
                    wide += self.mean
                values = wide.astype(self.work)
        if self.range is not None:
            low, high = (self.work.type(end) for end in self.range)
            values = np.where(values < low, low, np.where(values > high, high, values))
        return np.ascontiguousarray(dtypes.narrow(values, self.dtype))

    def pack(self, method: int, version: int) -> bytes:
        """The head up to the other method's."""
        has = self.kept.size, self.range is not None, self.mean, self.scales.size, self.means.size
        flags = sum(flag for flag, there in zip((_KEPT, _RANGE, _MEAN, _SCALES, _MEANS), has, strict=True) if there)
        parts: Parts = [bytes([flags, method, version])]
        if self.kept.size:
            parts += [bytes([self.kept.size]), self.kept.astype(f"<u{self.dtype.itemsize}").tobytes()]
        if self.range is not None:
            ends = np.array(self.range).astype(self.dtype).view(self.word)
            parts.append(ends.astype(f"<u{self.dtype.itemsize}").tobytes())
        if self.mean:
            parts.append(np.array(self.mean, "<f8").tobytes())
        for axis, numbers in ((self.axis, self.scales), (self.axis_of_means, self.means)):
            if numbers.size:
                words = (numbers.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
                parts.append(bytes([axis]))
                parts += (part for shift in (0, 8) for part in encode_plane((words >> shift & 0xFF).astype(np.uint8)))
        return b"".join(parts)

    @classmethod
    def unpack(cls, head: bytes, dtype: np.dtype, shape: tuple[int, ...]) -> tuple["Form", int, int, bytes]:
        """(what the head says, the other method, its version, its head); raises Corrupt."""
        reader, width = BitReader(head, "structured head"), dtype.itemsize
        flags, method, version = (reader.get(8) for _ in range(3))
        if flags >= 32:
            raise reader.corrupt(f"flags {flags:#x} are unknown")
        said: dict[str, object] = {}
        if flags & _KEPT:
            count = reader.get(8)
            said["kept"] = kept = reader.take(count * width).view(f"<u{width}").astype(f"u{width}")
            if not 0 < count <= MAX_KEPT or (kept[1:] <= kept[:-1]).any():
                raise reader.corrupt(f"the words that are kept are not 1 to {MAX_KEPT} ascending ones")
        if flags & _RANGE:
            with np.errstate(invalid="ignore"):  # a NaN that signals is refused below, as all are
                ends = reader.take(2 * width).view(f"<u{width}").astype(f"u{width}").view(dtype).astype(np.float64)
            said["range"] = low, high = float(ends[0]), float(ends[1])
            if not -math.inf < low <= high < math.inf:
                raise reader.corrupt("a range that is none")
        if flags & _MEAN:
            said["mean"] = mean = float(reader.take(8).view("<f8")[0])
            if not 0 < abs(mean) < math.inf:
                raise reader.corrupt("a mean that is 0 or not finite")
        rest = reader.rest().tobytes()
        for flag, axis_name, name in ((_SCALES, "axis", "scales"), (_MEANS, "axis_of_means", "means")):
            if flags & flag:
                axis = rest[0] if rest else 255
                if axis >= len(shape):
                    raise reader.corrupt("an axis that the tensor lacks")
                said[axis_name] = axis
                said[name], rest = _unpack_numbers(reader, rest[1:], shape[axis], signed=flag == _MEANS)
        return cls(dtype, shape, **said), method, version, rest  # type: ignore[arg-type]  # by name, as read


def _unpack_numbers(reader: BitReader, data: bytes, count: int, signed: bool) -> tuple[np.ndarray, bytes]:
    """(scales or means, the bytes after them); raises Corrupt."""
    words, at = np.zeros(count, np.uint32), 0
    for shift in (16, 24):
        plane = np.empty(count, np.uint8)
        at = decode_plane(data, at, plane)
        words |= plane.astype(np.uint32) << shift
    with np.errstate(invalid="ignore"):  # a NaN that signals is refused below, as all are
        numbers = words.view(np.float32).astype(np.float64)
    if not np.isfinite(numbers).all() or (not signed and np.signbit(numbers).any()):
        raise reader.corrupt("a scale that is negative or not finite" if not signed else "a mean that is not finite")
    return numbers, data[at:]


@dataclass(frozen=True)
class Rests:
    """The rests of a tensor of which nothing is kept, as a tensor of the same shape."""

    source: Source
    form: Form

    @property
    def dtype(self) -> np.dtype:
        return self.form.work

    @property
    def shape(self) -> tuple[int, ...]:
        return self.source.shape

    @property
    def size(self) -> int:
        return self.source.size

    def read(self, start: int, stop: int) -> np.ndarray:
        return self.form.rest(self.source.read(start, stop), np.arange(start, stop))


def left_shape(numbers: np.ndarray, width: int) -> tuple[int, ...]:
    """The shape of the values that are left in a chunk.

    numbers: those of the chunk. width: of the matrix that the tensor is. Where each row is kept as
    a whole or not at all, the rows that are left are a matrix; otherwise the values are a vector.
    """
    if numbers.size % width == 0 and width > 1:
        rows = (numbers == 0).reshape(-1, width)
        if (rows == rows[:, :1]).all():
            return int(rows[:, 0].sum()), width
    return (int((numbers == 0).sum()),)
