"""A remote object as a seekable file: few ranges, none of them much longer than what is read."""

import io
import os
from collections.abc import Callable
from typing import Any

BLOCK = 1 << 14  # bytes: the first range of an object, and the least that is fetched at a time
LONG = 1 << 20  # bytes: who reads on so many at a time gets twice as many as before

Fetch = Callable[[int, int], bytes]  # (start, stop) → the bytes from start to stop-1


class Ranges(io.RawIOBase):
    """An object of `size` bytes, of which `first` is known already.

    share: which part of the object will be read about, 0 to 1; so much is fetched at a time.
    """

    def __init__(self, fetch: Fetch, size: int, first: bytes, share: float) -> None:
        self._fetch, self._size, self._at = fetch, size, 0
        self._known = [(0, first)]
        self._ahead = max(BLOCK, int(size * share))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self._size - self._at)
        if wanted <= 0:
            return 0
        data = self._from_known() or self._fetched(wanted)
        count = min(wanted, len(data))
        buffer[:count] = data[:count]
        self._at += count
        return count

    def _from_known(self) -> bytes:
        """What is known from the position on."""
        for start, data in self._known:
            if start <= self._at < start + len(data):
                return data[self._at - start :]
        return b""

    def _fetched(self, wanted: int) -> bytes:
        """The bytes from the position on, read with more: those after, or before the end."""
        start, last = self._known[-1]
        if wanted >= LONG and self._at == start + len(last) and len(last) >= LONG:
            wanted = 2 * len(last)
        stop = min(self._at + max(wanted, self._ahead), self._size)
        start = min(self._at, max(stop - self._ahead, 0)) if stop == self._size else self._at
        self._known.append((start, self._fetch(start, stop)))
        return self._from_known()
