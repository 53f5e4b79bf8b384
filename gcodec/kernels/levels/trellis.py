"""Trellis-coded quantisation: the search for levels, in loops that compilers turn into vectors.

The points are the multiples j of the step. A state with an even number offers the even book, the
even j. A state with an odd number offers the odd book: the odd j or, with `zero`, the points 0, ±1,
±3, ±5 …. Every state leads to two others, and which one depends on the half of its book that a
point belongs to. So there are four subsets of every fourth point (Ungerboeck's set partition).
Value number i belongs to lane i mod lanes. Each lane has a path of its own, and all lanes go in
step.

From state s the branch b leads to ⌊s / 2⌋ xor (s mod 2)·odd_jump xor b·jump. The highest bit of a
state tells whether the state before it was odd. So looking back is arithmetic.

Metrics are squared errors in step². Where |y| is below LIMIT steps, the prices of the points are
added, and tables by class and quarter of a step say which point of a subset is best, where it is
reconstructed and what it costs. Beyond, points that lie close together cost nearly the same, and
the nearest one is taken.
"""

import numpy as np

from ..compiler.jit import njit
from ..entropy.rans import MAX_LANES
from ..entropy.tokens import MAX_CLASSES

# Number of states: (bits of a state, jump of odd states, jump of branch 1).
TRELLISES = {1: (0, 0, 0), 8: (3, 5, 2), 32: (5, 18, 4)}
SUBSETS = 4
# The first point of each subset, in the direction of the value's sign. Every fourth one follows.
FIRST = np.array([0, 2, 1, -1], np.int64)
RATED = 6  # points of a subset that have prices
CENTROIDS = 4  # the levels ±1 … ±4 have centroid offsets
LIMIT = np.float32(16)  # steps
BINS = 64  # bins of the values below LIMIT: a quarter of a step each
STRIP = 1024  # values whose metrics are computed together
ROWS = 64  # the most rows of lanes in a strip

_PER_STEP = np.float32(BINS / 16)
_NEVER = 1e30
_0, _2, _HALF, _QUARTER, _PERIOD = map(np.float32, (0, 2, 0.5, 0.25, 4))
_CLASS = np.int32(BINS)
_SPAN = np.int64(MAX_CLASSES * BINS)  # places that a subset has in the tables
_PLACES = np.int32(_SPAN)
_ONE, _FIVE = map(np.uint32, (1, 5))
_u32, _u64 = np.uint32, np.uint64
_WIDE, _PLANE = _u64(MAX_LANES), _u64(STRIP)


@njit
def fill_lookup(prices, points, costs, places, picks):
    """Fill tables with the best point of each subset, class and quarter of a step.

    At subset·_SPAN + class·BINS + quarter stand its price (costs, float32), its place (places,
    float32) and its number (picks, uint8). prices[class, subset, u]: float64, in step².
    points[subset, u]: float64, in steps.
    """
    for c in range(prices.shape[0]):
        for q in range(SUBSETS):
            for k in range(BINS):
                size = (k + 0.5) / _PER_STEP
                best, least = 0, _NEVER
                for u in range(RATED):
                    gap = size - points[q, u]
                    cost = gap * gap + prices[c, q, u]
                    if cost < least:
                        best, least = u, cost
                at = q * _SPAN + c * BINS + k
                costs[at], places[at], picks[at] = prices[c, q, best], points[q, best], best


@njit
def _locate(values, scale, classes, steps, places):
    """Fill in values in steps and places in a subset's tables; whether any is beyond LIMIT."""
    beyond = _0
    for i in range(values.size):
        y = values[i] * scale
        size = np.float32(abs(y))
        steps[i] = y
        over = size >= LIMIT
        beyond = beyond + (np.float32(1) if over else _0)
        places[i] = np.int32(classes[i]) * _CLASS + (np.int32(0) if over else np.int32(size * _PER_STEP))
    return beyond > _0


@njit
def _look(steps, places, costs, points, metrics):
    """Fill in the metrics of the values in one subset, by its tables."""
    for i in range(steps.size):
        at = _u32(places[i])
        gap = np.float32(abs(steps[i])) - points[at]
        metrics[i] = gap * gap + costs[at]


@njit
def _nearest(steps, first, metrics):
    """Overwrite the metrics of values beyond LIMIT. first: the first point of the subset."""
    for i in range(steps.size):
        size = abs(steps[i])
        gap = size - first
        gap = gap - _PERIOD * np.floor(gap * _QUARTER + _HALF)
        metrics[i] = gap * gap if size >= LIMIT else metrics[i]


@njit
def _turn(steps, zero, one, other):
    """Exchange the metrics of the two odd subsets where the value is negative, or if `zero`."""
    for i in range(steps.size):
        turned = steps[i] < _0 or zero
        a, b = one[i], other[i]
        one[i], other[i] = b if turned else a, a if turned else b


@njit
def settle_costs(costs, states, lanes):
    """Make costs relative to the least cost of each lane, so that they stay small."""
    for lane in range(lanes):
        least = costs[lane]
        for s in range(1, states):
            least = min(least, costs[s * MAX_LANES + lane])
        for s in range(states):
            costs[s * MAX_LANES + lane] -= least


def _make_advance(states, odd_jump, jump):
    """A kernel that takes one row of lanes through a trellis.

    The numbers of states and the jumps are constants in it, so that the compiler knows which parts
    of the arrays may overlap.
    """
    apart, across, up = 2 * jump, _u64(2 * jump * MAX_LANES), _u64(jump * MAX_LANES)

    @njit
    def advance(costs, grown, metrics, first, ways, begin, lanes):
        """Fill `grown` with the new costs of all states, and `ways` with the decisions.

        Bit s of ways[begin + lane] is set if branch 1 is the best way to state s.
        """
        row = ways[begin : begin + lanes]
        row[:] = 0
        count = _u64(lanes)
        for i in range(states // 2):
            one = (i // apart) * 2 * apart + i % apart  # it and one + apart lead to `to` and `to` + jump
            odd = one & 1
            to = (one >> 1) ^ (odd * odd_jump)
            a, g, m = _u64(one * MAX_LANES), _u64(to * MAX_LANES), _u64(first + 2 * odd * STRIP)
            bit, other_bit = _u32(to), _u32(to + jump)
            for lane in range(count):
                low, high = costs[a + lane], costs[a + across + lane]
                zero, branch = metrics[m + lane], metrics[m + _PLANE + lane]
                straight, crossed = low + zero, high + branch
                other_straight, other_crossed = low + branch, high + zero
                by_one, other_by_one = crossed < straight, other_straight <= other_crossed
                grown[g + lane] = crossed if by_one else straight
                grown[g + up + lane] = other_straight if other_by_one else other_crossed
                row[lane] = row[lane] | _u32(by_one) << bit | _u32(other_by_one) << other_bit

    return advance


ADVANCE = {states: _make_advance(states, *TRELLISES[states][1:]) for states in (8, 32)}


def _make_search(states):
    advance = ADVANCE[states]

    @njit
    def search(values, scale, classes, tables, zero, ways, ends):
        """Fill in the decisions and the best last states of the paths that begin in state 0.

        values·scale: the values in steps, float32 if all are below 2¹⁵, else float64. tables: costs
        and places of `fill_lookup`. ways: uint32, for each value. ends: uint32, for each lane.
        """
        costs, points = tables
        lanes = ends.size
        rows = min(max(STRIP // lanes, 1), ROWS)
        steps, places = np.empty(STRIP, values.dtype), np.empty(STRIP, np.int32)
        metrics = np.empty(SUBSETS * STRIP, np.float32)
        cost, grown = np.full(states * MAX_LANES, _NEVER).astype(np.float32), np.empty(states * MAX_LANES, np.float32)
        cost[:MAX_LANES] = 0
        for start in range(0, values.size, rows * lanes):
            strip = values[start : start + rows * lanes]
            size = strip.size
            beyond = _locate(strip, scale, classes[start : start + size], steps, places)
            for q in range(SUBSETS):
                plane = metrics[q * STRIP : q * STRIP + size]
                _look(steps[:size], places[:size], costs[q * _SPAN :], points[q * _SPAN :], plane)
                if beyond:
                    _nearest(steps[:size], np.float32(FIRST[q]), plane)
            _turn(steps[:size], zero, metrics[2 * STRIP : 2 * STRIP + size], metrics[3 * STRIP : 3 * STRIP + size])
            for first in range(0, size, lanes):
                count = min(lanes, size - first)
                advance(cost, grown, metrics, first, ways, start + first, count)
                if count < lanes:
                    for s in range(states):
                        for lane in range(count, lanes):
                            grown[s * MAX_LANES + lane] = cost[s * MAX_LANES + lane]
                cost, grown = grown, cost
            settle_costs(cost, states, lanes)
        best_ends(cost, states, ends)

    return search


@njit
def best_ends(costs, states, ends):
    """Fill in the state of least cost of each lane."""
    for lane in range(ends.size):
        best = 0
        for s in range(1, states):
            if costs[s * MAX_LANES + lane] < costs[best * MAX_LANES + lane]:
                best = s
        ends[lane] = best


SEARCHES = {states: _make_search(states) for states in (8, 32)}


@njit
def trace(ways, ends, top, odd_jump, jump, slots):
    """slots[i] = 2·book + branch of value i, along the paths that end in `ends`.

    ends: overwritten. top: the number of the highest bit of a state. All numbers are uint32.
    """
    lanes = ends.size
    for row in range((ways.size - 1) // lanes * lanes, -1, -lanes):
        here, out = ways[row : row + lanes], slots[row : row + lanes]
        for lane in range(_u64(here.size)):
            state = ends[lane]
            branch = here[lane] >> state & _ONE
            odd = state >> top
            out[lane] = odd << _ONE | branch
            ends[lane] = (state ^ odd * odd_jump ^ branch * jump) << _ONE | odd


@njit
def _subsets(steps, slots, zero, places):
    """Move places to the tables of the subset that each slot stands for."""
    for i in range(steps.size):
        slot = np.int32(slots[i])
        turned = slot > 1 and (steps[i] < _0 or zero)
        places[i] += (np.int32(5) - slot if turned else slot) * _PLACES


@njit
def _pick(places, picks, points):
    """Fill in the number, within its subset, of the best point of each value."""
    for i in range(places.size):
        points[i] = picks[_u32(places[i])]


@njit
def _pick_nearest(steps, places, points):
    """Overwrite the point numbers of values beyond LIMIT."""
    for i in range(steps.size):
        size = abs(steps[i])
        subset = places[i] // _PLACES
        first = np.int32(-1) if subset == 3 else (np.int32(1) if subset == 2 else np.int32(2) * subset)
        points[i] = np.int32((size - first) * _QUARTER + _HALF) if size >= LIMIT else points[i]


@njit
def _levels(steps, places, zero, slots, points, numbers):
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
def settle(values, scale, classes, slots, picks, zero, numbers):
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
