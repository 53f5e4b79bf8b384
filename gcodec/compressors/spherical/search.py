"""The search for the first direction in a cap: the encoder's work in spherical compression.

Directions are made in pages that several searches share, and tested tile by tile: products in
float32 discard nearly all of them, and the arithmetic of the format decides about the rest, so the
result is that of a plain search, one direction after the other.
"""

from functools import lru_cache

import numpy as np

from ...kernels import rng
from ...kernels import spherical as kernels

PAGE = 1 << 18  # floats of a page at most, but at least ABREAST directions
CACHED = 80  # first pages of a length that are kept; searches in order would defeat a cache that they overflow
_CACHED_LENGTH = PAGE // kernels.ABREAST
COINS = 1 << 32  # number of the first stream of coins for unbiased rounding


def stream(seed: int, number: int) -> np.uint64:
    """The key of a stream of random numbers."""
    return np.uint64(rng.stream_key(np.uint64(seed), number))


def find(
    blocks: np.ndarray, norms: np.ndarray, caps: np.ndarray, limits: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """For every block the first index K < limit with ⟨x, v_K⟩ ≥ ‖x‖·√(1−α), or −1, and that
    projection.

    blocks: float64 (B, k), none of them 0. norms, caps (α of each block): float64. limits: int64.
    """
    length = blocks.shape[1]
    key = stream(seed, length)
    cosines = np.sqrt(1 - caps)
    units = (blocks / norms[:, None]).astype(np.float32)
    near = (cosines - (length + 16) * 2.0**-23).astype(np.float32)  # twice what float32 products can be off
    found = np.full(len(blocks), -1)
    projections = np.zeros(len(blocks))
    active = np.arange(len(blocks))
    end = int(limits.max(initial=0))
    number = first = 0
    while active.size and first < end:
        make = _cached_page if number < CACHED and length <= _CACHED_LENGTH else _page
        page = make(seed, length, number)
        left = kernels.scan(page, first, key, blocks, cosines * norms, units, near, active, found, projections)
        active = active[:left]
        first += len(page) * kernels.ABREAST
        number += 1
    found[found >= limits] = -1
    return found, projections


def _page(seed: int, length: int, number: int) -> np.ndarray:
    """Pages hold 1, 1, 2, 4, 8, … sheets of ABREAST directions until they reach PAGE floats."""
    most = max(1, PAGE // (length * kernels.ABREAST))
    doublings = most.bit_length() - 1
    sheets = 1 << min(max(number - 1, 0), doublings)
    first = sheets if 0 < number <= doublings else max(0, number - doublings) << doublings
    page = np.empty((sheets, length, kernels.ABREAST), dtype=np.float32)
    kernels.fill_page(stream(seed, length), first * kernels.ABREAST, page)
    return page


_cached_page = lru_cache(maxsize=96)(_page)
