"""How the encoder finds trellis-coded levels: prices of the points, their centroids, and what one try of a step costs."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

from ...kernels import contexts as kernels
from ...kernels.range_coder import BOUND_BITS, SYMBOLS
from ...kernels.tcq import CENTROIDS, FIRST, RATED, SEARCHES, SUBSETS
from .step_search import solve_step
from .trellis import Contexts, Labels, Points

_SLOPE = 0.25  # what a bit is worth in step²: 2·ln 2·(distortion per value, about 0.26 step²), less at low rates
_RARE = 16  # a level met less often keeps no centroid of its own
LARGEST_LEVEL = 2.0**28  # finer steps are refused

Trial = TypeVar("Trial")


class Spending(Generic[Trial]):
    """A closed loop over steps; of all trials only the two that may be its result are kept."""

    def __init__(self, trial: Callable[[float], tuple[Trial, float]], target: float) -> None:
        """trial: step → what was tried, and its error."""
        self._trial = trial
        self._target = target
        self._most = -1.0  # the largest error within the target
        self._finest = float("inf")
        self._results: dict[bool, Trial] = {}  # by whether the target is met

    def search(self, start: float, tolerance: float) -> Trial:
        """The trial whose error spends the target; the finest one where none meets it."""
        met = solve_step(self._error, self._target, start, tolerance)
        return self._results[met > 0]

    def _error(self, step: float) -> float:
        step = max(step, 1 / LARGEST_LEVEL)
        found, error = self._trial(step)
        if self._most < error <= self._target:
            self._most, self._results[True] = error, found
        elif step < self._finest:
            self._finest, self._results[False] = step, found
        return error


@dataclass(frozen=True)
class Quantiser:
    """Everything that makes levels of values. bits[bin, subset, u]: the code lengths that the search reckons with."""

    labels: Labels
    bits: np.ndarray
    shifts: tuple[int, ...] = (0,) * CENTROIDS

    @classmethod
    def fresh(cls, labels: Labels) -> "Quantiser":
        """With the code lengths of an untrained coder."""
        return cls(labels, code_lengths(kernels.prior_model(labels.zero)[0], labels.zero))

    def levels(self, values: np.ndarray, step: float, contexts: Contexts) -> np.ndarray:
        """int32 levels of the float values of whole rows."""
        bins = np.empty(values.size, np.uint8)
        levels = np.empty(values.size, np.int32)
        scale = 1.0 / step
        kernels.classify(values, scale, contexts.means, contexts.confidence, contexts.keep, bins)
        points = _points(self.labels.zero, Points.offsets_of(self.shifts))
        search = SEARCHES[self.labels.trellis]
        search(values, scale, bins, self.labels.zero, points, _SLOPE * self.bits, levels)
        return levels

    def trained(
        self, values: np.ndarray, levels: np.ndarray, step: float, contexts: Contexts
    ) -> tuple["Quantiser", int]:
        """With the centroids and code lengths of these levels of these values; and the bytes that they take."""
        code, bounds = self.labels.encode(levels, contexts)
        bits = code_lengths(bounds, self.labels.zero)
        return replace(self, bits=bits, shifts=centroids(values, levels, step)), len(code)


def centroids(values: np.ndarray, levels: np.ndarray, step: float) -> tuple[int, ...]:
    """For levels ±1…±CENTROIDS, where their values lie on average, in 1/128 of the step beyond the level."""
    sizes = np.abs(levels)
    small = np.flatnonzero((sizes > 0) & (sizes <= CENTROIDS))
    sizes, parts = sizes[small], values[small] * np.sign(levels[small])
    counts = np.bincount(sizes, minlength=CENTROIDS + 1)[1:]
    sums = np.bincount(sizes, parts, CENTROIDS + 1)[1:] / step
    shifts = np.where(counts >= _RARE, sums / np.maximum(counts, 1) - np.arange(1, CENTROIDS + 1), 0)
    return tuple(np.clip(np.rint(128 * shifts), -127, 127).astype(int).tolist())


def code_lengths(bounds: np.ndarray, zero: bool) -> np.ndarray:
    """bits[bin, subset, u] by the adaptive symbols; 0 where low bits are coded apart: there the middle is best."""
    books = np.zeros((2, kernels.BINS, 2 * RATED))
    ends = bounds.reshape(2, kernels.BINS, SYMBOLS) / 2.0**BOUND_BITS
    books[:, :, :SYMBOLS] = -np.log2(np.diff(ends, append=1.0))
    books[:, :, SYMBOLS - 1 :] = books[:, :, SYMBOLS - 1 : SYMBOLS] + 1
    books[:, :, SYMBOLS - 1 :] += 2 * np.log2(np.arange(1, 2 * RATED - SYMBOLS + 2))
    books[:, :, 1:] += 1  # the sign
    if not zero:
        books[1, :, 0] += 1
    table = np.empty((kernels.BINS, SUBSETS, RATED))
    table[:, 0], table[:, 1] = books[0][:, ::2], books[0][:, 1::2]
    if zero:
        table[:, 2], table[:, 3] = books[1][:, 1::2], books[1][:, ::2]
    else:
        table[:, 2], table[:, 3, 1:], table[:, 3, 0] = books[1][:, ::2], books[1][:, 1:-1:2], books[1][:, 0]
    table[kernels.DIRECT_BINS :] = 0
    return table


def _points(zero: bool, offsets: np.ndarray) -> np.ndarray:
    """points[subset, u]: where the subset's point is reconstructed, in steps."""
    points = FIRST[:, None] + 4.0 * np.arange(RATED)
    sizes = np.abs(points).astype(np.int64)
    shifts = np.where(sizes < offsets.size, offsets[np.minimum(sizes, offsets.size - 1)], 0)
    points += np.sign(points) * shifts
    if zero:
        points[3, 0] = 0.0
    return points
