"""Tensors that equal another one, in files of a format that stores each of them."""

import math
from collections.abc import Mapping
from contextlib import closing

import numpy as np

from ...container.budget import WORK_PER_DECODED_BYTE, Budget
from ...container.spool import Spool
from ..formats import Sink, Writer

MOST = 1 << 26  # bytes of a tensor that are kept in memory until its doubles are written
_PIECE = 1 << 18  # values


def tied_names(meta: Mapping[str, object]) -> dict[str, str]:
    """Names of tensors that equal another one bit for bit, and its name. meta: of a container."""
    tied = meta.get("tied")
    if not isinstance(tied, dict) or not all(isinstance(of, str) for of in tied.values()):
        return {}
    return tied


class Tied:
    """A Writer that adds tensors to another one, and behind each one those that equal it.

    meta: of the container. budget: pays for them. Raises LimitExceeded.
    """

    def __init__(self, writer: Writer, meta: Mapping[str, object], budget: Budget) -> None:
        self._writer, self._budget = writer, budget
        self._doubles: dict[str, list[str]] = {}
        self._last: _Copy | None = None
        for name, of in tied_names(meta).items():
            self._doubles.setdefault(of, []).append(name)

    def __enter__(self) -> "Tied":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._end()

    def add(self, name: str, dtype: np.dtype, shape: tuple[int, ...]) -> Sink:
        """Begin a tensor, once the doubles of the one before are written."""
        self._end()
        sink = self._writer.add(name, dtype, shape)
        if name not in self._doubles:
            return sink
        self._last = _Copy(sink, self._doubles[name], dtype, shape)
        return self._last

    def _end(self) -> None:
        """Write the doubles of the last tensor, unless it did not come whole."""
        last, self._last = self._last, None
        if last:
            last.write_to(self._writer, self._budget)


class _Copy:
    """Takes a tensor's values to its Sink, and keeps them."""

    def __init__(self, sink: Sink, names: list[str], dtype: np.dtype, shape: tuple[int, ...]) -> None:
        self._sink, self._names, self._dtype, self._shape = sink, names, dtype, shape
        self._left = math.prod(shape)
        self._values = Spool(MOST)

    def write(self, start: int, values: np.ndarray) -> None:
        self._sink.write(start, values)
        self._values.write(values.tobytes())
        self._left -= values.size

    def write_to(self, writer: Writer, budget: Budget) -> None:
        with closing(self._values):
            for name in () if self._left else self._names:
                nbytes = math.prod(self._shape) * self._dtype.itemsize
                budget.spend(name, WORK_PER_DECODED_BYTE * nbytes, nbytes)
                sink = writer.add(name, self._dtype, self._shape)
                self._values.seek(0)
                start = 0
                while data := self._values.read(_PIECE * self._dtype.itemsize):
                    values = np.frombuffer(data, self._dtype)
                    sink.write(start, values)
                    start += values.size
