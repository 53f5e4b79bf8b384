"""The header of JOIN, a block of many small tensors, and the index of files that have such blocks.

Names are coded by what they share with the name before (spec/format.md §3.7).
"""

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from os.path import commonprefix

import numpy as np

from ...compressors.contract import CHUNK, TensorSpec
from ...errors import Corrupt
from ..base import KEY
from ..fields import Cursor, pack_varint
from ..layout import (
    LEAST_RECORD,
    MAX_HEADER,
    MAX_NDIM,
    MAX_TEXT,
    ORIGINAL,
    Chunk,
    FileHeader,
    Frame,
    Index,
    TensorHeader,
)

MAX_MEMBERS = 1 << 16
MAX_NAMES = 1 << 22  # bytes of all names of a block together
_WHAT = "JOIN header"


@dataclass(frozen=True)
class JoinHeader:
    """The header of JOIN.

    record: of all values as one vector, exact and in one chunk, without name; of the attributes it
    has at most the base. crcs: of the values of each member, as little-endian bytes of the dtype.
    """

    record: TensorHeader
    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    crcs: tuple[int, ...]

    @cached_property
    def spans(self) -> list[tuple[int, int]]:
        """(start, stop) of each member's values in the vector."""
        return list(pairwise(accumulate(map(math.prod, self.shapes), initial=0)))

    def member(self, i: int) -> TensorHeader:
        """The header of one of the tensors: its share of the bytes is that of the values.

        A base is that of the block.
        """
        record, (start, stop) = self.record, self.spans[i]
        size, body, crc = record.spec.size, record.body_length, self.crcs[i]
        chunk = Chunk(stop * body // size - start * body // size, 0, crc)
        framing = (Frame.SIZE + 4 + len(self.packed)) // len(self.names)
        return TensorHeader(
            self.names[i], TensorSpec(record.spec.dtype, self.shapes[i]), record.compressor, record.version,
            record.guarantee, 0.0, None, stop - start, 0, 0, (chunk,), {ORIGINAL: crc} | record.attributes, framing,
        )  # fmt: skip

    @cached_property
    def packed(self) -> bytes:
        """The bytes of the header; of one that was read, those that were read."""
        record = self.record.pack()
        parts = [pack_varint(len(record)), record, pack_varint(len(self.names))]
        before: tuple[int, ...] | None = None
        name = b""
        for text, shape in zip(self.names, self.shapes, strict=True):
            last, name = name, text.encode()
            parts.append(pack_name(name, last))
            parts.append(b"\0" if shape == before else b"".join(map(pack_varint, (1 + len(shape), *shape))))
            before = shape
        return b"".join([*parts, np.array(self.crcs, "<u4").tobytes()])

    @classmethod
    def unpack(cls, data: bytes) -> "JoinHeader":
        """The header in these bytes. Raises Corrupt."""
        cursor = Cursor(data, _WHAT)
        record = TensorHeader.unpack(cursor.take(cursor.varint(MAX_HEADER)))
        alone = len(record.chunks) == len(record.spec.shape) == 1 and record.spec.size <= CHUNK
        if record.name or set(record.attributes) - {KEY} or record.guarantee.kind != "exact" or not alone:
            raise Corrupt(f"{_WHAT}: its record is not an exact vector of one chunk, without name and attributes")
        if record.base is not None and (record.base.name or record.base.alpha is not None):
            raise Corrupt(f"{_WHAT}: its base has a name or a bound")
        count = cursor.varint(MAX_MEMBERS)
        if count < 2:
            raise Corrupt(f"{_WHAT}: it joins {count} tensors, and it must be two or more")
        names, left = Names(cursor, MAX_NAMES), record.spec.size
        shapes: list[tuple[int, ...]] = []
        for _ in range(count):
            names.take()
            shapes.append(_shape(cursor, shapes))
            size = math.prod(shapes[-1])
            left -= size
            if left < 0 or size == 0:
                raise Corrupt(f"{_WHAT}: the shapes do not have as many values as the record")
        crcs = tuple(np.frombuffer(cursor.take(4 * count), "<u4").tolist())
        cursor.end()
        if left or len(set(names.found)) < count:
            raise Corrupt(f"{_WHAT}: the shapes have fewer values than the record, or a name stands twice")
        header = cls(record, tuple(names.found), tuple(shapes), crcs)
        vars(header)["packed"] = bytes(data)
        return header


def _shape(cursor: Cursor, before: list[tuple[int, ...]]) -> tuple[int, ...]:
    count = cursor.varint(MAX_NDIM + 1)
    if count:
        return tuple(cursor.varint(CHUNK) for _ in range(count - 1))
    if not before:
        raise Corrupt(f"{_WHAT}: the first tensor has the shape of one before it")
    return before[-1]


def pack_name(name: bytes, before: bytes) -> bytes:
    """A name: how many first and last bytes are those of the name before, and what is between."""
    first = len(commonprefix((name, before)))
    last = len(commonprefix((name[first:][::-1], before[first:][::-1])))
    middle = name[first : len(name) - last]
    return pack_varint(first) + pack_varint(last) + pack_varint(len(middle)) + middle


class Names:
    """Takes names off a cursor, one after the other; `found` has them.

    most: the bytes that all of them may have together.
    """

    def __init__(self, cursor: Cursor, most: int) -> None:
        self.found: list[str] = []
        self._cursor, self._left, self._before = cursor, most, b""

    def take(self) -> str:
        """The next name. Raises Corrupt."""
        cursor, before = self._cursor, self._before
        first, last = cursor.varint(len(before)), cursor.varint(len(before))
        middle = cursor.take(cursor.varint(MAX_TEXT))
        name = before[:first] + middle + before[len(before) - last :]
        self._left -= len(name)
        if first + last > len(before) or len(name) > MAX_TEXT or self._left < 0:
            raise Corrupt("a name shares more bytes than the one before has, or names have more than the format allows")
        try:
            self.found.append(name.decode())
        except UnicodeDecodeError:
            raise Corrupt("a name is not valid UTF-8") from None
        self._before = name
        return self.found[-1]


def pack_index(index: Index) -> bytes:
    """The header of JIDX: of a tensor in the same block as the one before, the distance is 0."""
    parts, before, last = [pack_varint(len(index.entries))], 0, b""
    for text, offset in index.entries:
        name = text.encode()
        parts += [pack_name(name, last), pack_varint(offset - before)]
        before, last = offset, name
    return b"".join(parts)


def unpack_index(data: bytes, end: int) -> Index:
    """The index in the header of JIDX, for records that end at `end` at the latest.

    Raises Corrupt.
    """
    cursor = Cursor(data, "index")
    names = Names(cursor, MAX_HEADER)
    entries: list[tuple[str, int]] = []
    offset, least = 0, FileHeader.SIZE
    for _ in range(cursor.varint(len(data))):
        name, distance = names.take(), cursor.varint()
        offset += distance
        if (distance or not entries) and not least <= distance <= end - LEAST_RECORD - (offset - distance):
            raise Corrupt(f"index: there is no room for {name!r:.200}")
        least = LEAST_RECORD
        entries.append((name, offset))
    cursor.end()
    if len({name for name, _ in entries}) != len(entries):
        raise Corrupt("index: a name stands twice")
    if len({offset for _, offset in entries}) == len(entries):
        raise Corrupt("index: it is one of joined tensors, and there are none")
    return Index(tuple(entries))
