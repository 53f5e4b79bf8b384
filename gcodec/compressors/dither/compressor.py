"""`dither`: subtractive dither with a shared seed, through a trellis; unbiased.

Encoder and decoder draw the same dither u, independent and uniform in [−2, 2) for every value. With
y = x/step − u the encoder sends the path of integers j through a trellis that is nearest to y. The
decoder gives x̂ = step·(j + u). Then

    x̂ − x = step·(j − y)

and this depends only on y modulo 4: every trellis that allows a point j also allows j ± 4, and the
nearest path moves with y. Modulo 4, y is uniform and independent of x. So **the error is
independent of x**, and so is its variance.

*Its mean is 0.* Let C(s) be the paths from state s. With j = c₀ + 2c₁ (mod 4), the pairs (c₀, c₁)
of all paths of all states are a binary linear code. Adding c to the bits of j is an isometry of the
integers: j + 2c₁ if c₀ = 0, and 2c₁ + 1 − j if c₀ = 1. So the points nearest to a path d of C(s)
are those nearest to the zero path of C(0), moved by d, where the coordinates in which d is odd have
the opposite sign. The mean error in coordinate t is therefore μ·E(−1)^{d_t}. And d_t is odd with
probability ½ if the first state is drawn at random, as c₀ at time t is a linear function of the
first state that is not constant. With one state the points are the even integers, and the error is
uniform in [−1, 1).

*Its variance.* Let E(n) be the mean squared error of n values, in step². A path may be the best one
of the first n values, continued from where it ends by the best one of m others, and no first state
is better than another. So E(n + m) ≤ E(n) + E(m), and E(1) = 1/3. Estimates of E(2^k) then bound
E(n) for all n (`error_bound`).

This holds in exact arithmetic. In float64 x/step − u and step·(j + u) are off by at most 2⁻⁵² of
|x| + 4·step, and a bias is not larger than that. For float32 tensors x̂ is rounded at random, so
that the rounding adds no bias. A random rounding to a coarser dtype would cost too much variance
and is not offered: use `rsd`. Where x̂ might exceed the largest number of the dtype, it would be
cut and so biased: then `expected` is infinite. What an encoder chooses must not depend on the code
that it then sends. The code is entropy coded given the dither. See spec/compressors/08-dither.md.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...coding.bitstring import BitReader, BitWriter
from ...coding.rans import lanes_for
from ...errors import InvalidInput
from ...kernels.entropy.rans import MAX_LANES
from ...kernels.entropy.tokens import MAX_CLASSES
from ...kernels.levels import scales
from ...kernels.levels.paths import TRELLISES
from ...source import Source
from ..common.anatomy import Tally
from ..common.levels import Step
from ..common.sample import take
from ..common.scale_choice import SampledLevels, choose_classes, exponent_of, read, scan
from ..common.scale_classes import ScaleClasses, Tiling
from ..contract import LOOSEST, Check, CodedTensor, Compressor, Decode, Guarantee, Payload, Section, TensorSpec
from . import anatomy, checks
from .head import STATES, Dithering, read_head
from .noise import error_bound, rounding_noise
from .path import decode_path, encode_path, nearest_path

_FINEST = 2.0**-50  # the least step, relative to the largest magnitude
_COARSEST = 100  # no step of scaled values is twice 2 to this power
_MOST_STEPS = 3  # no error is larger: one of the integers that are 4 apart is at most 2 away
_HEAD_ROOM = 256  # bits
# The seed of the codes by which a trellis is chosen. The length of a code depends on its error, so
# a choice by the code that is sent would bias it.
_PROBE_SEED = 0x70726F6265


@dataclass(frozen=True)
class Dither(Compressor):
    """E x̂ = x and E‖x̂ − x‖² ≤ ω‖x‖² over the seed, for float32 and float64 tensors.

    seed: any integer; it is stored modulo 2⁶⁴. states: of the trellis: 1 (no trellis), 8 or 32, or
    0 for 1 or 8, whichever needs fewer bits. More states take more time to encode.
    """

    seed: int = 0
    states: int = 0

    kinds = ("omega",)
    work_per_value = 32

    def encode(self, source: Source, guarantee: Guarantee) -> Payload:
        """Raises InvalidInput for dtypes other than float32 and float64."""
        if source.dtype not in (np.float32, np.float64):
            raise InvalidInput(
                f"dither is unbiased for float32 and float64 only, as rounding to {source.dtype} would add a bias; use rsd"
            )
        plan = _plan(source, guarantee.bound, self.seed % 2**64, self._choose_states(source, guarantee.bound))
        return plan.payload()

    def _choose_states(self, source: Source, bound: float) -> int:
        """The number of states with the shortest code of the middle chunk, by the probe seed."""
        choices = self._choices()
        if len(choices) == 1:
            return choices[0]
        plans = [_plan(source, bound, _PROBE_SEED, states) for states in choices]
        tiling = plans[0].tiling
        middle = source.size // 2 // tiling.chunk * tiling.chunk
        span = middle, min(middle + tiling.chunk, source.size)
        return min(plans, key=lambda plan: len(plan.code(*span))).dithering.states

    def _choices(self) -> tuple[int, ...]:
        if self.states and self.states not in STATES:
            raise InvalidInput(f"dither has trellises of {', '.join(map(str, STATES))} states, not of {self.states}")
        return (self.states,) if self.states else (1, 8)

    @classmethod
    def decoder(cls, head: bytes, spec: TensorSpec) -> Decode:
        """The decoder, to step·(j + u), rounded at random for float32 tensors; raises Corrupt."""
        reader = BitReader(head, "dither head")
        if spec.dtype not in (np.float32, np.float64):
            raise reader.corrupt(f"{spec.dtype} is not a dtype of this compressor")
        dithering, shared = read_head(Tally(), reader, spec)

        def decode(data: bytes, start: int, count: int) -> np.ndarray:
            chunk = BitReader(data, "dither chunk")
            classes = shared.unpack_chunk(chunk, start, count)
            values = dithering.dither(start, count)
            firsts = dithering.first_states(start, MAX_LANES)
            decode_path(chunk, values, classes, firsts, TRELLISES[dithering.states][1:])
            return dithering.finish(values, start, spec.dtype)

        return decode

    @classmethod
    def checks(cls, coded: CodedTensor, original: Source | None, trials: int) -> Iterable[Check]:
        """With the original: whether each path is the nearest one, and the noise of the step."""
        return checks.of_record(coded, original) if original is not None else ()

    @classmethod
    def encode_again(cls, coded: CodedTensor, source: Source, seed: int) -> Payload:
        """The same encoding with another seed, by the record's own trellis and step."""
        own, _ = read_head(Tally(), BitReader(coded.payload.head, "dither head"), coded.spec)
        return _plan(source, min(coded.guarantee.bound, LOOSEST), seed, own.states, own.step).payload()

    @classmethod
    def sections(cls, coded: CodedTensor) -> Sequence[Section]:
        return anatomy.sections(coded)

    @classmethod
    def arrays(cls, coded: CodedTensor) -> Mapping[str, np.ndarray]:
        return anatomy.arrays(coded)


@dataclass(frozen=True)
class _Plan:
    """The choices of an encoder.

    step: for the values of the source times 2^-exponent. rate: about the bits of a value, for
    Gaussian values, by which the number of lanes is chosen.
    """

    source: Source
    exponent: int
    dithering: Dithering
    step: float
    classes: ScaleClasses
    rate: float
    expected: float

    @property
    def tiling(self) -> Tiling:
        return self.classes.tiling

    def payload(self) -> Payload:
        return Payload(self.head(), self.tiling.chunk, self.code, self.expected)

    def head(self) -> bytes:
        writer = BitWriter(_HEAD_ROOM)
        self.dithering.pack(writer)
        tail = self.classes.pack_head(writer)
        return writer.to_bytes() + tail

    def code(self, start: int, stop: int) -> bytes:
        """The bytes of the chunk with the flat indices start…stop-1."""
        dither = self.dithering.dither(start, stop - start)
        values = read(self.source, start, stop, math.ldexp(1.0, -self.exponent)).astype(np.float64)
        targets = values / self.step - dither
        lanes = lanes_for(self.rate * (stop - start))
        firsts = self.dithering.first_states(start, lanes)
        levels, books = nearest_path(targets, firsts, self.dithering.states)
        path = encode_path(levels, books, dither, self.classes.fill(start, stop), lanes)
        return self.classes.pack_chunk(start, stop) + path


def _plan(source: Source, bound: float, seed: int, states: int, known: Step | None = None) -> _Plan:
    """The choices for a bound. known: the step, if it is that of a record.

    A record may be forged, so a step that no encoder chooses is moved to where levels are exact.
    """
    exponent = exponent_of(source)
    scale = math.ldexp(1.0, -exponent)
    tiling = Tiling.of(source.shape, source.size)
    energies = scan(source, tiling, scale)
    rate = math.log2(1 + 1 / bound) / 2
    error = math.fsum(
        error_bound(stop - start, lanes_for(rate * (stop - start)), states) for start, stop in tiling.spans()
    )
    rounding = rounding_noise(source.dtype, bound, tiling.size, energies.total)
    finest = _FINEST * math.sqrt(energies.blocks.max())
    share = max(bound - rounding, 0.0) * (1 - 2.0**-40)  # room for the rounding of these sums
    step = Step.below(max(math.sqrt(share) * math.sqrt(energies.total / error), finest))
    if known is not None:
        scaled, least = known.times(-exponent), Step.below(finest)
        step = Step(scaled.mantissa, min(max(scaled.exponent, least.exponent), _COARSEST))
    expected = float(step) * float(step) * error / energies.total + rounding

    sample = take(source, tiling, energies, scale)
    values = sample.values
    levels = np.empty(values.size, np.int64)
    halves = np.full(MAX_CLASSES, 0.5)
    scales.quantise(values.astype(np.float64), 0.5 / float(step), np.zeros(values.size, np.uint8), halves, levels)
    return _Plan(
        source,
        exponent,
        Dithering(states, seed, step.times(exponent)),
        float(step),
        choose_classes(
            energies, tiling, 2 * float(step), SampledLevels.of(sample.spans, levels, sample.whole / sample.part)
        )[0],
        rate,
        math.inf if _may_be_cut(energies.blocks.max(), step, exponent, source.dtype) else expected,
    )


def _may_be_cut(energy: float, step: Step, exponent: int, dtype: np.dtype) -> bool:
    """Whether a value may decode beyond the largest number of the dtype.

    Then it would be cut, and its mean would not be x. energy: the largest one of a block of values,
    divided by 4^exponent, so that no |x|/2^exponent is above its root.
    """
    largest = math.sqrt(energy) + _MOST_STEPS * float(step)
    return math.log2(largest) + exponent >= math.log2(float(np.finfo(dtype).max))
