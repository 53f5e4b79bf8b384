"""Which values this process decoded lately, so that they are not coded a second time with a loss.

HDF5 and zarr v2 decode a chunk, change a part of it and code all of it, and show a codec no more
than the whole chunk. A chunk that holds again what was decoded before is such a one. What a write
to a box leaves behind has whole rows, or whole columns, of a chunk's last axis; so a few blocks of
each row and of each column are enough to know it again.
"""

import numpy as np

BLOCK, MOST = 16, 4  # values of a block, blocks of a row or a column
LINE = BLOCK * MOST  # values of a row, where the last axis is too short for blocks
_TAGS = np.zeros(1 << 20, np.uint32)  # tags of the last blocks; a new one takes the place of an old one
_FACTORS = np.random.default_rng(BLOCK).integers(1, 1 << 63, BLOCK, np.uint64) * np.uint64(2) + np.uint64(1)
_MIXER = np.uint64(0x9E3779B97F4A7C15)


def remember(values: np.ndarray) -> None:
    """Remember values that were decoded: about a million blocks, of all chunks together."""
    places, tags = _blocks(values)
    _TAGS[places] = tags


def holds_decoded(values: np.ndarray) -> bool:
    """Whether values have a block that was decoded lately, bit for bit; blocks of zeros are none.

    About one of 2³¹ blocks is taken for another one.
    """
    places, tags = _blocks(values)
    return bool((_TAGS[places] == tags).any())


def forget() -> None:
    """Remember nothing, so that what is coded from now on does not depend on what was decoded."""
    _TAGS[:] = 0


def _blocks(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Place and tag of each block of values that are not all zero."""
    digests = np.concatenate([sums for lines in _lines(values) for sums in _sums(lines)] or [np.zeros(0, np.uint64)])
    digests = digests[digests != 0] * _MIXER
    tags = (digests >> np.uint64(8)).astype(np.uint32) | np.uint32(1)  # 0 stands for no block
    return (digests >> np.uint64(44)).astype(np.intp), tags


def _lines(values: np.ndarray) -> list[np.ndarray]:
    """Matrices whose rows are the lines of values that have blocks, as whole numbers."""
    words = np.ascontiguousarray(values).reshape(-1).view(f"u{min(values.dtype.itemsize, 8)}")
    length = values.shape[-1] if values.ndim and values.size else 0
    if length >= BLOCK and values.size >= MOST * length:
        matrix = words.reshape(values.size // length, -1)
        return [matrix, matrix.T]
    whole = len(words) // LINE * LINE
    return [part for part in (words[:whole].reshape(-1, LINE), words[-LINE:][None]) if part.size]


def _sums(lines: np.ndarray) -> list[np.ndarray]:
    """Σ factor·value of a few blocks of each row, modulo 2⁶⁴."""
    length = min(BLOCK, lines.shape[1])
    starts = np.linspace(0, lines.shape[1] - length, MOST).astype(int)
    return [lines[:, at : at + length].astype(np.uint64) @ _FACTORS[:length] for at in sorted(set(starts.tolist()))]
