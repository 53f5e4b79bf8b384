"""Loops over values and their scale classes: energies, classes, and levels by thresholds.

A value x becomes the number sign(x)·⌊|x|·scale + rounding⌋, where the rounding offset depends on
the class of the value. Classes are numbers below 32, uint8, one for each value.
"""

import math

import numpy as np

from ..compiler.jit import njit
from ..entropy.tokens import DIRECT, MAX_CLASSES
from ..entropy.vectors import look_up_low
from ..half import floats_of

BLOCK = 64  # values whose energies are added up together
GRADES = 512  # groups of magnitudes, for estimates: eight in each octave
LARGEST = 1 << 15  # |numbers| from it on are quantised by `quantise` alone

_STRIP, _LONG_STRIP = 512, 1024  # values that are worked on together, in vectors
_ZERO, _TOP = np.int16(0), np.int16(MAX_CLASSES - 1)


@njit
def total(terms: np.ndarray) -> float:
    """The sum of an array by way of eight partial sums, in float64 and in a fixed order."""
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
def _sum_blocks(terms: np.ndarray, lanes: np.ndarray, sums: np.ndarray) -> None:
    """sums[b] = the sum of the BLOCK terms of block b, by pairs. lanes: room for 16 sums."""
    for b in range(sums.size):
        at = b * BLOCK
        for j in range(16):
            lanes[j] = (terms[at + j] + terms[at + 16 + j]) + (terms[at + 32 + j] + terms[at + 48 + j])
        sums[b] = (
            ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]))
        ) + (((lanes[8] + lanes[9]) + (lanes[10] + lanes[11])) + ((lanes[12] + lanes[13]) + (lanes[14] + lanes[15])))


@njit
def add_energies(
    values: np.ndarray, first: int, width: int, rows: np.ndarray, columns: np.ndarray, blocks: np.ndarray
) -> None:
    """Add the squares of values to the energies of their rows, columns and blocks of BLOCK values.

    first: the flat index of the first value. width: of the matrix. rows[0] is the row of the first
    value, and blocks[0] begins with it. If `columns` is empty, rows are not added up either. Values
    may be the bits of bfloat16 numbers (int16).
    """
    buffer, lanes, room = np.empty(_LONG_STRIP), np.empty(16), np.empty(_LONG_STRIP, np.float32)
    row, column = 0, first % width
    for start in range(0, values.size, _LONG_STRIP):
        strip = floats_of(values[start : start + _LONG_STRIP], room)
        squares, here = buffer[: strip.size], blocks[start // BLOCK : (start + _LONG_STRIP) // BLOCK]
        for i in range(strip.size):
            x = np.float64(strip[i])
            squares[i] = x * x
        whole = strip.size // BLOCK
        _sum_blocks(squares, lanes, here[:whole])
        if whole < here.size:
            here[whole] = total(squares[whole * BLOCK :])
        done = 0 if columns.size > 0 else strip.size
        while done < strip.size:
            run = min(strip.size - done, width - column)
            part, below = squares[done : done + run], columns[column : column + run]
            for i in range(run):
                below[i] += part[i]
            in_blocks = (done | run) % BLOCK == 0
            rows[row] += total(here[done // BLOCK : (done + run) // BLOCK] if in_blocks else part)
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
        for i in range(part.size):  # in int16 throughout, which takes a quarter of the time
            part[i] = min(max(np.int16(base + beside[i]), _ZERO), _TOP)
        done, row, column = done + part.size, row + 1, 0


@njit
def fill_blocks(blocks: np.ndarray, size: int, classes: np.ndarray) -> None:
    """classes[i] = blocks[i // size]."""
    for b in range(blocks.size):
        classes[b * size : (b + 1) * size].fill(blocks[b])


@njit
def fill_products(
    spans: np.ndarray, width: int, rows: np.ndarray, columns: np.ndarray, offset: int, classes: np.ndarray
) -> None:
    """The classes of several spans, one after the other; see `fill_product`.

    spans: int64, (start, stop) of each. rows: of the whole matrix.
    """
    done = 0
    for i in range(spans.shape[0]):
        start, size = spans[i, 0], spans[i, 1] - spans[i, 0]
        fill_product(start, width, rows[start // width :], columns, offset, classes[done : done + size])
        done += size


@njit
def fill_blocks_of(spans: np.ndarray, chunk: int, size: int, blocks: np.ndarray, classes: np.ndarray) -> None:
    """The classes of several spans that begin with a block, one after the other.

    spans: int64, (start, stop) of each, which lie in one chunk. blocks: those of all chunks, of
    `size` values each, the last one of a chunk perhaps of fewer.
    """
    done, in_chunk = 0, -(-chunk // size)
    for i in range(spans.shape[0]):
        start, count = spans[i, 0], spans[i, 1] - spans[i, 0]
        first = start // chunk * in_chunk + start % chunk // size
        fill_blocks(blocks[first : first + -(-count // size)], size, classes[done : done + count])
        done += count


@njit
def quantise(values: np.ndarray, scale: float, classes: np.ndarray, rounding: np.ndarray, numbers: np.ndarray) -> None:
    """numbers[i] = sign(x)·⌊|x|·scale + rounding[class]⌋ for x = values[i].

    numbers: of a dtype that can hold them. scale, rounding: in the dtype of the values, which is
    float32 only where all results are exact. rounding: it has 64 entries.
    """
    offsets = np.empty(_STRIP, values.dtype)
    for start in range(0, values.size, _STRIP):
        strip, strip_classes = values[start : start + _STRIP], classes[start : start + _STRIP]
        out = numbers[start : start + _STRIP]
        look_up_low(strip_classes, rounding, offsets)
        for i in range(strip.size):
            x = strip[i] * scale
            out[i] = np.int64(x + offsets[i]) if x >= 0 else np.int64(x - offsets[i])


@njit
def quantise_codes(
    values: np.ndarray,
    scale: float,
    classes: np.ndarray,
    rounding: np.ndarray,
    by_code: np.ndarray,
    rounded: bool,
    wide: int,
    codes: np.ndarray,
    places: np.ndarray,
    large: np.ndarray,
) -> tuple[float, int, int]:
    """Quantise, code and measure in one pass: (squared error, count, largest |number|).

    codes: filled in, uint8, with the codes of the numbers that `quantise` gives. by_code: the
    decoded value of each code. rounded: whether these are rounded to a narrow dtype; if not, those
    of |numbers| above 2 are multiples of the step. wide: the first class whose numbers have raw
    bits. places, large: filled in, int32, with the indexes and the numbers of what has raw bits,
    which are these and |numbers| that are not below DIRECT. They are as many as the count says.
    Their codes are 0, and the error is that of all others. If there is no room for them, or the
    largest |number| is LARGEST, nothing is valid.

    Where values are float32, so are sums of at most 16 squares.
    """
    work = values.dtype.type
    offsets, sizes = np.empty(_STRIP, values.dtype), np.empty(_STRIP, np.int32)
    points, sums = np.empty(_STRIP, values.dtype), np.zeros(_STRIP, values.dtype)
    one, two, cell = by_code[1], by_code[3], by_code[2 * DIRECT - 3] / work(DIRECT - 1)
    most, error, count, peak = work(LARGEST), 0.0, 0, np.int32(0)
    for start in range(0, values.size, _STRIP):
        here = slice(start, start + _STRIP)
        strip, beside, coded = values[here], classes[here], codes[here]
        look_up_low(beside, rounding, offsets)
        highest = np.uint8(0)
        for i in range(beside.size if wide < MAX_CLASSES else 0):
            highest = max(highest, beside[i])
        top = np.int32(0)
        for i in range(strip.size):
            x = strip[i] * scale
            size = abs(x) + offsets[i]
            n = np.int32(size if size < most else most)
            top = max(top, n)
            sizes[i] = n
            coded[i] = (2 * n - np.int32((x > 0) & (n > 0))) & 31
        peak = max(peak, top)
        if top >= DIRECT or highest >= wide:
            look_up_low(coded, by_code, points)
            for i in range(strip.size):
                if sizes[i] >= DIRECT or beside[i] >= wide:
                    if count < places.size:
                        places[count] = start + i
                        large[count] = sizes[i] if strip[i] > 0 else -sizes[i]
                    count += 1
                    coded[i] = 0
                    points[i] = strip[i]
            if count > places.size:
                break
            for i in range(strip.size):
                gap = points[i] - strip[i]
                sums[i] += gap * gap
        elif rounded:
            look_up_low(coded, by_code, points)
            for i in range(strip.size):
                gap = points[i] - strip[i]
                sums[i] += gap * gap
        else:
            for i in range(strip.size):
                point = cell * work(sizes[i])
                point = one if sizes[i] == 1 else point
                point = two if sizes[i] == 2 else point
                gap = point - abs(strip[i])
                sums[i] += gap * gap
        if start // _STRIP % 16 == 15:
            error += total(sums)
            sums[:] = work(0)
    return error + total(sums), count, peak


@njit
def fill_grades(levels: np.ndarray, grades: np.ndarray) -> int:
    """grades[i], uint16, is the grade of the magnitude of a level; returns the highest one.

    Magnitudes below 16 have grades of their own. From there on each octave has 8 grades.
    """
    top = np.int64(0)
    for i in range(levels.size):
        m = abs(np.int64(levels[i]))
        octave = 0
        while m >= 16:
            m >>= 1
            octave += 1
        grade = min(8 * octave + m, GRADES - 1)
        top = max(top, grade)
        grades[i] = grade
    return top


@njit
def estimate(
    grades: np.ndarray, top: int, classes: np.ndarray, table: float, entry: float, most: int
) -> tuple[float, float]:
    """(bits of levels of these classes, bits of their tables), as far as entropies tell.

    Levels are counted by class and by the grade of their magnitude. A table with more than one
    grade takes `table` bits, and `entry` bits for each of at most `most` grades. top: the highest
    grade.
    """
    width = top + 1
    parts = np.zeros((4, MAX_CLASSES * width), np.uint32)
    a, b, c, d = parts[0], parts[1], parts[2], parts[3]
    whole = grades.size & ~3
    for i in range(0, whole, 4):
        a[np.int64(classes[i]) * width + grades[i]] += np.uint32(1)
        b[np.int64(classes[i + 1]) * width + grades[i + 1]] += np.uint32(1)
        c[np.int64(classes[i + 2]) * width + grades[i + 2]] += np.uint32(1)
        d[np.int64(classes[i + 3]) * width + grades[i + 3]] += np.uint32(1)
    for i in range(whole, grades.size):
        a[np.int64(classes[i]) * width + grades[i]] += np.uint32(1)
    bits, tables = 0.0, 0.0
    for group in range(MAX_CLASSES):
        size, entries, own = 0, 0, 0.0
        for place in range(group * width, (group + 1) * width):
            count = np.int64(a[place]) + np.int64(b[place]) + np.int64(c[place]) + np.int64(d[place])
            if count > 0:
                size += count
                entries += 1
                own -= count * math.log2(count)
        if entries > 1:
            bits += own + size * math.log2(size)
            tables += table + entry * min(entries, most)
    return bits, tables
