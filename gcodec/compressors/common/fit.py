"""How an encoder chooses classes, labels, prices, centroids and a step that spends the bound.

All choices are made on a sample of the tensor. Then the whole tensor is quantised and its error is
measured. If that error meets the bound closely enough, the levels of this try are the ones that are
coded. If not, the step is corrected by what was measured.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from ...coding.bitstring import BitWriter
from ...coding.rans import lanes_for
from ...parallel import spread
from ...source import Source, remembered
from .levels import Coded, Labels, Points
from .quantiser import LARGEST_LEVEL, Part, Quantiser
from .sample import take
from .scale_choice import Energies, SampledLevels, choose_classes, exponent_of, read, scan
from .scale_classes import ScaleClasses, Tiling
from .scaled import energy
from .step_search import FLATTEST, STEEPEST, TRIES, Spending, solve_step

# The search for a step ends when no more than this share of the bound is left. It is _LEFT for a
# tensor of up to _LARGE values. For a larger one it depends on whether there is a trellis, with
# which each pass takes long. At most _FEW passes go over a larger tensor. In a short one, about
# _BITS_LEFT bits may be left.
_LEFT, _MOST_LEFT, _BITS_LEFT = 0.005, 0.03, 3.0
_LARGE, _LEFT_OF_LARGE, _FEW = 1 << 17, {False: 0.003, True: 0.01}, 8
_ROUGH = 0.03  # while classes are chosen, a sample's error may miss its target by this share
_MOST = 0.9  # the error of a sample may be at most this share of the sample's energy
# There are at most _ROUNDS rounds of learning. A round that changes error and bits by less than the
# share _SETTLED is the last one.
_ROUNDS, _SETTLED = 3, 0.01
_NO_ERROR = 1e-30  # stands for an error of 0, which has no logarithm
_STRIDE = 1.05  # two steps with this quotient tell how the error grows with the step
_CLASSES_MORE = 1.3  # times as many bits as the estimate says are taken by levels of classes
_THIN = 1 << 14  # about so many values are enough to choose a step without classes
# The trellis has so few states until only prices and the step are left to be chosen.
_FEW_STATES = 8
# Below so many bits for each value, an odd book with a zero is tried as well.
_ZERO_RATE = 1.5
# The levels of the last measurement are kept for at most so many values until they are coded.
_KEPT = 1 << 26
# Without a trellis, a step is at least this share of the largest magnitude.
_FINEST = 2.0**-54
# The mean squared error of a fine step without a trellis is this many times the squared step.
_NOISE = 1 / 3


@dataclass(frozen=True)
class LevelCoder:
    """What makes the bytes of a tensor.

    quantiser: it is for the tensor's values times 2^-exponent. rate: about how many bits a value
    takes. kept: the levels of chunks that are quantised already, by their first flat index. energy:
    ‖x‖² of these values. reference: the step by which the classes were chosen.
    """

    source: Source
    exponent: int
    classes: ScaleClasses
    quantiser: Quantiser
    rate: float
    kept: dict[int, Coded] = field(default_factory=dict)
    energy: float = 0.0
    reference: float = 0.0

    def with_step(self, step: float) -> "LevelCoder":
        return replace(self, quantiser=self.quantiser.with_step(step), kept={})

    def tried_with(self, finest: float) -> Callable[[float], tuple["LevelCoder", float]]:
        """What tries a step, or the finest one if it is finer: a coder, and its error."""

        def trial(step: float) -> tuple[LevelCoder, float]:
            tried = self.with_step(max(step, finest))
            return tried, tried.measure()

        return trial

    def points(self) -> Points:
        """The points that a decoder uses, for the values of the source as they are."""
        points = self.quantiser.points
        return replace(points, step=points.step.times(self.exponent))

    def head(self) -> bytes:
        writer = BitWriter(256)
        self.points().pack(writer)
        tail = self.classes.pack_head(writer)
        return writer.to_bytes() + tail

    def part(self, start: int, stop: int) -> Part:
        values = read(self.source, start, stop, math.ldexp(1.0, -self.exponent))
        return Part(values, self.classes.fill(start, stop), lanes_for(self.rate * (stop - start)))

    def code(self, start: int, stop: int) -> bytes:
        """The bytes of the chunk with the flat indices start…stop-1."""
        coded = self.kept.get(start)
        lanes = lanes_for(self.rate * (stop - start))
        if coded is None:
            part = self.part(start, stop)
            coded, classes = self.quantiser.find(part).coded, part.classes
        else:
            classes = self.classes.fill(start, stop)
        return self.classes.pack_chunk(start, stop) + coded.encode(classes, self.quantiser.labels, lanes)

    def measure(self) -> float:
        """The squared error of the decoded tensor. The levels of the first chunks are kept."""
        errors, pieces = [], self.classes.tiling.spans()
        trials = spread(lambda span: self.quantiser.find(self.part(*span)), pieces)
        for (start, stop), found in zip(pieces, trials, strict=True):
            errors.append(found.error)
            if stop <= _KEPT:
                self.kept[start] = found.coded
        return math.fsum(errors)


@dataclass(frozen=True)
class Trained:
    """A quantiser whose error on a sample is about the target.

    bits: about how many bits the sample takes when its error is the target.
    """

    quantiser: Quantiser
    bits: float


@dataclass(frozen=True)
class Survey:
    """A first look at a tensor: scale classes, and values of a sample.

    target: the squared error that the bound allows. share: the part of it, of ‖x‖², and of the
    bits, that falls to the sample. step: one without classes and trellis. bits, plain_bits: what
    levels take with classes and without, about.
    """

    source: Source
    exponent: int
    target: float
    energies: Energies
    classes: ScaleClasses
    part: Part
    share: float
    step: float
    bits: float
    plain_bits: float

    @classmethod
    def of(cls, source: Source, bound: float) -> "Survey":
        """source: a tensor with a value that is not zero."""
        return remembered(source, (cls, bound), lambda: cls._made(source, bound))

    @classmethod
    def _made(cls, source: Source, bound: float) -> "Survey":
        exponent = exponent_of(source)
        tiling = Tiling.of(source.shape, source.size)
        scale = math.ldexp(1.0, -exponent)
        energies = scan(source, tiling, scale)
        sample = take(source, tiling, energies, scale)
        values, share = sample.values, sample.part / sample.whole
        target = bound * energies.total
        step, numbers = _plain(values, _within(values, target * share), finest_step(energies, 1))
        levels = SampledLevels.of(sample.spans, numbers, 1 / share)
        classes, bits, plain_bits = choose_classes(energies, tiling, 2 * step, levels)
        longest = min(tiling.chunk, tiling.size)
        lanes = lanes_for(_CLASSES_MORE * bits * longest / tiling.size)
        part = Part(values, classes.fill_all(sample.spans), lanes)
        return cls(source, exponent, target, energies, classes, part, share, step, bits, plain_bits)

    def fit(self, states: int) -> LevelCoder:
        """The coder whose error is at most the target, and close to it where the levels allow that.

        states: of the trellis; 1 means no trellis. If not even the finest step meets the target,
        the coder has that step.
        """
        finest = finest_step(self.energies, states)
        part, tiling, dtype = self.part, self.classes.tiling, self.source.dtype
        step = max(self.step, finest)
        aim = _within(part.values, self.target * self.share)
        best = _settle(part, dtype, step, aim, states)
        rate = best.bits / self.share / tiling.size
        lanes = lanes_for(rate * min(tiling.chunk, tiling.size))
        if lanes != part.lanes:  # where values are zero for long, a path through the trellis depends on it
            part = replace(part, lanes=lanes)
            best = _settle(part, dtype, best.quantiser.step, aim, states)
            rate = best.bits / self.share / tiling.size
        total, reference = self.energies.total, 2 * self.step
        coder = LevelCoder(self.source, self.exponent, self.classes, best.quantiser, rate, {}, total, reference)
        left, tries, slope = _LEFT, TRIES, STEEPEST
        if states > 1:
            left = min(max(left, _BITS_LEFT / tiling.size), _MOST_LEFT)
        if tiling.size > _LARGE:
            left, tries = _LEFT_OF_LARGE[states > 1], _FEW
        if part.values.size < tiling.size:
            coder, slope = _aimed(coder, part, (1 - left / 2) * aim, finest)
        return Spending(coder.tried_with(finest), self.target).search(coder.quantiser.step, left, tries, slope)


def finest_step(energies: Energies, states: int) -> float:
    """The finest step that is tried for values with these energies."""
    return math.sqrt(energies.blocks.max()) * (_FINEST if states == 1 else 1 / LARGEST_LEVEL)


def _within(values: np.ndarray, target: float) -> float:
    """The target, or what an error of these values can be at most."""
    return min(target, _MOST * energy(values.astype(np.float64)))


def _plain(values: np.ndarray, target: float, finest: float) -> tuple[float, np.ndarray]:
    """(step, numbers) of a quantiser without classes or trellis with about the target as error."""
    step = max(math.sqrt(target / values.size / _NOISE), finest)
    some = np.ascontiguousarray(values[:: values.size // _THIN | 1])  # an odd stride meets every column
    part = Part(some, np.zeros(some.size, np.uint8), 1)
    quantiser = Quantiser.fresh(Labels(1), values.dtype, step)
    quantiser = _solved(quantiser, part, target * some.size / values.size, _ROUGH, finest)
    whole = Part(values, np.zeros(values.size, np.uint8), 1)
    return quantiser.step, quantiser.find(whole).numbers


def _settle(part: Part, dtype: np.dtype, step: float, target: float, states: int) -> Trained:
    """Labels, prices, centroids and a step whose error on the sample is about the target."""
    if states == 1:
        return _train_thresholds(part, Quantiser.fresh(Labels(1), dtype, step), target)
    best = _train(part, Quantiser.fresh(Labels(_FEW_STATES), dtype, step), target)
    if best.bits / part.values.size < _ZERO_RATE:
        fresh = Quantiser.fresh(Labels(_FEW_STATES, True), dtype, best.quantiser.step)
        best = min(best, _train(part, fresh, target), key=lambda trained: trained.bits)
    return _train(part, best.quantiser.with_states(states), target)


def _train(part: Part, quantiser: Quantiser, target: float, rounds: int = _ROUNDS) -> Trained:
    """A quantiser with a trellis that has learned from its own levels until little changes."""
    quantiser = quantiser if quantiser.has_prices else quantiser.guessed(part)
    before = math.inf
    for _ in range(rounds):
        found = quantiser.find(part)
        share = max(found.error / target, _NO_ERROR)
        bits = quantiser.bits(part, found)
        bits += _expected_excess(share, bits, part.values.size)
        quantiser = quantiser.learned(part, found).with_step(quantiser.step * min(max(share**-0.5, 0.5), 2.0))
        if abs(share - 1) < _SETTLED and abs(bits - before) < _SETTLED * bits:
            break
        before = bits
    return Trained(quantiser, bits)


def _expected_excess(share: float, bits: float, count: int) -> float:
    """About how many more bits an error of share·target takes to come down to the target.

    bits: what the values take now. count: how many values there are.
    """
    return 0.5 * math.log2(share) * min(bits, count)


def _train_thresholds(part: Part, quantiser: Quantiser, target: float) -> Trained:
    """A quantiser without a trellis that has learned from its own levels twice.

    Dead zones that learn from their own levels again and again would grow without end.
    """
    for _ in range(2):
        quantiser = _solved(quantiser, part, target, _ROUGH)
        found = quantiser.find(part)
        bits = quantiser.bits(part, found)
        quantiser = quantiser.learned(part, found)
    return Trained(quantiser, bits)


def _solved(quantiser: Quantiser, part: Part, target: float, tolerance: float, finest: float = 0.0) -> Quantiser:
    """The quantiser with the step at which the error on a part is the target, if there is one.

    Without a trellis it also gets the centroids of the levels that this step leads to.
    """
    tried: dict[float, Quantiser] = {}

    def error(step: float) -> float:
        tried[step] = trial = quantiser.with_step(max(step, finest))
        found = trial.find(part)
        if quantiser.labels.states > 1:
            return found.error
        tried[step], measured = trial.centred(part, found)
        return measured

    return tried[solve_step(error, target, quantiser.step, tolerance) or min(tried)]


def _aimed(coder: LevelCoder, part: Part, target: float, finest: float) -> tuple[LevelCoder, float]:
    """The coder with a step whose error on the sample `part` is near the target.

    The other result is the power of the step by which the error grows there.
    """
    quantiser = coder.quantiser.with_step(max(coder.quantiser.step, finest))
    error = max(quantiser.find(part).error, _NO_ERROR)
    wider = quantiser.with_step(_STRIDE * quantiser.step)
    growth = max(wider.find(part).error, _NO_ERROR) / error
    slope = min(max(math.log(growth) / math.log(wider.step / quantiser.step), FLATTEST), STEEPEST)
    share = min(max(target / error, 1 / 16), 16.0)
    return coder.with_step(max(quantiser.step * share ** (1 / slope), finest)), slope
