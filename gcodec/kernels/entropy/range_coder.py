"""Adaptive range coder of bits and plain numbers: integers only, 48-bit interval, 16-bit renormalisation.

Adaptive bits are an int64 array. Each holds (p << 10) | n: p the probability of a 1 in 2^-22, n how often the bit was seen,
at most 1023. A bit moves p by 1/(n + 1.5) of the way: fast at first, then towards the mean of its past.

A coder's state travels through these functions as plain integers, so that it stays in registers. All values are
non-negative and below 2^63: the same in compiled and in plain Python.
"""

import numpy as np

from ..compiler.jit import njit

P_BITS = 22
COUNT_BITS = 10
COUNT_MASK = (1 << COUNT_BITS) - 1
P_LOW = 1 << 7  # p stays in [P_LOW, P_HIGH]: no bit costs more than 15 bits
P_HIGH = (1 << P_BITS) - P_LOW
WIDTH_BITS = 48
WIDTH_MAX = 1 << WIDTH_BITS
WIDTH_MIN = 1 << 32  # below it, 16 bits are shifted out
LOW_MASK = (1 << 32) - 1
FLUSH_BYTES = WIDTH_BITS // 8  # the most bytes that `flush` appends
DROPPED = 64  # zero bytes at the end of a code that are not written: what follows from no bytes must not be long
RATE = np.array([(1 << 17) // (2 * n + 3) for n in range(COUNT_MASK + 1)], dtype=np.int64)  # 2^16 / (n + 1.5)


@njit
def adapt(state, bit):
    """The state of an adaptive bit after `bit`."""
    n = state & COUNT_MASK
    p = state >> COUNT_BITS
    goal = P_HIGH if bit else P_LOW
    p += ((goal - p) * RATE[n]) >> 16
    return (p << COUNT_BITS) | (n + (n < COUNT_MASK))


@njit
def emit(out, low, width, pos):
    """Move the top 16 bits of `low` to the output and widen the interval by as much."""
    out[pos] = low >> 40
    out[pos + 1] = (low >> 32) & 255
    return (low & LOW_MASK) << 16, width << 16, pos + 2


@njit
def carry(out, low, pos):
    """Propagate a carry out of `low` into the bytes already written."""
    i = pos - 1
    while out[i] == 255:
        out[i] = 0
        i -= 1
    out[i] += 1
    return low - WIDTH_MAX


@njit
def encode_bit(out, low, width, pos, model, slot, bit):
    """Code one bit with the adaptive bit model[slot]; gives the new (low, width, pos)."""
    state = model[slot]
    bound = (width >> 16) * (state >> (COUNT_BITS + P_BITS - 16))
    if bit:
        width = bound
    else:
        low += bound
        width -= bound
        if low >= WIDTH_MAX:
            low = carry(out, low, pos)
    model[slot] = adapt(state, bit)
    if width < WIDTH_MIN:
        low, width, pos = emit(out, low, width, pos)
    return low, width, pos


@njit
def encode_bits(out, low, width, pos, value, count):
    """Code `count` ≤ 16 equiprobable bits; gives the new (low, width, pos)."""
    width >>= count
    low += value * width
    if low >= WIDTH_MAX:
        low = carry(out, low, pos)
    if width < WIDTH_MIN:
        low, width, pos = emit(out, low, width, pos)
    return low, width, pos


@njit
def encode_sign(out, low, width, pos, bit):
    """Code one equiprobable bit; gives the new (low, width, pos)."""
    width >>= 1
    if bit:
        low += width
        if low >= WIDTH_MAX:
            low = carry(out, low, pos)
    if width < WIDTH_MIN:
        low, width, pos = emit(out, low, width, pos)
    return low, width, pos


@njit
def flush(out, low, width, pos):
    """End the code: the shortest number in the interval, without up to DROPPED trailing zero bytes. Gives the length."""
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
def take(data, code, pos):
    """Append the next 16 bits to `code`; the data is followed by endless zeros."""
    high = data[pos] if pos < data.size else 0
    low = data[pos + 1] if pos + 1 < data.size else 0
    return (code << 16) | (np.int64(high) << 8) | np.int64(low)


@njit
def start(data):
    """The decoder's first (code, width, pos)."""
    code = np.int64(0)
    for pos in range(0, FLUSH_BYTES, 2):
        code = take(data, code, pos)
    return code, np.int64(WIDTH_MAX), np.int64(FLUSH_BYTES)


@njit
def is_whole(data, pos):
    """Whether the decoder took as many bytes as an encoder wrote, or dropped at the end."""
    return data.size <= pos <= data.size + DROPPED


@njit
def decode_bit(data, code, width, pos, model, slot):
    """Mirror of `encode_bit`: gives (bit, code, width, pos)."""
    state = model[slot]
    bound = (width >> 16) * (state >> (COUNT_BITS + P_BITS - 16))
    bit = code < bound
    if bit:
        width = bound
    else:
        code -= bound
        width -= bound
    model[slot] = adapt(state, bit)
    if width < WIDTH_MIN:
        code = take(data, code, pos)
        width <<= 16
        pos += 2
    return bit, code, width, pos


@njit
def decode_bits(data, code, width, pos, count):
    """Mirror of `encode_bits`: gives (value, code, width, pos). Of damaged data the value still has `count` bits."""
    width >>= count
    value = min(code // width, (1 << count) - 1)
    code = min(code - value * width, width - 1)
    if width < WIDTH_MIN:
        code = take(data, code, pos)
        width <<= 16
        pos += 2
    return value, code, width, pos


@njit
def decode_sign(data, code, width, pos):
    """Mirror of `encode_sign`: gives (bit, code, width, pos)."""
    width >>= 1
    bit = np.int64(code >= width)
    code = min(code - width * bit, width - 1)
    if width < WIDTH_MIN:
        code = take(data, code, pos)
        width <<= 16
        pos += 2
    return bit, code, width, pos
