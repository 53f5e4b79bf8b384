"""Writes HDF5 files: from a skeleton and its tensors, or from tensors alone."""

import math
import os
from collections.abc import Set
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ...container.budget import Budget
from ...errors import Corrupt, UnsupportedFeature
from ..formats import deflate_work
from ..names import Names
from ..skeleton import SKELETON, SkeletonSink
from .access import Access, access, reporting
from .coded.sink import CodedSink
from .dataset import Dataset, Survey, plain
from .handle import Tail
from .process.packing import shrink

_DEAD, _MUCH = 1 / 8, 1 << 16  # the share, and the bytes, of a file without use for which it is written anew
WORK_PER_CHUNK, WORK_PER_FILTERED_BYTE = 1 << 14, 2  # about nanoseconds; for each filter, besides deflating

Values = np.ndarray[Any, Any]


class Writer:
    """Makes an HDF5 file of its skeleton (which must come first) and the tensors that belong into
    it; or, of tensors alone, a file with plain datasets and a group for each "/" in a name.

    meta: its "names" are those of the tensors that should come. A tensor whose values did not all
    arrive is left out, with every link to it; `left_out` has its name then. trust: let the HDF5
    library write within this process. Raises InvalidInput for names that collide or are no paths,
    Corrupt when skeleton and tensors do not fit. Nothing outside the file is read or written,
    whatever external links or storage the skeleton declares. LimitExceeded when many small chunks,
    chunks larger than their dataset, or filters take work or memory that the budget does not allow.
    The skeleton, not `meta`, says what the file is made of.
    """

    def __init__(self, path: Path, meta: dict[str, Any], budget: Budget | None = None, trust: bool = False) -> None:
        self._path, self._trust = path, trust
        self._budget = budget or Budget()
        self._expected = _texts(meta.get("names"))
        self._image: SkeletonSink | None = None
        self._file: BinaryIO | None = None
        self._access: Access | None = None
        self._missing: dict[str, Dataset] = {}  # the skeleton's datasets that no tensor came for yet
        self._kept: Set[str] = frozenset()
        self._chunked: list[Dataset] = []
        self._whole = 0  # bytes of the skeleton with its holes, up to the end that HDF5 knows
        self._tail: Tail | None = None
        self._names = Names()
        self._sink: CodedSink | _DatasetSink | _BytesSink | None = None
        self.left_out: list[str] = []

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._close()

    def add(
        self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]
    ) -> "SkeletonSink | CodedSink | _DatasetSink | _BytesSink":
        """Begin a tensor; the result's `write(start, values)` takes its values in order."""
        if name == SKELETON:
            if self._image or self._access:
                raise Corrupt(f"the record {name!r} must come first, and once")
            self._image = SkeletonSink(self._path, dtype, shape)
            return self._image
        self._end_tensor()
        hdf5 = self._opened()
        add = self._new if self._image is None else self._known
        self._sink = add(hdf5, name, dtype, tuple(shape))
        return self._sink

    def _opened(self) -> Access:
        if self._access is None and self._image is not None:
            self._open_image(self._image)
        elif self._access is None:
            self._file = open(self._path, "w+b")  # noqa: SIM115 (closed by _close)
            self._access = access(self._file, self._trust)
            with reporting(self._path):
                self._access.create()
        assert self._access
        return self._access

    def _open_image(self, image: SkeletonSink) -> None:
        image.close()
        if not image.complete:
            raise Corrupt("the skeleton of the HDF5 file is not whole")
        self._file = open(self._path, "r+b")  # noqa: SIM115 (closed by _close)
        self._access = access(self._file, self._trust)
        with reporting("the skeleton of the HDF5 file", Corrupt):
            survey: Survey = self._access.survey()
            self._keep_tail(self._file, image)
        if not survey.fits(_size(self._file)):
            raise Corrupt("the datasets of the skeleton overlap, or lie beyond its end")
        self._missing, self._kept = dict(survey.datasets), survey.kept.keys()
        self._chunked = [about for about in survey.datasets.values() if about.chunks is not None]
        packed = [about for about in survey.datasets.values() if about.filters and about.coded is None]
        gone = [about for about in packed if not self._is_in_skeleton(about)]
        if gone:
            for about in gone:
                self._budget.spend(about.name, WORK_PER_CHUNK * about.chunk_count)
            with reporting("the skeleton of the HDF5 file", Corrupt):
                self._access.blank(gone)

    def _keep_tail(self, file: BinaryIO, image: SkeletonSink) -> None:
        """Keep what stands behind the end that HDF5 knows, unless it has values of a tensor."""
        size = _size(file)
        tail = Tail(file, size)
        self._whole = tail.start
        if image.meets_hole(tail.start, size - tail.start):
            tail.close()
        else:
            self._tail = tail

    def _known(
        self, hdf5: Access, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]
    ) -> "CodedSink | _DatasetSink | _BytesSink":
        if name in self._kept:
            raise UnsupportedFeature(
                f"the dataset {name!r} needs a compression filter that this installation of HDF5 lacks; install it (see "
                "hdf5plugin), or decode to another format"
            )
        about = self._missing.pop(name, None)
        if about is None:
            raise Corrupt(f"the skeleton of the HDF5 file has no place for the tensor {name!r}")
        if about.dtype != dtype or about.shape != shape:
            raise Corrupt(f"{name!r} is {dtype} of shape {shape}, but {about.dtype} of {about.shape} in the skeleton")
        if about.contiguous:
            assert self._file
            return _BytesSink(self._file, about)
        self._pay(about)
        with reporting(f"dataset {name!r}", Corrupt):
            if about.coded is not None:
                return CodedSink(hdf5, about, _as_stored)
            return _DatasetSink(hdf5, about, hdf5.begin(about), self._budget)

    def _new(self, hdf5: Access, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> "_DatasetSink":
        about = plain(self._names.add(name), dtype, shape)
        with reporting(f"dataset {about.name!r}"):
            hdf5.add(about)
        return _DatasetSink(hdf5, about, np.zeros(1, about.stored), self._budget)

    def _end_tensor(self) -> None:
        """Close the tensor before; one that is not whole is left out."""
        sink, self._sink = self._sink, None
        if sink is None:
            return
        with reporting(f"dataset {sink.about.name!r}"):
            sink.close()
        if sink.left:
            self.left_out.append(sink.about.name)

    def _finish(self) -> None:
        self._end_tensor()
        hdf5 = self._opened()
        for about in self._missing.values():
            if about.name in self._expected:
                self.left_out.append(about.name)
            elif not self._is_in_skeleton(about):
                raise Corrupt(
                    f"the file has no record of the dataset {about.name!r}, and its metadata does not name it"
                )
        with reporting(self._path):
            if self.left_out:
                hdf5.remove(frozenset(self.left_out))
            used = self._used(hdf5) if self._chunked else math.inf
            hdf5.close()
        if self._file and _size(self._file) > used + max(_MUCH, _DEAD * used):
            shrink(self._file)
        if self._file and self._tail:
            self._tail.restore(self._file)

    def _used(self, hdf5: Access) -> int:
        """The bytes that the file would have without the room that its chunks left."""
        names = {about.name for about in self._chunked} - set(self.left_out)
        return self._whole - sum(about.stored_bytes for about in self._chunked) + hdf5.stored(names)

    def _is_in_skeleton(self, about: Dataset) -> bool:
        """Whether the skeleton holds all bytes of a dataset.

        It does when the HDF5 library of the encoder could not read them.
        """
        placed = about.ranges or not about.stored_bytes or about.chunks is None
        return bool(placed) and not any(self._image and self._image.meets_hole(*place) for place in about.ranges)

    def _pay(self, about: Dataset) -> None:
        """Count what HDF5 takes for the chunks of a dataset, whatever they hold."""
        if about.chunks is not None:
            each = WORK_PER_CHUNK + about.filters * about.chunk_bytes * WORK_PER_FILTERED_BYTE
            self._budget.spend(about.name, about.chunk_count * each, max(about.chunk_bytes - about.nbytes, 0))

    def _close(self) -> None:
        try:
            if self._access:
                with reporting(self._path):
                    self._access.close()
        finally:
            for file in (self._image, self._file, self._tail):
                if file:
                    file.close()


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


class _BytesSink:
    """Takes the values of contiguous storage to their place in the file, without HDF5."""

    def __init__(self, file: BinaryIO, about: Dataset) -> None:
        self._file, self.about, self.left = file, about, about.size

    def write(self, start: int, values: Values) -> None:
        stored = _as_stored(values, self.about)
        self._file.seek(self.about.ranges[0][0] + start * stored.itemsize)
        self._file.write(stored.tobytes())
        self.left -= values.size

    def close(self) -> None:
        self._file.flush()


class _DatasetSink:
    """Takes a dataset's values in order.

    Where storage is blank, runs of the fill value are not written, so that what was never allocated
    stays so. (Contiguous storage is allocated as a whole, with any bytes: only a first run can be
    left.)
    """

    def __init__(self, hdf5: Access, about: Dataset, implied: Values | None, budget: Budget) -> None:
        self._hdf5, self.about, self._budget = hdf5, about, budget
        self._implied = implied  # what blank storage reads as
        self._skipped = 0
        self.left = about.size

    def write(self, start: int, values: Values) -> None:
        stored = _as_stored(values, self.about)
        with reporting(f"dataset {self.about.name!r}"):
            if self._implied is not None and (_bytes_of(stored) == _bytes_of(self._implied)).all():
                self._skipped = start + values.size
            else:
                self._begin_contiguous()
                if self.about.filters:
                    self._budget.spend(self.about.name, deflate_work(stored))
                self._hdf5.write(self.about, start, stored)
        self.left -= values.size

    def _begin_contiguous(self) -> None:
        if self.about.chunks is None and self._implied is not None:
            self._hdf5.fill(self.about, self._skipped, self._implied)
            self._implied = None

    def close(self) -> None:
        self._hdf5.end(self.about)


def _as_stored(values: Values, about: Dataset) -> Values:
    return np.ascontiguousarray(values).view(about.stored.newbyteorder("=")).astype(about.stored, copy=False)


def _bytes_of(values: Values) -> Values:
    return values.view(np.uint8).reshape(-1, values.itemsize)


def _texts(names: object) -> frozenset[str]:
    return frozenset(name for name in names if isinstance(name, str)) if isinstance(names, list) else frozenset()
