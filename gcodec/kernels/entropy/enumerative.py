"""The paper's code of levels: number of zeros, which are zero, signs, levels in unary.

All of it is one number in an interval [low, low + width), which shrinks with every choice by the
choice's probability. At the end the fewest bytes that name a number inside are the code. The first
choice is the number of zeros, each of 0…n equally likely. The second is whether levels are in unary
(15 of 16) or in a Rice code of which parameter. Each coordinate is zero with probability
(zeros left) / (coordinates left), until all that are left are alike: these probabilities multiply
to 1 / C(n, zeros) exactly. A coordinate that is not zero goes on with its sign and the bits of its
level, each with probability ½. So the paper's parts cost what the paper says, and only the rounding
to whole bytes comes on top.

The state has 62 bits, so all arithmetic stays within int64. When width ≤ 2⁴⁶, the top 16 bits of
low leave for the output (a later carry still reaches them) and width grows by 2¹⁶. Bytes beyond the
end count as zeros.

For n ≤ 2²⁰ the length exceeds log2(n+1) + log2 C(n, zeros) + nonzeros + Σ|level| by less than 8.2
bits: less than 8 for the end, log2(16/15) for the choice of unary (another Rice code is taken where
it saves more than it costs), less than 0.023 for the roundings of the zeros' shares (width // left
≥ 2⁴⁶⁻²⁰ each), and less than 2⁻²⁰ for those of halves. On average the end takes 2.6 bits.
"""

import numpy as np

from ..compiler.jit import njit, njit_inline
from .bits import get_bits

STATE = 62  # the number of bits of the coder's state
DIGIT = 16  # the number of bits that leave it at a time
REST = STATE - DIGIT
MOST_VALUES = 1 << 20
RICE_FIELD = 6  # the bits of a Rice parameter other than 0, which is stored less 1
RICE_COST = 4 + RICE_FIELD
MAX_RICE = 53
MAX_LEVEL = 1 << MAX_RICE  # float64 counts so far exactly
_FULL = 1 << STATE
_FINE = 1 << REST


@njit
def measure_levels(levels: np.ndarray) -> tuple[int, int, int]:
    """(zeros, Rice parameter, bits of parameter and levels) of signed levels.

    Levels are at most 2⁵³ and the sum of their magnitudes is below 2⁶³. The parameter is the
    smallest among those that need the fewest bits, so never more than unary (parameter 0). Beyond a
    parameter whose quotients sum to at most their number, each step costs as much as all later ones
    can save.
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
        bits = quotients + count * (low + 1) + (RICE_COST if low else 0)
        if best_bits < 0 or bits < best_bits:
            best, best_bits = low, bits
        if quotients <= count:
            break
    return zeros, best, best_bits


@njit
def _carry(out: np.ndarray, end: int) -> None:
    """Add 1 to the big-endian number in out[:end]."""
    end -= 1
    while out[end] == 255:
        out[end] = 0
        end -= 1
    out[end] += np.uint8(1)


@njit_inline
def _emit(low: int, width: int, end: int, out: np.ndarray) -> tuple[int, int, int]:
    """Write digits until the width is fine enough for a choice: the new (low, width, end)."""
    while width <= _FINE:
        out[end] = low >> (STATE - 8)
        out[end + 1] = (low >> REST) & 0xFF
        end += 2
        low = (low & (_FINE - 1)) << DIGIT
        width <<= DIGIT
    return low, width, end


@njit_inline
def _above(low: int, part: int, end: int, out: np.ndarray) -> int:
    """The low end of the interval above its first `part`."""
    low += part
    if low >= _FULL:
        low -= _FULL
        _carry(out, end)
    return low


@njit_inline
def _put_bits(low: int, width: int, end: int, out: np.ndarray, value: int, count: int) -> tuple[int, int, int]:
    """`count` bits of `value`, most significant first, each a half."""
    while count > 0:
        count -= 1
        low, width, end = _emit(low, width, end, out)
        half = width >> 1
        if (value >> count) & 1:
            low = _above(low, half, end, out)
            width -= half
        else:
            width = half
    return low, width, end


@njit
def _finish(low: int, width: int, end: int, out: np.ndarray) -> int:
    """Write the fewest bytes that name a number in the interval; the number of all bytes."""
    low, width, end = _emit(low, width, end, out)
    taken = 0
    while True:
        unit = 1 << (STATE - 8 * taken)
        name = (low + unit - 1) // unit
        if name * unit - low < width:
            break
        taken += 1
    if name >> (8 * taken):
        name = 0
        _carry(out, end)
    for i in range(taken):
        out[end + i] = (name >> (8 * (taken - 1 - i))) & 0xFF
    end += taken
    while end > 0 and out[end - 1] == 0:
        end -= 1
    return end


@njit
def encode_levels(levels: np.ndarray, zeros: int, rice: int, sign_known: bool, out: np.ndarray) -> int:
    """Write signed levels with what `measure_levels` found; returns the number of bytes.

    sign_known: the first level that is not zero goes without its sign. out: zeros, with room for 24
    bytes, a bit for each level and each sign, and the bits that `measure_levels` returned.
    """
    left, zeros_left = levels.size, zeros
    width = _FULL // (left + 1)
    low = width * zeros
    end = 0
    if zeros < left:
        low, width, end = _emit(low, width, end, out)
        part = (width >> 4) * 15
        if rice == 0:
            width = part
        else:
            low = _above(low, part, end, out)
            low, width, end = _put_bits(low, width - part, end, out, rice - 1, RICE_FIELD)
    for i in range(levels.size):
        if 0 < zeros_left < left:
            low, width, end = _emit(low, width, end, out)
            part = (width // left) * zeros_left
            if levels[i] == 0:
                width = part
            else:
                low = _above(low, part, end, out)
                width -= part
        left -= 1
        if levels[i] == 0:
            zeros_left -= 1
            continue
        if not sign_known:
            low, width, end = _put_bits(low, width, end, out, np.int64(levels[i] < 0), 1)
        sign_known = False
        rest = abs(levels[i]) - 1
        low, width, end = _put_bits(low, width, end, out, 0, rest >> rice)  # the one ends them
        low, width, end = _put_bits(low, width, end, out, 1, 1)
        low, width, end = _put_bits(low, width, end, out, rest, rice)
    return _finish(low, width, end, out)


@njit_inline
def _refill(code: int, width: int, at: int, data: np.ndarray) -> tuple[int, int, int]:
    """Read digits until the width is fine enough for a choice: the new (code, width, at)."""
    while width <= _FINE:
        code = (code << DIGIT) | get_bits(data, at, DIGIT)
        at += DIGIT
        width <<= DIGIT
    return code, width, at


@njit_inline
def _get_bits(code: int, width: int, at: int, data: np.ndarray, count: int) -> tuple[int, int, int, int]:
    """(code, width, at, the next `count` bits as a number)."""
    value = np.int64(0)
    while count > 0:
        count -= 1
        code, width, at = _refill(code, width, at, data)
        half = width >> 1
        value <<= 1
        if code < half:
            width = half
        else:
            value |= 1
            code -= half
            width -= half
    return code, width, at, value


@njit_inline
def _get_level(code: int, width: int, at: int, data: np.ndarray, rice: int) -> tuple[int, int, int, int]:
    """(code, width, at, a level), −1 for a level above MAX_LEVEL or one that no byte ends."""
    most = (MAX_LEVEL - 1) >> rice
    quotient = np.int64(0)
    while True:
        code, width, at, one = _get_bits(code, width, at, data, 1)
        if one:
            break
        quotient += 1
        if quotient > most or (code == 0 and at >= 8 * data.size):
            return code, width, at, np.int64(-1)
    code, width, at, rest = _get_bits(code, width, at, data, rice)
    level = ((quotient << rice) | rest) + 1
    return code, width, at, level if level <= MAX_LEVEL else np.int64(-1)


@njit
def _is_finished(code: int, width: int, at: int, data: np.ndarray) -> bool:
    """Whether the bytes are those of `_finish`: the smallest of the interval's shortest names."""
    code, width, at = _refill(code, width, at, data)
    if data.size == 0:
        return True
    place = at - 8 * data.size  # where the lowest bit of the last byte stands in the state
    last = np.int64(data[data.size - 1])
    if last == 0 or place < 0:
        return False
    if place >= STATE:
        return True
    unit = np.int64(1) << place
    return unit > code and 256 - last >= (width - code + unit - 1) >> place


@njit
def _start(data: np.ndarray, count: int) -> tuple[int, int, int, int, int]:
    """(zeros, Rice parameter, code, width, at) after what comes before the first of `count` levels.

    The number of zeros is −1 where that cannot be right.
    """
    width = _FULL // (count + 1)
    code, at = get_bits(data, 0, STATE), np.int64(STATE)  # code: what the bytes name, minus low
    zeros, rice = code // width, np.int64(0)
    if zeros > count:
        return np.int64(-1), rice, code, width, at
    code -= zeros * width
    if zeros < count:
        code, width, at = _refill(code, width, at, data)
        part = (width >> 4) * 15
        if code < part:
            width = part
        else:
            code, width, at, rice = _get_bits(code - part, width - part, at, data, RICE_FIELD)
            rice += 1
    return (zeros if rice <= MAX_RICE else np.int64(-1)), rice, code, width, at


@njit
def rice_parameter(data: np.ndarray, count: int) -> int:
    """The Rice parameter of a code of `count` levels; 0 is unary."""
    return _start(data, count)[1]


@njit
def decode_levels(data: np.ndarray, scale: float, largest: float, sign_known: bool, out: np.ndarray) -> int:
    """out[i] = ± min(float64(k)·|scale|, largest), rounded to out's dtype (float32 or float64).

    sign_known: the first level that is not zero has the sign of `scale`. Returns 0, or −1 when the
    data is not what `encode_levels` writes for out.size (1…2²⁰) levels; `out` is then undefined.
    """
    left = out.size
    zeros_left, rice, code, width, at = _start(data, left)
    if zeros_left < 0:
        return -1
    size = abs(scale)
    for i in range(out.size):
        zero = zeros_left > 0
        if 0 < zeros_left < left:
            code, width, at = _refill(code, width, at, data)
            part = (width // left) * zeros_left
            zero = code < part
            code, width = (code, part) if zero else (code - part, width - part)
        left -= 1
        if zero:
            zeros_left -= 1
            out[i] = 0
            continue
        negative = np.int64(scale < 0)
        if not sign_known:
            code, width, at, negative = _get_bits(code, width, at, data, 1)
        sign_known = False
        code, width, at, level = _get_level(code, width, at, data, rice)
        if level < 0:
            return -1
        value = min(float(level) * size, largest)
        out[i] = -value if negative else value
    return 0 if _is_finished(code, width, at, data) else -1
