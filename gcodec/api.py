"""The main path of gcodec.

    array ── ArraySource ── auto.compress ── Writer ── bytes
    bytes ── Stream / RandomAccess ── pipeline.decompress ── array

`encode` and `decode` are for one array; `save`, `load` and `open` for several named ones in a file.
"""

import builtins
import math
import os
from collections.abc import Iterator, Mapping
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .container.budget import Budget
from .container.layout import TensorHeader
from .container.reader import RandomAccess, Record, Stream
from .container.writer import Writer, check_name
from .errors import InvalidInput
from .io import remote
from .io.atomic import replacing
from .parallel import thread_count
from .pipeline import auto
from .pipeline.decompress import Part, decompress, decompress_range
from .request.choice import choose, choose_for_checkpoint
from .source import ArraySource


def encode(x: np.ndarray, method: str = "auto", **options: Any) -> bytes:
    """Compress one array; the bytes are a whole container.

    x: any shape, of a floating, integer, bool or complex dtype (all but the floating ones are stored exactly).
    method: "auto" or a name of `registry.ENTRIES`. options: those of `choice.choose`. Without a bound, alpha = 0.1 (omega = 1/4 for
    the unbiased methods). Guarantees what `Guarantee` says, on these bytes. Raises InvalidInput, NonFinite.
    """
    file = BytesIO()
    writer = Writer(file)
    with auto.compress("", ArraySource(np.asarray(x)), choose(method, **options)) as coded:
        writer.add(coded.header, coded.pieces(), coded.work)
    writer.close()
    return file.getvalue()


def decode(data: bytes, *, threads: int | None = None, limit: int | None = None) -> np.ndarray:
    """The array of a container that holds one; its dtype and shape are those of the encoded array.

    Raises FormatError, UnsupportedVersion, UnsupportedFeature; LimitExceeded when more than `limit` decoded bytes are
    asked for (default: what the coded ones pay for, see container/budget.py).
    """
    budget = Budget(limit, len(data))
    arrays = [read_tensor(record, threads, budget) for record in Stream(BytesIO(data))]
    if len(arrays) != 1:
        raise InvalidInput(f"the container holds {len(arrays)} tensors, not one; use gcodec.load or gcodec.open")
    return arrays[0]


def save(path: str | os.PathLike, tensors: Mapping[str, np.ndarray], method: str | None = None, **options: Any) -> None:
    """Compress named arrays into a file, which appears whole or not at all (an existing one is replaced).

    method and options: as for `encode`, but one of method, alpha, omega or lossless must be given: nobody's weights are
    degraded silently.
    """
    choice = choose_for_checkpoint(method, **options)
    for name in tensors:
        check_name(name)
    meta: dict[str, Any] = {"names": list(tensors)}
    if isinstance(tensors, dict):  # the values of a lazy mapping are asked for once only
        meta["bytes"] = sum(np.asarray(array).nbytes for array in tensors.values())
    with replacing(Path(path)) as temporary, builtins.open(temporary, "wb") as file:
        writer = Writer(file, meta)
        for name, array in tensors.items():
            with auto.compress(name, ArraySource(np.asarray(array)), choice) as coded:
                writer.add(coded.header, coded.pieces(), coded.work)
        writer.close()


def load(path: str | os.PathLike, *, threads: int | None = None, limit: int | None = None) -> dict[str, np.ndarray]:
    """All arrays of a container file by name, in file order. Raises what `decode` does."""
    with builtins.open(path, "rb") as file:
        budget = Budget.of(file, limit)
        return {record.header.name: read_tensor(record, threads, budget) for record in Stream(file)}


def open(path: str | os.PathLike, *, threads: int | None = None, limit: int | None = None) -> "Archive":
    """A container file as a lazy Mapping from names to arrays; only what is asked for is read and decoded.

    path: a local path, or a URL (with the extra `gcodec[remote]`), of which only the ranges needed are fetched.
    """
    url = isinstance(path, str) and remote.is_url(path)
    return Archive(remote.open_url(str(path)) if url else builtins.open(path, "rb"), threads, limit)


class Archive(Mapping[str, np.ndarray]):
    """Tensors of a container file, each decoded when it is asked for. Close it, or use it in a `with` statement."""

    def __init__(self, file: BinaryIO, threads: int | None = None, limit: int | None = None) -> None:
        self._file, self._threads, self._limit = file, threads, limit
        try:
            self._size = file.seek(0, os.SEEK_END)
            self._access = RandomAccess(file, self._size)
        except BaseException:
            file.close()
            raise
        self.meta = self._access.meta

    def __getitem__(self, name: str) -> np.ndarray:
        return read_tensor(self.record(name), self._threads, self._budget())

    def __iter__(self) -> Iterator[str]:
        return iter(self._access.offsets)

    def __len__(self) -> int:
        return len(self._access.offsets)

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def header(self, name: str) -> TensorHeader:
        """Dtype, shape, guarantee and certificate of a tensor, without reading its payload."""
        return self.record(name).header

    def record(self, name: str) -> Record:
        """The header and access to the coded bytes."""
        return self._access.record(name)

    def rows(self, name: str, start: int, stop: int) -> np.ndarray:
        """`self[name][start:stop]`, reading and decoding only the chunks that hold these rows."""
        record = self.record(name)
        shape = record.header.spec.shape
        if not shape:
            raise InvalidInput(f"{name!r} has no first axis")
        start, stop, _ = slice(start, stop).indices(shape[0])
        stop = max(start, stop)
        width = math.prod(shape[1:])
        first, last, count = start * width, stop * width, thread_count(self._threads)
        parts = decompress_range(record, first, last, count, self._budget())
        rows = _joined(parts, first, last, record.header.spec.dtype).reshape(stop - start, *shape[1:])
        return rows.copy()  # else a few rows would keep their chunk in memory

    def _budget(self) -> Budget:
        """Of one access."""
        return Budget(self._limit, self._size)


def read_tensor(record: Record, threads: int | None = None, budget: Budget | None = None) -> np.ndarray:
    """A record's whole array. budget: shared with the other records that are decoded."""
    spec = record.header.spec
    several, count = len(record.header.chunks) > 1, thread_count(threads)
    parts = decompress([record], count if several else 1, budget or Budget())
    return _joined(parts, 0, spec.size, spec.dtype).reshape(spec.shape)


def _joined(parts: Iterator[Part], start: int, stop: int, dtype: np.dtype) -> np.ndarray:
    """Parts with the values from flat index `start` to `stop`. Memory is taken once the first is there: what does not decode
    takes none."""
    first = next(parts, None)
    if first is None:
        return np.empty(0, dtype)
    if first.values.size == stop - start:
        return first.values
    out = np.empty(stop - start, dtype)
    for part in chain([first], parts):
        out[part.start - start : part.start - start + part.values.size] = part.values
    return out
