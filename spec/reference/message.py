"""The reference decoder of messages: spec/message.md as a program, beside decode.py.

python message.py MANIFEST.json MESSAGE --raw DIR   writes the tensor number i to DIR/i.raw
"""

import argparse
import json
import math
import struct
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from decode import (
    COMPRESSORS,
    DTYPES,
    EXIT_STATUS,
    F32,
    F64,
    FormatError,
    Reader,
    check_crc,
    narrow,
    require,
    to_work,
)

NAMED = {dtype.name: dtype for dtype in DTYPES.values()}


def digest(manifest: list[list[Any]]) -> int:
    return zlib.crc32(json.dumps(manifest, ensure_ascii=False, separators=(",", ":")).encode())


def bfloat16(bits: int) -> float:
    value: float = struct.unpack("<f", struct.pack("<I", bits << 16))[0]
    return value


class Vector:
    """A parcel of the message, which begins where `file` is, for values of a dtype and a shape."""

    def __init__(self, file: Reader, dtype: Any, shape: list[int], guarantee: str) -> None:
        self.dtype, self.shape, self.size = dtype, tuple(shape), math.prod(shape)
        self.guarantee, self.chunks = guarantee, list[bytes]()
        self.method = file.varint()
        if self.method:
            require(0 <= bfloat16(file.unsigned(2)) < math.inf, "an error that is negative or not finite")
            self.chunk, head_length = file.varint(), file.varint()
            require(1 <= self.chunk <= 1 << 20 and head_length <= 1 << 26, "a chunk or a head beyond its range")
            lengths = [file.varint() for _ in range(-(-self.size // self.chunk))]
            require(max(lengths) <= 1 << 25, "a chunk of more than 2^25 bytes")
            self.head, self.chunks = file.bytes(head_length), [file.bytes(length) for length in lengths]

    def decode(self) -> list[float] | bytes:
        """Work values, or the bytes of a tensor that is exact."""
        if not self.method:
            return bytes(self.size * self.dtype.word * self.dtype.parts)
        key = self.method, 1
        require(key in COMPRESSORS, f"compressor {self.method}", "unsupported-feature")
        work = F64 if self.dtype == F64 else F32
        record = SimpleNamespace(
            dtype=self.dtype, work=work, shape=self.shape, size=self.size, chunk=self.chunk, compressor=key,
            guarantee=self.guarantee if self.guarantee in COMPRESSORS[key][0] else "exact",
        )  # fmt: skip
        payload, values = COMPRESSORS[key][1](record, self.head), list[Any]()
        for i, data in enumerate(self.chunks):
            start = i * self.chunk
            values.append(payload.decode(data, start, min(self.chunk, self.size - start)))
        if isinstance(values[0], bytes):
            return b"".join(values)
        return [value for part in values for value in part]


def numbers(data: bytes) -> list[float]:
    return list(struct.unpack(f"<{len(data) // 4}f", data))


def decode_message(data: bytes, manifest: list[list[Any]]) -> list[bytes]:
    """The tensors as bytes of their dtypes."""
    require(data[:3] == b"GCM", "the magic is wrong", "not-gcodec")
    require(data[3:4] <= b"\1", "a higher version", "unsupported-version")
    require(len(data) >= 8, "too short", "checksum")
    check_crc(data[:-4], int.from_bytes(data[-4:], "little"), "the message")
    require(data[3] == 1, "version 0")
    file = Reader(data[4:-4])
    require(file.unsigned(4) == digest(manifest), "a message of another manifest")
    file.varint()
    code = file.unsigned(1)
    require(code <= 4, "guarantee")
    kind = ("exact", "alpha", "omega", "pointwise", "alpha")[code]
    require(code == 0 or 0 < file.number("d") < (math.inf if kind == "omega" else 1), "a bound out of its range")
    tensors = [(NAMED[name], shape) for _, name, shape in manifest]
    filled = [i for i, (_, shape) in enumerate(tensors) if math.prod(shape)]
    joined = [i for i in filled if kind == "alpha" and tensors[i][0].kind == "float"]
    joined = [i for i in joined if tensors[i][0] != F64 and math.prod(tensors[i][1]) < 4096]
    scales = [bfloat16(file.unsigned(2)) for _ in joined]
    require(all(0 <= scale < math.inf and math.copysign(1, scale) > 0 for scale in scales), "a scale")
    found, alone = [b""] * len(tensors), [i for i in filled if i not in joined]
    vectors = []
    for i in alone:
        dtype, shape = tensors[i]
        coded = (F64 if dtype == F64 else F32) if kind == "alpha" and dtype.kind == "float" else dtype
        vectors.append(Vector(file, coded, shape, kind))
    sizes = [math.prod(tensors[i][1]) for i in joined]
    last = Vector(file, F32, [sum(sizes)], kind) if joined else None
    values_crc = file.unsigned(4)
    file.end()
    for i, vector in zip(alone, vectors, strict=True):
        values = vector.decode()
        if isinstance(values, bytes) and vector.dtype != tensors[i][0]:
            values = numbers(values)
        found[i] = values if isinstance(values, bytes) else narrow(values, tensors[i][0])
    if last:
        values, at = last.decode(), 0
        values = numbers(values) if isinstance(values, bytes) else numbers(narrow(values, F32))
        for i, size, scale in zip(joined, sizes, scales, strict=True):
            found[i] = narrow([to_work(value * scale, F32) for value in values[at : at + size]], tensors[i][0])
            at += size
    check_crc(b"".join(found), values_crc, "the values")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Decode a message of a channel to raw tensors.")
    parser.add_argument("manifest", type=Path)
    parser.add_argument("message", type=Path)
    parser.add_argument("--raw", type=Path, metavar="DIR", required=True, help="tensor i goes to DIR/i.raw")
    arguments = parser.parse_args()
    try:
        manifest = json.loads(arguments.manifest.read_text())
        arguments.raw.mkdir(parents=True, exist_ok=True)
        for i, data in enumerate(decode_message(arguments.message.read_bytes(), manifest)):
            (arguments.raw / f"{i}.raw").write_bytes(data)
    except (FormatError, OSError) as error:
        print(f"{arguments.message}: {error}", file=sys.stderr)
        return EXIT_STATUS.get(error.code, 3) if isinstance(error, FormatError) else 5
    return 0


if __name__ == "__main__":
    sys.exit(main())
