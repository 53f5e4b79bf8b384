"""Orthonormal columns by sums in a fixed order, so that they are the same on every machine.

Columns are made orthonormal in blocks of COLUMNS, as in `_orthonormalise_plainly`, which runs where
kernels are not compiled. All other times two loops over the rows do the same for a column: a row
of a block is a few vectors, and what is summed up over the rows stays in registers. Compilers do
not keep it there by themselves, so the loops are written in the compiler's own language.
"""

from collections.abc import Callable, Sequence

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.base import BaseContext
from numba.core.typing import Context, Signature
from numba.extending import intrinsic

from ..compiler.jit import njit
from .products import PLAIN, multiply

COLUMNS = 32  # columns that are made orthonormal together
DEPENDENT = 2.0**-40  # share of a column's square that must be left after the earlier columns' part is taken out
_SIZE = 8  # bytes of a number
_LONG, _DOUBLE = ir.IntType(64), ir.DoubleType()
_ROW, _NUMBERS = ir.VectorType(_DOUBLE, COLUMNS), ir.VectorType(_LONG, COLUMNS)
_PLACES = ir.VectorType(ir.IntType(32), COLUMNS)


def _spread(b: ir.IRBuilder, number: ir.Value, kind: ir.VectorType) -> ir.Value:
    """A vector that has a number everywhere."""
    undefined = ir.Constant(kind, ir.Undefined)
    first = b.insert_element(undefined, number, ir.IntType(32)(0))
    return b.shuffle_vector(first, undefined, ir.Constant(_PLACES, [0] * COLUMNS))


def _each_row(
    b: ir.IRBuilder, block: ir.Value, rows: ir.Value, column: ir.Value, out: ir.Value, work: Callable[..., ir.Value]
) -> None:
    """Put at `out` the sum over all rows of what `work` gives: a vector.

    work: is given where a row is, the row, and where its number in the column is.
    """
    total = cgutils.alloca_once(b, _ROW)
    b.store(ir.Constant(_ROW, [0.0] * COLUMNS), total)
    with cgutils.for_range(b, rows) as loop:
        place = b.add(block, b.mul(loop.index, _LONG(_SIZE * COLUMNS)))
        at = b.inttoptr(place, _ROW.as_pointer())
        number = b.inttoptr(b.add(place, b.mul(column, _LONG(_SIZE))), _DOUBLE.as_pointer())
        part = work(at, b.load(at, align=_SIZE), number)
        b.store(b.fadd(b.load(total), part), total)
    b.store(b.load(total), b.inttoptr(out, _ROW.as_pointer()), align=_SIZE)


@intrinsic
def _divide(
    typingctx: Context, block: types.Type, rows: types.Type, column: types.Type, along: types.Type, norm: types.Type
) -> tuple[Signature, Callable[..., ir.Value]]:
    """Divide a column of a block by its norm; `along` becomes its products with the later columns.

    block, along: addresses.
    """

    def code(context: BaseContext, b: ir.IRBuilder, signature: Signature, args: Sequence[ir.Value]) -> ir.Value:
        block, rows, column, along, norm = args

        def work(at: ir.Value, row: ir.Value, number: ir.Value) -> ir.Value:
            quotient = b.fdiv(b.load(number), norm)
            b.store(quotient, number)
            return b.fmul(_spread(b, quotient, _ROW), row)

        _each_row(b, block, rows, column, along, work)
        return context.get_dummy_value()

    return types.void(*[types.uint64] * 4, types.float64), code


@intrinsic
def _take_out(
    typingctx: Context, block: types.Type, rows: types.Type, column: types.Type, along: types.Type, squares: types.Type
) -> tuple[Signature, Callable[..., ir.Value]]:
    """Take out of the later columns of a block their parts along a column; then give their squares.

    block, along, squares: addresses.
    """

    def code(context: BaseContext, b: ir.IRBuilder, signature: Signature, args: Sequence[ir.Value]) -> ir.Value:
        block, rows, column, along, squares = args
        parts = b.load(b.inttoptr(along, _ROW.as_pointer()), align=_SIZE)
        numbers = ir.Constant(_NUMBERS, list(range(COLUMNS)))
        later = b.icmp_unsigned(">", numbers, _spread(b, column, _NUMBERS))

        def work(at: ir.Value, row: ir.Value, number: ir.Value) -> ir.Value:
            left = b.fsub(row, b.fmul(_spread(b, b.load(number), _ROW), parts))
            left = b.select(later, left, row)
            b.store(left, at, align=_SIZE)
            return b.fmul(left, left)

        _each_row(b, block, rows, column, squares, work)
        return context.get_dummy_value()

    return types.void(*[types.uint64] * 5), code


@njit
def squares(matrix: np.ndarray) -> np.ndarray:
    """Σ_i matrix[i, k]² for each column k, summed in the order of i."""
    total = np.zeros(matrix.shape[1])
    for i in range(matrix.shape[0]):
        for k in range(matrix.shape[1]):
            total[k] += matrix[i, k] * matrix[i, k]
    return total


@njit
def _orthonormalise_plainly(block: np.ndarray, least: np.ndarray) -> None:
    """Modified Gram–Schmidt on the columns of a block, in place; sums run in the order of the rows.

    Column by column: it is divided by its norm, then each later column of the block loses its part
    along it. A column k whose square is not above least[k] becomes zero.
    """
    rows, columns = block.shape
    along = np.empty(columns)
    for k in range(columns):
        square = 0.0
        for i in range(rows):
            square += block[i, k] * block[i, k]
        norm = np.sqrt(square)
        for i in range(rows):
            block[i, k] = block[i, k] / norm if square > least[k] else 0.0
        along[:] = 0.0
        for i in range(rows):
            for j in range(k + 1, columns):
                along[j] += block[i, k] * block[i, j]
        for i in range(rows):
            for j in range(k + 1, columns):
                block[i, j] -= block[i, k] * along[j]


@njit
def _orthonormalise_quickly(block: np.ndarray, least: np.ndarray, columns: int) -> None:
    """`_orthonormalise_plainly`, for a block of COLUMNS. All but the first `columns` are zero."""
    rows, place = np.uint64(block.shape[0]), np.uint64(block.ctypes.data)
    along, squares = np.empty(COLUMNS), np.empty(COLUMNS)
    square = _square(block, 0)
    for k in range(columns):
        column = np.uint64(k)
        if square > least[k]:
            _divide(place, rows, column, np.uint64(along.ctypes.data), np.sqrt(square))
            _take_out(place, rows, column, np.uint64(along.ctypes.data), np.uint64(squares.ctypes.data))
            square = squares[min(k + 1, COLUMNS - 1)]
        else:
            block[:, k] = 0.0
            square = _square(block, min(k + 1, COLUMNS - 1))


@njit
def _square(block: np.ndarray, column: int) -> float:
    total = 0.0
    for i in range(block.shape[0]):
        total += block[i, column] * block[i, column]
    return total


@njit
def orthonormalise(matrix: np.ndarray) -> np.ndarray:
    """Orthonormal columns of a float64 matrix, in place; gives `matrix`.

    The columns are taken in blocks of COLUMNS. A block F loses its part along each earlier block Q,
    one after the other: D = Qᵀ·F, F = F − Q·D, with products as `multiply` has them. Then its
    columns are made orthonormal. A column of which less than DEPENDENT of its first square is left
    becomes zero.
    """
    rows, columns = matrix.shape
    wide, count = COLUMNS, (columns + COLUMNS - 1) // COLUMNS
    least = np.zeros(count * wide)
    least[:columns] = squares(matrix) * DEPENDENT
    blocks = np.zeros((count, rows, wide))
    along, part = np.empty((wide, wide)), np.empty((rows, wide))
    for own in range(count):
        first, last = own * wide, min((own + 1) * wide, columns)
        block = blocks[own]
        block[:, : last - first] = matrix[:, first:last]
        for earlier in range(own):
            multiply(blocks[earlier], True, block, along)
            multiply(blocks[earlier], False, along, part)
            for i in range(rows):
                for j in range(wide):
                    block[i, j] -= part[i, j]
        if PLAIN:
            _orthonormalise_plainly(block, least[first : first + wide])
        else:
            _orthonormalise_quickly(block, least[first : first + wide], last - first)
        matrix[:, first:last] = block[:, : last - first]
    return matrix
