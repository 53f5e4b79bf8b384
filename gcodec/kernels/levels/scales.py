"""Loops of the encoder that has no trellis: energies, scale classes, thresholds.

A value x becomes the number sign(x)·⌊|x|·scale + rounding⌋, where the rounding offset depends on
the class of the value. Classes are numbers below 32, uint8, one for each value.
"""

import math

import numpy as np

from ..compiler.jit import njit
from ..entropy.tokens import MAX_CLASSES

BLOCK = 64  # values whose energies are added up together
GRADES = 512  # groups of magnitudes, for estimates: eight in each octave

_STRIP = 256  # values that are worked on together, in vectors


@njit
def _sum(terms: np.ndarray) -> float:
    """The sum of an array by way of eight partial sums, which fit vectors."""
    a = b = c = d = e = f = g = h = 0.0
    whole = terms.size & ~7
    for i in range(0, whole, 8):
        a += terms[i]
        b += terms[i + 1]
        c += terms[i + 2]
        d += terms[i + 3]
        e += terms[i + 4]
        f += terms[i + 5]
        g += terms[i + 6]
        h += terms[i + 7]
    for i in range(whole, terms.size):
        a += terms[i]
    return ((a + b) + (c + d)) + ((e + f) + (g + h))


@njit
def add_energies(
    values: np.ndarray, first: int, width: int, rows: np.ndarray, columns: np.ndarray, blocks: np.ndarray
) -> None:
    """Add the squares of values to the energies of their rows, columns and blocks of BLOCK values.

    first: the flat index of the first value. width: of the matrix. rows[0] is the row of the first
    value, and blocks[0] begins with it. If `columns` is empty, rows are not added up either.
    """
    buffer = np.empty(BLOCK)
    row, column = 0, first % width
    for start in range(0, values.size, BLOCK):
        strip = values[start : start + BLOCK]
        squares = buffer[: strip.size]
        for i in range(strip.size):
            x = np.float64(strip[i])
            squares[i] = x * x
        blocks[start // BLOCK] = _sum(squares)
        done = 0 if columns.size > 0 else strip.size
        while done < strip.size:
            run = min(strip.size - done, width - column)
            part = squares[done : done + run]
            rows[row] += _sum(part)
            below = columns[column : column + run]
            for i in range(run):
                below[i] += part[i]
            done += run
            column += run
            if column == width:
                row, column = row + 1, 0


@njit
def fill_product(
    first: int, width: int, rows: np.ndarray, columns: np.ndarray, offset: int, classes: np.ndarray
) -> None:
    """classes[i] = clip(rows[r] + columns[c] − offset, 0, MAX_CLASSES − 1).

    r and c are the row and the column of the flat index first + i; rows[0] is the row of the index
    `first`. rows, columns: int16.
    """
    done, row, column = 0, 0, first % width
    while done < classes.size:
        part = classes[done : done + width - column]
        beside = columns[column : column + part.size]
        base = np.int16(rows[row] - offset)
        for i in range(part.size):
            part[i] = min(max(base + beside[i], 0), MAX_CLASSES - 1)
        done, row, column = done + part.size, row + 1, 0


@njit
def fill_blocks(blocks: np.ndarray, size: int, classes: np.ndarray) -> None:
    """classes[i] = blocks[i // size]."""
    for b in range(blocks.size):
        classes[b * size : (b + 1) * size].fill(blocks[b])


@njit
def quantise(values: np.ndarray, scale: float, classes: np.ndarray, rounding: np.ndarray, numbers: np.ndarray) -> None:
    """numbers[i] = sign(x)·⌊|x|·scale + rounding[class]⌋ for x = values[i].

    numbers: of a dtype that can hold them. scale, rounding: in the dtype of the values, which is
    float32 only where all results are exact.
    """
    offsets = np.empty(_STRIP, values.dtype)
    for start in range(0, values.size, _STRIP):
        strip, strip_classes = values[start : start + _STRIP], classes[start : start + _STRIP]
        out = numbers[start : start + _STRIP]
        for i in range(strip.size):
            offsets[i] = rounding[strip_classes[i]]
        for i in range(strip.size):
            x = strip[i] * scale
            out[i] = np.int64(x + offsets[i]) if x >= 0 else np.int64(x - offsets[i])


@njit
def quantise_codes(
    values: np.ndarray, scale: float, classes: np.ndarray, rounding: np.ndarray, by_code: np.ndarray, codes: np.ndarray
) -> tuple[float, int]:
    """Quantise, code and measure in one pass: (squared error, largest |number|).

    codes: filled in, uint8, with the codes of the numbers that `quantise` gives. by_code: the
    decoded value of each code. If the largest |number| is not below DIRECT, nothing of it is valid.
    """
    offsets, sums, peaks = np.empty(_STRIP, values.dtype), np.zeros(_STRIP), np.zeros(_STRIP, np.int32)
    places = np.empty(_STRIP, np.uint8)
    for start in range(0, values.size, _STRIP):
        strip, beside = values[start : start + _STRIP], classes[start : start + _STRIP]
        for i in range(strip.size):
            offsets[i] = rounding[beside[i]]
        for i in range(strip.size):
            x = strip[i] * scale
            n = np.int32(x + (offsets[i] if x >= 0 else -offsets[i]))
            size = abs(n)
            peaks[i] = max(peaks[i], size)
            places[i] = (2 * size - np.int32(n > 0)) & 31
        coded = codes[start : start + _STRIP]
        for i in range(strip.size):
            coded[i] = places[i]
        for i in range(strip.size):
            gap = np.float64(by_code[places[i]]) - np.float64(strip[i])
            sums[i] += gap * gap
    peak = peaks[0]
    for i in range(1, _STRIP):
        peak = max(peak, peaks[i])
    return _sum(sums), peak


@njit
def estimate(levels: np.ndarray, classes: np.ndarray, table: float, entry: float, most: int) -> tuple[float, float]:
    """(bits of levels of these classes, bits of their tables), as far as entropies tell.

    Levels are counted by class and by the grade of their magnitude. Magnitudes below 16 have grades
    of their own. From there on each octave has 8 grades. A table with more than one grade takes
    `table` bits, and `entry` bits for each of at most `most` grades.
    """
    grades = np.zeros((MAX_CLASSES, GRADES), np.int64)
    top = 0
    for i in range(levels.size):
        m = abs(np.int64(levels[i]))
        octave = 0
        while m >= 16:
            m >>= 1
            octave += 1
        grade = min(8 * octave + m, GRADES - 1)
        top = max(top, grade)
        grades[classes[i], grade] += 1
    bits, tables = 0.0, 0.0
    for c in range(MAX_CLASSES):
        size, entries, own = 0, 0, 0.0
        for grade in range(top + 1):
            count = grades[c, grade]
            if count > 0:
                size += count
                entries += 1
                own -= count * math.log2(count)
        if entries > 1:
            bits += own + size * math.log2(size)
            tables += table + entry * min(entries, most)
    return bits, tables
