"""The paper's code of levels: number of zeros, which values are zero, signs, levels in unary.

The first two parts are an enumerative code: one number among (n+1)·C(n, zeros), written by an
arithmetic coder. The coder's first symbol is the number of zeros, where each of 0…n is equally
likely. Then each value is zero with probability (zeros left) / (values left), until all values that
are left are alike. The product of these probabilities is exactly 1 / C(n, zeros).

The coder works on 62-bit integers, so all arithmetic stays within int64. An interval [low, low +
width) shrinks with every symbol. When width ≤ 2⁴⁶, the top 16 bits of low go to the output, where a
later carry still reaches them, and the interval grows by 2¹⁶. At the end the coder writes the
fewest bits that name an interval of 2ᵗ numbers inside the last one, so it does not matter which
bits follow.

For n ≤ 2²⁰ the length exceeds log2(n+1) + log2 C(n, zeros) by less than 2.03 bits. It has three
parts.

- A zero's width is rounded down by a factor above 1 − 2⁻²⁶, since width // left ≥ 2⁴⁶⁻²⁰. All zeros
  together lose less than 2²⁰·2⁻²⁶·log2 e < 0.023 bit.
- The first symbol loses less than 2⁻⁴⁰ bit.
- The end takes 62 − t bits with t = ⌊log2 width⌋ − 1 where log2 of the interval asks for 62 − log2
  width. That is less than 2 bits more.
"""

import numpy as np

from ._jit import njit
from .bits import get_bit, get_bits, get_rice, put_bits, put_rice

STATE = 62  # the bits of the arithmetic coder's state
DIGIT = 16  # the bits that leave it at a time
REST = STATE - DIGIT
MOST_VALUES = 1 << 20
RICE_FIELD = 6  # the bits of the Rice parameter's field
MAX_RICE = 53
MAX_LEVEL = 1 << MAX_RICE  # float64 has every integer up to it
_FULL = 1 << STATE
_FINE = 1 << REST


@njit
def _carry(out, end):
    """Add 1 to the big-endian number in out[:end]."""
    end -= 1
    while out[end] == 255:
        out[end] = 0
        end -= 1
    out[end] += np.uint8(1)


@njit
def _end_bits(width):
    """t = ⌊log2 width⌋ − 1: an interval of `width` has a multiple of 2ᵗ and the 2ᵗ − 1 after it."""
    t = -2
    while width > 0:
        width >>= 1
        t += 1
    return t


@njit
def encode_zeros(levels, zeros, out):
    """Write which of 1…2²⁰ levels are zero, `zeros` of them, to the start of `out`.

    Returns the number of bits.
    """
    left, zeros_left = levels.size, zeros
    width = _FULL // (left + 1)
    low = width * zeros
    end = 0
    i = 0
    while 0 < zeros_left < left:
        while width <= _FINE:
            out[end] = low >> (STATE - 8)
            out[end + 1] = (low >> REST) & 0xFF
            end += 2
            low = (low & (_FINE - 1)) << DIGIT
            width <<= DIGIT
        split = (width // left) * zeros_left
        if levels[i] == 0:
            width = split
            zeros_left -= 1
        else:
            low += split
            width -= split
            if low >= _FULL:
                low -= _FULL
                _carry(out, end)
        left -= 1
        i += 1
    t = _end_bits(width)
    name = (low + (1 << t) - 1) >> t
    if name >> (STATE - t):
        name -= 1 << (STATE - t)
        _carry(out, end)
    return put_bits(out, 8 * end, name, STATE - t)


@njit
def decode_zeros(data, marks):
    """Set marks[i] to 0 where value i is zero, else to 1. Returns (number of zeros, bits read).

    The number is −1 when the bits are not those that `encode_zeros` writes.
    """
    left = marks.size
    width = _FULL // (left + 1)
    code = get_bits(data, 0, STATE)  # code: the number that was read, minus low
    at = STATE
    zeros = code // width
    if zeros > left:
        return np.int64(-1), at
    code -= zeros * width
    zeros_left = zeros
    i = 0
    while 0 < zeros_left < left:
        while width <= _FINE:
            code = (code << DIGIT) | get_bits(data, at, DIGIT)
            at += DIGIT
            width <<= DIGIT
        split = (width // left) * zeros_left
        if code < split:
            width = split
            zeros_left -= 1
            marks[i] = 0
        else:
            code -= split
            width -= split
            marks[i] = 1
        left -= 1
        i += 1
    marks[i:] = 0 if zeros_left else 1
    t = _end_bits(width)
    at -= t
    # above: the named multiple of 2ᵗ, minus low. It must be the first one at or above low.
    above = code - get_bits(data, at, t)
    if above < 0 or above >> t or at > 8 * data.size:
        return np.int64(-1), at
    return zeros, at


@njit
def measure_levels(levels):
    """(zeros, Rice parameter, bits of the levels) of signed levels.

    The levels' magnitudes are at most 2⁵³ and their sum is below 2⁶³. The parameter is the smallest
    of those that need the fewest bits, so levels never take more than in unary (parameter 0). The
    search ends where the quotients sum to at most their number: then the next parameter costs as
    much as all later ones can save.
    """
    zeros = 0
    for i in range(levels.size):
        zeros += levels[i] == 0
    count = levels.size - zeros
    best, best_bits = 0, np.int64(-1)
    for low in range(MAX_RICE + 1):
        quotients = np.int64(0)
        for i in range(levels.size):
            quotients += max(abs(levels[i]) - 1, 0) >> low
        bits = quotients + count * (low + 1)
        if best_bits < 0 or bits < best_bits:
            best, best_bits = low, bits
        if quotients <= count:
            break
    return zeros, best, best_bits


@njit
def encode_levels(levels, zeros, low, out):
    """Write signed levels with what `measure_levels` found. Returns the number of bits.

    out: zeroed bytes, with room for 64 bits, one bit for each level, the signs, the Rice parameter
    and
        the bits of the levels.
    """
    at = encode_zeros(levels, zeros, out)
    if zeros == levels.size:
        return at
    for i in range(levels.size):
        if levels[i] != 0:
            if levels[i] < 0:
                out[at >> 3] |= np.uint8(0x80 >> (at & 7))
            at += 1
    at = put_bits(out, at, low, RICE_FIELD)
    for i in range(levels.size):
        if levels[i] != 0:
            at = put_rice(out, at, abs(levels[i]) - 1, low)
    return at


@njit
def decode_levels(data, scale, largest, out):
    """out[i] = ± min(float64(k)·scale, largest), rounded to out's dtype. Returns the status.

    `out` is float32 or float64 and has 1…2²⁰ values. Status 0: the levels are decoded. Status −1:
    `data` is not what `encode_levels` writes for out.size levels, and `out` is undefined.
    """
    end = 8 * data.size
    zeros, at = decode_zeros(data, out)
    if zeros < 0:
        return -1
    count = out.size - zeros
    if count > 0:
        if at + count + RICE_FIELD > end:
            return -1
        sign = at
        at += count
        low = get_bits(data, at, RICE_FIELD)
        at += RICE_FIELD
        if low > MAX_RICE:
            return -1
        for i in range(out.size):
            if out[i] != 0:
                level, at = get_rice(data, at, low, MAX_LEVEL - 1)
                if level < 0:
                    return -1
                value = min(float(level + 1) * scale, largest)
                out[i] = -value if get_bit(data, sign) else value
                sign += 1
    if (at + 7) >> 3 != data.size or get_bits(data, at, end - at) != 0:
        return -1
    return 0
