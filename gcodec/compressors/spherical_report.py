"""What the theory says of a tensor that spherical compression has coded, against what it holds: for `info` and `verify`.

The index of a direction is geometric with success P(α, k), the share of the sphere within the cap, whatever the tensor is
(over the seed). So over the blocks of one file its code should take −log2 P + log2 e bits on average, and at most
−log2 P + 3: the paper's statement for the average case.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from ..compressor import Guarantee, TensorSpec
from ..dtypes import widen
from ..kernels import spherical as kernels
from ..kernels import spherical_tree as tree
from ..theory.spherical import geometric_entropy
from . import spherical_single as single
from .scaled import power_of_two
from .spherical_blocks import Leaves, read_leaves
from .spherical_plan import BLOCKS, Classes, Plan
from .spherical_search import find, stream

_ROUNDING = 1e-9  # of a cosine, when a block is projected again
_BATCH = 1 << 20  # values of random vectors that are searched for together


@dataclass(frozen=True)
class ClassReport:
    """The blocks of one length and level in some chunks.

    blocks: how many. index_bits: of their indices together. spread: Σ over chunks of √(Σ over indices of the square of the
    number of blocks that have it). Blocks of one chunk with the same index may be copies of each other, and what chance
    did to one it did to all; so spread/blocks bounds what 1/√blocks would be for independent ones.
    """

    length: int
    level: int
    cap: float
    cap_bits: float
    blocks: int = 0
    index_bits: float = 0.0
    spread: float = 0.0

    @property
    def expected_bits(self) -> float:
        """The entropy of one index: −log2 P + log2 e but for large P."""
        return geometric_entropy(self.cap_bits)

    def plus(self, indices: np.ndarray, modulus: int) -> "ClassReport":
        """With the blocks that have these indices, of one more chunk."""
        _, copies = np.unique(indices, return_counts=True)
        return replace(
            self,
            blocks=self.blocks + indices.size,
            index_bits=self.index_bits + float(_golomb_lengths(indices, modulus).sum()),
            spread=self.spread + float(np.sqrt((copies * copies).sum())),
        )


@dataclass(frozen=True)
class CapReport:
    """The cap condition ⟨x, v⟩ ≥ ‖x‖·√(1−α): blocks tested, blocks that fail, and the least ⟨x, v⟩/(‖x‖·√(1−α))."""

    blocks: int
    outside: int
    least: float


def _plan_of(head: bytes, spec: TensorSpec, guarantee: Guarantee) -> Plan:
    """The parameters of either kind of head; one block is a plan with one class, whose cap follows from the guarantee."""
    if head[0] >= BLOCKS:
        return Plan.unpack(head)
    parsed = single.Head.unpack(head)
    cap = single.Cap.of(guarantee, spec.size)
    one = Classes(spec.size, np.array([cap.alpha]), np.array([parsed.code], dtype=np.uint8), np.array([1.0]))
    return Plan(spec.size, 1.0, 1.0, 0, parsed.seed, cap.unbiased, (one,))


def _leaves_of(head: bytes, data: bytes, count: int, plan: Plan) -> Leaves:
    if head[0] >= BLOCKS:
        return read_leaves(data, count, plan)
    index, _ = single.read_index(data, single.Head.unpack(head))
    return Leaves(*(np.array([value]) for value in (count, 1, index)))


def describe(head: bytes, spec: TensorSpec, guarantee: Guarantee) -> dict:
    """Mode, block length, seed and classes of a head, as plain data; raises Corrupt when it cannot be right."""
    plan = _plan_of(head, spec, guarantee)
    blocks = head[0] >= BLOCKS
    return {
        "mode": "blocks" if blocks else "one block",
        "block": plan.length,
        "seed": plan.seed,
        **({"step": plan.step * 2.0**plan.exponent} if blocks else {}),
        "classes": [
            {
                "length": one.length,
                "level": n + 1,
                "cap": float(one.caps[n]),
                "cap_bits": float(one.cap_bits[n]),
                "expected_index_bits": geometric_entropy(float(one.cap_bits[n])),
            }
            for one in plan.classes
            for n in range(len(one))
        ],
    }


def index_report(
    head: bytes, spec: TensorSpec, guarantee: Guarantee, chunks: Iterable[tuple[bytes, int]]
) -> list[ClassReport]:
    """Measured and expected bits of the indices, by class, over chunks (bytes, number of values)."""
    plan = _plan_of(head, spec, guarantee)
    reports = _reports(plan)
    for data, count in chunks:
        leaves = _leaves_of(head, data, count, plan)
        for (length, level), one in reports.items():
            indices = leaves.indices[(leaves.lengths == length) & (leaves.levels == level)]
            reports[length, level] = one.plus(indices, int(plan.moduli[plan.base[length] + level - 1]))
    return list(reports.values())


def _reports(plan: Plan) -> dict[tuple[int, int], ClassReport]:
    """Of each class of a plan, by length and level, with no blocks yet."""
    return {
        (one.length, n + 1): ClassReport(one.length, n + 1, float(one.caps[n]), float(one.cap_bits[n]))
        for one in plan.classes
        for n in range(len(one))
    }


def _golomb_lengths(indices: np.ndarray, modulus: int) -> np.ndarray:
    digits = modulus.bit_length() - 1
    spare = (2 << digits) - modulus
    return indices // modulus + 1 + digits + (indices % modulus >= spare)


def cap_report(head: bytes, spec: TensorSpec, guarantee: Guarantee, data: bytes, values: np.ndarray) -> CapReport:
    """Test the cap of every block of a chunk with a direction against the original values of that chunk."""
    plan = _plan_of(head, spec, guarantee)
    leaves = _leaves_of(head, data, values.size, plan)
    x = np.zeros(int(leaves.lengths.sum()))
    first, second = power_of_two(-int(np.frexp(np.abs(widen(values)).max())[1]))
    x[: values.size] = widen(values).astype(np.float64) * first * second
    projections = np.empty(len(leaves.lengths))
    keys = np.zeros(plan.length + 1, dtype=np.uint64)
    for one in plan.classes:
        keys[one.length] = stream(plan.seed, one.length)
    kernels.project_blocks(keys, leaves.lengths, leaves.levels, leaves.indices, x, projections)
    norms = np.sqrt(np.add.reduceat(x * x, np.cumsum(leaves.lengths) - leaves.lengths))
    ratios = [np.empty(0)]
    for one in plan.classes:
        here = (leaves.lengths == one.length) & (leaves.levels > 0)
        rims = norms[here] * np.sqrt(1 - one.caps[leaves.levels[here] - 1])
        ratios.append(projections[here] / np.where(rims > 0, rims, 1.0))
    ratio = np.concatenate(ratios)
    return CapReport(ratio.size, int((ratio < 1 - _ROUNDING).sum()), float(ratio.min(initial=np.inf)))


def try_vectors(head: bytes, spec: TensorSpec, guarantee: Guarantee, trials: int) -> ClassReport:
    """The indices that `trials` random directions would have as the one block of this head."""
    plan = _plan_of(head, spec, guarantee)
    (one,) = _reports(plan).values()
    modulus = int(plan.moduli[0])
    limit = modulus * (tree.MAX_QUOTIENT + 1)
    numbers = np.random.default_rng(0)
    indices = []
    for start in range(0, trials, rows := max(1, _BATCH // spec.size)):
        blocks = numbers.standard_normal((min(rows, trials - start), spec.size))
        norms = np.sqrt(np.einsum("ij,ij->i", blocks, blocks))
        found, _ = find(blocks, norms, np.full(len(blocks), one.cap), np.full(len(blocks), limit), plan.seed)
        indices.append(found)
    return one.plus(np.concatenate(indices), modulus)
