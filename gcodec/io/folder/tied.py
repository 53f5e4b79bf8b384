"""Tensors that equal another one, in files of a format that stores each of them."""

import math
from collections.abc import Mapping
from contextlib import closing

import numpy as np

from ...container.budget import WORK_PER_DECODED_BYTE, Budget
from ...container.spool import Spool
from ...errors import Corrupt
from ..formats import Sink, Writer
from ..places import View
from ..torch_file.kinds import MAX_NDIM, are_counts

MOST = 1 << 26  # bytes of a tensor that are kept in memory until its doubles are written
_PIECE = 1 << 18  # values


def tied_names(meta: Mapping[str, object]) -> dict[str, str]:
    """Names of tensors that equal another one bit for bit, and its name. meta: of a container."""
    tied = meta.get("tied")
    if not isinstance(tied, dict) or not all(isinstance(of, str) for of in tied.values()):
        return {}
    return tied


def views_of(meta: Mapping[str, object]) -> dict[str, View]:
    """Tensors that are views of another one, by name. Raises Corrupt for what is none."""
    views = meta.get("views")
    found: dict[str, View] = {}
    for name, view in views.items() if isinstance(views, dict) else ():
        of, offset, shape, strides = view if isinstance(view, list) and len(view) == 4 else (None, 0, [], [])
        sound = isinstance(of, str) and isinstance(shape, list) and isinstance(strides, list)
        if (
            not sound
            or len(shape) != len(strides)
            or len(shape) > MAX_NDIM
            or not are_counts((offset, *shape, *strides))
        ):
            raise Corrupt(f"the metadata do not say what {name[:200]!r} is a view of")
        found[name] = View(of, offset, tuple(shape), tuple(strides))
    return found


class Tied:
    """A Writer that adds tensors to another one, and behind each one those that equal or see it.

    meta: of the container. budget: pays for them. Raises LimitExceeded, and Corrupt.
    """

    def __init__(self, writer: Writer, meta: Mapping[str, object], budget: Budget) -> None:
        self._writer, self._budget = writer, budget
        self._doubles: dict[str, list[tuple[str, View | None]]] = {}
        self._last: _Copy | None = None
        for name, of in tied_names(meta).items():
            self._doubles.setdefault(of, []).append((name, None))
        for name, view in views_of(meta).items():
            self._doubles.setdefault(view.of, []).append((name, view))

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

    def __init__(
        self, sink: Sink, doubles: list[tuple[str, View | None]], dtype: np.dtype, shape: tuple[int, ...]
    ) -> None:
        self._sink, self._doubles, self._dtype, self._shape = sink, doubles, dtype, shape
        self._left = self._size = math.prod(shape)
        self._values = Spool(MOST)

    def write(self, start: int, values: np.ndarray) -> None:
        self._sink.write(start, values)
        self._values.write(values.tobytes())
        self._left -= values.size

    def write_to(self, writer: Writer, budget: Budget) -> None:
        """Write the doubles, if all values came."""
        with closing(self._values):
            for name, view in () if self._left else self._doubles:
                if view is not None and not view.fits(self._size):
                    raise Corrupt(f"the view {name[:200]!r} does not lie within {view.of[:200]!r}")
                nbytes = self._size * self._dtype.itemsize
                budget.spend(name, WORK_PER_DECODED_BYTE * nbytes, nbytes)
                self._values.seek(0)
                if view is None:
                    self._copy(writer.add(name, self._dtype, self._shape))
                else:
                    flat = np.frombuffer(self._values.read(), self._dtype)
                    writer.add(name, self._dtype, view.shape).write(0, view.values(flat))

    def _copy(self, sink: Sink) -> None:
        start = 0
        while data := self._values.read(_PIECE * self._dtype.itemsize):
            values = np.frombuffer(data, self._dtype)
            sink.write(start, values)
            start += values.size
