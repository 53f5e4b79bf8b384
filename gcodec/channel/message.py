"""The bytes of a message (spec/message.md)."""

import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..compressors.contract import CHUNK, Guarantee
from ..container.fields import Cursor, crc32, pack_varint
from ..container.layout import MAX_CODED_CHUNK, MAX_HEAD
from ..errors import ChecksumMismatch, Corrupt, InvalidInput, NotGcodec, UnsupportedVersion
from .manifest import Manifest

MAGIC = b"GCM"
VERSION = 1
PROMISES = ("exact", "alpha", "omega", "pointwise")  # the guarantees of messages, by their code
WHOLE = 4  # the code of an alpha of all tensors together
_INFINITE = 0x7F80  # bits of a bfloat16
ZERO = 0  # in the place of a compressor's id: all values are zero


@dataclass(frozen=True)
class Parcel:
    """A coded vector.

    method: the id of its compressor, or ZERO. error: ‖x̂ − x‖²/‖x‖²; for omega its expectation, and
    for pointwise the largest |x̂ᵢ − xᵢ|/|xᵢ|; of joined tensors the largest one. chunk: values of a
    chunk.
    """

    method: int
    error: float = 0.0
    chunk: int = 0
    head: bytes = b""
    chunks: tuple[bytes, ...] = ()

    def pack(self) -> bytes:
        if self.method == ZERO:
            return pack_varint(ZERO)
        parts = [pack_varint(self.method), _rounded_up(self.error), pack_varint(self.chunk)]
        parts += [pack_varint(len(data)) for data in (self.head, *self.chunks)]
        return b"".join((*parts, self.head, *self.chunks))

    @classmethod
    def unpack(cls, cursor: Cursor, size: int) -> "Parcel":
        """size: values of the vector."""
        method = cursor.varint()
        if method == ZERO:
            return cls(ZERO)
        error = bfloat16(int.from_bytes(cursor.take(2), "little"))
        if not 0 <= error < math.inf:
            raise Corrupt("message: an error is not a number of at least 0")
        chunk = cursor.varint(CHUNK)
        count = -(-size // chunk) if chunk else 0
        if not 0 < count <= cursor.left:
            raise Corrupt("message: the chunks of a vector are too many, or have no values")
        lengths = [cursor.varint(MAX_HEAD), *(cursor.varint(MAX_CODED_CHUNK) for _ in range(count))]
        head, *chunks = [cursor.take(length) for length in lengths]
        return cls(method, error, chunk, head, tuple(chunks))


@dataclass(frozen=True)
class Message:
    """guarantee: of every floating tensor. step: how many messages came before it.

    parcels: those of the tensors that are alone, and then that of the joined ones, if there are
    any. scales: of the joined ones, the bits of the bfloat16 that each is multiplied with, uint16.
    values: the crc of the decoded tensors, one after the other. whole: whether the bound is that of
    all tensors together.
    """

    guarantee: Guarantee
    step: int
    parcels: tuple[Parcel, ...]
    scales: np.ndarray
    values: int
    whole: bool = False

    def pack(self, manifest: Manifest) -> bytes:
        kind, bound = self.guarantee.kind, self.guarantee.bound
        parts = [MAGIC, bytes([VERSION]), struct.pack("<I", manifest.digest), pack_varint(self.step)]
        parts += [
            bytes([WHOLE if self.whole else PROMISES.index(kind)]),
            b"" if kind == "exact" else struct.pack("<d", bound),
        ]
        parts += [self.scales.astype("<u2").tobytes(), *(parcel.pack() for parcel in self.parcels)]
        data = b"".join((*parts, struct.pack("<I", self.values)))
        return data + struct.pack("<I", crc32(data))

    @classmethod
    def unpack(cls, data: bytes, manifest: Manifest) -> "Message":
        """Raises an error of the FormatError family."""
        cursor = Cursor(_checked(data), "message")
        cursor.take(4)
        if cursor.u32() != manifest.digest:
            raise Corrupt("message: it is for tensors of other names, shapes or dtypes than this channel has")
        step, (guarantee, whole) = cursor.varint(), _guarantee(cursor)
        sizes = [manifest.specs[i].size for i in manifest.alone(guarantee.kind)]
        small = manifest.joined(guarantee.kind)
        scales = np.frombuffer(cursor.take(2 * len(small)), "<u2").astype(np.uint16)
        if np.any(scales >= _INFINITE):
            raise Corrupt("message: a scale is negative or not finite")
        if small:
            sizes.append(sum(manifest.specs[i].size for i in small))
        parcels = tuple(Parcel.unpack(cursor, size) for size in sizes)
        values = cursor.u32()
        cursor.end()
        return cls(guarantee, step, parcels, scales, values, whole)


def bytes_of(data: Any) -> bytes:
    """The bytes that an object holds. Raises InvalidInput for one that holds none."""
    try:
        return bytes(memoryview(data))
    except TypeError:
        raise InvalidInput(f"a message must be bytes, not {type(data).__name__}") from None


def _checked(data: bytes) -> bytes:
    """The bytes before the crc at the end, which agrees."""
    if data[:3] != MAGIC:
        raise NotGcodec("this is not a message of a channel: it does not start with GCM")
    if data[3:4] > bytes([VERSION]):
        raise UnsupportedVersion(f"message version {data[3]}; this gcodec reads version {VERSION}: update gcodec")
    if len(data) < 8 or crc32(data[:-4]) != int.from_bytes(data[-4:], "little"):
        raise ChecksumMismatch("message: the checksum does not agree; the bytes were damaged or cut")
    if data[3] != VERSION:
        raise Corrupt("message: version 0 does not exist")
    return data[:-4]


def _guarantee(cursor: Cursor) -> tuple[Guarantee, bool]:
    """(the guarantee, whether it is that of all tensors together)."""
    code = cursor.u8()
    if code > WHOLE:
        raise Corrupt(f"message: guarantee {code} is unknown")
    kind = "alpha" if code == WHOLE else PROMISES[code]
    if kind == "exact":
        return Guarantee("exact"), False
    bound = cursor.f64()
    if not 0 < bound < (math.inf if kind == "omega" else 1):
        raise Corrupt("message: a bound is not in its range")
    return Guarantee(kind, bound), code == WHOLE


def _rounded_up(value: float) -> bytes:
    """The bits of the smallest bfloat16 that is not below a value of at least 0."""
    bits = int(np.float32(value).view(np.uint32)) >> 16
    while bfloat16(bits) < value:
        bits += 1
    return bits.to_bytes(2, "little")


def bfloat16(bits: int) -> float:
    """The number with these 16 bits."""
    return float(np.uint32(bits << 16).view(np.float32))
