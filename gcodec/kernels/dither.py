"""Loops of subtractive dither: the nearest path through a trellis, the numbers that are coded, and their decoding.

Values are in steps. A trellis state of even number offers the even integers, one of odd number the odd ones; which of two states
follows depends on bit 1 of the integer. With dither u and level j the decoded value is j + u. Given the
state, j + u is known up to an even number: j + u = φ + 2n with φ in [−1, 1). Its sign is folded: the phase is ⌊8|φ|⌋, and
what is coded is n, or −n when φ < 0, so that equal phases mean equal places of the points beside zero.
"""

import math

import numpy as np

from .compiler.jit import njit
from .entropy.rans import MAX_LANES, START, SYMBOLS, TOTAL, start_of
from .entropy.tokens import all_used, get_number
from .levels.trellis import ADVANCE, ROWS, STRIP, SUBSETS, WIDEST, best_ends, settle_costs
from .rng import random_at, uniform

DITHER_STREAM, STATE_STREAM, ROUNDING_STREAM = 0x64697468, 0x64697473, 0x64697472  # "dith", "dits", "ditr"
PHASES = 8
PHASE_BITS = 3
PERIOD = 4.0
RESIDUES = np.array([0.0, 2.0, 1.0, 3.0])  # modulo 4 of the levels of a slot, 2·book + branch

_FRACTION = 29  # bits of a float64's mantissa that a float32 has not
_SMALLEST_NORMAL = 2.0**-126
_QUANTUM = 2.0**-149  # of subnormal float32
_SYMBOL, _SLOT, _LOWEST = map(np.uint64, (SYMBOLS - 1, TOTAL - 1, START))
_5, _12, _16, _17 = map(np.uint64, (5, 12, 16, 17))


@njit
def fill_dither(key, start, out):
    """out[i] = dither number start + i: uniform in [−2, 2), the period of all trellises."""
    for i in range(out.size):
        out[i] = PERIOD * uniform(random_at(key, start + i)) - PERIOD / 2


def _make_search(states):
    advance = ADVANCE[states]

    @njit
    def search(targets, firsts, ways, ends):
        """Fill `ways` (uint32) with the decisions, and `ends` (uint32, one a lane) with the last states, of the paths from the states
        `firsts` that are nearest to the targets. Metrics are float64, so that equal ones stay equal to 2⁻⁵²."""
        lanes = ends.size
        rows = min(max(STRIP // lanes, 1), ROWS)
        metrics = np.empty(SUBSETS * STRIP)
        costs, grown = np.full(states * WIDEST, 1e30), np.empty(states * WIDEST)
        for lane in range(lanes):
            costs[np.int64(firsts[lane]) * WIDEST + lane] = 0.0
        for start in range(0, targets.size, rows * lanes):
            strip = targets[start : start + rows * lanes]
            for slot in range(SUBSETS):
                _gaps(strip, RESIDUES[slot], metrics[slot * STRIP : slot * STRIP + strip.size])
            for first in range(0, strip.size, lanes):
                count = min(lanes, strip.size - first)
                advance(costs, grown, metrics, first, ways, start + first, count)
                for s in range(states):
                    for lane in range(count, lanes):
                        grown[s * WIDEST + lane] = costs[s * WIDEST + lane]
                costs, grown = grown, costs
            settle_costs(costs, states, lanes)
        best_ends(costs, states, ends)

    return search


@njit
def _gaps(targets, residue, metrics):
    """Squared distances to the nearest integers that are `residue` modulo 4."""
    for i in range(targets.size):
        gap = targets[i] - residue
        gap = gap - 4.0 * math.floor(gap * 0.25 + 0.5)
        metrics[i] = gap * gap


SEARCHES = {states: _make_search(states) for states in ADVANCE}


@njit
def fill_levels(targets, slots, levels):
    """The nearest levels (int64) of the residues that the slots of a path stand for; slots become books."""
    for i in range(targets.size):
        residue = RESIDUES[slots[i]]
        levels[i] = np.int64(residue) + 4 * np.int64(math.floor((targets[i] - residue) * 0.25 + 0.5))
        slots[i] >>= 1


@njit
def nearest_even(targets, levels):
    """The path without a trellis."""
    for i in range(targets.size):
        levels[i] = 2 * np.int64(math.floor(targets[i] * 0.5 + 0.5))


@njit
def _fold(state, dither):
    """(φ, m): level + dither = φ + 2n for level = state's parity + 2(n + m), φ in [−1, 1). Exact."""
    place = dither + (state & 1)
    m = math.floor((place + 1.0) * 0.5)
    return place - 2.0 * m, np.int64(m)


@njit
def fold_levels(levels, dither, books, numbers, phases):
    """What is coded of levels on a path through these books: numbers (int64) and phases (uint8)."""
    for i in range(levels.size):
        book = np.int64(books[i])
        phi, m = _fold(book, dither[i])
        n = ((levels[i] - book) >> 1) + m
        numbers[i] = -n if phi < 0.0 else n
        phases[i] = min(np.int64(abs(phi) * PHASES), PHASES - 1)


@njit
def count_places(numbers, phases, classes, counts):
    """counts[class, ⌊4·|decoded value|⌋] += 1; the last column takes all that lie beyond. Values as if mid-phase."""
    most = counts.shape[1] - 1
    for i in range(numbers.size):
        n = min(max(numbers[i], -most), most)
        place = abs(16 * PHASES // 4 * n + 2 * np.int64(phases[i]) + 1) // 4
        counts[classes[i], min(place, most)] += 1


@njit
def decode_values(lanes, words, classes, widths, slots, raw, end, jumps, values):
    """Decode symbols, from them numbers and levels: values (the dither) += levels.

    Returns whether bits, words and final states are right. lanes: rANS states (uint64) and trellis states (int64) of the lanes.
    Tables: class·PHASES + phase for classes without a raw width, else class·PHASES. `words`: uint16, followed by MAX_LANES spare
    places; raw, end: see `get_number`. jumps: those of odd states and of branch 1.
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
def scale_values(values, step, unit, largest):
    """values = ±min(|values|·step·unit, largest), float64, in this order."""
    for i in range(values.size):
        value = values[i]
        size = min(abs(value) * step * unit, largest)
        values[i] = size if value >= 0.0 else -size


@njit
def round_randomly(values, patterns, key, start):
    """Round float64 values to float32 numbers, up or down with the probabilities that keep the expectation.

    `patterns`: the same memory as uint64. A normal value's magnitude is cut to the bits that float32 has, after a random number
    below 2²⁹ was added to its pattern; a smaller one becomes ⌊|value|/2⁻¹⁴⁹ + r⌋·2⁻¹⁴⁹ with r uniform in [0, 1).
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
