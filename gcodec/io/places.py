"""Places: where in a file the values of its tensors are, whatever the file's format."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import numpy as np

from ..errors import InvalidInput
from ..source import Source
from .arrays.npy import FileSource
from .streams import read_at
from .uncoded import Uncoded

Pay = Callable[[int, int], object]  # is called with the nanoseconds and the bytes that a look at a file takes


def free(work: int, nbytes: int) -> None:
    """What a look takes where nothing pays for it: at a file of the user's own."""


@dataclass(frozen=True)
class Place:
    """A tensor's values in a file.

    stored: the dtype with its byte order. dtype: that of the record. offset: of the first value, in
    bytes. strides: how many values lie from one index of an axis to the next; None for C order. The
    values fill the bytes of `range` without a gap or an overlap.
    """

    name: str
    dtype: np.dtype
    stored: np.dtype
    shape: tuple[int, ...]
    offset: int
    strides: tuple[int, ...] | None = None

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def range(self) -> tuple[int, int]:
        """(offset, length) in bytes."""
        return self.offset, self.size * self.stored.itemsize

    def view(self, flat: np.ndarray) -> np.ndarray:
        """The tensor as a view of the values of its range."""
        assert self.strides is not None
        steps = [n * flat.itemsize for n in self.strides]
        return np.lib.stride_tricks.as_strided(flat, self.shape, steps)


@dataclass(frozen=True)
class View:
    """A tensor as a view of another one, `of`: offset and strides in its values, in C order."""

    of: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def fits(self, size: int) -> bool:
        """Whether it lies within so many values, and repeats none of them very often."""
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        return math.prod(self.shape) <= size and (last < size or 0 in self.shape)

    def values(self, flat: np.ndarray) -> np.ndarray:
        """The values in C order, out of those of the other tensor."""
        steps = [n * flat.itemsize for n in self.strides]
        seen = np.lib.stride_tricks.as_strided(flat[self.offset :], self.shape, steps)
        return np.ascontiguousarray(seen).reshape(-1)


@dataclass
class Survey:
    """What a look at a file of tensors found.

    places: the tensors that get records. tied: names of tensors that are the same bytes as one of
    these, and its name. views: of tensors that are other views of one of these. kept: the number of
    other values, which only the file's frame holds. uncoded: those of them that are tensors.
    checked: (offset of data, length, offsets of their CRC-32) of members that have one.
    """

    places: list[Place] = field(default_factory=list)
    tied: dict[str, str] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict)
    kept: int = 0
    uncoded: list[Uncoded] = field(default_factory=list)
    checked: list[tuple[int, int, tuple[int, ...]]] = field(default_factory=list)

    def keep(self, tensor: Uncoded) -> None:
        """Note a tensor that only the frame holds."""
        self.kept += 1
        self.uncoded.append(tensor)


class Memory:
    """Keeps the values of the last tensor that was asked for as a whole."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._last: tuple[Source, np.ndarray] | None = None

    def values(self, source: Source) -> np.ndarray:
        with self._lock:
            if self._last is None or self._last[0] is not source:
                self._last = None  # before the next one takes memory
                self._last = source, source.read(0, source.size)
            return self._last[1]


def source_of(file: BinaryIO, place: Place, memory: Memory) -> Source:
    """The values of a place of an open file, in C order.

    memory: for tensors in another order, which are read as a whole.
    """
    shape = place.shape if place.strides is None else (place.size,)
    flat = FileSource(file, place.offset, place.stored, place.dtype, shape)
    return flat if place.strides is None else _StridedSource(flat, place, memory)


class _StridedSource:
    """A tensor in another order than C's."""

    def __init__(self, flat: Source, place: Place, memory: Memory) -> None:
        self._flat, self._place, self._memory = flat, place, memory
        self.dtype, self.shape = flat.dtype, place.shape

    @property
    def size(self) -> int:
        return self._flat.size

    def read(self, start: int, stop: int) -> np.ndarray:
        values = self._memory.values(self._flat)
        values = values.view(f"u{self.dtype.itemsize}") if self.dtype.itemsize <= 8 else values
        return self._place.view(values).flat[start:stop].view(self.dtype)


class PlaceSink:
    """Writes a tensor's values, which come in order, to its place in a file."""

    def __init__(self, path: Path, place: Place) -> None:
        self._path, self._place = path, place
        self.left = place.size
        self._whole = np.empty(place.size, place.stored) if place.strides is not None else None
        self._file = open(path, "r+b")  # noqa: SIM115 (closed by close)

    def write(self, start: int, values: np.ndarray) -> None:
        place = self._place
        stored = np.ascontiguousarray(values).view(place.stored.newbyteorder("=")).astype(place.stored, copy=False)
        if self._whole is None:
            self._put(start, stored)
        else:
            place.view(self._whole).flat[start : start + stored.size] = stored
        self.left -= values.size
        if self._whole is not None and not self.left:
            self._put(0, self._whole)
            self._whole = None

    def _put(self, start: int, stored: np.ndarray) -> None:
        self._file.seek(self._place.offset + start * stored.itemsize)
        self._file.write(stored.tobytes())

    def close(self) -> None:
        self._file.close()


def read_whole(file: BinaryIO, offset: int, length: int) -> bytes:
    """Bytes of an open file. Raises InvalidInput when it ends before."""
    data = bytearray(length)
    done = 0
    while done < length:
        got = read_at(file, memoryview(data)[done:], offset + done)
        if got == 0:
            raise InvalidInput(f"{file.name}: the file became shorter while it was read")
        done += got
    return bytes(data)


def same_values(sources: Iterable[tuple[str, Source]], least: int) -> dict[str, str]:
    """Names of tensors that equal an earlier one bit for bit, and its name.

    least: bytes of those that are looked at. Of most tensors, a few samples are read; only tensors
    whose samples agree are read as a whole.
    """
    groups: dict[tuple[object, ...], list[tuple[str, Source]]] = {}
    for name, source in sources:
        if source.size * source.dtype.itemsize >= least:
            groups.setdefault((source.dtype, source.shape), []).append((name, source))
    tied: dict[str, str] = {}
    for group in groups.values():
        first: dict[bytes, tuple[str, Source]] = {}  # by its samples
        for name, source in group if len(group) > 1 else ():
            other, that = first.setdefault(_samples(source), (name, source))
            if that is not source and _equal(source, that):
                tied[name] = other
    return tied


_SAMPLE, _PIECE = 256, 1 << 18  # values


def _samples(source: Source) -> bytes:
    starts = (0, max(source.size // 2 - _SAMPLE, 0), max(source.size - _SAMPLE, 0))
    return b"".join(source.read(start, min(start + _SAMPLE, source.size)).tobytes() for start in starts)


def _equal(a: Source, b: Source) -> bool:
    pieces = ((start, min(start + _PIECE, a.size)) for start in range(0, a.size, _PIECE))
    return all(a.read(*piece).tobytes() == b.read(*piece).tobytes() for piece in pieces)
