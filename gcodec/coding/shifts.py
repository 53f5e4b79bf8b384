"""Shifts, how many low bits of the levels of each class are stored raw, and the raw bits."""

import numpy as np

from ..kernels import tokens
from ..kernels.tokens import MAX_CLASSES, MAX_WIDTH, SPARE_WORDS
from .bitstring import BitReader, BitWriter

_STRIDE = 29  # shifts are chosen by every so manieth level of a long chunk
_LONG = 1 << 14
_MEAN = 0.5  # a class's cells are at most this fraction of its mean magnitude wide


def choose_shifts(levels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """For each class the largest shift whose cells are narrow beside its mean magnitude."""
    sums, counts = np.zeros(MAX_CLASSES), np.zeros(MAX_CLASSES, np.int64)
    stride = _STRIDE if levels.size > _LONG else 1
    tokens.add_magnitudes(levels[::stride], classes[::stride], sums, counts)
    widest = np.maximum(_MEAN * sums / np.maximum(counts, 1), 1.0)
    shifts = np.minimum(np.log2(widest).astype(np.int64), MAX_WIDTH - 8)
    for c in range(1, MAX_CLASSES):  # a class that was not met is like the one before it
        shifts[c] = shifts[c] if counts[c] else shifts[c - 1]
    return shifts


def put_shift(writer: BitWriter, shift: int, before: int) -> None:
    """A shift as its difference from the one before, in unary with alternating signs."""
    change = int(shift) - int(before)
    writer.rice(2 * change if change >= 0 else -2 * change - 1, 0)


def get_shift(reader: BitReader, before: int) -> int:
    """The inverse of `put_shift`; raises Corrupt."""
    change = reader.rice(0, 2 * MAX_WIDTH)
    shift = before + (change >> 1 ^ -(change & 1))
    if not 0 <= shift < MAX_WIDTH:
        raise reader.corrupt("a shift is out of its range")
    return shift


def raw_bytes(levels: np.ndarray, classes: np.ndarray, shifts: np.ndarray, bits: int) -> bytes:
    """The raw bits of levels, of which `tokenise` found so many."""
    words = np.zeros(-(-bits // 32) + 1, np.uint32)
    if bits:
        tokens.put_raw(levels, classes, shifts, words)
    return words.astype(">u4").tobytes()[: -(-bits // 8)]


def raw_words(reader: BitReader) -> tuple[np.ndarray, np.uint64]:
    """The rest of the reader's bytes as words with spare ones after them, and the number of bits."""
    rest = reader.rest()
    padded = np.zeros(4 * (-(-rest.size // 4) + SPARE_WORDS), np.uint8)
    padded[: rest.size] = rest
    return padded.view(">u4").astype(np.uint32), np.uint64(8 * rest.size)
