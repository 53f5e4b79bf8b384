"""Products of matrices whose sums run in a fixed order, so that they are the same on every machine.

Each element is a sum over k that starts from 0 and adds one rounded product at a time, in the
order of k, in the dtype of the result. No term is fused and no sum is split, so the order in
which *elements* are computed changes nothing. `multiply` therefore works on tiles of 6 rows and two
vectors of columns, whose sums stay in registers. `_multiply_plainly` is the same in four lines; it
runs where kernels are not compiled.

Compilers do not keep such tiles in registers by themselves, so the tile is written in the
compiler's own language, with generic operations that are right on any processor.
"""

from collections.abc import Callable, Sequence

import numba
import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.core.base import BaseContext
from numba.core.typing import Context, Signature
from numba.extending import intrinsic

from ..compiler.jit import njit

# The rows of tiles. Six of them, with two vectors each, and the vectors of the operands take most
# registers that processors have.
_MANY, _FEW, _ONE = np.uint64(6), np.uint64(2), np.uint64(1)
_STRIP = 1200  # rows whose last columns wait beside the result
PLAIN = bool(numba.config.DISABLE_JIT)
_BLOCK = 256  # terms that a panel of the right matrix holds, so that it stays in the first cache


def _vector_bytes() -> int:
    """The width of the processor's vectors; a wrong guess costs speed alone."""
    if numba.config.CPU_NAME or numba.config.CPU_FEATURES:
        return 16
    try:
        features = binding.get_host_cpu_features()
    except RuntimeError:  # unknown on this platform
        return 16
    return 64 if features.get("avx512f") else 32 if features.get("avx") else 16


_BYTES = _vector_bytes()


def _tile(rows: int) -> Callable[..., None]:
    """An intrinsic that adds to a tile of so many rows the products of `count` terms."""

    @intrinsic
    def add_products(
        typingctx: Context,
        left: types.Type,
        row_stride: types.Type,
        term_stride: types.Type,
        panel: types.Type,
        count: types.Type,
        out: types.Type,
        out_stride: types.Type,
        like: types.Type,
    ) -> tuple[Signature, Callable[..., ir.Value]]:
        """left, panel, out: addresses. Strides are in bytes. like: an array of the dtype of all.

        left and its two strides say where the number of each row and term is. The panel has two
        vectors for each term. The tile at out has two vectors for each row, out_stride apart.
        """
        element = ir.FloatType() if like.dtype == types.float32 else ir.DoubleType()
        size = like.dtype.bitwidth // 8
        vector = ir.VectorType(element, _BYTES // size)

        def code(context: BaseContext, b: ir.IRBuilder, signature: Signature, args: Sequence[ir.Value]) -> ir.Value:
            left, row_stride, term_stride, panel, count, out, out_stride, _ = args
            long = ir.IntType(64)

            def place(base: ir.Value, *offsets: ir.Value) -> ir.Value:
                for offset in offsets:
                    base = b.add(base, offset)
                return base

            def at(address: ir.Value, kind: ir.Type) -> ir.Value:
                return b.inttoptr(address, kind.as_pointer())

            firsts = [b.add(out, b.mul(out_stride, long(r))) for r in range(rows)]
            lefts = [b.add(left, b.mul(row_stride, long(r))) for r in range(rows)]
            sums = [[cgutils.alloca_once(b, vector) for _ in range(2)] for _ in range(rows)]
            for r in range(rows):
                for half in range(2):
                    source = at(place(firsts[r], long(half * _BYTES)), vector)
                    b.store(b.load(source, align=size), sums[r][half])
            with cgutils.for_range(b, count) as loop:
                start = place(panel, b.mul(loop.index, long(2 * _BYTES)))
                halves = [b.load(at(place(start, long(h * _BYTES)), vector), align=size) for h in range(2)]
                skip = b.mul(loop.index, term_stride)
                for r in range(rows):
                    number = b.load(at(place(lefts[r], skip), element), align=size)
                    undefined = ir.Constant(vector, ir.Undefined)
                    lane = b.insert_element(undefined, number, ir.IntType(32)(0))
                    zeros = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
                    spread = b.shuffle_vector(lane, undefined, zeros)
                    for half in range(2):
                        product = b.fmul(spread, halves[half])
                        b.store(b.fadd(b.load(sums[r][half]), product), sums[r][half])
            for r in range(rows):
                for half in range(2):
                    b.store(b.load(sums[r][half]), at(place(firsts[r], long(half * _BYTES)), vector), align=size)
            return context.get_dummy_value()

        return types.void(*[types.uint64] * 7, like), code

    return add_products


_add_many_rows, _add_few_rows, _add_row = _tile(int(_MANY)), _tile(int(_FEW)), _tile(int(_ONE))


@njit
def _pack(right: np.ndarray, first: int, last: int, column: int, panel: np.ndarray) -> None:
    """Terms first…last-1 of a panel of columns, from `column` on; zeros beyond the last column."""
    width = min(panel.shape[1], right.shape[1] - column)
    for k in range(first, last):
        for j in range(width):
            panel[k - first, j] = right[k, column + j]
        for j in range(width, panel.shape[1]):
            panel[k - first, j] = 0.0


@njit
def _add_strip(
    left: np.uint64,
    row_stride: np.uint64,
    term_stride: np.uint64,
    terms: np.uint64,
    panel: np.ndarray,
    out: np.uint64,
    out_stride: np.uint64,
    rows: np.uint64,
) -> None:
    """Add `terms` products to each number of `rows` rows of two vectors, some rows at a time.

    All but the panel are uint64. left, out: addresses.
    """
    packed, i = np.uint64(panel.ctypes.data), np.uint64(0)
    while i < rows:
        place, result = left + i * row_stride, out + i * out_stride
        if i + _MANY <= rows:
            _add_many_rows(place, row_stride, term_stride, packed, terms, result, out_stride, panel)
            i += _MANY
        elif i + _FEW <= rows:
            _add_few_rows(place, row_stride, term_stride, packed, terms, result, out_stride, panel)
            i += _FEW
        else:
            _add_row(place, row_stride, term_stride, packed, terms, result, out_stride, panel)
            i += _ONE


@njit
def _multiply_in_tiles(left: np.ndarray, turned: bool, right: np.ndarray, out: np.ndarray) -> None:
    """`multiply`, 6 rows and two vectors of columns at a time."""
    (rows, columns), terms, size = out.shape, right.shape[0], out.itemsize
    wide = 2 * _BYTES // size
    panel = np.empty((_BLOCK, wide), out.dtype)
    edge = np.empty((min(rows, _STRIP), wide), out.dtype)  # the last columns, where two vectors have no place
    out[:] = 0.0
    row_stride = np.uint64(left.strides[1] if turned else left.strides[0])
    term_stride = np.uint64(left.strides[0] if turned else left.strides[1])
    for top in range(0, rows, _STRIP):
        height = min(_STRIP, rows - top)
        source = np.uint64(left.ctypes.data) + np.uint64(top) * row_stride
        for column in range(0, columns, wide):
            whole = column + wide <= columns
            target = np.uint64(out.ctypes.data + (top * columns + column) * size if whole else edge.ctypes.data)
            stride = np.uint64(columns * size if whole else wide * size)
            if not whole:
                edge[:] = 0.0
            for first in range(0, terms, _BLOCK):
                count = min(_BLOCK, terms - first)
                _pack(right, first, first + count, column, panel)
                start = source + np.uint64(first) * term_stride
                _add_strip(start, row_stride, term_stride, np.uint64(count), panel, target, stride, np.uint64(height))
            if not whole:
                for i in range(height):
                    for j in range(columns - column):
                        out[top + i, column + j] = edge[i, j]


@njit
def _multiply_plainly(left: np.ndarray, turned: bool, right: np.ndarray, out: np.ndarray) -> None:
    """`multiply`, term by term."""
    out[:] = 0.0
    for i in range(out.shape[0]):
        for k in range(right.shape[0]):
            number = left[k, i] if turned else left[i, k]
            for j in range(out.shape[1]):
                out[i, j] += number * right[k, j]


@njit
def multiply(left: np.ndarray, turned: bool, right: np.ndarray, out: np.ndarray) -> None:
    """out[i, j] = Σ_k left[i, k]·right[k, j], or Σ_k left[k, i]·right[k, j] if `turned`.

    left, right, out: 2-D, in C order, all of one dtype, float32 or float64. See the module's text
    for the order of the sums.
    """
    if PLAIN:
        _multiply_plainly(left, turned, right, out)
    else:
        _multiply_in_tiles(left, turned, right, out)
