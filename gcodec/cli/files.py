"""Inputs of the command line: paths, URLs, and standard input; what must be seekable goes through a temporary file."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from .. import remote
from ..errors import InvalidInput
from ..io import formats

SUFFIX = ".gcz"


@contextmanager
def tensor_file(name: str, dtype: str | None = None) -> Iterator[Any]:
    """The Reader of an input file; "-" (standard input) and URLs are read to their end first."""
    if name != "-" and not remote.is_url(name):
        path = Path(name)
        if path.is_dir():
            raise InvalidInput(f"{name} is a directory; name a file of tensors")
        with formats.reader(path, formats.format_of(path), dtype) as reader:
            yield reader
        return
    with tempfile.NamedTemporaryFile(prefix="gcodec-") as spool:
        path = Path(spool.name)
        if name == "-":
            shutil.copyfileobj(sys.stdin.buffer, spool)
            spool.flush()
        else:
            remote.download(name, path)
        with formats.reader(path, formats.format_of(path, "standard input" if name == "-" else name), dtype) as reader:
            yield reader


@contextmanager
def container_file(name: str) -> Iterator[BinaryIO]:
    """A gcodec file open for reading: a path, a URL, or "-" for standard input."""
    if name == "-":
        yield sys.stdin.buffer
    elif remote.is_url(name):
        with remote.open_url(name) as file:
            yield file
    elif Path(name).is_dir():
        raise InvalidInput(f"{name} is a directory; name a gcodec file")
    else:
        with open(name, "rb") as file:
            yield file


def encoded_name(name: str) -> str:
    return name + SUFFIX if name != "-" else "-"


def decoded_name(name: str, fmt: str) -> str:
    """`grads.npy.gcz` → `grads.npy`; the suffix follows the format that is written."""
    if name == "-":
        return "-"
    base = name.removesuffix(SUFFIX)
    if formats.SUFFIXES.get(Path(base).suffix) == fmt:
        return base if base != name else f"{name}.decoded{Path(base).suffix}"
    return f"{base}.{fmt}"
