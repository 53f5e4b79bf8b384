"""The paper's code of levels.

It gives back what went in, keeps to its stated length, and refuses everything else.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcodec.compressors.sparse_dithering.code import OVERHEAD_BITS, pack_levels, unpack_levels
from gcodec.errors import Corrupt
from gcodec.kernels import bits, enumerative

LEVELS = st.lists(st.one_of(st.just(0), st.integers(-3, 3), st.integers(-(2**40), 2**40)), min_size=1, max_size=80)


def code_length(levels: np.ndarray) -> float:
    """log2 n + log2 C(n, zeros) + nonzeros + Σ|level|."""
    n, m = levels.size, int(np.count_nonzero(levels))
    ways = (math.lgamma(n + 1) - math.lgamma(m + 1) - math.lgamma(n - m + 1)) / math.log(2)
    return math.log2(n) + ways + m + float(np.abs(levels).sum())


def check(levels: np.ndarray) -> bytes:
    data = pack_levels(levels)
    assert np.array_equal(unpack_levels(data, levels.size), levels)
    assert 8 * len(data) <= code_length(levels) + OVERHEAD_BITS
    return data


@given(LEVELS)
def test_round_trip_and_length(levels):
    check(np.array(levels, np.int64))


@pytest.mark.parametrize("size", [1, 2, 7, 64, 65_535, 65_536, 1 << 20])
def test_extreme_bitmaps(size):
    rng = np.random.default_rng(size)
    for nonzeros in {0, 1, 2, size // 3, size - 2, size - 1, size} & set(range(size + 1)):
        levels = np.zeros(size, np.int64)
        levels[:nonzeros] = 1
        for arranged in (levels, levels[::-1].copy(), rng.permutation(levels)):
            check(arranged)


def test_arithmetic_coder_loses_less_than_stated():
    """Bits of the zero bitmap alone, against log2(n+1) + log2 C(n, zeros) + 2.03."""
    rng = np.random.default_rng(0)
    for size in (1, 5, 300, 1 << 20):
        for share in (0.001, 0.3, 0.9):
            levels = (rng.random(size) < share).astype(np.int64)
            nonzeros = int(levels.sum())
            out = np.zeros(size // 8 + 64, np.uint8)
            exact = code_length(levels) - 2 * nonzeros - math.log2(size) + math.log2(size + 1)
            assert enumerative.encode_zeros(levels, size - nonzeros, out) <= exact + 2.03


def test_every_bitmap_of_a_few_values():
    """All codes of 8 values are distinct, which a code must be, and every carry path is met."""
    codes = set()
    for mask in range(256):
        codes.add(check(np.array([mask >> i & 1 for i in range(8)], np.int64)))
    assert len(codes) == 256


def test_rice_parameter_is_the_best():
    rng = np.random.default_rng(1)
    for scale in (0.5, 2.0, 30.0, 1e5, 1e12):
        levels = np.rint(rng.standard_t(2, 500) * scale).clip(-1e15, 1e15).astype(np.int64)
        extra = np.abs(levels[levels != 0]) - 1
        lengths = [int((extra >> low).sum()) + extra.size * (low + 1) for low in range(54)]
        zeros, low, level_bits = enumerative.measure_levels(levels)
        assert (zeros, low, level_bits) == (500 - extra.size, int(np.argmin(lengths)), min(lengths))


def test_length_grows_with_the_logarithm_of_levels():
    levels = np.zeros(1 << 20, np.int64)
    levels[12345] = -(2**53)
    assert len(check(levels)) < 20
    levels[levels == 0] = 1
    mean = float(np.abs(levels).mean())
    assert 8 * len(check(levels)) < (math.log2(mean) + 4) * levels.size


def test_scaled_values():
    levels = np.array([3, -1, 0, 2**53, -(2**53)], np.int64)
    data = pack_levels(levels)
    narrow = unpack_levels(data, 5, 0.1, np.float32)
    assert narrow.dtype == np.float32
    assert np.array_equal(narrow, np.float32(np.float64(levels) * 0.1))
    largest = np.finfo(np.float32).max
    assert unpack_levels(data, 5, 3e38, np.float32).tolist() == [largest, np.float32(-3e38), 0, largest, -largest]
    assert unpack_levels(data, 5, 1e308).tolist()[3:] == [np.finfo(np.float64).max, -np.finfo(np.float64).max]


def test_not_a_chunk():
    for size in (0, (1 << 20) + 1):
        with pytest.raises(ValueError, match="do not fit"):
            pack_levels(np.zeros(size, np.int64))
        with pytest.raises(Corrupt):
            unpack_levels(b"\0" * 8, size)


def test_every_prefix_and_extension_is_corrupt():
    levels = np.random.default_rng(2).integers(-4, 5, 60)
    data = pack_levels(levels)
    for length in range(len(data)):
        with pytest.raises(Corrupt):
            unpack_levels(data[:length], levels.size)
    for more in (b"\0", b"\xff", bytes(9)):
        with pytest.raises(Corrupt):
            unpack_levels(data + more, levels.size)


@given(st.binary(max_size=40), st.integers(1, 300))
def test_any_bytes(data, count):
    """Whatever decodes is levels; the bitmap's bits are the only ones for it."""
    try:
        levels = unpack_levels(data, count)
    except Corrupt:
        return
    assert levels.shape == (count,) and np.isfinite(levels).all()
    again = pack_levels(levels.astype(np.int64))
    head = np.zeros(count // 8 + 64, np.uint8)
    length = enumerative.encode_zeros(levels.astype(np.int64), int((levels == 0).sum()), head)
    assert bits.get_bits(np.frombuffer(data, np.uint8), 0, min(length, 62)) == bits.get_bits(head, 0, min(length, 62))
    assert len(again) <= len(data)


@given(LEVELS, st.integers(0, 10**6), st.integers(0, 255))
def test_mutations(levels, at, byte):
    data = bytearray(pack_levels(np.array(levels, np.int64)))
    data[at % len(data)] = byte
    try:
        assert unpack_levels(bytes(data), len(levels)).size == len(levels)
    except Corrupt:
        pass


@given(st.lists(st.tuples(st.integers(0, 2**62 - 1), st.integers(0, 62)), max_size=20), st.integers(0, 7))
def test_bit_fields(fields, at):
    out = np.zeros(200, np.uint8)
    end = at
    for value, width in fields:
        end = bits.put_bits(out, end, value, width)
    for value, width in fields:
        assert bits.get_bits(out, at, width) == value & ((1 << width) - 1)
        at += width
    assert at == end and not out[(end + 7) // 8 :].any()
    assert bits.get_bits(out, 8 * out.size - 3, 62) == 0


@given(st.lists(st.integers(0, 900), max_size=30), st.integers(0, 62))
def test_rice_codes(values, low):
    out = np.zeros(4000, np.uint8)
    at = 0
    for value in values:
        at = bits.put_rice(out, at, value, low)
    data, at = out[: (at + 7) // 8], 0
    for value in values:
        assert bits.get_rice(data, at, low, value)[0] == value
        if value:
            assert bits.get_rice(data, at, low, value - 1)[0] == -1
        _, at = bits.get_rice(data, at, low, 2**62 - 1)
    assert bits.get_rice(data, 8 * data.size, low, 2**62 - 1)[0] == -1
