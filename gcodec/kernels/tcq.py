"""Trellis-coded quantisation: the search for the levels and the reconstruction.

The points are the multiples j of the step. A trellis state of even number offers the even j, one of odd number the odd
j; if `zero` is set, they offer the points 0, ±1, ±3, ±5… instead. Every state leads to
two others, by which half of its points is taken (Ungerboeck's set partition into every fourth point).
"""

import numpy as np

from ._jit import njit

RATED = 16  # points of a subset, counted from the middle, that have rates of their own
CENTROIDS = 4  # levels ±1…±CENTROIDS have reconstruction points of their own
SUBSETS = 4
FIRST = np.array([0, 2, 1, -1], dtype=np.int64)  # subset → its lowest point; then every fourth


def predecessors(h0, h1):
    """(states, 2) arrays: each state's two predecessors, and which branch (0 or 1) leads from them."""
    states = 1 << (h0.bit_length() - 1)
    came = [[(s, z) for s in range(states) for z in range(2) if _next(s, z, h0, h1) == t] for t in range(states)]
    return np.array([[s for s, _ in c] for c in came]), np.array([[z for _, z in c] for c in came])


def _next(state, branch, h0, h1):
    return (state >> 1) ^ ((state & 1) * (h0 >> 1)) ^ (branch * (h1 >> 1))


@njit
def nearest(subset, size):
    """The number of the subset's point that is nearest to a non-negative size."""
    return np.int64(max((size - FIRST[subset]) * 0.25 + 0.5, 0.0))


@njit
def choose(subset, size, points, costs):
    """(cost, back): the better of the subset's nearest point and, if back, the next one towards zero."""
    u = nearest(subset, size)
    if u >= RATED:
        gap = size - (4 * u + FIRST[subset])
        return gap * gap, False
    lower = max(u - 1, 0)
    gap, other = size - points[subset, u], size - points[subset, lower]
    cost, less = gap * gap + costs[subset, u], other * other + costs[subset, lower]
    return min(cost, less), less < cost


@njit
def odd_slot(subset, negative, zero):
    """The slot (codebook·2 + branch) in which a value of this sign finds an odd subset."""
    return 2 + ((subset == 2) == (zero or negative))


def make_search(h0, h1):
    """The search of one trellis. Its tables are constants of the compiled code, so the loops over states unroll."""
    states = 1 << (h0.bit_length() - 1)
    before, branch = predecessors(h0, h1)
    first, second = before[:, 0].copy(), before[:, 1].copy()
    first_slot, second_slot = (before[:, 0] & 1) * 2 + branch[:, 0], (before[:, 1] & 1) * 2 + branch[:, 1]

    @njit
    def search(values, scale, bins, zero, points, costs, levels):
        """Fill `levels` with those of least squared error + rate along one path through the trellis from state 0.

        values·scale are the values in steps. bins: their contexts; costs[bin, subset, u]: the price of a point in
        squared steps; points[subset, u]: where it is reconstructed; zero: whether the odd codebook has one.
        """
        cost, grown = np.full(states, 1e30), np.empty(states)
        cost[0] = 0.0
        metric = np.empty(SUBSETS)
        ways = np.empty(values.size, dtype=np.int64)
        for t in range(values.size):
            y = values[t] * scale
            size, negative, prices = abs(y), y < 0, costs[bins[t]]
            odd, other = odd_slot(2, negative, zero), odd_slot(3, negative, zero)
            metric[0], back0 = choose(0, size, points, prices)
            metric[1], back1 = choose(1, size, points, prices)
            metric[odd], back2 = choose(2, size, points, prices)
            metric[other], back3 = choose(3, size, points, prices)
            way = np.int64(back0) | (np.int64(back1) << 1) | (np.int64(back2) << odd) | (np.int64(back3) << other)
            for s in range(states):
                a, b = cost[first[s]] + metric[first_slot[s]], cost[second[s]] + metric[second_slot[s]]
                grown[s] = min(a, b)
                way |= np.int64(b < a) << (s + SUBSETS)
            for s in range(states):
                cost[s] = grown[s]
            ways[t] = way
        s = np.argmin(cost)
        for t in range(values.size - 1, -1, -1):
            way = ways[t]
            taken = (way >> (s + SUBSETS)) & 1
            slot = second_slot[s] if taken else first_slot[s]
            s = second[s] if taken else first[s]
            y = values[t] * scale
            negative = y < 0
            subset = slot if slot < 2 else 2 + (odd_slot(2, negative, zero) != slot)
            level = 4 * (nearest(subset, abs(y)) - ((way >> slot) & 1)) + FIRST[subset]
            if level < 0 and zero:
                level = 0
            levels[t] = -level if negative else level

    return search


TRELLISES = ((0o13, 0o4), (0o45, 0o10))  # parity check polynomials of 8 and 32 states
SEARCHES = tuple(make_search(h0, h1) for h0, h1 in TRELLISES)


@njit
def reconstruct(levels, shifts, step, unit, largest, out):
    """out[t] = ±(|j| + shift)·step·unit for each level j, at most `largest` in size, rounded to out's dtype.

    shifts: float64, those of |j| = 0, 1, …; other levels have none.
    """
    for t in range(levels.size):
        size = abs(np.int64(levels[t]))
        point = np.float64(size)
        if size < shifts.size:
            point += shifts[size]
        point = min(point * step * unit, largest)
        out[t] = -point if levels[t] < 0 else point
