"""How the encoder of `tcq` chooses: labels, prices, centroids, and the step that spends the bound.

All but the last is settled on a sample; then the step is corrected by measuring the whole tensor, once or twice.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from ... import dtypes
from ...source import ArraySource
from ..common.levels import Step
from ..common.scaled import Scaled, energy
from ..common.step_search import solve_step
from ..common.trellis import Labels, Layout, Points, code_of_mean
from ..common.trellis_search import LARGEST_LEVEL, Quantiser, Spending

_SAMPLE, _BANDS = 1 << 17, 32  # values that stand for a larger tensor, and in how many pieces they lie
_WIDE = 1 << 20  # values up to which 32 states are used
_ROUNDS = 3  # of settling prices and step on the sample
_ZERO_RATE = 1.5  # bits; below it, an odd codebook with a zero is tried as well
_TIGHT, _LOOSE = 0.002, 0.01  # tolerances: on a sample or a small tensor, on a large one
_MOST = 0.9  # of the energy of the sample that its error may be
_GUESSES = 3  # of the step of a large tensor, each from the sample, corrected by what the whole tensor gave before
_KEPT = 1 << 26  # values whose levels are kept from the last measurement until they are coded


@dataclass(frozen=True)
class Coder:
    """Everything that makes the bytes of a tensor: a step (of the scaled tensor), and what goes with it."""

    scaled: Scaled
    layout: Layout
    quantiser: Quantiser
    mean: int
    step: Step
    levels: dict[int, np.ndarray] = field(default_factory=dict)  # by first index, of chunks already searched

    def with_step(self, step: float) -> "Coder":
        return replace(self, step=Step.below(step), levels={})

    def points(self) -> Points:
        """The decoder's side, for the tensor as it is."""
        return Points(self.step.times(self.scaled.exponent), self.quantiser.shifts)

    def code(self, start: int, stop: int) -> bytes:
        """The bytes of a chunk."""
        levels = self.levels.get(start)
        if levels is None:
            levels = self._search(self.scaled.read(start, stop))
        contexts = self.layout.contexts(self.mean)
        return self.quantiser.labels.encode(levels.astype(np.int32, copy=False), contexts)[0]

    def measure(self) -> float:
        """‖x̂ − x‖² of the scaled tensor, after rounding to its dtype. Keeps the levels."""
        errors = []
        chunk = self.layout.chunk
        for start in range(0, self.scaled.size, chunk):
            stop = min(start + chunk, self.scaled.size)
            values = self.scaled.read(start, stop)
            levels = self._search(values)
            dtype = self.scaled.source.dtype
            decoded = ArraySource(dtypes.narrow(self.points().values(levels, dtypes.work_dtype(dtype)), dtype))
            errors.append(energy(Scaled(decoded, self.scaled.exponent).read(0, values.size) - values))
            if stop <= _KEPT:
                self.levels[start] = compact(levels)
        return math.fsum(errors)

    def _search(self, values: np.ndarray) -> np.ndarray:
        return self.quantiser.levels(values, float(self.step), self.layout.contexts(self.mean))


def compact(levels: np.ndarray) -> np.ndarray:
    """The same integers as int8 where they fit."""
    small = levels.min() >= -128 and levels.max() < 128
    return levels.astype(np.int8) if small else levels


def fit(scaled: Scaled, layout: Layout, bound: float, thorough: bool) -> Coder:
    """The coder whose distortion on the tensor is at most `bound`, and close to it where that is possible."""
    total = math.fsum(energy(values) for _, values in scaled.pieces())
    sample = _sample(scaled, layout)
    target = bound * total
    aim = min(target / scaled.size, _MOST * energy(sample) / sample.size) or target / scaled.size
    coder = _settle(scaled, layout, sample, aim, int(thorough and scaled.size <= _WIDE))
    if sample.size < scaled.size:
        for _ in range(_GUESSES):
            aim *= 1 - _LOOSE / 2
            step = solve_step(_error_on(coder, sample), aim, float(coder.step), _TIGHT)
            coder = coder.with_step(step or float(coder.step))
            share = coder.measure() / target
            if 1 - _LOOSE <= share <= 1:
                return coder
            aim /= min(max(share, 1 / 16), 16.0)

    def trial(step: float) -> tuple[Coder, float]:
        tried = coder.with_step(step)
        return tried, tried.measure()

    tolerance = _TIGHT if sample.size == scaled.size else _LOOSE
    return Spending(trial, target).search(float(coder.step), tolerance)


def _sample(scaled: Scaled, layout: Layout) -> np.ndarray:
    """Whole rows from bands spread evenly over the tensor; all of a small tensor."""
    if scaled.size <= 2 * _SAMPLE:
        return scaled.read(0, scaled.size)
    rows = scaled.size // layout.columns
    taken = max(_SAMPLE // layout.columns, 1)
    bands = min(_BANDS, taken)
    height = taken // bands
    firsts = np.linspace(0, rows - height, bands).astype(np.int64) * layout.columns
    return np.concatenate([scaled.read(int(first), int(first) + height * layout.columns) for first in firsts])


def _settle(scaled: Scaled, layout: Layout, sample: np.ndarray, target: float, trellis: int) -> Coder:
    """Labels, prices and centroids that suit the sample at about the target (mean squared error), and a step near it."""
    best, least = _train(scaled, layout, sample, target, Labels(False, trellis))
    if 8 * least / sample.size < _ZERO_RATE:
        other, length = _train(scaled, layout, sample, target, Labels(True, trellis))
        if length < least:
            return other
    return best


def _train(scaled: Scaled, layout: Layout, sample: np.ndarray, target: float, labels: Labels) -> tuple[Coder, float]:
    """A coder with these labels, and about how many bytes it takes at the target."""
    step = math.sqrt(3 * target)
    quantiser, mean = Quantiser.fresh(labels), int(code_of_mean(np.floor(np.abs(sample) / (2 * step) + 0.35).mean()))
    for _ in range(_ROUNDS):
        step = max(step, 1 / LARGEST_LEVEL)
        contexts = layout.contexts(mean)
        levels = quantiser.levels(sample, step, contexts)
        error = _sample_error(quantiser, sample, levels, step)
        mean = int(code_of_mean(np.abs(levels).mean() / 2))
        quantiser, length = quantiser.trained(sample, levels, step, contexts)
        step *= min(max(math.sqrt(target / max(error, 1e-300)), 0.5), 2.0)
    excess = 0.5 * math.log2(max(error, 1e-300) / target) * min(1.0, 8 * length / sample.size)
    return Coder(scaled, layout, quantiser, mean, Step.below(step)), length + sample.size * excess / 8


def _sample_error(quantiser: Quantiser, sample: np.ndarray, levels: np.ndarray, step: float) -> float:
    """Mean squared error before any rounding to a dtype."""
    decoded = Points(Step.below(step), quantiser.shifts).values(levels, np.dtype(np.float64))
    return energy(decoded - sample) / sample.size


def _error_on(coder: Coder, sample: np.ndarray) -> Callable[[float], float]:
    def error(step: float) -> float:
        contexts = coder.layout.contexts(coder.mean)
        step = max(step, 1 / LARGEST_LEVEL)
        return _sample_error(coder.quantiser, sample, coder.quantiser.levels(sample, step, contexts), step)

    return error
