"""Vectors of messages of a channel (spec/message.md), good ones and bad ones."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from zlib import crc32

import ml_dtypes
import numpy as np
from gcz import Record, record, u32
from good import flat, matrix, normal, ternary

import gcodec
from gcodec.channel.decoding import crc_of
from gcodec.channel.manifest import Manifest
from gcodec.channel.message import WHOLE, Message, Parcel
from gcodec.compressors.contract import Guarantee
from gcodec.container.fields import Cursor

BF16 = np.dtype(ml_dtypes.bfloat16)
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """A message for tensors like these. error, cause: of a bad one, and a part of what we say."""

    name: str
    about: str
    arrays: Arrays
    data: Callable[[], bytes]
    error: str = ""
    cause: str = ""

    @property
    def path(self) -> str:
        return f"messages/{self.name}"

    @property
    def manifest(self) -> Manifest:
        return Manifest.of(self.arrays)


def sent(arrays: Arrays, method: str = "auto", times: int = 1, **options: object) -> bytes:
    """What a channel sends for the arrays, after it has sent them some times before."""
    channel = gcodec.Channel(arrays, method, **options)
    return [channel.encode(arrays) for _ in range(times)][-1]


def made(array: np.ndarray, found: Record, guarantee: Guarantee, error: float = 0.0) -> bytes:
    """The message of one tensor that is alone, with the payload of a record."""
    method, chunk = (Cursor(found.fields[name], "").varint() for name in ("compressor", "chunk"))
    parcel = Parcel(method, error, chunk, found.head, found.chunks)
    return Message(guarantee, 0, (parcel,), np.zeros(0, np.uint16), crc_of([array])).pack(Manifest.of({"x": array}))


EXAMPLE: Arrays = {"w": flat(3, -1, 0, 0.5)}
DOUBLE: Arrays = {"x": flat(3, -1, 0, 0.5, dtype=np.float64)}
MIXED: Arrays = {
    "weight": normal(12, 20), "Größe": normal(20, dtype=BF16, seed=2), "half": normal(7, dtype="f2", seed=3),
    "double": normal(9, dtype="f8", seed=4), "none": normal(0), "steps": np.array([5, -6]), "zero": np.zeros(3, "f4"),
}  # fmt: skip
PLAIN: Arrays = {name: MIXED[name] for name in ("half", "none", "steps")}
LOUD: Arrays = {"loud": 8 * normal(40, dtype="f8"), "quiet": 0.01 * normal(50, dtype="f8")}
LEVELS, CHUNKS = ternary(6000).reshape(60, 100), normal(30, 10, dtype="f2")


def good(name: str, about: str, arrays: Arrays, method: str = "auto", **options: object) -> Case:
    return Case(name, about, arrays, lambda: sent(arrays, method, **options))


GOOD = (
    good("example", "The worked example of spec/message.md.", EXAMPLE, "sd", alpha=0.1),
    good("no-tensors", "A message of no tensors.", {}, alpha=0.1),
    good("mixed", "Joined tensors of three dtypes, one that is zero, two alone and one without values.", MIXED, alpha=0.1),
    good("mixed-exact", "Tensors of three dtypes, exact, so that none is joined.", PLAIN, lossless=True),
    good("step-130", "A message after 130 others: its step takes two bytes.", EXAMPLE, "sd", times=131, alpha=0.1, feedback=False),
    good("joined-tcq", "Joined tensors by tcq.", {"a": normal(40), "b": normal(30, seed=5)}, "tcq", alpha=0.01),
    good("joined-quiet", "Joined tensors whose scales are the least and the largest.", {"a": flat(1e-44), "b": flat(3e38)}, "ecsq", alpha=0.1),
    good("double-ecsq", "A float64 tensor, which is alone though it is small.", DOUBLE, "ecsq", alpha=0.1),
    good("klt", "A matrix by klt.", {"w": matrix(72, 60)}, "klt", alpha=0.1),
    good("klt-bfloat16", "A bfloat16 matrix by klt: float32 values that are rounded at the end.", {"w": matrix(72, 60, BF16)}, "klt", alpha=0.2),
    good("ecsq-alone", "A matrix of 6,000 values by ecsq.", {"w": LEVELS}, "ecsq", alpha=0.3),
    good("zero-alone", "A matrix of zeros: its parcel is one byte.", {"w": np.zeros((64, 64), np.float32)}, "ecsq", alpha=0.3),
    good("whole", "One bound for all tensors: the quiet one is left out.", LOUD, "ecsq", alpha=0.2, scope="message"),
    good("omega", "An unbiased method.", DOUBLE, "rsd", omega=0.5, seed=3),
    good("pointwise", "Each value has a bound.", {"a": normal(30), "b": normal(20, dtype=BF16)}, pointwise=0.05),
    Case("chunks", "A parcel of three chunks.", {"x": CHUNKS}, lambda: made(CHUNKS, record("", CHUNKS, "lossless", chunk=110), Guarantee("exact"))),
)  # fmt: skip


@cache
def example() -> bytes:
    return sent(EXAMPLE, "sd", alpha=0.1)


def sealed(body: bytes) -> bytes:
    """A message of these bytes, whose crc agrees."""
    return body + u32(crc32(body))


def bad(name: str, about: str, cause: str, at: int = 0, new: bytes = b"", *, error: str = "corrupt", size: int | None = None) -> Case:  # fmt: skip
    """The example with other bytes at a place. size: how many are replaced, by default as many."""

    def data() -> bytes:
        body = example()[:-4]
        return sealed(body[:at] + new + body[at + (len(new) if size is None else size) :])

    return Case(name, about, EXAMPLE, data, error, cause)


def whole(name: str, about: str, cause: str, error: str, data: Callable[[], bytes]) -> Case:
    return Case(name, about, EXAMPLE, data, error, cause)


def bound(value: float, guarantee: int = 1) -> bytes:
    return bytes([guarantee]) + struct.pack("<d", value)


# Offsets are those of the table in spec/message.md §6.
BAD = (
    whole("bad-magic", "The first letter is small.", "GCM", "not-gcodec", lambda: b"g" + example()[1:]),
    whole("bad-crc", "The crc does not agree.", "damaged or cut", "checksum", lambda: example()[:-1] + b"\0"),
    whole("bad-cut", "The last byte is missing.", "damaged or cut", "checksum", lambda: example()[:-1]),
    whole("bad-short", "Seven bytes.", "damaged or cut", "checksum", lambda: example()[:7]),
    whole("bad-version-2-crc", "Version 2, and a crc that does not agree: the version is looked at first.", "version 2", "unsupported-version", lambda: b"GCM\2" + example()[4:]),
    bad("bad-version-2", "Version 2.", "version 2", 3, b"\2", error="unsupported-version"),
    bad("bad-version-0", "Version 0.", "version 0", 3, b"\0"),
    bad("bad-digest", "The digest of another manifest.", "other names", 4, b"\0"),
    bad("bad-step-long", "A step of more bytes than it needs.", "longer than it needs", 8, b"\x80\0", size=1),
    bad("bad-guarantee-5", "Guarantee 5.", "guarantee 5", 9, b"\5"),
    bad("bad-bound-0", "A bound of 0.", "bound", 9, bound(0.0)),
    bad("bad-bound-1", "An alpha of 1.", "bound", 9, bound(1.0)),
    bad("bad-bound-nan", "A bound that is NaN.", "bound", 9, bound(float("nan"))),
    bad("bad-bound-whole-1", "An alpha of 1 for all tensors together.", "bound", 9, bound(1.0, WHOLE)),
    bad("bad-omega-infinite", "An infinite omega.", "bound", 9, bound(float("inf"), 2)),
    bad("bad-scale-negative", "A scale of −0.", "a scale", 0x12, b"\0\x80"),
    bad("bad-scale-infinite", "An infinite scale.", "a scale", 0x12, b"\x80\x7f"),
    bad("bad-scale-nan", "A scale that is NaN.", "a scale", 0x12, b"\xc0\x7f"),
    bad("bad-compressor-99", "A parcel of the unknown compressor 99.", "99", 0x14, b"\x63", error="unsupported-feature"),
    bad("bad-error-negative", "A negative error.", "an error", 0x15, b"\xc8\xbc"),
    bad("bad-error-infinite", "An infinite error.", "an error", 0x15, b"\x80\x7f"),
    bad("bad-chunk-0", "Chunks of no values.", "chunks of a vector", 0x17, b"\0"),
    bad("bad-chunk-large", "A chunk of 2²⁰ + 1 values.", "above its limit", 0x17, b"\x81\x80\x40", size=1),
    bad("bad-head-large", "A head of 2²⁶ + 1 bytes.", "above its limit", 0x18, b"\x81\x80\x80\x20", size=1),
    bad("bad-chunk-long", "A chunk of 2²⁵ + 1 bytes.", "above its limit", 0x19, b"\x81\x80\x80\x10", size=1),
    bad("bad-parcel-cut", "A chunk that reaches beyond the message.", "beyond the end", 0x19, b"\x09"),
    bad("bad-parcel-missing", "The message ends before its parcel.", "beyond the end", 0x14, size=16),
    bad("bad-left-over", "A byte follows the crc of the values.", "left over", 0x24, b"\0", size=0),
    bad("bad-payload", "A head of three bytes, which sd does not have.", "a head of 3 bytes", 0x18, b"\x03\x02\x0a\xd8\x1f", size=6),
    bad("bad-values-crc", "The crc of the values does not agree.", "other values", 0x20, b"\0", error="checksum"),
    bad("bad-zero-values-crc", "A parcel of zeros, and the crc of other values.", "other values", 0x14, b"\0", size=12, error="checksum"),
)  # fmt: skip

MESSAGES = (*GOOD, *BAD)
