"""The two inner loops of the trellis search in vectors: metrics of values, and costs of states.

The results are those of the plain loops in trellis.py and paths.py, to the last bit.

Compilers gather what one value needs number by number, and go through memory for each state. So
both loops are written here in the compiler's own language, with generic operations that are right
on any processor. Addresses are computed without numba's knowledge of dtypes. So all arrays must be
contiguous and have the dtypes that are named here.
"""

from collections.abc import Callable, Sequence

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core.base import BaseContext
from numba.core.typing import Context, Signature
from numba.extending import intrinsic

from ..compiler.jit import njit
from ..entropy.rans import MAX_LANES
from .paths import STRIP, SUBSETS, TRELLISES

USED = not numba.config.DISABLE_JIT
WIDTH = 16  # lanes of a vector
SPARE = WIDTH  # places behind metrics and decisions that may be used
_FLOAT, _WORD, _LONG = ir.FloatType(), ir.IntType(32), ir.IntType(64)
_FOUR = np.uint64(4)  # bytes of a number
_ROW = np.uint64(4 * SUBSETS)  # bytes of the metrics of a value; its costs and points take as many each


def _load(b: ir.IRBuilder, base: ir.Value, offset: int, count: int = WIDTH) -> ir.Value:
    """float32 numbers, `offset` numbers after an address."""
    pointer = ir.VectorType(_FLOAT, count).as_pointer()
    return b.load(b.inttoptr(b.add(base, _LONG(4 * offset)), pointer), align=4)


def _store(b: ir.IRBuilder, vector: ir.Value, base: ir.Value, offset: int = 0) -> None:
    b.store(vector, b.inttoptr(b.add(base, _LONG(4 * offset)), vector.type.as_pointer()), align=4)


def _words(value: int) -> ir.Constant:
    return ir.Constant(ir.VectorType(_WORD, WIDTH), [value] * WIDTH)


def _splat(b: ir.IRBuilder, number: ir.Value, count: int) -> ir.Value:
    """A number in all lanes."""
    none = ir.Constant(ir.VectorType(number.type, count), ir.Undefined)
    return b.shuffle_vector(b.insert_element(none, number, _WORD(0)), none, _order([0] * count))


def _order(places: Sequence[int]) -> ir.Constant:
    return ir.Constant(ir.VectorType(_WORD, len(places)), list(places))


@intrinsic
def _rate(
    typingctx: Context, size: types.Type, row: types.Type, out: types.Type
) -> tuple[Signature, Callable[..., ir.Value]]:
    """Store the metrics of a value in all subsets: (size − point)² + cost.

    size: float32, in steps. row, out: addresses: of the subsets' costs, which their points follow,
    and of the metrics.
    """

    def code(context: BaseContext, b: ir.IRBuilder, signature: Signature, args: Sequence[ir.Value]) -> ir.Value:
        size, row, out = args
        gaps = b.fsub(_splat(b, size, SUBSETS), _load(b, row, SUBSETS, SUBSETS))
        _store(b, b.fadd(b.fmul(gaps, gaps), _load(b, row, 0, SUBSETS)), out)
        return context.get_dummy_value()

    return types.void(types.float32, types.uint64, types.uint64), code


@intrinsic
def _deal(
    typingctx: Context, rated: types.Type, steps: types.Type, zero: types.Type, planes: types.Type
) -> tuple[Signature, Callable[..., ir.Value]]:
    """Deal the metrics of 16 values out to a plane for each subset.

    The odd subsets change places where a value is negative, or if `zero`, uint32, is not 0. rated,
    steps, planes: addresses of metrics by value, of the values in steps, float32, and of the first
    plane; the next ones are STRIP numbers apart.
    """

    def code(context: BaseContext, b: ir.IRBuilder, signature: Signature, args: Sequence[ir.Value]) -> ir.Value:
        rated, steps, zero, planes = args
        quarters = [_load(b, rated, WIDTH * i) for i in range(SUBSETS)]
        found = []
        for q in range(SUBSETS):
            pairs = []
            for one, other in (quarters[:2], quarters[2:]):
                places = _order([SUBSETS * (i % SUBSETS) + q + WIDTH * (i // SUBSETS) for i in range(WIDTH // 2)])
                pairs.append(b.shuffle_vector(one, other, places))
            found.append(b.shuffle_vector(*pairs, _order(range(WIDTH))))
        none = ir.Constant(ir.VectorType(_FLOAT, WIDTH), [0.0] * WIDTH)
        negative = b.fcmp_ordered("<", _load(b, steps, 0), none)
        turned = b.or_(negative, b.icmp_unsigned("!=", _splat(b, zero, WIDTH), _words(0)))
        found[2], found[3] = b.select(turned, found[3], found[2]), b.select(turned, found[2], found[3])
        for q, plane in enumerate(found):
            _store(b, plane, planes, STRIP * q)
        return context.get_dummy_value()

    return types.void(types.uint64, types.uint64, types.uint32, types.uint64), code


@njit
def rate(steps: np.ndarray, places: np.ndarray, table: np.ndarray, rated: np.ndarray) -> None:
    """`rate_plainly` of trellis.py. steps, table, rated: float32; places: int32."""
    row, out = np.uint64(table.ctypes.data), np.uint64(rated.ctypes.data)
    for i in range(steps.size):
        _rate(np.float32(abs(steps[i])), row + np.uint64(places[i]) * (_ROW + _ROW), out)
        out += _ROW


@njit
def deal(rated: np.ndarray, steps: np.ndarray, zero: bool, size: int, planes: np.ndarray) -> None:
    """`deal_plainly` of trellis.py, for a multiple of 16 values. All arrays are float32."""
    source, target = np.uint64(rated.ctypes.data), np.uint64(planes.ctypes.data)
    values = np.uint64(steps.ctypes.data)
    for _ in range(0, size, WIDTH):
        _deal(source, values, np.uint32(zero), target)
        source += np.uint64(WIDTH) * _ROW
        values += np.uint64(WIDTH) * _FOUR
        target += np.uint64(WIDTH) * _FOUR


@intrinsic(prefer_literal=True)
def _step(
    typingctx: Context,
    states: types.Type,
    costs: types.Type,
    grown: types.Type,
    metrics: types.Type,
    ways: types.Type,
) -> tuple[Signature, Callable[..., ir.Value]]:
    """`advance` of paths.py for 16 lanes. states: a constant. The other arguments are addresses."""
    odd_jump, jump = TRELLISES[states.literal_value][1:]
    apart = 2 * jump

    def code(context: BaseContext, b: ir.IRBuilder, signature: Signature, args: Sequence[ir.Value]) -> ir.Value:
        costs, grown, metrics, ways = args[1:]
        planes = [_load(b, metrics, STRIP * q) for q in range(SUBSETS)]
        decisions = _words(0)
        for i in range(states.literal_value // 2):
            one = (i // apart) * 2 * apart + i % apart
            odd = one & 1
            to = (one >> 1) ^ (odd * odd_jump)
            low, high = _load(b, costs, one * MAX_LANES), _load(b, costs, (one + apart) * MAX_LANES)
            zero, branch = planes[2 * odd], planes[2 * odd + 1]
            straight, crossed = b.fadd(low, zero), b.fadd(high, branch)
            other_straight, other_crossed = b.fadd(low, branch), b.fadd(high, zero)
            by_one = b.fcmp_ordered("<", crossed, straight)
            other_by_one = b.fcmp_ordered("<=", other_straight, other_crossed)
            _store(b, b.select(by_one, crossed, straight), grown, to * MAX_LANES)
            _store(b, b.select(other_by_one, other_straight, other_crossed), grown, (to + jump) * MAX_LANES)
            for decided, state in ((by_one, to), (other_by_one, to + jump)):
                decisions = b.or_(decisions, b.select(decided, _words(1 << state), _words(0)))
        _store(b, decisions, ways)
        return context.get_dummy_value()

    return types.void(states, *[types.uint64] * 4), code


def _make_advance(states: int) -> Callable[..., None]:
    @njit
    def advance(
        costs: np.ndarray, grown: np.ndarray, metrics: np.ndarray, first: int, ways: np.ndarray, begin: int, lanes: int
    ) -> None:
        """`advance` of paths.py for as many lanes, rounded up to a multiple of 16.

        So metrics, float32, and ways have SPARE more places. Costs are float32.
        """
        one, other = np.uint64(costs.ctypes.data), np.uint64(grown.ctypes.data)
        source = np.uint64(metrics.ctypes.data) + _FOUR * np.uint64(first)
        target = np.uint64(ways.ctypes.data) + _FOUR * np.uint64(begin)
        for lane in range(0, lanes, WIDTH):
            skip = _FOUR * np.uint64(lane)
            _step(states, one + skip, other + skip, source + skip, target + skip)

    return advance


ADVANCE = {states: _make_advance(states) for states in (8, 32)}
