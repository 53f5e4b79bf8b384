"""The palette of a tensor that has few distinct values: what they are, and which one stands where.

See spec/compressors/01-lossless.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ...errors import Corrupt
from ...kernels import planes as kernels
from ...kernels.entropy.vectors import translate
from ...source import Source, spans
from ..contract import CHUNK

FORM = 0  # the first byte of a head
_PIECES, _PIECE = 16, 512  # pieces of a tensor of which the first mostly tells it, and values of each
_OFTEN = 4  # a word must be met so often on average
_FEW, _VERY_OFTEN = 16, 16  # a tensor of so few words, met so often on average, is always meant


@dataclass(frozen=True)
class Palette:
    """Up to 256 distinct words, ascending.

    counts: how often each occurs, int64. table: the words by hash, and their numbers in the order
    in which they were met. rank: the index of each of these numbers among the ascending words,
    uint8.
    """

    words: np.ndarray
    counts: np.ndarray
    table: tuple[np.ndarray, np.ndarray] = field(repr=False)
    rank: np.ndarray = field(repr=False)

    @classmethod
    def of(cls, source: Source, word: np.dtype) -> "Palette | None":
        """The palette of a tensor that has one: few distinct words of more than a byte.

        Pieces of the tensor are looked at first, so that a tensor of many words costs next to
        nothing.
        """
        if word.itemsize == 1 or source.size == 0:
            return None
        table, count = (np.zeros(kernels.SLOTS, word), np.full(kernels.SLOTS, -1, np.int16)), 0
        counts = np.zeros((4, kernels.MOST_WORDS), np.int64)
        for values, counted in _looks(source):
            words = np.ascontiguousarray(values).view(word)
            numbers = np.empty(words.size, np.uint8)
            count = kernels.number_words(words, *table, count, numbers)
            if count > kernels.MOST_WORDS:
                return None
            if counted:
                kernels.histogram(numbers, counts)
        if _OFTEN * count > counts.sum():
            return None
        met = np.empty(count, word)
        held = table[1] >= 0
        met[table[1][held]] = table[0][held]
        order = np.argsort(met)
        rank = np.zeros(kernels.MOST_WORDS, np.uint8)
        rank[order] = np.arange(count)
        return cls(met[order], counts.sum(0)[order], table, rank)

    @property
    def is_meant(self) -> bool:
        """Whether the tensor is one of few values, and not just sparse.

        Then the words that are not the most frequent one repeat themselves. Zeros of both signs
        count as one word.
        """
        total, count = int(self.counts.sum()), self.words.size
        zeros = self.words << self.words.dtype.type(1) == 0
        most, alike = int(self.counts[zeros].sum()), int(np.count_nonzero(zeros))
        if self.counts.max() >= most:
            most, alike = int(self.counts.max()), 1
        return _OFTEN * (count - alike) <= total - most or (count <= _FEW and _VERY_OFTEN * count <= total)

    @property
    def entropy(self) -> float:
        """The bits that an ideal code without memory takes for all words."""
        share = self.counts / self.counts.sum()
        return float(-(self.counts * np.log2(share)).sum())

    def head(self) -> bytes:
        little = self.words.astype(self.words.dtype.newbyteorder("<"))
        return bytes([FORM, self.words.size & 0xFF]) + little.tobytes()

    def indices(self, words: np.ndarray) -> np.ndarray:
        """The index of each word, uint8. Of a word that is none of the palette's it is any."""
        numbers, out = np.zeros(words.size, np.uint8), np.empty(words.size, np.uint8)
        table = self.table[0].copy(), self.table[1].copy()  # the kernel adds words that it does not know
        kernels.number_words(words, *table, self.words.size, numbers)
        translate(numbers, self.rank, out)
        return out


def _looks(source: Source) -> Iterator[tuple[np.ndarray, bool]]:
    """A piece of a tensor, pieces of it, and all of it, and whether they are to be counted."""
    starts = range(0, source.size, max(source.size // _PIECES, _PIECE))
    pieces = [source.read(start, min(start + _PIECE, source.size)) for start in starts]
    yield pieces[0], False
    yield np.concatenate(pieces), False
    for span in spans(source.size, CHUNK):
        yield source.read(*span), True


def words_of(head: bytes, word: np.dtype) -> np.ndarray:
    """The words of a head that `Palette.head` made; raises Corrupt."""
    count = (head[1] or 256) if len(head) > 1 else 0
    if word.itemsize == 1 or not count or len(head) != 2 + count * word.itemsize:
        raise Corrupt(f"lossless: a head of {len(head)} bytes for {count} words of {word.itemsize} bytes")
    words = np.frombuffer(head[2:], word.newbyteorder("<")).astype(word)
    if (words[1:] <= words[:-1]).any():
        raise Corrupt("lossless: the words of the head do not ascend")
    return words
