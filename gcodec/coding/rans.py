"""Codes with static tables in interleaved rANS lanes, and sequences of small numbers.

The fields of a bit string (tables, the numbers of lanes and of words) come first, and whole bytes
(states, words) follow them. See spec/levels.md §5.
"""

from dataclasses import dataclass

import numpy as np

from ..kernels.entropy import rans, rans_tables, rans_vectors, sequences, vectors
from .bitstring import BitReader, BitWriter

_LANE_BYTES = 1024  # coded bytes for each lane
_VECTORS = 14  # so many times the bytes of a lane are worth 16 lanes
_LANE_BITS = 24  # about what a lane costs
_LANES_BITS, _STATE_BITS, _WORDS_BITS = 3, 2, 5
NO_LAW = np.zeros(rans.SYMBOLS, np.int64)  # for tables that follow from no law


def lanes_for(bits: float) -> int:
    """How many lanes suit a code of about this many bits: a power of two.

    16 are better than 8, which are too few for vectors.
    """
    if bits < 2 * 8 * _LANE_BYTES:
        return 1
    if _VECTORS <= bits / 8 / _LANE_BYTES < vectors.WIDTH:
        return vectors.WIDTH
    return 1 << min(max(int(bits / 8 / _LANE_BYTES).bit_length() - 1, 0), rans.MAX_LANES.bit_length() - 1)


def count_codes(codes: np.ndarray, classes: np.ndarray, book_bits: int, tables: int) -> np.ndarray:
    """How often each symbol occurs: int64, by table (class and book) and symbol.

    codes, classes: uint8, for each value. book_bits: the bits of a table's number that are its
    book. tables: how many there are.
    """
    histograms = np.zeros(tables * rans.SYMBOLS, np.int64)
    count = vectors.count_codes if vectors.SUPPORTED else rans.count_codes
    count(codes, classes, book_bits, histograms)
    return histograms.reshape(tables, rans.SYMBOLS)


def used(classes: np.ndarray) -> np.ndarray:
    """The classes, uint8 and below 32, that occur, in ascending order."""
    marks = np.zeros(rans.SYMBOLS, np.uint8)
    rans.mark_used(classes, marks)
    return np.flatnonzero(marks)


def slots_of(frequencies: np.ndarray) -> np.ndarray:
    """The decoding tables for frequencies by table and symbol; see `kernels.fill_slots`."""
    slots = np.empty(frequencies.shape[0] * rans.TOTAL, np.uint32)
    rans.fill_slots(frequencies, slots)
    return slots


def laws_of(frequencies: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What `rans_vectors.decode_rows` needs beside slots: ranges, first slots, and depths."""
    ranges, reciprocals = np.zeros(frequencies.size, np.uint32), np.zeros(frequencies.size, np.uint64)
    rans.fill_codes(frequencies, ranges, reciprocals)
    firsts, depths = np.empty(ranges.size, np.uint32), np.empty(frequencies.shape[0], np.uint8)
    rans.fill_firsts(frequencies, ranges, firsts, depths)
    return ranges, firsts, depths


def encode_lanes(
    writer: BitWriter, codes: np.ndarray, classes: np.ndarray, book_bits: int, frequencies: np.ndarray, lanes: int
) -> bytes:
    """Code each value's symbol with the table of its class and book.

    codes, classes: uint8, for each value. frequencies: int64, by table and symbol. The numbers of
    lanes and of words go to `writer`; the bytes of states and words are returned.
    """
    size = max(frequencies.size, vectors.ENTRIES)  # which vectors look up
    ranges, reciprocals = np.zeros(size, np.uint32), np.zeros(size, np.uint64)
    rans.fill_codes(frequencies, ranges, reciprocals)
    states, words = np.empty(lanes, np.uint64), np.empty(rans_vectors.SPARE + codes.size + 1, np.uint16)
    rows = rans_vectors.takes(lanes)
    begin = codes.size // lanes * lanes if rows else 0
    first = rans.encode(codes, classes, book_bits, begin, ranges, reciprocals, states, words)
    states = states.astype(np.uint32)
    if rows:
        inverses = np.empty(ranges.size, np.float32)
        rans.fill_inverses(ranges, inverses)
        args = codes[:begin], classes, book_bits, ranges, inverses, states, words, first
        first = rans_vectors.encode_rows(*args)
    count = int(words.size - first)
    writer.put(lanes.bit_length() - 1, _LANES_BITS)
    width = 4
    if lanes == 1:
        width = max((int(states[0]).bit_length() + 7) // 8, 1)
        writer.put(width - 1, _STATE_BITS)
    writer.put(count.bit_length(), _WORDS_BITS)
    writer.put(count, count.bit_length())
    coded = words[first:].astype("<u2", copy=False).tobytes()
    return states.astype("<u4").tobytes()[: width * lanes] + coded


def read_lanes(reader: BitReader) -> tuple[np.ndarray, np.ndarray]:
    """(states, uint32; words, uint16, with MAX_LANES spare ones after them); raises Corrupt."""
    lanes = 1 << reader.get(_LANES_BITS)
    if lanes > rans.MAX_LANES:
        raise reader.corrupt("too many lanes")
    width = reader.get(_STATE_BITS) + 1 if lanes == 1 else 4
    count = reader.get(reader.get(_WORDS_BITS))
    reader.align()
    states = np.zeros(4 * lanes, np.uint8)
    states[: width * lanes] = reader.take(width * lanes)
    states = states.view("<u4").astype(np.uint32, copy=False)
    coded = reader.take(2 * count)
    words = np.empty(count + rans.MAX_LANES, np.uint16)
    words[:count], words[count:] = coded.view("<u2"), 0
    if states.min() < rans.start_of(lanes):
        raise reader.corrupt("a state is too small")
    return states, words


def decode_lanes(
    reader: BitReader, classes: np.ndarray, frequencies: np.ndarray, jumps: tuple[int, int] = (0, 0)
) -> np.ndarray:
    """The codes, uint8, that `encode_lanes` wrote for values of these classes; raises Corrupt.

    frequencies: int64, by table (2·class + book) and symbol. jumps: those of the trellis that each
    lane goes through from state 0.
    """
    states, words = read_lanes(reader)
    codes, paths = np.empty(classes.size, np.uint8), np.zeros(states.size, np.uint32)
    args = states, words, paths, np.uint32(jumps[0]), np.uint32(jumps[1]), classes, slots_of(frequencies), codes
    done = rans_vectors.decode_rows(*args, *laws_of(frequencies)) if rans_vectors.takes(states.size) else (0, 0)
    if rans.decode(*args, *done) != rans.OK:
        raise reader.corrupt("the coded symbols do not end where they must")
    return codes


def encode_numbers(numbers: np.ndarray, histogram: np.ndarray) -> bytes:
    """A coded sequence of numbers below 32, uint8, which are coded as they are.

    histogram: how often each of the 32 occurs, int64.
    """
    return _Sequence.of(numbers, histogram).encode(False)


def encode_classes(classes: np.ndarray) -> bytes:
    """A coded sequence of numbers below 32 (spec/levels.md §5).

    The numbers are coded as they are, or as differences modulo 32 from the number before, whichever
    is shorter.
    """
    numbers = classes.astype(np.uint8)
    plain, relative = _bits_both_ways(numbers)
    if plain <= relative:
        return _Sequence.counted(numbers).encode(False)
    changes = np.diff(numbers, prepend=np.uint8(0)) % np.uint8(rans.SYMBOLS)
    return _Sequence.counted(changes).encode(True)


def decode_classes(reader: BitReader, count: int) -> np.ndarray:
    """The numbers, int16, of a sequence that `encode_classes` wrote; raises Corrupt."""
    return decode_numbers(reader, count).astype(np.int16)


def decode_numbers(reader: BitReader, count: int) -> np.ndarray:
    """The numbers of a coded sequence, uint8; raises Corrupt."""
    relative = reader.get(1)
    frequencies = np.zeros((1, rans.SYMBOLS), np.int64)
    at = rans_tables.get_table(reader.data, reader.at, rans_tables.EVEN, frequencies[0])
    if at < 0:
        raise reader.corrupt("a table of frequencies is not valid")
    reader.advance(at)
    numbers = decode_lanes(reader, np.zeros(count, np.uint8), frequencies)
    if relative:
        np.cumsum(numbers, dtype=np.uint8, out=numbers)
        numbers %= rans.SYMBOLS
    return numbers


def sequence_bits(classes: np.ndarray) -> float:
    """About how many bits `encode_classes` takes."""
    return min(_bits_both_ways(classes.astype(np.uint8)))


def _bits_both_ways(numbers: np.ndarray) -> tuple[float, float]:
    """About what numbers take as they are, and as differences modulo 32."""
    plain, relative = sequences.bits_of(numbers, False), sequences.bits_of(numbers, True)
    return plain + _LANE_BITS * lanes_for(plain), relative + _LANE_BITS * lanes_for(relative)


@dataclass(frozen=True)
class _Sequence:
    """Symbols with a table. bits: about what both take."""

    symbols: np.ndarray
    table: BitWriter
    frequencies: np.ndarray
    bits: float

    @classmethod
    def counted(cls, symbols: np.ndarray) -> "_Sequence":
        return cls.of(symbols, np.bincount(symbols, minlength=rans.SYMBOLS))

    @classmethod
    def of(cls, symbols: np.ndarray, histogram: np.ndarray) -> "_Sequence":
        table, frequencies = BitWriter(rans_tables.MAX_BITS), np.zeros((1, rans.SYMBOLS), np.int64)
        table.put(0, 1)
        args = histogram, rans_tables.EVEN, NO_LAW, table.data, table.at, frequencies[0]
        table.at = rans_tables.choose_table(*args)
        bits = table.at + rans_tables.code_length(histogram, frequencies[0])
        return cls(symbols, table, frequencies, bits + _LANE_BITS * lanes_for(bits))

    def encode(self, relative: bool) -> bytes:
        """The bytes of the sequence. relative: whether the symbols are differences."""
        writer = self.table
        writer.data[0] |= 0x80 if relative else 0
        no_classes = np.zeros(self.symbols.size, np.uint8)
        lanes = lanes_for(self.bits)
        tail = encode_lanes(writer, self.symbols, no_classes, rans.BOOK_BITS, self.frequencies, lanes)
        return writer.to_bytes() + tail
