"""The tensors of a container as a reader gives them: records, and members of joined ones."""

from collections.abc import Callable, Iterable, Iterator
from typing import IO

import numpy as np

from ...compressors.contract import CodedTensor, Payload
from ...errors import Corrupt, FormatError, InternalError
from ...source import Source, Span
from ..base import Bases, missing_base
from ..budget import Budget
from ..layout import TensorHeader, checked
from ..spool import Spool
from .joined import JoinHeader

Fetch = Callable[[int, int], bytes]  # (offset in the body, length) → bytes
_SPOOL = 1 << 26  # the bytes of a record that are kept in memory; a longer one goes to a temporary file


class Record:
    """A tensor's header, and access to its body.

    A record of a stream gives its chunks once, in order. arrived: the bytes of bodies that the
    stream had before it. bases: finds its base, if it has one.
    """

    def __init__(self, header: TensorHeader, fetch: Fetch, arrived: int = 0, bases: Bases | None = None) -> None:
        self.header = header
        self.arrived = arrived
        self.bases = bases
        self._fetch = fetch
        self._head: bytes | None = None
        self._offsets = [header.head_length]
        for chunk in header.chunks:
            self._offsets.append(self._offsets[-1] + chunk.length)

    def head(self) -> bytes:
        if self._head is None:
            data = self._fetch(0, self.header.head_length)
            self._head = checked(data, self.header.head_crc, f"record {self.header.name!r}: head")
        return self._head

    def chunk(self, i: int) -> bytes:
        """The coded bytes of chunk i. Raises ChecksumMismatch or Truncated."""
        entry = self.header.chunks[i]
        data = self._fetch(self._offsets[i], entry.length)
        return checked(data, entry.crc, f"record {self.header.name!r}: chunk {i}")

    def coded(self) -> CodedTensor:
        """The record as its compressor sees it."""
        header = self.header

        def code(start: int, stop: int) -> bytes:
            return self.chunk(start // header.chunk)

        payload = Payload(self.head(), header.chunk, code, header.expected)
        return CodedTensor(header.coded_spec, header.guarantee, payload)

    def base(self, budget: Budget, span: Span | None = None) -> Source:
        """The values of the base, which the header names. Raises MissingBase.

        span: those that will be read; None is all.
        """
        named = self.header.base
        assert named is not None  # else nobody asks
        if self.bases is None:
            raise missing_base(self.header.name, named, "no base was given")
        return self.bases.source(self.named, budget, span)

    @property
    def named(self) -> TensorHeader | JoinHeader:
        """The header that names the base."""
        return self.header


class Vector(Record):
    """The record of all values of joined tensors."""

    def __init__(self, header: JoinHeader, fetch: Fetch, arrived: int) -> None:
        super().__init__(header.record, fetch, arrived)
        self._join = header

    @property
    def named(self) -> JoinHeader:
        return self._join


class Join:
    """A block of joined tensors: its header, and access to its body.

    vector: all values one after the other, once they were decoded.
    """

    def __init__(self, header: JoinHeader, fetch: Fetch, arrived: int = 0) -> None:
        self.header = header
        self.record = Vector(header, fetch, arrived)
        self.vector: np.ndarray | None = None
        self._numbers: dict[str, int] | None = None
        self._fault: FormatError | None = None
        self._sound = False

    def members(self) -> Iterator["Member"]:
        """All of them, in order."""
        return (Member(self, i) for i in range(len(self.header.names)))

    def named(self, name: str) -> "Member":
        """The member with this name. Raises Corrupt, as the index says that there is one."""
        if self._numbers is None:
            self._numbers = {one: i for i, one in enumerate(self.header.names)}
        if name not in self._numbers:
            raise Corrupt(f"the index points to joined tensors where {name!r} should be, and it is not among them")
        return Member(self, self._numbers[name])

    def check(self) -> None:
        """Hold the body against its checksums, once. Raises what reading it raises."""
        if self._fault is not None:
            raise self._fault
        if not self._sound:
            try:
                self.record.head()
                self.record.chunk(0)
            except FormatError as error:
                self._fault = error
                raise
            self._sound = True


class Member(Record):
    """One of joined tensors. It has no head and no chunks of its own.

    span: (start, stop) of its values in the vector of the block.
    """

    def __init__(self, join: Join, i: int) -> None:
        self.header = join.header.member(i)
        self.join, self.number = join, i
        self.span = join.header.spans[i]
        self.arrived = join.record.arrived + join.header.record.body_length
        self.bases = None

    @property
    def named(self) -> JoinHeader:
        return self.join.header

    @property
    def is_last(self) -> bool:
        return self.number == len(self.join.header.names) - 1

    def head(self) -> bytes:
        return b""

    def chunk(self, i: int) -> bytes:
        raise InternalError(f"the joined tensor {self.header.name!r} was asked for coded bytes, which it shares")


def whole(records: Iterable[Record]) -> Iterator[Record]:
    """The records of a stream, each given once all of its bytes are here.

    The bytes are in memory, or in a temporary file if they are many. Head and chunks of such a
    record can be read again, until the next record is asked for.
    """
    for record in records:
        if isinstance(record, Member):
            record.join.check()
            yield record
            continue
        with Spool(_SPOOL) as spool:
            spool.write(record.head())
            for i in range(len(record.header.chunks)):
                spool.write(record.chunk(i))
            yield Record(record.header, _fetch_from(spool), record.arrived, record.bases)


def _fetch_from(file: IO[bytes]) -> Fetch:
    def fetch(offset: int, length: int) -> bytes:
        file.seek(offset)
        return file.read(length)

    return fetch
