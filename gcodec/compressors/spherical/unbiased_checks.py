"""What `verify` can test of an unbiased `sc` payload with the original at hand.

A block decodes to norm·v·s with the norm rounded up or down by a coin, v the first direction in the
cap, and s = 1/(the mean cosine over the cap). So the expected error follows from the original and
the head. With `--trials` the coins and the searches are done once more, with the record's own seed:
they must give its own bytes.
"""

import math
from collections.abc import Callable, Iterator

from ...source import Source
from ..common.noise import noise_check
from ..common.scaled import Scaled, energy, expected_in_dtype
from ..contract import Check, CodedTensor, Payload
from . import one_block as single
from .blocks import Rules
from .choose import Survey
from .plan import BLOCKS, Plan

_ROUNDED = 2.0**-6  # units of the last digit; more than sums of squares are off by
_SCALE = 2.0**-20  # relative; more than the rounding of a scale to float32
Again = Callable[[int], Payload]  # the payload that the original gives with a seed


def of_record(coded: CodedTensor, original: Source, trials: int, again: Again, rules: Rules) -> Iterator[Check]:
    """The noise, the scales, and with trials the bytes."""
    values, head = Scaled.of(original), coded.payload.head
    total = math.fsum(energy(part) for _, part in values.pieces())
    if head[0] < BLOCKS:
        cap, parsed = single.Cap.of(coded.guarantee, coded.spec), single.Head.unpack(head)
        seed, scale, (span,) = parsed.seed, cap.scale * math.sqrt(total), coded.spans
        off = single.units_off(coded.payload.code(*span), parsed, scale, values.exponent, coded.spec)
        yield _norm_check(off)
        expected, beyond = cap.expected or 0.0, 1.01 * scale
    else:
        plan = Plan.unpack(head)
        yield _scales_check(plan)
        values, seed = Scaled(original, plan.exponent), plan.seed
        total = math.fsum(energy(part) for _, part in values.pieces())
        expected, beyond = Survey.of(values.pieces(), plan, rules).error() / total, plan.largest
    yield noise_check(expected_in_dtype(expected, beyond, math.sqrt(total), values), coded, "plan")
    if trials:
        yield _bytes_check(coded, again(seed))


def _norm_check(off: float) -> Check:
    """Whether the scale is one of the two numbers next to the right one."""
    detail = "the stored norm is ‖x‖ over the mean cosine of the cap, rounded to its last binary digit: "
    return Check("norm", abs(off) < 1 + _ROUNDED, f"{detail}it is off by {off:+.4g} of that digit, and may be by 1")


def _scales_check(plan: Plan) -> Check:
    """Whether the scale of each class makes it unbiased."""
    off = max(
        [abs(float(s * c) - 1) for one in plan.classes for s, c in zip(one.scales, one.cosines, strict=True)] or [0]
    )
    words = "norms are rounded at random" if plan.unbiased else "norms are rounded to the nearest, which is biased"
    detail = f"{words}; scale times mean cosine is 1 within {off:.2g}"
    return Check("scales", plan.unbiased and off <= _SCALE, detail)


def _bytes_check(coded: CodedTensor, again: Payload) -> Check:
    """Whether the coins and the first directions in the caps are those of the seed."""
    same = again.head == coded.payload.head and again.chunk == coded.payload.chunk
    same = same and all(again.code(*span) == coded.payload.code(*span) for span in coded.spans)
    words = "are" if same else "are NOT"
    return Check("seed", same, f"the coins and the first directions of this seed {words} those of the payload")
