"""A payload of `sd` or `rsd` beside the paper's count, section by section."""

import math
from typing import NamedTuple

import numpy as np

from ...kernels.entropy.enumerative import RICE_COST, rice_parameter
from ...theory import sparse_dithering as theory
from ...theory import sphere
from ..contract import CodedTensor, Section
from .code import unpack_levels

FILLING = "filling"
_SHARED = math.log2(16 / 15)  # what the choice of unary costs a chunk


class Counts(NamedTuple):
    """A chunk's number of zero levels, and the sum of the levels' magnitudes."""

    zeros: int
    level_sum: int


def chunk_counts(data: bytes, start: int, count: int) -> Counts:
    """What `paper_bits` needs to know of the chunk of `count` values from flat index `start` on.

    Raises Corrupt when `data` is not a code of `count` levels.
    """
    levels = unpack_levels(data, count, sign_known=start == 0)
    return Counts(count - int(np.count_nonzero(levels)), int(math.fsum(np.abs(levels))))


def paper_bits(size: int, zeros: int, level_sum: int) -> float:
    """31 + log2 d + log2 C(d, zeros) + (d − zeros) + Σ|k|: the paper's code length, d = `size`."""
    return theory.NORM_BITS + math.log2(size) + theory.log2_binomial(size, zeros) + (size - zeros) + level_sum


def sections(coded: CodedTensor) -> list[Section]:
    """The parts of the joint code at −log2 of their shares of the interval; the rest is filling."""
    size, whole = coded.spec.size, 8.0 * len(coded.payload.head)
    zeros, level_sum, signs, numbers, bitmap, parameters, levels = 0, 0, 0, 0.0, 0.0, 0.0, 0.0
    for start, stop in coded.spans:
        data, count = coded.payload.code(start, stop), stop - start
        found = unpack_levels(data, count, sign_known=start == 0)
        rest = np.abs(found[found != 0]).astype(np.int64) - 1
        rice = rice_parameter(np.frombuffer(data, np.uint8), count)
        zeros += count - rest.size
        level_sum += int(rest.sum()) + rest.size
        signs += rest.size - int(start == 0 and rest.size > 0)
        numbers += math.log2(count + 1)
        bitmap += theory.log2_binomial(count, rest.size)
        parameters += (RICE_COST if rice else _SHARED) if rest.size else 0.0
        levels += float((rest >> rice).sum()) + rest.size * (rice + 1)
        whole += 8 * len(data)
    parts = [
        Section("scale", 8.0 * len(coded.payload.head), theory.NORM_BITS, "its sign is that of the first level"),
        Section("number of zeros", numbers, math.log2(size), "log2(n + 1) for each chunk"),
        Section("zero bitmap", bitmap, theory.log2_binomial(size, zeros), "which levels are zero"),
        Section("signs", signs, size - zeros, "all but the first"),
        Section("levels", levels, level_sum, "in unary, or in a Rice code where that is shorter"),
        Section("level code", parameters, None, "how levels are coded: in unary, or by one of the Rice codes"),
    ]
    filling = whole - math.fsum(part.bits for part in parts)
    note = "to whole bytes; below 0 where the code of all parts together saves more"
    return [*parts, Section(FILLING, filling, None, note)]


def own_count(coded: CodedTensor) -> list[tuple[str, float]]:
    """The paper's count of these very levels."""
    counts = [chunk_counts(coded.payload.code(start, stop), start, stop - start) for start, stop in coded.spans]
    bits = paper_bits(coded.spec.size, sum(c.zeros for c in counts), sum(c.level_sum for c in counts))
    return [("the paper's count of these levels", bits)]


def for_every_vector(coded: CodedTensor) -> list[tuple[str, float]]:
    """What the paper's code takes at worst, and where the optimum lies, with 31 bits of norm."""
    nu, d = coded.guarantee.bound, coded.spec.size
    low, high = (theory.NORM_BITS + bits for bits in sphere.optimum_bits(nu, d))
    found = [("the exact count of the worst vector", theory.exact_bits(nu, d))]
    if nu == theory.PUBLISHED_NU and d >= 3:
        found.append(("30 + log2 d + 3.35 d", theory.published_bits(d)))
        found.append(("1.69 d above the optimum", low + 1.69 * d))
    return [*found, ("the optimum up to a constant, at least", low), ("the optimum up to a constant, at most", high)]


def on_average(coded: CodedTensor) -> list[tuple[str, float]]:
    """The paper's bound of the mean, and the lower bound of any unbiased code."""
    omega, d = coded.guarantee.bound, coded.spec.size
    bound = theory.published_expected_bits(omega, d)
    least = sphere.uncertainty_bits(omega / (1 + omega), d)
    return [("30 + log2 d + (log2 3 + 1/(2√ω)) d, the mean at most", bound), ("the least of any unbiased code", least)]


def arrays(coded: CodedTensor, scale: float) -> dict[str, np.ndarray]:
    """ "levels" (int64, signed), "signs" (int8), "zeros" (bool), like the tensor; and "scale"."""
    parts = []
    for start, stop in coded.spans:
        sign = math.copysign(1.0, scale)
        parts.append(unpack_levels(coded.payload.code(start, stop), stop - start, sign, sign_known=start == 0))
    levels = np.concatenate(parts).astype(np.int64).reshape(coded.spec.shape)
    return {
        "levels": levels,
        "signs": np.sign(levels).astype(np.int8),
        "zeros": levels == 0,
        "scale": np.array(abs(scale)),
    }
