"""`klt`: a matrix as a product of two coded factors, the smallest code of nearly low-rank tensors, gradients above all.

X ≈ Ĉ·V̂ᵀ. V̂ is the decoded first factor B̂ ≈ V·diag(σ), orthonormalised; V and σ are of the truncated singular value
decomposition of X. Ĉ is the coded X·V̂. Both factors are coded with one step by the trellis coder of `tcq`, and B̂ tells the
scales of the columns of Ĉ. So the best linear transform is sent too, each vector as precisely as its use is worth. See
spec/compressors/07-klt.md.
"""

from dataclasses import dataclass

import numpy as np

from ... import dtypes
from ...coding.bitstring import BitReader, BitWriter
from ...errors import Corrupt, InvalidInput
from ...source import Source
from ..common.scaled import Scaled
from ..common.trellis import MEAN_CODES, Labels, Points
from ..contract import Compressor, Decode, Guarantee, Payload, TensorSpec
from .factors import Basis, Frame, basis_contexts
from .search import fit

_RANK_BITS, _MEAN_BITS = 12, 7
_HEAD_ROOM = 256  # bits beside those of the columns
_FREE_LEVELS, _LEVELS_PER_BYTE = 1 << 21, 1 << 7  # of the first factor: what a head of few bytes may ask of a decoder
_FREE_PRODUCTS, _PRODUCTS_PER_BYTE = 1 << 30, 1 << 13  # of its orthonormalisation
_WORK_PER_RANK = 1 << 11  # about nanoseconds, as all of these
_WORK_PER_FIRST_LEVEL, _WORK_PER_SECOND_LEVEL = 96, 48  # the first factor's become a matrix of floats in several steps
_WORK_PER_PAIR = 2  # of columns of the first factor, for each row, when they are made orthogonal


def _is_paid_for(width: int, rank: int, head_length: int) -> bool:
    """Whether a head has enough bytes for the memory and the time that its first factor takes."""
    levels = width * rank
    affordable = levels <= _FREE_LEVELS + _LEVELS_PER_BYTE * head_length
    return affordable and levels * rank <= _FREE_PRODUCTS + _PRODUCTS_PER_BYTE * head_length


@dataclass(frozen=True)
class Head:
    """What all chunks share. means: codes of the expected magnitudes in the columns of the first factor, not increasing;
    shifts, code: that factor's."""

    labels: Labels
    points: Points
    shifts: tuple[int, ...]
    means: np.ndarray
    code: bytes

    def pack(self) -> bytes:
        writer = BitWriter(_HEAD_ROOM + MEAN_CODES + 2 * self.means.size)
        self.labels.pack(writer)
        self.points.pack(writer)
        Points(self.points.step, self.shifts).pack_shifts(writer)
        writer.put(self.means.size - 1, _RANK_BITS)
        writer.put(int(self.means[0]), _MEAN_BITS)
        for drop in (self.means[:-1] - self.means[1:]).tolist():
            writer.rice(drop, 0)
        return writer.to_bytes() + self.code

    @classmethod
    def unpack(cls, head: bytes, frame: Frame) -> "Head":
        reader = BitReader(head, "klt head")
        labels, points, shifts, rank = cls._begin(reader, len(head), frame)
        means = [reader.get(_MEAN_BITS)]
        while len(means) < rank:
            means.append(means[-1] - reader.rice(0, means[-1]))
        reader.align()
        return cls(labels, points, shifts, np.array(means), reader.rest().tobytes())

    @classmethod
    def rank(cls, head: bytes, frame: Frame) -> int:
        """The number of columns of the factors; raises Corrupt."""
        return cls._begin(BitReader(head, "klt head"), len(head), frame)[-1]

    @staticmethod
    def _begin(reader: BitReader, length: int, frame: Frame) -> tuple[Labels, Points, tuple[int, ...], int]:
        """Labels, points, shifts and rank, of a head of so many bytes."""
        labels, points, shifts = Labels.unpack(reader), Points.unpack(reader), Points.unpack_shifts(reader)
        rank = reader.get(_RANK_BITS) + 1
        if rank > frame.most:
            raise reader.corrupt(f"rank {rank} of a {frame.height} x {frame.width} matrix")
        if not _is_paid_for(frame.width, rank, length):
            raise reader.corrupt(f"a first factor of {frame.width} x {rank} levels in {length} bytes")
        return labels, points, shifts, rank

    def basis(self, frame: Frame) -> Basis:
        """The decoded first factor; raises Corrupt."""
        code = np.frombuffer(self.code, np.uint8)
        levels = self.labels.decode(code, frame.width * self.means.size, basis_contexts(self.means))
        return Basis.of(levels, self.shifts, frame)


@dataclass(frozen=True)
class Klt(Compressor):
    """‖x̂ − x‖² ≤ α‖x‖², with the measured distortion close below α; a tensor that is no matrix is one of a single column.

    `encode` raises InvalidInput for large matrices whose rank is not low: others code them smaller and much faster.

    effort: "best" tries several ranks; "fast" takes the one that theory suggests.
    """

    effort: str = "best"
    kinds = ("alpha",)

    def encode(self, source: Source, guarantee: Guarantee) -> Payload:
        if self.effort not in ("best", "fast"):
            raise InvalidInput(f'effort must be "best" or "fast", not {self.effort!r}')
        frame = Frame.of(source.shape)
        coder = fit(Scaled.of(source), frame, guarantee.bound, self.effort == "best")
        head = Head(coder.labels, coder.points(), coder.settings.first.shifts, coder.means, coder.basis_code()).pack()
        if not _is_paid_for(frame.width, coder.means.size, len(head)):
            raise InvalidInput("klt: the first factor is so sparse that a decoder would not trust it; use tcq")
        return Payload(head, frame.chunk, coder.code)

    @classmethod
    def work(cls, head: bytes, spec: TensorSpec) -> int:
        frame = Frame.of(spec.shape)
        rank = Head.rank(head, frame)
        first = _WORK_PER_RANK + frame.width * (_WORK_PER_FIRST_LEVEL + _WORK_PER_PAIR * rank)
        second = frame.height * _WORK_PER_SECOND_LEVEL
        return rank * (first + second) + spec.size * (4 + rank // 4)

    @classmethod
    def decoder(cls, head: bytes, spec: TensorSpec) -> Decode:
        frame = Frame.of(spec.shape)
        form = Head.unpack(head, frame)
        basis = form.basis(frame)
        rank, work = form.means.size, dtypes.work_dtype(spec.dtype)
        vectors = basis.vectors.astype(work)
        if not frame.transposed:
            vectors = np.asfortranarray(vectors)  # once, as every chunk needs their transpose in C order

        def decode(data: bytes, start: int, count: int) -> np.ndarray:
            if start % frame.columns or count % frame.columns or (frame.transposed and count != spec.size):
                raise Corrupt("klt: a chunk that is not of whole rows")
            first, last = frame.span(start, start + count)
            height = last - first
            levels = form.labels.decode(np.frombuffer(data, np.uint8), height * rank, basis.contexts)
            coefficients = form.points.values(levels, work).reshape(height, rank)
            return frame.product(coefficients, vectors)

        return decode
