"""Interleaved range asymmetric numeral systems (rANS) with static tables of 12 bits.

Sources: J. Duda, "Asymmetric numeral systems", arXiv 1311.2540; for interleaving, F. Giesen, arXiv
1402.3392. Value number i belongs to lane i mod lanes. A lane is a state in [2¹⁶, 2³²). Decoding a
symbol of frequency f and first slot c takes

    slot = state mod 2¹²,  state = f·⌊state / 2¹²⌋ + slot − c,
    and, if state < 2¹⁶,  state = state·2¹⁶ + next word.

The words of all lanes are one sequence in the order of decoding, so lanes may be decoded side by
side. Encoding is the inverse, from the last value to the first. It begins with all states 2¹⁶,
which is where decoding must end. A single lane begins with 1 instead, and reads no word when none
is left.

A *code* is a symbol and the *book* that its table belongs to: symbol + 32·book. Tables are numbered
by class and book. In most sequences the book is the parity of a trellis state that each lane has
beside its own: state s becomes ⌊s / 2⌋ xor (s mod 2)·odd_jump xor b·jump, where b is the parity of
the cell (tokens.py). Both jumps are 0 if there is no trellis.
"""

import numpy as np

from ..compiler.jit import njit

TABLE_BITS = 12
TOTAL = 1 << TABLE_BITS  # the sum of a table's frequencies
SYMBOLS = 32  # size of the alphabet
MAX_LANES = 64
START = 1 << 16  # the state of each of several lanes before encoding and after decoding
BOOK_BITS = 1  # bits of a table's number that are its book, where books are parities

OK, EXHAUSTED, UNFINISHED = 0, 1, 2
_STRIP = 1024  # codes whose places are found together, in vectors

_RECIPROCAL = 1 << 44

# Constants have the types of their operands: with a plain integer numba would turn uint64 into
# float64. Unsigned indices are faster.
_u64 = np.uint64
_12, _16, _20, _44 = map(np.uint64, (12, 16, 20, 44))
_WORD, _TOTAL = np.uint64(0xFFFF), np.uint64(TOTAL)
_S5, _S12, _S16, _S17 = map(np.uint32, (5, 12, 16, 17))
_SYMBOL, _SLOT, _LOWEST, _S16_LOW, _ONE = map(np.uint32, (SYMBOLS - 1, TOTAL - 1, START, 0xFFFF, 1))


@njit
def count_codes(codes: np.ndarray, classes: np.ndarray, book_bits: int, histograms: np.ndarray) -> None:
    """histograms[32·(class << book_bits) + code] += 1 (int64) for each value."""
    parts = np.zeros((4, histograms.size), np.uint32)
    count_in_parts(codes, classes, book_bits, parts)
    for i in range(histograms.size):
        histograms[i] += np.int64(parts[0, i]) + np.int64(parts[1, i]) + np.int64(parts[2, i]) + np.int64(parts[3, i])


@njit
def count_in_parts(codes: np.ndarray, classes: np.ndarray, book_bits: int, parts: np.ndarray) -> None:
    """Count codes in four tables, uint32, as equal neighbours would wait for each other in one."""
    shift, places = np.uint16(5 + book_bits), np.empty(_STRIP, np.uint16)
    a, b, c, d = parts[0], parts[1], parts[2], parts[3]
    for start in range(0, codes.size, _STRIP):
        strip, beside = codes[start : start + _STRIP], classes[start : start + _STRIP]
        for i in range(strip.size):
            places[i] = np.uint16(np.uint16(beside[i]) << shift) | np.uint16(strip[i])
        whole = strip.size & ~3
        for i in range(0, whole, 4):
            a[places[i]] += np.uint32(1)
            b[places[i + 1]] += np.uint32(1)
            c[places[i + 2]] += np.uint32(1)
            d[places[i + 3]] += np.uint32(1)
        for i in range(whole, strip.size):
            a[places[i]] += np.uint32(1)


@njit
def mark_used(tables: np.ndarray, used: np.ndarray) -> None:
    """used[t] = 1 for every table t < 32 that occurs, 0 for all others."""
    marks = np.uint32(0)
    for table in tables:
        marks = np.uint32(marks | (_ONE << (np.uint32(table) & _SYMBOL)))
    for table in range(used.size):
        used[table] = marks >> np.uint32(table) & _ONE


@njit
def any_of(numbers: np.ndarray) -> bool:
    """Whether one of them is not 0. Numba would load much of itself, and scipy, for numpy's."""
    for number in numbers:  # noqa: SIM110
        if number != 0:
            return True
    return False


@njit
def _largest(numbers: np.ndarray) -> int:
    """The place of the largest, the first of equals."""
    place = 0
    for i in range(numbers.size):
        if numbers[i] > numbers[place]:
            place = i
    return place


@njit
def normalise(weights: np.ndarray, frequencies: np.ndarray) -> None:
    """Frequencies with the sum TOTAL that are proportional to weights; a part of the format.

    weights: int64, from 0 to 2⁴⁸, not all 0. With S their sum, f = max(1, ⌊(w·TOTAL + ⌊S/2⌋) / S⌋)
    for w > 0, and f = 0 for w = 0. If the sum of all f is too small, the difference is added to the
    largest f, the first of equals. If it is too large, 1 is taken from the largest f, until it
    fits.
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
        frequencies[_largest(frequencies)] += left
    while left < 0:
        frequencies[_largest(frequencies)] -= 1
        left += 1


@njit
def fill_slots(frequencies: np.ndarray, slots: np.ndarray) -> None:
    """Fill the decoding tables: symbol | (slot − first slot) << 5 | frequency << 17, uint32.

    They stand at c·TOTAL + slot. frequencies: int64 (tables, SYMBOLS); each row has the sum TOTAL,
    or 0 for a table that is not used.
    """
    for c in range(frequencies.shape[0]):
        at = c * TOTAL
        for s in range(SYMBOLS):
            f = frequencies[c, s]
            for j in range(f):
                slots[at + j] = s | j << 5 | f << 17
            at += f


@njit
def fill_codes(frequencies: np.ndarray, ranges: np.ndarray, reciprocals: np.ndarray) -> None:
    """Fill the encoding tables, at c·SYMBOLS + s for the symbol s of table c.

    ranges: f << 16 | first slot, uint32. reciprocals: ⌈2⁴⁴/f⌉, uint64.
    """
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
def fill_inverses(ranges: np.ndarray, inverses: np.ndarray) -> None:
    """inverses[i] = 1 / f in float32 for the entry f << 16 | first slot, and 1 for f = 0."""
    for i in range(ranges.size):
        inverses[i] = np.float32(1) / np.float32(max(ranges[i] >> _S16, _ONE))


@njit
def fill_firsts(frequencies: np.ndarray, ranges: np.ndarray, firsts: np.ndarray, depths: np.ndarray) -> None:
    """firsts[i] = the first slot of ranges[i], uint32; depths[t]: that of the search in table t.

    The symbols of table t are below 2^depths[t].
    """
    for i in range(ranges.size):
        firsts[i] = ranges[i] & _S16_LOW
    for table in range(depths.size):
        depths[table] = 3
        for symbol in range(8, SYMBOLS):
            if frequencies[table, symbol] > 0:
                depths[table] = 4 if symbol < 16 else 5


@njit
def start_of(lanes: int) -> int:
    """The state of each lane before encoding and after decoding. lanes: how many there are."""
    return START if lanes > 1 else 1


@njit
def encode(
    codes: np.ndarray,
    classes: np.ndarray,
    book_bits: int,
    begin: int,
    ranges: np.ndarray,
    reciprocals: np.ndarray,
    states: np.ndarray,
    words: np.ndarray,
) -> int:
    """Encode the codes from number `begin` on; returns where the output begins in `words`.

    codes, classes: uint8, for each value. begin: the start of a row of lanes. states: uint64, for
    each lane (a power of two, at most MAX_LANES); set here, and left as the decoder needs them.
    words: uint16, filled from the end, with one place more than there are symbols. Every symbol
    that occurs must have a positive frequency.

    ⌊state / f⌋ is state·⌈2⁴⁴/f⌉ >> 44, which is exact and below 2⁶⁴, as state < f·2²⁰ and f ≤ 2¹².
    Each row of lanes is taken in three passes without branches that depend on the data. Only the
    pass that writes words is serial.
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
def decode(
    states: np.ndarray,
    words: np.ndarray,
    paths: np.ndarray,
    odd_jump: np.uint32,
    jump: np.uint32,
    classes: np.ndarray,
    slots: np.ndarray,
    codes: np.ndarray,
    begin: int,
    at: int,
) -> int:
    """Decode the codes from number `begin` and word `at` on: the inverse of `encode`.

    begin: the start of a row of lanes. states: uint32, for each lane (a power of two, at most
    MAX_LANES), each at least `start_of(lanes)`. words: uint16, with MAX_LANES spare places after
    them. paths: uint32, the trellis state of each lane. odd_jump, jump: uint32. classes: uint8.

    Returns EXHAUSTED if there are too few words, UNFINISHED if words are left or a state is not
    what it was before encoding, else OK. So damage goes unnoticed once in 2¹⁶ cases for each lane.
    Each row of lanes is taken in two passes without branches that depend on the data.
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
