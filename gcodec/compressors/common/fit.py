"""How an encoder chooses classes, labels, prices, centroids and a step that spends the bound.

All choices are made on a sample of the tensor. Then the whole tensor is quantised and its error is
measured. If that error meets the bound closely enough, the levels of this try are the ones that are
coded. If not, the step is corrected by what was measured.
"""

import math
from dataclasses import dataclass, field, replace

import numpy as np

from ...coding.bitstring import BitWriter
from ...coding.rans import lanes_for
from ...source import Source, Span
from .levels import Coded, Labels, Points
from .quantiser import LARGEST_LEVEL, Part, Quantiser
from .scale_choice import choose_classes, exponent_of, read, sample_spans, scan
from .scale_classes import ScaleClasses, Tiling
from .scaled import energy
from .step_search import Spending, solve_step

# How much of the bound may be left: of a tensor that is its own sample, and of a larger one.
_TIGHT, _LOOSE = 0.005, 0.01
_AIM = 0.998  # the share of the bound that is aimed at
# By whether there is a trellis, with which a second search takes long: the share of the bound that
# is aimed at first, and how much of the bound the first try may leave.
_FIRST_AIM = {False: 0.9975, True: 0.995}
_FIRST_LEFT = {False: 0.004, True: 0.01}
_CLOSE = 0.001  # the tolerance on a sample
_ROUGH = 0.03  # the tolerance while classes are chosen
_MOST = 0.9  # the largest error of a sample, relative to its energy
# How many rounds of learning there are at most. A round that changes error and bits by less than
# the second number is the last one.
_ROUNDS, _SETTLED = 3, 0.01
_NO_ERROR = 1e-30  # stands for an error of 0, which has no logarithm
_SAMPLE_BITS = 8.0  # bits of a value that decide the lanes of a sample: many, as it is never coded
_FEW_STATES = 8  # the states of the trellis until only prices and the step are left to be chosen
_ZERO_RATE = 1.5  # bits of a value; below this rate, an odd book with a zero is tried as well
_GUESSES = 3  # how often the step of a large tensor is taken from the sample
_KEPT = 1 << 26  # values whose levels are kept from the last measurement until they are coded
_FINEST = 2.0**-54  # the least step without a trellis, relative to the largest magnitude
_NOISE = 1 / 3  # the mean squared error of a fine step without a trellis, in step²


@dataclass(frozen=True)
class LevelCoder:
    """What makes the bytes of a tensor.

    quantiser: it is for the tensor's values times 2^-exponent. rate: about how many bits a value
    takes. kept: the levels of chunks that are quantised already, by their first flat index.
    """

    source: Source
    exponent: int
    classes: ScaleClasses
    quantiser: Quantiser
    rate: float
    kept: dict[int, Coded] = field(default_factory=dict)

    def with_step(self, step: float) -> "LevelCoder":
        return replace(self, quantiser=self.quantiser.with_step(step), kept={})

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
        errors = []
        for start, stop in self.classes.tiling.spans():
            found = self.quantiser.find(self.part(start, stop))
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


def fit(source: Source, bound: float, states: int) -> LevelCoder:
    """The coder whose distortion is at most `bound`, and close to it where the levels allow that.

    source: a tensor with a value that is not zero. states: of the trellis; 1 means no trellis. If
    not even the finest step meets the bound, the coder with that step is returned.
    """
    exponent = exponent_of(source)
    tiling = Tiling.of(source.shape, source.size)
    scale = math.ldexp(1.0, -exponent)
    energies = scan(source, tiling, scale)
    spans, values = _sample(source, tiling, scale)
    # The share of the bound's error that falls to the sample. It follows from the energy of the
    # tensor, as that of the sample depends on a few large values.
    target = bound * energies.total * values.size / tiling.size
    if values.size < tiling.size:
        target = min(target, _MOST * energy(values.astype(np.float64)))
    finest = math.sqrt(energies.blocks.max()) * (_FINEST if states == 1 else 1 / LARGEST_LEVEL)
    step, numbers = _plain(values, max(math.sqrt(target / values.size / _NOISE), finest), target, finest)
    classes = choose_classes(energies, tiling, 2 * step, spans, numbers)
    part = Part(values, classes.fill_all(spans), lanes_for(_SAMPLE_BITS * values.size))
    best = _settle(part, source.dtype, step, target, states)
    coder = LevelCoder(source, exponent, classes, best.quantiser, best.bits / values.size)
    if values.size == tiling.size and len(spans) == 1:
        return _solve_whole(coder, bound * energies.total, finest, _TIGHT)
    return _correct(coder, part, target, bound * energies.total, finest)


def _sample(source: Source, tiling: Tiling, scale: float) -> tuple[list[Span], np.ndarray]:
    """Spans and values that stand for the tensor: all of it, if the sample has only zeros."""
    spans = sample_spans(tiling)
    values = np.concatenate([read(source, *span, scale) for span in spans])
    if not values.any():
        spans = tiling.spans()
        values = np.concatenate([read(source, *span, scale) for span in spans])
    return spans, values


def _plain(values: np.ndarray, step: float, target: float, finest: float) -> tuple[float, np.ndarray]:
    """(step, numbers) of a quantiser without classes or trellis with about the target as error."""
    part = Part(values, np.zeros(values.size, np.uint8), 1)
    quantiser = Quantiser.fresh(Labels(1), values.dtype, step)
    quantiser = _solved(quantiser, part, target, _ROUGH, finest)
    return quantiser.step, quantiser.find(part).numbers


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


def _correct(coder: LevelCoder, part: Part, aim: float, target: float, finest: float) -> LevelCoder:
    """The coder with the step whose error on the whole tensor is the target.

    Each step is found on the sample `part`, with an error `aim` that what the whole tensor gave for
    the step before has corrected. If that fails, each step is tried on the whole tensor.
    """
    aim *= _FIRST_AIM[coder.quantiser.labels.states > 1]
    for left in (_FIRST_LEFT[coder.quantiser.labels.states > 1], *(_LOOSE,) * (_GUESSES - 1)):
        coder = replace(coder, quantiser=_solved(coder.quantiser, part, aim, _CLOSE, finest), kept={})
        share = coder.measure() / target
        if 1 - left <= share <= 1 or share == 0:  # it is 0 if all values are levels
            return coder
        aim *= _AIM / min(max(share, 1 / 16), 16.0)
    return _solve_whole(coder, target, finest, _LOOSE)


def _solve_whole(coder: LevelCoder, target: float, finest: float, tolerance: float) -> LevelCoder:
    """The coder with the step whose error on the whole tensor is the target.

    Each step is tried on the whole tensor. If none meets the target, the finest one is returned.
    """

    def trial(step: float) -> tuple[LevelCoder, float]:
        tried = coder.with_step(max(step, finest))
        return tried, tried.measure()

    return Spending(trial, target).search(coder.quantiser.step, tolerance)
