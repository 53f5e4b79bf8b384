"""Changes as symbols, raw bits and words apart, entropy coded. See spec/compressors/11-delta.md."""

from dataclasses import dataclass

import numpy as np

from ...coding.bitstring import BitReader, BitWriter
from ...coding.rans import count_codes, decode_lanes, encode_lanes, lanes_for
from ...kernels.entropy import changes as kernels
from ...kernels.entropy import rans, rans_tables
from ...kernels.entropy.tokens import DIRECT, MAX_CLASSES
from ..common.levels import raw_words
from ..common.quantiser import choose_widths
from ..geometric.numbers import put_tables, read_tables
from .form import Words

_ROOM = MAX_CLASSES * rans_tables.MAX_BITS  # the most bits that all tables take
_TABLES = 2 * MAX_CLASSES  # class c has the table 2·c; the odd ones are not used
_TABLE_BITS, _ENTRY_BITS = 8.0, 4.5  # about what a table costs, and each of its entries
_MANY, _LANES = 1 << 19, 32  # from so many words on, so many lanes pay by the time that they save
_SOME, _FEW_LANES = 1 << 16, 16
_SAMPLE = 1 << 15  # changes that decide raw widths
_NO_WIDTHS = np.zeros(MAX_CLASSES, np.int64)


@dataclass(frozen=True)
class Changed:
    """Words of a chunk and those of the base beside them.

    largest: the largest magnitude of a change, at most FAR.
    """

    above: np.ndarray
    below: np.ndarray
    words: Words
    largest: int

    @classmethod
    def of(cls, above: np.ndarray, below: np.ndarray, words: Words) -> "Changed":
        return cls(above, below, words, int(kernels.largest_change(above, below, words.bits, words.floating)))

    @property
    def args(self) -> tuple[np.ndarray, np.ndarray, int, bool]:
        """The first arguments of kernels."""
        return self.above, self.below, self.words.bits, self.words.floating

    def widths(self, classes: np.ndarray) -> np.ndarray:
        """The raw widths by class, from every change of so many."""
        if self.largest < DIRECT:
            return _NO_WIDTHS
        stride = max(self.above.size // _SAMPLE, 1) | 1  # an odd one meets all columns
        above, below = (np.ascontiguousarray(words[::stride]) for words in (self.above, self.below))
        numbers = np.empty(above.size, np.int64)
        kernels.fill_changes(above, below, self.words.bits, self.words.floating, numbers)
        near = numbers != kernels.APART
        return choose_widths(numbers[near], classes[::stride][near]) if near.any() else _NO_WIDTHS


@dataclass(frozen=True)
class Coded:
    """The changes of a chunk, ready for the entropy coder.

    symbols, classes: uint8. widths: raw widths by class. raw: the raw bits. histograms: how often
    each symbol occurs, by class.
    """

    changed: Changed
    symbols: np.ndarray
    classes: np.ndarray
    widths: np.ndarray
    raw: int
    histograms: np.ndarray

    @classmethod
    def of(cls, changed: Changed, classes: np.ndarray) -> "Coded":
        symbols, widths = np.empty(classes.size, np.uint8), changed.widths(classes)
        raw = int(kernels.fill_symbols(*changed.args, classes, widths, symbols))
        histograms = count_codes(symbols, classes, rans.BOOK_BITS, _TABLES)[::2]
        return cls(changed, symbols, classes, widths, raw, histograms)

    @property
    def apart(self) -> np.ndarray:
        """The words that are stored apart."""
        if self.changed.largest < kernels.FAR:
            return self.changed.above[:0]
        found: np.ndarray = self.changed.above[self.symbols == kernels.APART_SYMBOL]
        return found

    @property
    def bits(self) -> float:
        """About what all takes, without the numbers of rows."""
        met = self.histograms[self.histograms.any(1)]
        with np.errstate(divide="ignore", invalid="ignore"):
            entropy = float(np.nansum(met * np.log2(met.sum(1, keepdims=True) / met)))
        tables = _TABLE_BITS * len(met) + _ENTRY_BITS * np.count_nonzero(met)
        apart = int(self.histograms[:, kernels.APART_SYMBOL].sum()) * self.changed.words.bits
        return entropy + tables + self.raw + apart

    def encode(self) -> bytes:
        writer = BitWriter(_ROOM)
        frequencies = put_tables(writer, self.histograms, self.widths)
        lanes = self._lanes
        tail = encode_lanes(writer, self.symbols, self.classes, rans.BOOK_BITS, frequencies, lanes)
        words = np.zeros(-(-self.raw // 32) + 1, np.uint32)
        if self.raw:
            kernels.put_raw(*self.changed.args, self.symbols, self.classes, self.widths, words)
        raw = words.astype(">u4").tobytes()[: -(-self.raw // 8)]
        apart = self.apart
        return writer.to_bytes() + tail + apart.astype(apart.dtype.newbyteorder("<")).tobytes() + raw

    @property
    def _lanes(self) -> int:
        size = self.symbols.size
        least = _LANES if size >= _MANY else _FEW_LANES if size >= _SOME else 1
        return max(lanes_for(self.bits - self.raw), least)


def decode_changes(reader: BitReader, base: np.ndarray, classes: np.ndarray, words: Words) -> np.ndarray:
    """The words that `Coded.encode` coded, the last part of a chunk; raises Corrupt.

    base: the words of the base.
    """
    widths, frequencies = read_tables(reader, classes)
    symbols = decode_lanes(reader, classes, frequencies)
    size = words.word.itemsize
    apart = reader.take(size * int(np.count_nonzero(symbols == kernels.APART_SYMBOL)))
    far = apart.view(words.word.newbyteorder("<")).astype(words.word)
    out = np.empty(base.size, words.word)
    args = symbols, classes, widths, *raw_words(reader), far, base, words.bits, words.floating, out
    if not kernels.change_words(*args):
        raise reader.corrupt("the raw bits are not those of the symbols")
    return out
