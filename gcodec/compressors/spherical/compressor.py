"""`sc`: spherical compression, the paper's code on short tensors, and in blocks on any.

Encoder and decoder share directions v₀, v₁, … drawn from a seed. For a vector x the encoder sends
the norm, and the index of the first direction with ⟨x/‖x‖, v⟩ ≥ √(1−α). A tensor for which that
takes too many draws is cut into blocks. plan.py says how they share one step and one number of
draws, and spec/compressors/04-spherical.md has the bytes.

Source: Albasyoni, Safaryan, Condat, Richtárik, "Optimal Gradient Compression for Distributed and
Federated Learning", arXiv 2010.03246 (2020).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral
from typing import Any, ClassVar

import numpy as np

from ...errors import Corrupt, InvalidInput
from ...kernels import spherical as kernels
from ...source import Source
from ...theory import sphere
from ...theory.sparse_dithering import NORM_BITS
from ...theory.spherical import cap_for_omega
from ..common.scaled import Scaled, energy, expected_in_dtype
from ..common.step_search import solve_step
from ..contract import (
    CHUNK,
    Check,
    CodedTensor,
    Compressor,
    Decode,
    Guarantee,
    Payload,
    Section,
    TensorSpec,
    UpperBound,
)
from . import anatomy, checks, unbiased_checks
from . import one_block as single
from .blocks import Rules, decode_chunk, encode_chunk, with_centroids
from .choose import FINEST, LENGTHS, Problem, Survey, best_survey
from .plan import BLOCKS, DRAWS_RATIO, Plan

_DEFAULT_DRAWS = 1 << 22  # the most for a block of several
MAX_DRAWS = 1 << 31  # the most draws that can be asked for
_ZERO = 0.8  # norms below this many steps become 0, of a code that is not unbiased
_SEARCHES = 8  # the most searches of the whole tensor to meet a bound
_MESSAGE_BITS = 18  # a message is one block if that takes up to 2^18 draws on average: some 10 ms


@dataclass(frozen=True)
class Spherical(Compressor):
    """Spherical compression.

    seed: the seed of the shared directions, 0…2⁶⁴−1.
    max_draws: the most directions that are tried for a block, 64…2³¹. Caps are chosen so that a
    search takes a 32nd of them on average. None stands for 2²², and for up to 2²⁵ where that makes
    a short tensor one block.
    block: the length of the longest blocks, 1…128. The tensor's whole size, or more, stands for one
    block; None lets the encoder choose.

    The guarantee is "alpha", for every input, or "omega". With "omega" the code is unbiased over
    uniform seeds, for float32 and float64 tensors. At the ends of the dtype's range it cannot be,
    and the payload's `expected` is infinite.
    """

    seed: int = 0
    max_draws: int | None = None
    block: int | None = None

    kinds: ClassVar[tuple[str, ...]] = ("alpha", "omega")
    work_per_value: ClassVar[int] = 128  # where all blocks are split and then found to be zeros

    def encode(self, source: Source, guarantee: Guarantee) -> Payload:
        """The payload, as one block or in blocks.

        Raises InvalidInput for options out of range, for one block that takes more draws than
        max_draws allows, and for "omega" in a dtype that rounds too coarsely for it.
        """
        self._check(source, guarantee)
        values = Scaled.of(source)
        whole = self.block is not None and self.block >= source.size
        draws = self.max_draws / DRAWS_RATIO if self.max_draws else single.default_draws(source.size)
        if whole:
            single.check(guarantee, values.spec, draws)
        if whole or self.block is None and single.is_cheap(guarantee, values.spec, draws):
            return self._encode_single(values, single.Cap.of(guarantee, values.spec), int(draws * DRAWS_RATIO))
        return self._encode_blocks(values, guarantee)

    def _check(self, source: Source, guarantee: Guarantee) -> None:
        draws = _DEFAULT_DRAWS if self.max_draws is None else self.max_draws
        for name, value in (("seed", self.seed), ("max_draws", draws), ("block", self.block or 0)):
            if not isinstance(value, Integral):
                raise InvalidInput(f"{name} must be a whole number, not {value!r}")
        if not 0 <= self.seed < 1 << 64:
            raise InvalidInput(f"seed must be in 0…2^64−1, not {self.seed}")
        if not 2 * DRAWS_RATIO <= draws <= MAX_DRAWS:
            raise InvalidInput(f"max_draws must be in {2 * DRAWS_RATIO}…2^31, not {draws}")
        if self.block is not None and not (1 <= self.block <= kernels.MAX_LENGTH or self.block >= source.size):
            raise InvalidInput(
                f"block must be in 1…{kernels.MAX_LENGTH}, or the tensor's whole size ({source.size}, shape "
                f"{source.shape}) for one block, not {self.block}"
            )
        if guarantee.kind == "omega" and source.dtype not in (np.float32, np.float64):
            raise InvalidInput(
                f"sc cannot be unbiased in {source.dtype}: rounding to it is not. Use method rsd, or convert to float32"
            )

    def _encode_single(self, values: Scaled, cap: single.Cap, max_draws: int) -> Payload:
        payload = _in_one(values, cap, self.seed, max_draws)
        if cap.expected is None:
            return payload
        norm = math.sqrt(energy(values.read(0, values.size)))
        return replace(payload, expected=expected_in_dtype(cap.expected, 1.01 * cap.scale * norm, norm, values))

    def _encode_blocks(self, values: Scaled, guarantee: Guarantee) -> Payload:
        unbiased = guarantee.kind == "omega"
        bound = guarantee.bound * (1 - 2.0**-10)
        rules = Rules(zero=_ZERO, unbiased=unbiased, max_draws=self.max_draws or _DEFAULT_DRAWS)
        total = math.fsum(energy(part) for _, part in values.pieces())
        problem = Problem(values.pieces, total, values.size, bound, rules, values.exponent, self.seed)
        lengths = tuple(k for k in LENGTHS if k <= values.size) or LENGTHS[:1]
        survey = best_survey(problem, lengths if self.block is None else (self.block,))
        payload = _in_chunks(values, survey.used(), survey.rules)
        if unbiased:
            expected = expected_in_dtype(survey.error() / total, survey.used().largest, math.sqrt(total), values)
            return replace(payload, expected=expected)
        if values.size > payload.chunk or survey.plan.step == FINEST:
            return payload
        plan, data = self._closed_loop(values, guarantee.bound, problem, survey)
        return Payload(plan.pack(), payload.chunk, lambda start, stop: data)

    def _closed_loop(self, values: Scaled, bound: float, problem: Problem, first: Survey) -> tuple[Plan, bytes]:
        """The plan and the bytes of the only chunk, with an error in [0.99, 1] of the bound.

        It searches, decodes, measures and corrects the step, until the error is there.
        """
        tried: dict[float, tuple[float, Plan, bytes]] = {}
        problem = replace(problem, rules=first.rules)
        length, spread = first.plan.length, first.plan.spread
        wanted = values.read(0, values.size)

        def distortion(step: float) -> float:
            survey = first if step == first.plan.step else problem.survey(length, spread, step)
            coded = encode_chunk(wanted, 0, survey.used(), problem.rules)
            plan = with_centroids(survey.used(), coded.projections, coded.counts)
            error = values.error(decode_chunk(coded.data, values.size, plan, values.spec))
            tried[step] = error, plan, coded.data
            return error

        step = solve_step(distortion, bound, first.plan.step, 0.01, _SEARCHES)
        _, plan, data = tried[step] if step > 0 else min(tried.values(), key=lambda one: one[0])
        return plan, data

    @classmethod
    def decoder(cls, head: bytes, spec: TensorSpec) -> Decode:
        if not head:
            raise Corrupt("sc: the head is empty")
        if head[0] < BLOCKS:
            parsed = single.Head.unpack(head)
            return lambda data, start, count: single.decode(data, count, parsed, spec)
        plan = Plan.unpack(head)
        return lambda data, start, count: decode_chunk(data, count, plan, spec)

    @classmethod
    def upper_bound(cls, coded: CodedTensor) -> UpperBound | None:
        """The paper's bound of the mean for one block: 31 bits of norm and −log2 P + 3 of index.

        There is no such bound for a tensor in blocks.
        """
        head = coded.payload.head
        if len(head) > single.MAX_HEAD:
            return None
        cap = single.Cap.of(coded.guarantee, coded.spec)
        expected = sphere.cap_bits(cap.alpha, coded.spec.size) + 3 + NORM_BITS
        overhead = single.overhead_bits(cap, coded.spec.dtype, len(head))
        return UpperBound(expected + overhead, "the paper's bound of the mean, 31 − log2 P + 3", False, overhead)

    @classmethod
    def may_try(cls, coded: CodedTensor) -> bool:
        """Means over seeds, or, of one block, the length of its index on random vectors."""
        return coded.guarantee.kind == "omega" or coded.payload.head[0] < BLOCKS

    @classmethod
    def checks(cls, coded: CodedTensor, original: Source | None, trials: int) -> Iterator[Check]:
        """Whether indices are as long as the paper says, and directions within their caps.

        If it is unbiased, also whether its noise and its coins are those of the head.
        """
        yield from checks.of_record(coded, original, trials)
        if original is not None and coded.guarantee.kind == "omega":
            again, rules = partial(cls.encode_again, coded, original), Rules(_ZERO, True, MAX_DRAWS)
            yield from unbiased_checks.of_record(coded, original, trials, again, rules)

    @classmethod
    def sections(cls, coded: CodedTensor) -> Sequence[Section]:
        return anatomy.sections(coded)

    @classmethod
    def yardsticks(cls, coded: CodedTensor) -> Sequence[tuple[str, float]]:
        return anatomy.yardsticks(coded)

    @classmethod
    def arrays(cls, coded: CodedTensor) -> Mapping[str, np.ndarray]:
        return anatomy.arrays(coded)

    @classmethod
    def encode_again(cls, coded: CodedTensor, source: Source, seed: int) -> Payload:
        """The same encoding with another seed, in the record's own blocks and caps."""
        head = coded.payload.head
        if head[0] < BLOCKS:
            return _in_one(Scaled.of(source), single.Cap.of(coded.guarantee, coded.spec), seed, MAX_DRAWS)
        plan = replace(Plan.unpack(head), seed=seed)
        return _in_chunks(Scaled(source, plan.exponent), plan, Rules(_ZERO, plan.unbiased, MAX_DRAWS))

    @classmethod
    def message_options(cls, spec: TensorSpec, guarantee: Guarantee) -> dict[str, Any]:
        """One block wherever it can be searched in some 10 ms, else blocks of three values."""
        d, bound = spec.size, guarantee.bound
        cap = bound if guarantee.kind == "alpha" else cap_for_omega(bound, d)
        one_block = sphere.cap_bits(cap, d) <= _MESSAGE_BITS
        return {"max_draws": DRAWS_RATIO << _MESSAGE_BITS} if one_block else {"max_draws": 1 << 8, "block": 3}


def _in_one(values: Scaled, cap: single.Cap, seed: int, max_draws: int) -> Payload:
    """The payload of one block."""
    head, data = single.encode(values.read(0, values.size), values.exponent, cap, seed, max_draws, values.spec)
    return Payload(head, values.size, lambda start, stop: data)


def _in_chunks(values: Scaled, plan: Plan, rules: Rules) -> Payload:
    """The payload of a plan in blocks. Each chunk is searched for when it is asked for."""

    def code(start: int, stop: int) -> bytes:
        return encode_chunk(values.read(start, stop), start, plan, rules).data

    return Payload(plan.pack(), CHUNK // plan.length * plan.length, code)
