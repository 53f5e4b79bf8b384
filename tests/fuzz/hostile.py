"""Small containers that ask for much: memory, time or depth. All checksums are right."""

import struct
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np
from vectors import gcz

from gcodec.container.fields import pack_text, pack_varint
from gcodec.container.layout import Frame, pack_block

from . import hostile_joined

MOST = 1 << 20  # values of a chunk


@dataclass(frozen=True)
class Hostile:
    """An input, the outcome that it must have, and the bytes that it may decode to.

    It may also have several outcomes.
    """

    name: str
    data: bytes
    outcome: str  # "values", or codes of errors
    decoded: int = 0


def base(method: str = "sd", bound: float = 0.1) -> gcz.Record:
    return gcz.record("", np.array([3, -1, 0, 0.5], np.float32), method, bound)


def sized(record: gcz.Record, *dims: int, chunk: int = MOST) -> gcz.Record:
    """The record with another shape."""
    return record.but(ndim=pack_varint(len(dims)), dims=b"".join(map(pack_varint, dims)), chunk=pack_varint(chunk))


def zeros(method: str, head: bytes, chunk: bytes, chunks: int) -> gcz.Record:
    """float32 zeros: chunks of 2²⁰ values from a few bytes each."""
    crc = crc32(bytes(4 * MOST))
    record = replace(base(method, 0.0 if method in ("lossless", "delta") else 0.1), decoded=(crc,) * chunks)
    return sized(record.holding(head, [chunk] * chunks), chunks * MOST)


def zero_planes(count: int, size: int = MOST) -> bytes:
    import zstandard

    frame = zstandard.ZstdCompressor(level=1).compress(bytes(size))
    return (b"\x01" + gcz.u32(len(frame)) + frame) * count


def slowest_indices() -> tuple[bytes, bytes]:
    """A palette of 16 words, and 2²⁰ indices of four bits each in contexts of two neighbours."""
    content = b"\2" + gcz.u32(1000)
    return b"\0\x10" + np.arange(16, dtype="<u4").tobytes(), b"\4" + gcz.u32(len(content)) + content


def all_zero_bitmap() -> bytes:
    """sd's code of 2²⁰ zeros."""
    record = gcz.record("", np.append(np.zeros(MOST, np.float32), np.float32(1)), "sd", 0.1, chunk=MOST)
    return record.chunks[0]


def meta(text: bytes) -> bytes:
    return gcz.container(pack_block(b"META", text))


def many_records(record: gcz.Record, count: int) -> bytes:
    return gcz.container(*(record.but(name=pack_text(str(i))) for i in range(count)))


def noise(size: int) -> bytes:
    return np.random.default_rng(0).bytes(size)


def cases() -> list[Hostile]:
    scalar = np.float32(1)
    return [
        Hostile("JSON of many brackets", meta(b"[" * 65000), "corrupt"),
        Hostile("JSON of many objects", meta(b'{"a":' * 12000 + b"1" + b"}" * 12000), "corrupt"),
        Hostile("JSON of many lists", meta(b'{"a":[' + b"[]," * 21000 + b"[]]}"), "values"),
        Hostile("JSON of a long number", meta(b'{"bytes":' + b"9" * 60000 + b"}"), "corrupt"),
        Hostile("JSON of a number beyond floats", meta(b'{"bytes":0,"x":1e99999}'), "values"),
        Hostile("index of many entries", gcz.container(index=pack_varint(30000) + b"\0\0" * 30000), "corrupt"),
        Hostile("header of 16 MiB declared", gcz.container()[:16] + Frame(b"TENS", 1 << 24, 0).pack(), "truncated"),
        Hostile(
            "body of 2⁶² − 1 bytes declared",
            gcz.container()[:16] + pack_block(b"skip", b"", (1 << 62) - 1),
            "truncated",
        ),
        Hostile("head of 64 MiB declared", head_declared(), "truncated"),
        Hostile("2⁴⁷ values declared", gcz.container(sized(base(), 2**47)), "corrupt"),
        Hostile("a table of 7000 chunks of one value", gcz.container(one_value_chunks(7000)), "corrupt"),
        Hostile("64 MiB declared, nothing decodes", gcz.container(zeros("sd", b"", b"", 16)), "corrupt"),
        Hostile("1 GiB declared from no bytes", gcz.container(zeros("sd", b"", b"", 256)), "limit"),
        Hostile(
            "1 GiB in many records", many_records(zeros("sd", base().head, all_zero_bitmap(), 1), 256), "limit", 1 << 28
        ),
        Hostile("4 TiB declared", gcz.container(sized(zeros("sd", b"", b"", 6000), 6000 * MOST)), "limit"),
        Hostile("2²⁰ values from no bytes", gcz.container(zeros("sd", base().head, b"", 1)), "corrupt"),
        Hostile("2²⁰ values of lossless from no bytes", gcz.container(zeros("lossless", b"", b"", 1)), "corrupt"),
        Hostile("zeros of sd", gcz.container(zeros("sd", base().head, all_zero_bitmap(), 8)), "values", 8 * 4 * MOST),
        Hostile("zeros of lossless", gcz.container(zeros("lossless", b"", zero_planes(4), 8)), "values", 8 * 4 * MOST),
        Hostile(
            "indices in contexts from no bytes", gcz.container(zeros("lossless", *slowest_indices(), 8)), "corrupt"
        ),
        Hostile("noise for sd", gcz.container(sized(base().holding(chunks=[noise(60000)]), MOST)), "checksum"),
        Hostile("noise for sc of long blocks", gcz.container(spherical(128)), "corrupt"),
        Hostile("noise for sc of single values", gcz.container(spherical(1)), "corrupt"),
        Hostile("klt of a high rank", gcz.container(high_rank(4096, 1000)), "limit or corrupt"),
        Hostile("ecsq's classes of 2²⁸ columns", gcz.container(long_row("ecsq", 1 << 28)), "limit or corrupt"),
        Hostile("dither's classes of 2²⁷ columns", gcz.container(long_row("dither", 1 << 27)), "limit or corrupt"),
        Hostile("zeros of delta", gcz.container(zeros("delta", b"", b"", 8)), "values", 8 * 4 * MOST),
        Hostile("1 GiB of a base that nobody gave", gcz.container(on_base(zeros("delta", b"", b"", 256))), "limit"),
        Hostile("a base that nobody gave", gcz.container(on_base(zeros("delta", b"", b"", 1))), "missing-base"),
        Hostile("many empty records", many_records(gcz.record("", np.empty(0, np.float32), "lossless"), 800), "values"),
        Hostile("many records", many_records(gcz.record("", scalar, "sd", 0.1), 550), "values"),
        *(Hostile(*case) for case in hostile_joined.cases(zero_planes(4))),
        Hostile("a name of 65535 bytes", gcz.container(base().but(name=pack_text("n" * 32000))), "values"),
    ]


def on_base(record: gcz.Record) -> gcz.Record:
    """The record with a base, at the end of the longest chain."""
    return record.but(attributes=pack_text('{"base":{"crc":1,"depth":1000}}'))


def head_declared() -> bytes:
    """A head of 2²⁶ bytes of which none is there."""
    record = base().but(head_length=pack_varint(1 << 26))
    block = record.pack(body_length=(1 << 26) + len(record.chunks[0]))
    return gcz.container()[:16] + block


def one_value_chunks(count: int) -> gcz.Record:
    record = replace(base(), decoded=(0,) * count).holding(chunks=[b""] * count)
    return sized(record, count, chunk=1)


def spherical(length: int) -> gcz.Record:
    """2²⁰ values of sc from noise."""
    return sized(base().but(compressor=b"\x04").holding(spherical_head(length, 1), [noise(60000)]), MOST)


def spherical_head(length: int, classes: int) -> bytes:
    """Blocks whose length is a power of two, so many classes for every length.

    An index has a bit or more.
    """
    every = bytes([classes]) + b"\0\xff\xff" * classes
    return struct.pack("<BBhff", 0x80, length, 0, 1.0, 1.0) + every * (length.bit_length() - 1)


def klt_head(rank: int) -> bytes:
    """A first factor of zeros."""
    fields = f"10 1 001110101001 100000000000 0 0 0 0 {rank - 1:012b} 10101" + "1" * (rank - 1)
    return gcz.bits(fields) + klt_zeros()


def klt_zeros() -> bytes:
    """The levels of a factor, all 0, however many: they cost no bits."""
    return gcz.bits("000000 00 00 0000 1 00 00000 00 00000 000 00 00000") + b"\x01"


def high_rank(side: int, rank: int) -> gcz.Record:
    """A square matrix of klt whose first factor has few bytes.

    It would take long to make that factor orthonormal.
    """
    head = klt_head(rank)
    record = gcz.record("", np.array([[1, 2], [2, 4]], np.float32), "klt", 0.1)
    chunk = MOST // side * side
    chunks = -(-side * side // chunk)
    return sized(replace(record, decoded=(0,) * chunks).holding(head, [noise(9)] * chunks), side, side, chunk=chunk)


def long_row(method: str, width: int) -> gcz.Record:
    """A vector whose values have a class each in the head, of equal numbers, which cost no bits."""
    step = "111100100110 100000000000"
    fields = f"00 {step} 0 01 00000" if method == "ecsq" else f"00 0000 {step} 01 00000"
    head = gcz.bits(fields) + gcz.bits("0 00 00101 000 00 00000") + b"\x01"
    chunks = width // MOST
    record = replace(base(method), decoded=(0,) * chunks)
    return sized(record.holding(head, [noise(9)] * chunks), width)
