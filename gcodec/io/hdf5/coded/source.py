"""The values of a dataset that gcodec coded, as a tensor that can be read piece by piece."""

import io
import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock
from typing import Any, Protocol

import numpy as np

from ....container.layout import TensorHeader
from ....container.reader import RandomAccess
from ....errors import Corrupt, GcodecError
from ..dataset import Dataset
from ..values import CACHE, boxes
from .filter import WITHOUT_CHECKSUM, WITHOUT_FILTER, Coded

Values = np.ndarray[Any, Any]
Decode = Callable[[bytes, int], Values]  # (container, the most decoded bytes) → the array in it


class Chunks(Protocol):
    """What reads the chunks of a file."""

    def chunk(self, about: Dataset, number: int) -> tuple[int, bytes]:
        """Mask and bytes of a chunk that is stored."""
        ...

    def blank_value(self, about: Dataset) -> Values:
        """The value of what is not stored, as it is stored."""
        ...


class CodedSource:
    """A dataset as a Source. The chunks that were decoded last are kept, at least a row of them.

    Raises Corrupt for a chunk that is not what the dataset says, and what decoding raises.
    """

    def __init__(self, file: Chunks, about: Dataset, decode: Decode) -> None:
        assert about.coded is not None and about.chunks
        self._file, self.about, self._decode = file, about, decode
        self.coded: Coded = about.coded
        self.dtype, self.shape, self.size = about.dtype, about.shape, about.size
        self.marks = replace(about.marks, coded=self.coded.kind != "exact")
        self._sides: tuple[int, ...] = about.chunks
        self._grid = tuple(-(-n // side) for n, side in zip(about.shape, about.chunks, strict=True))
        self._stored = frozenset(self.coded.numbers)
        self._kept: OrderedDict[int, Values] = OrderedDict()
        self._most = max(math.prod(self._grid[1:]), CACHE // about.chunk_bytes)
        self._lock = Lock()

    def read(self, start: int, stop: int) -> Values:
        out = np.empty(stop - start, self.dtype)
        done = 0
        with self._lock:
            for offset, count in boxes(self.shape, start, stop):
                length = math.prod(count)
                self._copy(offset, out[done : done + length].reshape(count))
                done += length
        return out

    def containers(self) -> Iterator[tuple[int, bytes | None]]:
        """Each chunk that is stored: its number, and its container; None if it is stored raw."""
        for number in self.coded.numbers:
            mask, data = self._bytes(number)
            yield number, None if mask & WITHOUT_FILTER else data

    def header(self, number: int, data: bytes) -> TensorHeader:
        """The header of a chunk's container, which keeps what the dataset promises."""
        with self.naming(number):
            access = RandomAccess(io.BytesIO(data), len(data))
            if len(access.offsets) != 1:
                raise self._wrong(f"it holds {len(access.offsets)} tensors")
            (name,) = access.offsets
            header = access.record(name).header
            found, promise = header.spec, header.guarantee
            if found.shape != self._sides or found.dtype not in (self.dtype, self.about.stored.newbyteorder("=")):
                raise self._wrong(f"it holds {found.dtype} of shape {found.shape}")
            if not self.coded.allows(promise.kind, promise.bound):
                raise self._wrong(f"it promises {promise.kind} ≤ {promise.bound:g}")
            return header

    def values(self, number: int) -> Values:
        """The values of a chunk in its whole shape; what lies outside of the array says nothing."""
        if number not in self._stored:
            return self._native(np.full(self._sides, self._file.blank_value(self.about)))
        mask, data = self._bytes(number)
        if not mask & WITHOUT_FILTER:
            self.header(number, data)
            with self.naming(number):
                return self._decode(data, self.about.chunk_bytes).view(self.dtype)
        with self.naming(number):
            if len(data) != self.about.chunk_bytes:
                raise self._wrong(f"it is stored without the filter, in {len(data)} bytes")
        return self._native(np.frombuffer(data, self.about.stored).reshape(self._sides))

    def _native(self, stored: Values) -> Values:
        return stored.astype(stored.dtype.newbyteorder("=")).view(self.dtype)

    def origin(self, number: int) -> tuple[int, ...]:
        """Where in the array a chunk begins."""
        return self.about.chunk_offset(number)

    def _bytes(self, number: int) -> tuple[int, bytes]:
        mask, data = self._file.chunk(self.about, number)
        return mask, data if mask & WITHOUT_CHECKSUM or not self.coded.tail else data[: -self.coded.tail]

    def _copy(self, offset: tuple[int, ...], out: Values) -> None:
        """Fill an array with the values of a box."""
        firsts = [at // side for at, side in zip(offset, self._sides, strict=True)]
        ends = [-(-(at + n) // side) for at, n, side in zip(offset, out.shape, self._sides, strict=True)]
        for steps in np.ndindex(*(end - first for first, end in zip(firsts, ends, strict=True))):
            place = [first + step for first, step in zip(firsts, steps, strict=True)]
            target, part = [], []
            for at, side, start, n in zip(place, self._sides, offset, out.shape, strict=True):
                low, high = max(at * side, start), min((at + 1) * side, start + n)
                target.append(slice(low - start, high - start))
                part.append(slice(low - at * side, high - at * side))
            out[tuple(target)] = self._chunk(int(np.ravel_multi_index(place, self._grid)))[tuple(part)]

    def _chunk(self, number: int) -> Values:
        values = self._kept.pop(number, None)
        self._kept[number] = self.values(number) if values is None else values
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return self._kept[number]

    def _wrong(self, what: str) -> Corrupt:
        kind, bound = self.coded.kind, self.coded.bound
        return Corrupt(f"{what}; the dataset has chunks of {self.dtype} of {self._sides}, {kind} ≤ {bound:g}")

    @contextmanager
    def naming(self, number: int) -> Iterator[None]:
        """Errors say which chunk they are about."""
        try:
            yield
        except GcodecError as error:
            error.args = (f"dataset {self.about.name!r}, chunk at {self.origin(number)}: {error}",)
            raise
