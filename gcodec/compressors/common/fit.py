"""How an encoder chooses classes, labels, prices, centroids and the step that spends the bound, for any tensor.

All is settled on a sample. Then the whole tensor is quantised and measured: the levels of a try that meets the bound closely enough
are those that are coded; else the step is corrected by what was measured.
"""

import math
from dataclasses import dataclass, field, replace

import numpy as np

from ...coding.bitstring import BitWriter
from ...coding.rans import lanes_for
from ...source import Source
from .levels import Coded, Labels, Points
from .quantiser import LARGEST_LEVEL, Part, Quantiser, expected_excess
from .sample import take
from .scale_choice import choose_classes, exponent_of, read, scan
from .scale_classes import Grid, ScaleClasses
from .scaled import energy
from .step_search import Spending, solve_step

_TIGHT, _LOOSE = 0.005, 0.01  # of the bound may be left: by a tensor that is its own sample, by a larger one
_AIM = 0.998  # the share of the bound that is aimed at
_FIRST_AIM = {False: 0.9975, True: 0.995}  # at first, by whether there is a trellis: a second search takes long
_NEAR = {False: 0.004, True: 0.01}  # what the first try may leave
_CLOSE = 0.001  # tolerance on a sample
_MOST = 0.9  # of the energy of the sample that its error may be
_ROUNDS, _SETTLED = 3, 0.01  # of learning at most; by how much a round may change error and bits to be the last
_EXACT = 1e-30  # stands for no error at all, which has no logarithm
_SAMPLE_BITS = 8.0  # a value of a sample, by which its lanes are chosen: many, as they are not coded
_FEW_STATES = 8  # of the trellis, until all but prices and step is settled
_ZERO_RATE = 1.5  # bits; below it, an odd book with a zero is tried as well
_GUESSES = 3  # of the step of a large tensor, each from the sample, corrected by what the whole tensor gave before
_KEPT = 1 << 26  # values whose levels are kept from the last measurement until they are coded
_FINEST = 2.0**-54  # the least step beside the largest magnitude, without a trellis
_NOISE = 1 / 3  # squared error of a fine step, in step², without a trellis
_ROUGH = 0.03  # tolerance while classes are chosen


@dataclass(frozen=True)
class Coder:
    """What makes the bytes of a tensor, of whose values times 2^-exponent the quantiser speaks. rate: bits a value, about."""

    source: Source
    exponent: int
    classes: ScaleClasses
    quantiser: Quantiser
    rate: float
    kept: dict[int, Coded] = field(default_factory=dict)  # levels by first index, of chunks already quantised

    def with_step(self, step: float) -> "Coder":
        return replace(self, quantiser=self.quantiser.with_step(step), kept={})

    def points(self) -> Points:
        """The decoder's side, for the source as it is."""
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
        """The bytes of a chunk."""
        coded = self.kept.get(start)
        lanes = lanes_for(self.rate * (stop - start))
        if coded is None:
            part = self.part(start, stop)
            coded, classes = self.quantiser.find(part).coded, part.classes
        else:
            classes = self.classes.fill(start, stop)
        return self.classes.pack_chunk(start, stop) + coded.encode(classes, self.quantiser.labels, lanes)

    def measure(self) -> float:
        """The squared error of the whole tensor as it is decoded. Keeps the levels."""
        errors = []
        for start, stop in self.classes.grid.spans():
            found = self.quantiser.find(self.part(start, stop))
            errors.append(found.error)
            if stop <= _KEPT:
                self.kept[start] = found.coded
        return math.fsum(errors)


@dataclass(frozen=True)
class Trained:
    """A quantiser that suits a sample at about the target; bits: about what the sample takes at the target."""

    quantiser: Quantiser
    bits: float


def fit(source: Source, bound: float, states: int) -> Coder:
    """The coder whose distortion on the tensor is at most `bound`, and close to it where that is possible."""
    exponent = exponent_of(source)
    grid = Grid.of(source.shape, source.size)
    unit = math.ldexp(1.0, -exponent)
    energies = scan(source, grid, unit)
    sample = take(source, grid, energies, unit)
    spans, values = sample.spans, sample.values
    target = (
        bound * energies.total * sample.part / sample.whole
    )  # the sample's own energy would depend on a few large values
    if values.size < grid.size:
        target = min(target, _MOST * energy(values.astype(np.float64)))
    finest = math.sqrt(energies.blocks.max()) * (_FINEST if states == 1 else 1 / LARGEST_LEVEL)
    step, numbers = _plain(values, max(math.sqrt(target / values.size / _NOISE), finest), target, finest)
    classes = choose_classes(energies, grid, 2 * step, sample, numbers)
    part = Part(values, classes.fill_all(spans), lanes_for(_SAMPLE_BITS * values.size))
    best = _settle(part, source.dtype, step, target, states)
    rate = best.bits / sample.part * (sample.whole / grid.size)
    coder = Coder(source, exponent, classes, best.quantiser, rate)
    if values.size == grid.size and len(spans) == 1:
        return _solve_whole(coder, bound * energies.total, finest, _TIGHT)
    return _correct(coder, part, target, bound * energies.total, finest)


def _plain(values: np.ndarray, step: float, target: float, finest: float) -> tuple[float, np.ndarray]:
    """(step, numbers) with which a quantiser without classes and trellis has about the target's error."""
    part = Part(values, np.zeros(values.size, np.uint8), 1)
    quantiser = Quantiser.fresh(Labels(1), values.dtype, step)
    quantiser = _solved(quantiser, part, target, _ROUGH, finest)
    return quantiser.step, quantiser.find(part).numbers


def _settle(part: Part, dtype: np.dtype, step: float, target: float, states: int) -> Trained:
    """Labels, prices and centroids that suit the sample at about the target, and a step near it."""
    if states == 1:
        return _train_thresholds(part, Quantiser.fresh(Labels(1), dtype, step), target)
    best = _train(part, Quantiser.fresh(Labels(_FEW_STATES), dtype, step), target)
    if best.bits / part.values.size < _ZERO_RATE:
        fresh = Quantiser.fresh(Labels(_FEW_STATES, True), dtype, best.quantiser.step)
        best = min(best, _train(part, fresh, target), key=lambda trained: trained.bits)
    return _train(part, best.quantiser.with_states(states), target)


def _train(part: Part, quantiser: Quantiser, target: float, rounds: int = _ROUNDS) -> Trained:
    """The quantiser after it has learned from its own levels until hardly anything changes."""
    quantiser = quantiser if quantiser.has_prices else quantiser.guessed(part)
    before = math.inf
    for _ in range(rounds):
        found = quantiser.find(part)
        share = max(found.error / target, _EXACT)
        bits = quantiser.bits(part, found)
        bits += expected_excess(share, bits, part.values.size)
        quantiser = quantiser.learned(part, found).with_step(quantiser.step * min(max(share**-0.5, 0.5), 2.0))
        if abs(share - 1) < _SETTLED and abs(bits - before) < _SETTLED * bits:
            break
        before = bits
    return Trained(quantiser, bits)


def _train_thresholds(part: Part, quantiser: Quantiser, target: float) -> Trained:
    """The same without a trellis, twice: dead zones that learn from themselves for long grow without an end."""
    for _ in range(2):
        quantiser = _solved(quantiser, part, target, _ROUGH)
        found = quantiser.find(part)
        bits = quantiser.bits(part, found)
        quantiser = quantiser.learned(part, found)
    return Trained(quantiser, bits)


def _solved(quantiser: Quantiser, part: Part, target: float, tolerance: float, finest: float = 0.0) -> Quantiser:
    """With the step at which the error on a part is the target, as far as there is one; without a trellis with its centroids."""
    tried: dict[float, Quantiser] = {}

    def error(step: float) -> float:
        tried[step] = trial = quantiser.with_step(max(step, finest))
        found = trial.find(part)
        if quantiser.labels.states > 1:
            return found.error
        tried[step], measured = trial.centred(part, found)
        return measured

    return tried[solve_step(error, target, quantiser.step, tolerance) or min(tried)]


def _correct(coder: Coder, part: Part, aim: float, target: float, finest: float) -> Coder:
    """With the step whose error on the whole tensor is the target, when `part` stands for it."""
    aim *= _FIRST_AIM[coder.quantiser.labels.states > 1]
    for close in (_NEAR[coder.quantiser.labels.states > 1], *(_LOOSE,) * (_GUESSES - 1)):
        coder = replace(coder, quantiser=_solved(coder.quantiser, part, aim, _CLOSE, finest), kept={})
        share = coder.measure() / target
        if 1 - close <= share <= 1 or share == 0:  # 0: all values are levels
            return coder
        coder.kept.clear()  # so that the levels of one try alone are in memory
        aim *= _AIM / min(max(share, 1 / 16), 16.0)
    return _solve_whole(coder, target, finest, _LOOSE)


def _solve_whole(coder: Coder, target: float, finest: float, tolerance: float) -> Coder:
    """With the step whose error on the whole tensor is the target; the finest one tried where none meets it."""

    def trial(step: float) -> tuple[Coder, float]:
        tried = coder.with_step(max(step, finest))
        return tried, tried.measure()

    return Spending(trial, target).search(coder.quantiser.step, tolerance)
