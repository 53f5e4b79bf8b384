"""The HDF5 library's part: what is done to one file with it.

Nothing else of gcodec calls the library.
"""

import os
from collections import OrderedDict
from collections.abc import Callable, Sequence, Set
from dataclasses import replace
from functools import wraps
from typing import Any, TypeVar, cast

import h5py
import numpy as np
from h5py import h5d, h5p, h5s, h5t

from ..raw import raw_dtype
from .dataset import Dataset, Survey
from .handle import Handle
from .tree import remove, survey
from .types import DTYPE_ATTRIBUTE
from .values import blank, blanked, fill_bits, open_dataset, read_values, write_run, write_values

NO_FILTER = 0xFFFFFFFF  # a chunk's mask that leaves all filters out
OPEN_DATASETS = 4  # datasets that stay open with their caches


Method = TypeVar("Method", bound=Callable[..., Any])


def _checked(method: Method) -> Method:
    """A method that raises what the operating system refused, rather than what came of it."""

    @wraps(method)
    def call(self: "Library", *args: Any) -> Any:
        try:
            return method(self, *args)
        finally:
            self._handle.check()

    return cast(Method, call)


class Library:
    """One file, behind an open descriptor, in the hands of the HDF5 library: an Access.

    The file is opened for writing only when something has to be written through HDF5, which changes
    a superblock by that alone. Raises whatever h5py raises.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._handle = descriptor, Handle(descriptor)
        self._open: OrderedDict[str, h5d.DatasetID] = OrderedDict()
        self._h5: h5py.File | None = None
        self._blanked: set[str] = set()

    @_checked
    def survey(self) -> Survey:
        self._h5 = h5py.File(self._handle, "r")
        found = survey(self._h5, os.fstat(self._descriptor).st_size)
        if not self._h5.userblock_size:
            return found
        return replace(found, datasets={name: self._placed(about) for name, about in found.datasets.items()})

    def _placed(self, about: Dataset) -> Dataset:
        """With a user block, releases of HDF5 differ in where they count a chunk's offset from.

        When the first chunk is not where it is said to be, the dataset has no ranges.
        """
        assert self._h5
        if about.chunks is None or not about.ranges:
            return about
        dataset = self._dataset(about)
        _, data = dataset.read_direct_chunk(dataset.get_chunk_info(0).chunk_offset)
        there = os.pread(self._descriptor, len(data), about.ranges[0][0])
        return about if there == data else replace(about, ranges=())

    @_checked
    def create(self) -> None:
        self._h5 = h5py.File(self._handle, "w")

    @_checked
    def read(self, about: Dataset, start: int, stop: int) -> np.ndarray[Any, Any]:
        return read_values(self._dataset(about), about, start, stop)

    @_checked
    def add(self, about: Dataset) -> None:
        space = h5s.create_simple(about.shape) if about.shape else h5s.create(h5s.SCALAR)
        raw = raw_dtype(about.dtype)
        dataset = h5d.create(
            self._writable().id, about.name.encode(), h5t.py_create(raw, logical=True), space, *_properties()
        )
        if raw != about.dtype:
            h5py.Dataset(dataset).attrs[DTYPE_ATTRIBUTE] = about.dtype.name

    @_checked
    def blank(self, datasets: Sequence[Dataset]) -> None:
        file = self._writable()
        for about in datasets:  # each is opened anew afterwards: open, it would not notice
            blank(open_dataset(file.id, about), about)
            self._blanked.add(about.name)

    @_checked
    def begin(self, about: Dataset) -> np.ndarray[Any, Any] | None:
        self._writable()
        if about.filters and about.stored_bytes and about.name not in self._blanked:
            self.blank([about])
        is_blank = not about.stored_bytes or blanked(about)
        return fill_bits(self._dataset(about), about) if is_blank else None

    @_checked
    def write(self, about: Dataset, start: int, values: np.ndarray[Any, Any]) -> None:
        write_values(self._dataset(about), about, start, values)

    @_checked
    def fill(self, about: Dataset, stop: int, value: np.ndarray[Any, Any]) -> None:
        write_run(self._dataset(about), about, stop, value)

    @_checked
    def chunk(self, about: Dataset, number: int) -> tuple[int, bytes]:
        found: tuple[int, bytes] = self._dataset(about).read_direct_chunk(about.chunk_offset(number))
        return found

    @_checked
    def blank_value(self, about: Dataset) -> np.ndarray[Any, Any]:
        value = fill_bits(self._dataset(about), about)
        return np.zeros(1, about.stored) if value is None else value

    @_checked
    def put(self, about: Dataset, number: int, values: np.ndarray[Any, Any]) -> None:
        self._writable()
        self._dataset(about).write_direct_chunk(about.chunk_offset(number), values.tobytes(), NO_FILTER)

    @_checked
    def end(self, about: Dataset) -> None:
        if about.name in self._open:
            self._open.pop(about.name).close()

    @_checked
    def stored(self, names: Set[str]) -> int:
        self._open.clear()
        file = self._writable()
        file.flush()
        return sum(int(h5d.open(file.id, name.encode()).get_storage_size()) for name in names)

    @_checked
    def remove(self, names: Set[str]) -> None:
        self._open.clear()
        remove(self._writable(), names)

    @_checked
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
            self._h5 = h5py.File(self._handle, "r+")
        return self._h5


def _properties() -> tuple[h5p.PropDCID, h5p.PropLCID]:
    """Of a new dataset, without times, so that equal tensors give equal files; and of its link."""
    create, link = h5p.create(h5p.DATASET_CREATE), h5p.create(h5p.LINK_CREATE)
    create.set_obj_track_times(False)
    link.set_create_intermediate_group(True)
    link.set_char_encoding(h5t.CSET_UTF8)
    return create, link
