"""Trellis-coded quantisation: the search for levels, in loops that compilers turn into vectors.

The points are the multiples j of the step. A state with an even number offers the even book, the
even j. A state with an odd number offers the odd book: the odd j or, with `zero`, the points 0, ±1,
±3, ±5 …. Every state leads to two others, and which one depends on the half of its book that a
point belongs to. So there are four subsets of every fourth point (Ungerboeck's set partition).
paths.py says what paths and lanes are.

Metrics are squared errors in step². Where |y| is below REACH steps, the prices of the points are
added, and tables by class and quarter of a step say which point of a subset is best, where it is
reconstructed and what it costs. Beyond, points that lie close together cost nearly the same, and
the nearest one is taken.
"""

from collections.abc import Callable

import numpy as np

from ..compiler.jit import njit, njit_inline
from ..entropy.rans import MAX_LANES
from ..entropy.tokens import MAX_CLASSES
from . import trellis_lane
from . import trellis_vectors as vectors
from .paths import ADVANCE, ROWS, STRIP, SUBSETS, best_ends, settle_costs
from .trellis_vectors import SPARE as SPARE

# The first point of each subset, in the direction of the value's sign. Every fourth one follows.
FIRST = np.array([0, 2, 1, -1], np.int64)
RATED = 6  # points of a subset that have prices
CENTROIDS = 4  # the levels ±1 … ±4 have centroid offsets
REACH = np.float32(16)  # the size, in steps, below which values are rated by tables
BINS = 64  # bins of the values below REACH: a quarter of a step each

_PER_STEP = np.float32(BINS / 16)
_NEVER = 1e30
_0, _HALF, _QUARTER, _PERIOD = map(np.float32, (0, 0.5, 0.25, 4))
_CLASS = np.int32(BINS)
_ROOM = np.int64(MAX_CLASSES * BINS)  # places that a subset has in the tables
_PLACES = np.int32(_ROOM)
_PAIRS = np.int32(2 * SUBSETS)  # numbers in a row of the table
_u32 = np.uint32
_APART = np.int64(trellis_lane.MOST if trellis_lane.USED else 0)  # up to so many lanes go one by one


@njit
def fill_lookup(
    prices: np.ndarray,
    worth: float,
    count: int,
    zero: bool,
    offsets: np.ndarray,
    table: np.ndarray,
    picks: np.ndarray,
) -> None:
    """Fill tables with the best point of each subset, class below `count`, and quarter of a step.

    At class·BINS + quarter, a row of the table, float32, has the prices of the best points of all
    subsets and then their places. At subset·_ROOM + class·BINS + quarter, picks, uint8, have their
    numbers. prices[class, subset, u]: float64, in bits. worth: of a bit, in step². zero: whether
    the odd book has a zero. offsets: the centroid offsets of the levels 0, 1, 2 …, in steps.
    """
    points = _points(zero, offsets)
    for c in range(count):
        for q in range(SUBSETS):
            for k in range(BINS):
                size = (k + 0.5) / _PER_STEP
                best, least = 0, _NEVER
                for u in range(RATED):
                    gap = size - points[q, u]
                    cost = gap * gap + worth * prices[c, q, u]
                    if cost < least:
                        best, least = u, cost
                row = 2 * SUBSETS * (c * BINS + k) + q
                table[row], table[row + SUBSETS] = worth * prices[c, q, best], points[q, best]
                picks[q * _ROOM + c * BINS + k] = best


@njit_inline
def _points(zero: bool, offsets: np.ndarray) -> np.ndarray:
    """Where point number u of a subset is reconstructed, in steps, as [subset, u]."""
    points = np.empty((SUBSETS, RATED))
    for q in range(SUBSETS):
        for u in range(RATED):
            level = FIRST[q] + 4 * u
            offset = offsets[min(abs(level), offsets.size - 1)]
            points[q, u] = level + offset if level > 0 else (level - offset if level < 0 else 0.0)
    if zero:
        points[3, 0] = 0.0
    return points


@njit
def _locate(values: np.ndarray, scale: float, classes: np.ndarray, steps: np.ndarray, places: np.ndarray) -> bool:
    """Fill in values in steps and places in a subset's tables; whether any is beyond REACH."""
    beyond = _0
    for i in range(values.size):
        y = values[i] * scale
        size = np.float32(abs(y))
        steps[i] = y
        over = size >= REACH
        beyond = beyond + (np.float32(1) if over else _0)
        places[i] = np.int32(classes[i]) * _CLASS + (np.int32(0) if over else np.int32(size * _PER_STEP))
    return beyond > _0


@njit
def rate_plainly(steps: np.ndarray, places: np.ndarray, table: np.ndarray, rated: np.ndarray) -> None:
    """Fill in the metrics of the values in all subsets, value by value, by a table."""
    for i in range(steps.size):
        for q in range(SUBSETS):
            at = _PAIRS * places[i] + q
            gap = np.float32(abs(steps[i])) - table[at + SUBSETS]
            rated[SUBSETS * i + q] = gap * gap + table[at]


@njit
def _nearest(steps: np.ndarray, first: np.float32, metrics: np.ndarray) -> None:
    """Overwrite the metrics of values beyond REACH. first: the first point of the subset."""
    for i in range(steps.size):
        size = abs(steps[i])
        gap = size - first
        gap = gap - _PERIOD * np.floor(gap * _QUARTER + _HALF)
        metrics[i] = gap * gap if size >= REACH else metrics[i]


@njit
def deal_plainly(rated: np.ndarray, steps: np.ndarray, zero: bool, size: int, planes: np.ndarray) -> None:
    """Deal the metrics of so many values out to planes, one for each subset.

    The odd subsets change places where the value is negative, or if `zero`.
    """
    for i in range(size):
        turned = steps[i] < _0 or zero
        for q in range(SUBSETS):
            planes[(q ^ 1 if turned and q > 1 else q) * STRIP + i] = rated[SUBSETS * i + q]


rate, deal = (vectors.rate, vectors.deal) if vectors.USED else (rate_plainly, deal_plainly)


def _make_search(states: int) -> Callable[..., None]:
    advance, walk = (vectors.ADVANCE if vectors.USED else ADVANCE)[states], trellis_lane.WALK[states]
    apart = _APART

    @njit
    def search(
        values: np.ndarray,
        scale: float,
        classes: np.ndarray,
        table: np.ndarray,
        zero: bool,
        ways: np.ndarray,
        ends: np.ndarray,
    ) -> None:
        """Fill in the decisions and the best last states of the paths that begin in state 0.

        values·scale: the values in steps, float32 if all are below 2¹⁵, else float64. table: of
        `fill_lookup`. ways: uint32, for each value, and SPARE more. ends: uint32, for each lane.
        """
        lanes = ends.size
        rows = min(max(STRIP // lanes, 1), ROWS)
        steps, places = np.empty(STRIP, values.dtype), np.empty(STRIP, np.int32)
        near = np.zeros(STRIP, np.float32)
        rated = np.zeros(SUBSETS * STRIP, np.float32)
        planes = np.zeros(SUBSETS * STRIP + SPARE, np.float32)
        cost, grown = np.empty(states * MAX_LANES, np.float32), np.empty(states * MAX_LANES, np.float32)
        for i in range(cost.size):
            cost[i] = _NEVER if i >= MAX_LANES else _0
        for start in range(0, values.size, rows * lanes):
            strip = values[start : start + rows * lanes]
            size = strip.size
            beyond = _locate(strip, scale, classes[start : start + size], steps, places)
            for i in range(size):
                near[i] = steps[i]
            rate(near[:size], places, table, rated)
            if beyond:
                for q in range(SUBSETS):
                    _nearest(steps[:size], np.float32(FIRST[q]), rated[q : SUBSETS * size : SUBSETS])
            deal(rated, near, zero, size, planes)
            if lanes <= apart:
                walk(cost, planes, ways, start, size, lanes)
                settle_costs(cost, states, lanes)
                continue
            for first in range(0, size, lanes):
                count = min(lanes, size - first)
                advance(cost, grown, planes, first, ways, start + first, count)
                if count < lanes:
                    for s in range(states):
                        for lane in range(count, lanes):
                            grown[s * MAX_LANES + lane] = cost[s * MAX_LANES + lane]
                cost, grown = grown, cost
            settle_costs(cost, states, lanes)
        best_ends(cost, states, ends)

    return search


SEARCHES = {states: _make_search(states) for states in (8, 32)}


@njit
def _subsets(steps: np.ndarray, slots: np.ndarray, zero: bool, places: np.ndarray) -> None:
    """Move places to the tables of the subset that each slot stands for."""
    for i in range(steps.size):
        slot = np.int32(slots[i])
        turned = slot > 1 and (steps[i] < _0 or zero)
        places[i] += (np.int32(5) - slot if turned else slot) * _PLACES


@njit
def _pick(places: np.ndarray, picks: np.ndarray, points: np.ndarray) -> None:
    """Fill in the number, within its subset, of the best point of each value."""
    for i in range(places.size):
        points[i] = picks[_u32(places[i])]


@njit
def _pick_nearest(steps: np.ndarray, places: np.ndarray, points: np.ndarray) -> None:
    """Overwrite the point numbers of values beyond REACH."""
    for i in range(steps.size):
        size = abs(steps[i])
        subset = places[i] // _PLACES
        first = np.int32(-1) if subset == 3 else (np.int32(1) if subset == 2 else np.int32(2) * subset)
        points[i] = np.int32((size - first) * _QUARTER + _HALF) if size >= REACH else points[i]


@njit
def _levels(
    steps: np.ndarray, places: np.ndarray, zero: bool, slots: np.ndarray, points: np.ndarray, numbers: np.ndarray
) -> None:
    """Turn point numbers into levels, positive in the direction of the value, and slots into books.

    numbers: filled in with the numbers of these levels in their books.
    """
    for i in range(steps.size):
        subset = places[i] // _PLACES
        first = np.int32(-1) if subset == 3 else (np.int32(1) if subset == 2 else np.int32(2) * subset)
        level = np.int32(4) * points[i] + first
        level = np.int32(0) if zero and level < 0 else level
        book = np.int32(slots[i]) >> 1
        points[i] = level
        slots[i] = book
        ahead = (level + (book if zero else np.int32(0))) >> 1
        signed = -level if steps[i] < _0 else level
        turned = (signed - book) >> 1
        numbers[i] = turned if not zero else (-ahead if steps[i] < _0 else ahead)


@njit
def fill_numbers(
    values: np.ndarray,
    scale: float,
    classes: np.ndarray,
    slots: np.ndarray,
    picks: np.ndarray,
    zero: bool,
    numbers: np.ndarray,
) -> None:
    """Fill in the numbers, int32, of the points that the slots stand for. Slots become books."""
    all_steps = np.empty(STRIP, values.dtype)
    all_places, all_points = np.empty(STRIP, np.int32), np.empty(STRIP, np.int32)
    for start in range(0, values.size, STRIP):
        strip = values[start : start + STRIP]
        steps, places, points = all_steps[: strip.size], all_places[: strip.size], all_points[: strip.size]
        beside = slots[start : start + STRIP]
        beyond = _locate(strip, scale, classes[start : start + STRIP], steps, places)
        _subsets(steps, beside, zero, places)
        _pick(places, picks, points)
        if beyond:
            _pick_nearest(steps, places, points)
        _levels(steps, places, zero, beside, points, numbers[start : start + STRIP])
