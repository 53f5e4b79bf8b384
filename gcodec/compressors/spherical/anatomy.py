"""A payload of `sc` section by section: norms, indices, single values."""

import numpy as np

from ...theory import sphere
from ...theory.sparse_dithering import NORM_BITS
from ...theory.sphere import cap_bits
from ...theory.spherical import golomb_mean_bits
from ..contract import CodedTensor, Section
from . import golomb
from . import one_block as single
from .blocks import read_leaves
from .plan import BLOCKS, Plan


def sections(coded: CodedTensor) -> list[Section]:
    """The sections of one block, or of a tensor in blocks."""
    head = coded.payload.head
    return _of_one_block(coded) if head[0] < BLOCKS else _of_blocks(coded, Plan.unpack(head))


def yardsticks(coded: CodedTensor) -> list[tuple[str, float]]:
    """Of one block the paper's mean, with 31 bits of norm; of blocks the least of any code."""
    if coded.payload.head[0] >= BLOCKS:
        d, kind, bound = coded.spec.size, coded.guarantee.kind, coded.guarantee.bound
        least = sphere.cap_bits(bound, d) if kind == "alpha" else sphere.uncertainty_bits(bound / (1 + bound), d)
        return [("the least mean over random directions of this length", least)]
    bits = cap_bits(single.Cap.of(coded.guarantee, coded.spec).alpha, coded.spec.size)
    return [("31 − log2 P + 3, the mean at most", NORM_BITS + bits + 3), ("−log2 P, the least of the mean", bits)]


def arrays(coded: CodedTensor) -> dict[str, np.ndarray]:
    """ "lengths", "norms", "scales" and "indices" of the blocks; of single values, 1 is a minus.

    A block decodes to norm·scale·v. The only block of a tensor has its scale in the norm.
    """
    head = coded.payload.head
    if head[0] < BLOCKS:
        (span,) = coded.spans
        data, parsed = coded.payload.code(*span), single.Head.unpack(head)
        index, _ = single.read_index(data, parsed)
        norm = single.norm_of(data, parsed, coded.spec)
        blocks = {"lengths": span[1], "norms": norm, "scales": 1.0, "indices": index}
        return {name: np.array([value]) for name, value in blocks.items()}
    plan = Plan.unpack(head)
    found = [read_leaves(coded.payload.code(start, stop), stop - start, plan) for start, stop in coded.spans]
    lengths, levels = (np.concatenate([getattr(one, name) for one in found]) for name in ("lengths", "levels"))
    with np.errstate(over="ignore"):  # a norm may be beyond float64
        norms = np.ldexp(levels * plan.step, plan.exponent)
    scales = np.ones(lengths.size)
    for one in plan.classes:
        here = (lengths == one.length) & (levels > 0)
        scales[here] = one.scales[levels[here] - 1]
    return {
        "lengths": lengths,
        "norms": norms,
        "scales": scales,
        "indices": np.concatenate([leaves.indices for leaves in found]),
    }


def _of_one_block(coded: CodedTensor) -> list[Section]:
    head, (span,) = coded.payload.head, coded.spans
    data = coded.payload.code(*span)
    _, left = single.read_index(data, single.Head.unpack(head))
    alpha = single.Cap.of(coded.guarantee, coded.spec).alpha
    mean = golomb_mean_bits(cap_bits(alpha, coded.spec.size))
    seed = 8.0 * max(len(head) - 2, 0)
    return [
        Section("norm", float(left), NORM_BITS, "with as many digits as the last byte has room for"),
        Section("index", 8.0 * len(data) - left, mean, "the first direction within the cap; the formula is a mean"),
        Section("Golomb code", 8.0 * len(head) - seed, None, "the number of the code of the index"),
        Section("seed", seed, None, "of the shared directions"),
    ]


def _of_blocks(coded: CodedTensor, plan: Plan) -> list[Section]:
    head = coded.payload.head
    seed = 8.0 * (head[0] & 15)
    moduli = {one.length: one.moduli for one in plan.classes}
    means = {one.length: one.index_bits for one in plan.classes}
    indices, formula, singles, whole, blocks = 0.0, 0.0, 0.0, 0.0, 0
    for start, stop in coded.spans:
        data = coded.payload.code(start, stop)
        leaves = read_leaves(data, stop - start, plan)
        whole += 8 * len(data)
        singles += float(((leaves.lengths == 1) & (leaves.levels > 0)).sum())
        for length, own in moduli.items():
            here = (leaves.lengths == length) & (leaves.levels > 0)
            level, index = leaves.levels[here] - 1, leaves.indices[here]
            blocks += index.size
            indices += float(_golomb_lengths(index, own[level]).sum())
            formula += float(means[length][level].sum())
    return [
        Section("norms and splits", whole - indices - singles, None, "one adaptive code of levels"),
        Section("indices", indices, formula, f"{blocks:,} directions; the formula is a mean"),
        Section("signs of single values", singles, singles),
        Section("plan", 8.0 * len(head) - seed, None, "block length, step, and the scale of each class"),
        Section("seed", seed, None, "of the shared directions"),
    ]


def _golomb_lengths(numbers: np.ndarray, moduli: np.ndarray) -> np.ndarray:
    """The lengths of the Golomb codes of numbers."""
    pairs = zip(numbers.tolist(), moduli.tolist(), strict=True)
    return np.array([golomb.encode(number, modulus)[1] for number, modulus in pairs], np.int64)
