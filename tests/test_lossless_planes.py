"""`lossless`: which coding a plane gets, what it costs, and that every one comes back."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import gcodec
from gcodec.compressors.lossless.planes import RAW, SYMBOLS, ZSTANDARD, decode_plane, encode_plane

RANDOM = np.random.default_rng(7)
LONG = 1 << 18
NOISE = RANDOM.integers(0, 256, LONG).astype(np.uint8)
SKEWED = RANDOM.binomial(12, 0.5, LONG).astype(np.uint8)


def there_and_back(plane: np.ndarray) -> tuple[int, int]:
    """The coding of a plane that comes back, and its bytes."""
    data = b"".join(encode_plane(plane))
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
    assert there_and_back(np.zeros(LONG, np.uint8))[0] == ZSTANDARD


def test_a_repetition_beyond_the_sample_is_seen():
    """Two copies of noise: no piece of the sample repeats, words of the whole plane do."""
    coding, size = there_and_back(np.tile(NOISE[: LONG // 2], 2))
    assert coding == ZSTANDARD and size < 0.51 * LONG


def test_bytes_that_are_not_listed():
    plane = np.where(RANDOM.random(LONG) < 0.02, NOISE, SKEWED)
    coding, size = there_and_back(plane)
    assert coding == SYMBOLS and size < 1.05 * entropy(plane)


@given(hnp.arrays(np.uint8, st.integers(1, 300), elements=st.integers(0, 255)))
def test_any_plane(plane):
    assert there_and_back(plane)[1] <= plane.size + 1


@pytest.mark.parametrize("dtype", ["float16", ml_dtypes.bfloat16, "float32", "float64", "complex64", "int64", "bool"])
@pytest.mark.parametrize("size", [0, 1, 3, 4097, 300_000])
def test_dtypes(dtype, size):
    x = (RANDOM.normal(size=size) * 9).astype(dtype)
    y = gcodec.decode(gcodec.encode(x, lossless=True))
    assert y.dtype == x.dtype and y.tobytes() == x.tobytes()


def test_bfloat16_weights_need_less_than_two_thirds_and_a_bit():
    x = RANDOM.normal(size=1 << 20).astype(ml_dtypes.bfloat16)
    assert x.nbytes / len(gcodec.encode(x, lossless=True)) >= 1.485
