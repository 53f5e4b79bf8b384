"""Streams that go on after a cut (spec/format.md §3.5).

Each record of a stream notes the crc of its original. So the records that arrived have a *mark*:
their number, and a crc of their names and originals, such as `8-3fa91c02`. The receiver says it;
the sender compares it with its own tensors and sends those that come after.
"""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, BinaryIO, cast

from ..compressors.contract import CHUNK
from ..dtypes import as_bytes
from ..errors import Corrupt, InvalidInput, Truncated
from ..source import Source, spans
from .fields import crc32, pack_text
from .layout import ORIGINAL
from .reader import Record, Stream
from .records.record import Member
from .writer import pack_end

AFTER = "after"  # the key of META with the mark of the records that are left out


def original_crc(source: Source) -> int:
    """The crc of a tensor's values, as little-endian bytes of its dtype."""
    crc = 0
    for span in spans(source.size, CHUNK):
        crc = crc32(as_bytes(source.read(*span)), crc)
    return int(crc)


def mark_of(originals: Sequence[tuple[str, int]]) -> str:
    """The mark of records with these names and crcs of originals, in their order."""
    crc = 0
    for name, original in originals:
        crc = crc32(pack_text(name) + original.to_bytes(4, "little"), crc)
    return f"{len(originals)}-{crc:08x}"


def left_out(tensors: Sequence[tuple[str, Source]], mark: str) -> int:
    """How many of the first tensors arrived before, by the receiver's mark.

    Raises InvalidInput when these are not the tensors that arrived.
    """
    found = re.fullmatch(r"([0-9]{1,9})-([0-9a-f]{8})", mark)
    if not found:
        raise InvalidInput(f"--skip {mark}: is no mark such as 8-3fa91c02; gcodec decode --resume-from says it")
    count = int(found[1])
    if count > len(tensors):
        raise InvalidInput(f"--skip {mark}: the input has {len(tensors)} records, so it is not what was sent before")
    if mark_of([(name, original_crc(source)) for name, source in tensors[:count]]) != mark:
        raise InvalidInput(
            f"--skip {mark}: the first tensors of the input are not those that arrived; it changed since, or is "
            "another one. Have the receiver delete its part, and send all of it without --skip"
        )
    return count


class Part:
    """What arrived of a stream, in a file: whole records, from the first one on.

    file: seekable, open for reading and writing; empty at first. Whatever arrives is appended at
    once, so a receiver that is killed loses no more than the record that was on its way. Raises an
    error of the FormatError family for a file that is no part of a stream.

    meta: the metadata of the stream. whole: whether the file is a container with its end.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.meta, self.whole = file, dict[str, Any](), False
        self._entries: dict[str, int] = {}
        self._originals: list[tuple[str, int | None]] = []
        self._end = 0  # where the last whole record ends
        if file.seek(0, os.SEEK_END):
            file.seek(0)
            self._survey()

    @property
    def names(self) -> list[str]:
        """The names of the records that are there."""
        return list(self._entries)

    @property
    def mark(self) -> str | None:
        """The mark of the records that are there; None when they do not note their originals."""
        noted = [(name, original) for name, original in self._originals if original is not None]
        return mark_of(noted) if len(noted) == len(self._originals) else None

    def receive(self, source: BinaryIO) -> None:
        """Append the records of a stream, and then the container's end.

        Raises what reading a stream raises, and InvalidInput for one that does not go on where this
        part ends. The records that arrived whole are kept then.
        """
        tee = _Tee(source, self._file)
        self._file.seek(self._end)
        try:
            stream = Stream(cast(BinaryIO, tee))
            start = None
            for record in stream:
                start = self._joined(stream, tee) if start is None else start
                self._keep(record, start + stream.start)
            if start is None:
                self._joined(stream, tee)
            self._close()
        except BaseException:
            self._file.truncate(self._end)
            raise

    def _survey(self) -> None:
        """Find the whole records of a file."""
        stream = Stream(self._file)
        with suppress(Truncated):
            for record in stream:
                self.meta = stream.meta
                self._keep(record, stream.start)
            self.whole = True

    def _keep(self, record: Record, start: int) -> None:
        """Read a record, which is kept once all of it is there and agrees with its checksums."""
        name, original = record.header.name, record.header.attributes.get(ORIGINAL)
        if name in self._entries:
            raise Corrupt(f"the record {name!r:.200} comes a second time")
        if isinstance(record, Member):
            record.join.check()
        else:
            record.head()
            for i in range(len(record.header.chunks)):
                record.chunk(i)
        self._entries[name] = start
        self._originals.append((name, original if type(original) is int and 0 <= original < 1 << 32 else None))
        if not isinstance(record, Member) or record.is_last:
            self._end = self._file.tell()
            self._file.flush()

    def _joined(self, stream: Stream, tee: "_Tee") -> int:
        """Have the records of a stream written; gives what turns their places into those here."""
        meta = {key: value for key, value in stream.meta.items() if key != AFTER}
        after = stream.meta.get(AFTER)
        if not self._entries:
            if after is not None:
                raise InvalidInput(
                    f"the sender leaves out what nothing here has; have it send all, without --skip {after}"
                )
            self.meta = meta
            return tee.open(0)
        if meta != self.meta:
            raise InvalidInput("another stream comes than the one whose part was kept; name another file for its part")
        if self.mark is None:
            raise InvalidInput("what was kept cannot go on, as its records do not note their originals; delete it")
        if after != self.mark:
            raise InvalidInput(
                f"the sender must leave out what arrived before: repeat both commands, its with --skip {self.mark}"
            )
        return self._end - tee.open(stream.front)

    def _close(self) -> None:
        """Write the end of the container."""
        self._file.truncate(self._end)
        self._file.seek(self._end)
        self._file.write(pack_end(self._entries, self._end))
        self._file.flush()
        self.whole = True


class _Tee:
    """Reads a stream, and copies it to a file from some place on."""

    def __init__(self, source: BinaryIO, target: BinaryIO) -> None:
        self._source, self._target = source, target
        self._held: list[bytes] | None = []

    def read(self, n: int) -> bytes:
        data = self._source.read(n)
        if self._held is None:
            self._target.write(data)
        else:
            self._held.append(data)
        return data

    def open(self, place: int) -> int:
        """Copy from this place on."""
        self._target.write(b"".join(self._held or ())[place:])
        self._held = None
        return place
