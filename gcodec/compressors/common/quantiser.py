"""From values to levels: by a search for the cheapest path through a trellis, or by thresholds."""

import threading
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ... import dtypes
from ...kernels.entropy import tokens
from ...kernels.entropy.tokens import MAX_CLASSES, MAX_WIDTH
from ...kernels.entropy.vectors import ENTRIES
from ...kernels.levels import level_tables, measure, paths, scales, trellis
from ...kernels.levels import prices as kernels
from ...kernels.levels.paths import SUBSETS, TRELLISES
from ...kernels.levels.trellis import BINS, CENTROIDS, RATED, SPARE
from ...kernels.levels.values import first_wide
from .levels import OFFSETS_PER_STEP, Coded, Labels, Points, Step

# What a bit is worth, in step²: 2·ln 2·(mean squared error, about 0.26), and less at low rates.
WORTH = 0.25
# What a bit is worth where thresholds decide, in (cell width)²: ln 2 / 6 = 0.116 for one threshold,
# and less as all thresholds of a class move together. The second number is for one class alone.
_THRESHOLD, _THRESHOLD_PLAIN = 0.1, 0.06
_PRIOR = 16  # counts of a law without a dead zone that are added to those of a class
_LARGE = 32  # one number of so many may be large and is still coded in one pass
_RARE = 16  # a level that occurs less often has no centroid of its own
# Up to so many values centroids are not worth their bytes, by whether there is a trellis.
_FEW = {False: 300, True: 1000}
_NARROW_CELLS = 0.385  # the widest cell of a class, relative to its mean magnitude
_EXACT = 2.0**15  # up to so many steps float32 tells values apart well enough for a search
_SMALL_SCALES, _SQUARED = 2.0**100, 2.0**50  # float32 can hold scales from 1 / this to this, and their squares
_STRIDE, _LONG = 7, 1 << 14  # where there are more numbers, every seventh decides the raw widths
LARGEST_LEVEL = 2.0**28  # the search refuses finer steps

_WORK = (np.dtype(np.float32), np.dtype(np.float64))  # dtypes of values that are decoded as they are
_NO_NUMBERS = np.empty(0, np.int32)
_MOST_WAYS = 1 << 20  # values whose decisions a thread keeps room for


class _Room(threading.local):
    """What a search writes and nobody reads later, for each thread.

    It is kept, as the first use of fresh memory takes as long as much of a search.
    """

    def __init__(self) -> None:
        size = SUBSETS * MAX_CLASSES * BINS
        self.tables = np.empty(2 * size, np.float32), np.empty(size, np.uint8)
        self._ways = np.empty(0, np.uint32)

    def ways(self, size: int) -> np.ndarray:
        """Room for the decisions of so many values."""
        if size > self._ways.size:
            found = np.empty(size, np.uint32)
            if size > _MOST_WAYS:
                return found
            self._ways = found
        return self._ways[:size]


_room = _Room()


@dataclass(frozen=True)
class Part:
    """Values of a tensor that are quantised together.

    values: in the work dtype. classes: of the values, uint8. lanes: how many lanes they have.
    """

    values: np.ndarray
    classes: np.ndarray
    lanes: int

    @cached_property
    def peak(self) -> float:
        """The largest magnitude."""
        return float(max(self.values.max(), -self.values.min()))

    @cached_property
    def class_count(self) -> int:
        """How many classes there may be: one more than the number of the highest."""
        return int(self.classes.max()) + 1

    def fitting(self, scale: float) -> np.ndarray:
        """The values in a dtype that tells them apart when they are scaled."""
        peak = self.peak * scale
        if self.values.dtype == np.float32 and (peak >= _EXACT or not 1 / _SMALL_SCALES < scale < _SMALL_SCALES):
            return self.values.astype(np.float64)
        return self.values


@dataclass(frozen=True)
class Found:
    """The levels of a part, ready for the entropy coder, and as numbers in books.

    books: None if all are even. error: ‖x̂ − x‖² of the values that they decode to. The numbers
    follow from the codes, except where they have raw bits: `coded` has all of these then, or
    `large` has the places and the numbers of a few.
    """

    books: np.ndarray | None
    coded: Coded
    error: float
    large: tuple[np.ndarray, np.ndarray] | None = None

    @cached_property
    def numbers(self) -> np.ndarray:
        if self.coded.numbers is not None:
            return self.coded.numbers
        numbers = np.empty(self.coded.codes.size, np.int32)
        tokens.numbers_of(self.coded.codes, numbers)
        if self.large is not None:
            numbers[self.large[0]] = self.large[1]
        return numbers


@dataclass(frozen=True)
class Quantiser:
    """Turns values into levels.

    dtype: of the tensor, to which decoded values are rounded. widths: raw widths by class. prices:
    with a trellis, bits by class, subset and point; without one, rounding offsets by class, as a
    table for look-ups.
    """

    points: Points
    dtype: np.dtype
    widths: np.ndarray
    prices: np.ndarray

    @classmethod
    def fresh(cls, labels: Labels, dtype: np.dtype, step: float) -> "Quantiser":
        """A quantiser that has no prices, dead zones or centroids yet."""
        shape = (ENTRIES,) if labels.states == 1 else (MAX_CLASSES, SUBSETS, RATED)
        prices = np.full(shape, 0.5 - _THRESHOLD_PLAIN if labels.states == 1 else 0.0)
        return cls(Points(labels, Step.below(step)), dtype, np.zeros(MAX_CLASSES, np.int64), prices)

    @property
    def step(self) -> float:
        return float(self.points.step)

    @property
    def labels(self) -> Labels:
        return self.points.labels

    @property
    def _is_narrow(self) -> bool:
        """Whether decoded values are rounded from the work dtype."""
        return self.dtype not in _WORK

    @property
    def has_prices(self) -> bool:
        """Whether it knows what levels cost. Without a trellis it always has rounding offsets."""
        return bool(self.prices.any())

    def with_step(self, step: float) -> "Quantiser":
        points = Points(self.labels, Step.below(step), self.points.offsets)
        return Quantiser(points, self.dtype, self.widths, self.prices)

    def with_states(self, states: int) -> "Quantiser":
        """The same quantiser with another trellis."""
        points = Points(Labels(states, self.labels.zero), self.points.step, self.points.offsets)
        return Quantiser(points, self.dtype, self.widths, self.prices)

    def _with(self, offsets: tuple[int, ...], widths: np.ndarray, prices: np.ndarray) -> "Quantiser":
        return Quantiser(Points(self.labels, self.points.step, offsets), self.dtype, widths, prices)

    def find(self, part: Part) -> Found:
        """The levels of a part, their codes and their error."""
        if self.labels.states == 1 and (found := self._by_thresholds_at_once(part)):
            return found
        numbers, books = self._by_thresholds(part) if self.labels.states == 1 else self._by_search(part)
        coded = Coded.of(numbers, books, part.classes, self.widths)
        return Found(books, coded, self._error(part, numbers, books, coded))

    def _by_thresholds_at_once(self, part: Part) -> Found | None:
        """The levels by thresholds, coded and measured in one pass; None if many have raw bits."""
        values, scale = part.values, 0.5 / self.step
        if not 1 / _SQUARED < scale < _SQUARED:
            return None
        codes, by_code = np.empty(values.size, np.uint8), self._decoded(values.dtype)
        places, large = np.empty((2, min(values.size // _LARGE + 16, values.size)), np.int32)
        law = part.classes, self.prices.astype(values.dtype), by_code, self._is_narrow, first_wide(self.widths)
        error, count, peak = scales.quantise_codes(values, values.dtype.type(scale), *law, codes, places, large)
        if peak >= scales.LARGEST or count > places.size:
            return None
        if count == 0:
            return Found(None, Coded(codes, self.widths), error)
        places, large = places[:count], large[:count]
        decoded = dtypes.widen(dtypes.narrow(self.points.values(large, None, values.dtype), self.dtype))
        gaps = decoded.astype(np.float64) - values[places]
        coded = Coded.with_raw(codes, self.widths, places, (large, part.classes[places]))
        return Found(None, coded, error + float(np.dot(gaps, gaps)), (places, large))

    def _by_thresholds(self, part: Part) -> tuple[np.ndarray, None]:
        scale = 0.5 / self.step
        values, peak = part.fitting(scale), part.peak * scale
        numbers = np.empty(values.size, np.int32 if peak < 2.0**30 else np.int64)
        scales.quantise(values, values.dtype.type(scale), part.classes, self.prices.astype(values.dtype), numbers)
        return numbers, None

    def _by_search(self, part: Part) -> tuple[np.ndarray, np.ndarray]:
        labels = self.labels
        bits, odd_jump, jump = TRELLISES[labels.states]
        inverse = 1 / self.step
        values = part.fitting(inverse)
        scale = values.dtype.type(inverse)
        table, picks = _room.tables
        trellis.fill_lookup(self.prices, WORTH, part.class_count, labels.zero, self.points.in_steps, table, picks)
        ways, ends = _room.ways(values.size + SPARE), np.empty(part.lanes, np.uint32)
        trellis.SEARCHES[labels.states](values, scale, part.classes, table, labels.zero, ways, ends)
        slots, numbers = np.empty(values.size, np.uint8), np.empty(values.size, np.int32)
        paths.trace(ways[: values.size], ends, np.uint32(bits - 1), np.uint32(odd_jump), np.uint32(jump), slots)
        trellis.fill_numbers(values, scale, part.classes, slots, picks, labels.zero, numbers)
        return numbers, slots  # which have become books

    def _error(self, part: Part, numbers: np.ndarray, books: np.ndarray | None, coded: Coded) -> float:
        constants = self.points.constants(part.values.dtype)
        by_code = self._decoded(part.values.dtype)
        if self._is_narrow and coded.raw_bits:
            rounded = dtypes.narrow(self.points.values(numbers, books, np.dtype(np.float32)), self.dtype)
            gaps = rounded.astype(np.float64) - part.values
            return float(np.dot(gaps, gaps))
        args = numbers if coded.raw_bits else _NO_NUMBERS, not self.widths.any(), self.labels.zero, *constants
        return float(measure.squared_error(part.values, coded.codes, by_code, *args))

    def _decoded(self, work: np.dtype) -> np.ndarray:
        """The decoded values by code, rounded to the tensor's dtype, of codes without raw bits."""
        by_code = self.points.table(work)
        if self._is_narrow:
            by_code = dtypes.widen(dtypes.narrow(by_code, self.dtype)).astype(work)
        return by_code

    def learned(self, part: Part, found: Found) -> "Quantiser":
        """The quantiser with the centroids, raw widths, prices or dead zones of these levels."""
        offsets = self._centroids(part, found)
        widths = choose_widths(found.numbers, part.classes)
        coded = found.coded
        if not np.array_equal(widths, self.widths):
            coded = Coded.of(found.numbers, found.books, part.classes, widths)
        histograms = coded.histograms(part.classes)
        if self.labels.states == 1:
            return self._with(offsets, widths, _dead_zones(histograms[::2]))
        return self._with(offsets, widths, prices_of(histograms, widths, self.labels))

    def guessed(self, part: Part) -> "Quantiser":
        """The quantiser with the prices that follow from the nearest levels of each book."""
        scale, size = 0.5 / self.step, part.values.size
        values = part.fitting(scale)
        even, odd = np.empty(size, np.int32), np.empty(size, np.int32)
        kernels.nearest_numbers(values, values.dtype.type(scale), self.labels.zero, even, odd)
        widths = choose_widths(even, part.classes)
        histograms = Coded.of(even, None, part.classes, widths).histograms(part.classes)
        histograms += Coded.of(odd, np.ones(size, np.uint8), part.classes, widths).histograms(part.classes)
        return self._with(self.points.offsets, widths, prices_of(histograms, widths, self.labels))

    def bits(self, part: Part, found: Found) -> float:
        """About how many bits the levels of the part and their tables take."""
        return float(level_tables.estimated_bits(found.coded.histograms(part.classes), self.widths))

    def _centroids(self, part: Part, found: Found) -> tuple[int, ...]:
        if part.values.size < _FEW[self.labels.states > 1]:
            return (0,) * CENTROIDS
        values, offsets = part.fitting(1 / self.step), np.empty(CENTROIDS + 2, np.int64)
        coded = found.numbers, found.coded.codes, self.labels.zero
        measure.fill_offsets(values, values.dtype.type(1 / self.step), *coded, _RARE, OFFSETS_PER_STEP, offsets)
        return tuple(offsets[1:-1].tolist())


def choose_widths(numbers: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The largest raw width of each class whose cells are narrow for its mean magnitude."""
    stride, widths = _STRIDE if numbers.size > _LONG else 1, np.empty(MAX_CLASSES, np.int64)
    kernels.fill_widths(numbers, classes, stride, _NARROW_CELLS, MAX_WIDTH - 8, widths)
    return widths


def prices_of(histograms: np.ndarray, widths: np.ndarray, labels: Labels) -> np.ndarray:
    """The bits of each point by class, subset and number; see `kernels.fill_prices`."""
    bits = np.empty((MAX_CLASSES, SUBSETS, RATED))
    kernels.fill_prices(histograms, widths, labels.zero, bits)
    return bits


def _dead_zones(histograms: np.ndarray) -> np.ndarray:
    """Rounding offsets by class: thresholds move outwards as far as the saved bits are worth.

    The best threshold between the numbers k and k + 1 lies worth·width·Δ/2 above the middle, where
    Δ is the difference of their code lengths. All numbers of a class use the offset of 0 and 1.
    """
    worth = _THRESHOLD if np.count_nonzero(histograms.any(1)) > 1 else _THRESHOLD_PLAIN
    zeros, ones = histograms[:, 0], histograms[:, 1] + histograms[:, 2]  # a 1 has two signs
    lengths = np.log2((2 * zeros + _PRIOR) / (ones + _PRIOR))
    offsets = np.full(ENTRIES, 0.5)
    offsets[:MAX_CLASSES] -= np.clip(worth / 2 * lengths, 0.0, 0.45)
    return offsets
