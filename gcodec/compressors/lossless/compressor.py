"""`lossless`: byte planes, each coded as suits it. It is exact for every dtype.

The sign of a float is first moved from the highest bit to the lowest, so that one plane has whole
exponents. They are the only part of a gradient that has structure. A tensor of few distinct values
is one plane of indices into its palette.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ... import dtypes
from ...errors import Corrupt
from ...kernels import planes as kernels
from ...source import Source
from ..contract import CHUNK, CodedTensor, Compressor, Decode, Guarantee, Payload, Plan, Section, TensorSpec, UpperBound
from . import frames
from .palette import Palette, words_of
from .planes import decode_plane, encode_plane, extent

_SMALL = 1 << 16  # values of a tensor whose planes are looked at as a whole
_PIECES, _PIECE = 4, 1 << 12  # pieces of a larger one, and values of each
_LEAST, _MOST = 0.5, 2.0  # what all take at least and at most, as multiples of what the pieces foretell
_INDICES = 1.03  # times their entropy: the most bits that indices into a palette take, beside _FEW_BITS
_FEW_BITS = 2048.0
_FEW, _OFTEN = 16, 16  # a tensor of up to so many distinct values, met so often each, is kept as it is
_CLOSE = 1.05  # times the bits of another method: what an exact copy of a tensor of more values is worth


@dataclass(frozen=True)
class Lossless(Compressor):
    """The guarantee `exact` for every dtype, NaN payloads and signed zeros included."""

    kinds = ("exact",)

    @classmethod
    def work(cls, head: bytes, spec: TensorSpec) -> int:
        return spec.size * spec.dtype.itemsize // 2

    def encode(self, source: Source, guarantee: Guarantee) -> Payload:
        palette = Palette.of(source, _word(source.dtype)[0])
        return self._of_palette(source, palette) if palette else self._of_planes(source)

    def _of_planes(self, source: Source) -> Payload:
        return Payload(b"", min(CHUNK, max(source.size, 1)), lambda start, stop: _pack(source.read(start, stop)))

    def _of_palette(self, source: Source, palette: Palette) -> Payload:
        """The payload by the palette; that by planes for a tensor of one chunk if it is shorter."""

        def code(start: int, stop: int) -> bytes:
            words = np.ascontiguousarray(source.read(start, stop)).view(palette.words.dtype)
            return b"".join(encode_plane(palette.indices(words), few=True))

        indices, planes = Payload(palette.head(), min(CHUNK, source.size), code), self._of_planes(source)
        if source.size > CHUNK:
            return indices
        sizes = (len(each.head) + len(each.code(0, source.size)) for each in (planes, indices))
        return min(zip(sizes, (planes, indices), strict=True), key=lambda one: one[0])[1]

    def plan(self, source: Source, guarantee: Guarantee) -> Plan:
        """What a palette's indices take by their entropy; else what pieces or a frame foretell."""
        palette = Palette.of(source, _word(source.dtype)[0])
        if palette:
            bits = _INDICES * palette.entropy + 8.0 * len(palette.head()) + _FEW_BITS
            worth = math.inf if palette.words.size <= _FEW else _CLOSE
            worth = worth if palette.words.size <= source.size // _OFTEN else 1.0
            return Plan(0.0, bits, lambda: self._of_palette(source, palette), worth)
        if source.size <= _SMALL:
            planes = _planes(source.read(0, source.size))
            bits = 8.0 * len(frames.compress(planes.tobytes(), 1))
            return Plan(_LEAST * bits, _MOST * bits, lambda: self._of_planes(source))
        pieces = [
            source.read(start, start + _PIECE) for start in range(0, source.size - _PIECE, source.size // _PIECES + 1)
        ]
        values = sum(piece.size for piece in pieces)
        bits = 8.0 * sum(len(_pack(piece)) for piece in pieces) * source.size / max(values, 1)
        return Plan(_LEAST * bits, _MOST * bits, lambda: self._of_planes(source))

    @classmethod
    def decoder(cls, head: bytes, spec: TensorSpec) -> Decode:
        if not head:
            return lambda data, start, count: _unpack(data, count, spec.dtype)
        palette = words_of(head, _word(spec.dtype)[0])
        return lambda data, start, count: _unpack_indices(data, count, palette, spec.dtype)

    @classmethod
    def upper_bound(cls, coded: CodedTensor) -> UpperBound:
        """Each chunk is at most its raw bytes and a byte for each of its planes."""
        bits = 8.0 * (coded.spec.dtype.itemsize * (coded.spec.size + len(coded.spans)) + len(coded.payload.head))
        return UpperBound(bits, "the raw bytes and a byte for each plane")

    @classmethod
    def sections(cls, coded: CodedTensor) -> Sequence[Section]:
        """The planes, from the lowest byte up; of a float the sign is the lowest bit."""
        word, head = _word(coded.spec.dtype)[0].itemsize, coded.payload.head
        planes = 1 if head else word
        bits, fields = [0.0] * planes, 0.0
        for start, stop in coded.spans:
            data, at = coded.payload.code(start, stop), 0
            for i in range(planes):
                first, last = extent(data, at, (stop - start) * coded.spec.dtype.itemsize // word)
                bits[i] += 8 * (last - first)
                fields += 8 * (first - at)
                at = last
        if head:
            return [
                Section("palette", 8.0 * len(head)),
                Section("indices", bits[0]),
                Section("coding and length", fields),
            ]
        return [*(Section(f"plane {i}", bits[i]) for i in range(planes)), Section("codings and lengths", fields)]


def _word(dtype: np.dtype) -> tuple[np.dtype, bool]:
    """The unsigned integer for the bits of a number, and whether its top bit is a sign.

    Each of the two parts of a complex number has such an integer.
    """
    width = dtype.itemsize // (2 if dtype.kind == "c" else 1)
    return np.dtype(f"u{width}"), dtypes.is_float(dtype) or dtype.kind == "c"


def _pack(values: np.ndarray) -> bytes:
    return b"".join(part for plane in _planes(values) for part in encode_plane(plane))


def _planes(values: np.ndarray) -> np.ndarray:
    word, signed = _word(values.dtype)
    bits = np.ascontiguousarray(values).view(word)
    planes = np.empty((word.itemsize, bits.size), np.uint8)
    kernels.split(bits, signed, planes)
    return planes


def _unpack(data: bytes, count: int, dtype: np.dtype) -> np.ndarray:
    word, signed = _word(dtype)
    planes = np.empty((word.itemsize, count * dtype.itemsize // word.itemsize), np.uint8)
    at = 0
    for plane in planes:
        at = decode_plane(data, at, plane)
    if at != len(data):
        raise Corrupt("lossless: bytes after the last plane")
    bits = np.empty(planes.shape[1], word)
    kernels.join(planes, signed, bits)
    if dtype == np.bool_ and bits.max(initial=0) > 1:
        raise Corrupt("lossless: a bool is neither 0 nor 1")
    return bits.view(dtype)


def _unpack_indices(data: bytes, count: int, palette: np.ndarray, dtype: np.dtype) -> np.ndarray:
    indices = np.empty(count * dtype.itemsize // palette.itemsize, np.uint8)
    if decode_plane(data, 0, indices) != len(data):
        raise Corrupt("lossless: bytes after the indices")
    if indices.max(initial=0) >= palette.size:
        raise Corrupt("lossless: an index that is not below the number of words in the head")
    return palette[indices].view(dtype)
