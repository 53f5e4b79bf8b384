"""From values to levels: with a trellis by a search for the cheapest path, without one by thresholds."""

import math
from dataclasses import dataclass, replace

import numpy as np

from ... import dtypes
from ...coding.rans import used
from ...kernels.entropy import tokens
from ...kernels.entropy.tokens import DIRECT, MAX_CLASSES, MAX_WIDTH
from ...kernels.levels import measure, scales, trellis
from ...kernels.levels.trellis import BINS, CENTROIDS, FIRST, RATED, SUBSETS, TRELLISES
from .levels import UNIT, Coded, Labels, Points, Step, tables_of

WORTH = 0.25  # of a bit in step²: 2·ln 2·(distortion per value, about 0.26 step²), less at low rates
_THRESHOLD = 0.1  # the same for thresholds, in widths²: ln 2 / 6 = 0.116 for one, less as those of a class are tied
_THRESHOLD_PLAIN = 0.06  # the same without scale classes
_PRIOR = 16  # counts of a law without a dead zone, for classes that are rare
_RARE = 16  # a level met less often keeps no centroid of its own
_FEW = {False: 300, True: 1000}  # values up to which centroids are not worth their bytes, by whether there is a trellis
_UNSEEN = 2.0  # values by the law of all classes that prices add to what was met
_NARROW_CELLS = 0.385  # a class's cells are at most this fraction of its mean magnitude wide
_EXACT = 2.0**15  # steps up to which float32 tells values apart well enough for a search
_SMALL_SCALES = 2.0**100  # and their inverses: scales that float32 can hold
_STRIDE, _LONG = 7, 1 << 14  # raw widths are chosen by every so many numbers, where there are more than that
LARGEST_LEVEL = 2.0**28  # finer steps are refused by the search

_NO_NUMBERS = np.empty(0, np.int32)


@dataclass(frozen=True)
class Part:
    """Values of a tensor that are quantised together: work values, their classes (uint8), and how many lanes they have."""

    values: np.ndarray
    classes: np.ndarray
    lanes: int


@dataclass(frozen=True)
class Found:
    """The levels of a part: numbers, books (None: all even), and codes; error: squared, as they are decoded."""

    numbers: np.ndarray
    books: np.ndarray | None
    coded: Coded
    error: float


@dataclass(frozen=True)
class Quantiser:
    """Everything that makes levels of values. dtype: that of the tensor, to which decoded values are rounded.

    widths: raw widths by class. prices: in bits by class, subset and point, with a trellis; rounding offsets by class without.
    """

    points: Points
    dtype: np.dtype
    widths: np.ndarray
    prices: np.ndarray

    @classmethod
    def fresh(cls, labels: Labels, dtype: np.dtype, step: float) -> "Quantiser":
        """Without prices, dead zones and centroids."""
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
        """Whether it knows what levels cost; thresholds need not."""
        return bool(self.prices.any())

    def with_step(self, step: float) -> "Quantiser":
        return replace(self, points=replace(self.points, step=Step.below(step)))

    def with_states(self, states: int) -> "Quantiser":
        """The same through another trellis."""
        return replace(self, points=replace(self.points, labels=replace(self.labels, states=states)))

    def find(self, part: Part) -> Found:
        """The levels of a part."""
        if self.labels.states == 1 and (found := self._by_thresholds_at_once(part)):
            return found
        numbers, books = self._by_thresholds(part) if self.labels.states == 1 else self._by_search(part)
        coded = Coded.of(numbers, books, part.classes, self.widths)
        return Found(numbers, books, coded, self._error(part, numbers, books, coded))

    def _by_thresholds_at_once(self, part: Part) -> Found | None:
        """The same in one pass, where no number has raw bits."""
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
        trellis.trace(ways, ends, np.uint32(bits - 1), np.uint32(odd_jump), np.uint32(jump), books)
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
        return measure.squared_error(part.values, coded.codes, by_code, numbers, self.labels.zero, *constants)

    def _decoded(self, work: np.dtype) -> np.ndarray:
        """The decoded values of codes without raw bits, rounded to the tensor's dtype."""
        by_code = self.points.table(work)
        if dtypes.work_dtype(self.dtype) != self.dtype:
            by_code = dtypes.widen(dtypes.narrow(by_code, self.dtype)).astype(work)
        return by_code

    def learned(self, part: Part, found: Found) -> "Quantiser":
        """With the centroids, raw widths, and prices or dead zones that these levels ask for."""
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
        """With the centroids of these levels, and the error that the levels have then."""
        points = replace(self.points, offsets=self._centroids(part, found))
        quantiser = replace(self, points=points)
        return quantiser, quantiser._error(part, found.numbers, found.books, found.coded)

    def guessed(self, part: Part) -> "Quantiser":
        """With the prices of the numbers that values would have in each of the books if the nearest points were taken."""
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
        """About how many bits the levels of the part take, with their tables."""
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
        return tuple(np.clip(np.rint(UNIT * means), -127, 127).astype(int).tolist())[1:-1]


def _fitting(values: np.ndarray, scale: float) -> tuple[np.ndarray, float]:
    """The values in a dtype that tells them apart after they are scaled, and the largest of them then."""
    peak = float(max(values.max(), -values.min())) * scale
    if values.dtype == np.float32 and (peak >= _EXACT or not 1 / _SMALL_SCALES < scale < _SMALL_SCALES):
        values = values.astype(np.float64)
    return values, peak


def choose_widths(numbers: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """For each class the largest raw width whose cells are narrow beside its mean magnitude."""
    sums, counts = np.zeros(MAX_CLASSES), np.zeros(MAX_CLASSES, np.int64)
    stride = _STRIDE if numbers.size > _LONG else 1
    tokens.add_magnitudes(numbers[::stride], classes[::stride], sums, counts)
    widest = np.maximum(_NARROW_CELLS * sums / np.maximum(counts, 1), 1.0)
    widths = np.minimum(np.log2(widest).astype(np.int64), MAX_WIDTH - 8)
    for c in range(1, MAX_CLASSES):  # a class that was not met is like the one before it
        widths[c] = widths[c] if counts[c] else widths[c - 1]
    return widths


def smooth(histograms: np.ndarray) -> np.ndarray:
    """Relative frequencies for prices: what was not met is not impossible."""
    books = histograms.reshape(MAX_CLASSES, 2, -1)
    law = books.sum(0, keepdims=True) + 1.0
    law = law / law.sum(2, keepdims=True)
    found = books + law * _UNSEEN
    return (found / found.sum(2, keepdims=True)).reshape(histograms.shape)


def prices_of(shares: np.ndarray, widths: np.ndarray, labels: Labels) -> np.ndarray:
    """Bits of each point by class, subset and number; of both signs of a value in the mean. Shares: of symbols by table."""
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


_ABOVE = np.maximum(2 * np.arange(2 * RATED) - 1, 0)  # symbols of the numbers 0, 1, 2…; the negative ones follow each


def _lengths(shares: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Bits of symbols that lie alike on both sides of zero."""
    return -np.log2((shares[:, one] + shares[:, other]) / 2)


def _dead_zones(histograms: np.ndarray) -> np.ndarray:
    """Rounding offsets by class: thresholds are moved outwards as far as the bits that they save are worth.

    Between numbers k and k + 1 the best threshold lies worth·width·Δ/2 above the middle, Δ the difference of their code
    lengths; one offset serves all numbers of a class, that of 0 and 1.
    """
    worth = _THRESHOLD if np.count_nonzero(histograms.any(1)) > 1 else _THRESHOLD_PLAIN
    lengths = np.log2(
        (2 * histograms[:, 0] + _PRIOR) / (histograms[:, 1] + histograms[:, 2] + _PRIOR)
    )  # a 1 has two signs
    return 0.5 - np.clip(worth / 2 * lengths, 0.0, 0.45)


def _places(zero: bool, offsets: np.ndarray) -> np.ndarray:
    """places[subset, u]: where the subset's point is reconstructed, in steps."""
    points = FIRST[:, None] + 4.0 * np.arange(RATED)
    sizes = np.minimum(np.abs(points).astype(np.int64), offsets.size - 1)
    points += np.sign(points) * offsets[sizes]
    if zero:
        points[3, 0] = 0.0
    return points


def expected_excess(share: float, bits: float, count: int) -> float:
    """About the bits that it takes to bring an error that is so much of its target down to it."""
    return 0.5 * math.log2(share) * min(bits, count)
