"""Tensors of integers times scales take about the entropy of the integers, under any bound."""

import ml_dtypes
import numpy as np
import pytest
from checks import header_of
from hypothesis import given
from hypothesis import strategies as st

import gcodec
from gcodec.compressors.lossless.multiples import Multiples
from gcodec.source import ArraySource

RNG = np.random.default_rng(11)
FLOATS = ["f2", ml_dtypes.bfloat16, "f4", "f8"]


def integers(bits: int, *shape: int) -> np.ndarray:
    """Integers of some bits, as quantisers give them."""
    most = 1 << bits - 1
    return np.clip(np.rint(RNG.normal(size=shape) * most / 4), -most, most - 1).astype(int)


def scales(*shape: int) -> np.ndarray:
    return np.exp(RNG.normal(size=shape)).astype(np.float32)


def entropy(numbers: np.ndarray) -> float:
    """Bytes that an ideal code without memory takes."""
    counts = np.unique(numbers, return_counts=True)[1]
    return float((counts * np.log2(numbers.size / counts)).sum()) / 8


def times(numbers: np.ndarray, scale: np.ndarray, dtype: object) -> np.ndarray:
    """Numbers in groups, times the scale of each: products are rounded once."""
    return (numbers.astype(np.float64) * scale.astype(np.float64)).astype(dtype)


SHAPES = {  # the shape of the numbers, and that of the scales that are spread over them
    "whole": ((128, 96), (1, 1)),
    "rows": ((128, 96), (128, 1)),
    "columns": ((128, 96), (1, 96)),
    "groups of rows": ((64, 4, 64), (64, 4, 1)),
    "groups of columns": ((4, 128, 24), (4, 1, 24)),
    "groups of rows of 48": ((64, 5, 48), (64, 5, 1)),
    "groups of rows of 40": ((64, 4, 40), (64, 4, 1)),
    "groups of columns of 96": ((3, 96, 40), (3, 1, 40)),
    "every other value": ((64, 64, 2), (1, 1, 2)),
    "heads": ((8, 32, 48), (8, 1, 1)),
    "rows of heads": ((8, 32, 48), (8, 32, 1)),
    "kernels": ((64, 8, 3, 3), (64, 1, 1, 1)),
}


@pytest.mark.parametrize(
    "bound", [{"lossless": True}, {"alpha": 0.3}, {"alpha": 1e-6}, {"omega": 0.5}, {"pointwise": 0.1}]
)
@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("kind", SHAPES)
def test_entropy_and_scales(kind, bits, bound):
    shape, per = SHAPES[kind]
    numbers, scale = integers(bits, *shape), scales(*per)
    x = times(numbers, scale, np.float32).reshape(*[-1, shape[-1]] if "groups" in kind else shape)
    if "groups of rows" in kind or "every" in kind:
        x = x.reshape(shape[0], -1)
    data = gcodec.encode(x, **bound)
    assert gcodec.decode(data).tobytes() == x.tobytes() and header_of(data).guarantee.kind == "exact"
    assert header_of(data).body_length <= 1.03 * entropy(numbers) + 4 * scale.size + 64


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: np.dtype(dtype).name)
def test_every_dtype(dtype, bits):
    for per in ((64, 1), (1, 256)):
        numbers = integers(bits, 64, 256)
        x = times(numbers, scales(*per), dtype)
        data = gcodec.encode(x, alpha=0.1)
        assert gcodec.decode(data).tobytes() == x.tobytes()
        assert header_of(data).body_length <= 1.03 * entropy(numbers) + 4 * max(per) + 64


@pytest.mark.parametrize("per", [(64, 1), (1, 128), (1, 1)])
def test_scales_of_more_digits_than_the_tensor(per):
    """Products in float64 that were rounded to float32: no float32 scale gives them."""
    numbers, scale = integers(8, 64, 128), np.exp(RNG.normal(size=per))
    x = (numbers * scale).astype(np.float32)
    data = gcodec.encode(x, alpha=0.1)
    assert gcodec.decode(data).tobytes() == x.tobytes()
    assert header_of(data).body_length <= 1.03 * entropy(numbers) + 6 * scale.size + 64


def test_both_zeros():
    x = times(np.rint(RNG.normal(size=(64, 64))), scales(64, 1), np.float32)
    assert np.signbit(x[x == 0]).any() and Multiples.of(ArraySource(x), None) is not None
    assert gcodec.decode(gcodec.encode(x, alpha=0.1)).tobytes() == x.tobytes()


def test_several_chunks():
    x = times(integers(4, 1100, 1000), scales(1100, 1), np.float32)
    data = gcodec.encode(x, alpha=0.1)
    assert len(header_of(data).chunks) == 2 and gcodec.decode(data).tobytes() == x.tobytes()


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: np.dtype(dtype).name)
def test_other_tensors_are_not_taken_for_these(dtype):
    x = times(integers(4, 64, 128), scales(64, 1), dtype)
    x[40, 7] = np.abs(x[40]).max() / np.array(1000).astype(dtype)
    assert Multiples.of(ArraySource(x), None) is None
    for other in (RNG.normal(size=(64, 64)), np.where(RNG.random((64, 64)) < 0.1, RNG.normal(size=(64, 64)), 0)):
        assert header_of(gcodec.encode(other.astype(dtype), alpha=0.1)).guarantee.kind == "alpha"


@given(
    st.sampled_from(FLOATS),
    st.lists(st.integers(1, 40), min_size=1, max_size=3),
    st.integers(1, 255),
    st.integers(-40, 40),
    st.integers(0, 2**32),
)
def test_any_multiples(dtype, shape, most, power, seed):
    rng = np.random.default_rng(seed)
    with np.errstate(over="ignore"):
        x = times(rng.integers(-most, most + 1, shape), np.exp2(rng.normal(size=(*shape[:-1], 1)) + power), dtype)
    assert gcodec.decode(gcodec.encode(x, lossless=True)).tobytes() == x.tobytes()


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: np.dtype(dtype).name)
def test_the_smallest_numbers_of_a_dtype_come_back(dtype):
    least = float(ml_dtypes.finfo(dtype).smallest_subnormal)
    x = (np.arange(1, 257) % 3 + 1).astype(np.float64) * least
    for scale in (1, 100):
        values = (x * scale).astype(dtype)
        assert np.array_equal(gcodec.decode(gcodec.encode(values, lossless=True)), values)


def test_scales_that_float32_cannot_hold():
    """They are sent as float64, and without a warning of an overflow."""
    x = 1e305 * integers(4, 64, 32)
    data = gcodec.encode(x, lossless=True)
    assert len(data) < x.nbytes / 8 and np.array_equal(gcodec.decode(data), x)
