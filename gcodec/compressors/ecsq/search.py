"""How the encoder of `ecsq` chooses: classes, thresholds, centroids, and the step that spends the bound.

All is settled on a sample; then the step is corrected, once, by what is measured on the whole tensor.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from ... import dtypes
from ...kernels import scales as kernels
from ...kernels.scales import GRADES
from ...kernels.tokens import MAX_CLASSES
from ...source import Source
from ..common.levels import Reconstruction, Step, encode_levels
from ..common.scale_choice import choose_classes, exponent_of, read, sample_spans, scan
from ..common.scale_classes import Grid, ScaleClasses
from ..common.step_search import solve_step

_SLOPE = 0.1  # what a bit is worth in step²: ln 2 / 6 = 0.116 for one threshold, less as a class's thresholds are tied
_SLOPE_PLAIN = 0.06  # the same without scale classes
_PRIOR = 16  # counts of a law without a dead zone, for classes that are rare in the sample
_LOOSE, _TIGHT, _WHOLE = 0.03, 0.002, 0.004  # tolerances: while choosing, of a small tensor, of a large one
_NEAR, _MARGIN = 0.05, 0.001  # how far a sample may mislead (else all steps are measured), what is kept from the bound
_FINEST = 2.0**-54  # the least step beside the largest magnitude, so that levels stay below MAX_WIDTH bits

Part = tuple[np.ndarray, np.ndarray]  # work values and their uint8 classes
_NARROW = dtypes.FLOATS - {np.dtype(np.float32), np.dtype(np.float64)}


@dataclass(frozen=True)
class Quantiser:
    """Everything that makes levels of source · 2^-exponent. `rounding`: float64 by class."""

    source: Source
    exponent: int
    classes: ScaleClasses
    rounding: np.ndarray
    step: Step
    offsets: tuple[int, int] = (0, 0)

    def reconstruction(self) -> Reconstruction:
        """The decoder's side, for the source as it is."""
        return Reconstruction(self.step.times(self.exponent), self.offsets)

    def read(self, start: int, stop: int) -> np.ndarray:
        return read(self.source, start, stop, math.ldexp(1.0, -self.exponent))

    def quantise(self, values: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Levels of work values with these classes."""
        small = float(max(values.max(), -values.min())) < 2.0**30 * float(self.step)
        levels = np.empty(values.size, np.int32 if small else np.int64)
        kernels.quantise(values, classes, self.rounding, float(self.step), levels)
        return levels

    def code(self, start: int, stop: int) -> bytes:
        """The bytes of a chunk."""
        classes = self.classes.fill(start, stop)
        levels = self.quantise(self.read(start, stop), classes)
        return self.classes.pack_chunk(start, stop) + encode_levels(levels, classes)

    def with_centroids(self, part: Part) -> tuple["Quantiser", float]:
        """The same with the centroids of these values, and their squared error."""
        error, excess1, ones, excess2, twos = kernels.error_sums(*part, self.rounding, float(self.step))
        first, second = _centroid(excess1, ones), _centroid(excess2, twos)
        for offset, excess, count in ((first, excess1, ones), (second, excess2, twos)):
            error += offset / 256 * (count * offset / 256 - 2 * excess)
        quantiser = replace(self, offsets=(first, second))
        if self.source.dtype in _NARROW:
            return quantiser, quantiser.error(part)
        return quantiser, error * float(self.step) ** 2

    def error(self, part: Part) -> float:
        """The squared error of these values, after rounding to the tensor's dtype where that is a coarse one."""
        if self.source.dtype not in _NARROW:
            first, second = (offset / 256 for offset in self.offsets)
            return kernels.squared_error(*part, self.rounding, float(self.step), first, second) * float(self.step) ** 2
        values = part[0]
        decoded = self.reconstruction().values(self.quantise(*part).astype(np.int64), values.dtype)
        return _energy(dtypes.narrow(decoded, self.source.dtype).astype(np.float64) - values)


def search(source: Source, bound: float) -> Quantiser:
    """The quantiser whose distortion on the source is at most `bound`, and close to it where that is possible."""
    exponent = exponent_of(source)
    grid = Grid.of(source.shape, source.size)
    energies = scan(source, grid, math.ldexp(1.0, -exponent))
    step = Step.below(math.sqrt(12 * bound * energies.total / source.size))
    rounding = np.full(MAX_CLASSES, 0.5 - _SLOPE_PLAIN)
    quantiser = Quantiser(source, exponent, ScaleClasses(grid), rounding, step)
    finest = math.sqrt(energies.blocks.max()) * _FINEST

    spans = sample_spans(grid)
    values = np.concatenate([quantiser.read(*span) for span in spans])
    if not values.any():  # a sparse tensor, and a sample of zeros: take all of it
        spans = list(grid.spans())
        values = np.concatenate([quantiser.read(*span) for span in spans])
    part = values, np.zeros(values.size, np.uint8)
    energy = energies.total * values.size / grid.size  # the sample's own would depend on a few large values
    quantiser = _solve(quantiser, part, bound * energy, finest, _LOOSE)
    classes = choose_classes(energies, grid, float(quantiser.step), spans, quantiser.quantise(*part))
    quantiser = replace(quantiser, classes=classes)
    part = values, quantiser.classes.fill_all(spans)
    quantiser = _solve(_choose_rounding(quantiser, part), part, bound * energy, finest, _LOOSE)
    quantiser = _solve(_choose_rounding(quantiser, part), part, bound * energy, finest, _TIGHT)
    return quantiser if values.size == grid.size else _correct(quantiser, part, bound * energies.total, finest)


def _centroid(excess: float, count: float) -> int:
    """The mean excess of |x|/step over a level, in 1/256."""
    return min(max(round(256 * excess / count), -128), 127) if count else 0


def _energy(values: np.ndarray) -> float:
    wide = values.astype(np.float64)
    return float(np.dot(wide, wide))


def _solve(quantiser: Quantiser, part: Part, target: float, finest: float, tolerance: float) -> Quantiser:
    """The quantiser with the step, and its centroids, whose squared error on these values is `target`."""
    tried: dict[float, Quantiser] = {}

    def error(step: float) -> float:
        tried[step], measured = replace(quantiser, step=Step.below(max(step, finest))).with_centroids(part)
        return measured

    step = solve_step(error, target, float(quantiser.step), tolerance)
    return tried[step or min(tried)]


def _correct(quantiser: Quantiser, part: Part, target: float, finest: float) -> Quantiser:
    """The quantiser with the step whose squared error on the whole tensor is `target`, when `part` stands for it.

    A sample of the tensor is good enough to tell how the error changes with the step, so one measurement should do.
    """
    measured = _whole_error(quantiser)
    if measured == 0 or (1 - _WHOLE) * target <= measured <= target:  # 0: all values are levels
        return quantiser
    change = (1 - _MARGIN) * target / measured
    if abs(math.log(change)) < _NEAR:
        return _solve(quantiser, part, change * quantiser.with_centroids(part)[1], finest, _MARGIN)
    tried: dict[float, Quantiser] = {}

    def error(step: float) -> float:
        tried[step] = trial = replace(quantiser, step=Step.below(max(step, finest)))
        return _whole_error(trial)

    step = solve_step(error, target, float(quantiser.step), _WHOLE)
    return tried[step or min(tried)]


def _whole_error(quantiser: Quantiser) -> float:
    spans = quantiser.classes.grid.spans()
    return math.fsum(quantiser.error((quantiser.read(*span), quantiser.classes.fill(*span))) for span in spans)


def _choose_rounding(quantiser: Quantiser, part: Part) -> Quantiser:
    """With thresholds moved outwards as far as the bits that they save are worth: the dead zone.

    Between levels k and k + 1 the best threshold lies slope·step·Δ/2 above the middle, Δ the difference of their code
    lengths; one offset serves all levels of a class, that of levels 0 and 1.
    """
    slope = _SLOPE if quantiser.classes.mode else _SLOPE_PLAIN
    counts = np.zeros((MAX_CLASSES, GRADES), np.int64)
    kernels.grade_levels(quantiser.quantise(*part), part[1], counts)
    lengths = np.log2((2 * counts[:, 0] + _PRIOR) / (counts[:, 1] + _PRIOR))  # a 1 has two signs
    return replace(quantiser, rounding=0.5 - np.clip(slope / 2 * lengths, 0.0, 0.45))
