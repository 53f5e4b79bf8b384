"""The way of a lane through a trellis, with the costs of all its states in one vector.

Small tensors have few lanes, and the loop over lanes of paths.py is then long for each value. The
results are the same, to the last bit. The loop is written here in the compiler's own language, as
compilers keep costs in memory. Addresses are computed without numba's knowledge of dtypes. So all
arrays must be contiguous and have the dtypes that are named here.
"""

import sys
from collections.abc import Callable, Iterable, Sequence

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.base import BaseContext
from numba.core.typing import Context, Signature
from numba.extending import intrinsic

from ..compiler.jit import njit
from ..entropy.rans import MAX_LANES
from .paths import STRIP, SUBSETS, TRELLISES

MOST = 8  # lanes of which each goes by itself
# Whether they are compiled, and decisions are the bits of vectors from the lowest one on.
USED = not numba.config.DISABLE_JIT and sys.byteorder == "little"
_FLOAT, _WORD = ir.FloatType(), ir.IntType(32)
_FOUR = np.uint64(4)  # bytes of a number


def _places(states: int) -> tuple[list[int], list[int], list[int]]:
    """Where costs are found for the steps of a value, and where they then belong.

    Two states, a pair, lead to two others. The lists are: one state of each pair; the other one;
    and for each state its place among the first and then the second ones that pairs lead to.
    """
    odd_jump, jump = TRELLISES[states][1:]
    apart = 2 * jump
    ones = [i // apart * 2 * apart + i % apart for i in range(states // 2)]
    ends = [(one >> 1) ^ (one % 2 * odd_jump) for one in ones]
    ends += [end + jump for end in ends]
    return ones, [one + apart for one in ones], [ends.index(state) for state in range(states)]


@intrinsic(prefer_literal=True)
def _steps(
    typingctx: Context,
    states: types.Type,
    costs: types.Type,
    metrics: types.Type,
    ways: types.Type,
    count: types.Type,
    stride: types.Type,
) -> tuple[Signature, Callable[..., ir.Value]]:
    """`advance` of paths.py for so many values of a lane, every one of `stride` values.

    states: a constant. costs, metrics, ways: addresses of all costs of the lane, and of what its
    first value has.
    """
    ones, others, back = _places(states.literal_value)

    def code(context: BaseContext, b: ir.IRBuilder, signature: Signature, args: Sequence[ir.Value]) -> ir.Value:
        whole = b.inttoptr(args[1], ir.VectorType(_FLOAT, len(back)).as_pointer())
        metrics, ways = b.inttoptr(args[2], _FLOAT.as_pointer()), b.inttoptr(args[3], _WORD.as_pointer())
        held = cgutils.alloca_once_value(b, b.load(whole, align=4))
        with cgutils.for_range(b, args[4]) as loop:
            at = b.mul(loop.index, args[5])
            four = ir.Constant(ir.VectorType(_FLOAT, SUBSETS), ir.Undefined)
            for q in range(SUBSETS):
                four = b.insert_element(four, b.load(b.gep(metrics, [b.add(at, at.type(STRIP * q))])), _WORD(q))
            costs = b.load(held)
            low, high = _chosen(b, costs, ones), _chosen(b, costs, others)
            zero, branch = (_chosen(b, four, [one % 2 * 2 + bit for one in ones]) for bit in (0, 1))
            straight, crossed = b.fadd(low, zero), b.fadd(high, branch)
            other_straight, other_crossed = b.fadd(low, branch), b.fadd(high, zero)
            by_one = b.fcmp_ordered("<", crossed, straight)
            other_by_one = b.fcmp_ordered("<=", other_straight, other_crossed)
            grown = b.select(by_one, crossed, straight), b.select(other_by_one, other_straight, other_crossed)
            b.store(b.shuffle_vector(*grown, _order(back)), held)
            decided = b.bitcast(b.shuffle_vector(by_one, other_by_one, _order(back)), ir.IntType(len(back)))
            b.store(decided if len(back) == 32 else b.zext(decided, _WORD), b.gep(ways, [at]))
        b.store(b.load(held), whole, align=4)
        return context.get_dummy_value()

    return types.void(states, *[types.uint64] * 5), code


def _make_walk(states: int) -> Callable[..., None]:
    @njit
    def walk(costs: np.ndarray, metrics: np.ndarray, ways: np.ndarray, begin: int, size: int, lanes: int) -> None:
        """Update the costs of all lanes, and fill in the decisions of `size` values from `begin`.

        The values' metrics are the first ones of each subset. costs, metrics: float32, where
        paths.py has them. ways: uint32.
        """
        own = np.empty(states, np.float32)
        for lane in range(lanes):
            for state in range(states):
                own[state] = costs[state * MAX_LANES + lane]
            source = np.uint64(metrics.ctypes.data) + _FOUR * np.uint64(lane)
            target = np.uint64(ways.ctypes.data) + _FOUR * np.uint64(begin + lane)
            count = np.uint64((size - lane + lanes - 1) // lanes)
            _steps(states, np.uint64(own.ctypes.data), source, target, count, np.uint64(lanes))
            for state in range(states):
                costs[state * MAX_LANES + lane] = own[state]

    return walk


def _chosen(b: ir.IRBuilder, vector: ir.Value, places: Iterable[int]) -> ir.Value:
    return b.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), _order(places))


def _order(places: Iterable[int]) -> ir.Constant:
    order = list(places)
    return ir.Constant(ir.VectorType(_WORD, len(order)), order)


WALK = {states: _make_walk(states) for states in (8, 32)}
