"""What the bytes of a file pay for: how much memory and time a reader lets it ask for (spec/format.md §7)."""

import os
from dataclasses import dataclass
from typing import BinaryIO

from ..errors import LimitExceeded
from .layout import TensorHeader

FREE_BYTES, BYTES_PER_BYTE = 1 << 26, 1 << 15  # decoded bytes that any file may have, and those per byte of it
FREE_WORK, WORK_PER_BYTE = 1 << 30, 1 << 17  # the same of work, about nanoseconds
FREE_LENGTH = 1 << 16  # bytes of a file that the free work is for
WORK_PER_CHUNK = 1 << 17  # beside its values'; a head counts as a chunk
WORK_PER_DECODED_BYTE = 2  # for memory that is used for the first time
WORK_PER_ACCEPTED = 1 << 7  # per decoded byte of an explicit limit


@dataclass
class Budget:
    """What the records of a file that are decoded together ask for, and what pays for it.

    limit: the decoded bytes that the user accepts; None: what the file's bytes pay for. length: of the file; None where
    only time can tell: then the bytes of bodies that were `received` pay.
    """

    limit: int | None = None
    length: int | None = None
    received: int = 0
    decoded: int = 0
    work: int = 0

    @classmethod
    def of(cls, file: BinaryIO, limit: int | None) -> "Budget":
        """For the container that begins where the file is now."""
        if not file.seekable():
            return cls(limit)
        at = file.tell()
        length = file.seek(0, os.SEEK_END) - at
        file.seek(at)
        return cls(limit, length)

    def add(self, header: TensorHeader, work: int) -> None:
        """Count what a record asks for; work: that of its compressor."""
        nbytes = header.spec.size * header.spec.dtype.itemsize
        self.decoded += nbytes
        self.work += work + WORK_PER_DECODED_BYTE * nbytes + WORK_PER_CHUNK * (1 + len(header.chunks))

    def receive(self, nbytes: int) -> None:
        """Count bytes of a body that are there."""
        self.received += nbytes

    def spend(self, name: str, work: int, nbytes: int = 0) -> None:
        """Count work and memory that a record takes beside its decoding, such as a file format's; raises LimitExceeded."""
        self.work += work
        self.decoded += nbytes
        self.check(name)

    def check(self, name: str) -> None:
        """Raise LimitExceeded, naming the last record, when too much was asked for."""
        if self.exceeded:
            raise LimitExceeded(
                f"record {name!r} brings the total to {self.decoded:,} decoded bytes and about {self.work / 1e9:.1f} s "
                f"of work from {self._paid:,} bytes; {self._bytes:,} and {self._work / 1e9:.1f} s are accepted. If you "
                f"trust the file, accept more: --limit {self.needed}, or above if more records follow"
            )

    @property
    def exceeded(self) -> bool:
        return self.decoded > self._bytes or self.work > self._work

    @property
    def needed(self) -> int:
        """The least explicit limit that accepts this."""
        return max(self.decoded, -(-self.work // WORK_PER_ACCEPTED) if self.work > FREE_WORK else 0)

    @property
    def _paid(self) -> int:
        return self.received if self.length is None else self.length

    @property
    def _bytes(self) -> int:
        return FREE_BYTES + BYTES_PER_BYTE * self._paid if self.limit is None else self.limit

    @property
    def _work(self) -> int:
        if self.limit is None:
            return FREE_WORK + WORK_PER_BYTE * max(self._paid - FREE_LENGTH, 0)
        return max(FREE_WORK, WORK_PER_ACCEPTED * self.limit)
