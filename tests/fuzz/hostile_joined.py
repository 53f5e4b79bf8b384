"""Joined tensors that ask for much, and indexes that lie about them. All checksums are right."""

from collections.abc import Iterable
from zlib import crc32

import numpy as np
from vectors import gcz

from gcodec.container.fields import pack_varint
from gcodec.container.layout import FileHeader, Footer, Frame, pack_block
from gcodec.container.records.joined import MAX_NAMES

START = FileHeader.SIZE
ONE = b"\2\1"  # the shape of one value
PAIR = {"a": np.zeros(1, np.float32), "b": np.zeros(1, np.float32)}
LONG = 30_000  # bytes of a long name

Name = tuple[int, int, bytes]  # how many bytes it shares at its start and at its end, and what is between


def zeros(names: Iterable[Name], shape: bytes = ONE, values: int = 1, record: gcz.Record | None = None) -> bytes:
    """A block of tensors of zeros, all of one shape."""
    rows = [b"".join((*map(pack_varint, (first, last, len(own))), own, shape)) for first, last, own in names]
    crc = crc32(bytes(4 * values))
    all_values = record or gcz.joined_record({"": np.zeros(values * len(rows), np.float32)})
    return gcz.join(PAIR, all_values, tensors=pack_varint(len(rows)) + b"".join(rows), crcs=gcz.u32(crc) * len(rows))


def numbered(count: int, prefix: str = "") -> list[Name]:
    """Names that share nothing."""
    return [(0, 0, f"{prefix}{i}".encode()) for i in range(count)]


def file(*blocks: bytes, index: list[tuple[str, int]]) -> bytes:
    data = FileHeader().pack() + b"".join(blocks)
    return data + gcz.joined_index(index) + Footer(len(data)).pack()


def growing(count: int) -> bytes:
    """Each name is the one before and a byte more."""
    names = [(i, 0, b"x") for i in range(count)]
    return file(zeros(names), index=[("x" * (i + 1), START) for i in range(count)])


def long_names(count: int) -> bytes:
    """Names of 30 kB, each of which takes a few bytes."""
    first = b"n" * LONG
    names = [(0, 0, first), *((LONG, 0, str(i).encode()) for i in range(1, count))]
    return file(zeros(names), index=[("n" * LONG + (str(i) if i else ""), START) for i in range(count)])


def blocks_of_zeros(count: int, planes: bytes) -> bytes:
    """Blocks of 2²⁰ zeros in two tensors, from a few bytes each."""
    record = gcz.record("", np.zeros(4, np.float32), "lossless")
    most = 1 << 20
    record = record.but(dims=pack_varint(most), chunk=pack_varint(most)).holding(b"", [planes])
    record = record.but(table=pack_varint(len(planes)) + gcz.u32(crc32(planes)) + gcz.u32(crc32(bytes(4 * most))))
    half = b"\2" + pack_varint(most // 2)
    made = [zeros(numbered(2, f"{i}."), half, most // 2, record) for i in range(count)]
    starts = np.cumsum([START, *map(len, made)]).tolist()
    return file(*made, index=[(f"{i}.{j}", starts[i]) for i in range(count) for j in range(2)])


def indexed(*entries: tuple[str, int]) -> bytes:
    """Two tensors in a block, and another one in a second block, with this index."""
    first, second = gcz.join(PAIR), gcz.join({"c": PAIR["a"], "d": PAIR["b"]})
    return file(first, second, index=list(entries))


def second() -> int:
    """Where the second block of `indexed` begins."""
    return START + len(gcz.join(PAIR))


def index_of_one_name(count: int) -> bytes:
    """An index whose names are long, and cost few bytes."""
    rows = [pack_varint(0) * 2 + pack_varint(LONG) + b"n" * LONG + pack_varint(START)]
    rows += [pack_varint(LONG) + b"\0" + pack_varint(3) + f"{i:03}".encode() + b"\0" for i in range(count - 1)]
    data = FileHeader().pack() + gcz.join(PAIR)
    return data + pack_block(b"JIDX", pack_varint(count) + b"".join(rows)) + Footer(len(data)).pack()


def cases(planes: bytes) -> list[tuple[str, bytes, str, int]]:
    """Name, bytes, outcome and decoded bytes of each. planes: a chunk of 2²⁰ zeros of float32."""
    most = 4 << 20
    at = second()
    right = [("a", START), ("b", START), ("c", at), ("d", at)]
    whole = gcz.container()[:START]
    huge = b"\x41" + pack_varint(1 << 20) * 64  # 64 axes
    return [
        ("3000 joined tensors of one value", file(zeros(numbered(3000)), index=[(str(i), START) for i in range(3000)]), "values", 0),
        ("joined names that grow", growing(2000), "values", MAX_NAMES),
        ("joined names that grow beyond their limit", growing(3000), "corrupt", 0),
        ("long joined names", long_names(130), "values", MAX_NAMES),
        ("long joined names beyond their limit", long_names(150), "corrupt", 0),
        ("an index of long names", index_of_one_name(900), "corrupt", 0),
        ("joined zeros", blocks_of_zeros(8, planes), "values", 8 * most),
        ("800 MiB of joined zeros", blocks_of_zeros(200, planes), "limit", 1 << 28),
        ("joined tensors of 2¹²⁸⁰ values", file(zeros(numbered(2), huge), index=[("0", START), ("1", START)]), "corrupt", 0),
        ("2⁶² joined tensors declared", file(gcz.join(PAIR, tensors=pack_varint(1 << 62)), index=right[:2]), "corrupt", 0),
        ("joined header of 16 MiB declared", whole + Frame(b"JOIN", 1 << 24, 0).pack(), "truncated", 0),
        ("joined body of 2⁶² − 1 bytes declared", joined_body(), "corrupt or truncated", 0),
        ("an index that is right", indexed(*right), "values", 0),
        ("an index without a joined tensor", indexed(*right[:3]), "corrupt", 0),
        ("an index with one more", indexed(*right, ("e", at)), "corrupt", 0),
        ("an index with a joined tensor in another block", indexed(right[0], ("b", at), *right[2:]), "corrupt", 0),
        ("an index into a block", indexed(*right[:2], ("c", at + 16), ("d", at + 16)), "corrupt", 0),
    ]  # fmt: skip


def joined_body() -> bytes:
    """A block whose frame declares far more bytes than the record in it has."""
    block = gcz.join(PAIR)
    frame = Frame.unpack(block[: Frame.SIZE])
    header = block[Frame.SIZE : Frame.SIZE + frame.header_length]
    return gcz.container()[:START] + pack_block(b"JOIN", header, (1 << 62) - 1)
