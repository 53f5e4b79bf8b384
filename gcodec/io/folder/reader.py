"""Reads files that hold tensors and other things: the frame of each first, then all tensors."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import BinaryIO

from ...errors import InvalidInput
from ...source import Source
from .. import sniff
from ..places import Memory, Place, Survey, free, same_values, source_of
from ..skeleton import FILE, SkeletonSource, check_free, holes
from ..streams import open_input
from ..torch_file.survey import has_checksums
from ..uncoded import listed
from . import index
from .surveys import SURVEYS

LEAST_TIED = 4096  # bytes of tensors that are looked at for equal ones
_FORMATS = {
    "safetensors": "safetensors",
    "pt": "pt",
    "legacy pt": "pt",
    "keras": "keras",
}  # by what a file is, the one that reads it
_ALONE = {"h5", "npy", "npz"}  # what is read as an input by itself, and carried along in a folder
_WEIGHTS = {".safetensors", ".pt", ".pth", ".bin", ".h5", ".gguf", ".onnx", ".msgpack"}


@dataclass
class _File:
    """An open file of the folder.

    kind: what it is by `sniff`. fmt: None for one whose bytes are carried along.
    """

    path: str
    file: BinaryIO
    size: int
    kind: str
    fmt: str | None
    survey: Survey
    prefix: str = ""

    def names(self, prefix: str) -> list[str]:
        return [
            prefix + name
            for name in (*(place.name for place in self.survey.places), *self.survey.tied, *self.survey.views)
        ]

    def sizes(self) -> dict[str, int]:
        """The bytes of the tensors that have a place of their own, or are kept."""
        coded = {place.name: place.range[1] for place in self.survey.places}
        return coded | {part.name: part.nbytes for part in self.survey.uncoded}

    def skeleton(self) -> SkeletonSource:
        return SkeletonSource(self.file, self.size, holes([place.range for place in self.survey.places], self.size))


class FilesReader:
    """Files by their paths in a folder. Those of safetensors and torch.save give their tensors.

    meta: {"format": fmt, "files": path, format, and prefix of names of each file with tensors,
    "tied": names of tensors that equal another one, and its name, "views": those that are other
    views of one, "kept": the number of values that only the frames have, "uncoded": the tensors
    among these}. carried: files whose
    content was meant to give tensors and cannot, with the reason; they are carried along as they
    are. Raises InvalidInput for the only file when it cannot be read.
    """

    def __init__(self, files: Mapping[str, Path], fmt: str) -> None:
        self.carried: list[str] = []
        self._stack = ExitStack()
        self._memory = Memory()
        self._is_folder = fmt == "folder"
        _allow(len(files))
        try:
            self._files = [self._opened(path, place) for path, place in files.items()]
            self._check_indexes()
            self._name()
            self._tied = self._ties()
            self.meta = self._describe(fmt)
        except BaseException:
            self._stack.close()
            raise

    def _describe(self, fmt: str) -> dict[str, object]:
        coded = [file for file in self._files if file.fmt]
        if not coded:
            raise InvalidInput(self.carried[0] if self.carried else _why_none(self._files))
        described = [
            {
                "path": file.path,
                "format": file.fmt,
                "prefix": file.prefix,
                "checksums": has_checksums(file.file, file.survey),
            }
            for file in coded
        ]
        kept = sum(file.survey.kept for file in coded)
        views = {
            file.prefix + name: [file.prefix + view.of, view.offset, view.shape, view.strides]
            for file in coded
            for name, view in file.survey.views.items()
        }
        uncoded = [replace(part, name=file.prefix + part.name) for file in coded for part in file.survey.uncoded]
        found = {"format": fmt, "files": described, "tied": self._tied, "views": views, "kept": kept}
        return found | listed(uncoded)

    @property
    def files(self) -> list[BinaryIO]:
        """All files, which are open."""
        return [file.file for file in self._files]

    def __enter__(self) -> "FilesReader":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def tensors(self) -> Iterator[tuple[str, Source]]:
        for file in self._files:
            yield FILE + file.path, file.skeleton()
        for name, file, place in self._places():
            if name not in self._tied:
                yield name, source_of(file.file, place, self._memory)

    def _places(self) -> Iterator[tuple[str, _File, Place]]:
        for file in self._files:
            for place in file.survey.places:
                yield file.prefix + place.name, file, place

    def _opened(self, path: str, place: Path) -> _File:
        file = self._stack.enter_context(open_input(place))
        size = os.fstat(file.fileno()).st_size
        kind = sniff.kind_of(os.pread(file.fileno(), sniff.PREFIX, 0), PurePath(path).suffix)
        if kind == "lfs" and PurePath(path).suffix in _WEIGHTS:
            what, remedy = sniff.FOREIGN[kind]
            raise InvalidInput(f"{place}: is {what}; {remedy}")
        fmt = _FORMATS.get(kind)
        if fmt is None:
            return _File(path, file, size, kind, None, Survey())
        try:
            return _File(path, file, size, kind, fmt, SURVEYS[fmt](file, size, str(place), free))
        except InvalidInput as error:
            if not self._is_folder or fmt == "safetensors":
                raise
            self.carried.append(str(error))
            return _File(path, file, size, kind, None, Survey())

    def _check_indexes(self) -> None:
        """Note indexes of shards that say what is not so."""
        shards = {file.path: file.sizes() for file in self._files if file.fmt == "safetensors"}
        for file in self._files if self._is_folder else ():
            if file.path.endswith(index.SUFFIX):
                fault = index.fault(file.file, file.size, file.path, shards)
                self.carried += [fault] if fault else []

    def _name(self) -> None:
        """Choose the prefix of a file's names: its folder, or its path where a name is taken."""
        taken: set[str] = set()
        for file in self._files:
            prefix = f"{file.path.rpartition('/')[0]}/" if "/" in file.path else ""
            if not taken.isdisjoint(file.names(prefix)):
                prefix = f"{file.path}/"
            while not taken.isdisjoint(file.names(prefix)):
                prefix += "/"
            file.prefix = prefix
            taken.update(file.names(prefix))
        for name in taken:
            check_free(name)

    def _ties(self) -> dict[str, str]:
        tied = {file.prefix + name: file.prefix + of for file in self._files for name, of in file.survey.tied.items()}
        whole = (
            (name, source_of(file.file, place, self._memory))
            for name, file, place in self._places()
            if file.fmt == "safetensors"
        )
        return tied | same_values(whole, LEAST_TIED)


def _why_none(files: list[_File]) -> str:
    """Why a folder gives no tensors, though some of its files may have them, and what to do."""
    for file in files:
        if file.kind in _ALONE:
            return f"in a folder, {file.kind} files are not read; encode each alone, as gcodec encode {file.file.name}"
    for file in files:
        if file.kind in sniff.MODELS:
            what, remedy = sniff.FOREIGN[file.kind]
            return f"{file.file.name} is {what}; {remedy}"
    return "no file of tensors is in this directory, such as .safetensors, .pt or .keras; name one that has some"


def _allow(count: int) -> None:
    """Let the process have so many files open besides others, as far as the system lets it."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count + 100:
        most = count + 100 if hard == resource.RLIM_INFINITY else min(hard, count + 100)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
