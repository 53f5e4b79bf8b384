"""What `verify` can test of `sc` beyond its guarantee: the lengths of the indices, and the caps."""

import math
from collections.abc import Iterator, Sequence

from ...source import Source
from ...theory import sphere
from ..common.noise import apart
from ..contract import Check, CodedTensor
from .report import CapReport, ClassReport, Coding, cap_report, index_report, try_vectors

CHANCE = 1e-6  # a file whose indices are as theory says fails with this probability at most


def of_record(coded: CodedTensor, original: Source | None, trials: int) -> Iterator[Check]:
    """The checks of one tensor.

    The paper's statement for the average case is tested on the tensor's own blocks. If the tensor
    is one block, it is tested on `trials` random vectors as well. The whole payload is shown beside
    what one block would take. With the original, every block's cap is tested.
    """
    payload, spans = coded.payload, coded.spans
    coding = Coding.of(payload.head, coded.spec, coded.guarantee)
    classes = index_report(coding, ((payload.code(start, stop), stop - start) for start, stop in spans))
    yield index_check("index", classes)
    yield _average_check(coded, sum(one.index_bits for one in classes))
    if trials and coding.one_block:
        yield index_check("index, random vectors", [try_vectors(coding, trials)])
    elif trials:
        yield Check("trials", True, f"each with the file's own blocks, of up to {coding.length} values, and their caps")
    if original is not None:
        yield _cap_check([cap_report(coding, payload.code(*span), original.read(*span)) for span in spans])


def index_check(name: str, classes: Sequence[ClassReport]) -> Check:
    """The mean of the indices' bits against −log2 P + 3 and what chance may add."""
    blocks = sum(one.blocks for one in classes)
    if blocks == 0:
        return Check(name, True, "no block has a direction")
    measured = math.fsum(one.index_bits for one in classes) / blocks
    cap = math.fsum(one.blocks * one.cap_bits for one in classes) / blocks
    expected = math.fsum(one.blocks * one.expected_bits for one in classes) / blocks
    slack = _chance(sum(one.deviation for one in classes) / blocks)
    power = f"chance may add {slack:.2g}" if slack <= 3 else "not enough independent blocks to tell"
    theory = f"expected is {expected:.3f}, the paper allows {cap + 3:.3f} ({power})"
    detail = f"{measured:.3f} bits in the mean over {_blocks(blocks)}; {theory}"
    return Check(name, measured <= cap + 3 + slack, detail)


def _chance(deviation: float) -> float:
    """The bits by which the mean of n = 1/deviation² independent indices may miss its expectation.

    It is beyond with probability CHANCE at most. An index times P is nearly exponential, and its
    code takes one bit for each ln 2 of that. For exponential numbers of mean 1 Chernoff's bound is
    P(mean ≥ 1 + t) ≤ exp(−n(t − ln(1+t))), and t − ln(1+t) ≥ t²/(2 + 4t/3).
    """
    a = -math.log(CHANCE) * deviation**2
    return (2 * a / 3 + math.sqrt(4 * a * a / 9 + 2 * a)) / math.log(2)


def _average_check(coded: CodedTensor, index_bits: float) -> Check:
    """All bits of the payload beside the least that vectors of random direction take on average."""
    d, kind, bound, bits = coded.spec.size, coded.guarantee.kind, coded.guarantee.bound, coded.bits
    least = sphere.cap_bits(bound, d) if kind == "alpha" else sphere.uncertainty_bits(bound / (1 + bound), d)
    rest = f"{index_bits:,.0f} bits of indices, {bits - index_bits:,.0f} others"
    detail = f"{rest}: {apart(bits - least, d)} the least mean of all directions, {least:,.0f}"
    return Check("average case", True, detail)


def _cap_check(caps: Sequence[CapReport]) -> Check:
    outside, blocks = sum(cap.outside for cap in caps), sum(cap.blocks for cap in caps)
    if blocks == 0:
        return Check("caps", True, "no block has a direction")
    margin = min(cap.margin for cap in caps)
    detail = (
        f"{outside:,} of {_blocks(blocks)} outside; the one nearest to the rim has a cosine of √(1−α) {margin:+.6f}"
    )
    return Check("caps", outside == 0, detail)


def _blocks(count: int) -> str:
    return f"{count:,} block{'s' if count != 1 else ''}"
