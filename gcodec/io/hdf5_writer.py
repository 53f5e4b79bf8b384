"""Writes HDF5 files: from a skeleton and its tensors, or from tensors alone."""

import math
from pathlib import Path
from typing import BinaryIO

import h5py
import numpy as np
from h5py import h5d, h5p, h5s, h5t

from ..container.budget import Budget
from ..errors import Corrupt, LimitExceeded, UnsupportedFeature
from .filters import deflate_work
from .hdf5_dataset import DTYPE_ATTRIBUTE, Dataset, fill_bits, open_dataset, write_values
from .hdf5_tree import reporting, survey
from .names import Names
from .raw import raw_dtype
from .skeleton import SkeletonSink, is_skeleton

WORK_PER_CHUNK, WORK_PER_FILTERED_BYTE = 1 << 14, 2  # about nanoseconds; for each filter, besides deflating
BLOCK = 1 << 20  # values written at once when a missing dataset is filled
FREE_FILL = 1 << 28  # bytes of fill values and of chunks larger than their dataset, which no record pays for


class Writer:
    """Makes an HDF5 file of its skeleton (which must come first) and the tensors that belong into it; or, of tensors
    alone, a file with plain datasets and a group for each "/" in a name.

    A tensor whose values did not all arrive counts as missing: its dataset has its fill value, or is not made. Raises
    InvalidInput for names that collide or are no paths, Corrupt when skeleton and tensors do not fit. Nothing outside
    the file is written, whatever external links or storage the skeleton declares. LimitExceeded when more than the
    budget's limit of bytes (default: 256 MiB) would be filled that came in no record, or when many small chunks or filters
    take work that it does not allow. The skeleton, not `meta`, says what the
    file is made of.
    """

    def __init__(self, path: Path, meta: dict, budget: Budget | None = None) -> None:
        self._path = path
        self._budget = budget or Budget()
        self._allowed = self._left = FREE_FILL if self._budget.limit is None else self._budget.limit
        self._image: SkeletonSink | None = None
        self._h5: h5py.File | None = None
        self._missing: dict[str, Dataset] = {}  # of the skeleton
        self._kept: set[str] = set()
        self._names = Names(tree=True)
        self._properties = _properties()
        self._sink: _DatasetSink | _BytesSink | None = None
        self._raw: BinaryIO | None = None  # the file under HDF5, for data that lie in it as they are

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._close()

    def add(self, name: str, dtype: np.dtype, shape: tuple[int, ...]) -> "SkeletonSink | _DatasetSink | _BytesSink":
        """Begin a tensor; the result's `write(start, values)` takes its values in order."""
        if is_skeleton(name):
            if self._image or self._h5:
                raise Corrupt(f"the record {name!r} must come first, and once")
            self._image = SkeletonSink(self._path, dtype, shape)
            return self._image
        self._end_tensor()
        file = self._file()
        self._sink = (
            self._new(file, name, dtype, shape) if self._image is None else self._known(file, name, dtype, shape)
        )
        return self._sink

    def _file(self) -> h5py.File:
        if self._h5 is None and self._image is not None:
            self._open_image(self._image)
        elif self._h5 is None:
            with reporting(self._path):
                self._h5 = h5py.File(self._path, "w")
        return self._h5

    def _open_image(self, image: SkeletonSink) -> None:
        image.close()
        if not image.complete:
            raise Corrupt("the skeleton of the HDF5 file is not whole")
        with reporting("the skeleton of the HDF5 file", Corrupt):
            self._h5 = h5py.File(self._path, "r+")
            self._raw = open(self._path, "r+b")  # noqa: SIM115 (closed by _close)
            self._missing, self._kept = survey(self._h5)

    def _known(
        self, file: h5py.File, name: str, dtype: np.dtype, shape: tuple[int, ...]
    ) -> "_DatasetSink | _BytesSink":
        if name in self._kept:
            raise UnsupportedFeature(
                f"the dataset {name!r} needs a compression filter that this installation of HDF5 lacks; install it (see "
                "hdf5plugin), or decode to another format"
            )
        about = self._missing.pop(name, None)
        if about is None:
            raise Corrupt(f"the skeleton of the HDF5 file has no place for the tensor {name!r}")
        if about.dtype != dtype or about.shape != tuple(shape):
            raise Corrupt(f"{name!r} is {dtype} of shape {shape}, but {about.dtype} of {about.shape} in the skeleton")
        if about.contiguous and self._raw:
            return _BytesSink(self._raw, about)
        self._begin(about)
        with reporting(f"dataset {name!r}", Corrupt):
            if about.filtered and about.stored_bytes:
                _blank(
                    open_dataset(file.id, about), about
                )  # closed before the next one is opened, which would not notice
            dataset = open_dataset(file.id, about)
            blank = not about.stored_bytes or _blanked(about)
            return _DatasetSink(dataset, about, fill_bits(dataset, about) if blank else None, self._budget)

    def _new(self, file: h5py.File, name: str, dtype: np.dtype, shape: tuple[int, ...]) -> "_DatasetSink":
        name = self._names.add(name)
        raw = raw_dtype(dtype)
        stored = np.dtype(np.int8) if raw.kind == "b" else raw
        with reporting(f"dataset {name!r}"):
            space = h5s.create_simple(shape) if shape else h5s.create(h5s.SCALAR)
            kind = h5t.py_create(raw, logical=True)
            dataset = h5d.create(file.id, name.encode(), kind, space, *self._properties)
            if raw != dtype:
                h5py.Dataset(dataset).attrs[DTYPE_ATTRIBUTE] = dtype.name
        return _DatasetSink(
            dataset, Dataset(name, stored, dtype, tuple(shape), None, 0, (), 0), np.zeros(1, stored), self._budget
        )

    def _end_tensor(self) -> None:
        """Close the tensor before; one that is not whole is taken back."""
        if self._sink is None:
            return
        sink, self._sink = self._sink, None
        with reporting(f"dataset {sink.about.name!r}"):
            sink.close()
            if sink.left and self._image is None:
                del self._file()[sink.about.name]
            elif sink.left:
                self._reset(sink.about, sink.about.size - sink.left)

    def _finish(self) -> None:
        self._end_tensor()
        file = self._file()
        with reporting(self._path):
            for about in self._missing.values():
                if about.stored_bytes:
                    self._reset(about, 0)
            file.close()

    def _reset(self, about: Dataset, written: int) -> None:
        """Give a dataset its fill value; `written` values of it came."""
        self._begin(about)
        dataset = open_dataset(self._file().id, about)
        fill = _fill(dataset, about)
        if about.filtered:
            _blank(dataset, about)
        elif self._is_hole(about) and not _bytes_of(fill).any():
            _write_run(dataset, about, written, fill)  # all else is zeros already
        else:
            self._spend(about, about.nbytes)
            _write_run(dataset, about, about.size, fill)

    def _is_hole(self, about: Dataset) -> bool:
        """Whether the skeleton left out all bytes of a dataset. (Of chunks behind a user block the place is not sure.)"""
        if self._image is None or not about.ranges or (about.chunks and self._file().userblock_size):
            return False
        return all(self._image.is_hole(offset, length) for offset, length in about.ranges)

    def _begin(self, about: Dataset) -> None:
        """Count what HDF5 takes for the chunks of a dataset, whatever they hold."""
        if about.chunks is None:
            return
        count = math.prod(-(-n // chunk) for n, chunk in zip(about.shape, about.chunks, strict=True))
        each = WORK_PER_CHUNK + about.filters * about.chunk_bytes * WORK_PER_FILTERED_BYTE
        self._budget.spend(about.name, count * each, max(about.chunk_bytes - about.nbytes, 0))

    def _spend(self, about: Dataset, nbytes: int) -> None:
        """Count bytes that are about to be written though no record brought them."""
        self._left -= max(0, nbytes)
        if self._left < 0:
            raise LimitExceeded(
                f"dataset {about.name!r} has the file filled with {nbytes:,} bytes that no record brings; the limit of all is "
                f"{self._allowed:,}. If you trust the file, raise it with --limit"
            )

    def _close(self) -> None:
        if self._image:
            self._image.close()
        if self._raw:
            self._raw.close()
        if self._h5:
            with reporting(self._path):
                self._h5.close()


class _BytesSink:
    """Takes the values of contiguous storage to their place in the file, without HDF5."""

    def __init__(self, file: BinaryIO, about: Dataset) -> None:
        self._file, self.about, self.left = file, about, about.size

    def write(self, start: int, values: np.ndarray) -> None:
        stored = _as_stored(values, self.about)
        self._file.seek(self.about.ranges[0][0] + start * stored.itemsize)
        self._file.write(stored.tobytes())
        self.left -= values.size

    def close(self) -> None:
        self._file.flush()


class _DatasetSink:
    """Takes a dataset's values in order. Where storage is blank, runs of the fill value are not written, so that what was
    never allocated stays so. (Contiguous storage is allocated as a whole, with any bytes: only a first run can be left.)
    """

    def __init__(self, dataset: h5d.DatasetID, about: Dataset, implied: np.ndarray | None, budget: Budget) -> None:
        self._dataset, self.about, self._budget = dataset, about, budget
        self._implied = implied  # what blank storage reads as
        self._skipped = 0
        self.left = about.size

    def write(self, start: int, values: np.ndarray) -> None:
        with reporting(f"dataset {self.about.name!r}"):
            stored = _as_stored(values, self.about)
            if self._implied is not None and (_bytes_of(stored) == _bytes_of(self._implied)).all():
                self._skipped = start + values.size
            else:
                self._begin_contiguous()
                if self.about.filtered:
                    self._budget.spend(self.about.name, deflate_work(stored))
                write_values(self._dataset, self.about, start, stored)
        self.left -= values.size

    def _begin_contiguous(self) -> None:
        if self.about.chunks is None and self._implied is not None:
            _write_run(self._dataset, self.about, self._skipped, self._implied)
            self._implied = None

    def close(self) -> None:
        self._dataset.close()


def _as_stored(values: np.ndarray, about: Dataset) -> np.ndarray:
    return np.ascontiguousarray(values).view(about.stored.newbyteorder("=")).astype(about.stored, copy=False)


def _bytes_of(values: np.ndarray) -> np.ndarray:
    return values.view(np.uint8).reshape(-1, values.itemsize)


def _blanked(about: Dataset) -> bool:
    return about.filtered and not about.one_chunk


def _blank(dataset: h5d.DatasetID, about: Dataset) -> None:
    """Take the compressed chunks out of a dataset, unread: what the skeleton says of their place and length is history.

    HDF5 does not release the only chunk of a dataset that shrinks; an uncompressed one takes its place instead.
    """
    if _blanked(about):
        dataset.set_extent((0, *about.shape[1:]))
        dataset.set_extent(about.shape)
    else:
        chunk = np.full(about.chunks or (), _fill(dataset, about), about.stored)
        dataset.write_direct_chunk((0,) * len(about.shape), chunk.tobytes(), 0xFFFFFFFF)


def _write_run(dataset: h5d.DatasetID, about: Dataset, stop: int, value: np.ndarray) -> None:
    """Write one value at all flat indices below `stop`."""
    for start in range(0, stop, BLOCK):
        write_values(dataset, about, start, np.full(min(BLOCK, stop - start), value, about.stored))


def _fill(dataset: h5d.DatasetID, about: Dataset) -> np.ndarray:
    fill = fill_bits(dataset, about)
    return np.zeros(1, about.stored) if fill is None else fill


def _properties() -> tuple[h5p.PropDCID, h5p.PropLCID]:
    """Of a new dataset, without times so that the same tensors give the same file; and of its link, with the groups above."""
    create, link = h5p.create(h5p.DATASET_CREATE), h5p.create(h5p.LINK_CREATE)
    create.set_obj_track_times(False)
    link.set_create_intermediate_group(True)
    link.set_char_encoding(h5t.CSET_UTF8)
    return create, link
