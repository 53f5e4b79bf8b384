"""Interleaved range asymmetric numeral systems (rANS) with static tables of 12 bits.

Source: J. Duda, "Asymmetric numeral systems", arXiv 1311.2540; interleaving: F. Giesen, arXiv 1402.3392. Value number i
belongs to lane i mod lanes. A lane is a state in [2¹⁶, 2³²); decoding a symbol of frequency f and first slot c takes

    slot = state mod 2¹²,  state = f·⌊state / 2¹²⌋ + slot − c,  and, when state < 2¹⁶,  state = state·2¹⁶ + next word.

The words of all lanes are one sequence in the order of decoding, so lanes may be decoded side by side. Encoding is
the inverse, from the last value to the first, and begins with all states 2¹⁶: where decoding must end. A single lane begins
with 1 instead, and reads no word when none is left.

A *code* is a symbol and the *book* that its table belongs to: symbol + 32·book. Tables are numbered by class and book. In most
sequences the book is the parity of a trellis state that each lane has beside its own: state s becomes
⌊s / 2⌋ xor (s mod 2)·odd_jump xor b·jump, b being the parity of the cell (tokens.py). Both jumps are 0 where there is no trellis.
"""

import numpy as np

from ..compiler.jit import njit

TABLE_BITS = 12
TOTAL = 1 << TABLE_BITS  # sum of a table's frequencies
SYMBOLS = 32  # size of the alphabet
MAX_LANES = 64
START = 1 << 16  # state before encoding and after decoding, of several lanes
BOOK_BITS = 1  # of a table's number, where books are parities

OK, EXHAUSTED, UNFINISHED = 0, 1, 2

_RECIPROCAL = 1 << 44
_STRIP = 64  # tables that are looked at together

# Constants of the operands' own types: numba gives uint64 with a plain integer to floats, and unsigned indices are faster.
_u64 = np.uint64
_12, _16, _20, _44 = map(np.uint64, (12, 16, 20, 44))
_WORD, _TOTAL = np.uint64(0xFFFF), np.uint64(TOTAL)
_S5, _S12, _S16, _S17 = map(np.uint32, (5, 12, 16, 17))
_SYMBOL, _SLOT, _LOWEST, _S16_LOW, _ONE = map(np.uint32, (SYMBOLS - 1, TOTAL - 1, START, 0xFFFF, 1))


@njit
def count_codes(codes, classes, book_bits, histograms):
    """histograms[32·(class << book_bits) + code] += 1 (int64), by way of four counters, as equal neighbours would wait for each
    other."""
    shift = np.uint32(5 + book_bits)
    parts = np.zeros((4, histograms.size), np.uint32)
    a, b, c, d = parts[0], parts[1], parts[2], parts[3]
    whole = codes.size & ~3
    for i in range(0, whole, 4):
        a[np.uint32(classes[i]) << shift | codes[i]] += np.uint32(1)
        b[np.uint32(classes[i + 1]) << shift | codes[i + 1]] += np.uint32(1)
        c[np.uint32(classes[i + 2]) << shift | codes[i + 2]] += np.uint32(1)
        d[np.uint32(classes[i + 3]) << shift | codes[i + 3]] += np.uint32(1)
    for i in range(whole, codes.size):
        a[np.uint32(classes[i]) << shift | codes[i]] += np.uint32(1)
    for i in range(histograms.size):
        histograms[i] += np.int64(a[i]) + np.int64(b[i]) + np.int64(c[i]) + np.int64(d[i])


@njit
def mark_used(tables, used):
    """used[t] = 1 for every table t that occurs."""
    for start in range(0, tables.size, _STRIP):
        strip = tables[start : start + _STRIP]
        low, high = strip[0], strip[0]
        for table in strip:
            low, high = min(low, table), max(high, table)
        used[low] = 1
        if low < high:
            for table in strip:
                used[table] = 1


@njit
def normalise(weights, frequencies):
    """Frequencies with sum TOTAL, proportional to non-negative int64 weights (< 2⁴⁸, not all 0); part of the format.

    f = max(1, ⌊(w·TOTAL + ⌊S/2⌋) / S⌋) for w > 0 with S the sum of the weights, else 0. What the sum lacks is added to
    the largest frequency (the first of equals); what it has too much is taken, one at a time, from the largest.
    """
    total = 0
    for w in weights:
        total += w
    left = TOTAL
    for s in range(weights.size):
        f = 0
        if weights[s] > 0:
            f = max(1, (weights[s] * TOTAL + total // 2) // total)
        frequencies[s] = f
        left -= f
    if left > 0:
        frequencies[np.argmax(frequencies)] += left
    while left < 0:
        frequencies[np.argmax(frequencies)] -= 1
        left += 1


@njit
def fill_slots(frequencies, slots):
    """Decoding tables: slots[c·TOTAL + slot] = symbol | (slot − first slot) << 5 | frequency << 17, uint32.

    `frequencies`: int64 (tables, SYMBOLS), every row with sum TOTAL, or 0 for a table that is not used.
    """
    for c in range(frequencies.shape[0]):
        at = c * TOTAL
        for s in range(SYMBOLS):
            f = frequencies[c, s]
            for j in range(f):
                slots[at + j] = s | j << 5 | f << 17
            at += f


@njit
def fill_codes(frequencies, ranges, reciprocals):
    """Encoding tables at c·SYMBOLS + s: ranges = f << 16 | first slot (uint32), reciprocals = ⌈2⁴⁴/f⌉ (uint64)."""
    at = 0
    for c in range(frequencies.shape[0]):
        first = 0
        for s in range(SYMBOLS):
            f = frequencies[c, s]
            ranges[at] = f << 16 | first
            reciprocals[at] = (_RECIPROCAL + f - 1) // max(f, 1)
            first += f
            at += 1


@njit
def start_of(lanes):
    """The state of each of so many lanes before encoding and after decoding."""
    return START if lanes > 1 else 1


@njit
def encode(codes, classes, book_bits, begin, ranges, reciprocals, states, words):
    """Encode codes[i] of class classes[i] (uint8 arrays) for i ≥ begin; returns where the output begins in `words`.

    `begin`: of a row of lanes. `states`: uint64, one a lane (a power of two, at most MAX_LANES), set here and left as the decoder
    begins. `words`: uint16 with one place more than there are symbols; filled from its end. Every symbol must have a
    positive frequency.

    ⌊state / f⌋ is state·⌈2⁴⁴/f⌉ >> 44, exact and below 2⁶⁴ since state < f·2²⁰ and f ≤ 2¹². Each row of lanes is taken in
    three passes without branches that depend on the data; only the one that emits words is serial.
    """
    states.fill(start_of(states.size))
    shift = _u64(5 + book_bits)
    row_ranges = np.empty(states.size, np.uint32)
    row_reciprocals = np.empty(states.size, np.uint64)
    at = _u64(words.size - 1)
    for row in range((codes.size - 1) // states.size * states.size, begin - 1, -states.size):
        lanes = min(states.size, codes.size - row)
        for lane in range(lanes):
            i = _u64(row + lane)
            place = _u64(classes[i]) << shift | _u64(codes[i])
            row_ranges[lane] = ranges[place]
            row_reciprocals[lane] = reciprocals[place]
        for k in range(lanes):
            lane = _u64(lanes - 1 - k)
            state = states[lane]
            full = state >= _u64(row_ranges[lane] >> _S16) << _20
            words[at] = state & _WORD
            at -= _u64(full)
            states[lane] = state >> _16 if full else state
        for lane in range(lanes):
            state = states[lane]
            f = _u64(row_ranges[lane] >> _S16)
            first = _u64(row_ranges[lane] & _S16_LOW)
            states[lane] = state + first + ((state * row_reciprocals[lane]) >> _44) * (_TOTAL - f)
    return np.int64(at) + 1


@njit
def decode(states, words, paths, odd_jump, jump, classes, slots, codes, begin, at):
    """Decode the codes from number `begin` (of a row of lanes) and word `at` on; the inverse of `encode`.

    `states`: uint32, one a lane (a power of two, at most MAX_LANES), each at least START, or 1 of a single lane. `words`: uint16, followed by
    MAX_LANES spare places. `paths`: uint32, each lane's trellis state; its jumps are uint32. `classes`: uint8. Returns EXHAUSTED when the words do
    not suffice, UNFINISHED when they or the states are not used up (so that damage goes unnoticed once in 2¹⁶ a lane), else OK.

    Each row of lanes is taken in two passes, both free of branches that depend on the data.
    """
    available = _u64(words.size - MAX_LANES)
    at = _u64(at)
    spare = states.size == 1
    if at > available:
        return EXHAUSTED
    for row in range(begin, codes.size, states.size):
        first = _u64(row)
        lanes = min(states.size, codes.size - row)
        for k in range(lanes):
            lane = _u64(k)
            state, path = states[lane], paths[lane]
            book = path & _ONE
            table = _u64(np.uint32(classes[first + lane]) << _ONE | book)
            entry = slots[table << _12 | _u64(state & _SLOT)]
            symbol = entry & _SYMBOL
            codes[first + lane] = symbol | book << _S5
            states[lane] = (entry >> _S17) * (state >> _S12) + (entry >> _S5 & _SLOT)
            odd = (symbol + _ONE) >> _ONE & _ONE
            paths[lane] = path >> _ONE ^ book * odd_jump ^ odd * jump
        for k in range(lanes):
            lane = _u64(k)
            state = states[lane]
            word = np.uint32(words[at])
            low = state < _LOWEST and (at < available or not spare)
            states[lane] = state << _S16 | word if low else state
            at += _u64(low)
        if at > available:
            return EXHAUSTED
    end = start_of(states.size)
    for state in states:
        if state != end:
            return UNFINISHED
    return OK if at == available else UNFINISHED
