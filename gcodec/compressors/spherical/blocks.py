"""Spherical compression of a tensor in blocks: one chunk to bytes and back.

Encoding takes the blocks length by length, from the longest. `walk` says which level each block
has. The search finds directions for those with a class. A block that finds none is split, and comes
again at half the length. Decoding is `Plan.unpack` once and `decode_chunk` for each chunk.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...dtypes import work_dtype
from ...errors import Corrupt
from ...kernels import spherical as kernels
from ...kernels import spherical_tree as tree
from ..common.scaled import power_of_two
from ..contract import TensorSpec
from .plan import Plan, lengths_of
from .search import COINS, find, stream


@dataclass(frozen=True)
class Rules:
    """How an encoder gives blocks their levels.

    zero: norms below this many steps become 0; it is at least ½.
    unbiased: whether norms are rounded at random, by coins of the seed.
    max_draws: the most directions that are tried for one block.
    """

    zero: float
    unbiased: bool
    max_draws: int


@dataclass(frozen=True)
class Nodes:
    """All blocks of one length in a chunk: places, values, norms and levels.

    A level above the last class means that the block is to be split.
    """

    length: int
    starts: np.ndarray
    blocks: np.ndarray
    norms: np.ndarray
    levels: np.ndarray


def walk(values: np.ndarray, start: int, plan: Plan, rules: Rules, visit: Callable[[Nodes], np.ndarray]) -> None:
    """Visit the blocks of a chunk of float64 values, by length from the longest to 1.

    start: the flat index of the first value. The last block is filled up with zeros. `visit`
    returns the levels that the blocks get in the end: those of the nodes, or one beyond the last
    class for a block that is to be split nevertheless.
    """
    pad = -values.size % plan.length
    values = np.concatenate([values, np.zeros(pad)]) if pad else values
    waiting: dict[int, list[np.ndarray]] = {k: [] for k in lengths_of(plan.length)}
    waiting[plan.length].append(np.arange(0, values.size, plan.length))
    for k in waiting:
        starts = np.sort(np.concatenate(waiting[k])) if waiting[k] else np.empty(0, dtype=np.int64)
        blocks = values[starts[:, None] + np.arange(k)]
        norms = np.sqrt(np.einsum("ij,ij->i", blocks, blocks))
        levels = visit(Nodes(k, starts, blocks, norms, _levels(k, norms, starts + start, plan, rules)))
        if k > 1:
            split = starts[levels > plan.counts[k]]
            waiting[k - k // 2].append(split)
            waiting[k // 2].append(split + (k - k // 2))


def _levels(k: int, norms: np.ndarray, places: np.ndarray, plan: Plan, rules: Rules) -> np.ndarray:
    """The level of each block.

    Whether a block is split depends on its norm alone, so random rounding stays unbiased.
    """
    steps = norms / plan.step
    if rules.unbiased:
        coins = np.empty(len(norms))
        kernels.fill_coins(stream(plan.seed, COINS + k), places, coins)
        levels = np.floor(steps)
        levels += coins < steps - levels
    else:
        zero = rules.zero if k > 1 else min(rules.zero, 0.6)
        levels = np.where(steps < zero, 0, np.maximum(np.floor(steps + 0.5), 1))
    if k == 1:
        return levels.astype(np.int64)
    top = plan.counts[k]
    loud = steps > top if rules.unbiased else levels > top
    return np.where(loud, top + 1, levels).astype(np.int64)


@dataclass(frozen=True)
class CodedChunk:
    """A chunk's bytes, and what its blocks add up to.

    projections, counts: for each length above 1, the sums of the projections ⟨x, v⟩ and the numbers
    of blocks, by level.
    """

    data: bytes
    projections: dict[int, np.ndarray]
    counts: dict[int, np.ndarray]


def encode_chunk(values: np.ndarray, start: int, plan: Plan, rules: Rules) -> CodedChunk:
    """Code float64 values. A block without a direction is split.

    start: the flat index of the first value.
    """
    levels: dict[int, np.ndarray] = {}
    indices, projections, counts = {}, {}, {}

    def visit(nodes: Nodes) -> np.ndarray:
        k = nodes.length
        if k == 1:
            levels[k], indices[k] = nodes.levels, (nodes.blocks[:, 0] < 0).astype(np.int64)
        else:
            levels[k], indices[k], found = _search(nodes, plan, rules)
            width = int(plan.counts[k]) + 2
            projections[k] = np.bincount(levels[k], found, width)
            counts[k] = np.bincount(levels[k], minlength=width)
        return levels[k]

    walk(values, start, plan, rules, visit)
    order = sorted(levels)
    cursor = np.zeros(plan.length + 1, dtype=np.int64)
    cursor[order] = np.cumsum([0] + [levels[k].size for k in order[:-1]])
    all_levels = np.concatenate([levels[k] for k in order])
    all_indices = np.concatenate([indices[k] for k in order])
    out = np.zeros(64 + 128 * all_levels.size, dtype=np.uint8)
    size = tree.write_tree(
        values.size, plan.length, plan.counts, plan.base, plan.moduli, cursor, all_levels, all_indices, out
    )
    return CodedChunk(out[:size].tobytes(), projections, counts)


def _search(nodes: Nodes, plan: Plan, rules: Rules) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The level of each block, and the index and projection of its direction.

    A block that finds no direction gets the level that says "split".
    """
    k, top, levels = nodes.length, int(plan.counts[nodes.length]), nodes.levels.copy()
    indices = np.zeros(len(nodes.starts), dtype=np.int64)
    projections = np.zeros(len(nodes.starts))
    chosen = np.flatnonzero((nodes.levels > 0) & (nodes.levels <= top))
    if chosen.size:
        (classes,) = (one for one in plan.classes if one.length == k)
        which = nodes.levels[chosen] - 1
        limits = np.minimum(classes.moduli * (tree.MAX_QUOTIENT + 1), rules.max_draws)
        found, reached = find(nodes.blocks[chosen], nodes.norms[chosen], classes.caps[which], limits[which], plan.seed)
        levels[chosen[found < 0]] = top + 1
        indices[chosen] = np.maximum(found, 0)
        projections[chosen] = np.where(found < 0, 0.0, reached)
    return levels, indices, projections


def with_centroids(plan: Plan, projections: dict[int, np.ndarray], counts: dict[int, np.ndarray]) -> Plan:
    """The plan with the scales of least error.

    A scale is the mean projection of a class, divided by the norm that its level stands for.
    """
    scales = {}
    for one in plan.classes:
        n = np.arange(1, len(one) + 1)
        number = counts[one.length][n]
        means = projections[one.length][n] / np.maximum(number, 1)
        scales[one.length] = np.where(number > 0, means / (n * plan.step), one.scales)
    return plan.with_scales(scales)


@dataclass(frozen=True)
class Leaves:
    """The blocks of a chunk that were not split, in order: lengths, levels, indices (int64)."""

    lengths: np.ndarray
    levels: np.ndarray
    indices: np.ndarray


def read_leaves(data: bytes, count: int, plan: Plan) -> Leaves:
    """Parse a chunk of `count` values. Raises Corrupt when it cannot be right."""
    room = count + plan.length
    lengths, levels, indices = (np.empty(room, dtype=np.int64) for _ in range(3))
    coded = np.frombuffer(data, dtype=np.uint8)
    leaves = tree.read_tree(coded, count, plan.length, plan.counts, plan.base, plan.moduli, lengths, levels, indices)
    if leaves < 0:
        raise Corrupt("sc: a chunk's data cannot be right")
    return Leaves(lengths[:leaves], levels[:leaves], indices[:leaves])


def decode_chunk(data: bytes, count: int, plan: Plan, spec: TensorSpec) -> np.ndarray:
    """The work values of a chunk. Raises Corrupt when its data cannot be right."""
    leaves = read_leaves(data, count, plan)
    out = np.empty(count + -count % plan.length, dtype=work_dtype(spec.dtype))
    power, largest = power_of_two(plan.exponent), float(np.finfo(out.dtype).max)
    rows = leaves.lengths, leaves.levels, leaves.indices
    with np.errstate(over="ignore"):  # plain Python would warn
        kernels.fill_values(plan.keys, plan.scales, plan.base, plan.step, power, largest, *rows, out)
    return out[:count]
