"""Write a container to any binary file object: records as they come, then its end."""

import errno
import os
from collections.abc import Callable, Container, Iterable, Mapping
from functools import partial
from io import RawIOBase
from typing import Any, BinaryIO

from ..errors import Closed, FormatError, InvalidInput
from .budget import WORK_PER_MEMBER, Budget
from .layout import MAX_HEADER, MAX_TEXT, FileHeader, Footer, Index, TensorHeader, pack_block, pack_json, unpack_meta
from .records.joined import JoinHeader, pack_index, unpack_index
from .spool import PIECE

_CLOSED = "the container was closed; nothing can be added to it"
# What stands until a write is whole: where it fails, nothing can follow it.
_CUT = "an earlier write to the container's file failed, so the container is cut"


class ContainerWriter:
    """Streams records to `file`, which needs only `write`, and stays open after `close`.

    meta: a JSON-able description of where the tensors come from (spec/format.md §3.1). work: what
    making a file of them takes, besides decoding, for each decoded byte. A record that asks for
    more than the bytes pay for gets a block of zeros before it, so that every reader accepts it.

    Whatever is refused is refused before a byte of it is written, and the writer goes on. When
    `file` fails, or the body of a record does, the container is cut: the writer then takes nothing
    more.
    """

    def __init__(self, file: BinaryIO, meta: dict[str, Any] | None = None, work: int = 0) -> None:
        self._file = file
        self._work_per_byte = work
        self._offset = 0
        self._entries: dict[str, int] = {}
        self._budget = Budget()
        self._ended = ""
        packed = pack_json(meta or {})
        _check(unpack_meta, packed, "the file's metadata")
        self._ended = _CUT
        self._write(FileHeader().pack())
        if packed:
            self._write(pack_block(b"META", packed))
        self._ended = ""

    def add(self, header: TensorHeader, body: Iterable[bytes], work: int) -> None:
        """Append a record. body: gives the bytes of head and chunks. work: that decoding takes."""
        self.check_new(header.name)
        packed = header.pack()
        _check(TensorHeader.unpack, packed, f"the header of {header.name!r}")
        self._ended = _CUT
        self._pay(header, work)
        self._append(b"TENS", packed, header, body, [header.name])
        self._ended = ""

    def add_joined(self, header: JoinHeader, body: Iterable[bytes], work: int) -> None:
        """Append joined tensors. body, work: those of the record of all values."""
        for name in header.names:
            self.check_new(name)
        packed = header.packed
        _check(JoinHeader.unpack, packed, f"the header of {len(header.names)} joined tensors")
        self._ended = _CUT
        self._pay(header.record, work + WORK_PER_MEMBER * len(header.names))
        self._append(b"JOIN", packed, header.record, body, header.names)
        self._ended = ""

    def _append(
        self, kind: bytes, packed: bytes, record: TensorHeader, body: Iterable[bytes], names: Iterable[str]
    ) -> None:
        start = self._offset
        self._write(pack_block(kind, packed, record.body_length))
        for part in body:
            self._write(part)
        self._entries.update(dict.fromkeys(names, start))

    def _pay(self, header: TensorHeader, work: int) -> None:
        """Write the zeros that a reader needs to accept the next record, of a stream too."""
        decoded = header.spec.size * header.spec.dtype.itemsize
        self._budget.add(header, work + self._work_per_byte * decoded)
        self._budget.receive(header.body_length)
        lacking = self._budget.lacking
        if lacking:
            self._write(pack_block(b"fill", b"", lacking))
            for at in range(0, lacking, PIECE):
                self._write(bytes(min(PIECE, lacking - at)))
            self._budget.receive(lacking)

    def check_new(self, name: str, others: Container[str] = ()) -> None:
        """Raise InvalidInput for a name that is taken or not allowed, and Closed after the end.

        others: names that are taken as well, by what is not written yet.
        """
        self.check_open()
        check_name(name)
        if name in self._entries or name in others:
            raise InvalidInput(f"two tensors have the name {name!r}")

    def close(self) -> None:
        """Write the index, which a single record needs not, and the footer.

        A second call does nothing.
        Raises Closed when the container was cut.
        """
        if self.is_closed:
            return
        self.check_open()
        end = pack_end(self._entries, self._offset)
        self._ended = _CUT
        self._write(end)
        self._ended = _CLOSED

    @property
    def is_closed(self) -> bool:
        """Whether the container is complete."""
        return self._ended == _CLOSED

    def abandon(self) -> None:
        """Leave a container that is not closed without its end: a reader will find it cut."""
        self._ended = self._ended or "the container was abandoned before its end"

    def check_open(self) -> None:
        """Raise Closed when nothing can be added any more."""
        if self._ended:
            raise Closed(self._ended)

    def _write(self, data: bytes) -> None:
        """All of the data, also to a file that takes only a part of it at a time."""
        left = data
        while left:
            count: int | None = self._file.write(left)
            if count == 0 or (count is None and isinstance(self._file, RawIOBase)):
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN), getattr(self._file, "name", None))
            left = b"" if count is None else left[count:]
        self._offset += len(data)


def pack_end(entries: Mapping[str, int], offset: int) -> bytes:
    """The end of a container whose records, at these places, end at `offset`.

    It is an index, which a single record needs not, and the footer.
    """
    if len(entries) == 1:
        return Footer(*entries.values()).pack()
    index = Index(tuple(entries.items()))
    if len(set(entries.values())) < len(entries):
        kind, packed, unpack = b"JIDX", pack_index(index), unpack_index
    else:
        kind, packed, unpack = b"INDX", index.pack(), Index.unpack
    _check(partial(unpack, end=offset), packed, "the index")
    return pack_block(kind, packed) + Footer(offset).pack()


def check_name(name: object) -> None:
    """Raise InvalidInput unless it is a string that the format can hold as a tensor's name."""
    if not isinstance(name, str):
        raise InvalidInput(f"the name of a tensor must be a string, not {name!r}")
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        raise InvalidInput(f"the name {name[:40]!r} is not valid Unicode") from None
    if length > MAX_TEXT:
        raise InvalidInput(f"the name {name[:40]!r}… is longer than {MAX_TEXT} bytes")


def _check(unpack: Callable[[bytes], object], header: bytes, what: str) -> None:
    """What a reader would refuse is not written."""
    if len(header) > MAX_HEADER:
        raise InvalidInput(f"{what} has {len(header)} bytes; the format allows {MAX_HEADER}")
    try:
        unpack(header)
    except FormatError as error:
        raise InvalidInput(f"the format cannot hold {what}: {error}") from None
