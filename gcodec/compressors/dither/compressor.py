"""`dither`: subtractive dither with a shared seed, through a trellis, entropy coded given the dither; unbiased.

Encoder and decoder draw the same dither u, independent and uniform in [−2, 2) for every value. With y = x/step − u the encoder
sends the path of integers j through a trellis that is nearest to y; the decoder gives x̂ = step·(j + u). Then

    x̂ − x = step·(j − y)

and this depends on y modulo 4 only, as every trellis allows with a point j also j ± 4, and the nearest path moves with y.
Modulo 4, y is uniform and independent of x. So **the error is independent of x**, hence so is its variance.

*Its mean is 0.* Let C(s) be the paths from state s. With j = c₀ + 2c₁ (mod 4) the pairs (c₀, c₁) of all paths of all states are a
binary linear code, and adding c to j's bits is an isometry of the integers: j + 2c₁ if c₀ = 0, else 2c₁ + 1 − j. So the
points nearest to a path d of C(s) are those nearest to the zero path of C(0), moved by d, with the signs of the coordinates
where d is odd reversed. The error's mean in coordinate t is therefore μ·E(−1)^{d_t}, and d_t is odd with probability ½ when
the first state is drawn at random: c₀ at time t is a linear function of the first state that is not constant.
For the trellis with one state, whose points are the even integers, the error is uniform in [−1, 1).

*Its variance.* Let E(n) be the mean squared error of n values, in step². A path may be the best one of the first n values,
continued from where it ends by the best one of m others, and no first state is better than another; so
E(n + m) ≤ E(n) + E(m), and E(1) = 1/3. Estimates of E(2^k) then bound E(n) for all n (`error_bound`).

This holds in exact arithmetic. In float64 x/step − u and step·(j + u) are off by at most 2⁻⁵² of |x| + 4·step; a
bias is not larger. For float32 tensors x̂ is rounded at random, so that the rounding adds no bias to this. A random
rounding to a coarser dtype would cost too much variance and is not offered: use `rsd`. Where x̂ might exceed the dtype's largest
number, it would be cut and so biased: then `expected` is infinite. What an encoder chooses must not depend on the code that it then sends. See spec/compressors/08-dither.md.
"""

import math
from dataclasses import dataclass

import numpy as np

from ...coding.bitstring import BitReader, BitWriter
from ...coding.rans import lanes_for
from ...errors import InvalidInput
from ...kernels import dither as kernels
from ...kernels import rng
from ...kernels.entropy.rans import MAX_LANES
from ...kernels.entropy.tokens import MAX_CLASSES
from ...kernels.levels import scales
from ...kernels.levels.trellis import TRELLISES
from ...source import Source
from ..common.levels import Step
from ..common.sample import take
from ..common.scale_choice import choose_classes, exponent_of, read, scan
from ..common.scale_classes import Grid, ScaleClasses
from ..contract import Compressor, Decode, Guarantee, Payload, TensorSpec
from .path import decode_path, encode_path, nearest_path

_FINEST = 2.0**-50  # the least step beside the largest magnitude
_ROUNDING = 2.0**-48  # variance that rounding to float32 adds, beside the square of a value: less than (ulp / 2)²
_QUANTUM = 2.0**-149  # of float32 below its normal numbers; rounding adds at most a quarter of its square
_MOST_STEPS = 3  # no error is larger: of integers 4 apart, the nearest is at most 2 away
_CODE_BITS, _SEED_BITS = 2, 4
_HEAD_ROOM = 256
_PROBE_SEED = (
    0x70726F6265  # of the codes by which a trellis is chosen: a code's length tells of its error, and would bias it
)

# Trellises by their code in the head; upper bounds of E(2^k), k = 0, 1, …: 1/3 and 2/3, then estimates from
# 1.2e8 (of 32 states: 4e7) uniform values, plus four standard errors.
_STATES = (1, 8, 32)
_ERRORS = {
    1: (1 / 3,),
    8: (
        1 / 3,
        2 / 3,
        1.2738,
        2.4211,
        4.5777,
        8.7512,
        17.0601,
        33.6785,
        66.9125,
        133.3796,
        266.3136,
        532.1813,
        1063.951,
    ),
    32: (
        1 / 3,
        2 / 3,
        1.3133,
        2.4875,
        4.6408,
        8.7579,
        16.8392,
        32.9834,
        65.2725,
        129.8461,
        259.009,
        517.2798,
        1033.832,
    ),
}


@dataclass(frozen=True)
class Dither(Compressor):
    """E x̂ = x and E‖x̂ − x‖² ≤ ω‖x‖² over the seed, for float32 and float64 tensors.

    seed: any integer, taken modulo 2⁶⁴; it is stored. states: of the trellis: 1 (none), 8 or 32, or 0 for the
    one of 1 and 8 that needs fewer bits; more states take more time to encode.
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
        return Payload(plan.head(), plan.grid.chunk, plan.code, plan.expected)

    def _choose_states(self, source: Source, bound: float) -> int:
        """The number of states with the shortest code of the middle chunk, for another seed than the one that is sent."""
        choices = self._choices()
        if len(choices) == 1:
            return choices[0]
        plans = [_plan(source, bound, _PROBE_SEED, states) for states in choices]
        grid = plans[0].grid
        middle = source.size // 2 // grid.chunk * grid.chunk
        span = middle, min(middle + grid.chunk, source.size)
        return min(plans, key=lambda plan: len(plan.code(*span))).dithering.states

    def _choices(self) -> tuple[int, ...]:
        if self.states and self.states not in _STATES:
            raise InvalidInput(f"dither has trellises of {', '.join(map(str, _STATES))} states, not of {self.states}")
        return (self.states,) if self.states else (1, 8)

    @classmethod
    def decoder(cls, head: bytes, spec: TensorSpec) -> Decode:
        """Decodes to step·(j + u), rounded to float32 at random for float32 tensors."""
        reader = BitReader(head, "dither head")
        if spec.dtype not in (np.float32, np.float64):
            raise reader.corrupt(f"{spec.dtype} is not a dtype of this compressor")
        dithering = Dithering.unpack(reader)
        shared = ScaleClasses.unpack_head(reader, spec)
        reader.align()
        shared = shared.unpack_columns(reader)
        reader.end()

        def decode(data: bytes, start: int, count: int) -> np.ndarray:
            chunk = BitReader(data, "dither chunk")
            classes = shared.unpack_chunk(chunk, start, count)
            values = dithering.dither(start, count)
            firsts = dithering.first_states(start, MAX_LANES)
            decode_path(chunk, values, classes, firsts, TRELLISES[dithering.states][1:])
            return dithering.finish(values, start, spec.dtype)

        return decode


@dataclass(frozen=True)
class Dithering:
    """What encoder and decoder share: the trellis, the seed, and the step."""

    states: int
    seed: int
    step: Step

    def pack(self, writer: BitWriter) -> None:
        writer.put(_STATES.index(self.states), _CODE_BITS)
        seed = self.seed.to_bytes((self.seed.bit_length() + 7) // 8, "little")
        writer.put(len(seed), _SEED_BITS)
        for byte in seed:
            writer.put(byte, 8)
        self.step.pack(writer)

    @classmethod
    def unpack(cls, reader: BitReader) -> "Dithering":
        code, length = reader.get(_CODE_BITS), reader.get(_SEED_BITS)
        if code >= len(_STATES) or length > 8:
            raise reader.corrupt("the trellis or the length of the seed is not defined")
        seed = int.from_bytes(bytes(reader.get(8) for _ in range(length)), "little")
        return cls(_STATES[code], seed, Step.unpack(reader))

    def dither(self, start: int, count: int) -> np.ndarray:
        """The dither of values start…start + count - 1."""
        out = np.empty(count)
        kernels.fill_dither(self._key(kernels.DITHER_STREAM), start, out)
        return out

    def first_states(self, start: int, lanes: int) -> np.ndarray:
        """In which states the paths of the chunk that begins at `start` begin, one a lane: int64."""
        key = self._key(kernels.STATE_STREAM)
        return np.array([int(rng.random_at(key, start + lane)) % self.states for lane in range(lanes)])

    def finish(self, values: np.ndarray, start: int, dtype: np.dtype) -> np.ndarray:
        """Values in steps to values of the dtype; the argument is used up."""
        kernels.scale_values(values, *self.step.factors(), float(np.finfo(dtype).max))
        if dtype == np.float64:
            return values
        kernels.round_randomly(values, values.view(np.uint64), self._key(kernels.ROUNDING_STREAM), start)
        return values.astype(np.float32)

    def _key(self, stream: int) -> np.uint64:
        return np.uint64(rng.stream_key(np.uint64(self.seed), stream))


@dataclass(frozen=True)
class _Plan:
    """An encoder's choices. `step`: of the source times 2^-exponent; rate: bits a value of Gaussian values, by which lanes are chosen."""

    source: Source
    exponent: int
    dithering: Dithering
    step: float
    classes: ScaleClasses
    rate: float
    expected: float

    @property
    def grid(self) -> Grid:
        return self.classes.grid

    def head(self) -> bytes:
        writer = BitWriter(_HEAD_ROOM)
        self.dithering.pack(writer)
        tail = self.classes.pack_head(writer)
        return writer.to_bytes() + tail

    def code(self, start: int, stop: int) -> bytes:
        """The bytes of a chunk."""
        dither = self.dithering.dither(start, stop - start)
        values = read(self.source, start, stop, math.ldexp(1.0, -self.exponent)).astype(np.float64)
        targets = values / self.step - dither
        lanes = lanes_for(self.rate * (stop - start))
        firsts = self.dithering.first_states(start, lanes)
        levels, books = nearest_path(targets, firsts, self.dithering.states)
        path = encode_path(levels, books, dither, self.classes.fill(start, stop), lanes)
        return self.classes.pack_chunk(start, stop) + path


def _plan(source: Source, bound: float, seed: int, states: int) -> _Plan:
    exponent = exponent_of(source)
    unit = math.ldexp(1.0, -exponent)
    grid = Grid.of(source.shape, source.size)
    energies = scan(source, grid, unit)
    rate = math.log2(1 + 1 / bound) / 2
    error = math.fsum(
        error_bound(stop - start, lanes_for(rate * (stop - start)), states) for start, stop in grid.spans()
    )
    rounding = 0.0
    if source.dtype == np.float32:
        rounding = _ROUNDING * (1 + bound) + grid.size * _QUANTUM**2 / 4 / energies.total
    finest = _FINEST * math.sqrt(energies.blocks.max())
    share = max(bound - rounding, 0.0) * (1 - 2.0**-40)  # room for the rounding of these sums
    step = Step.below(max(math.sqrt(share) * math.sqrt(energies.total / error), finest))

    expected = float(step) * float(step) * error / energies.total + rounding

    sample = take(source, grid, energies, unit)
    values = sample.values
    levels = np.empty(values.size, np.int64)
    halves = np.full(MAX_CLASSES, 0.5)
    scales.quantise(values.astype(np.float64), 0.5 / float(step), np.zeros(values.size, np.uint8), halves, levels)
    return _Plan(
        source,
        exponent,
        Dithering(states, seed, step.times(exponent)),
        float(step),
        choose_classes(energies, grid, 2 * float(step), sample, levels),
        rate,
        math.inf if _may_be_cut(energies.blocks.max(), step, exponent, source.dtype) else expected,
    )


def _may_be_cut(energy: float, step: Step, exponent: int, dtype: np.dtype) -> bool:
    """Whether a value may decode beyond the dtype's largest number: it would be cut, and the mean not x.

    energy: the largest of a block, in the units of 2^exponent, so no |x| is beyond its root.
    """
    largest = math.sqrt(energy) + _MOST_STEPS * float(step)
    return math.log2(largest) + exponent >= math.log2(float(np.finfo(dtype).max))


def error_bound(count: int, lanes: int, states: int) -> float:
    """An upper bound of the mean squared error of a chunk in so many lanes, in step².

    It is Σ E(values of the lane); see the module's text.
    """
    short, longer = divmod(count, lanes)
    return (lanes - longer) * _path_error(short, states) + longer * _path_error(short + 1, states)


def _path_error(count: int, states: int) -> float:
    """An upper bound of E(count)."""
    errors = _ERRORS[states]
    top = len(errors) - 1
    parts = [(count >> top) * errors[top]]
    parts += [errors[k] for k in range(top) if count >> k & 1]
    return math.fsum(parts)
