"""Temporary files for what is too long for memory; their errors say so."""

import errno
import io
import os
import tempfile
from typing import IO, Any

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

PIECE = 1 << 20  # bytes that are copied at a time
_MOST = 1 << 24  # coded bytes of one tensor kept in memory before they go to a temporary file


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


def room_for(nbytes: int) -> IO[bytes]:
    """A file for the coded bytes of a tensor of so many bytes, which closes without a trace."""
    return io.BytesIO() if nbytes <= PIECE else Spool(_MOST)


def temporary_file() -> IO[bytes]:
    """A file that leaves nothing behind: it has no name, where the system has such files."""
    with in_temporary_folder():
        file = tempfile.TemporaryFile(prefix="gcodec-")  # noqa: SIM115 (closed by whoever asks)
        if os.path.exists(f"/proc/self/fd/{file.fileno()}"):
            return file
        file.close()
        return tempfile.NamedTemporaryFile(prefix="gcodec-")


class in_temporary_folder:
    """Errors that name no file are those of the folder for temporary files."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if not isinstance(error, OSError) or error.filename is not None or error.errno is None:
            return
        hint = "; TMPDIR chooses another folder for temporary files" if error.errno in _FULL else ""
        raise OSError(error.errno, f"{os.strerror(error.errno)}{hint}", tempfile.gettempdir()) from None
