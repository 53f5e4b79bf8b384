"""A tensor that can be read piece by piece, so that one larger than memory can be encoded."""

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

Found = TypeVar("Found")
Span = tuple[int, int]  # (start, stop): the values with flat indices start…stop-1


class Source(Protocol):
    """What compressors read: the dtype (in native byte order), the shape, and `read(start, stop)`.

    `read` gives the values with flat C-order indices start…stop-1 as a 1-D array. It may be called
    any number of times, in any order and from several threads. The array may be a view of the
    caller's data, and is never written to.
    """

    @property
    def dtype(self) -> np.dtype: ...

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def size(self) -> int: ...

    def read(self, start: int, stop: int) -> np.ndarray: ...


@dataclass(frozen=True)
class Marks:
    """What a file says of a tensor beside its values.

    coordinate: whether other tensors are laid out along it. fills: values that stand for values
    that are missing. coded: whether they were coded with a loss before, in this very file.
    """

    coordinate: bool = False
    fills: tuple[float, ...] = ()
    coded: bool = False


UNMARKED = Marks()


def marks_of(source: Source) -> Marks:
    """The marks of a Source that has some; else none."""
    found: Marks = getattr(source, "marks", UNMARKED)
    return found


class Remembered:
    """A source of the same values that keeps what was found out about them; see `remembered`."""

    def __init__(self, source: Source) -> None:
        self.dtype, self.shape, self.size, self.read = source.dtype, source.shape, source.size, source.read
        self.memory: dict[Hashable, Any] = {}


def remembered(source: Source, key: Hashable, make: Callable[[], Found]) -> Found:
    """What `make` finds out about the values of a source.

    A source that is Remembered is asked only once for each key, so that several methods that look
    at one tensor share what they see.
    """
    memory = source.memory if isinstance(source, Remembered) else {}
    if key not in memory:
        memory[key] = make()
    found: Found = memory[key]
    return found


class ArraySource:
    """An array in memory as a Source."""

    def __init__(self, array: np.ndarray) -> None:
        native = array.dtype.newbyteorder("=")
        self.dtype = native
        self.shape = array.shape
        self._flat = np.ascontiguousarray(array, dtype=native).reshape(-1)

    @property
    def size(self) -> int:
        return self._flat.size

    def read(self, start: int, stop: int) -> np.ndarray:
        return self._flat[start:stop]


def spans(size: int, chunk: int) -> list[Span]:
    """The span (start, stop) of every chunk, for a tensor of `size` values in chunks of `chunk`."""
    return [(start, min(start + chunk, size)) for start in range(0, size, chunk)]


def matricise(shape: tuple[int, ...]) -> tuple[int, int]:
    """(rows, columns) of the matrix whose C-order values are those of a tensor of this shape.

    Axes of length 1 do not count. The first of the other axes becomes the rows, and all that follow
    become the columns: a convolution kernel becomes out × (in·kh·kw). A tensor with fewer than two
    such axes is one row. rows · columns is the size of the tensor.
    """
    axes = [n for n in shape if n != 1]
    if len(axes) < 2:
        return 1, math.prod(shape)
    return axes[0], math.prod(axes[1:])
