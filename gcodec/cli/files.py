"""Inputs of the command line: paths, URLs, and standard input; what must be seekable goes through a temporary file."""

import errno
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..errors import InvalidInput
from ..io import formats, remote

SUFFIX = ".gcz"


@contextmanager
def tensor_file(name: str, dtype: str | None = None, trust: bool = False) -> Iterator[formats.Reader]:
    """The Reader of an input file; "-" (standard input) and URLs are read to their end first."""
    where = remote.resolved(name)
    if name != "-" and not remote.is_url(where):
        path = Path(where)
        if path.is_dir():
            raise InvalidInput(f"{name} is a directory; name a file of tensors")
        with formats.reader(path, formats.format_of(path), dtype, trust) as reader:
            yield reader
        return
    with tempfile.NamedTemporaryFile(prefix="gcodec-") as spool:
        path = Path(spool.name)
        if name == "-":
            shutil.copyfileobj(_standard_input(), spool)
            spool.flush()
        else:
            remote.download(where, path)
        with formats.reader(
            path, formats.format_of(path, "standard input" if name == "-" else name), dtype, trust
        ) as reader:
            yield reader


@contextmanager
def container_file(name: str) -> Iterator[BinaryIO]:
    """A gcodec file open for reading: a path, a URL, or "-" for standard input."""
    where = remote.resolved(name)
    if name == "-":
        yield _standard_input()
    elif remote.is_url(where):
        with remote.open_url(where) as file:
            yield file
    elif Path(where).is_dir():
        raise InvalidInput(f"{name} is a directory; name a gcodec file")
    else:
        with open(where, "rb") as file:
            yield file


def _standard_input() -> BinaryIO:
    if sys.stdin is None:
        raise OSError(errno.EBADF, "is closed", "standard input")
    return sys.stdin.buffer


def encoded_name(name: str) -> str:
    """Where the container of an input goes by default: beside it, or for a URL in the current folder."""
    return "-" if name == "-" else _local(name) + SUFFIX


def decoded_name(name: str, fmt: str) -> str:
    """`grads.npy.gcz` → `grads.npy`; the suffix follows the format that is written. For a URL, in the current folder."""
    if name == "-":
        return "-"
    name = _local(name)
    base = name.removesuffix(SUFFIX)
    if formats.SUFFIXES.get(Path(base).suffix) == fmt:
        return base if base != name else f"{name}.decoded{Path(base).suffix}"
    return f"{base}.{fmt}"


def _local(name: str) -> str:
    return remote.base_name(name) if remote.is_url(name) else name
