"""Paths through a trellis with subtractive dither, coded by rANS lanes.

The code follows from the dither and the scale classes. A class whose levels are coarse for its
scale has a table for each phase of the dither, all made from one density
(kernels/levels/densities.py). A class with a raw width has one table. See
spec/compressors/08-dither.md.
"""

import numpy as np

from ...coding.bitstring import BitReader, BitWriter
from ...coding.rans import NO_LAW, count_codes, encode_lanes, read_lanes, slots_of, used
from ...kernels import dither as kernels
from ...kernels.dither import PHASE_BITS, PHASES
from ...kernels.entropy import rans, rans_tables, tokens
from ...kernels.entropy.tokens import LAST_SYMBOL, MAX_CLASSES, MAX_WIDTH
from ...kernels.levels import densities
from ...kernels.levels.paths import TRELLISES, trace
from ..common.levels import raw_bytes, raw_words
from ..common.quantiser import choose_widths

_TABLES = MAX_CLASSES * PHASES
_ROOM = MAX_CLASSES * rans_tables.MAX_BITS  # the most bits that all tables take


def nearest_path(targets: np.ndarray, firsts: np.ndarray, states: int) -> tuple[np.ndarray, np.ndarray]:
    """(levels, int64; books, uint8) of the paths that are nearest to the targets.

    targets: float64, in steps. firsts: the first state of each lane, int64. states: of the trellis.
    """
    levels, books = np.empty(targets.size, np.int64), np.zeros(targets.size, np.uint8)
    if states == 1:
        kernels.nearest_even(targets, levels)
        return levels, books
    bits, odd_jump, jump = TRELLISES[states]
    ways, ends = np.empty(targets.size, np.uint32), np.empty(firsts.size, np.uint32)
    kernels.SEARCHES[states](targets, firsts, ways, ends)
    trace(ways, ends, np.uint32(bits - 1), np.uint32(odd_jump), np.uint32(jump), books)
    kernels.fill_levels(targets, books, levels)
    return levels, books


def encode_path(levels: np.ndarray, books: np.ndarray, dither: np.ndarray, classes: np.ndarray, lanes: int) -> bytes:
    """The bytes of paths of levels, int64. books: uint8. classes: uint8, below 32."""
    numbers, phases = np.empty_like(levels), np.empty(levels.size, np.uint8)
    kernels.fold_levels(levels, dither, books, numbers, phases)
    widths = choose_widths(numbers, classes)
    codes = np.empty(levels.size, np.uint8)
    bits = tokens.tokenise(numbers, classes, widths, codes)
    np.bitwise_or(codes, phases << np.uint8(5), out=codes, where=(widths == 0)[classes])
    places = np.zeros((MAX_CLASSES, densities.PLACES), np.int64)
    kernels.count_places(numbers, phases, classes, places)

    writer = BitWriter(_ROOM)
    frequencies = _put_tables(writer, widths, count_codes(codes, classes, PHASE_BITS, _TABLES), places)
    tail = encode_lanes(writer, codes, classes, PHASE_BITS, frequencies, lanes)
    return writer.to_bytes() + tail + raw_bytes(numbers, classes, widths, bits)


def _put_tables(writer: BitWriter, widths: np.ndarray, histograms: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Describe the raw widths and tables of all classes that occur.

    Returns the frequencies, int64, by table and symbol.
    """
    histograms = histograms.reshape(MAX_CLASSES, PHASES, -1)
    frequencies = np.zeros_like(histograms)
    before = 0
    for c in np.flatnonzero(histograms.any((1, 2))):
        change = int(widths[c]) - before
        writer.rice(2 * change if change >= 0 else -2 * change - 1, 0)
        before = int(widths[c])
        if before:
            one, table = histograms[c, 0], frequencies[c, 0]
            writer.at = rans_tables.choose_table(one, rans_tables.RAW, NO_LAW, writer.data, writer.at, table)
        else:
            args = places[c], histograms[c], writer.data, writer.at, frequencies[c]
            writer.at = densities.choose_density(*args)
    return frequencies.reshape(_TABLES, -1)


def decode_path(
    reader: BitReader, dither: np.ndarray, classes: np.ndarray, firsts: np.ndarray, jumps: tuple[int, int]
) -> None:
    """Add the levels that `encode_path` coded to `dither`; raises Corrupt.

    The code must end with the data. firsts: the first states, int64, of as many lanes as there may
    be. jumps: of the trellis.
    """
    widths, frequencies = read_tables(reader, classes)
    states, words = read_lanes(reader)
    slots = slots_of(frequencies.reshape(_TABLES, -1))
    lanes = states.astype(np.uint64), firsts[: states.size].copy()
    if not kernels.decode_values(lanes, words, classes, widths, slots, *raw_words(reader), np.array(jumps), dither):
        raise reader.corrupt("the coded symbols do not end where they must")


def read_tables(reader: BitReader, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The raw widths by class, and the frequencies by class, phase and symbol."""
    widths = np.zeros(MAX_CLASSES, np.int64)
    frequencies = np.zeros((MAX_CLASSES, PHASES, rans.SYMBOLS), np.int64)
    before = 0
    for c in used(classes):
        change = reader.rice(0, 2 * MAX_WIDTH)
        widths[c] = before = before + (change >> 1 ^ -(change & 1))
        if not 0 <= before < MAX_WIDTH:
            raise reader.corrupt("a raw width is out of its range")
        if before:
            at = rans_tables.get_table(reader.data, reader.at, rans_tables.RAW, frequencies[c, 0])
        else:
            at = densities.get_density(reader.data, reader.at, frequencies[c])
        if at < 0:
            raise reader.corrupt("a table of frequencies is not valid")
        reader.advance(at)
    if frequencies[:, :, LAST_SYMBOL + 1 :].any():
        raise reader.corrupt("a table has a symbol that stands for no number")
    return widths, frequencies
