"""Loops of subtractive dither: the nearest path through a trellis, the numbers that are coded, and their decoding.

Values are in steps. A trellis state of even number offers the even integers, one of odd number the odd ones; which of two states
follows depends on bit 1 of the integer. With dither u and level j the decoded value is j + u. Given the
state, j + u is known up to an even number: j + u = φ + 2n with φ in [−1, 1). Its sign is folded: the phase is ⌊8|φ|⌋, and
what is coded is n, or −n when φ < 0, so that equal phases mean equal places of the points beside zero.
"""

import math

import numpy as np

from ._jit import njit
from .rans import MAX_LANES, START, next_symbol
from .rng import random_at, uniform
from .tokens import all_used, get_level

DITHER_STREAM, STATE_STREAM, ROUNDING_STREAM = 0x64697468, 0x64697473, 0x64697472  # "dith", "dits", "ditr"
PHASES = 8
PERIOD = 4.0

_FRACTION = 29  # bits of a float64's mantissa that a float32 has not
_SMALLEST_NORMAL = 2.0**-126
_QUANTUM = 2.0**-149  # of subnormal float32


@njit
def fill_dither(key, start, out):
    """out[i] = dither number start + i: uniform in [−2, 2), the period of all trellises."""
    for i in range(out.size):
        out[i] = PERIOD * uniform(random_at(key, start + i)) - PERIOD / 2


@njit
def nearest_path(targets, state, before, residues, levels):
    """Fill `levels` with the path from `state` through the trellis that is nearest to the targets; returns Σ(j − y)².

    before[s, b]: the two states before s; residues[s, b]: the residue modulo 4 of the levels that lead from there to s.
    No more than 32 states. Viterbi's algorithm; path costs are kept relative to the least, so they do not lose
    precision on long paths.
    """
    states = before.shape[0]
    costs, grown = np.full(states, 1e30), np.empty(states)
    costs[state] = 0.0
    metrics = np.empty(4)
    ways = np.empty(targets.size, np.uint32)
    for t in range(targets.size):
        y = targets[t] - 4.0 * math.floor(targets[t] * 0.25)
        for residue in range(4):
            gap = abs(y - residue)
            gap = min(gap, 4.0 - gap)
            metrics[residue] = gap * gap
        way, least = np.uint32(0), 1e30
        for s in range(states):
            a = costs[before[s, 0]] + metrics[residues[s, 0]]
            b = costs[before[s, 1]] + metrics[residues[s, 1]]
            grown[s] = min(a, b)
            least = min(least, grown[s])
            way |= np.uint32(b < a) << np.uint32(s)
        ways[t] = way
        for s in range(states):
            costs[s] = grown[s] - least
    s = np.argmin(costs)
    error = 0.0
    for t in range(targets.size - 1, -1, -1):
        b = np.int64(ways[t] >> np.uint32(s)) & 1
        residue = residues[s, b]
        level = residue + 4 * np.int64(math.floor((targets[t] - residue) * 0.25 + 0.5))
        levels[t] = level
        error += (targets[t] - level) ** 2
        s = before[s, b]
    return error


@njit
def _fold(state, dither):
    """(φ, m): level + dither = φ + 2n for level = state's parity + 2(n + m), φ in [−1, 1). Exact."""
    place = dither + (state & 1)
    m = math.floor((place + 1.0) * 0.5)
    return place - 2.0 * m, np.int64(m)


@njit
def fold_levels(levels, dither, state, follow, numbers, phases):
    """What is coded of levels on a path from `state`: numbers (int64) and phases (uint8). follow[s, bit 1 of j]: next state."""
    for t in range(levels.size):
        phi, m = _fold(state, dither[t])
        n = ((levels[t] - (state & 1)) >> 1) + m
        numbers[t] = -n if phi < 0.0 else n
        phases[t] = min(np.int64(abs(phi) * PHASES), PHASES - 1)
        state = follow[state, (levels[t] >> 1) & 1]


@njit
def count_places(numbers, phases, classes, counts):
    """counts[class, ⌊4·|decoded value|⌋] += 1; the last column takes all that lie beyond. Values as if mid-phase."""
    most = counts.shape[1] - 1
    for i in range(numbers.size):
        n = min(max(numbers[i], -most), most)
        place = abs(16 * PHASES // 4 * n + 2 * np.int64(phases[i]) + 1) // 4
        counts[classes[i], min(place, most)] += 1


@njit
def decode_values(state, words, classes, shifts, slots, raw, end, trellis_state, follow, values):
    """Decode symbols in one lane, from them numbers and levels: values (the dither) += levels.

    Returns whether bits, words and the final state are right. Tables: class·PHASES + phase for classes with shift 0, else
    class·PHASES. `words`: uint16, followed by MAX_LANES spare places; raw, end: see `get_level`. `state`: uint64.
    """
    at, raw_at = np.uint64(0), np.uint64(0)
    available = np.uint64(words.size - MAX_LANES)
    for i in range(classes.size):
        phi, m = _fold(trellis_state, values[i])
        c = np.int64(classes[i])
        shift = shifts[c]
        table = c * PHASES
        if shift == 0:
            table += min(np.int64(abs(phi) * PHASES), PHASES - 1)
        symbol, state, at = next_symbol(state, words, at, slots, table)
        n, raw_at = get_level(symbol, shift, raw, raw_at, end)
        if at > available or raw_at > end:
            return False
        if phi < 0.0:
            n = -n
        values[i] = phi + 2.0 * n
        trellis_state = follow[trellis_state, (n - m) & 1]
    return state == START and at == available and all_used(raw, raw_at, end)


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
