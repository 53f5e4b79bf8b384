"""Paths through a trellis with subtractive dither, coded by rANS in one lane, given the dither and the scale classes.

A class whose levels are coarse beside its scale has a table for each phase of the dither, all made from one density
(kernels/densities.py); a class with a shift has one table. See spec/compressors/08-dither.md.
"""

from typing import NamedTuple

import numpy as np

from ...coding.bitstring import BitReader, BitWriter
from ...coding.rans import ROOM, count_symbols, encode_lanes, read_lanes, slots_of, used
from ...coding.shifts import choose_shifts, get_shift, put_shift, raw_bytes, raw_words
from ...kernels import densities, rans, rans_tables
from ...kernels import dither as kernels
from ...kernels.dither import PHASES
from ...kernels.tokens import MAX_CLASSES, tokenise

_TABLES = MAX_CLASSES * PHASES


class Trellis(NamedTuple):
    """Tables of a trellis, int64 (states, 2): the state after s when bit 1 of the level is b; the two states
    before s; the levels' residues modulo 4 on the way from them."""

    follow: np.ndarray
    before: np.ndarray
    residues: np.ndarray

    @property
    def states(self) -> int:
        return len(self.follow)


def encode_path(levels: np.ndarray, dither: np.ndarray, state: int, trellis: Trellis, classes: np.ndarray) -> bytes:
    """Code a path of int64 levels that begins in `state`. `classes`: uint8, below 32."""
    numbers, phases = np.empty_like(levels), np.empty(levels.size, np.uint8)
    kernels.fold_levels(levels, dither, state, trellis.follow, numbers, phases)
    shifts = choose_shifts(numbers, classes)
    symbols = np.empty(levels.size, np.uint8)
    bits = tokenise(numbers, classes, shifts, symbols)
    tables = classes * np.uint8(PHASES)
    np.add(tables, phases, out=tables, where=(shifts == 0)[classes])
    places = np.zeros((MAX_CLASSES, densities.PLACES), np.int64)
    kernels.count_places(numbers, phases, classes, places)

    writer = BitWriter(ROOM)
    frequencies = _put_tables(writer, shifts, count_symbols(symbols, tables, _TABLES), places)
    tail = encode_lanes(writer, symbols, tables, frequencies, 1)
    return writer.to_bytes() + tail + raw_bytes(numbers, classes, shifts, bits)


def _put_tables(writer: BitWriter, shifts: np.ndarray, histograms: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Describes the shifts and tables of all classes that occur; the tables' frequencies, int64 (tables, symbols)."""
    histograms = histograms.reshape(MAX_CLASSES, PHASES, -1)
    frequencies = np.zeros_like(histograms)
    before = 0
    for c in np.flatnonzero(histograms.any((1, 2))):
        put_shift(writer, shifts[c], before)
        before = shifts[c]
        if shifts[c]:
            writer.at = rans_tables.choose_table(histograms[c, 0], writer.data, writer.at, frequencies[c, 0])
        else:
            args = places[c], histograms[c], writer.data, writer.at, frequencies[c]
            writer.at = densities.choose_density(*args)
    return frequencies.reshape(_TABLES, -1)


def decode_path(reader: BitReader, dither: np.ndarray, state: int, trellis: Trellis, classes: np.ndarray) -> None:
    """The inverse of `encode_path`, up to the reader's end: `dither` becomes level + dither. Raises Corrupt."""
    shifts, frequencies = _get_tables(reader, classes)
    states, words = read_lanes(reader)
    if states.size != 1:
        raise reader.corrupt("more than one lane")
    slots = slots_of(frequencies.reshape(_TABLES, -1))
    raw, end = raw_words(reader)
    args = classes, shifts, slots, raw, end, state, trellis.follow, dither
    if not kernels.decode_values(np.uint64(states[0]), words, *args):
        raise reader.corrupt("the coded symbols do not end where they must")


def _get_tables(reader: BitReader, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The shifts by class, and the frequencies by class, phase and symbol."""
    shifts = np.zeros(MAX_CLASSES, np.int64)
    frequencies = np.zeros((MAX_CLASSES, PHASES, rans.SYMBOLS), np.int64)
    before = 0
    for c in used(classes):
        shifts[c] = before = get_shift(reader, before)
        if shifts[c]:
            at = rans_tables.get_table(reader.data, reader.at, frequencies[c, 0])
        else:
            at = densities.get_density(reader.data, reader.at, frequencies[c])
        if at < 0:
            raise reader.corrupt("a table of frequencies is not valid")
        reader.advance(at)
    if frequencies[:, :, -1].any():
        raise reader.corrupt("a table has a symbol that is no token")
    return shifts, frequencies
