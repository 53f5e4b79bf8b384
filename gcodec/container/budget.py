"""What the bytes of a file pay for: the memory and time that it may ask for (spec/format.md §7)."""

import os
from dataclasses import dataclass, field
from typing import BinaryIO

from ..arguments import is_seekable, whole_number
from ..errors import LimitExceeded
from .layout import TensorHeader

# Work is counted in units of about a nanosecond.
FREE_BYTES, BYTES_PER_BYTE = 1 << 26, 1 << 15  # decoded bytes for any file, and more for each of its bytes
FREE_WORK, WORK_PER_BYTE = 1 << 30, 1 << 17  # work for any file, and more for each byte beyond FREE_LENGTH
FREE_LENGTH = 1 << 16
WORK_PER_CHUNK = 1 << 17  # the work of a chunk or a head, without that of its values
WORK_PER_MEMBER = 1 << 14  # the work of a joined tensor, without that of its values
WORK_PER_DECODED_BYTE = 2  # the work of memory that is used for the first time
WORK_PER_ACCEPTED = 1 << 7  # work for each decoded byte of an explicit limit


@dataclass
class Budget:
    """What the records that are decoded together ask for, and what pays for it.

    limit: the decoded bytes that the user accepts. None stands for what the file's bytes pay for.
    length: the bytes of the file. None means that it is not known, as for a stream. Then the bytes
        of bodies that were `received` pay, those of skipped blocks too.
    decoded, work: what the records asked for so far.
    payers: the other files whose bytes were counted.
    """

    limit: int | None = None
    length: int | None = None
    received: int = 0
    decoded: int = 0
    work: int = 0
    payers: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        if self.limit is not None:
            self.limit = whole_number("limit", self.limit, 0)

    @classmethod
    def of(cls, file: BinaryIO, limit: int | None) -> "Budget":
        """The budget of the container that begins at the file's position."""
        if not is_seekable(file):
            return cls(limit)
        at = file.tell()
        length = file.seek(0, os.SEEK_END) - at
        file.seek(at)
        return cls(limit, length)

    def pay(self, who: int, nbytes: int) -> None:
        """Count the bytes of another file that holds bases, once for each file."""
        if who not in self.payers:
            self.payers.add(who)
            self.received += nbytes
            self.length = None if self.length is None else self.length + nbytes

    def add(self, header: TensorHeader, work: int) -> None:
        """Count what a record asks for. `work` is that of its compressor."""
        nbytes = header.spec.size * header.spec.dtype.itemsize
        self.decoded += nbytes
        self.work += work + WORK_PER_DECODED_BYTE * nbytes + WORK_PER_CHUNK * (1 + len(header.chunks))

    def receive(self, nbytes: int) -> None:
        """Count bytes of a body that arrived."""
        self.received += nbytes

    def arrive(self, nbytes: int) -> None:
        """Note how many bytes of bodies a stream had so far, whether anybody read them or not."""
        self.received = max(self.received, nbytes)

    def spend(self, name: str, work: int, nbytes: int = 0) -> None:
        """Count what a record takes besides its decoding, such as the work of a file format.

        Raises LimitExceeded.
        """
        self.work += work
        self.decoded += nbytes
        self.check(name)

    def check(self, name: str) -> None:
        """Raise LimitExceeded, with the name of the last record, when too much was asked for."""
        if self.exceeded:
            raise LimitExceeded(
                f"record {name!r} brings the total to {self.decoded:,} decoded bytes and about {self.work / 1e9:.1f} s "
                f"of work from {self._paid:,} bytes; {self._bytes:,} and {self._work / 1e9:.1f} s are accepted. If you "
                f"trust the file, accept more: limit={self.needed} in Python, --limit {self.needed}, or above if more records follow"
            )

    @property
    def exceeded(self) -> bool:
        return self.decoded > self._bytes or self.work > self._work

    @property
    def lacking(self) -> int:
        """How many bytes more would pay for what was asked for."""
        for_bytes = -(-(self.decoded - FREE_BYTES) // BYTES_PER_BYTE)
        for_work = FREE_LENGTH - (FREE_WORK - self.work) // WORK_PER_BYTE if self.work > FREE_WORK else 0
        return max(for_bytes - self._paid, for_work - self._paid, 0)

    @property
    def needed(self) -> int:
        """The least explicit limit that accepts what was asked for."""
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
