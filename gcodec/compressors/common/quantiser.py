"""From values to levels: by a search for the cheapest path through a trellis, or by thresholds."""

from dataclasses import dataclass, replace

import numpy as np

from ... import dtypes
from ...coding.rans import used
from ...kernels.entropy import tokens
from ...kernels.entropy.tokens import DIRECT, MAX_CLASSES, MAX_WIDTH
from ...kernels.levels import measure, paths, scales, trellis
from ...kernels.levels.paths import SUBSETS, TRELLISES
from ...kernels.levels.trellis import BINS, CENTROIDS, FIRST, RATED
from .levels import OFFSETS_PER_STEP, Coded, Labels, Points, Step, tables_of

# What a bit is worth, in step²: 2·ln 2·(mean squared error, about 0.26), and less at low rates.
WORTH = 0.25
# What a bit is worth where thresholds decide, in (cell width)²: ln 2 / 6 = 0.116 for one threshold,
# and less as all thresholds of a class move together. The second number is for one class alone.
_THRESHOLD, _THRESHOLD_PLAIN = 0.1, 0.06
_PRIOR = 16  # counts of a law without a dead zone that are added to those of a class
_RARE = 16  # a level that occurs less often has no centroid of its own
# Up to so many values centroids are not worth their bytes, by whether there is a trellis.
_FEW = {False: 300, True: 1000}
_UNSEEN = 2.0  # values by the law of all classes that prices add to the values of a class
_NARROW_CELLS = 0.385  # the widest cell of a class, relative to its mean magnitude
_EXACT = 2.0**15  # up to so many steps float32 tells values apart well enough for a search
_SMALL_SCALES = 2.0**100  # float32 can hold scales from 1 / this to this
_STRIDE, _LONG = 7, 1 << 14  # where there are more numbers, every seventh decides the raw widths
LARGEST_LEVEL = 2.0**28  # the search refuses finer steps

_NO_NUMBERS = np.empty(0, np.int32)


@dataclass(frozen=True)
class Part:
    """Values of a tensor that are quantised together.

    values: in the work dtype. classes: of the values, uint8. lanes: how many lanes they have.
    """

    values: np.ndarray
    classes: np.ndarray
    lanes: int


@dataclass(frozen=True)
class Found:
    """The levels of a part, as numbers in books and ready for the entropy coder.

    books: None if all are even. error: ‖x̂ − x‖² of the values that they decode to.
    """

    numbers: np.ndarray
    books: np.ndarray | None
    coded: Coded
    error: float


@dataclass(frozen=True)
class Quantiser:
    """Turns values into levels.

    dtype: of the tensor, to which decoded values are rounded. widths: raw widths by class. prices:
    with a trellis, bits by class, subset and point; without one, rounding offsets by class.
    """

    points: Points
    dtype: np.dtype
    widths: np.ndarray
    prices: np.ndarray

    @classmethod
    def fresh(cls, labels: Labels, dtype: np.dtype, step: float) -> "Quantiser":
        """A quantiser that has no prices, dead zones or centroids yet."""
        shape = (MAX_CLASSES,) if labels.states == 1 else (MAX_CLASSES, SUBSETS, RATED)
        prices = np.full(shape, 0.5 - _THRESHOLD_PLAIN if labels.states == 1 else 0.0)
        return cls(Points(labels, Step.below(step)), dtype, np.zeros(MAX_CLASSES, np.int64), prices)

    @property
    def step(self) -> float:
        return float(self.points.step)

    @property
    def labels(self) -> Labels:
        return self.points.labels

    @property
    def has_prices(self) -> bool:
        """Whether it knows what levels cost. Without a trellis it always has rounding offsets."""
        return bool(self.prices.any())

    def with_step(self, step: float) -> "Quantiser":
        return replace(self, points=replace(self.points, step=Step.below(step)))

    def with_states(self, states: int) -> "Quantiser":
        """The same quantiser with another trellis."""
        return replace(self, points=replace(self.points, labels=replace(self.labels, states=states)))

    def find(self, part: Part) -> Found:
        """The levels of a part, their codes and their error."""
        if self.labels.states == 1 and (found := self._by_thresholds_at_once(part)):
            return found
        numbers, books = self._by_thresholds(part) if self.labels.states == 1 else self._by_search(part)
        coded = Coded.of(numbers, books, part.classes, self.widths)
        return Found(numbers, books, coded, self._error(part, numbers, books, coded))

    def _by_thresholds_at_once(self, part: Part) -> Found | None:
        """The levels by thresholds, coded and measured in one pass; None if any needs raw bits."""
        scale = 0.5 / self.step
        values, peak = _fitting(part.values, scale)
        if self.widths.any() or peak > DIRECT:
            return None
        codes, by_code = np.empty(values.size, np.uint8), self._decoded(part.values.dtype)
        rounding = self.prices.astype(values.dtype)
        error, largest = scales.quantise_codes(values, values.dtype.type(scale), part.classes, rounding, by_code, codes)
        if largest >= DIRECT:
            return None
        numbers = np.empty(values.size, np.int8)
        tokens.numbers_of(codes, numbers)
        return Found(numbers, None, Coded(codes, b"", self.widths), error)

    def _by_thresholds(self, part: Part) -> tuple[np.ndarray, None]:
        scale = 0.5 / self.step
        values, peak = _fitting(part.values, scale)
        numbers = np.empty(values.size, np.int8 if peak < 120 else (np.int32 if peak < 2.0**30 else np.int64))
        scales.quantise(values, values.dtype.type(scale), part.classes, self.prices.astype(values.dtype), numbers)
        return numbers, None

    def _by_search(self, part: Part) -> tuple[np.ndarray, np.ndarray]:
        labels = self.labels
        bits, odd_jump, jump = TRELLISES[labels.states]
        values, _ = _fitting(part.values, 1 / self.step)
        scale = values.dtype.type(1 / self.step)
        tables = np.empty((2, SUBSETS * MAX_CLASSES * BINS), np.float32)
        picks = np.empty(tables.shape[1], np.uint8)
        prices = WORTH * self.prices[: int(part.classes.max()) + 1]
        trellis.fill_lookup(prices, _places(labels.zero, self.points.in_steps), *tables, picks)
        ways, ends = np.empty(values.size, np.uint32), np.empty(part.lanes, np.uint32)
        trellis.SEARCHES[labels.states](values, scale, part.classes, (tables[0], tables[1]), labels.zero, ways, ends)
        books, numbers = np.empty(values.size, np.uint8), np.empty(values.size, np.int32)
        paths.trace(ways, ends, np.uint32(bits - 1), np.uint32(odd_jump), np.uint32(jump), books)
        trellis.settle(values, scale, part.classes, books, picks, labels.zero, numbers)
        return numbers, books

    def _error(self, part: Part, numbers: np.ndarray, books: np.ndarray | None, coded: Coded) -> float:
        constants = self.points.constants(part.values.dtype)
        by_code = self._decoded(part.values.dtype)
        narrow = dtypes.work_dtype(self.dtype) != self.dtype
        if narrow and coded.raw:
            rounded = dtypes.narrow(self.points.values(numbers, books, np.dtype(np.float32)), self.dtype)
            gaps = rounded.astype(np.float64) - part.values
            return float(np.dot(gaps, gaps))
        numbers = numbers if coded.raw else _NO_NUMBERS
        error = measure.squared_error(part.values, coded.codes, by_code, numbers, self.labels.zero, *constants)
        return float(error)

    def _decoded(self, work: np.dtype) -> np.ndarray:
        """The decoded values by code, rounded to the tensor's dtype, of codes without raw bits."""
        by_code = self.points.table(work)
        if dtypes.work_dtype(self.dtype) != self.dtype:
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
            prices = _dead_zones(histograms[::2])
        else:
            prices = prices_of(smooth(histograms), widths, self.labels)
        return replace(self, points=replace(self.points, offsets=offsets), widths=widths, prices=prices)

    def centred(self, part: Part, found: Found) -> tuple["Quantiser", float]:
        """The quantiser with the centroids of these levels, and the error that they then have."""
        points = replace(self.points, offsets=self._centroids(part, found))
        quantiser = replace(self, points=points)
        return quantiser, quantiser._error(part, found.numbers, found.books, found.coded)

    def guessed(self, part: Part) -> "Quantiser":
        """The quantiser with the prices that follow from the nearest levels of each book."""
        values, _ = _fitting(part.values, 0.5 / self.step)
        scaled = values * values.dtype.type(0.5 / self.step)
        numbers = np.rint(scaled).astype(np.int64)
        odd = np.sign(scaled) * np.rint(np.abs(scaled) + 0.25) if self.labels.zero else np.floor(scaled)
        widths = choose_widths(numbers, part.classes)
        ones = np.ones(numbers.size, np.uint8)
        histograms = Coded.of(numbers, None, part.classes, widths).histograms(part.classes)
        histograms += Coded.of(odd.astype(np.int64), ones, part.classes, widths).histograms(part.classes)
        return replace(self, widths=widths, prices=prices_of(smooth(histograms), widths, self.labels))

    def bits(self, part: Part, found: Found) -> float:
        """About how many bits the levels of the part and their tables take."""
        histograms = found.coded.histograms(part.classes)
        bits = tables_of(histograms, used(part.classes), self.widths, self.labels)[1]
        return bits + 24 * part.lanes

    def _centroids(self, part: Part, found: Found) -> tuple[int, ...]:
        if part.values.size < _FEW[self.labels.states > 1]:
            return (0,) * CENTROIDS
        sums, counts = np.zeros(CENTROIDS + 2), np.zeros(CENTROIDS + 2, np.int64)
        values, _ = _fitting(part.values, 1 / self.step)
        scale = values.dtype.type(1 / self.step)
        measure.add_excess(values, scale, found.numbers, found.coded.codes, self.labels.zero, sums, counts)
        means = np.where(counts >= _RARE, sums / np.maximum(counts, 1), 0.0)
        return tuple(np.clip(np.rint(OFFSETS_PER_STEP * means), -127, 127).astype(int).tolist())[1:-1]


def _fitting(values: np.ndarray, scale: float) -> tuple[np.ndarray, float]:
    """(values in a dtype that tells them apart when they are scaled, the largest |value|·scale)."""
    peak = float(max(values.max(), -values.min())) * scale
    if values.dtype == np.float32 and (peak >= _EXACT or not 1 / _SMALL_SCALES < scale < _SMALL_SCALES):
        values = values.astype(np.float64)
    return values, peak


def choose_widths(numbers: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The largest raw width of each class whose cells are narrow for its mean magnitude."""
    sums, counts = np.zeros(MAX_CLASSES), np.zeros(MAX_CLASSES, np.int64)
    stride = _STRIDE if numbers.size > _LONG else 1
    tokens.add_magnitudes(numbers[::stride], classes[::stride], sums, counts)
    widest = np.maximum(_NARROW_CELLS * sums / np.maximum(counts, 1), 1.0)
    widths: np.ndarray = np.minimum(np.log2(widest).astype(np.int64), MAX_WIDTH - 8)
    for c in range(1, MAX_CLASSES):  # a class without values gets the width of the class before it
        widths[c] = widths[c] if counts[c] else widths[c - 1]
    return widths


def smooth(histograms: np.ndarray) -> np.ndarray:
    """The relative frequencies that prices follow from. No symbol has the frequency 0."""
    books = histograms.reshape(MAX_CLASSES, 2, -1)
    law = books.sum(0, keepdims=True) + 1.0
    law = law / law.sum(2, keepdims=True)
    found = books + law * _UNSEEN
    shares: np.ndarray = (found / found.sum(2, keepdims=True)).reshape(histograms.shape)
    return shares


def prices_of(shares: np.ndarray, widths: np.ndarray, labels: Labels) -> np.ndarray:
    """The bits of each point by class, subset and number, as the mean over both signs of a value.

    shares: the relative frequencies of symbols by table.
    """
    even, odd = shares[::2], shares[1::2]
    bits = np.zeros((MAX_CLASSES, SUBSETS, RATED))
    lengths = _lengths(even, _ABOVE, _ABOVE + _ABOVE % 2)
    bits[:, 0], bits[:, 1] = lengths[:, ::2], lengths[:, 1::2]
    if labels.zero:
        lengths = _lengths(odd, _ABOVE, _ABOVE + _ABOVE % 2)
        bits[:, 2], bits[:, 3] = lengths[:, 1::2], lengths[:, ::2]
    else:
        lengths = _lengths(odd, _ABOVE[:-1], 2 * np.arange(1, 2 * RATED))
        bits[:, 2] = lengths[:, ::2]
        bits[:, 3, 0], bits[:, 3, 1:] = lengths[:, 0], lengths[:, 1:-1:2]
    bits[widths > 0] = 0.0
    return bits


# The symbols of the numbers 0, 1, 2 …; the symbol of −n follows that of n.
_ABOVE = np.maximum(2 * np.arange(2 * RATED) - 1, 0)


def _lengths(shares: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The bits of two symbols that lie at the same distance on both sides of zero."""
    bits: np.ndarray = -np.log2((shares[:, one] + shares[:, other]) / 2)
    return bits


def _dead_zones(histograms: np.ndarray) -> np.ndarray:
    """Rounding offsets by class: thresholds move outwards as far as the saved bits are worth.

    The best threshold between the numbers k and k + 1 lies worth·width·Δ/2 above the middle, where
    Δ is the difference of their code lengths. All numbers of a class use the offset of 0 and 1.
    """
    worth = _THRESHOLD if np.count_nonzero(histograms.any(1)) > 1 else _THRESHOLD_PLAIN
    zeros, ones = histograms[:, 0], histograms[:, 1] + histograms[:, 2]  # a 1 has two signs
    lengths = np.log2((2 * zeros + _PRIOR) / (ones + _PRIOR))
    offsets: np.ndarray = 0.5 - np.clip(worth / 2 * lengths, 0.0, 0.45)
    return offsets


def _places(zero: bool, offsets: np.ndarray) -> np.ndarray:
    """Where point number u of a subset is reconstructed, in steps, as places[subset, u]."""
    points = FIRST[:, None] + 4.0 * np.arange(RATED)
    sizes = np.minimum(np.abs(points).astype(np.int64), offsets.size - 1)
    points += np.sign(points) * offsets[sizes]
    if zero:
        points[3, 0] = 0.0
    return points
