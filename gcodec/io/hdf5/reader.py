"""Reads HDF5 files: the skeleton first, then every numeric dataset by its path."""

import os
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from ...errors import InvalidInput
from ...source import Source
from ..arrays.npy import FileSource
from ..skeleton import SKELETON, SkeletonSource, holes
from ..streams import open_input
from ..uncoded import Uncoded, listed
from .access import access, reporting
from .coded.source import CodedSource, Decode
from .dataset import Dataset


class Reader:
    """An HDF5 file as tensors: its skeleton first, then every numeric dataset by its path.

    trust: let the HDF5 library read the file within this process. decode: what gives the array of a
    container; without it, datasets whose chunks are containers are in the skeleton alone. meta:
    {"format": "h5", "kept": the number of datasets that are in the skeleton alone, "uncoded":
    these}. Raises InvalidInput when HDF5 cannot read the file, Corrupt when it dies of it. External
    links, virtual datasets and external storage are never followed.
    """

    def __init__(self, path: Path, trust: bool = False, decode: Decode | None = None) -> None:
        self._path = path
        self._lock = Lock()
        self._file = open_input(path)
        try:
            self._size = os.fstat(self._file.fileno()).st_size
            self._access = access(self._file, trust)
        except BaseException:
            self._file.close()
            raise
        try:
            with reporting(path, remedy="it was cut or damaged: fetch or write it again"):
                survey = self._access.survey()
            if not survey.fits(self._size):
                raise InvalidInput(f"{path}: the data of its datasets overlap, or lie beyond its end; write it again")
        except BaseException:
            self._close()
            raise
        self._decode = decode
        self._datasets = {
            name: about for name, about in survey.datasets.items() if decode is not None or about.coded is None
        }
        coded = [about for about in survey.datasets.values() if about.name not in self._datasets]
        kept = [*survey.kept.values(), *(Uncoded(one.name, one.stored_bytes, "chunks of gcodec") for one in coded)]
        self.meta: dict[str, object] = {"format": "h5", "kept": len(kept), **listed(kept)}

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def tensors(self) -> Iterator[tuple[str, Source]]:
        ranges = [place for about in self._datasets.values() for place in about.ranges]
        yield SKELETON, SkeletonSource(self._file, self._size, holes(ranges, self._size))
        for name, about in self._datasets.items():
            if about.coded is not None and self._decode is not None:
                yield name, CodedSource(self, about, self._decode)
            elif about.contiguous:
                yield (
                    name,
                    FileSource(self._file, about.ranges[0][0], about.stored, about.dtype, about.shape, about.marks),
                )
            else:
                yield name, _DatasetSource(self, about)

    def read(self, about: Dataset, start: int, stop: int) -> np.ndarray[Any, Any]:
        """Values of a dataset through HDF5, one call at a time."""
        with self._lock, reporting(f"{self._path}: dataset {about.name!r}"):
            stored = self._access.read(about, start, stop)
        return stored.astype(about.stored.newbyteorder("="), copy=False).view(about.dtype)

    def chunk(self, about: Dataset, number: int) -> tuple[int, bytes]:
        """Mask and bytes of a stored chunk, one call at a time."""
        with self._lock, reporting(f"{self._path}: dataset {about.name!r}"):
            return self._access.chunk(about, number)

    def blank_value(self, about: Dataset) -> np.ndarray[Any, Any]:
        """The value of what is not stored, one call at a time."""
        with self._lock, reporting(f"{self._path}: dataset {about.name!r}"):
            return self._access.blank_value(about)

    def _close(self) -> None:
        try:
            with reporting(self._path):
                self._access.close()
        finally:
            self._file.close()


class _DatasetSource:
    """A dataset that HDF5 has to read (in chunks, compressed, or within its header) as a Source."""

    def __init__(self, reader: Reader, about: Dataset) -> None:
        self._reader, self._about = reader, about
        self.dtype, self.shape, self.marks = about.dtype, about.shape, about.marks

    @property
    def size(self) -> int:
        return self._about.size

    def read(self, start: int, stop: int) -> np.ndarray[Any, Any]:
        return self._reader.read(self._about, start, stop)
