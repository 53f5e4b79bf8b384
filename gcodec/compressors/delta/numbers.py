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
_MANY, _LANES = 1 << 17, 32  # from so many words on, so many lanes pay by the time that they save
_NO_WIDTHS = np.zeros(MAX_CLASSES, np.int64)


@dataclass(frozen=True)
class Coded:
    """The changes of a chunk, ready for the entropy coder.

    numbers: the changes; APART where the word is stored apart. symbols, classes: uint8. widths: raw
    widths by class. raw: the raw bits. histograms: how often each symbol occurs, by class.
    """

    numbers: np.ndarray
    apart: np.ndarray
    symbols: np.ndarray
    classes: np.ndarray
    widths: np.ndarray
    raw: int
    histograms: np.ndarray

    @classmethod
    def of(cls, numbers: np.ndarray, largest: int, words: np.ndarray, classes: np.ndarray) -> "Coded":
        """largest: the largest magnitude of a change."""
        symbols, apart, widths = np.empty(numbers.size, np.uint8), words[:0], _NO_WIDTHS
        if largest >= kernels.FAR:
            apart = np.empty(kernels.put_apart(numbers, words, apart), words.dtype)
            kernels.put_apart(numbers, words, apart)
        if largest >= DIRECT and not apart.size:
            widths = choose_widths(numbers, classes)
        elif largest >= DIRECT:
            near = numbers != kernels.APART
            widths = choose_widths(numbers[near], classes[near]) if near.any() else widths
        raw = int(kernels.fill_symbols(numbers, classes, widths, symbols))
        histograms = count_codes(symbols, classes, rans.BOOK_BITS, _TABLES)[::2]
        return cls(numbers, apart, symbols, classes, widths, raw, histograms)

    @property
    def bits(self) -> float:
        """About what all takes, without the numbers of rows."""
        met = self.histograms[self.histograms.any(1)]
        with np.errstate(divide="ignore", invalid="ignore"):
            entropy = float(np.nansum(met * np.log2(met.sum(1, keepdims=True) / met)))
        tables = _TABLE_BITS * len(met) + _ENTRY_BITS * np.count_nonzero(met)
        return entropy + tables + self.raw + 8 * self.apart.nbytes

    def encode(self) -> bytes:
        writer = BitWriter(_ROOM)
        frequencies = put_tables(writer, self.histograms, self.widths)
        lanes = lanes_for(self.bits - self.raw)
        lanes = max(lanes, _LANES) if self.symbols.size >= _MANY else lanes
        tail = encode_lanes(writer, self.symbols, self.classes, rans.BOOK_BITS, frequencies, lanes)
        words = np.zeros(-(-self.raw // 32) + 1, np.uint32)
        if self.raw:
            kernels.put_raw(self.numbers, self.symbols, self.classes, self.widths, words)
        raw = words.astype(">u4").tobytes()[: -(-self.raw // 8)]
        return writer.to_bytes() + tail + self.apart.astype(self.apart.dtype.newbyteorder("<")).tobytes() + raw


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
