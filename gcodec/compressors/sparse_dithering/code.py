"""The paper's code of levels, as bytes. It is described in kernels/entropy/enumerative.py."""

from collections.abc import Callable

import numpy as np

from ...errors import Corrupt
from ...kernels.entropy.enumerative import MOST_VALUES, decode_levels, encode_levels, measure_levels

OVERHEAD_BITS = 9.2
"""An upper bound of what the code of n ≤ 2²⁰ levels takes beyond the paper's count.

The paper's count is log2 n + log2 C(n, zeros) + nonzeros + Σ|level| bits. The parts of the overhead
are at most 1 bit for log2(n+1) − log2 n, and less than 8.2 bits for the coder (proved in
kernels/entropy/enumerative.py), most of them for whole bytes.
"""
_LOOK = 1 << 12  # values looked through at a time for the first level that is not zero

Levels = Callable[[int, int], np.ndarray]  # (start, stop) → the signed levels of these values


def pack_levels(levels: np.ndarray, sign_known: bool = False) -> bytes:
    """The code of 1…2²⁰ signed levels (int64, magnitudes ≤ 2⁵³, their sum below 2⁶³).

    sign_known: the first level that is not zero goes without its sign. Raises ValueError for
    another number of levels.
    """
    if not 0 < levels.size <= MOST_VALUES:
        raise ValueError(f"{levels.size} levels do not fit a chunk")
    zeros, rice, level_bits = measure_levels(levels)
    room = 192 + levels.size + (levels.size - zeros) + level_bits
    out = np.zeros((int(room) + 7) // 8, np.uint8)
    return out[: encode_levels(levels, zeros, rice, sign_known, out)].tobytes()


def unpack_levels(
    data: bytes,
    count: int,
    scale: float = 1.0,
    dtype: np.dtype | type = np.float64,
    sign_known: bool = False,
) -> np.ndarray:
    """The `count` levels of a chunk, each times |scale|, as an array of `dtype`.

    A magnitude is float64(|level|)·|scale|, at most the largest finite number of `dtype` (float32
    or float64), rounded to `dtype`. The defaults give the signed levels themselves. sign_known: the
    first level that is not zero has the sign of `scale`, which says nothing about the others.
    Raises Corrupt when `data` is not what `pack_levels` writes for `count` levels.
    """
    out = np.empty(count, dtype)
    largest = float(np.finfo(dtype).max)
    if not 0 < count <= MOST_VALUES or decode_levels(np.frombuffer(data, np.uint8), scale, largest, sign_known, out):
        raise Corrupt("sparse dithering: the bytes of a chunk are not a code of its levels")
    return out


def starts_negative(count: int, levels_of: Levels) -> bool:
    """Whether the first of `count` levels that is not zero is negative."""
    for start in range(0, count, _LOOK):
        levels = levels_of(start, min(start + _LOOK, count))
        if levels.any():
            return bool(levels[np.flatnonzero(levels)[0]] < 0)
    return False
