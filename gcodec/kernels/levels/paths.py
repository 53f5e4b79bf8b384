"""Paths through a trellis, one in each lane: the costs of its states, and the way back.

Value number i belongs to lane i mod lanes. Each lane has a path of its own, and all lanes go in
step. From state s the branch b leads to ⌊s / 2⌋ xor (s mod 2)·odd_jump xor b·jump. The highest bit
of a state tells whether the state before it was odd. So looking back is arithmetic.

A state with an even number offers the subsets 0 and 1, and one with an odd number the subsets 2
and 3. The metric of a value in a subset is what the path pays for it there. Costs stand at
state·MAX_LANES + lane.
"""

from collections.abc import Callable

import numpy as np

from ..compiler.jit import njit
from ..entropy.rans import MAX_LANES

# Number of states: (bits of a state, jump of odd states, jump of branch 1).
TRELLISES = {1: (0, 0, 0), 8: (3, 5, 2), 32: (5, 18, 4)}
SUBSETS = 4
STRIP = 1024  # values whose metrics are computed together
ROWS = 64  # the most rows of lanes in a strip

_ONE = np.uint32(1)
_u32, _u64 = np.uint32, np.uint64
_PLANE = _u64(STRIP)


def _make_advance(states: int, odd_jump: int, jump: int) -> Callable[..., None]:
    """A kernel that takes one row of lanes through a trellis.

    The numbers of states and the jumps are constants in it, so that the compiler knows which parts
    of the arrays may overlap.
    """
    apart, across, up = 2 * jump, _u64(2 * jump * MAX_LANES), _u64(jump * MAX_LANES)

    @njit
    def advance(
        costs: np.ndarray, grown: np.ndarray, metrics: np.ndarray, first: int, ways: np.ndarray, begin: int, lanes: int
    ) -> None:
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


@njit
def settle_costs(costs: np.ndarray, states: int, lanes: int) -> None:
    """Make costs relative to the least cost of each lane, so that they stay small."""
    for lane in range(lanes):
        least = costs[lane]
        for s in range(1, states):
            least = min(least, costs[s * MAX_LANES + lane])
        for s in range(states):
            costs[s * MAX_LANES + lane] -= least


@njit
def best_ends(costs: np.ndarray, states: int, ends: np.ndarray) -> None:
    """Fill in the state of least cost of each lane."""
    for lane in range(ends.size):
        best = 0
        for s in range(1, states):
            if costs[s * MAX_LANES + lane] < costs[best * MAX_LANES + lane]:
                best = s
        ends[lane] = best


@njit
def trace(
    ways: np.ndarray, ends: np.ndarray, top: np.uint32, odd_jump: np.uint32, jump: np.uint32, slots: np.ndarray
) -> None:
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
