"""The entropy coder of levels: tables, lanes of rANS, sequences of classes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gcodec.coding.bitstring import BitReader, BitWriter
from gcodec.coding.rans import (
    count_codes,
    decode_classes,
    decode_lanes,
    encode_classes,
    encode_lanes,
    laws_of,
    slots_of,
)
from gcodec.kernels.entropy import rans, rans_tables, rans_vectors, vectors

RNG = np.random.default_rng(0)
JUMPS = 5, 2  # the jumps of the trellis of 8 states
NO_LAW = np.zeros(32, np.int64)
HISTOGRAMS = st.lists(st.integers(0, 2**20), min_size=32, max_size=32).filter(any)


@given(HISTOGRAMS, st.sampled_from([rans_tables.EVEN, rans_tables.ODD, rans_tables.RAW]))
def test_tables(histogram, pairing):
    """What is read is what was written, fits the counts, and is no longer than MAX_BITS."""
    counts = np.array(histogram)
    data, written, read = (
        np.zeros(rans_tables.MAX_BITS // 8 + 1, np.uint8),
        np.empty(32, np.int64),
        np.empty(32, np.int64),
    )
    end = rans_tables.choose_table(counts, pairing, NO_LAW, data, np.int64(3), written)
    assert rans_tables.get_table(data, np.int64(3), pairing, read) == end <= rans_tables.MAX_BITS
    assert np.array_equal(written, read) and written.sum() == rans.TOTAL and (written[counts > 0] > 0).all()
    ideal = -(counts[counts > 0] * np.log2(counts[counts > 0] / counts.sum())).sum()
    assert rans_tables.code_length(counts, written) <= ideal + counts.sum() * 0.08


def test_entries_of_pairs():
    """Both signs of a cell, of an odd level, of a group of four cells have one weight."""
    symbols = np.arange(23)
    cells = np.where(symbols % 2, (symbols + 1) // 2, -(symbols // 2))
    for pairing, alike in (
        (rans_tables.EVEN, abs(cells)),
        (rans_tables.ODD, abs(2 * cells + 1)),
        (rans_tables.RAW, abs(cells // 2)),
    ):
        entries = rans_tables.ENTRIES[pairing, :23]
        assert [entries[k] == entries[0] for k in symbols] == [alike[k] == alike[0] for k in symbols]
        assert np.unique(entries).size == np.unique(alike).size
        assert np.array_equal(rans_tables.ENTRIES[pairing, 23:], np.arange(12, 21))


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=32).filter(any))
def test_normalise(weights):
    weights = np.array(weights)
    frequencies = np.empty(weights.size, np.int64)
    rans.normalise(weights, frequencies)
    assert frequencies.sum() == rans.TOTAL and np.array_equal(frequencies > 0, weights > 0)
    expected = np.empty_like(frequencies)
    rans.normalise.py_func(weights, expected)
    assert np.array_equal(frequencies, expected)


def coded_lanes(rng: np.random.Generator, size: int, decay: float, lanes: int, run: int = 1, jumps=JUMPS) -> tuple:
    """(bytes, codes, classes, frequencies) of codes on paths through a trellis of 8 states.

    run: how many neighbours have one class. jumps: those of the trellis; 0 for none.
    """
    symbols = np.minimum(rng.geometric(decay, size), 31).astype(np.uint8) - np.uint8(1)
    classes, paths, codes = np.repeat(rng.integers(0, 32, size), run)[:size].astype(np.uint8), [0] * lanes, []
    for i, symbol in enumerate(symbols.tolist()):
        path = paths[i % lanes]
        codes.append(symbol | (path & 1) << 5)
        paths[i % lanes] = (path >> 1) ^ (path & 1) * jumps[0] ^ ((symbol + 1) >> 1 & 1) * jumps[1]
    codes = np.array(codes, np.uint8)
    frequencies = count_codes(codes, classes, rans.BOOK_BITS, 64)
    for row in frequencies:
        if row.any():
            rans.normalise(row.copy(), row)
    writer = BitWriter(1 << 16)
    tail = encode_lanes(writer, codes, classes, rans.BOOK_BITS, frequencies, lanes)
    return writer.to_bytes(), tail, codes, classes, frequencies


@given(st.integers(0, 2**32), st.sampled_from([1, 2, 4, 8, 16, 32, 64]), st.integers(1, 300))
def test_lanes(seed, lanes, size):
    fields, tail, codes, classes, frequencies = coded_lanes(np.random.default_rng(seed), size, 0.3, lanes)
    reader = BitReader(fields + tail, "codes")
    assert np.array_equal(decode_lanes(reader, classes, frequencies, JUMPS), codes)
    reader.end()


@pytest.mark.skipif(not rans_vectors.SUPPORTED, reason="this processor has no vectors for rANS")
@pytest.mark.parametrize("size", [64, 65, 127, 128, 5000, 70_001])
@pytest.mark.parametrize("lanes", [16, 32, 64])
@pytest.mark.parametrize("decay", [0.9, 0.5, 0.05])
@pytest.mark.parametrize(("run", "jumps"), [(1, JUMPS), (200, JUMPS), (200, (0, 0))])
def test_vectors_do_what_the_plain_loops_do(monkeypatch, size, lanes, decay, run, jumps):
    """The same bytes, and the same end for words that are missing or damaged."""
    ends = []
    for supported in (True, False):
        monkeypatch.setattr(rans_vectors, "SUPPORTED", supported)
        ends.append(coded_lanes(np.random.default_rng(size), size, decay, lanes, run, jumps))
    assert ends[0][:2] == ends[1][:2]
    _, tail, codes, classes, frequencies = ends[0]
    states, words = np.frombuffer(tail[: 4 * lanes], np.uint32), np.frombuffer(tail[4 * lanes :], np.uint16)
    for damaged in (words, words[:-1], words[: words.size // 2], words[:0], words ^ np.uint16(1)):
        padded = np.append(damaged, np.zeros(rans.MAX_LANES, np.uint16))
        found = []
        for supported in (True, False):
            state, paths, out = states.copy(), np.zeros(lanes, np.uint32), np.zeros(size, np.uint8)
            args = state, padded, paths, *map(np.uint32, jumps), classes, slots_of(frequencies), out
            done = rans_vectors.decode_rows(*args, *laws_of(frequencies)) if supported else (0, 0)
            found.append((rans.decode(*args, *done), out))
        assert found[0][0] == found[1][0]
        if damaged is words:
            assert found[0][0] == rans.OK and all(np.array_equal(out, codes) for _, out in found)


@pytest.mark.skipif(not rans_vectors.SUPPORTED, reason="this processor has no vectors for rANS")
@pytest.mark.parametrize("most", [4, 16, 40])
@pytest.mark.parametrize("run", [1, 100])
def test_vectors_count_what_the_plain_loops_count(most, run):
    codes, classes = RNG.integers(0, most, 5003).astype(np.uint8), np.repeat(RNG.integers(0, 32, 5003), run)[:5003]
    found = np.ones((2, 64 * 32), np.int64)
    for count, histograms in zip((rans.count_codes, vectors.count_codes), found, strict=True):
        count(codes, classes.astype(np.uint8), rans.BOOK_BITS, histograms)
    assert found[0].sum() == 5003 + found[0].size and np.array_equal(*found)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [0, 15, 16, 1000])
def test_look_up(dtype, size):
    places, table, found = (
        RNG.integers(0, 64, size).astype(np.uint8),
        RNG.standard_normal(64).astype(dtype),
        np.empty(size, dtype),
    )
    vectors.look_up(places, table, found)
    assert np.array_equal(found, table[places])


@pytest.mark.parametrize("size", [0, 63, 64, 1000])
def test_translate(size):
    numbers, table, found = *RNG.integers(0, 256, (2, 256)).astype(np.uint8), np.empty(size, np.uint8)
    numbers = np.resize(numbers, size)
    vectors.translate(numbers, table, found)
    assert np.array_equal(found, table[numbers])


@pytest.mark.parametrize("size", [1, 5, 40, 3000])
def test_a_single_lane_wastes_little(size):
    """A single lane begins with state 1 and takes only the bytes that it needs.

    The first symbol takes at most 12 bits, and the other symbols take 4 bits each.
    """
    symbols = np.random.default_rng(size).integers(0, 16, size).astype(np.uint8)
    frequencies = np.zeros((64, 32), np.int64)
    frequencies[0, :16] = 256
    writer, classes = BitWriter(100), np.zeros(size, np.uint8)
    tail = encode_lanes(writer, symbols, classes, rans.BOOK_BITS, frequencies, 1)
    assert size / 2 <= len(tail) <= size / 2 + 2
    reader = BitReader(writer.to_bytes() + tail, "codes")
    assert np.array_equal(decode_lanes(reader, classes, frequencies), symbols)


@given(hnp.arrays(np.uint8, st.integers(1, 200), elements=st.integers(0, 31)))
def test_sequences(classes):
    reader = BitReader(encode_classes(classes), "classes")
    assert np.array_equal(decode_classes(reader, classes.size), classes)
    reader.end()
