"""Adaptive range coder of bits and plain numbers, with integers only.

Its interval has 48 bits and is widened by 16 bits at a time. Adaptive bits are an int64 array. Each
element is (p << 10) | n, where p is the probability of a 1, in 2^-22, and n says how often the bit
was seen, at most 1023. A bit moves p by 1/(n + 1.5) of the way: fast at first, and then towards the
mean of its past.

The state of a coder goes through these functions as plain integers, so that it stays in registers.
All values are non-negative and below 2^63, so compiled and plain Python give the same.
"""

import numpy as np

from ..compiler.jit import njit

P_BITS = 22
COUNT_BITS = 10
COUNT_MASK = (1 << COUNT_BITS) - 1
P_LOW = 1 << 7  # p stays in [P_LOW, P_HIGH], so no bit costs more than 15 bits
P_HIGH = (1 << P_BITS) - P_LOW
WIDTH_BITS = 48
WIDTH_MAX = 1 << WIDTH_BITS
WIDTH_MIN = 1 << 32  # a narrower interval moves 16 bits to the output
LOW_MASK = (1 << 32) - 1
FLUSH_BYTES = WIDTH_BITS // 8  # the most bytes that `flush` appends
# How many zero bytes at the end of a code are not written. There is a limit, so that a few bytes
# cannot stand for a long code.
DROPPED = 64
RATE = np.array([(1 << 17) // (2 * n + 3) for n in range(COUNT_MASK + 1)], dtype=np.int64)  # 2^16 / (n + 1.5)


@njit
def adapt(state: int, bit: int) -> int:
    """The state of an adaptive bit after `bit`."""
    n = state & COUNT_MASK
    p = state >> COUNT_BITS
    goal = P_HIGH if bit else P_LOW
    p += ((goal - p) * RATE[n]) >> 16
    return (p << COUNT_BITS) | (n + (n < COUNT_MASK))


@njit
def emit(out: np.ndarray, low: int, width: int, pos: int) -> tuple[int, int, int]:
    """Move the top 16 bits of `low` to the output and widen the interval by as much."""
    out[pos] = low >> 40
    out[pos + 1] = (low >> 32) & 255
    return (low & LOW_MASK) << 16, width << 16, pos + 2


@njit
def carry(out: np.ndarray, low: int, pos: int) -> int:
    """Propagate a carry out of `low` into the bytes already written."""
    i = pos - 1
    while out[i] == 255:
        out[i] = 0
        i -= 1
    out[i] += 1
    return low - WIDTH_MAX


@njit
def encode_bit(
    out: np.ndarray, low: int, width: int, pos: int, model: np.ndarray, slot: int, bit: int
) -> tuple[int, int, int]:
    """Code one bit with the adaptive bit model[slot]; returns the new (low, width, pos)."""
    state = model[slot]
    part = (width >> 16) * (state >> (COUNT_BITS + P_BITS - 16))
    if bit:
        width = part
    else:
        low += part
        width -= part
        if low >= WIDTH_MAX:
            low = carry(out, low, pos)
    model[slot] = adapt(state, bit)
    if width < WIDTH_MIN:
        low, width, pos = emit(out, low, width, pos)
    return low, width, pos


@njit
def encode_bits(out: np.ndarray, low: int, width: int, pos: int, value: int, count: int) -> tuple[int, int, int]:
    """Code `count` ≤ 16 bits that are equally likely; returns the new (low, width, pos)."""
    width >>= count
    low += value * width
    if low >= WIDTH_MAX:
        low = carry(out, low, pos)
    if width < WIDTH_MIN:
        low, width, pos = emit(out, low, width, pos)
    return low, width, pos


@njit
def encode_sign(out: np.ndarray, low: int, width: int, pos: int, bit: int) -> tuple[int, int, int]:
    """Code one bit with the probability ½; returns the new (low, width, pos)."""
    width >>= 1
    if bit:
        low += width
        if low >= WIDTH_MAX:
            low = carry(out, low, pos)
    if width < WIDTH_MIN:
        low, width, pos = emit(out, low, width, pos)
    return low, width, pos


@njit
def flush(out: np.ndarray, low: int, width: int, pos: int) -> int:
    """End the code with the shortest number in the interval; returns the length of the code.

    Up to DROPPED zero bytes at its end are left out.
    """
    for shift in range(WIDTH_BITS, -1, -1):
        value = ((low + (1 << shift) - 1) >> shift) << shift
        if value < low + width:
            break
    if value >= WIDTH_MAX:
        value = carry(out, value, pos)
    for i in range(FLUSH_BYTES):
        out[pos] = (value >> (WIDTH_BITS - 8 - 8 * i)) & 255
        pos += 1
    least = max(pos - DROPPED, 0)
    while pos > least and out[pos - 1] == 0:
        pos -= 1
    return pos


@njit
def take(data: np.ndarray, code: int, pos: int) -> int:
    """Append the next 16 bits to `code`. Endless zeros follow the data."""
    high = data[pos] if pos < data.size else 0
    low = data[pos + 1] if pos + 1 < data.size else 0
    return (code << 16) | (np.int64(high) << 8) | np.int64(low)


@njit
def start(data: np.ndarray) -> tuple[int, int, int]:
    """The decoder's first (code, width, pos)."""
    code = np.int64(0)
    for pos in range(0, FLUSH_BYTES, 2):
        code = take(data, code, pos)
    return code, np.int64(WIDTH_MAX), np.int64(FLUSH_BYTES)


@njit
def is_whole(data: np.ndarray, pos: int) -> bool:
    """Whether the decoder took as many bytes as an encoder wrote or left out at the end."""
    return data.size <= pos <= data.size + DROPPED


@njit
def decode_bit(
    data: np.ndarray, code: int, width: int, pos: int, model: np.ndarray, slot: int
) -> tuple[bool, int, int, int]:
    """The inverse of `encode_bit`: returns (bit, code, width, pos)."""
    state = model[slot]
    part = (width >> 16) * (state >> (COUNT_BITS + P_BITS - 16))
    bit = code < part
    if bit:
        width = part
    else:
        code -= part
        width -= part
    model[slot] = adapt(state, bit)
    if width < WIDTH_MIN:
        code = take(data, code, pos)
        width <<= 16
        pos += 2
    return bit, code, width, pos


@njit
def decode_bits(data: np.ndarray, code: int, width: int, pos: int, count: int) -> tuple[int, int, int, int]:
    """The inverse of `encode_bits`: returns (value, code, width, pos).

    The value has `count` bits, even if the data is damaged.
    """
    width >>= count
    value = min(code // width, (1 << count) - 1)
    code = min(code - value * width, width - 1)
    if width < WIDTH_MIN:
        code = take(data, code, pos)
        width <<= 16
        pos += 2
    return value, code, width, pos


@njit
def decode_sign(data: np.ndarray, code: int, width: int, pos: int) -> tuple[int, int, int, int]:
    """The inverse of `encode_sign`: returns (bit, code, width, pos)."""
    width >>= 1
    bit = np.int64(code >= width)
    code = min(code - width * bit, width - 1)
    if width < WIDTH_MIN:
        code = take(data, code, pos)
        width <<= 16
        pos += 2
    return bit, code, width, pos
