"""Codes with static tables in interleaved rANS lanes, and sequences of small numbers; see spec/levels.md.

Fields in a bit string (the tables, the number of lanes and of words) come before whole bytes (states, words).
"""

from dataclasses import dataclass

import numpy as np

from ..kernels.entropy import rans, rans_tables, rans_vectors
from .bitstring import BitReader, BitWriter

_LANE_BYTES = 1024  # coded bytes a lane: a lane costs three
_LANE_BITS = 24
_LANES_BITS, _STATE_BITS, _WORDS_BITS = 3, 2, 5
_NO_LAW = np.zeros(rans.SYMBOLS, np.int64)


def lanes_for(bits: float) -> int:
    """How many lanes suit a code of about so many bits."""
    return 1 << min(max(int(bits / 8 / _LANE_BYTES).bit_length() - 1, 0), rans.MAX_LANES.bit_length() - 1)


def count_codes(codes: np.ndarray, classes: np.ndarray, book_bits: int, tables: int) -> np.ndarray:
    """Histograms of the symbols of each of so many tables: int64 (tables, SYMBOLS)."""
    histograms = np.zeros(tables * rans.SYMBOLS, np.int64)
    rans.count_codes(codes, classes, book_bits, histograms)
    return histograms.reshape(tables, rans.SYMBOLS)


def used(classes: np.ndarray) -> np.ndarray:
    """The numbers that occur, ascending."""
    marks = np.zeros(256, np.uint8)
    rans.mark_used(classes, marks)
    return np.flatnonzero(marks)


def slots_of(frequencies: np.ndarray) -> np.ndarray:
    """The decoding tables for frequencies by table and symbol."""
    slots = np.empty(frequencies.shape[0] * rans.TOTAL, np.uint32)
    rans.fill_slots(frequencies, slots)
    return slots


def encode_lanes(
    writer: BitWriter, codes: np.ndarray, classes: np.ndarray, book_bits: int, frequencies: np.ndarray, lanes: int
) -> bytes:
    """Numbers of lanes and words go to `writer`; states and words are returned. Arrays are uint8, but the frequencies."""
    ranges, reciprocals = np.zeros(frequencies.size, np.uint32), np.zeros(frequencies.size, np.uint64)
    rans.fill_codes(frequencies, ranges, reciprocals)
    states, words = np.empty(lanes, np.uint64), np.empty(rans_vectors.SPARE + codes.size + 1, np.uint16)
    rows = rans_vectors.takes(lanes)
    begin = codes.size // lanes * lanes if rows else 0
    first = rans.encode(codes, classes, book_bits, begin, ranges, reciprocals, states, words)
    states = states.astype(np.uint32)
    if rows:
        first = rans_vectors.encode_rows(codes[:begin], classes, book_bits, ranges, states, words, first)
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
    """(uint32 states, uint16 words followed by MAX_LANES spare ones); raises Corrupt."""
    lanes = 1 << reader.get(_LANES_BITS)
    if lanes > rans.MAX_LANES:
        raise reader.corrupt("too many lanes")
    width = reader.get(_STATE_BITS) + 1 if lanes == 1 else 4
    count = reader.get(reader.get(_WORDS_BITS))
    reader.align()
    states = np.zeros(4 * lanes, np.uint8)
    states[: width * lanes] = reader.take(width * lanes)
    states = states.view("<u4").astype(np.uint32)
    words = np.append(reader.take(2 * count).view("<u2").astype(np.uint16), np.zeros(rans.MAX_LANES, np.uint16))
    if states.min() < rans.start_of(lanes):
        raise reader.corrupt("a state is too small")
    return states, words


def decode_lanes(
    reader: BitReader, classes: np.ndarray, frequencies: np.ndarray, jumps: tuple[int, int] = (0, 0)
) -> np.ndarray:
    """uint8 codes of values with these classes, in lanes that `encode_lanes` wrote; raises Corrupt.

    frequencies: by table, numbered 2·class + book. jumps: those of the trellis that all lanes go through from state 0.
    """
    states, words = read_lanes(reader)
    codes, paths = np.empty(classes.size, np.uint8), np.zeros(states.size, np.uint32)
    args = states, words, paths, np.uint32(jumps[0]), np.uint32(jumps[1]), classes, slots_of(frequencies), codes
    done = rans_vectors.decode_rows(*args) if rans_vectors.takes(states.size) else (0, 0)
    if rans.decode(*args, *done) != rans.OK:
        raise reader.corrupt("the coded symbols do not end where they must")
    return codes


def encode_numbers(numbers: np.ndarray, histogram: np.ndarray) -> bytes:
    """Code a sequence of numbers below 32, uint8, as they are.

    histogram: how often each of the 32 occurs, int64.
    """
    return _Sequence.of(numbers, histogram).encode(False)


def encode_classes(classes: np.ndarray) -> bytes:
    """Code a sequence of numbers below 32: as they are, or as differences from the one before, whichever is shorter."""
    numbers = classes.astype(np.uint8)
    changes = np.diff(numbers, prepend=np.uint8(0)) % rans.SYMBOLS
    plain, relative = _Sequence.counted(numbers), _Sequence.counted(changes)
    return relative.encode(True) if relative.bits < plain.bits else plain.encode(False)


def decode_classes(reader: BitReader, count: int) -> np.ndarray:
    """The inverse of `encode_classes`, int16; raises Corrupt."""
    return decode_numbers(reader, count).astype(np.int16)


def decode_numbers(reader: BitReader, count: int) -> np.ndarray:
    """The uint8 numbers that `encode_numbers` or `encode_classes` coded; raises Corrupt."""
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
    numbers = classes.astype(np.uint8)
    changes = np.diff(numbers, prepend=np.uint8(0)) % rans.SYMBOLS
    return min(_Sequence.counted(numbers).bits, _Sequence.counted(changes).bits)


@dataclass(frozen=True)
class _Sequence:
    """Symbols with a table; bits: what both take, about."""

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
        args = histogram, rans_tables.EVEN, _NO_LAW, table.data, table.at, frequencies[0]
        table.at = rans_tables.choose_table(*args)
        bits = table.at + rans_tables.code_length(histogram, frequencies[0])
        return cls(symbols, table, frequencies, bits + _LANE_BITS * lanes_for(bits))

    def encode(self, relative: bool) -> bytes:
        writer = self.table
        writer.data[0] |= 0x80 if relative else 0
        no_classes = np.zeros(self.symbols.size, np.uint8)
        lanes = lanes_for(self.bits)
        tail = encode_lanes(writer, self.symbols, no_classes, rans.BOOK_BITS, self.frequencies, lanes)
        return writer.to_bytes() + tail
