"""`lossless`: byte planes, each coded as suits it. It is exact for every dtype.

The sign of a float is first moved from the highest bit to the lowest, so that one plane has whole
exponents. They are the only part of a gradient that has structure. A tensor of few distinct values
is one plane of indices: of its words, or of whole numbers that are multiplied by scales.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ... import dtypes
from ...errors import Corrupt
from ...kernels import planes as kernels
from ...source import Source, matricise
from ..contract import CHUNK, CodedTensor, Compressor, Decode, Guarantee, Payload, Plan, Section, TensorSpec, UpperBound
from . import frames, multiples, palette
from .indices import decode_indices, encode_indices
from .multiples import Multiples
from .palette import Palette, words_of
from .planes import decode_plane, encode_plane, extent

_SMALL = 1 << 16  # values of a tensor whose planes are looked at as a whole
_PIECES, _PIECE = 4, 1 << 12  # pieces of a larger one, and values of each
_LEAST, _MOST = 0.5, 2.0  # what all take at least and at most, as multiples of what the pieces foretell
_INDICES = 1.03  # times their entropy: the most bits that indices into a palette take, beside _FEW_BITS
_FEW_BITS = 2048.0
# Contexts of neighbours take time, which bytes pay for. Tensors of up to _SHORT values may use
# them, and longer ones whose values take more than _RICH bits.
_IN_CONTEXTS, _SHORT, _RICH = 2, 1 << 22, 0.05  # the first is a bit of a head's form
_WORK_OF_CONTEXTS, _WORK_OF_MULTIPLES = 60, 30  # nanoseconds that a value takes more, at most


@dataclass(frozen=True)
class Lossless(Compressor):
    """The guarantee `exact` for every dtype, NaN payloads and signed zeros included."""

    kinds = ("exact",)

    @classmethod
    def work(cls, head: bytes, spec: TensorSpec) -> int:
        form = head[0] if head else 0
        in_contexts = _WORK_OF_CONTEXTS if form & _IN_CONTEXTS else 0
        multiplied = _WORK_OF_MULTIPLES if form & multiples.FORM else 0
        return spec.size * (in_contexts + multiplied) + spec.size * spec.dtype.itemsize // 2

    def encode(self, source: Source, guarantee: Guarantee) -> Payload:
        found = _few_values(source)
        return self._of_few(source, found[0]) if found else self._of_planes(source)

    def _of_planes(self, source: Source) -> Payload:
        return Payload(b"", min(CHUNK, max(source.size, 1)), lambda start, stop: _pack(source.read(start, stop)))

    def _of_few(self, source: Source, values: "Palette | Multiples") -> Payload:
        """The payload by indices; that by planes for a tensor of one chunk if it is shorter."""
        contexts = source.size <= _SHORT or values.entropy > _RICH * source.size
        if isinstance(values, Palette):
            code = partial(_pack_indices, source, values, contexts)
        else:
            code = partial(_pack_multiples, source, values, contexts)
        head = values.head()
        head = bytes([head[0] | _IN_CONTEXTS * contexts]) + head[1:]
        indices, planes = Payload(head, min(CHUNK, source.size), code), self._of_planes(source)
        if source.size > CHUNK:
            return indices
        sizes = (len(each.head) + len(each.code(0, source.size)) for each in (planes, indices))
        return min(zip(sizes, (planes, indices), strict=True), key=lambda one: one[0])[1]

    def plan(self, source: Source, guarantee: Guarantee) -> Plan:
        """What indices take by their entropy; else what pieces or a frame foretell."""
        found = _few_values(source)
        if found:
            few, is_meant = found
            most = _INDICES * few.entropy + 8.0 * len(few.head()) + _FEW_BITS
            return Plan(0.0, most, lambda: self._of_few(source, few), math.inf if is_meant else 1.0)
        if source.size <= _SMALL:
            planes = _planes(source.read(0, source.size))
            bits = 8.0 * frames.least_size(planes.reshape(-1))
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
        form, contexts = head[0] & ~_IN_CONTEXTS, bool(head[0] & _IN_CONTEXTS)
        if form == multiples.FORM:
            found = Multiples.unpack(head, spec.dtype, spec.size)
            return lambda data, start, count: _unpack_multiples(data, start, count, found, contexts)
        if form != palette.FORM:
            raise Corrupt(f"lossless: a head of the form {head[0]}")
        words = words_of(head, _word(spec.dtype)[0])
        return lambda data, start, count: _unpack_indices(data, count, words, spec.dtype, contexts)

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


def _few_values(source: Source) -> "tuple[Palette | Multiples, bool] | None":
    """What the indices of a tensor of few values stand for, and whether it is meant to have few."""
    words = Palette.of(source, _word(source.dtype)[0])
    times = Multiples.of(source, words.words if words else None)
    found = [one for one in (words, times) if one is not None]
    if not found:
        return None
    best = min(found, key=lambda one: one.entropy + 8.0 * len(one.head()))
    return best, times is not None or (words is not None and words.is_meant)


def _pack_indices(source: Source, values: Palette, contexts: bool, start: int, stop: int) -> bytes:
    words = np.ascontiguousarray(source.read(start, stop)).view(values.words.dtype)
    return encode_indices(values.indices(words), values.words.size, _width(source), contexts)


def _width(source: Source) -> int:
    """The columns of the matrix that a tensor is; 0 for a vector, and for complex numbers."""
    height, width = matricise(source.shape)
    return width if height > 1 and source.dtype.kind != "c" else 0


def _unpack_indices(data: bytes, count: int, words: np.ndarray, dtype: np.dtype, contexts: bool) -> np.ndarray:
    indices = np.empty(count * dtype.itemsize // words.itemsize, np.uint8)
    decode_indices(data, words.size, indices, contexts)
    return words[indices].view(dtype)


def _pack_multiples(source: Source, values: Multiples, contexts: bool, start: int, stop: int) -> bytes:
    indices = values.indices(source.read(start, stop), start)
    return encode_indices(indices, values.indices_below, _width(source), contexts)


def _unpack_multiples(data: bytes, start: int, count: int, values: Multiples, contexts: bool) -> np.ndarray:
    indices = np.empty(count, np.uint8)
    decode_indices(data, values.indices_below, indices, contexts)
    return values.values(indices, start)
