"""Squared norms and errors of float32 or float64 values, in float64, and counts of what was lost.

They are for measuring, never for decoding. Sums are taken in a fixed order, so they are equal on
all processors: blocks of 4096 values one after the other, in each 16 sums of every 16th value. A
sum of up to 2²⁰ squares has passed through at most 2⁹ + 40 roundings, each of 2⁻⁵³ of it.
"""

import numpy as np

from .compiler.jit import njit
from .half import floats_of

BLOCK = 4096
LANES = 16
ROWS = 8  # so many values go to a lane before it is put back, which takes time
STRIP = ROWS * LANES
COUNTS = 6
_LONG = 64  # values of a row that is summed in lanes


def scan(values: np.ndarray) -> tuple[int, int, float, float]:
    """(count, first, max |x|, Σ x²).

    count and first: the number of NaN and infinities, and the index of the first one, or -1. The
    last two are over the finite values. Values may be the bits of bfloat16 numbers, int16.
    """
    largest = largest_magnitude(values)
    if largest < np.inf:
        return 0, -1, largest, sum_squares(values)
    return _scan_each(values)


def largest_magnitude(values: np.ndarray) -> float:
    """max |x|. It is 0 for no values, and infinite or NaN when a value is.

    Without their signs, floats have the order of the integers with the same bits.
    """
    if values.dtype == np.int16:
        return float(np.int32(int(_largest(values)) << 16).view(np.float32))
    if values.itemsize == 4:
        return float(np.int32(_largest(values.view(np.int32))).view(np.float32))
    return float(np.int64(_largest(values.view(np.int64))).view(np.float64))


@njit
def _largest(bits: np.ndarray) -> int:
    number = bits.dtype.type
    largest, signless = number(0), number(~(number(1) << number(8 * bits.itemsize - 1)))
    for i in range(bits.size):
        largest = max(largest, number(bits[i] & signless))
    return largest


@njit
def _scan_each(values: np.ndarray) -> tuple[int, int, float, float]:
    largest, total = 0.0, 0.0
    count, first = 0, -1
    floats = floats_of(values, np.empty(values.size, np.float32))
    for i in range(values.size):
        value = abs(np.float64(floats[i]))
        if value < np.inf:
            largest = max(largest, value)
            total += value * value
        else:  # value is infinite or NaN
            first = i if count == 0 else first
            count += 1
    return count, first, largest, total


@njit
def sum_squares(values: np.ndarray) -> float:
    """Σ x²."""
    lanes, total, room = np.empty(LANES), 0.0, np.empty(BLOCK, np.float32)
    for start in range(0, values.size, BLOCK):
        block = floats_of(values[start : start + BLOCK], room)
        whole = block.size // STRIP * STRIP
        lanes[:] = 0.0
        for i in range(0, whole, STRIP):
            for j in range(LANES):
                lane = lanes[j]
                for k in range(ROWS):
                    value = np.float64(block[i + k * LANES + j])
                    lane += value * value
                lanes[j] = lane
        for i in range(whole, block.size):
            value = np.float64(block[i])
            lanes[i % LANES] += value * value
        total += _sum(lanes)
    return total


@njit
def squared_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Σ (a − b)². It is infinite or NaN when a value is."""
    lanes, total = np.empty(LANES), 0.0
    for start in range(0, a.size, BLOCK):
        left, right = a[start : start + BLOCK], b[start : start + BLOCK]
        whole = left.size // STRIP * STRIP
        lanes[:] = 0.0
        for i in range(0, whole, STRIP):
            for j in range(LANES):
                lane = lanes[j]
                for k in range(ROWS):
                    error = np.float64(left[i + k * LANES + j]) - np.float64(right[i + k * LANES + j])
                    lane += error * error
                lanes[j] = lane
        for i in range(whole, left.size):
            error = np.float64(left[i]) - np.float64(right[i])
            lanes[i % LANES] += error * error
        total += _sum(lanes)
    return total


@njit
def _sum(lanes: np.ndarray) -> float:
    total = 0.0
    for j in range(LANES):
        total += lanes[j]
    return total


@njit
def add_counts(values: np.ndarray, decoded: np.ndarray, counts: np.ndarray) -> None:
    """Add to the counts, int64, how many values x and decoded values y there are of each kind.

    By place: x ≠ 0; x < 0; x = 0 and y ≠ 0; x ≠ 0 and y = 0; x and y on two sides of zero; and
    |y − x| > |x| / 2, zeros included.
    """
    half = values.dtype.type(0.5)
    lanes = np.zeros((COUNTS, LANES), np.int32)
    nonzero, negative, filled, zeroed, flipped, lost = lanes[0], lanes[1], lanes[2], lanes[3], lanes[4], lanes[5]
    whole = values.size // STRIP * STRIP
    for start in range(0, whole, STRIP):
        for j in range(LANES):
            a, b, c, d, e, f = nonzero[j], negative[j], filled[j], zeroed[j], flipped[j], lost[j]
            for k in range(ROWS):
                x, y = values[start + k * LANES + j], decoded[start + k * LANES + j]
                a += x != 0
                b += x < 0
                c += (x == 0) & (y != 0)
                d += (x != 0) & (y == 0)
                e += ((x < 0) & (y > 0)) | ((x > 0) & (y < 0))
                f += abs(y - x) > half * abs(x)
            nonzero[j], negative[j], filled[j], zeroed[j], flipped[j], lost[j] = a, b, c, d, e, f
    for i in range(whole, values.size):
        x, y = values[i], decoded[i]
        nonzero[0] += x != 0
        negative[0] += x < 0
        filled[0] += (x == 0) & (y != 0)
        zeroed[0] += (x != 0) & (y == 0)
        flipped[0] += ((x < 0) & (y > 0)) | ((x > 0) & (y < 0))
        lost[0] += abs(y - x) > half * abs(x)
    for kind in range(COUNTS):
        for j in range(LANES):
            counts[kind] += lanes[kind, j]


@njit
def sum_rows(values: np.ndarray, decoded: np.ndarray, columns: int, at: int, rows: np.ndarray) -> np.ndarray:
    """Write Σ(y − x)² and Σx² of each row to its line of `rows`, float64.

    Returns these sums over all rows, and Σy². columns: of the whole matrix. at: the column of the
    first value.
    """
    errors, squares, energies, sums = np.zeros(LANES), np.zeros(LANES), np.zeros(LANES), np.zeros(3)
    for row in range(rows.shape[0]):
        start, stop = max(row * columns - at, 0), min((row + 1) * columns - at, values.size)
        error, square, energy = 0.0, 0.0, 0.0
        if columns >= _LONG:
            error, square, energy = _row(values[start:stop], decoded[start:stop], errors, squares, energies)
        else:
            for i in range(start, stop):
                x, y = np.float64(values[i]), np.float64(decoded[i])
                error += (y - x) * (y - x)
                square += x * x
                energy += y * y
        rows[row, 0] = error
        rows[row, 1] = square
        sums[0] += error
        sums[1] += square
        sums[2] += energy
    return sums


@njit
def _row(
    values: np.ndarray, decoded: np.ndarray, errors: np.ndarray, squares: np.ndarray, energies: np.ndarray
) -> tuple[float, float, float]:
    """Σ(y − x)², Σx² and Σy². errors, squares, energies: room for LANES sums each."""
    whole = values.size // LANES * LANES
    error, square, energy = 0.0, 0.0, 0.0
    for i in range(whole, values.size):
        x, y = np.float64(values[i]), np.float64(decoded[i])
        error += (y - x) * (y - x)
        square += x * x
        energy += y * y
    errors[:] = 0.0
    squares[:] = 0.0
    energies[:] = 0.0
    most = values.size // STRIP * STRIP
    for i in range(0, most, STRIP):
        for j in range(LANES):
            a, b, c = errors[j], squares[j], energies[j]
            for k in range(ROWS):
                x, y = np.float64(values[i + k * LANES + j]), np.float64(decoded[i + k * LANES + j])
                a += (y - x) * (y - x)
                b += x * x
                c += y * y
            errors[j], squares[j], energies[j] = a, b, c
    for i in range(most, whole):
        x, y = np.float64(values[i]), np.float64(decoded[i])
        errors[i % LANES] += (y - x) * (y - x)
        squares[i % LANES] += x * x
        energies[i % LANES] += y * y
    for j in range(LANES):
        error += errors[j]
        square += squares[j]
        energy += energies[j]
    return error, square, energy


@njit
def compare(
    values: np.ndarray, decoded: np.ndarray, columns: int, at: int, rows: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """What `add_counts`, `sum_rows` and `squared_distance` find, bit for bit, in one pass.

    columns, at, and the number of values are multiples of STRIP, and rows and counts are filled as
    by `sum_rows` and `add_counts`. Returns what `sum_rows` returns, and Σ (y − x)² after it. Values
    may be the bits of bfloat16 numbers, int16.
    """
    room = np.empty((2, min(BLOCK, values.size)), np.float32)
    errors, squares, energies, lanes = np.zeros(LANES), np.zeros(LANES), np.zeros(LANES), np.zeros(LANES)
    sums, row, place = np.zeros(4), 0, at
    for start in range(0, values.size, BLOCK):
        left = floats_of(values[start : start + BLOCK], room[0])
        right = floats_of(decoded[start : start + BLOCK], room[1])
        add_counts(left, right, counts)
        lanes[:] = 0.0
        for i in range(0, left.size, STRIP):
            x, y = left[i : i + STRIP], right[i : i + STRIP]
            for j in range(LANES):
                a, b, c, d = errors[j], squares[j], energies[j], lanes[j]
                for k in range(ROWS):
                    one, other = np.float64(x[k * LANES + j]), np.float64(y[k * LANES + j])
                    error = (other - one) * (other - one)
                    a += error
                    b += one * one
                    c += other * other
                    d += error
                errors[j], squares[j], energies[j], lanes[j] = a, b, c, d
            place += STRIP
            if place == columns or start + i + STRIP == values.size:
                rows[row, 0], rows[row, 1] = _sum(errors), _sum(squares)
                sums[0] += rows[row, 0]
                sums[1] += rows[row, 1]
                sums[2] += _sum(energies)
                errors[:] = 0.0
                squares[:] = 0.0
                energies[:] = 0.0
                row, place = row + 1, 0
        sums[3] += _sum(lanes)
    return sums


@njit
def add_slices(values: np.ndarray, decoded: np.ndarray, start: int, inner: int, sums: np.ndarray) -> None:
    """Add to sums[:, s], for the slice s of each value: (x̂ − x)², x², and 1 where they differ.

    values, decoded: float64. start: the flat index of the first. inner: how many values in a row
    belong to one slice. sums: float64, 3 × slices.
    """
    slices = sums.shape[1]
    place, left = start // inner % slices, inner - start % inner
    for i in range(values.size):
        error = decoded[i] - values[i]
        sums[0, place] += error * error
        sums[1, place] += values[i] * values[i]
        if error != 0:
            sums[2, place] += 1
        left -= 1
        if left == 0:
            left = inner
            place = place + 1 if place + 1 < slices else 0
