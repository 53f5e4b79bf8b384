"""The way from work values to a tensor's dtype."""

import numpy as np
import pytest

from gcodec.dtypes import narrow
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


def test_not_a_number_stays_one():
    values = np.array([[np.nan, -np.nan, 1]], np.float32)
    assert np.isnan(narrow(values, np.dtype(np.float16))).tolist() == [[True, True, False]]


@pytest.mark.parametrize("shape", [(), (0,), (3, 1, 2)])
def test_shapes_stay(shape):
    assert narrow(np.ones(shape, np.float32), np.dtype(np.float16)).shape == shape
