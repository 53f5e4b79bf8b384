"""Symbols 0…31 with static tables, coded by interleaved rANS; see spec/compressors/05-ecsq.md.

Fields in a bit string (the tables, the number of lanes and of words) come before whole bytes (states, words).
"""

import numpy as np

from ..kernels import rans, rans_tables, rans_vectors
from .bitstring import BitReader, BitWriter
from .shifts import get_shift, put_shift

ROOM = 32 * rans_tables.MAX_BITS  # bits that the fields of one coded sequence may need
_LANE_BYTES = 512  # coded bytes a lane: a lane costs four, half of them without use
_LANES_BITS, _WORDS_BITS = 3, 5


def encode_symbols(
    writer: BitWriter, symbols: np.ndarray, classes: np.ndarray, shifts: np.ndarray | None = None
) -> bytes:
    """Code symbols[i] with the table of classes[i] (uint8 arrays of one length): fields go to `writer`, the rest is returned.

    Tables are made from the counts. shifts: of the classes, if they are to be described.
    """
    histograms = count_symbols(symbols, classes, rans.SYMBOLS)
    frequencies = np.zeros_like(histograms)
    bits, before = 0.0, 0
    for c in np.flatnonzero(histograms.any(1)):
        if shifts is not None:
            put_shift(writer, shifts[c], before)
            before = shifts[c]
        writer.at = rans_tables.choose_table(histograms[c], writer.data, writer.at, frequencies[c])
        bits += rans_tables.code_length(histograms[c], frequencies[c])
    lanes = 1 << min(max(int(bits / 8 / _LANE_BYTES).bit_length() - 1, 0), rans.MAX_LANES.bit_length() - 1)
    return encode_lanes(writer, symbols, classes, frequencies, lanes)


def decode_symbols(reader: BitReader, classes: np.ndarray, with_shifts: bool) -> tuple[np.ndarray, ...]:
    """The inverse of `encode_symbols`: (uint8 symbols, int64 shifts by class, frequencies by class and symbol); raises Corrupt."""
    frequencies = np.zeros((rans.SYMBOLS, rans.SYMBOLS), np.int64)
    shifts = np.zeros(rans.SYMBOLS, np.int64)
    before = 0
    for c in used(classes):
        if with_shifts:
            shifts[c] = before = get_shift(reader, before)
        at = rans_tables.get_table(reader.data, reader.at, frequencies[c])
        if at < 0:
            raise reader.corrupt("a table of frequencies is not valid")
        reader.advance(at)
    states, words = read_lanes(reader)
    symbols = np.empty(classes.size, np.uint8)
    slots = slots_of(frequencies)
    done = (0, 0)
    if rans_vectors.SUPPORTED and states.size == rans.MAX_LANES:
        done = rans_vectors.decode_rows(states, words, classes, slots, symbols)
    if rans.decode(states, words, classes, slots, symbols, *done) != rans.OK:
        raise reader.corrupt("the coded symbols do not end where they must")
    return symbols, shifts, frequencies


def count_symbols(symbols: np.ndarray, tables: np.ndarray, count: int) -> np.ndarray:
    """Histograms of the symbols of each of `count` tables: int64 (count, SYMBOLS)."""
    histograms = np.zeros(count * rans.SYMBOLS, np.int64)
    rans.count_symbols(symbols, tables, histograms)
    return histograms.reshape(count, rans.SYMBOLS)


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
    writer: BitWriter, symbols: np.ndarray, tables: np.ndarray, frequencies: np.ndarray, lanes: int
) -> bytes:
    """Numbers of lanes and words go to `writer`; states and words are returned."""
    ranges, reciprocals = np.zeros(frequencies.size, np.uint32), np.zeros(frequencies.size, np.uint64)
    rans.fill_codes(frequencies, ranges, reciprocals)
    states, words = np.empty(lanes, np.uint64), np.empty(rans_vectors.SPARE + symbols.size + 1, np.uint16)
    rows = rans_vectors.SUPPORTED and lanes == rans.MAX_LANES
    begin = symbols.size // lanes * lanes if rows else 0
    first = rans.encode(symbols, tables, begin, ranges, reciprocals, states, words)
    if rows:
        states = states.astype(np.uint32)
        first = rans_vectors.encode_rows(symbols[:begin], tables, ranges, states, words, first)
    count = int(words.size - first)
    writer.put(lanes.bit_length() - 1, _LANES_BITS)
    writer.put(count.bit_length(), _WORDS_BITS)
    writer.put(count, count.bit_length())
    return states.astype("<u4").tobytes() + words[first:].astype("<u2", copy=False).tobytes()


def read_lanes(reader: BitReader) -> tuple[np.ndarray, np.ndarray]:
    """(uint32 states, uint16 words followed by MAX_LANES spare ones); raises Corrupt."""
    lanes = 1 << reader.get(_LANES_BITS)
    if lanes > rans.MAX_LANES:
        raise reader.corrupt("too many lanes")
    count = reader.get(reader.get(_WORDS_BITS))
    reader.align()
    states = reader.take(4 * lanes).view("<u4").astype(np.uint32)
    words = np.append(reader.take(2 * count).view("<u2").astype(np.uint16), np.zeros(rans.MAX_LANES, np.uint16))
    if states.min() < rans.START:
        raise reader.corrupt("a state is too small")
    return states, words


def encode_classes(classes: np.ndarray) -> bytes:
    """Code a sequence of numbers below 32."""
    writer = BitWriter(ROOM)
    symbols = classes.astype(np.uint8)
    tail = encode_symbols(writer, symbols, np.zeros_like(symbols))
    return writer.to_bytes() + tail


def decode_classes(reader: BitReader, count: int) -> np.ndarray:
    """The inverse of `encode_classes`, int16; raises Corrupt."""
    symbols, _, _ = decode_symbols(reader, np.zeros(count, np.uint8), with_shifts=False)
    return symbols.astype(np.int16)
