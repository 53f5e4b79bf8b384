"""What a bound did to float32 or float64 values: counts of what was lost, and the errors of rows.

They are for measuring, never for decoding. Sums have a fixed order, so they are equal on all
processors: values are taken in blocks of 4096, each row's part of a block by 16 sums of every 16th
value, and the parts of a row are added in order.
"""

import numpy as np

from .compiler.jit import njit

BLOCK = 4096
LANES = 16
NONZERO, NEGATIVE, FILLED, ZEROED, FLIPPED, LOST = range(6)  # the counts, by place
COUNTS = 6


@njit
def add_counts(values: np.ndarray, decoded: np.ndarray, counts: np.ndarray) -> None:
    """Add to the counts, int64, how many values x and decoded values y there are of each kind.

    By place: x ≠ 0; x < 0; x = 0 and y ≠ 0; x ≠ 0 and y = 0; x and y on two sides of zero; and
    |y − x| > |x| / 2, zeros included.
    """
    half = values.dtype.type(0.5)
    nonzero, negative, filled = np.zeros(LANES, np.int32), np.zeros(LANES, np.int32), np.zeros(LANES, np.int32)
    zeroed, flipped, lost = np.zeros(LANES, np.int32), np.zeros(LANES, np.int32), np.zeros(LANES, np.int32)
    whole = values.size // LANES * LANES
    for start in range(0, whole, LANES):
        for j in range(LANES):
            x, y = values[start + j], decoded[start + j]
            nonzero[j] += x != 0
            negative[j] += x < 0
            filled[j] += (x == 0) & (y != 0)
            zeroed[j] += (x != 0) & (y == 0)
            flipped[j] += ((x < 0) & (y > 0)) | ((x > 0) & (y < 0))
            lost[j] += abs(y - x) > half * abs(x)
    for i in range(whole, values.size):
        x, y = values[i], decoded[i]
        nonzero[0] += x != 0
        negative[0] += x < 0
        filled[0] += (x == 0) & (y != 0)
        zeroed[0] += (x != 0) & (y == 0)
        flipped[0] += ((x < 0) & (y > 0)) | ((x > 0) & (y < 0))
        lost[0] += abs(y - x) > half * abs(x)
    counts += np.array([nonzero.sum(), negative.sum(), filled.sum(), zeroed.sum(), flipped.sum(), lost.sum()])


@njit
def add_rows(values: np.ndarray, decoded: np.ndarray, columns: int, at: int, rows: np.ndarray) -> np.ndarray:
    """Add Σ(y − x)² and Σx² of each row to its line of `rows`, float64.

    Returns these sums over all rows, and Σy². columns: of the whole matrix. at: the column of the
    first value.
    """
    errors, squares, energies = np.zeros(LANES), np.zeros(LANES), np.zeros(LANES)
    sums = np.zeros(3)
    start, row = 0, 0
    while start < values.size:
        end = min(start + columns - at, values.size)
        while start < end:
            stop = min(start + BLOCK, end)
            whole = start + (stop - start) // LANES * LANES
            error, square, energy = 0.0, 0.0, 0.0
            for i in range(whole, stop):
                x, y = np.float64(values[i]), np.float64(decoded[i])
                error += (y - x) * (y - x)
                square += x * x
                energy += y * y
            if start < whole:
                errors[:] = 0.0
                squares[:] = 0.0
                energies[:] = 0.0
                for i in range(start, whole, LANES):
                    for j in range(LANES):
                        x, y = np.float64(values[i + j]), np.float64(decoded[i + j])
                        errors[j] += (y - x) * (y - x)
                        squares[j] += x * x
                        energies[j] += y * y
                for j in range(LANES):
                    error += errors[j]
                    square += squares[j]
                    energy += energies[j]
            rows[row, 0] += error
            rows[row, 1] += square
            sums[0] += error
            sums[1] += square
            sums[2] += energy
            start = stop
        row, at = row + 1, 0
    return sums
