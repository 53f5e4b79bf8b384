"""Levels as numbers around what their class foretells, entropy coded.

The number of a level is the level − base − unit·class. See spec/compressors/09-geometric.md §3.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...coding.bitstring import BitReader, BitWriter
from ...coding.rans import NO_LAW, count_codes, decode_lanes, encode_lanes, lanes_for, used
from ...kernels import geometric as kernels
from ...kernels.entropy import rans, rans_tables
from ...kernels.entropy.tokens import MAX_CLASSES, MAX_WIDTH
from ..common.levels import raw_words
from ..common.quantiser import choose_widths

_ROOM = MAX_CLASSES * rans_tables.MAX_BITS  # the most bits that all tables take
_TABLES = 2 * MAX_CLASSES  # class c has the table 2·c; the odd ones are not used
_LENGTH_BITS, _LONGEST = 6, 57
_SIGN_BITS = 2
NO_SIGNS, OF_OTHERS, OF_ALL = range(3)  # which values have a sign: none, all but zeros, all
# About what a table costs, and each of its entries, in bits.
_TABLE_BITS, _ENTRY_BITS = 8.0, 4.5
_UNSEEN = 0.72  # see `Coded.costs`
_MORE = (1, 0, -1)  # raw widths are tried that are so much wider than usual ones
_STRIDE, _LONG = 7, 1 << 16  # every seventh number decides the raw widths where there are more


@dataclass(frozen=True)
class Centre:
    """The level that a class foretells: base + unit·class."""

    unit: int
    base: int

    def numbers(self, levels: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """The numbers of levels, int64, and ZERO for the level of zero."""
        numbers = np.empty(levels.size, np.int64)
        kernels.fill_numbers(levels, classes, np.int64(self.unit), np.int64(self.base), numbers)
        return numbers

    def pack(self, writer: BitWriter) -> None:
        for number in (self.unit, abs(self.base)):
            writer.put(number.bit_length(), _LENGTH_BITS)
            writer.put(number, number.bit_length())
        writer.put(int(self.base < 0), 1)

    @classmethod
    def unpack(cls, reader: BitReader) -> "Centre":
        unit, base = _get_number(reader), _get_number(reader)
        return cls(unit, -base if reader.get(1) else base)


def _get_number(reader: BitReader) -> int:
    length = reader.get(_LENGTH_BITS)
    if length > _LONGEST:
        raise reader.corrupt("a number is too long")
    return reader.get(length)


@dataclass(frozen=True)
class Coded:
    """Numbers of a chunk, ready for the entropy coder.

    symbols: uint8. widths: raw widths by class. raw: raw bits by class. histograms: how often each
    symbol occurs, by class.
    """

    numbers: np.ndarray
    symbols: np.ndarray
    widths: np.ndarray
    raw: np.ndarray
    histograms: np.ndarray

    @classmethod
    def of(cls, numbers: np.ndarray, classes: np.ndarray) -> "Coded":
        """The coded form of numbers, with those raw widths that need the fewest bits."""
        stride = _STRIDE if numbers.size > _LONG else 1
        some, beside = numbers[::stride].copy(), classes[::stride].copy()
        others = some != kernels.ZERO
        about = choose_widths(some[others], beside[others]) if others.any() else np.zeros(MAX_CLASSES, np.int64)
        tried = [np.maximum(about + more, 0) for more in _MORE]
        costs = [cls._with(some, beside, widths).costs(stride) for widths in tried]
        return cls._with(numbers, classes, np.choose(np.argmin(costs, axis=0), tried))

    @classmethod
    def _with(cls, numbers: np.ndarray, classes: np.ndarray, widths: np.ndarray) -> "Coded":
        symbols, raw = np.empty(numbers.size, np.uint8), np.zeros(MAX_CLASSES, np.int64)
        kernels.tokenise(numbers, classes, widths, symbols, raw)
        histograms = count_codes(symbols, classes, rans.BOOK_BITS, _TABLES)[::2]
        return cls(numbers, symbols, widths, raw, histograms)

    @property
    def symbol_bits(self) -> np.ndarray:
        """The entropy of the symbols by class."""
        sizes = self.histograms.sum(1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            bits: np.ndarray = np.nansum(self.histograms * np.log2(sizes / self.histograms), axis=1)
        return bits

    def costs(self, more: float) -> np.ndarray:
        """About what the numbers of each class and their table take, if there are `more` as many.

        Entropies of a sample are too small, by half a natural unit of information for each entry.
        """
        entries = np.count_nonzero(self.histograms, axis=1)
        tables = np.where(entries > 0, _TABLE_BITS + _ENTRY_BITS * entries, 0.0)
        found: np.ndarray = (self.symbol_bits + self.raw) * more + _UNSEEN * entries * (more - 1) + tables
        return found

    def encode(self, classes: np.ndarray, negative: np.ndarray) -> bytes:
        """The bytes of the numbers and of their signs, bool."""
        writer = BitWriter(_ROOM)
        zeros = self.symbols == kernels.ZERO_SYMBOL
        mode, with_sign = OF_OTHERS, negative[~zeros]
        if not negative.any():
            mode, with_sign = NO_SIGNS, negative[:0]
        elif negative[zeros].any():
            mode, with_sign = OF_ALL, negative
        writer.put(mode, _SIGN_BITS)
        frequencies = put_tables(writer, self.histograms, self.widths)
        lanes = lanes_for(self.symbol_bits.sum())
        tail = encode_lanes(writer, self.symbols, classes, rans.BOOK_BITS, frequencies, lanes)
        bits = int(self.raw.sum())
        words = np.zeros(-(-bits // 32) + 1, np.uint32)
        kernels.put_raw(self.numbers, classes, self.widths, words)
        raw = words.astype(">u4").tobytes()[: -(-bits // 8)]
        return writer.to_bytes() + tail + np.packbits(with_sign).tobytes() + raw


def put_tables(writer: BitWriter, histograms: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Describe the raw widths and tables of classes; the frequencies, int64, by table and symbol.

    histograms: counts by class and symbol. widths: raw widths by class.
    """
    frequencies = np.zeros((_TABLES, rans.SYMBOLS), np.int64)
    before = 0
    for c in np.flatnonzero(histograms.any(1)):
        change = int(widths[c]) - before
        writer.rice(2 * change if change >= 0 else -2 * change - 1, 0)
        before = int(widths[c])
        args = histograms[c], rans_tables.EVEN, NO_LAW, writer.data, writer.at, frequencies[2 * c]
        writer.at = rans_tables.choose_table(*args)
    return frequencies


def read_tables(reader: BitReader, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The raw widths by class, and the frequencies by table and symbol. Raises Corrupt."""
    widths = np.zeros(MAX_CLASSES, np.int64)
    frequencies = np.zeros((_TABLES, rans.SYMBOLS), np.int64)
    before = 0
    for c in used(classes):
        change = reader.rice(0, 2 * MAX_WIDTH)
        widths[c] = before = before + (change >> 1 ^ -(change & 1))
        if not 0 <= before < MAX_WIDTH:
            raise reader.corrupt("a raw width is out of its range")
        at = rans_tables.get_table(reader.data, reader.at, rans_tables.EVEN, frequencies[2 * c])
        if at < 0:
            raise reader.corrupt("a table of frequencies is not valid")
        reader.advance(at)
    return widths, frequencies


def read_sign_mode(reader: BitReader) -> int:
    """Which values have a sign. Raises Corrupt."""
    mode = reader.get(_SIGN_BITS)
    if mode > OF_ALL:
        raise reader.corrupt(f"mode {mode} of signs is not defined")
    return mode


def read_signs(reader: BitReader, mode: int, zeros: np.ndarray) -> np.ndarray:
    """The sign of each value, bool. zeros: which values are zero. Raises Corrupt."""
    negative = np.zeros(zeros.size, bool)
    if mode == NO_SIGNS:
        return negative
    where = ~zeros if mode == OF_OTHERS else np.ones(zeros.size, bool)
    count = int(np.count_nonzero(where))
    bits = np.unpackbits(reader.take(-(-count // 8)))
    if bits[count:].any():
        raise reader.corrupt("the bits that fill up the signs are not zeros")
    negative[where] = bits[:count] != 0
    return negative


def decode_numbers(
    reader: BitReader, classes: np.ndarray, centre: Centre, patterns_of: Callable[[np.ndarray], np.ndarray | None]
) -> tuple[np.ndarray, np.ndarray]:
    """(patterns, signs) of the values that `Coded.encode` coded, the last of a chunk.

    patterns_of: gives the patterns of levels, or None if they are out of range. Raises Corrupt.
    """
    mode = read_sign_mode(reader)
    widths, frequencies = read_tables(reader, classes)
    symbols = decode_lanes(reader, classes, frequencies)
    negative = read_signs(reader, mode, symbols == kernels.ZERO_SYMBOL)
    levels = np.empty(symbols.size, np.int64)
    args = symbols, classes, widths, np.int64(centre.unit), np.int64(centre.base), *raw_words(reader), levels
    patterns = patterns_of(levels) if kernels.levels_of_symbols(*args) else None
    if patterns is None:
        raise reader.corrupt("the raw bits are not those of the symbols, or a level is out of range")
    return patterns, negative
