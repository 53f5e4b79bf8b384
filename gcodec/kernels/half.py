"""Rounding to float16 and bfloat16, and back from bfloat16.

numpy takes many times as long, most of all where numbers of float16 become subnormal.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from .compiler.jit import njit

# These are the bits of float32 numbers: 65504, 2^-14 and infinity.
LARGEST = 0x477FE000
SMALLEST_NORMAL = 0x38800000
INFINITY = 0x7F800000
LARGEST_BFLOAT16 = 0x7F7F0000
SUBNORMALS = np.float32(2.0**24)  # subnormal numbers of float16 are multiples of its inverse


@njit
def to_half(values: np.ndarray, bits: np.ndarray, out: np.ndarray) -> None:
    """out[i] = the bits (uint16) of the float16 that values[i] (float32) is rounded to.

    `bits` has the values' own bits (int32). Rounding is to nearest with ties to even. A value
    beyond the largest finite number becomes that number, and NaN becomes a quiet NaN.
    """
    for i in range(values.size):
        pattern = np.int64(bits[i]) & 0x7FFFFFFF
        if pattern > INFINITY:
            half = np.int64(0x7E00)
        elif pattern < SMALLEST_NORMAL:
            half = np.int64(np.rint(abs(values[i]) * SUBNORMALS))
        else:  # the exponent's bias changes from 127 to 15, and 13 bits of the mantissa are rounded away
            pattern = min(pattern, LARGEST)
            half = ((pattern + 0xFFF + ((pattern >> 13) & 1)) >> 13) - (112 << 10)
        out[i] = half | ((np.int64(bits[i]) >> 16) & 0x8000)


@njit
def from_bfloat16(patterns: np.ndarray, bits: np.ndarray) -> None:
    """Fill in the bits (int32) of float32 numbers, from those (int16) of equal bfloat16 numbers."""
    for i in range(patterns.size):
        bits[i] = np.int32(patterns[i]) << np.int32(16)


def floats_of(values: np.ndarray, room: np.ndarray) -> np.ndarray:
    """The floats of a strip of values: these, or the numbers whose bfloat16 bits (int16) they are.

    room: float32, for as many numbers.
    """
    if values.dtype != np.int16:
        return values
    from_bfloat16(values, room.view(np.int32))
    return room[: values.size]


@overload(floats_of)
def _floats_of(values: np.ndarray, room: np.ndarray) -> Callable[..., Any]:  # numba gives their types
    def as_they_are(values: np.ndarray, room: np.ndarray) -> np.ndarray:
        return values

    def widened(values: np.ndarray, room: np.ndarray) -> np.ndarray:
        from_bfloat16(values, room.view(np.int32))
        return room[: values.size]

    return widened if values.dtype == types.int16 else as_they_are


@njit
def to_bfloat16(bits: np.ndarray, out: np.ndarray) -> None:
    """Fill in the bits (uint16) of bfloat16 numbers, from those (int32) of float32 numbers.

    Rounding is to nearest with ties to even. A value beyond the largest finite number becomes that
    number, and NaN becomes a quiet NaN.
    """
    for i in range(bits.size):
        pattern = np.int32(bits[i] & 0x7FFFFFFF)
        near = np.int32(min(pattern, np.int32(LARGEST_BFLOAT16)))
        near = np.int32(near + np.int32(0x7FFF) + (near >> 16 & 1)) >> 16
        out[i] = (0x7FC0 if pattern > INFINITY else near) | (bits[i] >> 16 & 0x8000)
