"""The search for the first direction in a cap: the encoder's work in spherical compression.

Directions are made in pages that several searches share, and tested sheet by sheet. Products in
float32 discard nearly all of them. The arithmetic of the format decides about the rest, so the
result is that of a plain search, one direction after the other.
"""

from functools import lru_cache

import numpy as np

from ...kernels import rng
from ...kernels import spherical as kernels

PAGE = 1 << 18  # the most floats of a page, which has at least ABREAST directions
CACHED = 80  # how many first pages of a length are kept; a cache that overflows would help no search
_CACHED_LENGTH = PAGE // kernels.ABREAST
COINS = 1 << 32  # the number of the first stream of coins for unbiased rounding


def stream(seed: int, number: int) -> np.uint64:
    """The key of a stream of random numbers."""
    return np.uint64(rng.stream_key(np.uint64(seed), number))


def find(
    blocks: np.ndarray, norms: np.ndarray, caps: np.ndarray, limits: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """For every block the first index K < limit with ⟨x, v_K⟩ ≥ ‖x‖·√(1−α), and its projection.

    The index is −1 if there is none.

    blocks: float64, shape (B, k), none of them 0.
    norms, caps: float64, the norm and α of each block.
    limits: int64, the limit of each block.
    """
    length = blocks.shape[1]
    key = stream(seed, length)
    cosines = np.sqrt(1 - caps)
    units = (blocks / norms[:, None]).astype(np.float32)
    near = (cosines - (length + 16) * 2.0**-23).astype(np.float32)  # twice the error of float32 products
    found = np.full(len(blocks), -1)
    projections = np.zeros(len(blocks))
    active = np.arange(len(blocks))
    end = int(limits.max(initial=0))
    number = first = 0
    while active.size and first < end:
        make = _cached_page if number < CACHED and length <= _CACHED_LENGTH else _page
        page = make(seed, length, number)
        left = kernels.search_page(page, first, key, blocks, cosines * norms, units, near, active, found, projections)
        active = active[:left]
        first += len(page) * kernels.ABREAST
        number += 1
    found[found >= limits] = -1
    return found, projections


def _page(seed: int, length: int, number: int) -> np.ndarray:
    """Page `number` of a length.

    Pages hold 1, 1, 2, 4, 8, … sheets of ABREAST directions, until they reach PAGE floats.
    """
    most = max(1, PAGE // (length * kernels.ABREAST))
    doublings = most.bit_length() - 1
    sheets = 1 << min(max(number - 1, 0), doublings)
    first = sheets if 0 < number <= doublings else max(0, number - doublings) << doublings
    page = np.empty((sheets, length, kernels.ABREAST), dtype=np.float32)
    kernels.fill_page(stream(seed, length), first * kernels.ABREAST, page)
    return page


_cached_page = lru_cache(maxsize=96)(_page)
