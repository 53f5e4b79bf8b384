"""A coded tensor beside the theory of spherical compression: measured index lengths and caps.

Over the seed, and whatever the tensor is, the index of a direction is a geometric variable whose
success probability is P(α, k), the share of the sphere within the cap. So over the blocks of one
file its code should take −log2 P + log2 e bits on average. The paper's statement for the average
case is that it takes at most −log2 P + 3.
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

_ROUNDING = 1e-9  # how far a cosine may be off when a block is projected again
_INDEX_BITS = 40  # more bits than any index has
_BATCH = 1 << 20  # values of the random vectors that are searched for together


@dataclass(frozen=True)
class Coding:
    """What a head says about the blocks that have directions.

    one_block: whether the whole tensor is one block; then there is one class, whose cap follows
        from the guarantee.
    length: that of the longest blocks.
    leaves: a function (bytes of a chunk, number of its values) → its blocks.
    """

    one_block: bool
    length: int
    seed: int
    classes: tuple[Classes, ...]
    leaves: Callable[[bytes, int], Leaves]

    @staticmethod
    def of(head: bytes, spec: TensorSpec, guarantee: Guarantee) -> "Coding":
        """The coding that a head states. Raises Corrupt if the head cannot be right."""
        if head[0] >= BLOCKS:
            plan = Plan.unpack(head)
            return Coding(
                False, plan.length, plan.seed, plan.classes, lambda data, count: read_leaves(data, count, plan)
            )
        parsed = single.Head.unpack(head)
        cap = single.Cap.of(guarantee, spec).alpha
        one = Classes(spec.size, np.array([cap]), np.array([parsed.code], dtype=np.uint8), np.array([1.0]))

        def leaves(data: bytes, count: int) -> Leaves:
            index, _ = single.read_index(data, parsed)
            return Leaves(*(np.array([value]) for value in (count, 1, index)))

        return Coding(True, spec.size, parsed.seed, (one,), leaves)


@dataclass(frozen=True)
class ClassReport:
    """The blocks of one length and level in some chunks.

    blocks: how many there are.
    index_bits: the bits of their indices together.
    deviation: the standard deviation of that sum is at most this multiple of that of one index.
        Blocks of one chunk with the same index may be copies of each other, and then chance did the
        same to all of them. So this is the sum over chunks of √(Σ n²), where n is the number of
        blocks of the chunk that have one and the same index.
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
        """The entropy of one index, about −log2 P + log2 e unless P is large."""
        return geometric_entropy(self.cap_bits)

    def plus(self, indices: np.ndarray, modulus: int) -> "ClassReport":
        """This report and the blocks of one more chunk, which have these indices."""
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
    """For each class, what the blocks of one chunk add up to.

    The rows are the number of blocks, the bits of their indices, and the deviation; the columns are
    the classes. classes, indices: those of each block. moduli: those of all classes. The work
    hardly depends on the number of classes.
    """
    keys, copies = np.unique(classes << _INDEX_BITS | indices, return_counts=True)
    classes, indices = keys >> _INDEX_BITS, keys & ((1 << _INDEX_BITS) - 1)
    weights = copies, copies * _golomb_lengths(indices, moduli[classes]), copies * copies
    blocks, bits, squares = (np.bincount(classes, weight, len(moduli)) for weight in weights)
    return np.array([blocks, bits, np.sqrt(squares)])


def _golomb_lengths(indices: np.ndarray, moduli: np.ndarray) -> np.ndarray:
    """The lengths of `golomb.encode`, for many indices."""
    digits = np.frexp(moduli)[1].astype(np.int64) - 1
    quotients, rests = np.divmod(indices, moduli)
    lengths: np.ndarray = quotients + 1 + digits + (rests >= (2 << digits) - moduli)
    return lengths


@dataclass(frozen=True)
class CapReport:
    """Blocks against the condition of their caps, ⟨x, v⟩/‖x‖ ≥ √(1−α).

    blocks: how many were tested. outside: how many fail. margin: the least left side less right
    side.
    """

    blocks: int
    outside: int
    margin: float


def index_report(coding: Coding, chunks: Iterable[tuple[bytes, int]]) -> list[ClassReport]:
    """A report for each class that some block has. chunks: bytes and number of values of each."""
    first = np.full(coding.length + 1, -1)  # the number of the first class of each length
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
    """The report of class n + 1 of a length, without blocks yet."""
    return ClassReport(one.length, n + 1, float(one.caps[n]), cap_bits(one.caps[n], one.length))


def cap_report(coding: Coding, data: bytes, values: np.ndarray) -> CapReport:
    """Test the caps of those blocks of a chunk that have a direction. values: the original ones."""
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
    """The indices that `trials` random vectors would have as the one block of this head.

    A vector for which no direction is found within the longest code counts as if the next one did.
    """
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
