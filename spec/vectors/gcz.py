"""Containers in pieces, to put them together rightly, or wrongly in one place alone.

`make.py` uses them, and so do the tests that change a field and mend the checksums around it.
"""

import struct
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from unittest import mock
from zlib import crc32

import numpy as np

from gcodec import dtypes
from gcodec.coding import rans
from gcodec.compressors import registry
from gcodec.compressors.common import scale_classes
from gcodec.compressors.contract import Guarantee, Payload, TensorSpec
from gcodec.compressors.klt import factors as lowrank
from gcodec.container.fields import Cursor, pack_text, pack_varint
from gcodec.container.layout import Chunk, FileHeader, Footer, Frame, Index, TensorHeader, pack_block
from gcodec.container.records.joined import JoinHeader, pack_index
from gcodec.distortion import largest_error
from gcodec.source import ArraySource


@dataclass(frozen=True)
class Record:
    """A TENS block: the packed fields of its header, its head and its chunks.

    The fields are in the order of spec/format.md §3.2.
    """

    fields: dict[str, bytes]
    head: bytes
    chunks: tuple[bytes, ...]
    decoded: tuple[int, ...]  # the crc of each chunk's decoded values

    def but(self, **fields: bytes) -> "Record":
        """The same with other header fields."""
        return replace(self, fields=self.fields | fields)

    def holding(self, head: bytes | None = None, chunks: Sequence[bytes] | None = None) -> "Record":
        """The same with another payload, its lengths and checksums made good."""
        head = self.head if head is None else head
        chunks = self.chunks if chunks is None else tuple(chunks)
        fields = {"head_length": pack_varint(len(head)), "head_crc": u32(crc32(head))}
        fields["table"] = b"".join(map(_line, chunks, self.decoded))
        return Record(self.fields | fields, head, chunks, self.decoded)

    def pack(self, body_length: int | None = None) -> bytes:
        body = self.head + b"".join(self.chunks)
        header = b"".join(self.fields.values())
        return pack_block(b"TENS", header, len(body) if body_length is None else body_length) + body


def record(name: str, array: np.ndarray, method: str, bound: float = 0.0, **options) -> Record:
    """An array coded by a method with its guarantee and bound.

    method: such as `rsd`, or `sc:omega` for a method with several guarantees.
    options: those of the compressor, `chunk` for chunks shorter than the encoder's, and
    `lane_bytes` for more lanes.
    """
    method, _, kind = method.partition(":")
    chunk, lane_bytes = options.pop("chunk", None), options.pop("lane_bytes", None)
    cls = registry.by_name(method).load()
    guarantee = Guarantee(kind or cls.kinds[0], bound)
    source = ArraySource(np.asarray(array))
    with ExitStack() as stack:
        for module in (lowrank, scale_classes) if chunk else ():
            stack.enter_context(mock.patch.object(module, "CHUNK", chunk))
        if lane_bytes:
            stack.enter_context(mock.patch.object(rans, "_LANE_BYTES", lane_bytes))
        payload = cls(**options).encode(source, guarantee) if array.size else Payload(b"", 1, lambda *_: b"")
        return _record(name, source, method, guarantee, replace(payload, chunk=chunk or payload.chunk))


def _record(name: str, source: ArraySource, method: str, guarantee: Guarantee, payload: Payload) -> Record:
    """The record of a payload."""
    cls, array = registry.by_name(method).load(), source.read(0, source.size)
    spec = TensorSpec(source.dtype, source.shape)
    decode, chunks, parts = cls.decoder(payload.head, spec), [], []
    for start in range(0, array.size, payload.chunk):
        stop = min(start + payload.chunk, array.size)
        chunks.append(payload.code(start, stop))
        parts.append(dtypes.narrow(decode(chunks[-1], start, stop - start), spec.dtype).tobytes())
    header = TensorHeader(
        name, spec, registry.by_name(method).id, cls.version, guarantee, _distortion(guarantee, array, b"".join(parts)),
        payload.expected, payload.chunk, len(payload.head), crc32(payload.head),
        tuple(Chunk(len(data), crc32(data), crc32(part)) for data, part in zip(chunks, parts, strict=True)),
    )  # fmt: skip
    return Record(split_header(header.pack()), payload.head, tuple(chunks), tuple(map(crc32, parts)))


def _distortion(guarantee: Guarantee, array: np.ndarray, decoded: bytes) -> float:
    if not dtypes.is_float(array.dtype) or not array.size or not np.isfinite(array).all():
        return 0.0
    if guarantee.kind == "pointwise":
        return largest_error(array, np.frombuffer(decoded, array.dtype))
    x, y = array.reshape(-1).astype(np.float64), np.frombuffer(decoded, array.dtype).astype(np.float64)
    scale = np.abs(x).max() or 1.0
    return float(((y / scale - x / scale) ** 2).sum() / (((x / scale) ** 2).sum() or 1.0))


def split_header(header: bytes) -> dict[str, bytes]:
    """The packed fields of a TENS header that is right."""
    cursor, fields, at = Cursor(header, "header"), {}, 0
    parsed = TensorHeader.unpack(header)

    def field(name: str, length: int) -> None:
        nonlocal at
        fields[name] = header[at : at + length]
        at += length

    field("name", len(pack_text(parsed.name)))
    field("dtype", 1)
    field("ndim", 1)
    field("dims", sum(len(pack_varint(n)) for n in parsed.spec.shape))
    cursor.take(at)
    size = cursor.varint()
    field("attributes", len(pack_varint(size)) + size)
    field("compressor", len(pack_varint(parsed.compressor)))
    field("version", len(pack_varint(parsed.version)))
    field("guarantee", 1)
    field("bound", 0 if parsed.guarantee.kind == "exact" else 8)
    field("distortion", 0 if parsed.guarantee.kind == "exact" else 8)
    field("expected", 8 if parsed.guarantee.kind == "omega" else 0)
    field("chunk", len(pack_varint(parsed.chunk)))
    field("head_length", len(pack_varint(parsed.head_length)))
    field("head_crc", 4)
    field("table", len(header) - at)
    return fields


def split_record(header: bytes, body: bytes) -> Record:
    """The record of a block that is right."""
    parsed = TensorHeader.unpack(header)
    chunks, at = [], parsed.head_length
    for chunk in parsed.chunks:
        chunks.append(body[at : at + chunk.length])
        at += chunk.length
    decoded = tuple(chunk.decoded_crc for chunk in parsed.chunks)
    return Record(split_header(header), body[: parsed.head_length], tuple(chunks), decoded)


def split(container: bytes) -> list[Record | bytes]:
    """The blocks before the index of a container that is right; all but TENS as bytes."""
    blocks: list[Record | bytes] = []
    at = FileHeader.SIZE
    while at < len(container) - Footer.SIZE:
        frame = Frame.unpack(container[at : at + Frame.SIZE])
        header = container[at + Frame.SIZE :][: frame.header_length]
        body = at + Frame.SIZE + frame.header_length + 4
        end = body + frame.body_length
        if frame.type in (b"INDX", b"JIDX"):
            break
        is_record = frame.type == b"TENS"
        blocks.append(split_record(header, container[body:end]) if is_record else container[at:end])
        at = end
    return blocks


def container(*blocks: Record | bytes, start: bytes | None = None, **end) -> bytes:
    """A whole file, without an index if it is of one record and `end` has no part of an index.

    start: another file header. end: other parts than the right ones, for `ending`.
    """
    data = FileHeader().pack() if start is None else start
    entries = []
    for block in blocks:
        if isinstance(block, Record):
            entries.append((block.fields["name"], len(data)))
        data += block.pack() if isinstance(block, Record) else block
    if len(entries) == 1 and isinstance(blocks[-1], Record) and not {"index", "index_block"} & set(end):
        end = {"index_block": b"", "footer": Footer(entries[0][1]).pack()} | end
    return data + ending(entries, len(data), **end)


def join(arrays: dict[str, np.ndarray], record: Record | None = None, **fields: bytes) -> bytes:
    """A JOIN block. record: another one of all values. fields: other parts of the header."""
    record = record or joined_record(arrays)
    shapes = tuple(array.shape for array in arrays.values())
    header = TensorHeader.unpack(b"".join(record.fields.values()))
    crcs = tuple(crc32(array.tobytes()) for array in arrays.values())
    packed = JoinHeader(header, tuple(arrays), shapes, crcs).packed
    own = len(header.pack())
    count = len(pack_varint(own)) + own
    parts = {"record": packed[:count], "tensors": packed[count : -4 * len(crcs)], "crcs": packed[-4 * len(crcs) :]}
    body = record.head + b"".join(record.chunks)
    return pack_block(b"JOIN", b"".join((parts | fields).values()), len(body)) + body


def joined_record(tensors: dict[str, np.ndarray]) -> Record:
    """The record of all values."""
    return record("", np.concatenate([array.reshape(-1) for array in tensors.values()]), "lossless")


def joined_index(entries: list[tuple[str, int]]) -> bytes:
    """The JIDX block of these names and offsets."""
    return pack_block(b"JIDX", pack_index(Index(tuple(entries))))


def ending(
    entries: list[tuple[bytes, int]],
    offset: int,
    index: bytes | None = None,
    index_block: bytes | None = None,
    footer: bytes | None = None,
    tail: bytes = b"",
) -> bytes:
    """Index and footer of a file whose index begins at `offset`. index: another header of INDX."""
    if index is None:
        index = index_header(entries)
    block = pack_block(b"INDX", index) if index_block is None else index_block
    return block + (Footer(offset).pack() if footer is None else footer) + tail


def index_header(entries: list[tuple[bytes, int]]) -> bytes:
    """The header of INDX for these packed names and offsets."""
    before = [0, *(offset for _, offset in entries)]
    rows = [name + pack_varint(offset - last) for (name, offset), last in zip(entries, before, strict=False)]
    return pack_varint(len(entries)) + b"".join(rows)


def _line(chunk: bytes, decoded: int) -> bytes:
    """A line of the chunk table."""
    return pack_varint(len(chunk)) + u32(crc32(chunk)) + u32(decoded)


def u32(value: int) -> bytes:
    return struct.pack("<I", value)


def f32(value: float) -> bytes:
    return struct.pack("<f", value)


def f64(value: float) -> bytes:
    return struct.pack("<d", value)


def bits(text: str) -> bytes:
    """A string of 0 and 1 (anything else is for reading only) as bytes, filled with zeros."""
    digits = "".join(c for c in text if c in "01")
    digits += "0" * (-len(digits) % 8)
    return int("1" + digits, 2).to_bytes(len(digits) // 8 + 1, "big")[1:]
