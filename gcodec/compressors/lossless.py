"""`lossless`: byte planes, each compressed with zstd where that helps. It is exact for every dtype.

The sign of a float is first moved from the highest bit to the lowest, so that one plane has whole
exponents. They are the only part of a gradient that has structure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import zstandard

from .. import dtypes
from ..errors import Corrupt
from ..source import Source
from .contract import CHUNK, CodedTensor, Compressor, Decode, Guarantee, Payload, Section, TensorSpec, UpperBound

LEVEL = 9
MAX_WINDOW, MAX_BLOCK = 1 << 27, 1 << 17


@dataclass(frozen=True)
class Lossless(Compressor):
    """The guarantee `exact` for every dtype, NaN payloads and signed zeros included."""

    kinds = ("exact",)

    @classmethod
    def work(cls, head: bytes, spec: TensorSpec) -> int:
        return spec.size * spec.dtype.itemsize // 2

    def encode(self, source: Source, guarantee: Guarantee) -> Payload:
        return Payload(b"", min(CHUNK, max(source.size, 1)), lambda start, stop: _pack(source.read(start, stop)))

    @classmethod
    def decoder(cls, head: bytes, spec: TensorSpec) -> Decode:
        if head:
            raise Corrupt("lossless: the head is not empty")
        return lambda data, start, count: _unpack(data, count, spec.dtype)

    @classmethod
    def upper_bound(cls, coded: CodedTensor) -> UpperBound:
        """Each chunk is at most its raw bytes and 4 bytes of length for each of its planes."""
        bits = 8.0 * coded.spec.dtype.itemsize * (coded.spec.size + 4 * len(coded.spans))
        return UpperBound(bits, "the raw bytes and their planes' lengths")

    @classmethod
    def sections(cls, coded: CodedTensor) -> Sequence[Section]:
        """The planes, from the lowest byte up; of a float the sign is the lowest bit."""
        planes = _word(coded.spec.dtype)[0].itemsize
        bits, lengths = [0.0] * planes, 0.0
        for start, stop in coded.spans:
            data, at = coded.payload.code(start, stop), 0
            plane = (stop - start) * coded.spec.dtype.itemsize // planes
            for i in range(planes):
                packed = int.from_bytes(data[at : at + 4], "little") or plane
                bits[i] += 8 * packed
                lengths += 32
                at += 4 + packed
        return [*(Section(f"plane {i}", bits[i]) for i in range(planes)), Section("lengths", lengths)]


def _word(dtype: np.dtype) -> tuple[np.dtype, bool]:
    """The unsigned integer for the bits of a number, and whether its top bit is a sign.

    Each of the two parts of a complex number has such an integer.
    """
    width = dtype.itemsize // (2 if dtype.kind == "c" else 1)
    return np.dtype(f"<u{width}"), dtypes.is_float(dtype) or dtype.kind == "c"


def _pack(values: np.ndarray) -> bytes:
    word, signed = _word(values.dtype)
    bits = np.ascontiguousarray(values).view(word)
    if signed:
        bits = (bits << 1) | (bits >> (8 * word.itemsize - 1))
    planes = bits.view(np.uint8).reshape(-1, word.itemsize)
    compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=False, write_content_size=True)
    out = []
    for i in range(word.itemsize):
        plane = planes[:, i].tobytes()
        packed = compressor.compress(plane)
        if len(packed) + 4 < len(plane):
            out += [len(packed).to_bytes(4, "little"), packed]
        else:
            out += [bytes(4), plane]
    return b"".join(out)


def _unpack(data: bytes, count: int, dtype: np.dtype) -> np.ndarray:
    word, signed = _word(dtype)
    length = count * dtype.itemsize // word.itemsize
    planes = np.empty((length, word.itemsize), np.uint8)
    at = 0
    for i in range(word.itemsize):
        size = int.from_bytes(data[at : at + 4], "little")
        piece = data[at + 4 : at + 4 + (size or length)]
        if at + 4 > len(data) or len(piece) != (size or length):
            raise Corrupt("lossless: a byte plane is cut short")
        planes[:, i] = np.frombuffer(_decompress(piece, length) if size else piece, np.uint8)
        at += 4 + len(piece)
    if at != len(data):
        raise Corrupt("lossless: bytes after the last plane")
    bits = planes.view(word).reshape(-1)
    if signed:
        bits = (bits >> 1) | (bits << (8 * word.itemsize - 1))
    if dtype == np.bool_ and bits.max(initial=0) > 1:
        raise Corrupt("lossless: a bool is neither 0 nor 1")
    return bits.view(dtype)


def _decompress(frame: bytes, length: int) -> bytes:
    """The content of one zstd frame.

    Raises Corrupt unless it follows spec/compressors/01-lossless.md.

    length: the bytes that the content must have.
    """
    try:
        frame_header = zstandard.get_frame_parameters(frame)
        if frame_header.content_size != length:
            raise Corrupt("lossless: a byte plane has the wrong length")
        if frame_header.has_checksum:
            raise Corrupt("lossless: a byte plane has a checksum of its own")
        if frame_header.window_size > MAX_WINDOW:  # zstd itself checks this only when it needs the window
            raise Corrupt("lossless: a byte plane has too large a window")
        _check_blocks(frame, zstandard.frame_header_size(frame), min(frame_header.window_size, MAX_BLOCK))
        return zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise Corrupt(f"lossless: {error}") from None


def _check_blocks(frame: bytes, at: int, most: int) -> None:
    """Raise Corrupt for a block of more than `most` bytes. The first block is at `at`.

    zstd itself checks only compressed blocks.
    """
    last = 0
    while not last:
        header = int.from_bytes(frame[at : at + 3], "little")
        last, repeated, size = header & 1, header >> 1 & 3 == 1, header >> 3
        if size > most:
            raise Corrupt("lossless: a block of a byte plane is too large")
        at += 3 + (1 if repeated else size)
        if at > len(frame):
            raise Corrupt("lossless: a byte plane ends within a block")
