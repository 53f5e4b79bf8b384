"""What is known of the datasets of an HDF5 file, in words that go from one process to the other."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ... import dtypes
from ...errors import Corrupt
from ...source import UNMARKED, Marks
from ..raw import raw_dtype
from ..uncoded import Uncoded
from .coded.filter import Coded

MAX_VALUES = 1 << 48
MAX_AXES = 64

Range = tuple[int, int]  # (offset, length) of bytes in the file


@dataclass(frozen=True)
class Dataset:
    """A dataset whose values travel as a tensor.

    stored: what its bytes are to numpy; dtype: what the tensor is, of the same width. chunks: the
    shape of one chunk, None when the layout has no chunks. filters: how many there are. ranges:
    where its bytes are in the file; none for a compact dataset, whose bytes are in its header, and
    where the place is not sure. marks: what its attributes and its fill value say. coded: how
    gcodec's own filter coded its chunks; None for any other dataset.
    """

    name: str
    stored: np.dtype[Any]
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    chunks: tuple[int, ...] | None = None
    filters: int = 0
    stored_bytes: int = 0
    ranges: tuple[Range, ...] = ()
    marks: Marks = UNMARKED
    coded: Coded | None = None

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.stored.itemsize

    @property
    def chunk_bytes(self) -> int:
        """The unpacked bytes of one chunk; 0 when the layout has no chunks."""
        return math.prod(self.chunks) * self.stored.itemsize if self.chunks is not None else 0

    @property
    def chunk_count(self) -> int:
        """How many chunks the whole dataset has, whether they are stored or not."""
        return math.prod(-(-n // c) for n, c in zip(self.shape, self.chunks, strict=True)) if self.chunks else 0

    def chunk_offset(self, number: int) -> tuple[int, ...]:
        """Where a chunk begins, by its place in the C order of the grid of chunks."""
        grid = [-(-n // side) for n, side in zip(self.shape, self.chunks or (), strict=True)]
        return tuple(int(at) * side for at, side in zip(np.unravel_index(number, grid), self.chunks or (), strict=True))

    @property
    def contiguous(self) -> bool:
        """Whether its values lie in the file as they are, one after the other."""
        return self.chunks is None and [length for _, length in self.ranges] == [self.nbytes]

    def chunks_within(self, start: int, stop: int) -> int:
        """At most how many chunks hold the values with flat indices start…stop-1."""
        if not self.chunks or start >= stop:
            return 0
        row = math.prod(self.shape[1:])
        rows = (stop - 1) // row // self.chunks[0] - start // row // self.chunks[0] + 1
        return rows * math.prod(-(-n // c) for n, c in zip(self.shape[1:], self.chunks[1:], strict=True))


@dataclass(frozen=True)
class Survey:
    """The datasets that travel as tensors, and those in the skeleton alone, by their names."""

    datasets: dict[str, Dataset] = field(default_factory=dict)
    kept: dict[str, Uncoded] = field(default_factory=dict)

    def pack(self) -> tuple[dict[str, Any], bytes]:
        """The survey as JSON and bytes: the ranges of all datasets, one after the other."""
        ranges = np.array([place for about in self.datasets.values() for place in about.ranges], "<i8")
        return {
            "datasets": [_packed(about) for about in self.datasets.values()],
            "kept": [[part.name, part.nbytes, part.why] for part in self.kept.values()],
        }, ranges.tobytes()

    @classmethod
    def unpack(cls, packed: Any, ranges: bytes, file_size: int) -> "Survey":
        """The survey that a child sent; raises Corrupt when it does not fit a file of this size."""
        try:
            places = iter(np.frombuffer(ranges, "<i8").reshape(-1, 2).tolist())
            found = [_unpacked(one, places) for one in packed["datasets"]]
            kept = [Uncoded(str(name), _whole(nbytes), str(why)) for name, nbytes, why in packed["kept"]]
            survey = cls({about.name: about for about in found}, {part.name: part for part in kept})
            complete = len(survey.datasets) == len(found) and next(places, None) is None
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise Corrupt(f"what was found in the HDF5 file makes no sense ({error})") from None
        if not complete or not survey.fits(file_size):
            raise Corrupt("the datasets of the HDF5 file overlap, or lie beyond its end")
        return survey

    def fits(self, file_size: int) -> bool:
        """Whether all ranges lie in the file, and have no more bytes together than it has."""
        ranges = [place for about in self.datasets.values() for place in about.ranges]
        inside = all(offset >= 0 and 0 <= length <= file_size - offset for offset, length in ranges)
        return inside and sum(length for _, length in ranges) <= file_size


def _packed(about: Dataset) -> list[Any]:
    dtype, chunks = about.dtype.name, about.chunks and list(about.chunks)
    return [about.name, about.stored.str, dtype, list(about.shape), chunks, about.filters, about.stored_bytes,
            len(about.ranges), about.marks.coordinate, list(map(repr, about.marks.fills)),
            about.coded and about.coded.pack()]  # fmt: skip


def _unpacked(packed: list[Any], places: Iterator[list[int]]) -> Dataset:
    """Raises ValueError, TypeError and their like when the parts are not those of a dataset."""
    name, stored_name, dtype_name, shape, chunks, filters, stored_bytes, count, coordinate, fills, coded = packed
    stored, dtype = np.dtype(str(stored_name)), dtypes.by_name(str(dtype_name))
    ranges = tuple((offset, length) for _, (offset, length) in zip(range(_whole(count)), places, strict=False))
    about = Dataset(str(name), stored, dtype, _shape(shape), None if chunks is None else _shape(chunks),
                    _whole(filters), _whole(stored_bytes), ranges,
                    Marks(bool(coordinate), tuple(map(float, fills))))  # fmt: skip
    if len(ranges) != count or stored.kind not in "biufc" or stored.itemsize != dtype.itemsize:
        raise ValueError(f"{about.name!r} is no dataset of numbers")
    if about.chunks is not None and (len(about.chunks) != len(about.shape) or 0 in about.chunks):
        raise ValueError(f"{about.name!r} has chunks of {about.chunks}")
    return about if coded is None else replace(about, coded=Coded.unpack(coded, about.chunk_count))


def _shape(sides: list[Any]) -> tuple[int, ...]:
    shape = tuple(map(_whole, sides))
    if len(shape) > MAX_AXES or math.prod(n or 1 for n in shape) >= MAX_VALUES:
        raise ValueError(f"{shape} is not a shape that an array can have")
    return shape


def _whole(number: Any) -> int:
    if not isinstance(number, int) or number < 0:
        raise ValueError(f"{number!r} is not a count")
    return number


def plain(name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Dataset:
    """A contiguous dataset of a file that has no skeleton."""
    raw = raw_dtype(dtype)
    return Dataset(name, np.dtype(np.int8) if raw.kind == "b" else raw, dtype, shape)
