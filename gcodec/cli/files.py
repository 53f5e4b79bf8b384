"""Inputs of the command line; what must be seekable and is not goes through a temporary file."""

import os
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, BinaryIO

from ..container.spool import PIECE
from ..errors import (
    FormatError,
    GcodecError,
    InternalError,
    InvalidInput,
    LimitExceeded,
    NonFinite,
    NotGcodec,
    UnsupportedFeature,
    UnsupportedVersion,
)
from ..io import formats, remote, sniff, streams
from ..io.atomic import scratch
from .output import label, note

if TYPE_CHECKING:
    import numpy as np

    from ..io.folder.many import Reader
    from ..source import Marks, Source

SUFFIX = ".gcz"
WITH_SKELETON = ("h5", "pt", "keras", "folder")  # formats whose files have more than tensors


class TensorFile:
    """An open input of tensors: its Reader, and whether its files are still what they were."""

    def __init__(self, reader: formats.Reader, name: str, files: Sequence[BinaryIO]) -> None:
        self.meta = reader.meta
        self._reader, self._name = reader, name
        self._files = [(file, os.fstat(file.fileno())) for file in files]

    def tensors(self) -> "Iterator[tuple[str, Source]]":
        """Names and tensors; an error of the file's format names the file, whoever reads it."""
        with streams.about(self._name, FormatError):
            found = list(self._reader.tensors())
        return ((name, _Part(source, self._name)) for name, source in found)

    def check_same(self, path: Path) -> None:
        """Raise InvalidInput when another file took the path while the Reader opened it."""
        if not os.path.samestat(os.stat(path), self._files[0][1]):
            raise self._changed()

    def check(self) -> None:
        """Raise InvalidInput when someone wrote to a file since it was opened."""
        if self.has_changed:
            raise self._changed()

    @property
    def has_changed(self) -> bool:
        """Whether size or times of a file differ.

        A file that gets or loses a name, as one that is replaced, has the same values: its time of
        change alone is another.
        """
        return any(_differ(os.fstat(file.fileno()), before) for file, before in self._files)

    def _changed(self) -> InvalidInput:
        return InvalidInput(f"{self._name}: changed while it was read; try again when nobody writes to it")


def _differ(now: os.stat_result, before: os.stat_result) -> bool:
    if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        return True
    return now.st_ctime_ns != before.st_ctime_ns and now.st_nlink == before.st_nlink


@dataclass(frozen=True)
class _Part:
    """A tensor of an input file, whose errors name the file. Others may be open beside it."""

    source: "Source"
    file: str

    @property
    def dtype(self) -> "np.dtype[Any]":
        return self.source.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self.source.shape

    @property
    def size(self) -> int:
        return self.source.size

    @property
    def marks(self) -> "Marks":
        from ..source import marks_of

        return marks_of(self.source)

    def read(self, start: int, stop: int) -> "np.ndarray[Any, Any]":
        with streams.about(self.file, FormatError):
            return self.source.read(start, stop)


@contextmanager
def tensor_file(name: str, dtypes: Mapping[str, str] | None = None, trust: bool = False) -> Iterator[TensorFile]:
    """An input file, or a folder; "-" (standard input), pipes and URLs are read to their end first.

    Raises InvalidInput when a file changes while it is open.
    """
    where = _resolved(name)
    if remote.is_url(where) and remote.is_folder(where):
        with TemporaryDirectory(prefix="gcodec-") as temporary, streams.speaking_of(Path(temporary), name):
            remote.download_folder(where, Path(temporary))
            with folder(Path(temporary), name) as opened:
                yield opened
        return
    if name == "-" or remote.is_url(where):
        with scratch() as path, streams.speaking_of(path, label(name)):
            if name == "-":
                _copy(streams.standard_input(), path)
            else:
                remote.download(where, path)
            with _opened(path, name, dtypes, trust) as opened:
                yield opened
        return
    if Path(where).is_dir():
        with folder(Path(where), name) as opened:
            yield opened
        return
    with streams.open_input(where) as file:
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            with _opened(Path(where), name, dtypes, trust) as opened:
                yield opened
        else:
            with scratch() as path, streams.speaking_of(path, name):
                _copy(file, path)
                with _opened(path, name, dtypes, trust) as opened:
                    yield opened


@contextmanager
def folder(path: Path, name: str) -> Iterator[TensorFile]:
    """The files of a folder that messages call `name`."""
    from ..io.folder import many

    sniff.check_folder(path, name)
    with _watched(many.Reader(path), name) as opened:
        yield opened


@contextmanager
def several_files(names: Sequence[str]) -> Iterator[TensorFile]:
    """Several input files of tensors as one folder, each by the last component of its path.

    Raises InvalidInput for URLs, pipes, two files of one name, and for a file of another kind.
    """
    from ..io.folder import many

    files: dict[str, Path] = {}
    for name in names:
        path = Path(_resolved(name))
        if name == "-" or remote.is_url(str(path)) or not path.is_file():
            raise InvalidInput(f"{name}: is no regular file; of several inputs, each must be one")
        if sniff.format_of(path, name) not in ("safetensors", "pt"):
            raise InvalidInput(
                f"{name}: of several inputs, each must be .safetensors or of torch.save; encode it alone"
            )
        if path.name in files:
            raise InvalidInput(f"{name}: another input has the same name {path.name!r}; encode a folder of both")
        files[path.name] = path
    with _watched(many.Reader(Path(), dict(sorted(files.items()))), ", ".join(names)) as opened:
        yield opened


@contextmanager
def _watched(reader: "Reader", name: str) -> Iterator[TensorFile]:
    for path in reader.passed:
        note(f"{name}: {path} is left out; it is the repository's own data")
    for reason in reader.carried:
        note(f"{reason}; the file is carried along as it is")
    with reader, streams.about(name, NonFinite):
        opened = TensorFile(reader, name, reader.files)
        try:
            yield opened
        except (GcodecError, InternalError):  # which may be for this very reason
            opened.check()
            raise
        opened.check()


@contextmanager
def _opened(path: Path, name: str, dtypes: Mapping[str, str] | None, trust: bool) -> Iterator[TensorFile]:
    """The Reader of a regular file that messages call `name`."""
    shown = label(name)
    fmt = sniff.format_of(path, shown)
    with ExitStack() as stack:
        stack.enter_context(streams.about(shown, NonFinite))
        file = stack.enter_context(streams.open_input(path))
        with streams.about(shown, FormatError):
            reader = stack.enter_context(formats.reader(path, fmt, dtypes, trust, _decoded))
        opened = TensorFile(reader, shown, [file])
        opened.check_same(path)
        try:
            yield opened
        except (GcodecError, InternalError):  # which may be for this very reason
            opened.check()
            raise
        opened.check()


def _decoded(container: bytes, limit: int) -> "np.ndarray[Any, Any]":
    """The array of a container that a file holds as a chunk."""
    from ..api import decode

    return decode(container, threads=1, limit=limit)


def _resolved(name: str) -> str:
    """One name for one input; raises InvalidInput for an empty one."""
    if not name:
        raise InvalidInput("the name of the input is empty; name a file, or - for standard input")
    return remote.resolved(name)


def _copy(source: BinaryIO, path: Path) -> None:
    with open(path, "wb") as target:
        shutil.copyfileobj(source, target, PIECE)


@contextmanager
def container_file(name: str) -> Iterator[BinaryIO]:
    """A gcodec file open for reading: a path, a pipe, a URL, or "-" for standard input."""
    where = _resolved(name)
    if name != "-" and not remote.is_url(where) and Path(where).is_dir():
        chunk = next((f", such as {path}" for path in Path(where).glob("c/**/*") if path.is_file()), "")
        raise InvalidInput(f"{name} is a directory; name a gcodec file{chunk}")
    with streams.about(label(name), FormatError, UnsupportedVersion, UnsupportedFeature, LimitExceeded):
        if name == "-":
            yield streams.standard_input()
            return
        try:
            with remote.open_url(where) if remote.is_url(where) else streams.open_input(where) as file:
                yield file
        except NotGcodec:
            if Path(where).is_file() and (found := sniff.instead_of_gcz(Path(where), name)):
                raise NotGcodec(f"{name}: {found}") from None
            raise


def encoded_name(name: str) -> str:
    """Where a container goes by default: beside its input, or for a URL to the current folder."""
    if name == "-":
        return "-"
    base = _local(name)
    if Path(base).is_dir() and Path(base).name in ("", "..", "."):
        raise InvalidInput(f"{name} gives the output no name; choose one with -o")
    return (base.rstrip("/") if Path(base).is_dir() else base) + SUFFIX


def decoded_name(name: str, fmt: str, came_from: object) -> str:
    """`grads.npy.gcz` → `grads.npy`, whatever its suffix, in the format that it came from.

    In another format, the suffix follows that. For a URL, the file goes to the current folder.
    came_from: the format of the original, if the container names it.
    """
    if name == "-":
        return "-"
    name = _local(name)
    base = name.removesuffix(SUFFIX)
    if base != name and (fmt == came_from or is_named_for(base, fmt)):
        return base
    if fmt == "folder":
        return f"{name}.decoded"
    return f"{name}.decoded{Path(base).suffix}" if is_named_for(base, fmt) else f"{base}.{fmt}"


def is_named_for(name: str, fmt: str) -> bool:
    """Whether a name is that of a stream, or files of a format usually have such a name."""
    return name == "-" or _is_pipe(Path(name)) or formats.SUFFIXES.get(Path(name).suffix.lower()) == fmt


def _is_pipe(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()


def _local(name: str) -> str:
    """The name that an input's result is named by; raises InvalidInput for a pipe."""
    if remote.is_url(name):
        return remote.base_name(name)
    if not _is_pipe(Path(name)):
        return name
    raise InvalidInput(f"{name} is no regular file; name the output with -o")
