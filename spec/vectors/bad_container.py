"""Bad files whose fault is in the container: each rule of spec/format.md that bytes can break."""

from collections.abc import Callable
from dataclasses import replace
from zlib import crc32

from cases import Bad
from gcz import container, ending, f64, index_header, record, u32
from good import flat, meta, normal

from gcodec.container.fields import pack_text, pack_varint
from gcodec.container.layout import MAGIC, FileHeader, Footer, Frame, pack_block

Make = Callable[[], bytes]


A, B = pack_text("a"), pack_text("b")


def plain():
    """The record that most of these files hold."""
    return record("a", flat(3, -1, 0, 0.5), "sd", 0.1)


def exact():
    return record("a", flat(3, -1, 0, 0.5), "lossless")


def start(major: int = 1, minor: int = 0, required: int = 0, ignorable: int = 0) -> bytes:
    data = MAGIC + bytes((major, minor, required, ignorable))
    return data + u32(crc32(data))


def flipped(data: bytes, at: int, bit: int = 0) -> bytes:
    at %= len(data)
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def field(name: str, about: str, message: str, error: str = "corrupt", /, **fields: bytes) -> Bad:
    """A record of sd with other header fields."""
    return Bad(f"record-{name}", about, message, lambda: container(plain().but(**fields)), error)


def fault(name: str, about: str, message: str, make: Make, error: str = "corrupt") -> Bad:
    return Bad(name, about, message, make, error)


HEADER = (
    fault("magic-wrong", "Another first byte.", "magic", lambda: container(start=flipped(start(), 0)), "not-gcodec"),
    fault("magic-line-ends", "A transfer turned \\r\\n into \\n.", "magic", lambda: container().replace(b"\r\n", b"\n"), "not-gcodec"),
    fault("magic-short-and-wrong", "Fewer bytes than a header has, and not those of a magic.", "magic", lambda: b"\x89GCX", "not-gcodec"),
    fault("header-crc", "The file header's crc does not agree.", "file header", lambda: container(start=flipped(start(), 12)), "checksum"),
    fault("header-minor-damaged", "The minor version was changed, the crc not.", "file header", lambda: container(start=flipped(start(), 9)), "checksum"),
    fault("header-major-0", "Major version 0, which never was.", "does not exist", lambda: container(start=start(major=0))),
    fault("empty", "A file of no bytes.", "ends at byte 0", lambda: b"", "truncated"),
    fault("header-cut", "The first 11 bytes of a file.", "ends at byte 11", lambda: container()[:11], "truncated"),
)  # fmt: skip

BLOCKS = (
    fault("block-type-digit", "A block type with a digit in it.", "four letters", lambda: container(pack_block(b"ab1c", b""))),
    fault("block-type-high-byte", "A block type with a byte above 127.", "four letters", lambda: container(pack_block(b"ab\xe9c", b""))),
    fault("block-header-crc", "The crc of a block's header does not agree.", "block TENS",
          lambda: container(plain().pack()[:54] + flipped(plain().pack()[54:], 1) ), "checksum"),
    fault("block-upper-case-crc", "A block of an unknown upper-case type, whose crc does not agree: the crc is looked at first.", "block NEWS",
          lambda: container(flipped(pack_block(b"NEWS", b"x"), -1)), "checksum"),
    fault("block-header-too-long", "A header longer than 2²⁴ bytes is declared.", "more bytes than",
          lambda: container() [:16] + Frame(b"skip", 2**24 + 1, 0).pack()),
    fault("block-body-too-long", "A body of 2⁶² bytes is declared.", "more bytes than", lambda: container(pack_block(b"skip", b"", 2**62))),
    fault("block-body-beyond-end", "The body of a block to be skipped reaches beyond the end of the file.", "ends at byte",
          lambda: container(pack_block(b"skip", b"", 2**62 - 1)), "truncated"),
    fault("meta-second", "META is the second block.", "not the first", lambda: container(plain(), meta(format="npy"))),
    fault("meta-after-skippable", "META after a block to be skipped.", "not the first", lambda: container(pack_block(b"skip", b""), meta(format="npy"))),
    fault("meta-twice", "Two META blocks.", "not the first", lambda: container(meta(format="npy"), meta(format="npy"))),
    fault("meta-body", "META with a body.", "has a body", lambda: container(pack_block(b"META", b"{}", 3) + b"abc")),
    fault("meta-array", "META is JSON, but an array.", "not an object", lambda: container(pack_block(b"META", b"[]"))),
    fault("meta-not-json", "META ends within its JSON.", "not a JSON object", lambda: container(pack_block(b"META", b'{"format":"npy"'))),
    fault("meta-not-utf-8", "A string of META is not UTF-8.", "not a JSON object", lambda: container(pack_block(b"META", b'{"x":"\xff"}'))),
    fault("meta-equal-keys", "A key stands twice in META.", "stands twice", lambda: container(pack_block(b"META", b'{"x":1,"x":1}'))),
    fault("meta-equal-keys-inside", "A key stands twice in an object inside META.", "stands twice", lambda: container(pack_block(b"META", b'{"y":[{"x":1,"x":1}]}'))),
    fault("meta-nan", "META holds NaN.", "not a JSON number", lambda: container(pack_block(b"META", b'{"x":NaN}'))),
    fault("meta-infinity", "META holds -Infinity.", "not a JSON number", lambda: container(pack_block(b"META", b'{"x":-Infinity}'))),
    fault("meta-nested", "META holds arrays in arrays, 64 of them.", "nested deeper", lambda: container(pack_block(b"META", b'{"x":' + b"[" * 64 + b"]" * 64 + b"}"))),
    fault("meta-integer-long", "META holds an integer of 301 digits.", "more than 300 characters", lambda: container(pack_block(b"META", b'{"x":' + b"9" * 301 + b"}"))),
    fault("meta-byte-order-mark", "META begins with a byte order mark.", "not a JSON object", lambda: container(pack_block(b"META", b'\xef\xbb\xbf{"x":1}'))),
    fault("meta-blank", "META is a blank, which is no JSON; only no bytes at all stand for an empty object.", "not a JSON object", lambda: container(pack_block(b"META", b" "))),
    fault("meta-surrogate", "A string of META is half of a surrogate pair.", "not a JSON object", lambda: container(pack_block(b"META", b'{"x":"\\ud800"}'))),
    fault("meta-format-number", "META.format is a number.", "another type", lambda: container(meta(format=1))),
    fault("meta-names-string", "META.names is a string.", "another type", lambda: container(meta(names="a"))),
    fault("meta-names-of-numbers", "META.names holds a number.", "another type", lambda: container(meta(names=["a", 1]))),
    fault("meta-bytes-negative", "META.bytes is negative.", "another type", lambda: container(meta(bytes=-1))),
    fault("meta-bytes-fraction", "META.bytes is not an integer.", "another type", lambda: container(meta(bytes=1.5))),
    fault("meta-scope-without-norm2", "META.scope has no norm2.", "another type", lambda: container(meta(scope={"alpha": 0.1}))),
    fault("meta-scope-without-alpha", "META.scope has no alpha.", "another type", lambda: container(meta(scope={"norm2": {}}))),
    fault("meta-scope-norm2-negative", "A norm of META.scope is negative.", "another type", lambda: container(meta(scope={"alpha": 0.1, "norm2": {"a": -1}}))),
    fault("meta-scope-norm2-string", "A norm of META.scope is a string.", "another type", lambda: container(meta(scope={"alpha": 0.1, "norm2": {"a": "1"}}))),
)  # fmt: skip

WIDE = pack_varint(2**24) + pack_varint(2**24)  # 2⁴⁸ values
RECORDS = (
    field("name-not-utf-8", "The name is not UTF-8.", "UTF-8", name=b"\x01\xff"),
    field("name-surrogate", "The name holds a surrogate, which UTF-8 does not allow.", "UTF-8", name=b"\x03\xed\xa0\x80"),
    field("varint-too-long", "The dtype is a varint of more bytes than it needs.", "longer than it needs", dtype=b"\x83\x00"),
    field("varint-above-64-bits", "A dimension of 2⁶⁴.", "above its limit", dims=b"\x80" * 9 + b"\x02"),
    field("ndim-65", "65 dimensions.", "above its limit", ndim=b"\x41", dims=b"\x04" + b"\x01" * 64),
    field("2-48-values", "A shape of 2⁴⁸ values.", "too many values", ndim=b"\x02", dims=WIDE),
    field("2-48-beside-zero", "A dimension of 0 beside others whose product is 2⁴⁸.", "too many values", ndim=b"\x03", dims=WIDE + b"\0"),
    field("shape-beyond-table", "A shape that needs more chunks than the table has.", "chunk table", dims=pack_varint(2**40)),
    field("attributes-array", "The attributes are a JSON array.", "not an object", attributes=pack_text("[1]")),
    field("attributes-cut", "The attributes end within their JSON.", "not a JSON object", attributes=pack_text('{"a":')),
    field("attributes-equal-keys", "A key stands twice in the attributes.", "stands twice", attributes=pack_text('{"a":1,"a":2}')),
    field("attributes-nested", "The attributes hold arrays in arrays, 64 of them.", "nested deeper", attributes=pack_text('{"x":' + "[" * 64 + "]" * 64 + "}")),
    field("attributes-integer-long", "The attributes hold an integer of 301 characters, a sign and 300 digits.", "more than 300 characters", attributes=pack_text('{"x":-' + "9" * 300 + "}")),
    field("guarantee-4", "A guarantee of code 4.", "guarantee 4", guarantee=b"\x04"),
    field("guarantee-not-of-method", "sd with the guarantee omega, which it does not give.", "cannot guarantee omega", guarantee=b"\x02", expected=f64(0.05)),
    field("guarantee-exact-of-sd", "sd with the guarantee exact, which it does not give.", "cannot guarantee exact", guarantee=b"\x00", bound=b"", distortion=b""),
    field("bound-0", "A bound of 0.", "not in its range", bound=f64(0)),
    field("bound-negative", "A negative bound.", "not in its range", bound=f64(-0.1)),
    field("bound-nan", "A bound that is NaN.", "not in its range", bound=f64(float("nan"))),
    field("alpha-1", "An alpha of 1.", "not in its range", bound=f64(1)),
    field("pointwise-1", "A pointwise bound of 1.", "not in its range", guarantee=b"\x03", bound=f64(1)),
    field("distortion-negative", "A negative distortion.", "not in its range", distortion=f64(-1e-9)),
    field("distortion-infinite", "An infinite distortion.", "not in its range", distortion=f64(float("inf"))),
    fault("record-expected-nan", "An expected distortion that is NaN.", "not in its range",
          lambda: container(record("a", normal(4), "rsd", 0.5).but(expected=f64(float("nan"))))),
    fault("record-omega-infinite", "An infinite omega.", "not in its range",
          lambda: container(record("a", normal(4), "rsd", 0.5).but(bound=f64(float("inf"))))),
    field("chunk-0", "Chunks of 0 values.", "chunks of no values", chunk=b"\0"),
    field("chunk-above-2-20", "Chunks of 2²⁰ + 1 values.", "above its limit", chunk=pack_varint(2**20 + 1)),
    field("head-above-2-26", "A head longer than 2²⁶ bytes is declared.", "above its limit", head_length=pack_varint(2**26 + 1)),
    fault("record-chunk-above-2-25", "A coded chunk longer than 2²⁵ bytes is declared.", "above its limit",
          lambda: container(plain().but(table=pack_varint(2**25 + 1) + plain().fields["table"][1:]))),
    field("table-short", "The chunk table ends within its only line.", "beyond the end", table=plain().fields["table"][:-1]),
    fault("record-dtype-crc", "A record of the unknown dtype 15, in a header whose crc does not agree: the crc is looked at first.", "block TENS",
          lambda: container(with_wrong_crc(plain().but(dtype=b"\x0F"))), "checksum"),
    field("table-left-over", "A byte follows the chunk table.", "left over", table=plain().fields["table"] + b"\0"),
    fault("record-body-length", "The body's length is not the sum of head and chunks.", "body's length", lambda: container(longer_body())),
    field("head-crc", "The head's crc does not agree.", "head", "checksum", head_crc=flipped(plain().fields["head_crc"], 0)),
    fault("record-chunk-crc", "The crc of a chunk's coded bytes does not agree.", "chunk 0", lambda: container(replace(plain(), chunks=(flipped(plain().chunks[0], 0),))), "checksum"),
    fault("record-decoded-crc", "The crc of the decoded values does not agree: a decoder that computes something else.", "other values",
          lambda: container(replace(plain(), decoded=(1,)).holding()), "checksum"),
    fault("record-second-chunk-crc", "The crc of the second chunk's coded bytes does not agree; the first is good.", "chunk 1", lambda: container(second_damaged()), "checksum"),
    fault("record-sd-of-int32", "sd of a dtype that is not floating.", "not possible for int32", lambda: container(plain().but(dtype=b"\x12"))),
    fault("record-empty-with-chunk", "A tensor without values that has a chunk.", "left over", lambda: container(exact().but(dims=b"\0"))),
    fault("record-empty-of-sd", "A tensor without values that is not lossless.", "does not store",
          lambda: container(replace(plain().but(dims=b"\0"), decoded=()).holding(chunks=()))),
    fault("record-name-too-long", "A name longer than 2¹⁶ − 1 bytes is declared.", "above its limit", lambda: container(plain().but(name=b"\x80\x80\x04").pack())),
    fault("record-cut", "The file ends within a chunk.", "ends at byte", lambda: container(plain())[:-52], "truncated"),
)  # fmt: skip


def with_wrong_crc(record) -> bytes:
    """The block of a record whose header's crc does not agree."""
    header = 16 + len(b"".join(record.fields.values()))
    return flipped(record.pack(), header)


def longer_body() -> bytes:
    return plain().pack(body_length=len(plain().head) + len(plain().chunks[0]) + 1) + b"\0"


def second_damaged():
    base = record("a", normal(8), "sd", 0.1, chunk=4)
    return replace(base, chunks=(base.chunks[0], flipped(base.chunks[1], 0)))


def indexed(**parts: object) -> Make:
    return lambda: container(plain(), **parts)


def two_of_one_name() -> bytes:
    return container(plain(), record("a", flat(1, 2), "lossless"))


def second_index() -> bytes:
    data = FileHeader().pack() + plain().pack()
    first = pack_block(b"INDX", index_header([(A, 16)]))
    return data + first + ending([(A, 16)], len(data) + len(first))


INDEX = (
    fault("index-name", "The index names another record.", "does not agree", indexed(index=index_header([(B, 16)]))),
    fault("index-offset", "The index has another offset.", "does not agree", indexed(index=index_header([(A, 17)]))),
    fault("index-missing-entry", "The index has no entry.", "does not agree", indexed(index=index_header([]))),
    fault("index-of-too-many", "The index has an entry of a record that is not there, nor has room.", "no room", indexed(index=index_header([(A, 16), (B, 60)]))),
    fault("index-order", "The index has the names in another order.", "does not agree",
          lambda: container(plain(), replace_name("b"), index=index_header([(B, 16), (A, 16 + len(plain().pack()))]))),
    fault("index-name-twice", "Two records have the same name.", "stands twice", two_of_one_name),
    fault("index-left-over", "A byte follows the entries of the index.", "left over", indexed(index=index_header([(A, 16)]) + b"\0")),
    fault("index-cut", "The index ends within an entry.", "beyond the end", indexed(index=index_header([(A, 16)])[:-1])),
    fault("index-count", "The index declares more entries than it has bytes.", "above its limit", indexed(index=pack_varint(2**40) + index_header([(A, 16)])[1:])),
    fault("index-crc", "The crc of the index does not agree.", "block INDX", indexed(index_block=flipped(pack_block(b"INDX", index_header([(A, 16)])), -1)), "checksum"),
    fault("index-body", "The index has a body.", "has a body", indexed(index_block=pack_block(b"INDX", index_header([(A, 16)]), 1) + b"x")),
    fault("index-twice", "A second INDX block.", "end magic", second_index),
    fault("index-needed-for-none", "A file of no record without an index.", "no index", lambda: container(index_block=b"")),
    fault("index-needed-for-two", "A file of two records without an index.", "no index",
          lambda: container(plain(), replace_name("b"), index_block=b"", footer=Footer(16).pack())),
    fault("index-needed-after-fill", "A block stands between the only record and the footer.", "no index",
          lambda: container(plain(), pack_block(b"fill", b""), index_block=b"", footer=Footer(16).pack())),
    fault("footer-missing", "The file ends with the record.", "ends at byte", indexed(footer=b""), "truncated"),
    fault("footer-cut", "The file lacks its last byte.", "ends at byte", lambda: container(plain())[:-1], "truncated"),
    fault("footer-crc", "The footer's crc does not agree.", "footer", lambda: flipped(container(plain()), -8), "checksum"),
    fault("footer-end-magic", "Another end magic, after an index.", "end magic", lambda: flipped(container(), -1)),
    fault("footer-offset", "The footer points to the record, and there is an index.", "does not point", indexed(index=index_header([(A, 16)]), footer=Footer(16).pack())),
    fault("footer-offset-of-record", "The footer does not point to the only record.", "does not point", indexed(footer=Footer(17).pack())),
    fault("footer-trailing-byte", "A byte follows the footer.", "after the end", indexed(tail=b"\0")),
    fault("footer-trailing-file", "A second file follows the first.", "after the end", indexed(tail=container())),
)  # fmt: skip


def replace_name(name: str):
    return plain().but(name=pack_text(name))


BAD_CONTAINERS: tuple[Bad, ...] = HEADER + BLOCKS + RECORDS + INDEX
