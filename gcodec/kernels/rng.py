"""Counter-based random numbers: a pure function of (seed, stream, counter), part of the format.

    key = mix(mix(seed + G) + stream·G)        random = mix(key + counter·G)        (all modulo 2⁶⁴)

`mix` is the finaliser of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number
generators", 2014), and G is its odd increment. So one stream is SplitMix64's sequence from the
state key − G. Any number can be had without the ones before it. So values do not depend on how the
work is split over chunks and threads. See spec/arithmetic.md.

Arguments are integers in 0…2⁶⁴−1. Python code passes those that may exceed 2⁶³−1, such as seeds, as
np.uint64. Every operation is masked to 64 bits. That costs nothing in compiled code, and gives the
same numbers as plain Python.
"""

import numpy as np

from .compiler.jit import njit

MASK = 0xFFFF_FFFF_FFFF_FFFF
G = 0x9E37_79B9_7F4A_7C15  # 2⁶⁴ divided by the golden ratio, made odd
M1 = 0xBF58_476D_1CE4_E5B9
M2 = 0x94D0_49BB_1331_11EB


@njit
def unsigned(value: int) -> int:
    """A non-negative integer: uint64 in compiled code, where mixed signs misbehave, else int."""
    return int(np.uint64(value))


@njit
def mix(z: int) -> int:
    """A bijection of the 64-bit integers.

    Each bit of the argument changes about half of the result's.
    """
    z = ((z ^ (z >> 30)) * M1) & MASK
    z = ((z ^ (z >> 27)) * M2) & MASK
    return z ^ (z >> 31)


@njit
def stream_key(seed: int, stream: int) -> int:
    """The key of a stream, for `random_at`. Different streams of one seed have different keys."""
    return mix((mix((unsigned(seed) + G) & MASK) + unsigned(stream) * G) & MASK)


@njit
def random_at(key: int, counter: int) -> int:
    """64 random bits as an unsigned integer: number `counter` of the stream with this key."""
    return mix((unsigned(key) + unsigned(counter) * G) & MASK)


@njit
def random_u64(seed: int, stream: int, counter: int) -> int:
    """64 random bits as an unsigned integer.

    Loops should take the key once and call `random_at`.
    """
    return random_at(stream_key(seed, stream), counter)


@njit
def uniform(bits: int) -> float:
    """The upper 53 of 64 random bits as a float64 in [0, 1): a multiple of 2⁻⁵³."""
    return float(bits >> 11) * 2.0**-53


@njit
def fill_u64(seed: int, stream: int, start: int, out: np.ndarray) -> None:
    """out[i] = random_u64(seed, stream, start + i) for a uint64 array."""
    key = stream_key(seed, stream)
    for i in range(out.size):
        out[i] = random_at(key, start + i)
