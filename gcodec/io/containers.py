"""Containers that a caller names: paths, URLs, and file objects that are open for reading."""

import builtins
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from ..errors import Closed, InvalidInput
from . import remote

File = str | os.PathLike[str] | BinaryIO


@contextmanager
def opened(file: File) -> Iterator[BinaryIO]:
    """The binary file itself, or that of a path or URL, which is closed at the end.

    Raises InvalidInput for anything else, Closed for a file that was closed before, and OSError.
    """
    if isinstance(file, str | os.PathLike):
        with open_path(file) as source:
            yield source
    else:
        check_binary(file)
        yield file


def open_path(path: str | os.PathLike[str]) -> BinaryIO:
    """The file of a path or URL, open for reading."""
    if isinstance(path, str) and remote.is_url(path):
        return remote.open_url(path)
    return builtins.open(path, "rb")


def check_binary(file: object) -> None:
    """Raise InvalidInput for what is no binary file for reading, and Closed for a closed one."""
    if isinstance(file, io.TextIOBase) or not callable(getattr(file, "read", None)):
        raise InvalidInput(f"a path or a binary file object that is open for reading is needed, not {file!r:.200}")
    if getattr(file, "closed", False):
        raise Closed("the file was closed before; open it again")
