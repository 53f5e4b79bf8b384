"""The reference decoder of the gcodec container, version 1.0, and of all its compressors.

It follows the specification page by page, in the specification's order and words. § is a section of
the page that was named last. It needs Python 3.11 and nothing besides its standard library. It is
made to be read, not to be fast.

    python decode.py FILE --raw DIR

writes the little-endian bytes of tensor i to DIR/i.raw, and prints a line of JSON for each tensor.
What cannot be decoded ends with a message that begins with the error's code, and with its exit
status (format.md §8).
"""

import argparse
import bisect
import copy
import functools
import itertools
import json
import math
import struct
import sys
import zlib
from collections import namedtuple
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

# ======== format.md ========
# ---- §8 Errors ----
EXIT_STATUS = {"unsupported-version": 4, "unsupported-feature": 4, "limit": 5, "missing-base": 2}  # all others have 3
Bases = Sequence[dict[str, bytes]]  # the values of tensors by their names, for each file


class FormatError(Exception):
    """The one exception that decoding raises; `code` is one of §8."""

    def __init__(self, reason: str, code: str = "corrupt") -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code


def require(condition: bool, otherwise: str, code: str = "corrupt") -> None:
    if not condition:
        raise FormatError(otherwise, code)


# ---- §1 Conventions, and arithmetic.md, Bit strings and Rice codes ----
class Reader:
    """Reads fields from bytes, or bits, each byte's most significant bit first.

    short: the error's code when data is missing.
    """

    def __init__(self, data: bytes, short: str = "corrupt") -> None:
        self.data, self.at, self.length, self.short = data, 0, 8 * len(data), short  # in bits

    def peek(self, width: int) -> int:
        """The number formed by the next `width` bits; bits beyond the end count as 0."""
        first, last = self.at // 8, (self.at + width + 7) // 8
        window = int.from_bytes(self.data[first:last].ljust(last - first, b"\0"), "big")
        return window >> (8 * last - self.at - width) & ((1 << width) - 1)

    def take(self, width: int) -> int:
        """The same, and goes on behind these bits."""
        value = self.peek(width)
        self.at += width
        return value

    def read(self, width: int) -> int:
        """The same, of bits that must be there."""
        require(width <= self.length - self.at, f"{width} bits wanted after the end", self.short)
        return self.take(width)

    def rice(self, parameter: int) -> int:
        zeros = 0
        while self.read(1) == 0:
            zeros += 1
        return (zeros << parameter) + self.read(parameter)

    def filling(self) -> None:
        require(self.read(-self.at % 8) == 0, "filling that is not zero")

    def end(self) -> None:
        self.filling()
        require(self.at == self.length, "bytes left over")

    def bytes(self, count: int) -> bytes:
        require(8 * count <= self.length - self.at, f"{count} bytes wanted at byte {self.at // 8}", self.short)
        self.at += 8 * count
        return self.data[self.at // 8 - count : self.at // 8]

    def rest(self) -> bytes:
        return self.bytes((self.length - self.at) // 8)

    def unsigned(self, width: int) -> int:
        return int.from_bytes(self.bytes(width), "little")

    def number(self, letter: str) -> Any:
        """A number by its letter in `struct`: f (f32), d (f64), h (i16)."""
        return struct.unpack("<" + letter, self.bytes(struct.calcsize(letter)))[0]

    def varint(self) -> int:
        value, byte, shift = 0, 128, 0
        while byte >= 128:
            byte = self.unsigned(1)
            value |= (byte & 127) << shift
            require(value < 1 << 64 and (byte > 0 or shift == 0), "a varint of 2^64 or more, or longer than needed")
            shift += 7
        return value

    def text(self, length: int) -> str:
        try:
            return self.bytes(length).decode("utf-8")
        except UnicodeDecodeError as error:
            raise FormatError(str(error)) from None


def check_crc(data: bytes, crc: int, what: str) -> None:
    require(zlib.crc32(data) == crc, what, "checksum")


def json_object(text: str) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        require(len(dict(pairs)) == len(pairs), "JSON with a key twice")
        return dict(pairs)

    def integer(digits: str) -> int:
        return int(digits if len(digits) <= 300 else "too long")

    def depth(value: Any) -> int:
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
        return 0 if inside is None else 1 + max(map(depth, inside), default=0)

    require(len(text.encode()) <= 1 << 23 and sum(map(text.count, "[{,:")) <= 1 << 19, "JSON of too many values")
    try:
        value = json.loads(text or "{}", object_pairs_hook=unique, parse_constant=integer, parse_int=integer)
        json.dumps(value, ensure_ascii=False).encode()  # fails for half of a surrogate pair
        require(isinstance(value, dict) and depth(value) <= 64, "JSON that is not an object, or nested deeper than 64")
    except (ValueError, RecursionError) as error:
        raise FormatError(f"JSON: {error}") from None
    return value


# ---- §2 File header ----
def read_file_header(file: Reader) -> None:
    require(b"\x89GCZ\r\n\x1a\n".startswith(file.data[:8]), "the magic is wrong", "not-gcodec")
    header, crc = file.bytes(12), file.unsigned(4)
    major, _minor, required_flags, _ignorable_flags = header[8:]
    require(major <= 1, f"major version {major}", "unsupported-version")
    check_crc(header, crc, "the file header")
    require(major == 1, "major version 0")
    require(required_flags == 0, f"required flags {required_flags:#x}", "unsupported-feature")


# ---- §3 Blocks ----
class Block:
    """A block's frame and header; its body is the next `body_length` bytes of the file."""

    def __init__(self, file: Reader) -> None:
        self.offset = file.at // 8
        self.type, header_length, self.body_length = file.bytes(4), file.unsigned(4), file.unsigned(8)
        require(self.type.isalpha(), "a block type that is not four letters")
        require(header_length <= 1 << 24 and self.body_length < 1 << 62, "a block beyond the format's limits")
        self.header = Reader(file.bytes(header_length))
        check_crc(file.data[self.offset : file.at // 8], file.unsigned(4), "the header of a block")
        bare = self.type in (b"META", b"INDX", b"JIDX")
        require(self.body_length == 0 or not bare, "META or an index with a body")


# ---- §3.1 META ----
def check_meta(header: Reader) -> None:
    about = json_object(header.text(header.length // 8))
    names, count, scope = about.get("names", []), about.get("bytes", 0), about.get("scope", {"alpha": 0, "norm2": {}})
    require(isinstance(about.get("format", ""), str) and type(count) is int and count >= 0, "META: format or bytes")
    require(isinstance(names, list) and all(isinstance(name, str) for name in names), "META: names")
    require(isinstance(scope, dict) and isinstance(scope.get("norm2"), dict), "META: scope")
    numbers = (scope.get("alpha"), *scope["norm2"].values())
    require(all(type(x) in (int, float) and 0 <= x < 2**1024 for x in numbers), "META: scope")


# ---- §4 Dtypes, with arithmetic.md, Rounding to the dtype ----
# word: the bytes of a number, or of each of the two parts of a complex one.
# significand: its bits. smallest: the exponent of 2 of the smallest positive number.
Dtype = namedtuple("Dtype", "name kind word parts significand smallest largest", defaults=(1, 0, 0, 0.0))
EXACT_FLOATS = "float8_e8m0fnu", "float8_e4m3fnuz", "float8_e5m2fnuz", "float4_e2m1fn"
DTYPES = {
    1: Dtype("float16", "float", 2, 1, 11, -24, 65504.0),
    2: Dtype("bfloat16", "float", 2, 1, 8, -133, 2.0**127 * (2 - 2.0**-7)),
    3: Dtype("float32", "float", 4, 1, 24, -149, 2.0**127 * (2 - 2.0**-23)),
    4: Dtype("float64", "float", 8, 1, 53, -1074, 2.0**1023 * (2 - 2.0**-52)),
    5: Dtype("float8_e4m3fn", "float", 1, 1, 4, -9, 448.0),
    6: Dtype("float8_e5m2", "float", 1, 1, 3, -16, 57344.0),
    7: Dtype("float8_e3m4", "float", 1, 1, 5, -6, 15.5),
    8: Dtype("float8_e4m3", "float", 1, 1, 4, -9, 240.0),
    **{16 + i: Dtype(f"int{8 << i}", "integer", 1 << i) for i in range(4)},
    **{20 + i: Dtype(f"uint{8 << i}", "integer", 1 << i) for i in range(4)},
    32: Dtype("bool", "bool", 1),
    33: Dtype("complex64", "complex", 4, 2),
    34: Dtype("complex128", "complex", 8, 2),
    **{35 + i: Dtype(name, "integer", 1) for i, name in enumerate(EXACT_FLOATS)},
}
F32, F64 = DTYPES[3], DTYPES[4]


def in_units(value: float, dtype: Dtype) -> tuple[int, int]:
    """|value| rounded to nearest, ties to even, as the integers n and e.

    It stands for n · 2^e times the smallest positive number of the dtype.
    """
    exponent = max(math.frexp(value)[1] - dtype.significand, dtype.smallest) if value else dtype.smallest
    return round(math.ldexp(abs(value), -exponent)), exponent - dtype.smallest


def to_work(value: float, work: Dtype) -> float:
    """Rounded once to the work dtype; infinite beyond its range."""
    if work is F64 or not abs(value) < 2.0**128 - 2.0**103:
        return value if work is F64 else math.copysign(math.inf, value)
    n, exponent = in_units(value, work)
    return math.copysign(math.ldexp(n, exponent + work.smallest), value)


def narrow(values: list[float], dtype: Dtype) -> bytes:
    """Work values rounded to the tensor's dtype, as little-endian bytes."""
    out = bytearray()
    for value in values:
        n, exponent = in_units(max(-dtype.largest, min(value, dtype.largest)), dtype)
        pattern = (exponent << (dtype.significand - 1)) + n  # the highest bit of n adds 1 to the exponent's field
        sign = (math.copysign(1, value) < 0) << (8 * dtype.word - 1)
        out += (sign + pattern).to_bytes(dtype.word, "little")
    return bytes(out)


# ---- §3.2 TENS ----
class Record:
    """The header of a tensor's record.

    `decode` gives the chunks as bytes of the dtype. It reads the body as they are taken.
    """

    def __init__(self, fields: Reader, body_length: int) -> None:
        self.name = fields.text(fields.varint())
        dtype, dimensions = fields.varint(), fields.varint()
        require(len(self.name.encode()) < 1 << 16 and dimensions <= 64, "a longer name or shape than the format allows")
        require(dtype in DTYPES, f"dtype {dtype}", "unsupported-feature")
        self.dtype, self.work = DTYPES[dtype], F64 if DTYPES[dtype] == F64 else F32
        self.shape = tuple(fields.varint() for _ in range(dimensions))
        self.size = math.prod(self.shape)
        require(math.prod(n or 1 for n in self.shape) < 1 << 48, "2^48 values or more")
        self.attributes = json_object(fields.text(fields.varint()))
        self.base = read_base(self.attributes)
        self.compressor = fields.varint(), fields.varint()
        guarantee = fields.unsigned(1)
        require(guarantee == 0 or (guarantee <= 3 and self.dtype.kind == "float"), "guarantee")
        self.guarantee = ("exact", "alpha", "omega", "pointwise")[guarantee]
        bound, *distortions = [fields.number("d") for _ in range((0, 2, 3, 2)[guarantee])] or [0.5]
        sound = 0 < bound < (math.inf if self.guarantee == "omega" else 1)
        require(sound and all(0 <= x < math.inf for x in distortions), "a bound or a distortion out of its range")
        self.chunk, self.head_length, self.head_crc = fields.varint(), fields.varint(), fields.unsigned(4)
        require(1 <= self.chunk <= 1 << 20 and self.head_length <= 1 << 26, "chunk or head length out of its range")
        chunks, room = -(-self.size // self.chunk), min((fields.length - fields.at) // 72, 1 << 19)
        require(chunks <= room, "a chunk table that is too long, or shorter than the shape needs")
        self.chunks = [(fields.varint(), fields.unsigned(4), fields.unsigned(4)) for _ in range(chunks)]
        fields.end()
        lengths = [length for length, _crc, _decoded_crc in self.chunks]
        require(max(lengths, default=0) <= 1 << 25 and self.head_length + sum(lengths) == body_length, "lengths")

    def decode(self, file: Reader, bases: Bases) -> Iterator[bytes]:
        require(self.compressor in COMPRESSORS, f"compressor, payload version {self.compressor}", "unsupported-feature")
        guarantees, compressor = COMPRESSORS[self.compressor]
        require(self.guarantee in guarantees and (self.size > 0 or "exact" in guarantees), "not of this compressor")
        head = file.bytes(self.head_length)
        check_crc(head, self.head_crc, f"the head of {self.name!r}")
        base = self.values_of_base(bases)
        of_change = base is not None and compressor is not Delta
        seen = Rests(self.work, self.work, self.shape, self.size, self.compressor) if of_change else self
        payload = compressor(seen, head)  # type: ignore[arg-type]
        if base is not None and not of_change:
            payload.base = base
        for i, (length, crc, decoded_crc) in enumerate(self.chunks):
            data, start = file.bytes(length), i * self.chunk
            check_crc(data, crc, f"chunk {i} of {self.name!r}")
            values = payload.decode(data, start, min(self.chunk, self.size - start))
            values = self.sums(values, base, start) if of_change else values
            decoded = values if isinstance(values, bytes) else narrow(values, self.dtype)
            check_crc(decoded, decoded_crc, f"the values of chunk {i} of {self.name!r}")
            yield decoded

    # ---- §3.6 Bases ----
    def values_of_base(self, bases: Bases) -> bytes | None:
        if self.base is None:
            return None
        possible = self.guarantee == "alpha" or (self.guarantee, self.compressor[0]) == ("exact", 11)
        require(possible, "no base of this one")
        length = self.size * self.dtype.word * self.dtype.parts
        for values in (values for tensors in bases for values in tensors.values()):
            if len(values) == length and zlib.crc32(values) == self.base:
                return values
        raise FormatError(f"the base with the crc {self.base:08x}", "missing-base")

    def sums(self, change: bytes | list[float], base: bytes | None, start: int) -> list[float]:
        """base + change, for the values of a chunk."""
        data = change if isinstance(change, bytes) else narrow(change, self.work)
        letter, width, below = "d" if self.work is F64 else "f", self.dtype.word, base or b""
        out = []
        for i, (difference,) in enumerate(struct.iter_unpack(f"<{letter}", data), start):
            value = number_of(int.from_bytes(below[i * width :][:width], "little"), self.dtype)
            out.append(max(-self.work.largest, min(to_work(value + difference, self.work), self.work.largest)))
        return out


def read_base(attributes: dict[str, Any]) -> int | None:
    """The crc of the base that the attributes name, if they name one."""
    if "base" not in attributes:
        return None
    found = attributes["base"]
    require(isinstance(found, dict), "the attribute base")
    crc, name, depth, alpha = (
        found.get(key, other) for key, other in {"crc": None, "name": "", "depth": 1, "alpha": None}.items()
    )
    require(all(type(n) is int and 0 <= n < 1 << 32 for n in (crc, depth)) and depth > 0, "the attribute base")
    require(isinstance(name, str) and (alpha is None or (type(alpha) is float and 0 < alpha < 1)), "the attribute base")
    return int(crc)


# ---- §3.3 INDX ----
def check_index(fields: Reader, records: dict[str, int]) -> None:
    require(fields.varint() == len(records), "the index has another number of records")
    for name, (before, offset) in zip(records, itertools.pairwise((0, *records.values())), strict=True):
        entry = fields.text(fields.varint()), fields.varint()
        require(entry == (name, offset - before), "the index has another name or offset")
    fields.end()


# ---- §3.7 JOIN ----
class Joined:
    """A block of joined tensors: `record` is of all values, and `tensors` has a record for each."""

    def __init__(self, block: Block) -> None:
        fields = block.header
        self.record = record = Record(Reader(fields.bytes(fields.varint())), block.body_length)
        alone = record.guarantee == "exact" and len(record.chunks) == len(record.shape) == 1 and record.size <= 1 << 20
        base = record.attributes.get("base", {})
        alone &= not record.name and set(record.attributes) <= {"base"} and not base.get("name")
        require(alone and base.get("alpha") is None, "joined tensors of another record")
        count, names, shape = fields.varint(), [b""], None
        require(2 <= count <= 1 << 16, "a number of joined tensors out of its range")
        self.tensors = []
        for _ in range(count):
            names.append(shared_name(fields, names[-1]))
            dimensions = fields.varint()
            require(dimensions <= 65 and (dimensions > 0 or shape is not None), "a joined tensor without a shape")
            shape = tuple(fields.varint() for _ in range(dimensions - 1)) if dimensions else shape
            require(0 < math.prod(shape or ()) <= record.size, "a joined tensor with no values, or too many")
            self.tensors.append(copy.copy(record))
            self.tensors[-1].name, self.tensors[-1].shape = decoded_name(names[-1]), shape
        self.crcs = [fields.unsigned(4) for _ in self.tensors]
        fields.end()
        require(sum(map(len, names)) <= 1 << 22, "longer names than the format allows")
        self.sizes = [math.prod(tensor.shape) for tensor in self.tensors]
        require(sum(self.sizes) == record.size, "joined tensors with another number of values than their record")

    def decode(self, file: Reader, bases: Bases) -> Iterator[tuple[Record, Iterator[bytes]]]:
        width, at, names = self.record.dtype.word * self.record.dtype.parts, 0, [tensor.name for tensor in self.tensors]
        whole = [b"".join(known[name] for name in names) for known in bases if known.keys() >= set(names)]
        (values,) = self.record.decode(file, [{"": values} for values in whole])
        for tensor, size, crc in zip(self.tensors, self.sizes, self.crcs, strict=True):
            own = values[at * width : (at + size) * width]
            check_crc(own, crc, f"the values of {tensor.name!r}")
            yield tensor, iter([own])
            at += size


def shared_name(fields: Reader, before: bytes) -> bytes:
    first, last = fields.varint(), fields.varint()
    require(first + last <= len(before), "a name that shares more bytes than the one before has")
    name = before[:first] + fields.bytes(fields.varint()) + before[len(before) - last :]
    require(len(name) < 1 << 16, "a longer name than the format allows")
    return name


def decoded_name(name: bytes) -> str:
    return Reader(name).text(len(name))


def check_joined_index(fields: Reader, records: dict[str, int]) -> None:
    require(fields.varint() == len(records), "the index has another number of tensors")
    last, length = b"", 0
    for name, (before, offset) in zip(records, itertools.pairwise((0, *records.values())), strict=True):
        last = shared_name(fields, last)
        length += len(last)
        entry = decoded_name(last), fields.varint()
        require(entry == (name, offset - before), "the index has another name or offset")
    require(length <= 1 << 24, "longer names than the format allows")
    fields.end()


# ---- §6 Footer ----
def read_footer(file: Reader, last: int) -> None:
    offset, crc, magic = file.bytes(8), file.unsigned(4), file.bytes(4)
    check_crc(offset, crc, "the footer")
    require((int.from_bytes(offset, "little"), magic) == (last, b"GCZE"), "the offset or the magic of the footer")
    file.end()


# ---- the whole file ----
def decode_file(data: bytes, bases: Bases = ()) -> Iterator[tuple[Record, Iterator[bytes]]]:
    """Every record with its chunks, in the file's order.

    bases: the tensors of each file, as bytes by their names. Take a record's chunks before the next
    record.
    """
    file, records, left = Reader(data, "truncated"), {}, (1 << 26) + (len(data) << 15)  # §7: decoded bytes paid for
    read_file_header(file)
    while file.data[file.at // 8 + 12 :][:4] != b"GCZE":
        block = Block(file)
        end = file.at // 8 + block.body_length
        if block.type == b"META":
            require(block.offset == 16, "META is not the first block")
            check_meta(block.header)
        elif block.type == b"TENS":
            record = Record(block.header, block.body_length)
            require(record.name not in records, "two records of one name")
            records[record.name] = block.offset
            left -= record.size * record.dtype.word * record.dtype.parts
            require(left >= 0, "more decoded bytes than the file pays for", "limit")
            yield record, record.decode(file, bases)
        elif block.type == b"JOIN":
            joined = Joined(block)
            for tensor in joined.tensors:
                require(tensor.name not in records, "two records of one name")
                records[tensor.name] = block.offset
            left -= joined.record.size * joined.record.dtype.word * joined.record.dtype.parts
            require(left >= 0, "more decoded bytes than the file pays for", "limit")
            yield from joined.decode(file, bases)
        elif block.type in (b"INDX", b"JIDX"):
            joins = len(set(records.values())) < len(records)
            require(joins == (block.type == b"JIDX"), "an index of another type than that of the blocks")
            (check_joined_index if joins else check_index)(block.header, records)
            break
        else:
            require(block.type[:1].islower(), f"block type {block.type!r}", "unsupported-feature")
        file.bytes(end - file.at // 8)
    else:
        require(len(records) == 1 and block.type == b"TENS", "no index, and not one record alone as the last block")
    read_footer(file, block.offset)


# ======== arithmetic.md ========
# ---- Random numbers ----
MASK64, GOLDEN = (1 << 64) - 1, 0x9E3779B97F4A7C15


def mix(z: int) -> int:
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & MASK64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK64
    return z ^ (z >> 31)


def random(seed: int, stream: int, counter: int) -> int:
    return mix(mix(mix(seed + GOLDEN & MASK64) + stream * GOLDEN & MASK64) + counter * GOLDEN & MASK64)


def uniform(r: int) -> float:
    return float(r >> 11) * 2.0**-53


# ---- Sums ----
def dot(a: Sequence[float], b: Sequence[float], work: Dtype = F64) -> float:
    """Σ a·b, added one by one in order.

    Each product and each sum is rounded to the work dtype; Python's own sum rounds in other ways.
    """
    return functools.reduce(lambda s, p: to_work(s + to_work(p[0] * p[1], work), work), zip(a, b, strict=True), 0.0)


# ---- Normals ----
C = (2.506628281636, -21.81398043341, 62.00673272975, -61.28943128016, 11.89622159793)
D = (1.0, -9.749716102595, 32.64404625926, -42.43263473128, 16.16930722793)
T = (-3.032546004172, -5.191146174379, 3.023658871182, 2.714907006056, 0.2716239251117)
U = (1.0, 4.197100188284, 2.724524474878, 0.2715191138533)
SERIES = (1.0, 1 / 3, 0.2, 1 / 7, 1 / 9, 1 / 11, 1 / 13)


def polynomial(coefficients: tuple[float, ...], t: float) -> float:
    """c0 + t·(c1 + t·(c2 + …)), from the innermost bracket outwards."""
    return functools.reduce(lambda total, coefficient: coefficient + t * total, coefficients[::-1])


def normal(seed: int, stream: int, j: int) -> float:
    w = random(seed, stream, j >> 1) >> 32 * (j & 1) & 0xFFFFFFFF
    q = (float(w) + 0.5) * 2.0**-32 - 0.5
    if -0.425 <= q <= 0.425:
        return (q * polynomial(C, q * q)) / polynomial(D, q * q)
    m, n = 0.5 - abs(q), 0
    while m < 0.75:
        m, n = m * 2, n + 1
    s = (m - 1) / (m + 1)
    r = math.sqrt(2 * (float(n) * 0.6931471805599453 - (2 * s) * polynomial(SERIES, s * s)))
    return math.copysign(polynomial(T, r) / polynomial(U, r), q)


# ---- Adaptive range coder ----
class RangeDecoder:
    """An adaptive bit has its probability of a 1 in 2^-22, and how often it was seen."""

    def __init__(self, data: bytes) -> None:
        self.string = Reader(data)
        self.code, self.width = self.string.take(48), 1 << 48

    def renormalise(self) -> None:
        while self.width < 1 << 32:
            self.code, self.width = (self.code << 16) + self.string.take(16), self.width << 16

    def adaptive(self, bit: list[int]) -> bool:
        p, n = bit
        bound = (self.width >> 16) * (p >> 6)
        one = self.code < bound
        self.code, self.width = (self.code, bound) if one else (self.code - bound, self.width - bound)
        goal = (1 << 22) - 128 if one else 128
        bit[:] = p + ((goal - p) * ((1 << 17) // (2 * n + 3)) >> 16), min(n + 1, 1023)
        self.renormalise()
        return one

    def equiprobable(self, count: int) -> int:
        if count > 16:
            return (self.equiprobable(16) << count - 16) + self.equiprobable(count - 16)
        self.width >>= count
        value = min(self.code // self.width, (1 << count) - 1)
        self.code = min(self.code - value * self.width, self.width - 1)
        self.renormalise()
        return value

    def end(self) -> None:
        require(0 <= self.string.at - self.string.length <= 8 * 64, "bytes left over, or over 64 dropped zeros")


# ======== compressors/01-lossless.md ========
class Lossless:
    def __init__(self, record: Record, head: bytes) -> None:
        self.dtype, self.work, width, fields = record.dtype, record.work, record.dtype.word, Reader(head)
        form, self.palette, self.k = fields.unsigned(1) if head else 0, [], 0
        require((width > 1 and form < 4) or not head, "a head that these values cannot have")
        self.contexts = form >= 2
        if head and form % 2 == 0:
            self.palette = [fields.bytes(width) for _ in range(fields.unsigned(1) or 256)]
            numbers = [int.from_bytes(word, "little") for word in self.palette]
            require(numbers == sorted({*numbers}), "words of a palette that do not ascend")
            self.k = len(numbers)
        elif head:
            self.read_multiples(record, fields)
        fields.end()

    def read_multiples(self, record: Record, fields: Reader) -> None:
        require(self.dtype.kind == "float", "multiples that are not floating")
        self.low, self.span = -fields.read(8), fields.read(8) + 1
        self.length, self.inner = fields.read(fields.read(6)), fields.read(fields.read(6))
        width, letter = (8, "d") if fields.read(1) else (4, "f")
        fields.filling()
        self.k, group = min(self.span + 1, 256), self.length * self.inner
        require(0 < group <= max(record.size, 1), "groups that the tensor cannot have")
        count = -(-record.size // group) * self.inner
        require(count <= max(record.size // 8, 1), "too many scales")
        words = zip(*(read_plane(fields, count) for _ in range(width)), strict=True)
        self.scales = [struct.unpack("<" + letter, bytes(word))[0] for word in words]
        require(all(0 <= s < math.inf and math.copysign(1, s) > 0 for s in self.scales), "a scale")

    def multiple(self, index: int, i: int) -> float:
        scale = self.scales[i // (self.length * self.inner) * self.inner + i % self.inner]
        return -0.0 if index == self.span else to_work((index + self.low) * scale, self.work)

    def decode(self, data: bytes, start: int, count: int) -> bytes:
        n, width, fields = count * self.dtype.parts, self.dtype.word, Reader(data)
        words = bytearray(n * width)
        planes = [read_plane(fields, n, self.k, self.contexts) for _ in range(1 if self.k else width)]
        fields.end()
        require(not self.k or max(planes[0], default=0) < self.k, "an index without a value")
        if self.palette:
            return b"".join(self.palette[index] for index in planes[0])
        if self.k:
            return narrow([self.multiple(index, i) for i, index in enumerate(planes[0], start)], self.dtype)
        for p, plane in enumerate(planes):
            words[p::width] = plane
        if self.dtype.kind in ("float", "complex"):
            letters, top = f"<{n}{'BH_I___Q'[width - 1]}", 8 * width - 1
            words = struct.pack(letters, *((word >> 1) | ((word & 1) << top) for word in struct.unpack(letters, words)))
        require(self.dtype.kind != "bool" or max(words) <= 1, "a bool that is neither 0 nor 1")
        return bytes(words)


def read_plane(fields: Reader, n: int, k: int = 0, contexts: bool = False) -> bytes:
    """k: how many indices there are, of a plane of these, and whether they may be in contexts."""
    coding, b = fields.unsigned(1), max((k - 1).bit_length(), 1)
    if k and coding == 8 + b < 16:
        packed = bytes(fields.read(b) for _ in range(n))
        fields.filling()
        return packed
    require(coding <= 3 + (contexts and 0 < k <= 16), "an unknown coding of a plane")
    plane = Reader(fields.bytes(fields.unsigned(4) if coding else n))
    if coding == 4:
        return plane_in_contexts(plane, n, k, b)
    if coding >= 2:
        return (plane_of_symbols if coding == 2 else plane_of_numbers)(plane, n)
    return Zstandard(plane.rest(), n).content if coding else plane.rest()


def plane_in_contexts(fields: Reader, n: int, k: int, b: int) -> bytes:
    m = fields.unsigned(1)
    columns = fields.unsigned(4) if m > 1 else 2
    require(m in (0, 1, 2, 4) and k**m <= 256 and columns > 1, "contexts that cannot be")
    coder, reach = RangeDecoder(fields.rest()), (1, columns, columns + 1, columns - 1)[:m]
    bits = [[[1 << 21, 0] for _ in range(1 << b)] for _ in range(k**m)]
    plane = bytearray()
    for i in range(n):
        context, node = sum((plane[i - far] if far <= i else 0) * k**j for j, far in enumerate(reach)), 1
        for _ in range(b):
            node = 2 * node + coder.adaptive(bits[context][node])
        require(node < k + (1 << b), "an index without a value")
        plane.append(node - (1 << b))
    coder.end()
    return bytes(plane)


def plane_of_symbols(fields: Reader, n: int) -> bytes:
    listed = [*fields.bytes(fields.unsigned(1))]
    require(0 < len(listed) < 32 and listed == sorted({*listed}), "listed bytes that are not 1 to 31 ascending ones")
    symbols = coded_sequence(fields, n)
    require({*symbols} <= {*range(len(listed)), 31}, "a symbol without a byte")
    plane = bytes(listed[s] if s < 31 else fields.unsigned(1) for s in symbols)
    fields.end()
    return plane


def plane_of_numbers(fields: Reader, n: int) -> bytes:
    listed = [*fields.bytes(fields.unsigned(1) or 256)]
    k, m = len(listed), fields.read(4)
    require(listed == sorted({*listed}), "listed bytes that do not ascend")
    require(0 < m <= 10 and k**m <= 1024, "a number of no bytes or of too many")
    upper = [0] * -(-n // m)
    upper = symbols_of(fields, upper) if k**m > 32 else upper
    numbers = [32 * u + v for u, v in zip(upper, symbols_of(fields, upper), strict=True)]
    require(max(numbers) < k**m, "a number that stands for no bytes")
    indices = [number // k**j % k for number in numbers for j in range(m)]
    require(not any(indices[n:]), "a last number that is not filled up with the first value")
    fields.end()
    return bytes(listed[i] for i in indices[:n])


# ---- a Zstandard frame; § of RFC 8878 ----
# For each state its symbol, and for the next state the number of bits to read and the base.
FseTable = list[tuple[int, int, int]]


def fse_table(counts: list[int], accuracy: int) -> FseTable:
    """§4.1.1; a count of -1 is "less than 1"."""
    size, step = 1 << accuracy, (5 << accuracy >> 3) + 3
    rare = [symbol for symbol, count in enumerate(counts) if count == -1]
    cells = [0] * (size - len(rare)) + rare[::-1]
    free = (i * step % size for i in range(size) if i * step % size < size - len(rare))
    for symbol, count in enumerate(counts):
        for cell in itertools.islice(free, max(count, 0)):
            cells[cell] = symbol
    seen, table = [abs(count) for count in counts], []
    for symbol in cells:
        bits = accuracy + 1 - seen[symbol].bit_length()
        table.append((symbol, bits, (seen[symbol] << bits) - size))
        seen[symbol] += 1
    return table


def fse_description(fields: Reader, most_accuracy: int, last_symbol: int) -> FseTable:
    """§4.1.1; its bits are read from the lowest of the first byte upwards."""
    window = int.from_bytes(fields.data[fields.at // 8 :][:512], "little")
    accuracy, at, counts = (window & 15) + 5, 4, []
    require(accuracy <= most_accuracy, "zstd: accuracy of a table")
    left = 1 << accuracy
    while left > 0:
        width = (left + 1).bit_length()
        small = (1 << width) - 2 - left
        value, low = window >> at & ((1 << width) - 1), window >> at & ((1 << width >> 1) - 1)
        at += width - (low < small)
        count = (low if low < small else value - small if value > low else value) - 1
        counts.append(count)
        left -= abs(count)
        zeros = 3 if count == 0 else 0
        while zeros == 3 and len(counts) <= last_symbol:
            zeros = window >> at & 3
            at += 2
            counts += [0] * zeros
        require(len(counts) <= last_symbol + 1, "zstd: symbols of a table")
    fields.bytes((at + 7) // 8)
    return fse_table(counts, accuracy)


def backward_bits(data: bytes, what: str) -> Reader:
    """§4.1: read from the end, where the highest bit set in the last byte marks the first bit."""
    require(data[-1:] > b"\0", f"zstd: {what} without its mark")
    bits = Reader(data[::-1])
    bits.at = 9 - data[-1].bit_length()
    return bits


def huffman_table(fields: Reader) -> list[tuple[int, int]]:
    """§4.2.1: the decoding table.

    For each number of as many bits as the longest code has, it has the symbol of the code that it
    begins with, and the bits of that code.
    """
    header, weights = fields.unsigned(1), []
    if header >= 128:  # §4.2.1.1: 4 bits each
        weights = [w for byte in fields.bytes((header - 126) // 2) for w in (byte >> 4, byte & 15)][: header - 127]
    else:  # §4.2.1.2: an FSE code of two states that take turns
        coded = Reader(fields.bytes(header))
        table = fse_description(coded, 6, 255)
        bits = backward_bits(coded.rest(), "weights")
        state, other = (table[bits.read(len(table).bit_length() - 1)] for _ in range(2))
        while bits.at <= bits.length:
            require(len(weights) < 254, "zstd: weights")
            weights.append(state[0])
            state, other = other, table[state[2] + bits.take(state[1])]
        weights.append(state[0])
    total = sum(1 << weight >> 1 for weight in weights)
    longest = total.bit_length()
    rest = (1 << longest) - total
    weights.append(rest.bit_length())
    require(1 <= longest <= 11 and rest & (rest - 1) == 0 and weights.count(1) > 1, "zstd: weights")
    order = sorted((weight, symbol) for symbol, weight in enumerate(weights) if weight)
    return [(symbol, longest + 1 - weight) for weight, symbol in order for _ in range(1 << (weight - 1))]


def huffman_stream(table: list[tuple[int, int]], data: bytes, size: int) -> bytes:
    """§4.2.2"""
    bits, width, out = backward_bits(data, "a Huffman stream"), len(table).bit_length() - 1, bytearray()
    for _ in range(size):
        symbol, length = table[bits.peek(width)]
        bits.at += length
        out.append(symbol)
    require(bits.at == bits.length, "zstd: a Huffman stream that does not end with its literals")
    return bytes(out)


def code_table(first: int, bits: list[int]) -> list[tuple[int, int]]:
    """§3.1.1.3.2.1.1: of each code the least length and the number of bits to be added."""
    return list(zip(itertools.accumulate((1 << n for n in bits), initial=first), bits, strict=False))


# §3.1.1.3.2.1.1, §3.1.1.3.2.2: of literal lengths, offsets, match lengths
SEQUENCE_CODES = (
    code_table(0, [0] * 16 + [1, 1, 1, 1, 2, 2, 3, 3, 4, *range(6, 17)]),
    code_table(1, [*range(32)]),
    code_table(3, [0] * 32 + [1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, *range(7, 17)]),
)
DEFAULT_TABLES = (
    fse_table([4, 3, *[2] * 11, 1, 1, 1, *[2] * 9, 3, 2, *[1] * 5, *[-1] * 4], 6),
    fse_table([*[1] * 6, 2, 2, 2, *[1] * 15, *[-1] * 5], 5),
    fse_table([1, 4, 3, *[2] * 6, *[1] * 37, *[-1] * 7], 6),
)


class Zstandard:
    """§3.1.1: one frame with `size` bytes of content, without dictionary."""

    def __init__(self, data: bytes, size: int) -> None:
        self.content, self.offsets = bytearray(), [1, 4, 8]
        self.huffman, self.tables = [], [[], [], []]  # those of the block before
        frame = Reader(data)
        require(frame.bytes(4) == b"\x28\xb5\x2f\xfd", "zstd: not a frame")
        flags = frame.unsigned(1)
        single_segment = flags >> 5 & 1
        exponent, mantissa = divmod(0 if single_segment else frame.unsigned(1), 8)
        window = size if single_segment else (8 + mantissa) << (7 + exponent)
        require(flags & 12 == 0 and window <= 1 << 27, "zstd: a reserved bit, a checksum, or a window above 2^27")
        require(frame.unsigned((0, 1, 2, 4)[flags & 3]) == 0, "zstd: a dictionary")
        width = (single_segment, 2, 4, 8)[flags >> 6]
        require(width > 0 and frame.unsigned(width) + 256 * (width == 2) == size, "zstd: another content size")
        last = 0
        while not last:  # §3.1.1.2
            header, self.most = frame.unsigned(3), min(window, 1 << 17)
            last, kind, length = header & 1, header >> 1 & 3, header >> 3
            self.end = min(len(self.content) + self.most, size)
            require(length <= self.most and kind < 3, "zstd: a block's header")
            if kind == 2:
                self.compressed_block(Reader(frame.bytes(length)))
            else:
                self.append(frame.bytes(length) if kind == 0 else frame.bytes(1) * length)
        require(len(self.content) == size, "zstd: less content than declared")
        frame.end()

    def append(self, data: bytes) -> None:
        require(len(self.content) + len(data) <= self.end, "zstd: more content than declared, or than a block may have")
        self.content += data

    def literals(self, block: Reader) -> bytes:
        """§3.1.1.3.1"""
        form, kind = divmod((block.data[:1] or b"\0")[0] % 16, 4)
        if kind < 2:
            size = block.unsigned((1, 2, 1, 3)[form]) >> (3, 4, 3, 4)[form]
            return block.bytes(size) if kind == 0 else block.bytes(1) * size
        length, size = divmod(block.unsigned((3, 3, 4, 5)[form]) >> 4, 1 << (10, 10, 14, 18)[form])
        coded = Reader(block.bytes(length))
        self.huffman = huffman_table(coded) if kind == 2 else self.huffman
        lengths, part = [coded.unsigned(2) for _ in range(3 if form else 0)], (size + 3) // 4
        last = size - len(lengths) * part
        require(last >= 0 and self.huffman != [], "zstd: too few literals for four streams, or no Huffman table")
        out = [huffman_stream(self.huffman, coded.bytes(length), part) for length in lengths]
        return b"".join(out) + huffman_stream(self.huffman, coded.rest(), last)

    def sequence_table(self, block: Reader, which: int, mode: int) -> FseTable:
        """§3.1.1.3.2.1"""
        last_code = len(SEQUENCE_CODES[which]) - 1
        if mode == 2:
            self.tables[which] = fse_description(block, (9, 8, 9)[which], last_code)
        elif mode < 2:
            self.tables[which] = [(block.unsigned(1), 0, 0)] if mode == 1 else DEFAULT_TABLES[which]
        table = self.tables[which]
        require(table != [] and table[0][0] <= last_code, "zstd: an unknown code, or no table to use again")
        return table

    def compressed_block(self, block: Reader) -> None:
        """§3.1.1.3"""
        literals, count = Reader(self.literals(block)), block.unsigned(1)
        if count >= 128:  # §3.1.1.3.2
            count = block.unsigned(2) + 0x7F00 if count == 255 else (count - 128 << 8) + block.unsigned(1)
        if count:
            modes = block.unsigned(1)
            require(modes & 3 == 0, "zstd: reserved bits of the modes")
            tables = [self.sequence_table(block, i, modes >> (6 - 2 * i) & 3) for i in range(3)]
            bits = backward_bits(block.rest(), "sequences")
            states = [bits.read(len(table).bit_length() - 1) for table in tables]
        for i in range(count):
            cells, numbers = [table[state] for table, state in zip(tables, states, strict=True)], [0, 0, 0]
            for which in (1, 2, 0):
                least, more = SEQUENCE_CODES[which][cells[which][0]]
                numbers[which] = least + bits.read(more)
            for which in (0, 2, 1) if i < count - 1 else ():
                states[which] = cells[which][2] + bits.read(cells[which][1])
            self.append(literals.bytes(numbers[0]))
            self.match(*numbers)
        require(count == 0 or bits.at == bits.length, "zstd: bits after the sequences")
        block.end()
        self.append(literals.rest())

    def match(self, literal_length: int, offset_value: int, length: int) -> None:
        """§3.1.1.5, and the copy"""
        which = offset_value - 1 + (literal_length == 0) if offset_value <= 3 else 3
        recent = [*self.offsets, self.offsets[0] - 1 if offset_value <= 3 else offset_value - 3]
        offset = recent.pop(which)
        self.offsets = [offset, *recent][:3]
        require(0 < offset <= len(self.content), "zstd: a match before the content's start")
        self.append(bytes(itertools.islice(itertools.cycle(self.content[-offset:][:length]), length)))


# ======== compressors/02-sparse-dithering.md ========
class SparseDithering:
    def __init__(self, record: Record, head: bytes) -> None:
        require(len(head) in (4, 8), "a head of neither 4 nor 8 bytes")
        self.scale, self.work = Reader(head).number("f" if len(head) == 4 else "d"), record.work
        require((2.0**-126 if len(head) == 4 else 5e-324) <= abs(self.scale) < math.inf, "a scale out of its range")

    def decode(self, data: bytes, start: int, count: int) -> list[float]:
        string, width, values = Reader(data), (1 << 62) // (count + 1), [0.0] * count
        z, code = divmod(string.take(62), width)

        def choice(share: int, of: int) -> int:
            """Refill; then 0 for the first `share` parts `of` so many, and 1 for the rest."""
            nonlocal code, width
            while width <= 1 << 46:
                code, width = (code << 16) + string.take(16), width << 16
            p = width // of * share
            code, width, above = (code, p, 0) if code < p else (code - p, width - p, 1)
            return above

        def bits(count: int) -> int:
            return functools.reduce(lambda value, _: 2 * value + choice(1, 2), range(count), 0)

        r, sign, sign_is_known = 1 + bits(6) if z < count and choice(15, 16) else 0, self.scale < 0, start == 0
        require(z <= count and r <= 53, "more zeros than values, or a Rice parameter above 53")
        for i, left in enumerate(range(count, 0, -1)):
            if z == left or (z > 0 and not choice(z, left)):
                z -= 1
                continue
            sign, sign_is_known, q = sign if sign_is_known else bits(1), False, 0
            while not choice(1, 2):
                q += 1
                require(code > 0 or string.at < string.length, "a level that no byte ends")
            k = 1 + (q << r) + bits(r)
            require(k <= 1 << 53, "a level above 2^53")
            values[i] = (1, -1)[sign] * to_work(min(float(k) * abs(self.scale), self.work.largest), self.work)
        choice(1, 1)
        b, weight = data[-1:], string.at - string.length
        right = not data or (weight >= 0 and 1 << weight > code and (256 - b[0]) << weight >= width - code)
        require(right and b != b"\0", "not the shortest and smallest number of its interval")
        return values


# ======== compressors/04-spherical.md ========
def modulus(code: int) -> int:
    require(code < 120, "a Golomb modulus's code of 120 or more")
    return ((4 + code % 4) << code // 4) // 4


def golomb(read: Callable[[int], int], m: int) -> int:
    """The Golomb code of an index; `read` gives the next number of so many bits."""
    quotient = 0
    while read(1):
        quotient += 1
        require(quotient <= 255, "a Golomb quotient above 255")
    b = m.bit_length() - 1
    spare, r = (2 << b) - m, read(b)
    return quotient * m + (r if r < spare else 2 * r + read(1) - spare)


class Spherical:
    def __init__(self, record: Record, head: bytes) -> None:
        fields, self.size, self.work = Reader(head), record.size, record.work
        kind = fields.unsigned(1)
        scale_is_f32, seed_length = divmod(kind - 128, 16)
        if kind < 128:
            self.modulus = modulus(fields.unsigned(1) if kind == 120 else kind)
            seed_length = max(len(head) - 2, 1) if kind == 120 else 0
        require(scale_is_f32 <= 1 and seed_length <= 8, "an unknown kind of payload, or a seed of more than 8 bytes")
        seed = fields.bytes(seed_length)
        require(seed[-1:] != b"\0", "a seed that is longer than needed")
        self.seed, self.blocks = int.from_bytes(seed, "little"), kind >= 128
        if self.blocks:
            self.block_parameters(fields, scale_is_f32)
        fields.end()

    def block_parameters(self, fields: Reader, scale_is_f32: int) -> None:
        self.length, self.exponent = fields.unsigned(1), fields.number("h")
        self.step, spread = fields.number("f"), fields.number("f")
        require(1 <= self.length <= 128 and -1100 <= self.exponent <= 1100, "block length or exponent out of its range")
        require(0 < self.step < math.inf and 0 < spread < math.inf, "step or spread out of its range")
        read_scale = (lambda: fields.number("f")) if scale_is_f32 else (lambda: fields.unsigned(2) / 2.0**14)
        lengths, self.classes = {self.length}, {1: []}
        for _ in range(7):
            lengths |= {half for k in lengths for half in (k // 2, k - k // 2)}
        for k in sorted(lengths - {0, 1}, reverse=True):
            count = fields.unsigned(1)
            require(count <= 15, "more than 15 classes")
            self.classes[k] = [(modulus(fields.unsigned(1)), read_scale()) for _ in range(count)]
            require(all(0 < s < math.inf for _m, s in self.classes[k]), "a class's scale out of its range")

    def direction(self, k: int, index: int, scale: float, e: int) -> list[float]:
        z = [normal(self.seed, k, index * k + i) for i in range(k)]
        return self.scaled(z, scale / math.sqrt(dot(z, z)), e)

    def scaled(self, z: list[float], factor: float, e: int) -> list[float]:
        h, most = e // 2, self.work.largest
        values = (((number * factor) * 2.0**h) * 2.0 ** (e - h) for number in z)
        return [to_work(min(max(value, -most), most), self.work) for value in values]

    def decode(self, data: bytes, start: int, count: int) -> list[float]:
        if self.blocks:
            return self.decode_blocks(data, count)
        require(count == self.size <= 65536 and len(data) <= 64, "one block that is not the whole tensor, or too large")
        bits = Reader(data)
        index = golomb(bits.read, self.modulus)
        e = bits.read(12) - 1120 if self.work == F64 else bits.read(9) - 176
        t = bits.length - bits.at
        require(8 <= t <= 52 and e <= 1100, "mantissa or exponent out of its range")
        return self.direction(count, index, 1 + math.ldexp(bits.read(t), -t), e)

    def decode_blocks(self, data: bytes, count: int) -> list[float]:
        coder, energy, values = RangeDecoder(data), 0, []
        models = {k: [[[1 << 21, 0] for _ in range(16)] for _ in range(16)] for k in self.classes}
        large, waiting = [[1 << 21, 0] for _ in range(39)], []  # lengths of the blocks to come, the next one last
        while len(values) < count or waiting:
            k = waiting.pop() if waiting else self.length
            bits, level = models[k][min((energy * k >> 5).bit_length(), 15)], 0
            most = len(self.classes[k]) if k > 1 else 15
            while level <= most and coder.adaptive(bits[level]):
                level += 1
            if k > 1 and level > most:
                waiting += [k // 2, k - k // 2]
                continue
            if level == 0:
                values += [0.0] * k
            elif k > 1:
                m, s = self.classes[k][level - 1]
                values += self.direction(k, golomb(coder.equiprobable, m), float(level) * self.step * s, self.exponent)
            else:
                if level == 16:
                    g = next((g for g in range(39) if not coder.adaptive(large[g])), 39)
                    level = (1 << g) + coder.equiprobable(g) + 15
                z = -1.0 if coder.equiprobable(1) else 1.0
                values += self.scaled([z], float(level) * self.step, self.exponent)
            seen = min(level, 32768) ** 2 * 1024 // k
            energy += (seen - energy) * k // (k + 16)
        coder.end()
        return values[:count]


# ======== levels.md ========
def matricise(shape: tuple[int, ...]) -> tuple[int, int]:
    axes = [n for n in shape if n != 1]
    return (axes[0], math.prod(axes[1:])) if len(axes) > 1 else (1, math.prod(shape))


def zigzag(v: int) -> int:
    return v // 2 if v % 2 == 0 else -(v + 1) // 2


# ---- §1 Points ----
TRELLISES = ((1, 0, 0), (8, 5, 2), (32, 18, 4))


class Step:
    def __init__(self, bits: Reader) -> None:
        mantissa, e = bits.read(12), bits.read(12) - 2048
        require(-1100 <= e <= 1100, "an exponent out of its range")
        n = min(max(e, -1000), 1000)
        self.step, self.unit = float(4096 + mantissa) * 2.0 ** (n - 12), 2.0 ** (e - n)

    def size(self, steps: float, work: Dtype) -> float:
        return min((steps * self.step) * self.unit, work.largest)

    def value(self, steps: float, work: Dtype) -> float:
        return math.copysign(to_work(self.size(abs(steps), work), work), steps)


class Points:
    """What all levels share: the trellis, whether the odd book has a zero, the step, and the
    offsets of levels.
    """

    def __init__(self, bits: Reader) -> None:
        trellis = bits.read(2)
        require(trellis < 3, "an unknown trellis")
        self.states, self.odd_jump, self.jump = TRELLISES[trellis]
        self.zero = bits.read(1) if trellis else 0
        self.step, self.offsets = Step(bits), self.read_offsets(bits)

    def read_offsets(self, bits: Reader) -> dict[int, float]:
        levels = (2, 4) if self.states == 1 else (1, 2, 3, 4)
        return {a: ((bits.read(8) ^ 128) - 128) / 128 for a in levels} if bits.read(1) else {}

    def level(self, n: int, odd: int) -> int:
        return 2 * n - (n > 0) + (n < 0) if odd and self.zero else 2 * n + odd

    def in_steps(self, level: int, offsets: dict[int, float]) -> float:
        return math.copysign(float(abs(level)) + offsets.get(abs(level), 0.0), level)


# ---- §2 Classes ----
class Classes:
    """The end of the head: fields and columns; and the classes of each chunk."""

    def __init__(self, bits: Reader, record: Record) -> None:
        self.width, self.mode = matricise(record.shape)[1], bits.read(2)
        require(self.mode in (0, 2) or (self.mode == 1 and self.width <= 2**20), "mode of the classes")
        self.offset = bits.read(5) if self.mode == 1 else 0
        self.block = 64 << bits.read(2) if self.mode == 2 else 0
        bits.filling()
        self.columns = coded_sequence(bits, self.width) if self.mode == 1 else []
        bits.end()

    def of_chunk(self, bits: Reader, start: int, n: int) -> list[int]:
        if self.mode == 0:
            return [0] * n
        if self.mode == 2:
            numbers = coded_sequence(bits, -(-n // self.block))
            return [numbers[i // self.block] for i in range(n)]
        rows = coded_sequence(bits, (start + n - 1) // self.width - start // self.width + 1)
        places = (divmod(i, self.width) for i in range(start % self.width, start % self.width + n))
        return [min(max(rows[r] + self.columns[k] - self.offset, 0), 31) for r, k in places]


# ---- §3 Symbols ----
EVEN, ODD, RAW, ZERO_BOOK = range(4)
STARTS = (12, 16, 24, 40, 64)


def cell_of(symbol: int) -> int:
    """Of a symbol below 23."""
    return -zigzag(symbol) if symbol % 2 == 0 else (symbol + 1) // 2


def parity(symbol: int) -> int:
    return (symbol + 1) // 2 % 2


def range_of(symbol: int) -> int:
    return 2 * (symbol > 26) + (symbol % 2 == 0)


def read_cell(bits: Reader, symbol: int, r: int) -> int:
    if symbol < 23:
        return cell_of(symbol)
    which = range_of(symbol)
    more = bits.read(6) if which == 3 else which + 1
    require(more + r <= 58 or which < 3, "a number that is too large")
    rest = bits.read(more) + ((1 << more) - 1 if which == 3 else 0)
    cell = STARTS[which] + 2 * rest + parity(symbol)
    return -cell if bits.read(1) else cell


def read_number(bits: Reader, symbol: int, r: int) -> int:
    cell = read_cell(bits, symbol, r)
    return cell if r == 0 else (cell // 2 << r + 1) + 2 * bits.read(r) + cell % 2 - (1 << r)


# ---- §4 Tables ----
def normalise(weights: list[int]) -> list[int]:
    """Frequencies with sum 4096 as their running sums from 0: where each symbol's slots start."""
    total = sum(weights)
    require(total > 0, "weights that are all 0")
    f = [max(1, (w * 4096 + total // 2) // total) if w else 0 for w in weights]
    f[f.index(max(f))] += max(4096 - sum(f), 0)
    while sum(f) > 4096:
        f[f.index(max(f))] -= 1
    return [0, *itertools.accumulate(f)]


def read_weights(bits: Reader, count: int) -> Iterator[int]:
    exponent = 12
    for _ in range(count):
        v = bits.rice(1)
        exponent -= zigzag(v)
        require(v <= 26 and 0 <= exponent <= 13, "an exponent of a table out of its range")
        k = max(min(3, exponent - 1), 0)
        yield ((1 << k) + bits.read(k)) << (exponent - 1 - k) if exponent > 0 else 0


def entry_of(symbol: int, book: int) -> int:
    cell = cell_of(symbol)
    return symbol - 11 if symbol >= 23 else {ODD: max(cell, -1 - cell), RAW: abs(cell // 2)}.get(book, abs(cell))


def frequency_table(bits: Reader, symbols: int, book: int, law: Callable[[], list[int]] | None = None) -> list[int]:
    kind = bits.read(2)
    if kind == 3:
        require(law is not None, "a law where there is none")
        return law()
    last = bits.read(5)
    require(kind != 1 or last <= 20, "last entry of a table")
    described = [*([0] * last + [1] if kind == 0 else read_weights(bits, last + 1)), *[0] * 31]
    starts = normalise([described[entry_of(s, book) if kind == 1 else s] for s in range(32)])
    require(starts[symbols] == 4096, "a table with a symbol that stands for no number")
    return starts


class Law:
    def __init__(self, bits: Reader) -> None:
        self.scale, self.shape, self.peak = bits.read(6), (1, 2, 3, 5)[bits.read(2)], (1.0, 1.5, 2.0, 3.0)[bits.read(2)]
        self.last = bits.read(4)

    def mass(self, low: float, high: float, s: float) -> float:
        def density(x: float) -> float:
            first = 1.0 + (x / s) * (x / s) / 2**self.shape
            return 1.0 / functools.reduce(lambda d, _: d * d, range(self.shape), first)

        return ((density(low) + density(high)) + 4.0 * density((low + high) * 0.5)) * (high - low)

    def weight(self, symbol: int, s: float, r: int, book: int) -> float:
        size = float(2 << r)
        if symbol >= 23:
            which = range_of(symbol)
            return self.mass(STARTS[which] * size, STARTS[which + 1] * size, s)
        n = cell_of(symbol)
        if r > 0:
            return self.mass((2 * (n // 2) - 1) * size, (2 * (n // 2) + 1) * size, s) * 0.5
        if book == ODD:
            return self.mass(2.0 * n, 2.0 * n + 2.0, s)
        below, above = 2.0 * n - 1.0, 2.0 * n + 1.0
        if book == ZERO_BOOK:
            near = {0: (-0.5, 0.5), 1: (0.5, 2.0), -1: (-2.0, -0.5)}
            below, above = near.get(n, (2.0 * n - 2.0 * (n > 0), 2.0 * n + 2.0 * (n < 0)))
        return self.mass(below, above, s) * (self.peak if n == 0 else 1.0)

    def table(self, c: int, r: int, book: int) -> list[int]:
        octave, third = divmod(self.scale + c, 3)
        s = (1.0, 1.2599210498948732, 1.5874010519681994)[third] * 2.0 ** (octave - 10)
        masses = [self.weight(symbol, s, r, book) for symbol in range(31) if (symbol + 1) // 2 <= self.last]
        total = functools.reduce(lambda x, y: x + y, masses, 0.0)
        return normalise([max(math.trunc(mass / total * 2.0**24), 1) for mass in masses])


Tables = dict[int, tuple[int, list[list[int]]]]  # for each class its raw width, and tables by book or phase


def read_tables(bits: Reader, classes: list[int], of: Callable[[int, int], list[list[int]]]) -> Tables:
    width, tables = 0, {}
    for c in sorted(set(classes)):
        width += zigzag(bits.rice(0))
        require(0 <= width < 58, "a raw width out of its range")
        tables[c] = width, of(c, width)
    return tables


# ---- §5 Lanes ----
class Lanes:
    def __init__(self, bits: Reader) -> None:
        lanes = bits.read(3)
        require(lanes <= 6, "too many lanes")
        width = 4 if lanes else bits.read(2) + 1
        count = bits.read(bits.read(5))
        bits.filling()
        self.states, self.lowest = [bits.unsigned(width) for _ in range(1 << lanes)], 1 << 16 if lanes else 1
        require(min(self.states) >= self.lowest, "a state that is too small")
        self.words, self.paths = Reader(bits.bytes(2 * count)), [0] * (1 << lanes)
        self.turn = itertools.cycle(range(1 << lanes))

    def symbol(self, starts: list[int], lane: int) -> int:
        x = self.states[lane]
        s = bisect.bisect_right(starts, x % 4096) - 1
        x = (starts[s + 1] - starts[s]) * (x // 4096) + x % 4096 - starts[s]
        more = x < 1 << 16 and (self.lowest > 1 or self.words.at < self.words.length)
        self.states[lane] = (x << 16) + self.words.unsigned(2) if more else x
        return s

    def move(self, lane: int, points: Any, bit: int) -> None:
        """To the trellis state that the branch `bit` leads to."""
        q = self.paths[lane]
        self.paths[lane] = (q >> 1) ^ (q % 2 * points.odd_jump) ^ (bit * points.jump)

    def end(self) -> None:
        require(set(self.states) == {self.lowest}, "states that do not end as they must")
        self.words.end()


def symbols_of(bits: Reader, classes: list[int]) -> list[int]:
    """Symbols without a law or a trellis, with a table for each class that occurs."""
    tables = {c: frequency_table(bits, 32, EVEN) for c in sorted({*classes})}
    lanes = Lanes(bits)
    symbols = [lanes.symbol(tables[c], next(lanes.turn)) for c in classes]
    lanes.end()
    return symbols


def coded_sequence(bits: Reader, count: int) -> list[int]:
    relative, numbers = bits.read(1), symbols_of(bits, [0] * count)
    return [n % 32 for n in itertools.accumulate(numbers)] if relative else numbers


# ---- §6 Levels ----
def read_levels(bits: Reader, classes: list[int], points: Points) -> list[int]:
    law, codes = Law(bits), []

    def books(c: int, width: int) -> list[list[int]]:
        kinds = [RAW] if width else [EVEN, ZERO_BOOK if points.zero else ODD][: min(points.states, 2)]
        found = [frequency_table(bits, 31, kind, functools.partial(law.table, c, width, kind)) for kind in kinds]
        return found if len(found) > 1 else found * 2

    tables, lanes = read_tables(bits, classes, books), Lanes(bits)
    for c in classes:
        lane = next(lanes.turn)
        odd = lanes.paths[lane] % 2
        symbol = lanes.symbol(tables[c][1][odd], lane)
        lanes.move(lane, points, parity(symbol))
        codes.append((symbol, odd, c))
    lanes.end()
    levels = [points.level(read_number(bits, symbol, tables[c][0]), odd) for symbol, odd, c in codes]
    bits.end()
    return levels


# ======== compressors/05-ecsq.md, compressors/06-tcq.md ========
class Elementwise:
    def __init__(self, record: Record, head: bytes) -> None:
        bits, self.work = Reader(head), record.work
        self.points = Points(bits)
        require((self.points.states == 1) == (record.compressor[0] == 5), "a trellis of the other compressor")
        self.classes = Classes(bits, record)

    def decode(self, data: bytes, start: int, count: int) -> list[float]:
        bits, points = Reader(data), self.points
        levels = read_levels(bits, self.classes.of_chunk(bits, start, count), points)
        return [points.step.value(points.in_steps(level, points.offsets), self.work) for level in levels]


# ======== compressors/07-klt.md ========
class Klt:
    def __init__(self, record: Record, head: bytes) -> None:
        bits, self.work = Reader(head), record.work
        self.points = points = Points(bits)
        first_offsets, first_has_rows, self.has_rows = points.read_offsets(bits), bits.read(1), bits.read(1)
        rows, columns = matricise(record.shape)
        rows, self.columns = (rows, columns) if rows != 1 and columns <= 1 << 20 else (record.size, 1)
        width, self.height = sorted((rows, self.columns))
        self.transposed, together = rows < self.columns, rows < self.columns and record.size > 1 << 20
        rank = bits.read(12) + 1
        levels = (width + self.height * together) * rank
        paid = levels <= 2**21 + 2**7 * len(head) and width * rank**2 <= 2**30 + 2**13 * len(head)
        classes = [*itertools.accumulate((-bits.rice(0) for _ in range(rank - 1)), initial=bits.read(5))]
        require(paid and rank <= width and classes[-1] >= 0, "an unpaid rank, one too high, or a class below 0")
        bits.filling()
        code = bits.bytes(bits.unsigned(4)) if together else bits.rest()
        steps = self.factor(code, width, classes, first_has_rows, first_offsets)
        self.first_factor([steps[k::rank] for k in range(rank)])
        self.c = self.second_factor(bits.rest(), self.height) if together else []

    def factor(self, code: bytes, height: int, columns: list[int], has_rows: int, offsets: Any) -> list[float]:
        bits = Reader(code)
        rows = coded_sequence(bits, height) if has_rows else [31] * height
        levels = read_levels(bits, [max(c + row - 31, 0) for row in rows for c in columns], self.points)
        return [self.points.in_steps(level, offsets) for level in levels]

    def first_factor(self, f: list[list[float]]) -> None:
        """`f` has the columns of F."""
        squares = [dot(column, column) for column in f]
        largest, first, ratio = max(*squares, sys.float_info.min), 0.7937005259840998, 0.6299605249474366
        thresholds = [*itertools.accumulate([ratio] * 30, lambda threshold, ratio: threshold * ratio, initial=first)]
        self.classes = [31 - sum(square < largest * threshold for threshold in thresholds) for square in squares]
        for j, square in enumerate(squares):
            for first, last in itertools.pairwise([*range(0, j - j % 32, 32), *range(j - j % 32, j + 1)]):
                along = [dot(column, f[j]) for column in f[first:last]]
                rows = zip(*f[first:last], strict=True)
                f[j] = [y - dot(row, along) for row, y in zip(rows, f[j], strict=True)]
            q = dot(f[j], f[j])
            f[j] = [x / math.sqrt(q) if q > square * 2.0**-40 else 0.0 for x in f[j]]
        self.v = [[to_work(x, self.work) for x in row] for row in zip(*f, strict=True)]

    def second_factor(self, code: bytes, height: int) -> list[list[float]]:
        steps = self.factor(code, height, self.classes, self.has_rows, self.points.offsets)
        values, rank = [self.points.step.value(x, self.work) for x in steps], len(self.classes)
        return [values[at : at + rank] for at in range(0, len(values), rank)]

    def decode(self, data: bytes, start: int, count: int) -> list[float]:
        require(start % self.columns == count % self.columns == 0, "a chunk that is not of whole rows")
        first, rows = start // self.columns, count // self.columns
        own = min((1 << 20) // self.columns, len(self.v) - first) if self.c else len(self.v)
        require((rows == own or not self.transposed) and not (self.c and data), "a chunk too short, or not empty")
        c = self.c or self.second_factor(data, self.height if self.transposed else rows)
        left, right = (self.v[first : first + rows], c) if self.transposed else (c, self.v)
        return [dot(a, b, self.work) for a in left for b in right]


# ======== compressors/08-dither.md ========
def density(bits: Reader) -> list[list[int]]:
    """The tables of the eight phases."""
    w = 4 << bits.read(3)
    nodes = [*read_weights(bits, bits.read(5) + 1), *[0] * 509]
    last = bits.read(4)

    def line(a: int) -> int:
        j, e = divmod(abs(a), w)
        return nodes[j] * (w - e) + nodes[j + 1] * e

    def weight(symbol: int, a: int) -> int:
        if symbol < 23:
            return max(1, line(32 * cell_of(symbol) + a))
        which = range_of(symbol)
        numbers = range(STARTS[which] + parity(symbol), STARTS[which + 1], 2)
        return max(1, sum(line(32 * n + a) + line(32 * n - a) for n in numbers))

    return [normalise([weight(symbol, 2 * p + 1) for symbol in range(min(2 * last, 30) + 1)]) for p in range(8)]


class Dither:
    def __init__(self, record: Record, head: bytes) -> None:
        require(record.dtype in (F32, F64), "dither of a narrow dtype")
        bits, self.work = Reader(head), record.work
        trellis, seed_length = bits.read(2), bits.read(4)
        require(trellis < 3 and seed_length <= 8, "trellis or seed length out of its range")
        self.states, self.odd_jump, self.jump = TRELLISES[trellis]
        self.seed = sum(bits.read(8) << 8 * i for i in range(seed_length))
        self.step, self.classes = Step(bits), Classes(bits, record)

    def decode(self, data: bytes, start: int, count: int) -> list[float]:
        bits, values, symbols = Reader(data), [], []
        classes = self.classes.of_chunk(bits, start, count)
        tables = read_tables(bits, classes, lambda c, w: [frequency_table(bits, 31, RAW)] * 8 if w else density(bits))
        lanes = Lanes(bits)
        lanes.paths = [random(self.seed, 0x64697473, start + j) % self.states for j in range(len(lanes.states))]
        for i, c in enumerate(classes, start):
            lane = next(lanes.turn)
            place = (4 * uniform(random(self.seed, 0x64697468, i)) - 2) + lanes.paths[lane] % 2
            m = math.floor((place + 1) * 0.5)
            phi = place - 2 * m
            symbol = lanes.symbol(tables[c][1][min(math.floor(8 * abs(phi)), 7)], lane)
            lanes.move(lane, self, (parity(symbol) - m) % 2)
            symbols.append((symbol, phi))
        lanes.end()
        for i, ((symbol, phi), c) in enumerate(zip(symbols, classes, strict=True), start):
            y = phi + 2 * read_number(bits, symbol, tables[c][0]) * (-1 if phi < 0 else 1)
            v = self.step.size(abs(y), self.work)
            if self.work == F32:
                v = round_randomly(v, random(self.seed, 0x64697472, i))
            values.append(-v if y < 0 else v)
        bits.end()
        return values


def round_randomly(v: float, rho: int) -> float:
    if v < 2.0**-126:
        return math.floor(v / 2.0**-149 + uniform(rho)) * 2.0**-149
    pattern = struct.unpack("<Q", struct.pack("<d", v))[0] + rho % (1 << 29)
    return struct.unpack("<d", struct.pack("<Q", pattern >> 29 << 29))[0]


# ======== compressors/09-geometric.md ========
class Geometric:
    def __init__(self, record: Record, head: bytes) -> None:
        bits, self.dtype = Reader(head), record.dtype
        self.numerator, self.exponent, self.doublings = 256 + bits.read(8), 9 + bits.read(6), bits.read(6)
        first, self.last = (bits.read(8 * self.dtype.word) for _ in range(2))
        largest = int.from_bytes(narrow([self.dtype.largest], self.dtype), "little")
        require(self.exponent <= 62 and self.doublings <= 52 and 0 < first <= self.last <= largest, "intervals")
        lengths = [(length := bits.read(6), bits.read(min(length, 57))) for _ in range(2)]
        require(max(lengths)[0] <= 57, "unit or base out of its range")
        self.unit, self.base = lengths[0][1], lengths[1][1] * (-1) ** bits.read(1)
        self.classes = Classes(bits, record)
        self.runs, self.count = [], 0
        while first <= self.last:
            require(len(self.runs) < 1 << 16, "too many runs")
            first = self.add_run(first, self.dtype.significand - 1)
        require(self.count <= 1 << 57, "too many levels")

    def add_run(self, p: int, m: int) -> int:
        """§ Intervals: the run that begins at the pattern p; returns where the next one begins."""
        base = (max(p >> m, 1) - 1) << m

        def pattern_of(units: int) -> int:
            j = max(units.bit_length() - m - 1, 0)
            return min(base + (j << m) + (units >> j), self.last)

        n = p - base
        middle = pattern_of(n + (n * self.numerator >> self.exponent))
        j = max((middle - base >> m) - 1, 0)
        reached = middle - base - (j << m) << j
        end = pattern_of(reached + reached * self.numerator // ((1 << self.exponent) - self.numerator)) + 1
        intervals = max(min(1 << self.doublings, ((2 << m) - n) // (end - p)), 1)
        self.runs.append((self.count, p, end - p, middle - p))
        self.count += intervals
        return p + intervals * (end - p)

    def pattern(self, level: int) -> int:
        require(0 <= level < self.count, "a level out of its range")
        start, p, width, offset = self.runs[bisect.bisect_right(self.runs, (level, math.inf)) - 1]
        return min(p + (level - start) * width + offset, self.last)

    def decode(self, data: bytes, start: int, count: int) -> bytes:
        bits, out = Reader(data), bytearray()
        classes = self.classes.of_chunk(bits, start, count)
        mode = bits.read(2)
        require(mode < 3, "an unknown mode of signs")
        tables = read_tables(bits, classes, lambda c, width: [frequency_table(bits, 32, EVEN)])
        lanes = Lanes(bits)
        symbols = [lanes.symbol(tables[c][1][0], next(lanes.turn)) for c in classes]
        lanes.end()
        signs = [bits.read(1) if mode == 2 or (mode == 1 and symbol < 31) else 0 for symbol in symbols]
        bits.filling()
        for symbol, c, sign in zip(symbols, classes, signs, strict=True):
            pattern, r = sign << 8 * self.dtype.word - 1, tables[c][0]
            if symbol < 31:
                number = (read_cell(bits, symbol, r) << r) + bits.read(r)
                pattern += self.pattern(number + self.base + self.unit * c)
            out += pattern.to_bytes(self.dtype.word, "little")
        bits.end()
        return bytes(out)


# ======== compressors/10-structured.md ========
# What the other method sees of a record.
Rests = namedtuple("Rests", "dtype work shape size compressor")


class Structured:
    def __init__(self, record: Record, head: bytes) -> None:
        self.dtype, self.work, self.shape = record.dtype, record.work, record.shape
        self.kept: list[bytes] = []
        self.range, self.mean = (-math.inf, math.inf), 0.0
        fields, width = Reader(head), record.dtype.word
        flags, self.method, version = fields.unsigned(1), fields.unsigned(1), fields.unsigned(1)
        require(flags < 32, "unknown flags")
        if flags & 1:
            self.kept = [fields.bytes(width) for _ in range(fields.unsigned(1))]
            numbers = [int.from_bytes(word, "little") for word in self.kept]
            require(0 < len(numbers) < 255 and numbers == sorted({*numbers}), "kept words that do not ascend")
        allowed = {5, 6, *(() if self.kept else (7,)), *((9,) if flags < 2 else ())}
        require(self.method in allowed and version == 1, "the other method")
        if flags & 2:
            self.range = low, high = (
                number_of(fields.unsigned(width), self.dtype),
                number_of(fields.unsigned(width), self.dtype),
            )
            require(low <= high, "a range that is none")
        if flags & 4:
            self.mean = fields.number("d")
            require(0 < abs(self.mean) < math.inf, "a mean that is 0 or not finite")
        self.affine = flags & 28 > 0
        self.scales = self.numbers_of_slices(fields) if flags & 8 else None
        require(not self.scales or all(math.copysign(1, s) > 0 for s in self.scales[1]), "a scale with a sign")
        self.means = self.numbers_of_slices(fields) if flags & 16 else None
        rest = fields.rest()
        require(not (rest and self.kept), "bytes after the head")
        self.other = self.of_shape(self.shape, rest) if rest else None

    def numbers_of_slices(self, fields: Reader) -> tuple[int, list[float]]:
        """An axis, and a number for each slice along it."""
        axis = fields.unsigned(1)
        require(axis < len(self.shape), "an axis that the tensor lacks")
        low_bytes, high_bytes = (read_plane(fields, self.shape[axis]) for _ in range(2))
        words = [bytes((0, 0, *pair)) for pair in zip(low_bytes, high_bytes, strict=True)]
        numbers = [struct.unpack("<f", word)[0] for word in words]
        require(all(map(math.isfinite, numbers)), "a number that is not finite")
        return axis, numbers

    def of_slice(self, numbers: tuple[int, list[float]], i: int) -> float:
        axis, found = numbers
        return found[i // math.prod(self.shape[axis + 1 :]) % self.shape[axis]]

    def of_shape(self, shape: tuple[int, ...], head: bytes) -> Any:
        """The decoder of the other method."""
        seen = self.dtype if self.method == 9 else self.work
        rests = Rests(seen, self.work, shape, math.prod(shape), (self.method, 1))
        return COMPRESSORS[self.method, 1][1](rests, head)  # type: ignore[arg-type]

    def restored(self, rest: float, i: int) -> float:
        value = rest
        if self.affine:
            value = value * self.of_slice(self.scales, i) if self.scales else value
            value = value + self.of_slice(self.means, i) if self.means else value
            value = to_work(value + self.mean if self.mean else value, self.work)
        return max(self.range[0], min(value, self.range[1])) if not self.range[0] <= value <= self.range[1] else value

    def decode(self, data: bytes, start: int, count: int) -> bytes:
        fields = Reader(data)
        numbers = read_plane(fields, count) if self.kept else bytes(count)
        require(max(numbers) <= len(self.kept), "a kept word that the head lacks")
        left = [i for i in range(count) if not numbers[i]]
        rests = self.rests(fields, numbers, left, start)
        values = (
            [] if isinstance(rests, bytes) else [self.restored(y, start + i) for y, i in zip(rests, left, strict=True)]
        )
        found, width = rests if isinstance(rests, bytes) else narrow(values, self.dtype), self.dtype.word
        words = iter([found[at : at + width] for at in range(0, len(found), width)])
        return b"".join(self.kept[number - 1] if number else next(words) for number in numbers)

    def rests(self, fields: Reader, numbers: bytes, left: list[int], start: int) -> list[float] | bytes:
        """The rests, or what geometric gives: the words of the values."""
        if not self.kept and self.other:
            return list(self.other.decode(fields.rest(), start, len(left)))
        if fields.at == fields.length:
            return [0.0] * len(left)
        require(bool(self.kept and left), "bytes where no value is coded")
        head = fields.bytes(fields.unsigned(4))
        columns = matricise(self.shape)[1]
        rows = [numbers[at : at + columns] for at in range(0, len(numbers), columns)]
        whole = columns > 1 and len(numbers) % columns == 0 and all(all(row) or not any(row) for row in rows)
        shape = (len(left) // columns, columns) if whole else (len(left),)
        return self.of_shape(shape, head).decode(fields.rest(), 0, len(left))  # type: ignore[no-any-return]


# ======== compressors/11-delta.md ========
class Delta:
    def __init__(self, record: Record, head: bytes) -> None:
        self.dtype, self.width = record.dtype, matricise(record.shape)[1] * record.dtype.parts
        self.known, fields = bool(head), Reader(head or bytes(3))
        self.base = bytes(record.size * self.dtype.word * self.dtype.parts)
        self.bits, self.floating = 8 * self.dtype.word, self.dtype.kind in ("float", "complex")
        self.shift = (self.dtype if self.dtype.kind == "float" else F32 if self.bits == 32 else F64).significand - 1
        self.mask = (1 << self.bits - 1 - self.shift) - 1 if self.floating else 0
        self.top, flags = fields.unsigned(2), fields.unsigned(1)
        require(self.top <= self.mask and flags < 2, "an exponent that the dtype lacks, or unknown flags")
        fields.end()
        self.by_rows = flags == 1

    def place(self, word: int) -> int:
        sign, rest = divmod(word, 1 << self.bits - 1)
        return -1 - rest if sign and self.floating else word

    def moved(self, word: int, change: int) -> int:
        half = 1 << self.bits - 1
        place = (self.place(word) + change + half) % (2 * half) - half
        return half - 1 - place if place < 0 and self.floating else place % (2 * half)

    def decode(self, data: bytes, start: int, count: int) -> bytes:
        size, parts = self.dtype.word, self.dtype.parts
        below = self.base[start * size * parts : (start + count) * size * parts]
        if not data:
            return below
        require(self.known, "a chunk with bytes, and an empty head")
        bits, words = (
            Reader(data),
            [int.from_bytes(below[at : at + size], "little") for at in range(0, len(below), size)],
        )
        places = [i // self.width for i in range(start * parts % self.width, start * parts % self.width + len(words))]
        rows = coded_sequence(bits, places[-1] + 1) if self.by_rows else [0] * (places[-1] + 1)
        exponents = [word >> self.shift & self.mask for word in words]
        classes = [min(max(rows[r] + self.top - e, 0), 31) for r, e in zip(places, exponents, strict=True)]
        tables = read_tables(bits, classes, lambda c, width: [frequency_table(bits, 32, EVEN)])
        lanes = Lanes(bits)
        symbols = [lanes.symbol(tables[c][1][0], next(lanes.turn)) for c in classes]
        lanes.end()
        apart = iter([bits.unsigned(size) for symbol in symbols if symbol == 31])
        out = bytearray()
        for word, symbol, c in zip(words, symbols, classes, strict=True):
            if symbol == 31:
                found = next(apart)
            else:
                r = tables[c][0]
                found = self.moved(word, (read_cell(bits, symbol, r) << r) + bits.read(r))
            require(self.dtype.kind != "bool" or found < 2, "a bool that is neither 0 nor 1")
            out += found.to_bytes(size, "little")
        bits.end()
        return bytes(out)


def number_of(pattern: int, dtype: Dtype) -> float:
    """The finite number that the bits of a floating dtype stand for."""
    sign, size = divmod(pattern, 1 << 8 * dtype.word - 1)
    exponent, mantissa = divmod(size, 1 << dtype.significand - 1)
    mantissa += (exponent > 0) << dtype.significand - 1
    unit = max(exponent - 1, 0) + dtype.smallest
    require(math.ldexp(mantissa, unit - 1) <= dtype.largest / 2, "a number that is not finite")
    return math.copysign(math.ldexp(mantissa, unit), -sign)


# ======== format.md §5 Compressors, by id and payload version ========
COMPRESSORS: dict[tuple[int, int], tuple[tuple[str, ...], Callable[[Record, bytes], Any]]] = {
    (1, 1): (("exact",), Lossless),
    (2, 1): (("alpha",), SparseDithering),
    (3, 1): (("omega",), SparseDithering),
    (4, 1): (("alpha", "omega"), Spherical),
    (5, 1): (("alpha",), Elementwise),
    (6, 1): (("alpha",), Elementwise),
    (7, 1): (("alpha",), Klt),
    (8, 1): (("omega",), Dither),
    (9, 1): (("pointwise",), Geometric),
    (10, 1): (("alpha", "pointwise"), Structured),
    (11, 1): (("exact", "alpha"), Delta),
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Decode a .gcz file to raw tensors.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--raw", type=Path, metavar="DIR", required=True, help="tensor i goes to DIR/i.raw")
    parser.add_argument(
        "--base", type=Path, metavar="FILE", action="append", default=[], help="the first one stands alone"
    )
    arguments = parser.parse_args()
    bases: list[dict[str, bytes]] = []
    try:
        arguments.raw.mkdir(parents=True, exist_ok=True)
        for path in arguments.base:
            bases.append({record.name: b"".join(found) for record, found in decode_file(path.read_bytes(), bases)})
        for i, (record, chunks) in enumerate(decode_file(arguments.file.read_bytes(), bases)):
            (arguments.raw / f"{i}.raw").write_bytes(b"".join(chunks))
            print(json.dumps({"index": i, "name": record.name, "dtype": record.dtype.name, "shape": record.shape}))
    except (FormatError, OSError) as error:
        print(f"{arguments.file}: {error}", file=sys.stderr)
        return EXIT_STATUS.get(error.code, 3) if isinstance(error, FormatError) else 5
    return 0


if __name__ == "__main__":
    sys.exit(main())
