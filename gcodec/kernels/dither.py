"""Loops of subtractive dither: the nearest path through a trellis, its coded numbers, and decoding.

Values are in steps. A trellis state with an even number offers the even integers, and one with an
odd number offers the odd ones. Bit 1 of the integer decides which of two states follows. With
dither u and level j the decoded value is j + u. Given the state, j + u is known up to an even
number: j + u = φ + 2n with φ in [−1, 1). The phase is ⌊8|φ|⌋. What is coded is n, or −n if φ < 0,
so that equal phases mean points at equal distances from zero.
"""

import math
from collections.abc import Callable

import numpy as np

from .compiler.jit import njit
from .entropy.rans import MAX_LANES, START, SYMBOLS, TOTAL, start_of
from .entropy.tokens import all_used, get_number
from .levels.paths import ADVANCE, ROWS, STRIP, SUBSETS, best_ends, settle_costs
from .rng import random_at, uniform

DITHER_STREAM, STATE_STREAM, ROUNDING_STREAM = 0x64697468, 0x64697473, 0x64697472  # "dith", "dits", "ditr"
PHASES = 8
PHASE_BITS = 3
PERIOD = 4.0  # the levels that a state offers repeat after 4
RESIDUES = np.array([0.0, 2.0, 1.0, 3.0])  # level mod 4, by slot: 2·book + branch

_FRACTION = 29  # bits of the mantissa of a float64 that a float32 does not have
_SMALLEST_NORMAL = 2.0**-126
_QUANTUM = 2.0**-149  # the distance of neighbouring subnormal float32 numbers
_SYMBOL, _SLOT, _LOWEST = map(np.uint64, (SYMBOLS - 1, TOTAL - 1, START))
_5, _12, _16, _17 = map(np.uint64, (5, 12, 16, 17))


@njit
def fill_dither(key: int, start: int, out: np.ndarray) -> None:
    """out[i] = dither number start + i: uniform in [−2, 2), the period of all trellises."""
    for i in range(out.size):
        out[i] = PERIOD * uniform(random_at(key, start + i)) - PERIOD / 2


def _make_search(states: int) -> Callable[..., None]:
    advance = ADVANCE[states]

    @njit
    def search(targets: np.ndarray, firsts: np.ndarray, ways: np.ndarray, ends: np.ndarray) -> None:
        """Fill in the decisions and the last states of the paths that are nearest to the targets.

        firsts: the first state of each lane. ways: uint32, for each target. ends: uint32, for each
        lane. Metrics are float64, so that rounding changes them by no more than about 2⁻⁵².
        """
        lanes = ends.size
        rows = min(max(STRIP // lanes, 1), ROWS)
        metrics = np.empty(SUBSETS * STRIP)
        costs, grown = np.full(states * MAX_LANES, 1e30), np.empty(states * MAX_LANES)
        for lane in range(lanes):
            costs[np.int64(firsts[lane]) * MAX_LANES + lane] = 0.0
        for start in range(0, targets.size, rows * lanes):
            strip = targets[start : start + rows * lanes]
            for slot in range(SUBSETS):
                _gaps(strip, RESIDUES[slot], metrics[slot * STRIP : slot * STRIP + strip.size])
            for first in range(0, strip.size, lanes):
                count = min(lanes, strip.size - first)
                advance(costs, grown, metrics, first, ways, start + first, count)
                for s in range(states):
                    for lane in range(count, lanes):
                        grown[s * MAX_LANES + lane] = costs[s * MAX_LANES + lane]
                costs, grown = grown, costs
            settle_costs(costs, states, lanes)
        best_ends(costs, states, ends)

    return search


@njit
def _gaps(targets: np.ndarray, residue: float, metrics: np.ndarray) -> None:
    """Squared distances to the nearest integers that are `residue` modulo 4."""
    for i in range(targets.size):
        gap = targets[i] - residue
        gap = gap - 4.0 * math.floor(gap * 0.25 + 0.5)
        metrics[i] = gap * gap


SEARCHES = {states: _make_search(states) for states in ADVANCE}


@njit
def fill_levels(targets: np.ndarray, slots: np.ndarray, levels: np.ndarray) -> None:
    """Fill in the nearest levels, int64, with the residues that the slots of a path stand for.

    Slots become books.
    """
    for i in range(targets.size):
        residue = RESIDUES[slots[i]]
        levels[i] = np.int64(residue) + 4 * np.int64(math.floor((targets[i] - residue) * 0.25 + 0.5))
        slots[i] >>= 1


@njit
def nearest_even(targets: np.ndarray, levels: np.ndarray) -> None:
    """Fill in the nearest even levels: the path if there is no trellis."""
    for i in range(targets.size):
        levels[i] = 2 * np.int64(math.floor(targets[i] * 0.5 + 0.5))


@njit
def _fold(state: int, dither: float) -> tuple[float, int]:
    """(φ, m), exactly: level + dither = φ + 2n if the level is (state mod 2) + 2(n + m).

    φ is in [−1, 1).
    """
    place = dither + (state & 1)
    m = math.floor((place + 1.0) * 0.5)
    return place - 2.0 * m, np.int64(m)


@njit
def fold_levels(
    levels: np.ndarray, dither: np.ndarray, books: np.ndarray, numbers: np.ndarray, phases: np.ndarray
) -> None:
    """Fill in numbers, int64, and phases, uint8, of the levels of a path through these books."""
    for i in range(levels.size):
        book = np.int64(books[i])
        phi, m = _fold(book, dither[i])
        n = ((levels[i] - book) >> 1) + m
        numbers[i] = -n if phi < 0.0 else n
        phases[i] = min(np.int64(abs(phi) * PHASES), PHASES - 1)


@njit
def count_places(numbers: np.ndarray, phases: np.ndarray, classes: np.ndarray, counts: np.ndarray) -> None:
    """counts[class, ⌊4·|decoded value|⌋] += 1, as if each value lay in the middle of its phase.

    The last column counts all values beyond it as well.
    """
    most = counts.shape[1] - 1
    for i in range(numbers.size):
        n = min(max(numbers[i], -most), most)
        place = abs(16 * PHASES // 4 * n + 2 * np.int64(phases[i]) + 1) // 4
        counts[classes[i], min(place, most)] += 1


@njit
def decode_values(
    lanes: tuple[np.ndarray, np.ndarray],
    words: np.ndarray,
    classes: np.ndarray,
    widths: np.ndarray,
    slots: np.ndarray,
    raw: np.ndarray,
    end: np.uint64,
    jumps: np.ndarray,
    values: np.ndarray,
) -> bool:
    """Decode levels and add them to the dither in `values`; returns whether all data is valid.

    lanes: the rANS states, uint64, and the trellis states, int64, of the lanes. words: uint16, with
    MAX_LANES spare places after them. slots: the decoding tables; the table of a value is
    class·PHASES + phase, or class·PHASES if the class has a raw width. raw, end: see `get_number`.
    jumps: those of odd states and of branch 1. Bits, words and last states must be what an encoder
    leaves.
    """
    states, paths = lanes
    at, raw_at = np.uint64(0), np.uint64(0)
    available = np.uint64(words.size - MAX_LANES)
    spare = states.size == 1
    for i in range(classes.size):
        lane = i & (states.size - 1)
        path = paths[lane]
        phi, m = _fold(path, values[i])
        width = widths[classes[i]]
        table = np.int64(classes[i]) * PHASES
        if width == 0:
            table += min(np.int64(abs(phi) * PHASES), PHASES - 1)
        state = states[lane]
        entry = np.uint64(slots[np.uint64(table) << _12 | (state & _SLOT)])
        state = (entry >> _17) * (state >> _12) + (entry >> _5 & _SLOT)
        low = state < _LOWEST and (at < available or not spare)
        states[lane] = state << _16 | np.uint64(words[at]) if low else state
        at += np.uint64(low)
        n, raw_at = get_number(np.int64(entry & _SYMBOL), width, raw, raw_at, end)
        if at > available or raw_at > end:
            return False
        if phi < 0.0:
            n = -n
        values[i] = phi + 2.0 * n
        paths[lane] = (path >> 1) ^ (path & 1) * jumps[0] ^ ((n - m) & 1) * jumps[1]
    for state in states:
        if state != start_of(states.size):
            return False
    return at == available and all_used(raw, raw_at, end)


@njit
def scale_values(values: np.ndarray, step: float, unit: float, largest: float) -> None:
    """values = ±min(|values|·step·unit, largest), in float64 and in this order."""
    for i in range(values.size):
        value = values[i]
        size = min(abs(value) * step * unit, largest)
        values[i] = size if value >= 0.0 else -size


@njit
def round_randomly(values: np.ndarray, patterns: np.ndarray, key: int, start: int) -> None:
    """Round float64 values to float32 numbers, up or down, so that the expectation is the value.

    patterns: the same memory as uint64. For a normal value, a random number below 2²⁹ is added to
    its pattern, and the bits that float32 does not have become 0. A smaller value becomes
    ±⌊|value|/2⁻¹⁴⁹ + r⌋·2⁻¹⁴⁹ with r uniform in [0, 1).
    """
    low = np.uint64((1 << _FRACTION) - 1)
    for i in range(values.size):
        bits = random_at(key, start + i)
        size = abs(values[i])
        if size >= _SMALLEST_NORMAL:
            patterns[i] = (patterns[i] + (np.uint64(bits) & low)) & ~low
        else:
            size = math.floor(size / _QUANTUM + uniform(bits)) * _QUANTUM
            values[i] = math.copysign(size, values[i])
