"""Golomb codes of single numbers, as bit strings held in integers (first bit highest).

The code of a number K with modulus M has the quotient ⌊K/M⌋ in ones, a zero, and the remainder in
truncated binary. With b = ⌊log2 M⌋ there are 2^(b+1) − M spare words. A remainder below `spare`
takes b bits; any other is written as remainder + spare in b + 1 bits. Source: S. W. Golomb,
"Run-length encodings", IEEE Trans. Inf. Theory 12 (1966).

A modulus is stored as a byte, in quarters of an octave. That costs at most 0.004 bit for a number,
against the best modulus.
"""

import math

from ...kernels.spherical_tree import MAX_QUOTIENT

CODES = 120  # how many moduli have a code: those up to 7·2²⁷


def modulus(code: int) -> int:
    """The modulus with this code: ⌊(4 + code mod 4)·2^⌊code/4⌋ / 4⌋."""
    return (4 + code % 4 << code // 4) >> 2


def nearest_code(parameter: int) -> int:
    """The code of the modulus whose ratio to `parameter` is nearest to 1, the lowest of equals."""
    octave = parameter.bit_length() - 1
    near = range(max(4 * octave - 1, 0), min(4 * octave + 5, CODES))
    return min(near, key=lambda code: abs(math.log(modulus(code) / parameter)))


def encode(number: int, m: int) -> tuple[int, int]:
    """(bits, their number) for a number whose quotient is at most MAX_QUOTIENT."""
    quotient, rest = divmod(number, m)
    digits = m.bit_length() - 1
    spare = (2 << digits) - m
    if rest >= spare:
        rest, digits = rest + spare, digits + 1
    return ((2 << quotient) - 2) << digits | rest, quotient + 1 + digits


def decode(bits: int, count: int, m: int) -> tuple[int, int]:
    """(number, bits left) of a string of `count` bits.

    Raises ValueError when it does not begin with a code.
    """
    quotient = 0
    while count > quotient and bits >> (count - 1 - quotient) & 1:
        quotient += 1
    digits = m.bit_length() - 1
    spare = (2 << digits) - m
    left = count - quotient - 1 - digits
    if left < 0 or quotient > MAX_QUOTIENT:
        raise ValueError("no Golomb code")
    rest = bits >> left & ((1 << digits) - 1)
    if rest >= spare:
        left -= 1
        if left < 0:
            raise ValueError("no Golomb code")
        rest = 2 * rest + (bits >> left & 1) - spare
    return quotient * m + rest, left
