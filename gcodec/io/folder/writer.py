"""Makes files of their frames, which come first, and of the tensors that belong into them."""

import os
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...container.budget import WORK_PER_DECODED_BYTE, Budget
from ...errors import Corrupt, InvalidInput
from ..places import Place, PlaceSink, Survey
from ..skeleton import FILE, SkeletonSink, is_skeleton
from ..streams import open_input
from ..torch_file.survey import refresh_checksums
from .surveys import SURVEYS
from .tied import tied_names

FILE_WORK = 1 << 17  # nanoseconds that making a file takes


@dataclass
class _File:
    """A file that is being made. holes: (start, stop) of the bytes that tensors fill."""

    path: str
    place: Path
    holes: list[tuple[int, int]]
    survey: Survey = field(default_factory=Survey)
    waiting: set[str] = field(default_factory=set)  # the records that it still needs


class FilesWriter:
    """Writes the files of `meta`. One that lacks a tensor is left out, and named.

    files_left_out: paths of those. meta: that of a FilesReader, with "names" of the records that
    should come. Raises Corrupt when frames and tensors do not fit, when a frame holds more than
    tensors, numbers and text, and when a tensor does not come that `meta` does not name.
    LimitExceeded as the budget says.
    """

    def __init__(self, meta: dict[str, Any], budget: Budget | None = None) -> None:
        self._budget = budget or Budget()
        self._coded = _entries(meta.get("files"))
        self._tied = tied_names(meta)
        names = meta.get("names")
        self._expected = {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()
        self._files: dict[str, _File] = {}
        self._image: tuple[_File, SkeletonSink] | None = None
        self._where: dict[str, list[tuple[_File, Place]]] | None = None  # for tensors that did not come yet
        self._sink: _Sink | None = None
        self.files_left_out: list[str] = []

    @property
    def formats(self) -> dict[str, str]:
        """The formats of the files that have tensors, by their paths."""
        return {path: fmt for path, (fmt, _, _) in self._coded.items()}

    def target(self, path: str) -> Path:
        """Where the file of a path goes. Raises Corrupt for one that must not be."""
        raise NotImplementedError

    def discard(self, place: Path) -> None:
        """Take away a file that is not whole."""
        place.unlink()

    def __enter__(self) -> "FilesWriter":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            self._end()
            if kind is None:
                self._finish()
        finally:
            if self._image:
                self._image[1].close()
            if self._sink:
                self._sink.close()

    def add(self, name: str, dtype: np.dtype, shape: tuple[int, ...]) -> "SkeletonSink | _Sink":
        """Begin a record; the result's `write(start, values)` takes its values in order."""
        self._end()
        if name.startswith(FILE):
            return self._add_file(name.removeprefix(FILE), dtype, shape)
        if is_skeleton(name):
            raise Corrupt(f"the record {name[:200]!r} does not belong into a file of this kind")
        where = self._survey().pop(name, None)
        if where is None and not self._lost:
            raise Corrupt(f"no file has a place for the tensor {name[:200]!r}")
        for _, place in where or ():
            if (place.dtype, place.shape) != (dtype, tuple(shape)):
                raise Corrupt(f"{name!r} is {dtype} of shape {shape}, but {place.dtype} of {place.shape} in its file")
        for _, place in (where or [])[1:]:  # the first one is paid for as a decoded tensor
            nbytes = place.range[1]
            self._budget.spend(name, WORK_PER_DECODED_BYTE * nbytes, nbytes)
        self._sink = _Sink(name, where or [])
        return self._sink

    @property
    def _lost(self) -> list[str]:
        """Paths of the files whose frames did not come."""
        named = {name.removeprefix(FILE) for name in self._expected if name.startswith(FILE)} | set(self._coded)
        return sorted(named - set(self._files))

    def _add_file(self, path: str, dtype: np.dtype, shape: tuple[int, ...]) -> SkeletonSink:
        if self._where is not None or path in self._files:
            raise Corrupt(f"the record of the file {path[:200]!r} must come before all tensors, and once")
        self._budget.spend(FILE + path, FILE_WORK)
        place = self.target(path)
        self._image = _File(path, place, []), SkeletonSink(place, dtype, tuple(shape))
        return self._image[1]

    def _end(self) -> None:
        """Close the record before. A frame that is not whole is no file."""
        if self._sink:
            self._sink.close()
            self._sink = None
        if self._image:
            file, image = self._image
            self._image = None
            image.close()
            if image.complete:
                file.holes = image.holes
                self._files[file.path] = file
            else:
                self.discard(file.place)

    def _survey(self) -> dict[str, list[tuple[_File, Place]]]:
        """Find the places of all tensors, once all frames are there."""
        if self._where is None:
            self._where = {}
            for path, file in self._files.items():
                fmt, prefix, _ = self._coded.get(path, ("", "", False))
                if fmt:
                    self._find(file, fmt, prefix)
                _check_holes(file)
            for name, of in self._tied.items():
                if of in self._where and name in self._where:
                    self._where[of] += self._where.pop(name)
            for name, where in self._where.items():
                for file, _ in where:
                    file.waiting.add(name)
        return self._where

    def _find(self, file: _File, fmt: str, prefix: str) -> None:
        assert self._where is not None
        what = file.path or "the file"
        with open_input(file.place) as opened:
            try:
                size = os.fstat(opened.fileno()).st_size
                file.survey = SURVEYS[fmt](
                    opened, size, what, lambda work, n: self._budget.spend(FILE + file.path, work, n)
                )
            except InvalidInput as error:
                raise Corrupt(str(error)) from None
        for place in file.survey.places:
            if prefix + place.name in self._where:
                raise Corrupt(f"two tensors of the files have the name {prefix + place.name!r:.200}")
            self._where[prefix + place.name] = [(file, place)]

    def _finish(self) -> None:
        left = set(self._survey()) - self._expected
        if left:
            raise Corrupt(f"there is no record of the tensor {min(left)[:200]!r}, and the metadata do not name it")
        self.files_left_out = self._lost
        for file in self._files.values():
            if file.waiting:
                self.discard(file.place)
                self.files_left_out.append(file.path)
            elif file.path in self._coded and self._coded[file.path][2]:
                with open(file.place, "r+b") as opened:
                    refresh_checksums(opened, file.survey)


class _Sink:
    """Takes the values of a tensor to all its places."""

    def __init__(self, name: str, where: list[tuple[_File, Place]]) -> None:
        self._name, self._where = name, where
        self._sinks = [PlaceSink(file.place, place) for file, place in where]
        self._note()

    def write(self, start: int, values: np.ndarray) -> None:
        for sink in self._sinks:
            sink.write(start, values)
        self._note()

    def _note(self) -> None:
        """Once all values are there, note so in the files."""
        if not any(sink.left for sink in self._sinks):
            for file, _ in self._where:
                file.waiting.discard(self._name)

    def close(self) -> None:
        for sink in self._sinks:
            sink.close()


def _check_holes(file: _File) -> None:
    """Raise Corrupt unless tensors fill every hole of a frame."""
    ranges = sorted((place.range[0], sum(place.range)) for place in file.survey.places if place.size)
    united: list[list[int]] = []
    for start, stop in ranges:
        if united and start <= united[-1][1]:
            united[-1][1] = max(united[-1][1], stop)
        else:
            united.append([start, stop])
    starts = [start for start, _ in united]
    for start, stop in file.holes:
        i = bisect_right(starts, start) - 1
        if start < stop and (i < 0 or united[i][1] < stop):
            raise Corrupt(f"the frame of {file.path or 'the file'!r:.200} lacks bytes that no tensor gives")


def _entries(files: object) -> dict[str, tuple[str, str, bool]]:
    """By path of each file with tensors: format, prefix of names, whether it has checksums."""
    found: dict[str, tuple[str, str, bool]] = {}
    for entry in files if isinstance(files, list) else []:
        fields = entry if isinstance(entry, dict) else {}
        path, fmt, prefix = (fields.get(key) for key in ("path", "format", "prefix"))
        if not isinstance(path, str) or not isinstance(prefix, str) or fmt not in SURVEYS or path in found:
            raise Corrupt("the metadata do not say what the files are")
        found[path] = fmt, prefix, fields.get("checksums") is True
    return found
