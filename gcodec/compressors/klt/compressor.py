"""`klt`: a matrix as a product of two coded factors, the smallest code of nearly low-rank tensors, gradients above all.

X ≈ Ĉ·V̂ᵀ. V̂ is the decoded first factor B̂ ≈ V·diag(σ), orthonormalised; V and σ are of the truncated singular value
decomposition of X. Ĉ is the coded X·V̂. Both factors are levels of one step (spec/levels.md), and B̂ tells the
scales of the columns of Ĉ. So the best linear transform is sent too, each vector as precisely as its use is worth. See
spec/compressors/07-klt.md.
"""

from dataclasses import dataclass, replace

import numpy as np

from ... import dtypes
from ...coding.bitstring import BitReader, BitWriter
from ...errors import Corrupt, InvalidInput
from ...source import Source
from ..common.levels import Points, Step
from ..common.scaled import Scaled
from ..contract import Compressor, Decode, Guarantee, Payload, TensorSpec
from .factors import Basis, Columns, Frame
from .search import fit

_RANK_BITS, _CLASS_BITS = 12, 5
_HEAD_ROOM = 256  # bits beside those of the columns
_FREE_LEVELS, _LEVELS_PER_BYTE = 1 << 21, 1 << 7  # of the first factor: what a head of few bytes may ask of a decoder
_FREE_PRODUCTS, _PRODUCTS_PER_BYTE = 1 << 30, 1 << 13  # of its orthonormalisation
_WORK_PER_RANK = 1 << 11  # about nanoseconds, as all of these
_WORK_PER_FIRST_LEVEL, _WORK_PER_SECOND_LEVEL = 64, 24  # the first factor's become a matrix of floats in several steps
_WORK_PER_PAIR = 2  # of columns of the first factor, for each row, when they are made orthogonal
_FLOAT64 = np.dtype(np.float64)


def _is_paid_for(width: int, rank: int, head_length: int) -> bool:
    """Whether a head has enough bytes for the memory and the time that its first factor takes."""
    levels = width * rank
    affordable = levels <= _FREE_LEVELS + _LEVELS_PER_BYTE * head_length
    return affordable and levels * rank <= _FREE_PRODUCTS + _PRODUCTS_PER_BYTE * head_length


@dataclass(frozen=True)
class Head:
    """What all chunks share.

    points: of the second factor; offsets: the first one's. columns: of the first factor, classes not increasing; rows: whether
    the second factor's rows have numbers. code: the first factor's bytes.
    """

    points: Points
    offsets: tuple[int, ...]
    columns: Columns
    has_rows: bool
    code: bytes

    def pack(self) -> bytes:
        classes = self.columns.classes
        writer = BitWriter(_HEAD_ROOM + 2 * classes.size)
        self.points.pack(writer)
        replace(self.points, offsets=self.offsets).pack_offsets(writer)
        writer.put(int(self.columns.has_rows), 1)
        writer.put(int(self.has_rows), 1)
        writer.put(classes.size - 1, _RANK_BITS)
        writer.put(int(classes[0]), _CLASS_BITS)
        for drop in (classes[:-1] - classes[1:]).tolist():
            writer.rice(drop, 0)
        return writer.to_bytes() + self.code

    @classmethod
    def unpack(cls, head: bytes, frame: Frame) -> "Head":
        reader = BitReader(head, "klt head")
        points, offsets, flags, rank = cls._begin(reader, len(head), frame)
        classes = [reader.get(_CLASS_BITS)]
        while len(classes) < rank:
            classes.append(classes[-1] - reader.rice(0, classes[-1]))
        reader.align()
        columns = Columns(np.array(classes, np.int16), flags[0])
        return cls(points, offsets, columns, flags[1], reader.rest().tobytes())

    @classmethod
    def rank(cls, head: bytes, frame: Frame) -> int:
        """The number of columns of the factors; raises Corrupt."""
        return cls._begin(BitReader(head, "klt head"), len(head), frame)[-1]

    @staticmethod
    def _begin(reader: BitReader, length: int, frame: Frame) -> tuple[Points, tuple[int, ...], tuple[bool, bool], int]:
        """Points, offsets of the first factor, whether each factor's rows have numbers, and the rank, of a head of so many bytes."""
        points = Points.unpack(reader)
        offsets = Points.unpack_offsets(reader, points.labels)
        flags = bool(reader.get(1)), bool(reader.get(1))
        rank = reader.get(_RANK_BITS) + 1
        if rank > frame.most:
            raise reader.corrupt(f"rank {rank} of a {frame.height} x {frame.width} matrix")
        if not _is_paid_for(frame.width, rank, length):
            raise reader.corrupt(f"a first factor of {frame.width} x {rank} levels in {length} bytes")
        return points, offsets, flags, rank

    def basis(self, frame: Frame) -> Basis:
        """The decoded first factor; raises Corrupt."""
        points = Points(self.points.labels, Step(0, 0), self.offsets)
        return Basis.of(self.columns.decode(BitReader(self.code, "klt factor"), frame.width, points, _FLOAT64))


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
        offsets, rows = coder.settings.first.points.offsets, coder.second.columns.has_rows
        head = Head(coder.points(), offsets, coder.first.columns, rows, coder.first.encode(0)).pack()
        if not _is_paid_for(frame.width, coder.settings.rank, len(head)):
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
        columns, work = Columns(basis.classes, form.has_rows), dtypes.work_dtype(spec.dtype)
        vectors = basis.vectors.astype(work)
        if not frame.transposed:
            vectors = np.asfortranarray(vectors)  # once, as every chunk needs their transpose in C order

        def decode(data: bytes, start: int, count: int) -> np.ndarray:
            if start % frame.columns or count % frame.columns or (frame.transposed and count != spec.size):
                raise Corrupt("klt: a chunk that is not of whole rows")
            first, last = frame.span(start, start + count)
            coefficients = columns.decode(BitReader(data, "klt chunk"), last - first, form.points, work)
            return frame.product(coefficients, vectors)

        return decode
