"""Indices of few values by the adaptive range coder, each in the context of its neighbours.

An index below K is ⌈log2 K⌉ adaptive bits, the highest first. Which of them are its own depends on
the bits before, and on the indices of up to four neighbours: the one before, the one above, and
those to the left and to the right of that.
"""

import numpy as np

from ..compiler.jit import njit
from . import range_coder as rc

MOST_CONTEXTS = 256


@njit
def new_model(contexts: int, bits: int) -> np.ndarray:
    """The adaptive bits of all contexts, int64."""
    model = np.empty(contexts << bits, np.int64)
    model[:] = 1 << (rc.P_BITS + rc.COUNT_BITS - 1)
    return model


@njit
def context_of(indices: np.ndarray, i: int, values: int, reach: np.ndarray) -> int:
    """The number of a context: Σ indexⱼ·Kʲ over the neighbours, 0 for one before the first index.

    reach: int64, how many places each neighbour lies before index i.
    """
    context = 0
    for j in range(reach.size - 1, -1, -1):
        at = i - reach[j]
        context = context * values + (np.int64(indices[at]) if at >= 0 else 0)
    return context


@njit
def encode(indices: np.ndarray, values: int, bits: int, reach: np.ndarray, out: np.ndarray) -> int:
    """Code indices, uint8 and below `values`, into `out`; returns the length of the code."""
    model = new_model(values**reach.size, bits)
    low, width, pos = np.int64(0), np.int64(rc.WIDTH_MAX), np.int64(0)
    for i in range(indices.size):
        first, node = context_of(indices, i, values, reach) << bits, 1
        for b in range(bits - 1, -1, -1):
            bit = (np.int64(indices[i]) >> b) & 1
            low, width, pos = rc.encode_bit(out, low, width, pos, model, first + node, bit)
            node = node << 1 | bit
    return rc.flush(out, low, width, pos)


@njit
def decode(data: np.ndarray, values: int, bits: int, reach: np.ndarray, indices: np.ndarray) -> bool:
    """The inverse of `encode`; False if the data is no such code."""
    model = new_model(values**reach.size, bits)
    code, width, pos = rc.start(data)
    for i in range(indices.size):
        first, node = context_of(indices, i, values, reach) << bits, np.int64(1)
        for _ in range(bits):
            bit, code, width, pos = rc.decode_bit(data, code, width, pos, model, first + node)
            node = node << 1 | np.int64(bit)
        index = node - (1 << bits)
        if index >= values:
            return False
        indices[i] = index
    return rc.is_whole(data, pos)
