"""The paper's code of a chunk's levels, as bytes. kernels/enumerative.py describes the bits."""

import numpy as np

from ...errors import Corrupt
from ...kernels.enumerative import MOST_VALUES, RICE_FIELD, decode_levels, encode_levels, measure_levels

OVERHEAD_BITS = 17
"""An upper bound of what the code of n ≤ 2²⁰ levels takes beyond the paper's count.

The paper's count is log2 n + log2 C(n, zeros) + nonzeros + Σ|level| bits. The parts of the overhead
are 1 bit for log2(n+1) − log2 n, 2.03 bits for the arithmetic coder (proved in
kernels/enumerative.py), 6 bits for the field of the Rice parameter, and up to 7 bits that fill the
last byte. A Rice code that is chosen for its length is never longer than unary.
"""


def pack_levels(levels: np.ndarray) -> bytes:
    """The code of 1…2²⁰ signed levels (int64, magnitudes ≤ 2⁵³, their sum below 2⁶³).

    Raises ValueError for another number of levels.
    """
    if not 0 < levels.size <= MOST_VALUES:
        raise ValueError(f"{levels.size} levels do not fit a chunk")
    zeros, low, level_bits = measure_levels(levels)
    room = 64 + levels.size + (levels.size - zeros) + RICE_FIELD + level_bits
    out = np.zeros((int(room) + 7) // 8, np.uint8)
    bits = encode_levels(levels, zeros, low, out)
    return out[: (bits + 7) // 8].tobytes()


def unpack_levels(data: bytes, count: int, scale: float = 1.0, dtype: np.dtype | type = np.float64) -> np.ndarray:
    """The `count` levels of a chunk, each times `scale`, as an array of `dtype`.

    A magnitude is float64(|level|)·scale, at most the largest finite number of `dtype` (float32 or
    float64), rounded to `dtype`. The defaults give the signed levels themselves. Raises Corrupt
    when `data` is not what `pack_levels` writes for `count` levels.
    """
    out = np.empty(count, dtype)
    if not 0 < count <= MOST_VALUES or decode_levels(
        np.frombuffer(data, np.uint8), scale, float(np.finfo(dtype).max), out
    ):
        raise Corrupt("sparse dithering: the bits of a chunk are not a code of its levels")
    return out
