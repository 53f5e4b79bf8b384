"""A container as a mapping from names to arrays; only what is asked for is read and decoded."""

import math
import os
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import BinaryIO

import numpy as np

from ..arguments import whole_number
from ..container.base import Bases
from ..container.budget import Budget
from ..container.layout import TensorHeader
from ..container.reader import RandomAccess, Record
from ..container.records.record import Member
from ..errors import Closed, InvalidInput, MissingTensor
from ..io.folder.tied import tied_names
from ..io.skeleton import is_skeleton
from ..parallel import thread_count
from .decompress import Piece, decompress, decompress_range, values_of

_SHOWN = 8  # names that an error lists


class Archive(Mapping[str, np.ndarray]):
    """The tensors of a container, each decoded when it is asked for, anew each time.

    Close it, or use it in a `with` statement. It can be used by several threads at a time. Equal
    tensors that were stored once all have their names. What a file has besides tensors, such as
    text, is not listed: `gcodec decode` gives it back.

    file: a seekable binary file that holds the container and nothing else. owned: whether `close`
    closes the file as well. threads: that decode a tensor; None is one for each core. limit:
    decoded bytes that one access may ask for; None is what the bytes of the file pay for
    (container/budget.py).

    Whatever reads raises an error of the FormatError family, UnsupportedVersion, UnsupportedFeature
    or LimitExceeded for a file that is damaged, from a later version or too costly; MissingTensor
    (a KeyError) for a name that is not there; and Closed after `close`.
    """

    def __init__(
        self, file: BinaryIO, threads: int | None = None, limit: int | None = None, *, owned: bool = False
    ) -> None:
        self._file, self._limit, self._owned, self._closed = file, limit, owned, False
        self.bases: Bases | None = None
        self._closing: Callable[[], object] = lambda: None
        try:
            self._threads = thread_count(threads)
            Budget(limit)  # which refuses what is no limit
            self.size = file.seek(0, os.SEEK_END)
            self.access = RandomAccess(file, self.size)
        except BaseException:
            self.close()
            raise
        self.meta = self.access.meta
        offsets = self.access.offsets
        tied = {name: of for name, of in tied_names(self.meta).items() if of in offsets and name not in offsets}
        self._records = {name: name for name in offsets if not is_skeleton(name)} | tied

    def __getitem__(self, name: str) -> np.ndarray:
        return read_tensor(self.record(name), self._threads, self._budget())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._records

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all reading; a file that the archive opened is closed. Can be called again."""
        self._closed = True
        if self._owned:
            self._file.close()
        self._closing()

    def find_bases_in(self, bases: Bases, closing: Callable[[], object]) -> None:
        """Decode records with the bases that are found there; `close` then calls `closing`."""
        self.bases, self._closing = bases, closing

    def header(self, name: str) -> TensorHeader:
        """Dtype, shape, guarantee and certificate of a tensor, without reading its payload."""
        return self.record(name).header

    def record(self, name: str) -> Record:
        """The header of a tensor and access to its coded bytes."""
        if self._closed:
            raise Closed("the archive is closed; open it again")
        if name not in self:
            raise MissingTensor(f"there is no tensor named {name!r:.200}; {self._names()}")
        record = self.access.record(self._records[name])
        record.bases = self.bases
        return record

    def rows(self, name: str, start: int, stop: int) -> np.ndarray:
        """`self[name][start:stop]`, reading and decoding only the chunks that hold these rows.

        So it is with its bases.
        """
        record = self.record(name)
        shape = record.header.spec.shape
        if not shape:
            raise InvalidInput(f"{name!r} has no first axis, and so no rows")
        start, stop = whole_number("start", start), whole_number("stop", stop)
        start, stop, _ = slice(start, stop).indices(shape[0])
        stop = max(start, stop)
        width = math.prod(shape[1:])
        first, last = start * width, stop * width
        values = read_values(record, first, last, self._threads, self._budget())
        rows = values.reshape(stop - start, *shape[1:])
        return rows.copy()  # else a few rows would keep their chunk in memory

    def _budget(self) -> Budget:
        """The budget of one access."""
        return Budget(self._limit, self.size)

    def _names(self) -> str:
        names = list(self._records)
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        return f"it holds {', '.join(repr(name[:80]) for name in names[:_SHOWN]) or 'none'}{more}"


def read_tensor(record: Record, threads: int | None = None, budget: Budget | None = None) -> np.ndarray:
    """A record's whole array. budget: is shared with the other records that are decoded."""
    if isinstance(record, Member):
        return values_of(record, budget or Budget()).reshape(record.header.spec.shape)
    spec, count = record.header.spec, thread_count(threads)
    parts = decompress([record], count if len(record.header.chunks) > 1 else 1, budget or Budget())
    return _joined(parts, 0, spec.size, spec.dtype).reshape(spec.shape)


def read_values(record: Record, start: int, stop: int, threads: int, budget: Budget) -> np.ndarray:
    """The values with flat indices from `start` to `stop`, from the chunks that hold them."""
    return _joined(decompress_range(record, start, stop, threads, budget), start, stop, record.header.spec.dtype)


def _joined(parts: Iterator[Piece], start: int, stop: int, dtype: np.dtype) -> np.ndarray:
    """The values from flat index `start` to `stop`.

    Memory is taken once the first part is there: what does not decode takes none.
    """
    first = next(parts, None)
    if first is None:
        return np.empty(0, dtype)
    if first.values.size == stop - start:
        return first.values
    out = np.empty(stop - start, dtype)
    for part in chain([first], parts):
        out[part.start - start : part.start - start + part.values.size] = part.values
    return out
