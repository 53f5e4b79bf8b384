"""How the encoder of `geometric` chooses scale classes, by estimates on a sample of the levels.

The mean level of a row, a column or a block foretells the levels of its values. So a class is such
a mean, in units of some levels.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from ...coding.rans import sequence_bits
from ...kernels import geometric as kernels
from ...kernels.entropy.tokens import MAX_CLASSES
from ...source import Source, Span
from ..common.scale_classes import BLOCKS, PRODUCT, SMALLEST_BLOCK, WIDEST, ScaleClasses, Tiling
from ..contract import TooFine
from .head import Head
from .intervals import Intervals, magnitudes, signs
from .numbers import Centre, Coded

_MOST_RUNS, _FEWEST_RUNS = 1 << 15, 1 << 10  # about how many the encoder wants for large and for small tensors
_PIECES, _PIECE = 1 << 5, 1 << 11  # pieces of a sample of a large tensor, and values of each of them
_UNITS = (0.25, 0.5, 1.0)  # units of classes, in standard deviations of the levels of a class
_NEAR = 0.005  # the share of bits that "nearly as good" is
_BLOCKS = (4 * SMALLEST_BLOCK, SMALLEST_BLOCK)


@dataclass(frozen=True)
class Sums:
    """Sums of levels (row 0) and their counts (row 1) by row, column and block of the tensor.

    Values that are zero do not count. columns: empty if there are no classes of columns. blocks: of
    SMALLEST_BLOCK values.
    """

    rows: np.ndarray
    columns: np.ndarray
    blocks: np.ndarray


@dataclass(frozen=True)
class Fitted:
    """What makes the bytes of a tensor. bits: about how many its chunks take."""

    source: Source
    head: Head
    bits: float

    def code(self, start: int, stop: int) -> bytes:
        """The bytes of the chunk with the flat indices start…stop-1."""
        values = self.source.read(start, stop)
        classes = self.head.classes.fill(start, stop)
        levels = self.head.intervals.levels(magnitudes(values))
        coded = Coded.of(self.head.centre.numbers(levels, classes), classes)
        return self.head.classes.pack_chunk(start, stop) + coded.encode(classes, signs(values))


def fit(source: Source, bound: float) -> Fitted:
    """What codes a tensor that has a value other than zero. Raises TooFine."""
    tiling = Tiling.of(source.shape, source.size)
    first, last = _range(source, tiling)
    most_runs = min(max(source.size, _FEWEST_RUNS), _MOST_RUNS)
    intervals = Intervals.of(source.dtype, bound, first, last, most_runs)
    if intervals is None:
        raise TooFine
    sums = _sums(source, tiling, intervals)
    sample = Sample.of(source, tiling, intervals)
    best = _best(sample, list(_ways(tiling, sums, sample.variance)))
    return Fitted(source, Head(intervals, best.centre, best.classes), best.bits + sample.sign_bits)


def _range(source: Source, tiling: Tiling) -> Span:
    """The smallest and the largest pattern of a value other than zero."""
    lows, highs = [], []
    for span in tiling.spans():
        patterns = magnitudes(source.read(*span))
        lows.append(int(patterns.min(where=patterns > 0, initial=np.iinfo(np.int64).max)))
        highs.append(int(patterns.max()))
    return min(lows), max(highs)


def _sums(source: Source, tiling: Tiling, intervals: Intervals) -> Sums:
    height = -(-tiling.size // tiling.width)
    columns = np.zeros((2, tiling.width if height > 1 and tiling.width <= WIDEST else 0))
    rows = np.zeros((2, height if columns.size else 0))
    blocks = np.zeros((2, tiling.blocks(tiling.size - 1, tiling.size, SMALLEST_BLOCK).stop))
    for start, stop in tiling.spans():
        levels = intervals.levels(magnitudes(source.read(start, stop)))
        below, own = rows[:, tiling.rows(start, stop)], blocks[:, tiling.blocks(start, stop, SMALLEST_BLOCK)]
        kernels.add_levels(levels, start, tiling.width, below, columns, own, SMALLEST_BLOCK)
    return Sums(rows, columns, blocks)


@dataclass(frozen=True)
class Choice:
    """Classes, the centre of their levels, and about how many bits the tensor takes with them."""

    bits: float
    classes: ScaleClasses
    centre: Centre


@dataclass(frozen=True)
class Sample:
    """Levels of the values in some spans. more: how many times as many values the tensor has.

    sign_bits: how many bits the signs of the tensor take.
    """

    spans: list[Span]
    levels: np.ndarray
    sign_bits: float
    more: float

    @classmethod
    def of(cls, source: Source, tiling: Tiling, intervals: Intervals) -> "Sample":
        """All values of a small tensor, else pieces that are spread evenly. Each begins a block."""
        spans = tiling.spans()
        if tiling.size > 2 * _PIECES * _PIECE:
            pieces = [(at, min(at + _PIECE, stop)) for start, stop in spans for at in range(start, stop, _PIECE)]
            spans = [pieces[number] for number in np.linspace(0, len(pieces) - 1, _PIECES).astype(int).tolist()]
        values = np.concatenate([source.read(*span) for span in spans])
        levels, more = intervals.levels(magnitudes(values)), tiling.size / values.size
        sign_bits = more * np.count_nonzero(levels >= 0) if signs(values).any() else 0.0
        return cls(spans, levels, float(sign_bits), more)

    @property
    def variance(self) -> float:
        """The variance of the levels of values other than zero."""
        others = self.levels[self.levels >= 0]
        return float(np.var(others)) if others.size else 0.0

    def rated(self, classes: ScaleClasses, unit: int) -> Choice:
        """The choice of these classes, whose unit is so many levels."""
        groups = classes.fill_all(self.spans)
        others = self.levels >= 0
        above = self.levels[others] - unit * groups[others].astype(np.int64)
        centre = Centre(unit, int(np.rint(above.mean())) if above.size else 0)
        coded = Coded.of(centre.numbers(self.levels, groups), groups)
        own = classes.rows if classes.rows is not None else classes.blocks
        side = sum(sequence_bits(numbers) for numbers in (own, classes.columns) if numbers is not None)
        chunks = len(classes.tiling.spans())
        return Choice(coded.costs(self.more / chunks).sum() * chunks + side, classes, centre)


@dataclass(frozen=True)
class Way:
    """A mode of classes that may suit a tensor: units to choose from, and the classes by unit."""

    units: list[int]
    classes: Callable[[int], ScaleClasses]

    @property
    def middle(self) -> int:
        return self.units[len(self.units) // 2]


def _best(sample: Sample, ways: list[Way]) -> Choice:
    """The best way with its best unit.

    Each way is tried with a unit of middle size. Other units are tried for the best way, and for
    the second one if it is nearly as good.
    """
    found = [(sample.rated(way.classes(way.middle), way.middle), way) for way in ways]
    found.sort(key=lambda pair: pair[0].bits)
    choices = [choice for choice, _ in found]
    for choice, way in found[:2]:
        if choice.bits <= choices[0].bits * (1 + _NEAR):
            choices += [sample.rated(way.classes(unit), unit) for unit in way.units if unit != way.middle]
    return min(choices, key=lambda choice: choice.bits)


def _ways(tiling: Tiling, sums: Sums, variance: float) -> Iterator[Way]:
    """The ways that may suit this tensor."""
    yield Way([1], lambda unit: ScaleClasses(tiling))
    for size in _BLOCKS if tiling.size > max(_BLOCKS) else ():
        blocks = _larger_blocks(tiling, sums.blocks, size)
        yield Way(_units(variance, blocks), partial(_of_blocks, tiling, blocks, size))
    if sums.columns.size:
        no_rows, no_columns = np.ones_like(sums.rows), np.ones_like(sums.columns)
        for rows, columns in ((sums.rows, sums.columns), (sums.rows, no_columns), (no_rows, sums.columns)):
            yield Way(_units(variance, rows, columns), partial(_of_product, tiling, rows, columns))


def _of_blocks(tiling: Tiling, blocks: np.ndarray, size: int, unit: int) -> ScaleClasses:
    steps = _steps(blocks, unit)
    return ScaleClasses(tiling, BLOCKS, blocks=_below(steps, _top(steps)), block=size)


def _of_product(tiling: Tiling, rows: np.ndarray, columns: np.ndarray, unit: int) -> ScaleClasses:
    of_both = _steps(rows, unit), _steps(columns, unit)
    top = _top(*of_both)
    numbers = [_below(part, top) for part in of_both]
    return ScaleClasses(tiling, PRODUCT, rows=numbers[0], columns=numbers[1], offset=top)


def _units(variance: float, *parts: np.ndarray) -> list[int]:
    """How many levels a class may stand for, if the classes are sums of numbers of these parts.

    They are shares of the standard deviation that is left in a class, and the number that gives a
    class to all levels.
    """
    means = [_means(sums) for sums in parts]
    between = sum(float(np.nanvar(mean)) for mean in means)
    reach = sum(float(np.nanmax(mean) - np.nanmin(mean)) for mean in means)
    left, least = math.sqrt(max(variance - between, 1.0)), math.ceil(reach / (MAX_CLASSES - 2))
    return sorted({max(round(unit), 1) for unit in (*(share * left for share in _UNITS), least)})


def _means(sums: np.ndarray) -> np.ndarray:
    """The mean levels; NaN where all values are zero."""
    means: np.ndarray = np.divide(sums[0], sums[1], out=np.full(sums.shape[1], np.nan), where=sums[1] > 0)
    return means


def _steps(sums: np.ndarray, unit: int) -> np.ndarray:
    """The mean levels in units, as whole numbers; NaN where all values are zero."""
    steps: np.ndarray = np.rint(_means(sums) / unit)
    return steps


def _top(*steps: np.ndarray) -> int:
    """The highest class. The lowest one, 0, is left to zeros where a part has nothing else."""
    reach = sum(int(np.nanmax(part) - np.nanmin(part)) for part in steps)
    return min(reach + any(bool(np.isnan(part).any()) for part in steps), MAX_CLASSES - 1)


def _below(steps: np.ndarray, top: int) -> np.ndarray:
    """Numbers, int16: `top` for the highest step, less for the others, and never below 0."""
    numbers: np.ndarray = np.maximum(np.nan_to_num(steps - np.nanmax(steps) + top), 0).astype(np.int16)
    return numbers


def _larger_blocks(tiling: Tiling, blocks: np.ndarray, size: int) -> np.ndarray:
    """The sums of blocks of `size` values. The last block of a chunk may be shorter."""
    parts = []
    for span in tiling.spans():
        found = blocks[:, tiling.blocks(*span, SMALLEST_BLOCK)]
        starts = np.arange(0, found.shape[1], size // SMALLEST_BLOCK)
        parts.append(np.add.reduceat(found, starts, axis=1))
    return np.concatenate(parts, axis=1)
