"""The entropy coder of `ecsq` and `dither`: tables, lanes of rANS, sequences of classes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gcodec.coding.bitstring import BitReader, BitWriter
from gcodec.coding.rans import (
    count_symbols,
    decode_classes,
    decode_symbols,
    encode_classes,
    encode_lanes,
    encode_symbols,
    slots_of,
)
from gcodec.kernels import rans, rans_tables, rans_vectors

HISTOGRAMS = st.lists(st.integers(0, 2**20), min_size=32, max_size=32).filter(any)


@given(HISTOGRAMS)
def test_tables(histogram):
    """What is read is what was written, fits the counts, and is no longer than MAX_BITS."""
    counts = np.array(histogram)
    data, written, read = (
        np.zeros(rans_tables.MAX_BITS // 8 + 1, np.uint8),
        np.empty(32, np.int64),
        np.empty(32, np.int64),
    )
    end = rans_tables.choose_table(counts, data, np.int64(3), written)
    assert rans_tables.get_table(data, np.int64(3), read) == end <= rans_tables.MAX_BITS
    assert np.array_equal(written, read) and written.sum() == rans.TOTAL and (written[counts > 0] > 0).all()
    ideal = -(counts[counts > 0] * np.log2(counts[counts > 0] / counts.sum())).sum()
    assert rans_tables.code_length(counts, written) <= ideal + counts.sum() * 0.08


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=32).filter(any))
def test_normalise(weights):
    weights = np.array(weights)
    frequencies = np.empty(weights.size, np.int64)
    rans.normalise(weights, frequencies)
    assert frequencies.sum() == rans.TOTAL and np.array_equal(frequencies > 0, weights > 0)
    expected = np.empty_like(frequencies)
    rans.normalise.py_func(weights, expected)
    assert np.array_equal(frequencies, expected)


@given(st.data(), st.sampled_from([1, 2, 4, 8, 16, 32, 64]), st.integers(1, 300))
def test_lanes(data, lanes, size):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    symbols = np.minimum(rng.geometric(0.3, size), 32).astype(np.uint8) - np.uint8(1)
    classes = rng.integers(0, 3, size).astype(np.uint8)
    writer = BitWriter(1 << 16)
    frequencies = np.zeros((32, 32), np.int64)
    for c in np.unique(classes):
        counts = np.bincount(symbols[classes == c], minlength=32)
        writer.at = rans_tables.choose_table(counts, writer.data, writer.at, frequencies[c])
    coded = encode_lanes(writer, symbols, classes, frequencies, lanes)
    reader = BitReader(writer.to_bytes() + coded, "symbols")
    assert np.array_equal(decode_symbols(reader, classes, with_shifts=False)[0], symbols)
    reader.end()


@pytest.mark.skipif(not rans_vectors.SUPPORTED, reason="this processor has no vectors for rANS")
@pytest.mark.parametrize("size", [64, 65, 127, 128, 5000, 70_001])
@pytest.mark.parametrize("bound", [0.9, 0.5, 0.05])
def test_vectors_do_what_the_plain_loops_do(monkeypatch, size, bound):
    """The same bytes, and the same end for words that are missing or damaged."""
    random = np.random.default_rng(size)
    symbols = np.minimum(random.geometric(bound, size), 32).astype(np.uint8) - np.uint8(1)
    classes = random.integers(0, 32, size).astype(np.uint8)
    frequencies = count_symbols(symbols, classes, rans.SYMBOLS)
    for c in np.unique(classes):
        rans.normalise(frequencies[c].copy(), frequencies[c])
    ends = []
    for supported in (True, False):
        monkeypatch.setattr(rans_vectors, "SUPPORTED", supported)
        ends.append(encode_lanes(BitWriter(64), symbols, classes, frequencies, 64))
    assert ends[0] == ends[1]
    states = np.frombuffer(ends[0][:256], np.uint32)
    words = np.frombuffer(ends[0][256:], np.uint16)
    for damaged in (words, words[:-1], words[: words.size // 2], words[:0], words ^ np.uint16(1)):
        padded = np.append(damaged, np.zeros(rans.MAX_LANES, np.uint16))
        found = []
        for supported in (True, False):
            state, out = states.copy(), np.zeros(size, np.uint8)
            args = state, padded, classes, slots_of(frequencies), out
            done = rans_vectors.decode_rows(*args) if supported else (0, 0)
            found.append((rans.decode(*args, *done), out))
        assert found[0][0] == found[1][0]
        if damaged is words:
            assert found[0][0] == rans.OK and all(np.array_equal(out, symbols) for _, out in found)


@given(hnp.arrays(np.uint8, st.integers(1, 200), elements=st.integers(0, 31)))
def test_sequences(classes):
    reader = BitReader(encode_classes(classes), "classes")
    assert np.array_equal(decode_classes(reader, classes.size), classes)
    reader.end()


def test_symbols_need_every_class():
    """Classes that do not occur cost nothing, one that occurs has its table."""
    symbols = np.arange(64).astype(np.uint8) % 4
    sizes = []
    for classes in (np.zeros(64, np.uint8), np.full(64, 31, np.uint8), np.arange(64, dtype=np.uint8) % 2):
        writer = BitWriter(1 << 12)
        sizes.append(len(encode_symbols(writer, symbols, classes)) + len(writer.to_bytes()))
    assert sizes[0] == sizes[1] < sizes[2]
