"""Vectors of small tensors that are joined in one block (spec/format.md §3.7)."""

from collections.abc import Callable

import numpy as np
from cases import Bad, Good
from gcz import Record, index_header, join, joined_index, joined_record, record, u32

from gcodec.container.fields import pack_text, pack_varint
from gcodec.container.layout import FileHeader, Footer, Frame, pack_block

HEADER = len(FileHeader().pack())


def small() -> dict[str, np.ndarray]:
    """Biases, norms and a scalar, whose names share much."""
    rng = np.random.default_rng(7)
    shapes = {"layer.0.bias": (5,), "layer.1.bias": (5,), "layer.10.norm": (2, 3), "Größe": (), "": (1, 1)}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def file(*blocks: Record | dict[str, np.ndarray] | bytes, index: bytes | None = None) -> bytes:
    """A file of records, joined tensors and blocks made by hand. index: another than JIDX."""
    data, entries = FileHeader().pack(), []
    for block in blocks:
        names = [] if isinstance(block, bytes) else list(block) if isinstance(block, dict) else ["a"]
        entries += [(name, len(data)) for name in names]
        packed = join(block) if isinstance(block, dict) else block.pack() if isinstance(block, Record) else block
        data += packed
    return data + (joined_index(entries) if index is None else index) + Footer(len(data)).pack()


def apart() -> bytes:
    """Two blocks, of other dtypes, and a record between them."""
    counts = {f"n{i}": np.array(i, np.int64) for i in range(3)}
    return file(small(), record("a", np.arange(4, dtype=np.float32), "sd", 0.1), counts)


def made(arrays: dict[str, np.ndarray], record: Record | None = None, **fields: bytes) -> list[bytes]:
    """A block that is made by hand."""
    return [join(arrays, record, **fields)]


def fault(name: str, about: str, message: str, data: Callable[[], bytes], error: str = "corrupt") -> Bad:
    return Bad(f"joined-{name}", about, message, data, error)


def wrong(name: str, about: str, message: str, error: str = "corrupt", **fields: bytes) -> Bad:
    """A fault in the header of a block of the tensors `a` and `b`, of two values each."""
    return fault(name, about, message, lambda: file(*made(PAIR, **fields), index=joined_index(TWO)), error)


def holding(record: Callable[[], Record]) -> Callable[[], bytes]:
    """The tensors with another record of all their values."""
    return lambda: file(*made(PAIR, record()), index=joined_index(TWO))


def tensors(*parts: bytes) -> bytes:
    return pack_varint(len(parts)) + b"".join(parts)


def own(name: bytes, first: int = 0, last: int = 0, shape: bytes = b"\x02\x02") -> bytes:
    """A tensor of the header: what its name shares, and its shape."""
    return bytes((first, last, len(name))) + name + shape


PAIR = {"a": np.array([1, 2], np.float32), "b": np.array([3, 4], np.float32)}
TWO = [("a", HEADER), ("b", HEADER)]
A, B = own(b"a"), own(b"b")


def two_chunks() -> Record:
    return record("", np.arange(4, dtype=np.float32), "lossless").but(
        chunk=b"\x02", table=2 * (pack_varint(1) + u32(0) + u32(0))
    )


def plain_index() -> bytes:
    return pack_block(b"INDX", index_header([(pack_text(name), offset) for name, offset in TWO]))


def longer() -> bytes:
    (block,) = made(PAIR)
    frame = Frame.unpack(block[: Frame.SIZE])
    header = block[Frame.SIZE : Frame.SIZE + frame.header_length]
    body = block[Frame.SIZE + frame.header_length + 4 :] + b"x"
    return file(pack_block(b"JOIN", header, len(body)) + body, index=joined_index(TWO))


GOOD_JOINED = (
    Good("joined", "Five tensors that are joined: names share their ends; one is empty, one is not ASCII.", lambda: file(small())),
    Good("joined-and-others", "Joined tensors of two dtypes, and a record between them.", apart),
    Good("joined-bfloat16", "Joined tensors of bfloat16.",
         lambda: file({f"w{i}": np.array([i, 0.5]).astype("bfloat16") for i in range(4)})),
    Good("joined-empty-attributes", "The record of all values has the attributes {}.",
         lambda: file(*made(PAIR, joined_record(PAIR).but(attributes=pack_text("{}"))), index=joined_index(TWO))),
)  # fmt: skip
BAD_JOINED: tuple[Bad, ...] = (
    fault("record-named", "The record of all values has a name.", "without name", holding(lambda: joined_record(PAIR).but(name=pack_text("x")))),
    fault("record-attributes", "The record of all values has attributes.", "without name", holding(lambda: joined_record(PAIR).but(attributes=pack_text('{"x":1}')))),
    fault("record-matrix", "The record of all values is a matrix.", "without name", holding(lambda: joined_record(PAIR).but(ndim=b"\2", dims=b"\2\2"))),
    fault("record-of-a-bound", "The record of all values has a bound.", "without name",
          holding(lambda: record("", np.arange(1, 5, dtype=np.float32), "sd", 0.1))),
    fault("record-of-two-chunks", "The record of all values has two chunks.", "without name",
          holding(lambda: two_chunks())),
    wrong("one", "A block of one tensor.", "two or more", tensors=tensors(own(b"a", shape=b"\x02\x04"))),
    wrong("none", "A block of no tensor.", "two or more", tensors=tensors()),
    wrong("too-many", "The block declares more than 65536 tensors.", "above its limit", tensors=pack_varint((1 << 16) + 1) + A + B),
    wrong("name-twice", "Two joined tensors have one name.", "a name stands twice", tensors=tensors(A, A)),
    wrong("name-shares-too-much", "A name shares three bytes of a name that has one.", "above its limit", tensors=tensors(A, own(b"b", 3))),
    wrong("name-overlaps", "The first and the last bytes that a name shares overlap.", "shares more bytes", tensors=tensors(A, own(b"b", 1, 1))),
    wrong("name-not-utf-8", "A name is not UTF-8.", "not valid UTF-8", tensors=tensors(A, own(b"\xff"))),
    wrong("shape-missing", "The first tensor has the shape of the one before.", "shape of one before", tensors=tensors(own(b"a", shape=b"\0"), B)),
    wrong("no-values", "A joined tensor has no values.", "do not have as many", tensors=tensors(own(b"a", shape=b"\x02\0"), own(b"b", shape=b"\x02\4"))),
    wrong("too-few-values", "The tensors have fewer values than the record.", "fewer values", tensors=tensors(A, own(b"b", shape=b"\x02\1"))),
    wrong("too-many-values", "The tensors have more values than the record.", "do not have as many", tensors=tensors(A, own(b"b", shape=b"\x02\3"))),
    wrong("crcs-cut", "The header ends within the crcs.", "beyond the end", crcs=bytes(7)),
    wrong("left-over", "A byte follows the crcs.", "left over", crcs=bytes(9)),
    wrong("crc", "The crc of a tensor's values does not agree.", "other values", "checksum", crcs=u32(0) + u32(1)),
    fault("index-plain", "Joined tensors and the block INDX.", "no room", lambda: file(*made(PAIR), index=plain_index())),
    fault("index-without-joined", "The block JIDX, and no joined tensors.", "there are none",
          lambda: file(record("a", np.arange(4, dtype=np.float32), "lossless"))),
    fault("index-name", "The index has another name.", "does not agree", lambda: file(*made(PAIR), index=joined_index([TWO[0], ("c", HEADER)]))),
    fault("index-order", "The index has the names in another order.", "does not agree", lambda: file(*made(PAIR), index=joined_index(TWO[::-1]))),
    fault("twice", "A joined tensor has the name of a record.", "stands twice", lambda: file(PAIR, record("a", np.ones(2, np.float32), "lossless"))),
    fault("body-length", "The body is longer than that of the record.", "body's length", longer),
)  # fmt: skip
