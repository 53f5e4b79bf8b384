"""The file that the HDF5 library reads and writes: it opens nothing by a name.

What stands behind the end that HDF5 knows is cut off when the library has written a file.
"""

import os
import shutil
from typing import IO, Any

from ...container.spool import PIECE, in_temporary_folder, temporary_file

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_WIDTH_AT = {0: 13, 1: 13, 2: 9, 3: 9}  # by the superblock's version, where it says how wide an address is
_ADDRESSES_AT = {0: 24, 1: 28, 2: 12, 3: 12}  # and where its addresses begin, of which the end is the third


class Handle:
    """A descriptor as the file object that h5py takes; the descriptor stays open.

    No error goes through the library, which would not stop at once: the first one is kept for
    `check`.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._at = descriptor, 0
        self._error: OSError | None = None

    def check(self) -> None:
        """Raise what the operating system refused."""
        if self._error is not None:
            raise self._error

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: os.fstat(self._descriptor).st_size}[whence]
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, count: int) -> bytes:
        found = bytearray(count)
        return bytes(found[: self.readinto(found)])

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; what lies behind the end of the file is zeros."""
        view, done = memoryview(buffer).cast("B"), 0
        while done < len(view) and (count := self._read(view[done:], self._at + done)):
            done += count
        view[done:] = bytes(len(view) - done)
        self._at += len(view)
        return len(view)

    def write(self, data: Any) -> int:
        view, done = memoryview(data).cast("B"), 0
        while done < len(view) and (count := self._write(view[done:], self._at + done)):
            done += count
        self._at += len(view)
        return len(view)

    def truncate(self, size: int) -> int:
        try:
            os.ftruncate(self._descriptor, size)
        except OSError as error:
            self._keep(error)
        return size

    def flush(self) -> None:
        pass

    def _read(self, view: memoryview, offset: int) -> int:
        try:
            return os.preadv(self._descriptor, [view], offset)
        except OSError as error:
            self._keep(error)
            return 0

    def _write(self, view: memoryview, offset: int) -> int:
        try:
            return os.pwrite(self._descriptor, view, offset)
        except OSError as error:
            self._keep(error)
            return 0

    def _keep(self, error: OSError) -> None:
        self._error = self._error or error


class Tail:
    """The bytes of a file behind the end that HDF5 knows: kept, and put back behind the new end."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.start = min(end_of(file), size)
        self._spare: IO[bytes] | None = None
        if self.start == size:
            return
        self._spare = temporary_file()
        file.seek(self.start)
        with in_temporary_folder():
            shutil.copyfileobj(file, self._spare, PIECE)

    def restore(self, file: IO[bytes]) -> None:
        """Let the tail follow the end that the file has now."""
        if self._spare is None:
            return
        self._spare.seek(0)
        file.seek(end_of(file))
        file.truncate()
        shutil.copyfileobj(self._spare, file, PIECE)
        file.flush()

    def close(self) -> None:
        if self._spare:
            self._spare.close()


def end_of(file: IO[bytes]) -> int:
    """Where a file of HDF5 ends, as its superblock says; raises ValueError when it has none.

    The superblock begins at byte 0, or behind a user block of 512, 1024, 2048… bytes.
    """
    file.flush()
    size, at = os.fstat(file.fileno()).st_size, 0
    while at < size:
        block = os.pread(file.fileno(), 96, at)
        if block.startswith(_SIGNATURE) and len(block) == 96 and block[8] in _WIDTH_AT:
            width = block[_WIDTH_AT[block[8]]]
            start = _ADDRESSES_AT[block[8]] + 2 * width
            return int.from_bytes(block[start : start + width], "little")
        at = 2 * at or 512
    raise ValueError("it has no superblock")
