"""What the theory says of a tensor that spherical compression has coded, against what it holds: for `verify`.

The index of a direction is geometric with success P(α, k), the share of the sphere within the cap, whatever the tensor is
(over the seed). So over the blocks of one file its code should take −log2 P + log2 e bits on average, and at most
−log2 P + 3: the paper's statement for the average case.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from ...dtypes import widen
from ...kernels import spherical as kernels
from ...kernels.spherical_tree import MAX_QUOTIENT
from ...theory.sphere import cap_bits
from ...theory.spherical import geometric_entropy
from ..common.scaled import power_of_two
from ..contract import Guarantee, TensorSpec
from . import one_block as single
from .blocks import Leaves, read_leaves
from .plan import BLOCKS, Classes, Plan
from .search import find, stream

_ROUNDING = 1e-9  # of a cosine, when a block is projected again
_INDEX_BITS = 40  # more than any index has
_BATCH = 1 << 20  # values of random vectors that are searched for together


@dataclass(frozen=True)
class Coding:
    """What a head says of the blocks with directions: the length of the longest, the seed, the classes; and the parser of
    a chunk (bytes, number of values). One block has one class, whose cap follows from the guarantee."""

    one_block: bool
    length: int
    seed: int
    classes: tuple[Classes, ...]
    leaves: Callable[[bytes, int], Leaves]

    @staticmethod
    def of(head: bytes, spec: TensorSpec, guarantee: Guarantee) -> "Coding":
        """Raises Corrupt when the head cannot be right."""
        if head[0] >= BLOCKS:
            plan = Plan.unpack(head)
            return Coding(
                False, plan.length, plan.seed, plan.classes, lambda data, count: read_leaves(data, count, plan)
            )
        parsed = single.Head.unpack(head)
        cap = single.Cap.of(guarantee, spec.size).alpha
        one = Classes(spec.size, np.array([cap]), np.array([parsed.code], dtype=np.uint8), np.array([1.0]))

        def leaves(data: bytes, count: int) -> Leaves:
            index, _ = single.read_index(data, parsed)
            return Leaves(*(np.array([value]) for value in (count, 1, index)))

        return Coding(True, spec.size, parsed.seed, (one,), leaves)


@dataclass(frozen=True)
class ClassReport:
    """The blocks of one length and level in some chunks.

    blocks: how many. index_bits: of their indices together. deviation: the standard deviation of that sum is at most so
    many times that of one index. Blocks of one chunk with the same index may be copies of each other, and what chance did to
    one it did to all; so it is the sum over chunks of √(Σ over indices of the square of the number of blocks that have it).
    """

    length: int
    level: int
    cap: float
    cap_bits: float
    blocks: int = 0
    index_bits: float = 0.0
    deviation: float = 0.0

    @property
    def expected_bits(self) -> float:
        """The entropy of one index: −log2 P + log2 e but for large P."""
        return geometric_entropy(self.cap_bits)

    def plus(self, indices: np.ndarray, modulus: int) -> "ClassReport":
        """With the blocks that have these indices, of one more chunk."""
        sums = _sums(np.zeros_like(indices), indices, np.array([modulus]))
        return self._with(sums[:, 0])

    def _with(self, sums: np.ndarray) -> "ClassReport":
        blocks, bits, deviation = sums.tolist()
        return replace(
            self,
            blocks=self.blocks + int(blocks),
            index_bits=self.index_bits + bits,
            deviation=self.deviation + deviation,
        )


def _sums(classes: np.ndarray, indices: np.ndarray, moduli: np.ndarray) -> np.ndarray:
    """Of blocks of one chunk, by class (columns): their number, the bits of their indices, the deviation.

    classes, indices: of each block. moduli: of all classes. The work hardly depends on how many classes there are.
    """
    keys, copies = np.unique(classes << _INDEX_BITS | indices, return_counts=True)
    classes, indices = keys >> _INDEX_BITS, keys & ((1 << _INDEX_BITS) - 1)
    weights = copies, copies * _golomb_lengths(indices, moduli[classes]), copies * copies
    blocks, bits, squares = (np.bincount(classes, weight, len(moduli)) for weight in weights)
    return np.array([blocks, bits, np.sqrt(squares)])


def _golomb_lengths(indices: np.ndarray, moduli: np.ndarray) -> np.ndarray:
    """Those of `golomb.encode`, for many indices."""
    digits = np.frexp(moduli)[1].astype(np.int64) - 1
    quotients, rests = np.divmod(indices, moduli)
    lengths: np.ndarray = quotients + 1 + digits + (rests >= (2 << digits) - moduli)
    return lengths


@dataclass(frozen=True)
class CapReport:
    """The cap condition ⟨x, v⟩/‖x‖ ≥ √(1−α): blocks tested, blocks that fail, and the least difference of the two sides."""

    blocks: int
    outside: int
    margin: float


def index_report(coding: Coding, chunks: Iterable[tuple[bytes, int]]) -> list[ClassReport]:
    """Measured and expected bits of the indices over chunks (bytes, number of values), by class that some block has."""
    first = np.full(coding.length + 1, -1)  # number of the first class, by length
    counts = [len(one) for one in coding.classes]
    first[[one.length for one in coding.classes]] = np.cumsum([0, *counts])[:-1]
    moduli = np.concatenate([np.empty(0, np.int64), *(one.moduli for one in coding.classes)])
    sums = np.zeros((3, len(moduli)))
    for data, count in chunks:
        leaves = coding.leaves(data, count)
        starts = first[leaves.lengths]
        here = np.flatnonzero((starts >= 0) & (leaves.levels > 0))
        if here.size:
            sums += _sums(starts[here] + leaves.levels[here] - 1, leaves.indices[here], moduli)
    rows = ((one, n) for one in coding.classes for n in range(len(one)))
    return [_report(one, n)._with(row) for (one, n), row in zip(rows, sums.T, strict=True) if row[0]]


def _report(one: Classes, n: int) -> ClassReport:
    """Of class n + 1 of a length, with no blocks yet."""
    return ClassReport(one.length, n + 1, float(one.caps[n]), cap_bits(one.caps[n], one.length))


def cap_report(coding: Coding, data: bytes, values: np.ndarray) -> CapReport:
    """Test the cap of every block of a chunk with a direction against the original values of that chunk."""
    leaves = coding.leaves(data, values.size)
    x = np.zeros(int(leaves.lengths.sum()))
    first, second = power_of_two(-int(np.frexp(np.abs(widen(values)).max())[1]))
    x[: values.size] = widen(values).astype(np.float64) * first * second
    starts = np.cumsum(leaves.lengths) - leaves.lengths
    margins = [np.empty(0)]
    for one in coding.classes:
        here = np.flatnonzero((leaves.lengths == one.length) & (leaves.levels > 0))
        if not here.size:
            continue
        blocks = x[starts[here][:, None] + np.arange(one.length)]
        projections = np.empty(len(blocks))
        kernels.project(stream(coding.seed, one.length), leaves.indices[here], blocks, projections)
        norms = np.sqrt(np.einsum("ij,ij->i", blocks, blocks))
        cosines = np.where(norms > 0, projections / np.where(norms > 0, norms, 1.0), -1.0)
        margins.append(cosines - np.sqrt(1 - one.caps[leaves.levels[here] - 1]))
    margin = np.concatenate(margins)
    return CapReport(margin.size, int((margin < -_ROUNDING).sum()), float(margin.min(initial=np.inf)))


def try_vectors(coding: Coding, trials: int) -> ClassReport:
    """The indices that `trials` random directions would have as the one block of this head. One that is not found within
    the longest code counts as if it came next."""
    (one,) = coding.classes
    modulus = int(one.moduli[0])
    limit = modulus * (MAX_QUOTIENT + 1)
    numbers = np.random.default_rng(0)
    indices = []
    for start in range(0, trials, rows := max(1, _BATCH // one.length)):
        blocks = numbers.standard_normal((min(rows, trials - start), one.length))
        norms = np.sqrt(np.einsum("ij,ij->i", blocks, blocks))
        count = len(blocks)
        found, _ = find(blocks, norms, np.full(count, one.caps[0]), np.full(count, limit), coding.seed)
        indices.append(np.where(found < 0, limit, found))
    return _report(one, 0).plus(np.concatenate(indices), modulus)
