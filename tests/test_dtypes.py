"""The way from work values to a tensor's dtype."""

import ml_dtypes
import numpy as np
import pytest

from gcodec.dtypes import narrow, same_bytes, widen
from gcodec.kernels.half import to_half


def by_numpy(values: np.ndarray) -> np.ndarray:
    return np.clip(values, -65504, 65504).astype(np.float16)


def around(patterns: np.ndarray) -> np.ndarray:
    """float32 values at, and next to, these float16 numbers and the middles between them.

    They have both signs.
    """
    numbers = patterns.astype(np.uint16).view(np.float16).astype(np.float32)
    middles = (numbers[1:] + numbers[:-1]) / 2
    exact = np.concatenate([numbers, middles])
    beside = np.concatenate([np.nextafter(exact, np.float32(s)) for s in (-np.inf, np.inf)])
    return np.concatenate([exact, beside, -exact, -beside])


def test_float16_is_rounded_as_numpy_does():
    """Every float16 and what lies between; beyond them, the largest one; float32 of any bits."""
    random = np.random.default_rng(0).integers(0, 2**32, 1 << 20, np.uint32).view(np.float32)
    ends = np.array([65519.9, 65520, 7e4, 3e38, np.inf, 0.0, -0.0, 1e-45, 2.0**-25, 2.0**-24 * 1.5], np.float32)
    values = np.concatenate([around(np.arange(0x7C00)), random[~np.isnan(random)], ends, -ends])
    assert np.array_equal(narrow(values, np.dtype(np.float16)).view(np.uint16), by_numpy(values).view(np.uint16))


def test_float16_in_plain_python():
    values = around(np.arange(0, 0x7C00, 97))
    out = np.empty(values.size, np.uint16)
    to_half.py_func(values, values.view(np.int32), out)
    assert np.array_equal(out, by_numpy(values).view(np.uint16))


def test_bfloat16_is_rounded_and_widened_as_ml_dtypes_does():
    """Every bfloat16, and what lies next to it and to the middles between them."""
    dtype, bits = np.dtype(ml_dtypes.bfloat16), np.arange(1 << 16, dtype=np.uint32) << 16
    numbers = (bits >> 16).astype(np.uint16).view(dtype)
    assert np.array_equal(widen(numbers).view(np.uint32), numbers.astype(np.float32).view(np.uint32))
    values = np.concatenate([bits + off for off in (0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF)]).view(np.float32)
    values = values[~np.isnan(values)]
    largest = float(ml_dtypes.finfo(dtype).max)
    rounded = np.clip(values, -largest, largest).astype(dtype)
    assert np.array_equal(narrow(values, dtype).view(np.uint16), rounded.view(np.uint16))
    assert np.isnan(narrow(np.array([np.nan, -np.nan], np.float32), dtype).astype(np.float32)).all()


@pytest.mark.parametrize("size", [0, 7, 8, 1000])
def test_same_bytes(size):
    a = np.arange(size, dtype=np.uint8)
    assert same_bytes(a, a.copy())
    for place in (0, size - 1) if size else ():
        other = a.copy()
        other[place] ^= 1
        assert not same_bytes(a, other)


def test_not_a_number_stays_one():
    values = np.array([[np.nan, -np.nan, 1]], np.float32)
    assert np.isnan(narrow(values, np.dtype(np.float16))).tolist() == [[True, True, False]]


@pytest.mark.parametrize("shape", [(), (0,), (3, 1, 2)])
def test_shapes_stay(shape):
    assert narrow(np.ones(shape, np.float32), np.dtype(np.float16)).shape == shape
