"""Bit strings in byte arrays, most significant bit first: bit `at` is bit 7 − at%8 of byte at//8.

Writers set bits in an array of zeros that the caller made large enough. They return the position
after what they wrote. Readers see zeros beyond the end of the data. All numbers are int64.
"""

import numpy as np

from ..compiler.jit import njit


@njit
def put_bits(out: np.ndarray, at: int, value: int, width: int) -> int:
    """Write the `width` (0…62) low bits of value ≥ 0."""
    while width > 0:
        room = 8 - (at & 7)
        take = min(room, width)
        width -= take
        piece = (value >> width) & ((1 << take) - 1)
        out[at >> 3] |= np.uint8(piece << (room - take))
        at += take
    return at


@njit
def get_bits(data: np.ndarray, at: int, width: int) -> int:
    """The next `width` (0…62) bits as a number."""
    value = np.int64(0)
    while width > 0:
        room = 8 - (at & 7)
        take = min(room, width)
        width -= take
        byte = np.int64(data[at >> 3]) if (at >> 3) < data.size else np.int64(0)
        value = (value << take) | ((byte >> (room - take)) & ((1 << take) - 1))
        at += take
    return value


@njit
def get_bit(data: np.ndarray, at: int) -> int:
    """Bit `at`, which must exist."""
    return (np.int64(data[at >> 3]) >> (7 - (at & 7))) & 1


@njit
def put_rice(out: np.ndarray, at: int, value: int, low: int) -> int:
    """Write the Rice code of value ≥ 0: value >> low as zeros and a one, then the `low` low bits.

    low: 0…62.
    """
    at += value >> low
    out[at >> 3] |= np.uint8(0x80 >> (at & 7))
    return put_bits(out, at + 1, value & ((1 << low) - 1), low)


@njit
def get_rice(data: np.ndarray, at: int, low: int, most: int) -> tuple[int, int]:
    """The value of a Rice code, and the position after it.

    It is (-1, at) when the code reaches beyond the data or the value exceeds `most` < 2⁶².
    """
    end = 8 * data.size
    last = at + (most >> low)  # the furthest place that the one may have
    one = at
    while one < end and one <= last and get_bit(data, one) == 0:
        one += 1
    if one >= end or one > last or end - one - 1 < low:
        return np.int64(-1), at
    value = (np.int64(one - at) << low) | get_bits(data, one + 1, low)
    if value > most:
        return np.int64(-1), at
    return value, one + 1 + low
