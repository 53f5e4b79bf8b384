"""Indices of few values: a plane as any other, packed bits, or bits in contexts of neighbours.

See spec/compressors/01-lossless.md.
"""

import numpy as np

from ...coding.bitstring import BitReader
from ...errors import Corrupt
from ...kernels.entropy import contexts as kernels
from .planes import CONTEXTS, PACKED, decode_plane, encode_plane, extent

MOST_VALUES = 16  # indices of more values are not coded in contexts
_NEIGHBOURS = (0, 1, 2, 4)
_SAMPLE = 1 << 18  # indices that are looked at, of a longer plane its first ones
_WORTH = 0.99  # contexts take more time, and are worth that below this share of another coding's bytes
_LEARNING = 4.0  # about how many bits an adaptive bit costs until its probability is known
_FIELDS = 80.0  # about how many bits the fields and the end of the code take


def bits_of(values: int) -> int:
    """How many bits the index of one of so many values has."""
    return max((values - 1).bit_length(), 1)


def encode_indices(indices: np.ndarray, values: int, width: int, contexts: bool) -> bytes:
    """The shortest coding of indices, uint8 and below `values`.

    width: how many of them are in a row of the matrix that the tensor is; 0 if it is none.
    contexts: whether they may be coded in contexts.
    """
    best = b"".join(encode_plane(indices, few=True))
    bits = bits_of(values)
    if bits < 8 and 1 + -(-bits * indices.size // 8) < len(best):
        best = bytes([PACKED + bits]) + _packed(indices, bits)
    if values > MOST_VALUES or not contexts:
        return best
    worth = 1.0 if indices.size <= _SAMPLE else _WORTH
    tried = {count: _about(indices, values, _reach(count, width)) for count in _possible(values, width)}
    count = min(tried, key=lambda count: tried[count])
    if tried[count] < worth * 8 * len(best):
        content = bytes([count]) + (width.to_bytes(4, "little") if count > 1 else b"")
        content += _in_contexts(indices, values, _reach(count, width))
        best = min(best, bytes([CONTEXTS]) + len(content).to_bytes(4, "little") + content, key=len)
    return best


def decode_indices(data: bytes, values: int, indices: np.ndarray, contexts: bool) -> None:
    """Fill the indices, uint8, of a palette of so many values. Raises Corrupt.

    contexts: whether they may be coded in contexts.
    """
    coding = data[0] if data else 0
    if coding == CONTEXTS and contexts and values <= MOST_VALUES:
        start, stop = extent(data, 0, indices.size)
        _from_contexts(data[start:stop], values, indices)
    elif coding == PACKED + bits_of(values) < PACKED + 8:
        start, stop = extent(data, 0, indices.size)
        _unpack(data[start:stop], coding - PACKED, indices)
    else:
        stop = decode_plane(data, 0, indices)
    if stop != len(data):
        raise Corrupt("lossless: bytes after the indices")
    if indices.max(initial=0) >= values:
        raise Corrupt("lossless: an index that is not below the number of words in the head")


def _packed(indices: np.ndarray, bits: int) -> bytes:
    return np.packbits(np.unpackbits(indices[:, None], axis=1)[:, 8 - bits :]).tobytes()


def _unpack(data: bytes, bits: int, indices: np.ndarray) -> None:
    found = np.unpackbits(np.frombuffer(data, np.uint8))
    if found[bits * indices.size :].any():
        raise Corrupt("lossless: packed indices that are not filled up with zeros")
    rows = np.zeros((indices.size, 8), np.uint8)
    rows[:, 8 - bits :] = found[: bits * indices.size].reshape(-1, bits)
    indices[:] = np.packbits(rows, axis=1)[:, 0]


def _possible(values: int, width: int) -> list[int]:
    """The numbers of neighbours that may make contexts."""
    most = 1 if width < 2 else max(_NEIGHBOURS)
    return [count for count in _NEIGHBOURS if count <= most and values**count <= kernels.MOST_CONTEXTS]


def _reach(count: int, width: int) -> np.ndarray:
    """How many places each of so many neighbours lies before an index."""
    return np.array([1, width, width + 1, width - 1][:count], np.int64)


def _about(indices: np.ndarray, values: int, reach: np.ndarray) -> float:
    """About how many bits the indices take in the contexts of these neighbours."""
    some = indices[:_SAMPLE]
    context = np.zeros(some.size, np.int64)
    for places in reach[::-1]:
        context *= values
        context[places:] += some[: max(some.size - places, 0)]
    counts = np.bincount(context * values + some, minlength=values ** (reach.size + 1)).reshape(-1, values)
    met = counts.sum(1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = float(np.nansum(counts * np.log2(met / counts)))
    learned = float(np.maximum((counts > 0).sum(1) - 1, 0).sum())
    return entropy * indices.size / max(some.size, 1) + _LEARNING * learned + _FIELDS


def _in_contexts(indices: np.ndarray, values: int, reach: np.ndarray) -> bytes:
    bits = bits_of(values)
    out = np.empty(2 * bits * indices.size + 16, np.uint8)  # no bit costs more than 15 bits
    length = kernels.encode(indices, np.int64(values), np.int64(bits), reach, out)
    return out[:length].tobytes()


def _from_contexts(data: bytes, values: int, indices: np.ndarray) -> None:
    reader = BitReader(data, "lossless: indices in contexts")
    count = reader.get(8)
    width = int.from_bytes(reader.take(4).tobytes(), "little") if count in (2, 4) else 0
    if count not in _NEIGHBOURS or values**count > kernels.MOST_CONTEXTS or (count > 1 and width < 2):
        raise reader.corrupt(f"{count} neighbours in rows of {width}")
    args = reader.rest(), np.int64(values), np.int64(bits_of(values)), _reach(count, width), indices
    if not kernels.decode(*args):
        raise reader.corrupt("the code does not end as it must, or has an index that is none")
