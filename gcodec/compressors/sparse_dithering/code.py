"""The paper's code of a chunk's levels, as bytes; the bit stream is described in kernels/enumerative.py."""

import numpy as np

from ...errors import Corrupt
from ...kernels.enumerative import MOST_VALUES, RICE_FIELD, decode_levels, encode_levels, measure_levels

OVERHEAD_BITS = 17
"""Most bits by which the code of n ≤ 2²⁰ levels exceeds log2 n + log2 C(n, zeros) + nonzeros + Σ|level|.

Summands: 1 for log2(n+1) − log2 n; 2.03 for the arithmetic coder (proved in kernels/enumerative.py); the Rice parameter's
field, 6; up to 7 bits that fill the last byte. A Rice code chosen for its length is never longer than unary.
"""


def pack_levels(levels: np.ndarray) -> bytes:
    """The code of 1…2²⁰ signed levels (int64, magnitudes ≤ 2⁵³, their sum below 2⁶³)."""
    if not 0 < levels.size <= MOST_VALUES:
        raise ValueError(f"{levels.size} levels do not fit a chunk")
    zeros, low, level_bits = measure_levels(levels)
    room = 64 + levels.size + (levels.size - zeros) + RICE_FIELD + level_bits
    out = np.zeros((int(room) + 7) // 8, np.uint8)
    bits = encode_levels(levels, zeros, low, out)
    return out[: (bits + 7) // 8].tobytes()


def unpack_levels(data: bytes, count: int, scale: float = 1.0, dtype: np.dtype | type = np.float64) -> np.ndarray:
    """`count` levels times `scale`: float64(|level|)·scale, at most dtype's largest finite number, rounded to dtype.

    dtype: float32 or float64; with the defaults, the signed levels themselves. Raises Corrupt when `data` is not
    what `pack_levels` writes for `count` levels.
    """
    out = np.empty(count, dtype)
    if not 0 < count <= MOST_VALUES or decode_levels(
        np.frombuffer(data, np.uint8), scale, float(np.finfo(dtype).max), out
    ):
        raise Corrupt("sparse dithering: the bits of a chunk are not a code of its levels")
    return out
