"""Temporary files for what is too long for memory; their errors say so."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

PIECE = 1 << 20  # bytes that are copied at a time


class Spool(tempfile.SpooledTemporaryFile[bytes]):
    """Bytes in memory, or in a temporary file when there are more than `most`."""

    def __init__(self, most: int) -> None:
        super().__init__(max_size=most)

    def write(self, data: Any) -> int:
        with in_temporary_folder():
            return super().write(data)

    def seek(self, *place: int) -> int:
        with in_temporary_folder():
            return super().seek(*place)

    def close(self) -> None:
        with in_temporary_folder():
            super().close()


def temporary_file() -> IO[bytes]:
    """A file that leaves nothing behind: it has no name, where the system has such files."""
    with in_temporary_folder():
        file = tempfile.TemporaryFile(prefix="gcodec-")  # noqa: SIM115 (closed by whoever asks)
        if os.path.exists(f"/proc/self/fd/{file.fileno()}"):
            return file
        file.close()
        return tempfile.NamedTemporaryFile(prefix="gcodec-")


@contextmanager
def in_temporary_folder() -> Iterator[None]:
    """Errors that name no file are those of the folder for temporary files."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        hint = "; TMPDIR chooses another folder for temporary files" if error.errno in _FULL else ""
        raise OSError(error.errno, f"{os.strerror(error.errno)}{hint}", tempfile.gettempdir()) from None
