"""HDF5 files as tensors: a skeleton, which is the file without its numbers, and each numeric dataset.

How the two fit together is written in spec/interchange.md §2.
"""

import os
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from threading import Lock

import h5py
import numpy as np
from h5py import h5d

from ..source import Source
from .hdf5_dataset import Dataset, open_dataset, read_values
from .hdf5_tree import reporting, survey
from .hdf5_writer import Writer
from .npy import FileSource
from .skeleton import SKELETON, SkeletonSource, holes, is_skeleton

__all__ = ["SKELETON", "Reader", "Writer", "is_skeleton"]

OPEN_DATASETS = 4  # chunked datasets whose caches a reader keeps


class Reader:
    """An HDF5 file as tensors: its skeleton first, then every numeric dataset by its path.

    meta: {"format": "h5", "kept": the number of datasets that are in the skeleton alone}. Raises InvalidInput when HDF5
    cannot read the file. External links, virtual datasets and external storage are never followed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = open(path, "rb")  # noqa: SIM115 (closed by __exit__)
        self._open: OrderedDict[str, h5d.DatasetID] = OrderedDict()
        self._lock = Lock()
        try:
            with reporting(path):
                self._h5 = h5py.File(path, "r")
                self._datasets, kept = survey(self._h5)
        except BaseException:
            self._file.close()
            raise
        self.meta: dict[str, object] = {"format": "h5", "kept": len(kept)}

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.clear()
        self._h5.close()
        self._file.close()

    def tensors(self) -> Iterator[tuple[str, Source]]:
        size = os.fstat(self._file.fileno()).st_size
        with reporting(self._path):
            ranges = [found for about in self._datasets.values() for found in self._ranges(about)]
        yield SKELETON, SkeletonSource(self._file, size, holes(ranges, size))
        for name, about in self._datasets.items():
            if about.contiguous:
                yield name, FileSource(self._file, about.ranges[0][0], about.stored, about.dtype, about.shape)
            else:
                yield name, _DatasetSource(self, about)

    def read(self, about: Dataset, start: int, stop: int) -> np.ndarray:
        """Values of a dataset through HDF5, one call at a time; the last few datasets stay open with their caches."""
        with self._lock, reporting(f"{self._path}: dataset {about.name!r}"):
            dataset = self._open.pop(about.name, None) or open_dataset(self._h5.id, about)
            self._open[about.name] = dataset
            while len(self._open) > OPEN_DATASETS:
                self._open.popitem(last=False)
            return read_values(dataset, about, start, stop)

    def _ranges(self, about: Dataset) -> tuple[tuple[int, int], ...]:
        """The bytes of a dataset that the skeleton leaves out.

        With a user block, releases of HDF5 differ in where they count a chunk's offset from. When the first chunk is not
        where it is said to be, nothing is left out.
        """
        if about.chunks is None or not about.ranges or not self._h5.userblock_size:
            return about.ranges
        dataset = open_dataset(self._h5.id, about)
        _, data = dataset.read_direct_chunk(dataset.get_chunk_info(0).chunk_offset)
        there = os.pread(self._file.fileno(), len(data), about.ranges[0][0])
        return about.ranges if there == data else ()


class _DatasetSource:
    """A dataset that HDF5 has to read (in chunks, compressed, or within its header) as a Source."""

    def __init__(self, reader: Reader, about: Dataset) -> None:
        self._reader, self._about = reader, about
        self.dtype, self.shape = about.dtype, about.shape

    @property
    def size(self) -> int:
        return self._about.size

    def read(self, start: int, stop: int) -> np.ndarray:
        return self._reader.read(self._about, start, stop)
