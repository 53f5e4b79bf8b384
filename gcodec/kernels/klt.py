"""Orthonormal columns and products of factors, in an order of operations that is part of the format."""

import numpy as np

from .compiler.jit import njit

DEPENDENT = 2.0**-40  # share of a column's square that must be left after the earlier columns' part is taken out


@njit
def squares(matrix):
    """Σ_i matrix[i, k]² for each column k, summed in the order of i."""
    rows, columns = matrix.shape
    total = np.zeros(columns)
    for i in range(rows):
        for k in range(columns):
            total[k] += matrix[i, k] * matrix[i, k]
    return total


@njit
def orthonormalise(matrix):
    """Modified Gram–Schmidt on the columns of a float64 matrix, in place; gives `matrix`.

    Column by column: it is divided by its norm, then each later column loses its part along it. A column of which less
    than DEPENDENT of its first square is left becomes zero. Sums run in the order of the rows.
    """
    rows, columns = matrix.shape
    least = squares(matrix) * DEPENDENT
    along = np.empty(columns)
    for k in range(columns):
        square = 0.0
        for i in range(rows):
            square += matrix[i, k] * matrix[i, k]
        norm = np.sqrt(square)
        for i in range(rows):
            matrix[i, k] = matrix[i, k] / norm if square > least[k] else 0.0
        along[:] = 0.0
        for i in range(rows):
            for j in range(k + 1, columns):
                along[j] += matrix[i, k] * matrix[i, j]
        for i in range(rows):
            for j in range(k + 1, columns):
                matrix[i, j] -= matrix[i, k] * along[j]
    return matrix


@njit
def multiply(left, right, out):
    """out[i, j] = Σ_k left[i, k]·right[k, j]: from 0, added in the order of k, all in the dtype of `out`.

    Four terms are added in one pass over j; the order is that of one at a time.
    """
    rows, rank = left.shape
    columns = right.shape[1]
    for i in range(rows):
        row = out[i]
        for j in range(columns):
            row[j] = 0.0
        k = 0
        while k + 4 <= rank:
            c0, c1, c2, c3 = left[i, k], left[i, k + 1], left[i, k + 2], left[i, k + 3]
            r0, r1, r2, r3 = right[k], right[k + 1], right[k + 2], right[k + 3]
            for j in range(columns):
                row[j] = row[j] + c0 * r0[j] + c1 * r1[j] + c2 * r2[j] + c3 * r3[j]
            k += 4
        while k < rank:
            c0, r0 = left[i, k], right[k]
            for j in range(columns):
                row[j] += c0 * r0[j]
            k += 1
