"""`klt`: a matrix as a product of two coded factors.

It gives the smallest code of nearly low-rank tensors, gradients above all. X ≈ Ĉ·V̂ᵀ. V̂ is the
decoded first factor B̂ ≈ V·diag(σ), orthonormalised; V and σ are of the truncated singular value
decomposition of X. Ĉ is the coded X·V̂. Both factors are levels of one step (spec/levels.md), and
B̂ tells the scales of the columns of Ĉ. So the best linear transform is sent too, each vector as
precisely as its use is worth. See spec/compressors/07-klt.md.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from ... import dtypes
from ...coding.bitstring import BitReader, BitWriter
from ...errors import Corrupt, InvalidInput
from ...parallel import blas_on_one_thread
from ...source import Source
from ..common.levels import Points, Step
from ..common.scaled import Scaled
from ..contract import CodedTensor, Compressor, Decode, Guarantee, Payload, Plan, Section, TensorSpec
from . import anatomy
from .again import Start, fit_again
from .attempt import Attempt
from .factors import Basis, Columns, View, product
from .look import Look, is_dear
from .matrix import Matrix
from .search import Chosen, fit

_RANK_BITS, _CLASS_BITS, _LENGTH_BYTES = 12, 5, 4
_HEAD_ROOM = 256  # bits beside those of the columns
_FREE_LEVELS, _LEVELS_PER_BYTE = 1 << 21, 1 << 7  # what a head of few bytes may ask of a decoder: levels in it,
_FREE_PRODUCTS, _PRODUCTS_PER_BYTE = 1 << 30, 1 << 13  # and products to make the first factor orthonormal
_WORK_PER_RANK = 1 << 11  # about nanoseconds, as all of these
_WORK_PER_FIRST_LEVEL, _WORK_PER_SECOND_LEVEL = 64, 24  # the first factor's become a matrix of floats in several steps
_PAIRS_PER_WORK = 4  # pairs of columns of the first factor, for each row, that are made orthogonal in a nanosecond
_LEAST = 0.92  # what payloads take at least, as a multiple of the bits that settings promise
_FLOAT64 = np.dtype(np.float64)


def _is_paid_for(view: View, rank: int, head_length: int) -> bool:
    """Whether a head has enough bytes for the memory and the time that its factors take."""
    levels = (view.width + view.height * view.together) * rank
    affordable = levels <= _FREE_LEVELS + _LEVELS_PER_BYTE * head_length
    return affordable and view.width * rank * rank <= _FREE_PRODUCTS + _PRODUCTS_PER_BYTE * head_length


@dataclass(frozen=True)
class Head:
    """What all chunks share.

    points: of the second factor; offsets: the first one's. columns: of the first factor, with
    classes that do not increase. has_rows: whether the second factor's rows have numbers.
    first, second: the factors' bytes; the second one's are empty where chunks hold them.
    """

    points: Points
    offsets: tuple[int, ...]
    columns: Columns
    has_rows: bool
    first: bytes
    second: bytes = b""

    def pack(self, view: View) -> bytes:
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
        length = len(self.first).to_bytes(_LENGTH_BYTES, "little") if view.together else b""
        return writer.to_bytes() + length + self.first + self.second

    @classmethod
    def unpack(cls, head: bytes, view: View) -> "Head":
        reader = BitReader(head, "klt head")
        points, offsets, flags, rank = cls._begin(reader, len(head), view)
        classes = [reader.get(_CLASS_BITS)]
        while len(classes) < rank:
            classes.append(classes[-1] - reader.rice(0, classes[-1]))
        reader.align()
        columns = Columns(np.array(classes, np.int16), flags[0])
        first = b""
        if view.together:
            length = int.from_bytes(reader.take(_LENGTH_BYTES).tobytes(), "little")
            first = reader.take(length).tobytes()
        rest = reader.rest().tobytes()
        factors = (first, rest) if view.together else (rest, b"")
        return cls(points, offsets, columns, flags[1], *factors)

    @classmethod
    def rank(cls, head: bytes, view: View) -> int:
        """The number of columns of the factors; raises Corrupt."""
        return cls._begin(BitReader(head, "klt head"), len(head), view)[-1]

    @staticmethod
    def _begin(reader: BitReader, length: int, view: View) -> tuple[Points, tuple[int, ...], tuple[bool, bool], int]:
        """(points, offsets, flags, rank) of a head of `length` bytes; raises Corrupt.

        The offsets are those of the first factor. The flags say whether each factor's rows have
        numbers.
        """
        points = Points.unpack(reader)
        offsets = Points.unpack_offsets(reader, points.labels)
        flags = bool(reader.get(1)), bool(reader.get(1))
        rank = reader.get(_RANK_BITS) + 1
        if rank > view.most:
            raise reader.corrupt(f"rank {rank} of a {view.height} x {view.width} matrix")
        if not _is_paid_for(view, rank, length):
            raise reader.corrupt(f"factors of rank {rank} and width {view.width} in {length} bytes")
        return points, offsets, flags, rank

    def basis(self, view: View) -> Basis:
        """The decoded first factor; raises Corrupt."""
        points = Points(self.points.labels, Step(0, 0), self.offsets)
        return Basis.of(self.columns.decode(BitReader(self.first, "klt first factor"), view.width, points, _FLOAT64))


@dataclass(frozen=True)
class Klt(Compressor):
    """‖x̂ − x‖² ≤ α‖x‖², with the measured distortion close below α.

    A tensor that is no matrix is taken as one of a single column.

    effort: "best" searches with more states. "fast" does not, and where some rows of a matrix tell
    that its rank is not low, it plans endless bits, so that `auto` does not take it.
    """

    effort: str = "best"
    kinds = ("alpha",)

    def encode(self, source: Source, guarantee: Guarantee) -> Payload:
        return self.plan(source, guarantee).payload()

    @blas_on_one_thread()
    def plan(self, source: Source, guarantee: Guarantee) -> Plan:
        if self.effort not in ("best", "fast"):
            raise InvalidInput(f'effort must be "best" or "fast", not {self.effort!r}')
        bound = guarantee.bound
        matrix = Matrix.of(Scaled.of(source), View.of(source.shape), bound)
        look = cache(blas_on_one_thread()(lambda: Look.at(matrix, bound)))
        chosen = cache(blas_on_one_thread()(lambda: Chosen.of(look(), self.effort == "best")))
        bits = (math.inf, math.inf) if self.effort == "fast" and is_dear(matrix, bound) else look().range()
        return Plan(*bits, lambda: self._payload(look(), chosen()), closer=lambda: _LEAST * chosen().bits)

    @blas_on_one_thread()
    def _payload(self, look: Look, chosen: Chosen) -> Payload:
        coder = fit(look, chosen)
        return _payload_of(coder, Start.of(coder))

    @classmethod
    def work(cls, head: bytes, spec: TensorSpec) -> int:
        view = View.of(spec.shape)
        rank = Head.rank(head, view)
        first = _WORK_PER_RANK + view.width * (_WORK_PER_FIRST_LEVEL + rank // _PAIRS_PER_WORK)
        second = view.height * _WORK_PER_SECOND_LEVEL
        return rank * (first + second) + spec.size * (4 + rank // 8)

    @classmethod
    def decoder(cls, head: bytes, spec: TensorSpec) -> Decode:
        view, work = View.of(spec.shape), dtypes.work_dtype(spec.dtype)
        form = Head.unpack(head, view)
        basis = form.basis(view)
        columns, vectors = Columns(basis.classes, form.has_rows), basis.vectors.astype(work)

        def coefficients(data: bytes, height: int) -> np.ndarray:
            where = "klt second factor" if view.together else "klt chunk"
            return columns.decode(BitReader(data, where), height, form.points, work)

        turned = vectors if view.transposed else vectors.T
        if view.together:
            turned = coefficients(form.second, view.height).T
        shared = np.ascontiguousarray(turned)  # what all chunks multiply with

        def decode(data: bytes, start: int, count: int) -> np.ndarray:
            if start % view.columns or count % view.columns:
                raise Corrupt("klt: a chunk that is not of whole rows")
            first, last = start // view.columns, (start + count) // view.columns
            if view.together:
                if data:
                    raise Corrupt("klt: a chunk that is not empty, though the head holds both factors")
                if count != min(view.chunk, spec.size - start):  # each reads a whole factor
                    raise Corrupt("klt: a chunk that is too short, though the head holds both factors")
                return product(vectors[first:last], shared)
            if not view.transposed:
                return product(coefficients(data, last - first), shared)
            if count != spec.size:
                raise Corrupt("klt: a transpose in more than one chunk")
            return product(vectors, np.ascontiguousarray(coefficients(data, view.height).T))

        return decode

    @classmethod
    def sections(cls, coded: CodedTensor) -> Sequence[Section]:
        return anatomy.sections(coded, Head.unpack(coded.payload.head, View.of(coded.spec.shape)))

    @classmethod
    def arrays(cls, coded: CodedTensor) -> Mapping[str, np.ndarray]:
        return anatomy.arrays(coded, Head.unpack(coded.payload.head, View.of(coded.spec.shape)))


def _payload_of(coder: Attempt, start: Start) -> Payload:
    """start: what the next tensor begins with."""
    view = coder.task.matrix.view
    offsets, rows = coder.settings.first.points.offsets, coder.second.columns.has_rows
    second = coder.second.encode(0) if view.together else b""
    head = Head(coder.points(), offsets, coder.first.columns, rows, coder.first.encode(0), second).pack(view)
    if not _is_paid_for(view, coder.settings.rank, len(head)):
        raise InvalidInput("klt: the factors are so sparse that a decoder would not trust them; use tcq")

    @blas_on_one_thread()
    def again(source: Source, guarantee: Guarantee) -> Payload | None:
        found = fit_again(start, source, guarantee.bound)
        return None if found is None else _payload_of(*found)

    def code(start: int, stop: int) -> bytes:
        return b"" if view.together else coder.code(start, stop)

    return Payload(head, view.chunk, code, again=again, values=coder.decoded)
