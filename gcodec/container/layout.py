"""The structures of spec/format.md as dataclasses with pack and unpack, in its order."""

import json
import math
import struct
import sys
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from .. import dtypes
from ..compressors.contract import CHUNK, Guarantee, TensorSpec
from ..errors import ChecksumMismatch, Corrupt, NotGcodec, UnsupportedFeature, UnsupportedVersion
from . import strict_json
from .base import DELTA, BaseName
from .fields import Cursor, crc32, pack_text, pack_varint

MAGIC = b"\x89GCZ\r\n\x1a\n"
END_MAGIC = b"GCZE"
MAJOR, MINOR = 1, 0
GUARANTEES = ("exact", "alpha", "omega", "pointwise")
MAX_HEADER = 1 << 24
MAX_BODY = 1 << 62  # the last four bytes of a frame then differ from END_MAGIC
MAX_JSON = 1 << 23
MAX_JSON_PARTS = 1 << 19  # the most bytes that are one of [ { , : since each value has one
MAX_CHUNKS = 1 << 19
LEAST_RECORD = 34  # the bytes of the shortest record: an empty tensor without a name
MAX_HEAD = 1 << 26
MAX_CODED_CHUNK = 1 << 25
MAX_SIZE = 1 << 48
MAX_NDIM = 64
MAX_TEXT = (1 << 16) - 1
ORIGINAL = "original"  # the attribute of a record that has the crc of its original


def checked(data: bytes, crc: int, what: str, before: bytes = b"") -> bytes:
    """The data. Raises ChecksumMismatch unless `crc` is that of `before` and `data` together."""
    if crc32(data, crc32(before)) != crc:
        raise ChecksumMismatch(f"{what}: the checksum does not agree; the bytes were damaged")
    return data


@dataclass(frozen=True)
class FileHeader:
    """The file header (spec/format.md §2)."""

    major: int = MAJOR
    minor: int = MINOR
    SIZE: ClassVar[int] = 16

    def pack(self) -> bytes:
        data = MAGIC + bytes((self.major, self.minor, 0, 0))
        return data + struct.pack("<I", crc32(data))

    @classmethod
    def unpack(cls, data: bytes) -> "FileHeader":
        major, minor, required, _, crc = struct.unpack("<8x4BI", data)
        if data[:3] == b"GCM":
            raise NotGcodec("this is a message of a channel: `gcodec decode` and `gcodec verify` take it with --specs")
        if data[:8] != MAGIC:
            raise NotGcodec("this is not a gcodec file: it does not start with \\x89GCZ; name one that gcodec wrote")
        if major > MAJOR:
            raise UnsupportedVersion(f"format {major}.{minor}; this gcodec reads up to {MAJOR}.x: update gcodec")
        checked(data[:12], crc, "file header")
        if major < MAJOR:
            raise Corrupt(f"file header: format {major}.{minor} does not exist")
        if required:
            raise UnsupportedFeature(f"file header: required flags {required:#04x} are unknown; update gcodec")
        return cls(major, minor)


@dataclass(frozen=True)
class Frame:
    """The frame of a block: what stands before its header (spec/format.md §3)."""

    type: bytes
    header_length: int
    body_length: int
    SIZE: ClassVar[int] = 16

    def pack(self) -> bytes:
        return struct.pack("<4sIQ", self.type, self.header_length, self.body_length)

    @classmethod
    def unpack(cls, data: bytes) -> "Frame":
        frame = cls(*struct.unpack("<4sIQ", data))
        if not frame.type.isalpha():
            raise Corrupt(f"block type {frame.type!r} is not of four letters")
        if frame.header_length > MAX_HEADER or frame.body_length >= MAX_BODY:
            raise Corrupt(f"block {frame.type.decode()}: declares more bytes than the format allows")
        return frame


def pack_block(kind: bytes, header: bytes, body_length: int = 0) -> bytes:
    """Frame, header and crc of a block, without its body."""
    data = Frame(kind, len(header), body_length).pack() + header
    return data + struct.pack("<I", crc32(data))


def pack_json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() if value else b""


def unpack_json(data: bytes, what: str) -> dict[str, Any]:
    """A JSON object. No bytes stand for an empty one. Raises Corrupt, which names `what`."""
    if not data:
        return {}
    if len(data) > MAX_JSON or sum(map(data.count, b"[{,:")) > MAX_JSON_PARTS:
        raise Corrupt(f"{what}: more JSON than the format allows")
    try:
        value = strict_json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Corrupt(f"{what}: not a JSON object ({error})") from None
    if not isinstance(value, dict):
        raise Corrupt(f"{what}: JSON, but not an object")
    return value


def _is_number(value: object) -> bool:
    """Whether a value is a JSON number of at least 0 that a float64 can hold."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= sys.float_info.max


def unpack_meta(data: bytes) -> dict[str, Any]:
    """The header of META. Raises Corrupt unless its keys have the types of spec/format.md §3.1."""
    meta = unpack_json(data, "META")
    names, total, scope = meta.get("names", []), meta.get("bytes", 0), meta.get("scope", {"alpha": 0, "norm2": {}})
    right = isinstance(names, list) and all(isinstance(name, str) for name in names)
    right = (
        right
        and isinstance(total, int)
        and not isinstance(total, bool)
        and total >= 0
        and isinstance(meta.get("format", ""), str)
    )
    right = right and isinstance(scope, dict) and isinstance(scope.get("norm2"), dict)
    if not right or not all(map(_is_number, (scope.get("alpha"), *scope["norm2"].values()))):
        raise Corrupt("META: a key has a value of another type than it must have")
    return meta


@dataclass(frozen=True, slots=True)  # slots save memory, as a header may have very many chunks
class Chunk:
    """One line of the chunk table."""

    length: int
    crc: int
    decoded_crc: int


@dataclass(frozen=True)
class TensorHeader:
    """The header of a record (spec/format.md §3.2), or what a joined tensor has in its place.

    framing: of a joined tensor (§3.7), its share of the bytes of the block without the body.
    """

    name: str
    spec: TensorSpec
    compressor: int
    version: int
    guarantee: Guarantee
    distortion: float
    expected: float | None
    chunk: int
    head_length: int
    head_crc: int
    chunks: tuple[Chunk, ...]
    attributes: dict[str, Any] = field(default_factory=dict)
    framing: int | None = None

    @property
    def body_length(self) -> int:
        return self.head_length + sum(chunk.length for chunk in self.chunks)

    @property
    def base(self) -> BaseName | None:
        """The tensor that this one is coded against, if there is one."""
        found = BaseName.of(self.attributes, self.name)
        return found if found is None or self.framing is None else replace(found, several=True)

    @property
    def coded_spec(self) -> TensorSpec:
        """What the payload codes: of a record with a base and a bound it is the change."""
        if self.base is None or self.compressor == DELTA:
            return self.spec
        return TensorSpec(dtypes.work_dtype(self.spec.dtype), self.spec.shape)

    def pack(self) -> bytes:
        spec, guarantee = self.spec, self.guarantee
        parts = [pack_text(self.name), pack_varint(dtypes.code_of(spec.dtype)), pack_varint(len(spec.shape))]
        parts += map(pack_varint, spec.shape)
        attributes = pack_json(self.attributes)
        parts += [pack_varint(len(attributes)), attributes]
        parts += [pack_varint(self.compressor), pack_varint(self.version), bytes([GUARANTEES.index(guarantee.kind)])]
        if guarantee.kind != "exact":
            parts.append(struct.pack("<dd", guarantee.bound, self.distortion))
        if guarantee.kind == "omega":
            parts.append(struct.pack("<d", self.expected))
        parts += [pack_varint(self.chunk), pack_varint(self.head_length), struct.pack("<I", self.head_crc)]
        for chunk in self.chunks:
            parts += [pack_varint(chunk.length), struct.pack("<II", chunk.crc, chunk.decoded_crc)]
        return b"".join(parts)

    @classmethod
    def unpack(cls, data: bytes) -> "TensorHeader":
        cursor = Cursor(data, "record header")
        name = cursor.text(MAX_TEXT)
        dtype = dtypes.dtype_of(cursor.varint())
        shape = tuple(cursor.varint() for _ in range(cursor.varint(MAX_NDIM)))
        if math.prod(n or 1 for n in shape) >= MAX_SIZE:
            raise Corrupt(f"record {name!r}: shape {shape} has too many values")
        attributes = unpack_json(cursor.take(cursor.varint(MAX_JSON)), f"record {name!r}: attributes")
        BaseName.of(attributes, name)
        compressor, version = cursor.varint(), cursor.varint()
        guarantee, distortion, expected = cls._unpack_guarantee(cursor, dtype, name)
        chunk = cursor.varint(CHUNK)
        if chunk == 0:
            raise Corrupt(f"record {name!r}: chunks of no values")
        head_length, head_crc = cursor.varint(MAX_HEAD), cursor.u32()
        count = -(-math.prod(shape) // chunk)
        if count > min(len(data) // 9, MAX_CHUNKS):
            raise Corrupt(f"record {name!r}: the chunk table is shorter than the shape {shape} needs, or too long")
        chunks = tuple(Chunk(cursor.varint(MAX_CODED_CHUNK), cursor.u32(), cursor.u32()) for _ in range(count))
        cursor.end()
        spec = TensorSpec(dtype, shape)
        return cls(name, spec, compressor, version, guarantee, distortion, expected, chunk, head_length, head_crc,
                   chunks, attributes)  # fmt: skip

    @staticmethod
    def _unpack_guarantee(cursor: Cursor, dtype: np.dtype, name: str) -> tuple[Guarantee, float, float | None]:
        code = cursor.u8()
        if code >= len(GUARANTEES) or (code and not dtypes.is_float(dtype)):
            raise Corrupt(f"record {name!r}: guarantee {code} is unknown or not possible for {dtype}")
        if GUARANTEES[code] == "exact":
            return Guarantee("exact"), 0.0, None
        bound, distortion = cursor.f64(), cursor.f64()
        expected = cursor.f64() if GUARANTEES[code] == "omega" else None
        if not (
            0 < bound < (math.inf if GUARANTEES[code] == "omega" else 1.0)
            and 0 <= distortion < math.inf
            and 0 <= (expected or 0) < math.inf
        ):
            raise Corrupt(f"record {name!r}: a bound or a distortion is not in its range")
        return Guarantee(GUARANTEES[code], bound), distortion, expected


@dataclass(frozen=True)
class Index:
    """The index: names and offsets of the records, in file order (spec/format.md §3.3)."""

    entries: tuple[tuple[str, int], ...]

    def pack(self) -> bytes:
        parts, before = [pack_varint(len(self.entries))], 0
        for name, offset in self.entries:
            parts += [pack_text(name), pack_varint(offset - before)]
            before = offset
        return b"".join(parts)

    @classmethod
    def unpack(cls, data: bytes, end: int) -> "Index":
        """The index in these bytes, for records that end at `end` at the latest. Raises Corrupt."""
        cursor = Cursor(data, "index")
        entries: list[tuple[str, int]] = []
        offset = 0
        for _ in range(cursor.varint(len(data))):
            name = cursor.text(MAX_TEXT)
            before, offset = offset, offset + cursor.varint()
            if not before + (LEAST_RECORD if entries else FileHeader.SIZE) <= offset <= end - LEAST_RECORD:
                raise Corrupt(f"index: there is no room for {name!r}")
            entries.append((name, offset))
        cursor.end()
        if len({name for name, _ in entries}) != len(entries):
            raise Corrupt("index: a name stands twice")
        return cls(tuple(entries))


@dataclass(frozen=True)
class Footer:
    """The footer (spec/format.md §6).

    offset: of the index, or of the only record.
    """

    offset: int
    SIZE: ClassVar[int] = 16

    def pack(self) -> bytes:
        data = struct.pack("<Q", self.offset)
        return data + struct.pack("<I", crc32(data)) + END_MAGIC

    @classmethod
    def unpack(cls, data: bytes) -> "Footer":
        offset, crc = struct.unpack("<QI4x", data)
        if data[12:] != END_MAGIC:
            raise Corrupt("footer: the end magic is missing")
        checked(data[:8], crc, "footer")
        return cls(offset)
