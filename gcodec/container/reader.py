"""Reads a container.

`Stream` goes through any binary file object without seeking. `RandomAccess` starts at the footer.
"""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, BinaryIO

from ..errors import Corrupt, InternalError, Truncated, UnsupportedFeature
from .layout import END_MAGIC, MAGIC, FileHeader, Footer, Frame, Index, TensorHeader, checked, unpack_meta
from .records.joined import JoinHeader, unpack_index
from .records.record import Fetch, Join, Record, whole
from .spool import PIECE

__all__ = ["RandomAccess", "Record", "Stream", "whole"]
_KEPT = 16  # blocks of joined tensors at most
_KNOWN = (b"TENS", b"JOIN", b"META", b"INDX", b"JIDX")


class Stream:
    """The records of a container, one after the other. `meta` is known once the first record is."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._at = 0
        self.meta: dict[str, Any] = {}
        self.names: list[str] = []  # the names of the records that were read whole
        self.front = FileHeader.SIZE  # the bytes before the first record or blocks that belong to it
        self.start = 0  # where the last record begins
        self.version = FileHeader.unpack(self._read_header())

    @property
    def position(self) -> int:
        """The bytes that were read so far. After the last record it is the container's length."""
        return self._at

    def __iter__(self) -> Iterator[Record]:
        entries: list[tuple[str, int]] = []
        arrived = end_of_record = 0
        while True:
            start = self._at
            first = self._read(Frame.SIZE)
            if first.endswith(END_MAGIC):
                if start != end_of_record or len(entries) != 1:
                    raise Corrupt("there is no index, and not one record alone as the last block")
                self._end(Footer.unpack(first), entries[0][1])
                return
            frame, header = _read_block(first, self._read)
            end = self._at + frame.body_length
            if frame.type == b"TENS":
                parsed = _tensor_header(frame, header)
                entries.append((parsed.name, start))
                self.start = start
                yield Record(parsed, self._body(self._at, end), arrived)
                self._skip_to(end)
                end_of_record = end
                self.names.append(parsed.name)
            elif frame.type == b"META":
                if start != FileHeader.SIZE:
                    raise Corrupt("META is not the first block")
                self.meta, self.front = unpack_meta(header), self._at
            elif frame.type == b"JOIN":
                joined, self.start = _join_header(frame, header), start
                body = self._read(frame.body_length)
                yield from Join(joined, partial(_part, body), arrived).members()
                entries += [(name, start) for name in joined.names]
                self.names += joined.names
            elif frame.type in (b"INDX", b"JIDX"):
                if list(_index(frame, header, start).entries) != entries:
                    raise Corrupt("the index does not agree with the records")
                self._end(Footer.unpack(self._read(Footer.SIZE)), start)
                return
            self._skip_to(end)
            arrived += frame.body_length

    def _end(self, footer: Footer, start: int) -> None:
        if footer.offset != start:
            raise Corrupt("the footer does not point to the index, or to the only record")
        if self._file.read(1):
            raise Corrupt("there are bytes after the end of the container")

    def _body(self, start: int, end: int) -> Fetch:
        def fetch(offset: int, length: int) -> bytes:
            if not self._at <= start + offset <= start + offset + length <= end:
                raise ValueError("the body of a streamed record is read once, in order")
            self._skip_to(start + offset)
            return self._read(length)

        return fetch

    def _read_header(self) -> bytes:
        data = _read_up_to(self._file, FileHeader.SIZE)
        self._at += len(data)
        return _complete_header(data)

    def _read(self, n: int) -> bytes:
        data = _read_up_to(self._file, n)
        self._at += len(data)
        if len(data) < n:
            raise Truncated(f"the data ends at byte {self._at}, before the container does: it was cut, fetch it again")
        return data

    def _skip_to(self, position: int) -> None:
        while self._at < position:
            self._read(min(PIECE, position - self._at))


class RandomAccess:
    """The records of a container in a seekable file, each read on its own.

    `offsets` maps names to positions. Blocks between the records are not seen (spec/format.md §3).
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self._lock = threading.Lock()  # a seek and its read belong together
        self.version = FileHeader.unpack(_complete_header(self.read_at(0, min(size, FileHeader.SIZE))))
        if size < FileHeader.SIZE + Footer.SIZE:
            raise Truncated(f"the data ends at byte {size}, before the container does: it was cut, fetch it again")
        self.meta = self._read_meta()
        data = self.read_at(size - Footer.SIZE, Footer.SIZE)
        try:
            offset = Footer.unpack(data).offset
        except Corrupt:
            raise Truncated("there is no footer at the end: the file was cut, or something follows it") from None
        self._alone: tuple[TensorHeader, int] | None = None  # the only record, where there is no index, and its body
        entries, end = self._last_block(offset, size - Footer.SIZE)
        self.offsets = dict(entries)
        starts = list(dict.fromkeys(offset for _, offset in entries))
        self._ends = dict(zip(starts, [*starts[1:], end], strict=False))
        self._joins: dict[int, Join] = {}  # some blocks of joined tensors that were read, by their offsets

    def _last_block(self, offset: int, footer: int) -> tuple[tuple[tuple[str, int], ...], int]:
        """Names and offsets of the records, and where the last record must end at the latest."""
        frame, header = self._block(offset)
        if frame.type not in (b"INDX", b"JIDX", b"TENS") or _body_at(offset, header) + frame.body_length != footer:
            raise Corrupt("the footer does not point to the index, or to the only record")
        if frame.type == b"TENS":
            self._alone = _tensor_header(frame, header), _body_at(offset, header)
            return ((self._alone[0].name, offset),), footer
        return _index(frame, header, offset).entries, offset

    def record(self, name: str) -> Record:
        """The record with this name.

        Raises KeyError if there is none, and Corrupt when the index or the record is wrong.
        """
        offset = self.offsets[name]
        if self._alone is not None:
            parsed, body = self._alone
            return Record(parsed, self._body(body))
        known = self._joins.get(offset)
        if known is not None:
            return known.named(name)
        frame, header = self._block(offset)
        body = _body_at(offset, header)
        if frame.type not in (b"TENS", b"JOIN") or body + frame.body_length > self._ends[offset]:
            raise Corrupt(f"the index does not point to the record {name!r}")

        if frame.type == b"JOIN":
            join = Join(_join_header(frame, header), self._body(body))
            self._joins = {} if len(self._joins) >= _KEPT else self._joins
            self._joins[offset] = join
            return join.named(name)
        parsed = _tensor_header(frame, header)
        if parsed.name != name:
            raise Corrupt(f"the index points to {parsed.name!r} where {name!r} should be")
        return Record(parsed, self._body(body))

    def _body(self, start: int) -> Fetch:
        return lambda at, length: self.read_at(start + at, length)

    def read_at(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset` on. Raises Truncated when they are not there."""
        with self._lock:
            self._file.seek(offset)
            data = _read_up_to(self._file, length)
        if len(data) < length:
            raise Truncated(
                f"the data ends at byte {offset + len(data)}, before the container does: it was cut, fetch it again"
            )
        return data

    def _block(self, offset: int) -> tuple[Frame, bytes]:
        if not FileHeader.SIZE <= offset < self._size:
            raise Corrupt("an offset points outside the file")
        position = offset

        def read(n: int) -> bytes:
            nonlocal position
            position += n
            return self.read_at(position - n, n)

        return _read_block(read(Frame.SIZE), read)

    def _read_meta(self) -> dict[str, Any]:
        """META, which is the first block if there is one."""
        frame, header = self._block(FileHeader.SIZE)
        return unpack_meta(header) if frame.type == b"META" else {}


def _tensor_header(frame: Frame, header: bytes) -> TensorHeader:
    parsed = TensorHeader.unpack(header)
    if parsed.body_length != frame.body_length:
        raise Corrupt(f"record {parsed.name!r}: the body's length is not that of its chunks")
    return parsed


def _join_header(frame: Frame, header: bytes) -> JoinHeader:
    parsed = JoinHeader.unpack(header)
    if parsed.record.body_length != frame.body_length:
        raise Corrupt("block JOIN: the body's length is not that of its record")
    return parsed


def _index(frame: Frame, header: bytes, end: int) -> Index:
    """The index in INDX or JIDX, for records that end at `end` at the latest."""
    return Index.unpack(header, end) if frame.type == b"INDX" else unpack_index(header, end)


def _part(body: bytes, offset: int, length: int) -> bytes:
    return body[offset : offset + length]


def _body_at(offset: int, header: bytes) -> int:
    """Where the body of the block at `offset` begins: after its frame, its header and their crc."""
    return offset + Frame.SIZE + len(header) + 4


def _read_block(first: bytes, read: Callable[[int], bytes]) -> tuple[Frame, bytes]:
    """Frame and header of a block, whose first Frame.SIZE bytes are there already.

    Raises UnsupportedFeature for an unknown type that is required.
    """
    frame = Frame.unpack(first)
    header = read(frame.header_length)
    checked(header, int.from_bytes(read(4), "little"), f"block {frame.type.decode()}", before=first)
    if frame.type not in _KNOWN and frame.type[:1].isupper():
        raise UnsupportedFeature(f"a block of type {frame.type.decode()} must be understood and is not; update gcodec")
    if frame.type in (b"META", b"INDX", b"JIDX") and frame.body_length:
        raise Corrupt(f"block {frame.type.decode()}: has a body")
    return frame, header


def _complete_header(data: bytes) -> bytes:
    """The 16 bytes of a file header.

    Raises Truncated for fewer that begin like one, else NotGcodec.
    """
    if len(data) == FileHeader.SIZE:
        return data
    if data[: len(MAGIC)] == MAGIC[: len(data)]:
        raise Truncated(f"the data ends at byte {len(data)}, before the container does: it was cut, fetch it again")
    FileHeader.unpack(data.ljust(FileHeader.SIZE, b"\0"))
    raise InternalError("a file header without the magic bytes was accepted")


def _read_up_to(file: BinaryIO, n: int) -> bytes:
    """n bytes, or fewer at the end of the file. It takes memory only for the bytes that come."""
    data = file.read(min(n, PIECE))
    if len(data) == n or not data:
        return data
    parts, got = [data], len(data)
    while got < n and parts[-1]:
        parts.append(file.read(min(n - got, PIECE)))
        got += len(parts[-1])
    return b"".join(parts)
