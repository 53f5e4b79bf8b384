"""Arrays stored with the first index running fastest, read and written in C order."""

import math
from threading import Lock
from typing import IO

import numpy as np

from ...source import Source

SLAB = 1 << 22  # values put into C order at a time (or one row, when that is longer)
SHORT = 1024  # columns of at most so many values are read together rather than each in part


class FortranSource:
    """An array of `shape` whose values lie in `flat` in Fortran order, as a Source.

    Keeps one slab of rows in memory, so any array can be read in order; most arrays are one slab.
    """

    def __init__(self, flat: Source, shape: tuple[int, ...]) -> None:
        self._flat = flat
        self.dtype, self.shape = flat.dtype, shape
        self._row = math.prod(shape[1:])
        self._step = max(1, SLAB // max(1, self._row))  # rows in a slab
        self._lock = Lock()
        self._slab: tuple[int, np.ndarray] | None = None  # (its number, its values)

    @property
    def size(self) -> int:
        return self._flat.size

    def read(self, start: int, stop: int) -> np.ndarray:
        out = np.empty(stop - start, self.dtype)
        length = self._step * self._row
        done = 0
        while start + done < stop:
            number, offset = divmod(start + done, length)
            values = self._rows(number)
            count = min(stop - start - done, values.size - offset)
            out[done : done + count] = values[offset : offset + count]
            done += count
        return out

    def _rows(self, number: int) -> np.ndarray:
        with self._lock:
            if self._slab is None or self._slab[0] != number:
                first = number * self._step
                rows = self._gather(first, min(first + self._step, self.shape[0]))
                self._slab = number, rows
            return self._slab[1]

    def _gather(self, first: int, last: int) -> np.ndarray:
        """Rows first…last-1 in C order.

        The file is a matrix whose rows are the columns of the array.
        """
        height = self.shape[0]
        columns = np.empty((self._row, last - first), self.dtype)
        if (first, last) == (0, height):
            columns[:] = self._flat.read(0, self.size).reshape(columns.shape)
        elif height <= SHORT:
            together = max(1, SLAB // height)
            for i in range(0, self._row, together):
                block = self._flat.read(i * height, min(i + together, self._row) * height).reshape(-1, height)
                columns[i : i + together] = block[:, first:last]
        else:
            for i in range(self._row):
                columns[i] = self._flat.read(i * height + first, i * height + last)
        rows = columns.reshape(*self.shape[:0:-1], last - first)
        return np.ascontiguousarray(rows.T).reshape(-1)


class OrderedSink:
    """Takes the values of an array, which come in C order, to a file from `offset` on.

    stored: the dtype with its byte order. fortran: whether the first index runs fastest in the
    file; then one slab of rows is in memory, and the file must be open for reading too.
    """

    def __init__(self, file: IO[bytes], offset: int, stored: np.dtype, shape: tuple[int, ...], fortran: bool) -> None:
        self._file, self._offset, self._stored, self._shape = file, offset, stored, shape
        self.left = math.prod(shape)
        self._row = math.prod(shape[1:])
        self._slab = np.empty(0, stored)
        self._rows = 0  # that are in the file
        if fortran and self.left:
            file.truncate(offset + self.left * stored.itemsize)
            self._slab = np.empty(min(max(1, SLAB // self._row), shape[0]) * self._row, stored)
        self._filled = 0

    def write(self, start: int, values: np.ndarray) -> None:
        stored = np.ascontiguousarray(values).view(self._stored.newbyteorder("=")).astype(self._stored, copy=False)
        self.left -= stored.size
        if not self._slab.size:
            self._file.write(stored.tobytes())
        while self._slab.size and stored.size:
            count = min(stored.size, self._slab.size - self._filled)
            self._slab[self._filled : self._filled + count] = stored[:count]
            self._filled += count
            stored = stored[count:]
            if self._filled == self._slab.size or not self.left and not stored.size:
                self._put(self._slab[: self._filled].reshape(-1, *self._shape[1:]))

    def _put(self, rows: np.ndarray) -> None:
        """Write a slab of rows, which lie apart in the file unless they are all."""
        columns = rows.T.reshape(self._row, len(rows))
        if len(rows) == self._shape[0]:
            self._file.seek(self._offset)
            self._file.write(columns.tobytes())
        else:
            self._file.flush()
            place = np.memmap(self._file, self._stored, "r+", self._offset, (self._row, self._shape[0]))
            place[:, self._rows : self._rows + len(rows)] = columns
            place.flush()
        self._rows += len(rows)
        self._filled = 0
