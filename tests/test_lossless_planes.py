"""`lossless`: which coding a plane gets, what it costs, and that every one comes back."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import gcodec
from gcodec.compressors.lossless import tuples
from gcodec.compressors.lossless.planes import RAW, SYMBOLS, TUPLES, ZSTANDARD, decode_plane, encode_plane

RNG = np.random.default_rng(7)
LONG = 1 << 18
NOISE = RNG.integers(0, 256, LONG).astype(np.uint8)
SKEWED = RNG.binomial(12, 0.5, LONG).astype(np.uint8)


def there_and_back(plane: np.ndarray, few: bool = False) -> tuple[int, int]:
    """The coding of a plane that comes back, and its bytes."""
    data = b"".join(encode_plane(plane, few))
    out = np.empty_like(plane)
    assert decode_plane(data, 0, out) == len(data)
    assert np.array_equal(out, plane)
    return data[0], len(data)


def entropy(plane: np.ndarray) -> float:
    """Bytes that an ideal code without memory takes."""
    counts = np.bincount(plane)
    counts = counts[counts > 0]
    return float((counts * np.log2(plane.size / counts)).sum()) / 8


def test_codings():
    assert there_and_back(NOISE) == (RAW, LONG + 1)
    coding, size = there_and_back(SKEWED)
    assert coding == SYMBOLS and size < 1.01 * entropy(SKEWED) + 400
    assert there_and_back(np.tile(NOISE[: LONG // 4], 4))[0] == ZSTANDARD
    assert there_and_back(np.zeros(LONG, np.uint8)) == (TUPLES, 11)


def test_a_repetition_beyond_the_sample_is_seen():
    """Two copies of noise: no piece of the sample repeats, words of the whole plane do."""
    coding, size = there_and_back(np.tile(NOISE[: LONG // 2], 2))
    assert coding == ZSTANDARD and size < 0.51 * LONG


def test_bytes_that_are_not_listed():
    plane = np.where(RNG.random(LONG) < 0.02, NOISE, SKEWED)
    coding, size = there_and_back(plane)
    assert coding == SYMBOLS and size < 1.05 * entropy(plane)


@pytest.mark.parametrize("share", [0.5, 0.1, 1e-2, 1e-3])
def test_a_mask_takes_its_entropy(share):
    plane = (RNG.random(LONG) < share).astype(np.uint8)
    assert there_and_back(plane)[1] < 1.03 * entropy(plane) + 64


@pytest.mark.parametrize("scale", [8, 20, 30])
def test_many_values_take_their_entropy(scale):
    plane = np.clip(np.rint(RNG.normal(size=LONG) * scale), -127, 127).astype(np.int8).view(np.uint8)
    coding, size = there_and_back(plane, few=True)
    assert coding == TUPLES and size < 1.01 * entropy(plane) + 600


@given(st.integers(1, 256).flatmap(lambda k: hnp.arrays(np.uint8, st.integers(1, 300), elements=st.integers(0, k - 1))))
def test_numbers_of_any_length(plane):
    for length in range(1, 11):
        out = np.empty_like(plane)
        tuples.unpack(tuples.pack(plane, length), out)
        assert np.array_equal(out, plane)


@given(hnp.arrays(np.uint8, st.integers(1, 300), elements=st.integers(0, 255)))
def test_any_plane(plane):
    assert there_and_back(plane)[1] <= plane.size + 1


@pytest.mark.parametrize("dtype", ["float16", ml_dtypes.bfloat16, "float32", "float64", "complex64", "int64", "bool"])
@pytest.mark.parametrize("size", [0, 1, 3, 4097, 300_000])
def test_dtypes(dtype, size):
    x = (RNG.normal(size=size) * 9).astype(dtype)
    y = gcodec.decode(gcodec.encode(x, lossless=True))
    assert y.dtype == x.dtype and y.tobytes() == x.tobytes()


def test_bfloat16_weights_need_less_than_two_thirds_and_a_bit():
    x = RNG.normal(size=1 << 20).astype(ml_dtypes.bfloat16)
    assert x.nbytes / len(gcodec.encode(x, lossless=True)) >= 1.485
