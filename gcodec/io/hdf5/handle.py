"""The file that the HDF5 library reads and writes: it opens nothing by a name."""

import os
from typing import Any


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
