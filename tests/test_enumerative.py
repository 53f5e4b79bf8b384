"""The paper's code of levels.

It gives back what went in, keeps to its stated length, and refuses everything else.
"""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcodec.compressors.sparse_dithering.code import OVERHEAD_BITS, pack_levels, unpack_levels
from gcodec.errors import Corrupt
from gcodec.kernels.entropy import bits, enumerative

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
    known = pack_levels(levels, sign_known=True)
    sign = -1.0 if levels.any() and levels[np.flatnonzero(levels)[0]] < 0 else 1.0
    assert np.array_equal(unpack_levels(known, levels.size, sign, sign_known=True), levels)
    assert 8 * len(known) <= code_length(levels) - levels.any() + OVERHEAD_BITS
    return data


def names(levels: np.ndarray) -> set[bytes]:
    """The codes of levels with each Rice parameter."""
    zeros, found = int((levels == 0).sum()), set()
    rest = np.abs(levels[levels != 0]) - 1
    for rice in range(enumerative.MAX_RICE + 1):
        room = 192 + 3 * levels.size + int((rest >> rice).sum()) + rest.size * (rice + 1)
        if room < 1 << 24:
            out = np.zeros(room // 8 + 1, np.uint8)
            found.add(out[: enumerative.encode_levels(levels, zeros, rice, False, out)].tobytes())
    return found


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


def test_the_coder_loses_less_than_stated():
    """Ones and zeros against log2(n+1) + log2 C(n, zeros) + two bits for each one, + 8.2."""
    rng = np.random.default_rng(0)
    for size in (1, 5, 300, 1 << 20):
        for share in (0.0, 0.001, 0.3, 0.9, 1.0):
            levels = (rng.random(size) < share).astype(np.int64)
            exact = code_length(levels) - math.log2(size) + math.log2(size + 1)
            assert 8 * len(pack_levels(levels)) <= exact + 8.2


@pytest.mark.parametrize("size", [3, 10, 100, 5000])
def test_the_mean_excess_over_the_paper_s_count(size):
    """Whole bytes take 2.6 bits on average where levels are in unary: within 99.9 % of that."""
    rng = np.random.default_rng(size)
    excess = []
    for _ in range(1000 if size < 1000 else 200):
        levels = np.rint(rng.standard_normal(size)).astype(np.int64)
        excess.append(8 * len(pack_levels(levels)) - code_length(levels) - math.log2((size + 1) / size))
    mean, spread = np.mean(excess), np.std(excess) / math.sqrt(len(excess))
    assert mean <= 2.65 + 3.3 * spread


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
        lengths = [int((extra >> low).sum()) + extra.size * (low + 1) + 10 * (low > 0) for low in range(54)]
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


def test_a_sign_that_is_known_is_that_of_the_scale():
    levels = np.array([0, 2, -1, 3], np.int64)
    data = pack_levels(levels, sign_known=True)
    assert unpack_levels(data, 4, -0.5, sign_known=True).tolist() == [0, -1.0, -0.5, 1.5]
    assert pack_levels(levels * [1, -1, 1, 1], sign_known=True) == data


def test_extensions_are_corrupt_and_prefixes_are_other_levels():
    levels = np.random.default_rng(2).integers(-4, 5, 60)
    data = pack_levels(levels)
    for more in (b"\0", b"\1", b"\xff", bytes(9), bytes(9) + b"\1"):
        with pytest.raises(Corrupt):
            unpack_levels(data + more, levels.size)
    for length in range(len(data)):
        try:
            other = unpack_levels(data[:length], levels.size)
        except Corrupt:
            continue
        assert not np.array_equal(other, levels)


@given(st.binary(max_size=6), st.integers(1, 40))
def test_any_bytes(data, count):
    """Whatever decodes is levels; no other bytes are their code with the same Rice parameter."""
    try:
        levels = unpack_levels(data, count)
    except Corrupt:
        return
    assert levels.shape == (count,) and np.isfinite(levels).all()
    assert data in names(levels.astype(np.int64))


@given(st.binary(max_size=60), st.integers(1, 1000))
def test_any_bytes_end(data, count):
    """Bytes beyond the end count as zeros and cost nothing, yet no level goes on for ever."""
    for known in (False, True):
        try:
            assert np.isfinite(unpack_levels(data, count, sign_known=known)).all()
        except Corrupt:
            pass


def test_two_codes_of_few_values_are_never_equal():
    """Each code names one sequence: levels of −2 … 2 in three values, all bytes of up to two."""
    codes = {pack_levels(np.array(levels, np.int64)) for levels in itertools.product(range(-2, 3), repeat=3)}
    assert len(codes) == 125
    decoded = []
    for data in (b"", *(bytes([a]) for a in range(256)), *(bytes([a, b]) for a in range(256) for b in range(256))):
        try:
            decoded.append(tuple(unpack_levels(data, 3)))
        except Corrupt:
            continue
        assert data in names(np.array(decoded[-1], np.int64))
    assert len(decoded) > 1000


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
