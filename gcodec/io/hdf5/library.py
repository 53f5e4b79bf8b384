"""The HDF5 library's part: what is done to one file with it. Nothing else of gcodec calls the library."""

import os
from collections import OrderedDict
from collections.abc import Set
from dataclasses import replace
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5p, h5s, h5t

from ..raw import raw_dtype
from .dataset import Dataset, Survey
from .tree import remove, survey
from .types import DTYPE_ATTRIBUTE
from .values import blank, blanked, fill_bits, open_dataset, read_values, write_run, write_values

OPEN_DATASETS = 4  # datasets that stay open with their caches


class Library:
    """One file in the hands of the HDF5 library: an Access.

    The file is opened for writing only when something has to be written through HDF5, which changes a superblock by that
    alone. Raises whatever h5py raises.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._open: OrderedDict[str, h5d.DatasetID] = OrderedDict()
        self._h5: h5py.File | None = None

    def survey(self) -> Survey:
        self._h5 = h5py.File(self._path, "r", driver="sec2")
        found = survey(self._h5, os.stat(self._path).st_size)
        if not self._h5.userblock_size:
            return found
        return replace(found, datasets={name: self._placed(about) for name, about in found.datasets.items()})

    def _placed(self, about: Dataset) -> Dataset:
        """With a user block, releases of HDF5 differ in where they count a chunk's offset from. When the first chunk is not
        where it is said to be, the dataset has no ranges."""
        assert self._h5
        if about.chunks is None or not about.ranges:
            return about
        dataset = self._dataset(about)
        _, data = dataset.read_direct_chunk(dataset.get_chunk_info(0).chunk_offset)
        there = os.pread(self._h5.id.get_vfd_handle(), len(data), about.ranges[0][0])
        return about if there == data else replace(about, ranges=())

    def create(self) -> None:
        self._h5 = h5py.File(self._path, "w", driver="sec2")

    def read(self, about: Dataset, start: int, stop: int) -> np.ndarray[Any, Any]:
        return read_values(self._dataset(about), about, start, stop)

    def add(self, about: Dataset) -> None:
        space = h5s.create_simple(about.shape) if about.shape else h5s.create(h5s.SCALAR)
        raw = raw_dtype(about.dtype)
        dataset = h5d.create(
            self._writable().id, about.name.encode(), h5t.py_create(raw, logical=True), space, *_properties()
        )
        if raw != about.dtype:
            h5py.Dataset(dataset).attrs[DTYPE_ATTRIBUTE] = about.dtype.name

    def begin(self, about: Dataset) -> np.ndarray[Any, Any] | None:
        file = self._writable()
        if about.filters and about.stored_bytes:  # the dataset is opened anew afterwards: open, it would not notice
            blank(open_dataset(file.id, about), about)
        is_blank = not about.stored_bytes or blanked(about)
        return fill_bits(self._dataset(about), about) if is_blank else None

    def write(self, about: Dataset, start: int, values: np.ndarray[Any, Any]) -> None:
        write_values(self._dataset(about), about, start, values)

    def fill(self, about: Dataset, stop: int, value: np.ndarray[Any, Any]) -> None:
        write_run(self._dataset(about), about, stop, value)

    def end(self, about: Dataset) -> None:
        if about.name in self._open:
            self._open.pop(about.name).close()

    def remove(self, names: Set[str]) -> None:
        self._open.clear()
        remove(self._writable(), names)

    def close(self) -> None:
        self._open.clear()
        if self._h5:
            self._h5.close()

    def _dataset(self, about: Dataset) -> h5d.DatasetID:
        assert self._h5
        dataset = self._open.pop(about.name, None) or open_dataset(self._h5.id, about)
        self._open[about.name] = dataset
        while len(self._open) > OPEN_DATASETS:
            self._open.popitem(last=False)
        return dataset

    def _writable(self) -> h5py.File:
        if self._h5 is None or self._h5.mode == "r":
            self.close()
            self._h5 = h5py.File(self._path, "r+", driver="sec2")
        return self._h5


def _properties() -> tuple[h5p.PropDCID, h5p.PropLCID]:
    """Those of a new dataset, without times, so that the same tensors give the same file; and those of its link, with the
    groups above."""
    create, link = h5p.create(h5p.DATASET_CREATE), h5p.create(h5p.LINK_CREATE)
    create.set_obj_track_times(False)
    link.set_create_intermediate_group(True)
    link.set_char_encoding(h5t.CSET_UTF8)
    return create, link
