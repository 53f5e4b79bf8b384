"""A file without the bytes that travel elsewhere, as a tensor of bytes (spec/interchange.md §2.2).

A file is stored as its *skeleton*, the file's bytes with holes where the values of tensors are, and
those values as tensors of their own. All else that the file says comes back bit for bit, whatever
it is.
"""

import struct
from bisect import bisect_left, bisect_right
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..container.base import RESERVED
from ..errors import Corrupt, InvalidInput
from .streams import read_at

SKELETON = "//hdf5"  # the record of an HDF5 file
FILE = "//file/"  # followed by its path in a folder: the record of any other file
RAW = "//raw/"  # followed by its name in the file: the bytes of a part that gcodec does not code
PREFIX = struct.Struct("<QQ")  # the file's length, the number of holes
MIN_HOLE = 64  # fewer bytes are not worth an entry


def is_skeleton(name: str) -> bool:
    """Whether a record holds a skeleton rather than a tensor that the user knows."""
    return name.startswith(RESERVED)


def check_free(name: str) -> None:
    """Raise InvalidInput for a name of skeletons, which no tensor of a user may have."""
    if is_skeleton(name):
        raise InvalidInput(
            f"the tensor name {name[:200]!r} is reserved, as all that begin with {RESERVED!r}, for the frames of files, "
            "and would be lost; rename the tensor"
        )


def holes(ranges: list[tuple[int, int]], size: int) -> list[tuple[int, int]]:
    """Ranges (offset, length) of a file as holes: sorted, united, the short ones left out."""
    united: list[list[int]] = []
    for start, length in sorted(ranges):
        if start < 0 or length < 0 or start + length > size:
            raise InvalidInput(f"data are said to be at byte {start}…{start + length} of a file of {size} bytes")
        if united and start <= united[-1][1]:
            united[-1][1] = max(united[-1][1], start + length)
        else:
            united.append([start, start + length])
    return [(start, stop - start) for start, stop in united if stop - start >= MIN_HOLE]


class SkeletonSource:
    """The skeleton of an open file as a Source of bytes; `holes` gives the holes."""

    dtype = np.dtype(np.uint8)

    def __init__(self, file: BinaryIO, size: int, holes: list[tuple[int, int]]) -> None:
        self._file = file
        ends = [start + length for start, length in holes]
        gaps = [start - end for (start, _), end in zip(holes, [0, *ends], strict=False)]
        table = np.array([*gaps, *(length for _, length in holes)], "<u8")
        self._head = PREFIX.pack(size, len(holes)) + table.tobytes()
        self._offsets = [0, *ends]  # in the file, of each kept piece
        kept = [*gaps, size - self._offsets[-1]]
        self._starts = list(accumulate(kept, initial=len(self._head)))  # in the skeleton, of each piece; and the end
        self.shape = (self._starts[-1],)

    @property
    def size(self) -> int:
        return self.shape[0]

    def read(self, start: int, stop: int) -> np.ndarray:
        out = bytearray(self._head[start:stop])
        while start + len(out) < stop:
            here = start + len(out)
            piece = bisect_right(self._starts, here) - 1
            count = min(stop, self._starts[piece + 1]) - here
            data = bytearray(count)
            got = read_at(self._file, memoryview(data), self._offsets[piece] + here - self._starts[piece])
            if got == 0:
                raise InvalidInput(f"{self._file.name}: the file became shorter while it was read")
            out += data[:got]
        return np.frombuffer(out, np.uint8)


class SkeletonSink:
    """Writes the file of a skeleton, with zeros in its holes; the values must come in order."""

    def __init__(self, path: Path, dtype: np.dtype, shape: tuple[int, ...]) -> None:
        if dtype != np.uint8 or len(shape) != 1 or shape[0] < PREFIX.size:
            raise Corrupt(f"the record of a file's frame is not a skeleton: {dtype} of shape {shape}")
        self._total = self._left = shape[0]
        self._head: bytearray | None = bytearray()  # until the table of holes is whole
        self._pieces: list[tuple[int, int]] = []  # (offset, length) of what is still to be written, last one first
        self._hole_starts: list[int] = []
        self._hole_ends: list[int] = []
        self._file = open(path, "wb")  # noqa: SIM115 (closed by close)

    @property
    def complete(self) -> bool:
        return self._left == 0

    @property
    def holes(self) -> list[tuple[int, int]]:
        """(start, stop) of the bytes of the file that were left out."""
        return list(zip(self._hole_starts, self._hole_ends, strict=True))

    def meets_hole(self, offset: int, length: int) -> bool:
        """Whether any of these bytes of the file were left out."""
        i = bisect_left(self._hole_starts, offset + length) - 1  # the last hole that starts before the end
        return i >= 0 and length > 0 and self._hole_ends[i] > offset

    def write(self, start: int, values: np.ndarray) -> None:
        data = memoryview(values.tobytes())
        self._left -= len(data)
        if self._head is not None:
            self._head += data
            data = self._take_table(self._head)
        while data:
            offset, length = self._pieces.pop()
            count = min(length, len(data))
            self._file.seek(offset)
            self._file.write(data[:count])
            if count < length:
                self._pieces.append((offset + count, length - count))
            data = data[count:]

    def _take_table(self, head: bytearray) -> memoryview:
        """Parse the table once it is whole; gives what follows it."""
        if len(head) < PREFIX.size:
            return memoryview(b"")
        size, count = PREFIX.unpack_from(head)
        end = PREFIX.size + 16 * count
        if end > self._total or size >= 2**63:
            raise Corrupt("the skeleton declares more holes than it has bytes, or too large a file")
        if len(head) < end:
            return memoryview(b"")
        table = np.frombuffer(bytes(head[PREFIX.size : end]), "<u8").tolist()
        offset = 0
        for gap, length in zip(table[:count], table[count:], strict=True):
            self._pieces.append((offset, gap))
            self._hole_starts.append(offset + gap)
            self._hole_ends.append(offset + gap + length)
            offset += gap + length
        self._pieces.append((offset, size - offset))
        if offset > size or sum(length for _, length in self._pieces) != self._total - end:
            raise Corrupt("the skeleton's table of holes does not fit its length")
        self._pieces.reverse()
        self._head = None
        self._file.truncate(size)
        return memoryview(bytes(head[end:]))

    def close(self) -> None:
        self._file.close()
