"""Writes the values of a dataset that gcodec coded as they are, so that every HDF5 reads them."""

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from ..dataset import Dataset

Values = np.ndarray[Any, Any]


class Place(Protocol):
    """Where chunks go."""

    def blank_value(self, about: Dataset) -> Values: ...
    def put(self, about: Dataset, number: int, values: Values) -> None: ...
    def end(self, about: Dataset) -> None: ...


class CodedSink:
    """Takes a dataset's values in order, and puts each row of chunks when it is whole.

    The chunks are stored raw: their masks leave the filter out. Each takes the place of the one
    that the skeleton has; where that has none, one that reads the same without storage has none
    either. stored: makes of values what is in the file.
    """

    def __init__(self, file: Place, about: Dataset, stored: Callable[..., Values]) -> None:
        assert about.chunks and about.coded is not None
        self._file, self.about, self._stored = file, about, stored
        self._implied, self._replaced = file.blank_value(about), frozenset(about.coded.numbers)
        self._sides: tuple[int, ...] = about.chunks
        self._row = math.prod(about.shape[1:])
        self._band = np.empty(0, about.stored)
        self._start = self._filled = 0  # the first row of the band; its values that came
        self.left = about.size

    def write(self, start: int, values: Values) -> None:
        stored, done = self._stored(values, self.about), 0
        while done < stored.size:
            if self._filled == 0:
                rows = min(self._sides[0], self.about.shape[0] - self._start)
                self._band = np.empty(rows * self._row, self.about.stored)
            count = min(stored.size - done, self._band.size - self._filled)
            self._band[self._filled : self._filled + count] = stored[done : done + count]
            self._filled, done = self._filled + count, done + count
            if self._filled == self._band.size:
                self._put()
        self.left -= stored.size

    def _put(self) -> None:
        """Put the chunks of the band, which is whole."""
        band = self._band.reshape(-1, *self.about.shape[1:])
        counts = [-(-n // side) for n, side in zip(band.shape, self._sides, strict=True)]
        first = self._start // self._sides[0] * math.prod(counts[1:])
        for number, steps in enumerate(np.ndindex(*counts), first):
            places = [slice(i * side, (i + 1) * side) for i, side in zip(steps, self._sides, strict=True)]
            part = band[tuple(places)]
            if number not in self._replaced and (_bits(part) == _bits(self._implied)).all():
                continue
            chunk = np.zeros(self._sides, self.about.stored)
            chunk[tuple(map(slice, part.shape))] = part
            self._file.put(self.about, number, chunk)
        self._start, self._filled = self._start + len(band), 0

    def close(self) -> None:
        self._file.end(self.about)


def _bits(values: Values) -> Values:
    return np.ascontiguousarray(values).reshape(-1).view(np.uint8).reshape(-1, values.itemsize)
