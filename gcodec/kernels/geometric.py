"""Kernels of `geometric`: intervals of magnitudes, their levels, and the numbers that are coded.

A pattern is the bits of a magnitude as an integer, without the sign. Patterns have the order of the
magnitudes. A pattern p with m bits of mantissa has the base b = max(p >> m, 1) − 1 << m, and its
value is p − b units. The unit is the distance to the next larger number. A run is a series of
intervals of equally many patterns. See spec/compressors/09-geometric.md.
"""

import numpy as np

from .compiler.jit import njit
from .entropy.rans import SYMBOLS
from .entropy.tokens import DIRECT, all_used, big_symbol, extra_bits, finish_raw, get_cell, get_long, put_cell, put_long

MAX_RUNS = 1 << 16  # the most runs that a table may have
MAX_LEVELS = 1 << 57  # the most levels, so that no number overflows
ZERO_LEVEL = -1  # the level of zero, in the encoder
ZERO = np.iinfo(np.int64).min  # what stands for zero among numbers
ZERO_SYMBOL = SYMBOLS - 1

_0 = np.uint64(0)


@njit
def _pattern_of(units: int, base: int, mantissa: int, last: int) -> int:
    """The largest pattern whose value is at most so many units of the base, or `last` if less."""
    octaves = 0
    while units >> (mantissa + 1 + octaves):
        octaves += 1
    above = last - base
    if octaves > above >> mantissa:
        return last
    return base + min((octaves << mantissa) + (units >> octaves), above)


@njit
def _units_of(pattern: int, base: int, mantissa: int) -> int:
    """The value of a pattern, not below the base, in units of the base."""
    above = pattern - base
    octaves = max((above >> mantissa) - 1, 0)
    return (above - (octaves << mantissa)) << octaves


@njit
def fill_runs(
    first: int, last: int, mantissa: int, numerator: int, exponent: int, doublings: int, runs: np.ndarray
) -> tuple[int, int]:
    """Fill in the runs of the patterns first…last; returns (how many there are, how many levels).

    The largest relative error is numerator / 2^exponent, with 256 ≤ numerator < 512 and exponent
    from 9 to 62. A run has up to 2^doublings intervals. mantissa: how many bits it has. runs: int64
    (4, n), which gets the first pattern of each run, its first level, the patterns of an interval,
    and how far the representative lies above the start of its interval. (-1, 0) is returned if
    there are more than n runs, or more than MAX_LEVELS levels.

    All products are below 2⁶³: a value is below 2⁵³ units, and its representative below 2⁵⁴.
    """
    rest = (np.int64(1) << exponent) - numerator
    pattern, level, count = first, np.int64(0), 0
    while pattern <= last:
        if count == runs.shape[1] or level >= MAX_LEVELS:
            return -1, np.int64(0)
        base = (max(pattern >> mantissa, 1) - 1) << mantissa
        units = pattern - base
        middle = _pattern_of(units + (units * numerator >> exponent), base, mantissa, last)
        reached = _units_of(middle, base, mantissa)
        end = _pattern_of(reached + reached * numerator // rest, base, mantissa, last) + 1
        room = base + (np.int64(2) << mantissa) - pattern
        width = end - pattern
        runs[0, count], runs[1, count], runs[2, count], runs[3, count] = pattern, level, width, middle - pattern
        intervals = min(np.int64(1) << doublings, room // width) if width <= room else np.int64(1)
        pattern += intervals * width
        level += intervals
        count += 1
    if level > MAX_LEVELS:
        return -1, np.int64(0)
    return count, level


@njit
def fill_places(starts: np.ndarray, shift: int, places: np.ndarray) -> None:
    """places[k] = the last run that starts at starts[0] + k·2^shift or before it.

    starts: the first pattern, or the first level, of each run.
    """
    run = 0
    for k in range(places.size):
        key = starts[0] + (np.int64(k) << shift)
        while run + 1 < starts.size and starts[run + 1] <= key:
            run += 1
        places[k] = run


@njit
def _run_of(starts: np.ndarray, places: np.ndarray, shift: int, key: int) -> int:
    """The last run that starts at `key` or before it. The first one does.

    places: what `fill_places` gives, up to the first place that is beyond all keys.
    """
    place = (key - starts[0]) >> shift
    low = np.int64(places[place])
    size = places[place + 1] - low + 1
    while size > 1:
        half = size >> 1
        low += half if starts[low + half] <= key else 0
        size -= half
    return low


@njit
def levels_of(patterns: np.ndarray, runs: np.ndarray, places: np.ndarray, shift: int, levels: np.ndarray) -> None:
    """Fill in the level of each pattern, int64; of 0 it is ZERO_LEVEL.

    places, shift: see `fill_places`, of the first patterns.
    """
    firsts, starts, widths = runs[0], runs[1], runs[2]
    for i in range(patterns.size):
        pattern = patterns[i]
        run = _run_of(firsts, places, shift, max(pattern, firsts[0]))
        above = pattern - firsts[run]
        width = widths[run]
        whole = above // width if above >= width else np.int64(0)
        levels[i] = starts[run] + whole if pattern > 0 else np.int64(ZERO_LEVEL)


@njit
def add_levels(
    levels: np.ndarray, first: int, width: int, rows: np.ndarray, columns: np.ndarray, blocks: np.ndarray, block: int
) -> None:
    """Add the levels that are not of zero to the sums of their rows, columns and blocks.

    first: the flat index of the first one. width: of the matrix. rows, columns, blocks: float64 (2,
    n), sums and counts. Row 0 is that of the first level, and block 0 begins with it. If there are
    no columns, rows are not added up either.
    """
    row, column = 0, first % width
    for i in range(levels.size):
        level = levels[i]
        if level >= 0:
            place = i // block
            blocks[0, place] += level
            blocks[1, place] += 1
            if columns.shape[1] > 0:
                rows[0, row] += level
                rows[1, row] += 1
                columns[0, column] += level
                columns[1, column] += 1
        column += 1
        if column == width:
            row, column = row + 1, 0


@njit
def fill_numbers(levels: np.ndarray, classes: np.ndarray, unit: int, base: int, numbers: np.ndarray) -> None:
    """numbers[i] = levels[i] − base − unit·classes[i], int64; of the level of zero it is ZERO."""
    for i in range(levels.size):
        number = levels[i] - base - unit * np.int64(classes[i])
        numbers[i] = number if levels[i] >= 0 else ZERO


@njit
def tokenise(
    numbers: np.ndarray, classes: np.ndarray, widths: np.ndarray, symbols: np.ndarray, raw: np.ndarray
) -> None:
    """Fill in the symbols, uint8, of numbers, and add the raw bits that they need to raw[class].

    widths: raw widths by class. raw: int64. The cell of a number is the number without its low
    `width` bits.
    """
    for i in range(numbers.size):
        if numbers[i] == ZERO:
            symbols[i] = ZERO_SYMBOL
            continue
        width = widths[classes[i]]
        cell = numbers[i] >> width
        size = abs(cell)
        raw[classes[i]] += width
        if size >= DIRECT:
            raw[classes[i]] += extra_bits(size)
            symbols[i] = big_symbol(size)
        else:
            symbols[i] = 2 * size - 1 if cell > 0 else 2 * size


@njit
def put_raw(numbers: np.ndarray, classes: np.ndarray, widths: np.ndarray, words: np.ndarray) -> None:
    """Write the raw bits of all numbers. words: uint32, one more than the bits need."""
    held, bits, at = _0, _0, _0
    for i in range(numbers.size):
        if numbers[i] == ZERO:
            continue
        width = widths[classes[i]]
        at, held, bits = put_cell(words, at, held, bits, numbers[i] >> width)
        if width > 0:
            low = numbers[i] & ((np.int64(1) << width) - 1)
            at, held, bits = put_long(words, at, held, bits, low, width)
    finish_raw(words, at, held, bits)


@njit
def levels_of_symbols(
    symbols: np.ndarray,
    classes: np.ndarray,
    widths: np.ndarray,
    unit: int,
    base: int,
    words: np.ndarray,
    end: np.uint64,
    levels: np.ndarray,
) -> bool:
    """The inverse of `fill_numbers`, `tokenise` and `put_raw`; whether the raw bits are valid.

    words: `end` bits (uint64), with SPARE_WORDS words after them. unit, base: below 2⁵⁷.
    """
    at = _0
    for i in range(symbols.size):
        symbol = np.int64(symbols[i])
        if symbol == ZERO_SYMBOL:
            levels[i] = ZERO_LEVEL
            continue
        width = widths[classes[i]]
        number, at = get_cell(symbol, width, words, at, end)
        if at > end:
            return False
        if width > 0:
            low, at = get_long(words, at, width)
            number = number << width | low
            if at > end:
                return False
        level = number + base + unit * np.int64(classes[i])
        if level < 0:
            return False
        levels[i] = level
    return all_used(words, at, end)


@njit
def patterns_of(
    levels: np.ndarray,
    count: int,
    last: int,
    runs: np.ndarray,
    places: np.ndarray,
    shift: int,
    patterns: np.ndarray,
) -> bool:
    """Fill in the representative of each level; whether all levels are below `count`.

    No representative is beyond the pattern `last`. The level of zero has the pattern 0. places,
    shift: see `fill_places`, of the first levels.
    """
    firsts, starts, widths, offsets = runs[0], runs[1], runs[2], runs[3]
    single = count == starts.size  # every run has one interval
    for i in range(levels.size):
        level = levels[i]
        if level >= count:
            return False
        if level < 0:
            patterns[i] = 0
            continue
        run = level if single else _run_of(starts, places, shift, level)
        pattern = firsts[run] + (level - starts[run]) * widths[run] + offsets[run]
        patterns[i] = min(pattern, last)
    return True
