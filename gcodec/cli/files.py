"""Inputs of the command line: paths, URLs, pipes, and standard input.

What must be seekable and is not goes through a temporary file.
"""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ..container.spool import PIECE
from ..errors import (
    FormatError,
    GcodecError,
    InternalError,
    InvalidInput,
    LimitExceeded,
    NonFinite,
    UnsupportedFeature,
    UnsupportedVersion,
)
from ..io import formats, remote, sniff, streams
from ..io.atomic import scratch

if TYPE_CHECKING:
    import numpy as np

    from ..source import Marks, Source

SUFFIX = ".gcz"


class TensorFile:
    """An input file of tensors that is open: its Reader, and whether it is still what it was."""

    def __init__(self, reader: formats.Reader, name: str, file: BinaryIO) -> None:
        self.meta = reader.meta
        self._reader, self._name, self._file = reader, name, file
        self._before = os.fstat(file.fileno())

    def tensors(self) -> "Iterator[tuple[str, Source]]":
        """Names and tensors; an error of the file's format names the file, whoever reads it."""
        from ..io.skeleton import check_free

        with streams.about(self._name, FormatError):
            found = list(self._reader.tensors())
        with streams.about(self._name, InvalidInput):
            for name, _ in found if self.meta["format"] != "h5" else ():
                check_free(name)
        return ((name, _Part(source, self._name)) for name, source in found)

    def check_same(self, path: Path) -> None:
        """Raise InvalidInput when another file took the path while the Reader opened it."""
        if not os.path.samestat(os.stat(path), self._before):
            raise self._changed()

    def check(self) -> None:
        """Raise InvalidInput when someone wrote to the file since it was opened."""
        if self.has_changed:
            raise self._changed()

    @property
    def has_changed(self) -> bool:
        """Whether size or times differ.

        A file that gets or loses a name, as one that is replaced, has the same values: its time of
        change alone is another.
        """
        now, before = os.fstat(self._file.fileno()), self._before
        if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            return True
        return now.st_ctime_ns != before.st_ctime_ns and now.st_nlink == before.st_nlink

    def _changed(self) -> InvalidInput:
        return InvalidInput(f"{self._name}: changed while it was read; try again when nobody writes to it")


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
def tensor_file(name: str, dtype: str | None = None, trust: bool = False) -> Iterator[TensorFile]:
    """An input file; "-" (standard input), pipes and URLs are read to their end first.

    Raises InvalidInput when the file changes while it is open.
    """
    where = _resolved(name)
    if name == "-" or remote.is_url(where):
        with scratch() as path, streams.speaking_of(path, label(name)):
            if name == "-":
                _copy(streams.standard_input(), path)
            else:
                remote.download(where, path)
            with _opened(path, name, dtype, trust) as opened:
                yield opened
        return
    if Path(where).is_dir():
        sniff.check_folder(Path(where), name)
        raise InvalidInput(f"{name} is a directory; name a file of tensors")
    with streams.open_input(where) as file:
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            with _opened(Path(where), name, dtype, trust) as opened:
                yield opened
        else:
            with scratch() as path, streams.speaking_of(path, name):
                _copy(file, path)
                with _opened(path, name, dtype, trust) as opened:
                    yield opened


@contextmanager
def _opened(path: Path, name: str, dtype: str | None, trust: bool) -> Iterator[TensorFile]:
    """The Reader of a regular file that messages call `name`."""
    shown = label(name)
    fmt = sniff.format_of(path, shown)
    with ExitStack() as stack:
        stack.enter_context(streams.about(shown, NonFinite))
        file = stack.enter_context(streams.open_input(path))
        with streams.about(shown, FormatError):
            reader = stack.enter_context(formats.reader(path, fmt, dtype, trust))
        opened = TensorFile(reader, shown, file)
        opened.check_same(path)
        try:
            yield opened
        except (GcodecError, InternalError):  # which may be for this very reason
            opened.check()
            raise
        opened.check()


def _resolved(name: str) -> str:
    """One name for one input; raises InvalidInput for an empty one."""
    if not name:
        raise InvalidInput("the name of the input is empty; name a file, or - for standard input")
    return remote.resolved(name)


def label(name: str) -> str:
    """What messages call an input."""
    return "standard input" if name == "-" else name


def _copy(source: BinaryIO, path: Path) -> None:
    with open(path, "wb") as target:
        shutil.copyfileobj(source, target, PIECE)


@contextmanager
def container_file(name: str) -> Iterator[BinaryIO]:
    """A gcodec file open for reading: a path, a pipe, a URL, or "-" for standard input."""
    where = _resolved(name)
    if name != "-" and not remote.is_url(where) and Path(where).is_dir():
        raise InvalidInput(f"{name} is a directory; name a gcodec file")
    with streams.about(label(name), FormatError, UnsupportedVersion, UnsupportedFeature, LimitExceeded):
        if name == "-":
            yield streams.standard_input()
        else:
            with remote.open_url(where) if remote.is_url(where) else streams.open_input(where) as file:
                yield file


def encoded_name(name: str) -> str:
    """Where a container goes by default: beside its input, or for a URL to the current folder."""
    return "-" if name == "-" else _local(name) + SUFFIX


def decoded_name(name: str, fmt: str) -> str:
    """`grads.npy.gcz` → `grads.npy`; the suffix follows the format that is written.

    For a URL, the file goes to the current folder.
    """
    if name == "-":
        return "-"
    name = _local(name)
    base = name.removesuffix(SUFFIX)
    if formats.SUFFIXES.get(Path(base).suffix) == fmt:
        return base if base != name else f"{name}.decoded{Path(base).suffix}"
    return f"{base}.{fmt}"


def _local(name: str) -> str:
    """The name that an input's result is named by; raises InvalidInput for a pipe."""
    if remote.is_url(name):
        return remote.base_name(name)
    if Path(name).exists() and not Path(name).is_file() and not Path(name).is_dir():
        raise InvalidInput(f"{name} is no regular file; name the output with -o")
    return name
