"""What the theory says of a tensor that spherical compression has coded, against what it holds: for `info` and `verify`.

The index of a direction is geometric with success P(α, k), the share of the sphere within the cap, whatever the tensor is
(over the seed). So over the blocks of one file its code should take −log2 P + log2 e bits on average, and at most
−log2 P + 3: the paper's statement for the average case.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..compressor import Guarantee, TensorSpec
from ..dtypes import widen
from ..kernels import spherical as kernels
from ..source import ArraySource
from ..theory.sphere import cap_bits
from ..theory.spherical import geometric_entropy
from . import spherical_single as single
from .scaled import power_of_two
from .spherical import Spherical
from .spherical_blocks import Leaves, read_leaves
from .spherical_plan import BLOCKS, Classes, Plan
from .spherical_search import stream

_ROUNDING = 1e-9  # of a cosine, when a block is projected again


@dataclass(frozen=True)
class ClassReport:
    """The blocks of one length and level in some chunks: how many; mean bits of their index, measured and in theory."""

    length: int
    level: int
    cap: float
    cap_bits: float
    blocks: int
    index_bits: float

    @property
    def expected_bits(self) -> float:
        """The entropy of the index: −log2 P + log2 e but for large P."""
        return geometric_entropy(self.cap_bits)


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
    counts = {one.length: np.zeros(len(one) + 1) for one in plan.classes}
    bits = {one.length: np.zeros(len(one) + 1) for one in plan.classes}
    for data, count in chunks:
        leaves = _leaves_of(head, data, count, plan)
        for one in plan.classes:
            here = (leaves.lengths == one.length) & (leaves.levels > 0)
            levels = leaves.levels[here]
            lengths = _golomb_lengths(leaves.indices[here], one.moduli[levels - 1])
            counts[one.length] += np.bincount(levels, minlength=len(one) + 1)
            bits[one.length] += np.bincount(levels, lengths, len(one) + 1)
    return [
        ClassReport(one.length, n, float(one.caps[n - 1]), float(one.cap_bits[n - 1]), blocks, total / max(blocks, 1))
        for one in plan.classes
        for n, blocks, total in zip(
            range(1, len(one) + 1),
            counts[one.length][1:].astype(int).tolist(),
            bits[one.length][1:].tolist(),
            strict=True,
        )
    ]


def _golomb_lengths(indices: np.ndarray, moduli: np.ndarray) -> np.ndarray:
    digits = np.frexp(moduli)[1] - 1
    spare = (2 << digits) - moduli
    return indices // moduli + 1 + digits + (indices % moduli >= spare)


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
    """Code `trials` random directions as the one block of this head was: `index_bits` is the mean over them."""
    plan = _plan_of(head, spec, guarantee)
    numbers = np.random.default_rng(plan.seed)
    total = 0.0
    alpha = float(plan.classes[0].caps[0])
    for _ in range(trials):
        values = numbers.standard_normal(spec.size).astype(np.float32)
        payload = Spherical(seed=plan.seed, block=spec.size).encode(ArraySource(values), guarantee)
        (report,) = index_report(payload.head, spec, guarantee, [(payload.code(0, spec.size), spec.size)])
        total += report.index_bits
    return ClassReport(spec.size, 1, alpha, cap_bits(alpha, spec.size), trials, total / trials)
