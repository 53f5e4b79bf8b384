"""Rounding to float16. Numpy's own is many times slower where numbers become subnormal."""

import numpy as np

from ._jit import njit

LARGEST = 0x477FE000  # the bits of float32 65504
SMALLEST_NORMAL = 0x38800000  # of 2^-14
INFINITY = 0x7F800000
UNITS = np.float32(2.0**24)  # subnormal numbers are multiples of its inverse


@njit
def to_half(values, bits, out):
    """Bits (uint16) in float16 of float32 values, whose own bits (int32) are `bits`: to nearest, ties to even; beyond the
    largest finite number, that one. NaN becomes a quiet NaN."""
    for i in range(values.size):
        pattern = np.int64(bits[i]) & 0x7FFFFFFF
        if pattern > INFINITY:
            half = np.int64(0x7E00)
        elif pattern < SMALLEST_NORMAL:
            half = np.int64(np.rint(abs(values[i]) * UNITS))
        else:  # the exponent's bias goes from 127 to 15, and 13 bits of the fraction are rounded away
            pattern = min(pattern, LARGEST)
            half = ((pattern + 0xFFF + ((pattern >> 13) & 1)) >> 13) - (112 << 10)
        out[i] = half | ((np.int64(bits[i]) >> 16) & 0x8000)
