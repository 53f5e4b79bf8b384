"""Integers and the scale that they are multiplied by, found from the products."""

import math

import numpy as np

from ... import dtypes
from ...kernels import planes as kernels

MOST = 255  # the largest integer, and the largest distance of two
_DIFFERENT = 0.95  # with a larger share of different values, a group is not looked at further
_TRIED = 64  # the largest divisor of the smallest magnitude that is tried after one that failed
_MANTISSAS, _WIDE = (8, 11, 24), (32, 40, 53)  # bits of the simplest scales that are tried, first and last
_FIRST = 32  # values that are looked at before all: the smallest ones, a few times the scale


@np.errstate(invalid="ignore")
def looks_like_one(values: np.ndarray) -> bool:
    """Whether some values repeat themselves, and the smallest ones and all of them have a scale.

    Equal values show nothing.
    """
    sizes = np.abs(values.astype(np.float64))
    others = sizes[sizes > 0]
    if np.unique(others).size > min(_DIFFERENT * others.size, _most(values.dtype)) or (values == values[0]).all():
        return False
    smallest = values[np.argsort(np.where(sizes > 0, sizes, math.inf))[:_FIRST]]
    return all(solved(part[None, :]) is not None for part in (smallest, values))


def _most(dtype: np.dtype) -> int:
    """The largest integer that a dtype's roundings leave distinct from its neighbours."""
    return min(MOST, int(1 / dtypes.spacing(dtype)))


@np.errstate(all="ignore")  # what is beyond the range of float64 has no scale
def solved(values: np.ndarray) -> tuple[np.ndarray, int, int] | None:
    """(scales, the least and the largest integer) of groups in rows.

    The smallest magnitude is tried as 1, 2, 3 … times the scale.
    """
    most = _most(values.dtype)
    wide = values.astype(np.float64)
    sizes = np.abs(wide)
    if not np.isfinite(sizes).all():
        return None
    lows, highs = _roundings(sizes, values.dtype)
    order, integers = np.argsort(sizes, 1), np.zeros(sizes.shape, np.int64)
    divisors, scales = np.array(sizes.any(1), np.int64), np.zeros(len(sizes))
    while divisors.any():
        if not kernels.integers_of(lows, highs, order, most, divisors, integers):
            return None
        rows = np.flatnonzero(divisors)
        chosen, right = _scales_for(values[rows], np.copysign(integers[rows], wide[rows]).astype(np.int64))
        scales[rows], divisors[rows[right]] = chosen, 0
        divisors[divisors > 0] += 1
        if (divisors > _TRIED).any():
            return None
    signed = np.copysign(integers, wide)
    return scales, int(signed.min(initial=0)), int(signed.max(initial=0))


@np.errstate(all="ignore")
def may_be_solved(parts: list[np.ndarray]) -> list[bool]:
    """Whether the rows of each part may have scales; all rows have the same length."""
    if not parts:
        return []
    values = np.concatenate(parts)
    sizes = np.abs(values.astype(np.float64))
    if not np.isfinite(sizes).all():
        return [False] * len(parts)
    (lows, highs), order, most = _roundings(sizes, values.dtype), np.argsort(sizes, 1), _most(values.dtype)
    divisors, integers = np.ones(len(sizes), np.int64), np.zeros(sizes.shape, np.int64)
    ends = np.cumsum([len(part) for part in parts])
    rows = [slice(end - len(part), end) for end, part in zip(ends, parts, strict=True)]
    return [kernels.integers_of(lows[one], highs[one], order[one], most, divisors[one], integers[one]) for one in rows]


def _roundings(sizes: np.ndarray, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Between what a magnitude may be that is rounded to each of these; 0 for 0."""
    low, high = (np.where(sizes > 0, (sizes + _neighbours(sizes, dtype, step)) / 2, 0.0) for step in (-1, 1))
    return low, high


def _scales_for(values: np.ndarray, integers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(the simplest scale that gives each row's values from its integers, whether there is one)."""
    wide, sizes = np.abs(values.astype(np.float64)), np.abs(integers).astype(np.float64)
    work = dtypes.work_dtype(values.dtype)
    lows, highs = _roundings(wide, values.dtype)
    low = np.divide(lows, sizes, out=np.zeros_like(lows), where=sizes > 0).max(1, initial=0.0)
    high = np.divide(highs, sizes, out=np.full_like(highs, math.inf), where=sizes > 0).min(1, initial=math.inf)
    middle = (low + high) / 2
    near = [middle.astype(work)]
    for direction in (0.0, 0.0, np.inf, np.inf):
        near.append(np.nextafter(near[-1] if len(near) % 2 == 0 else near[0], work.type(direction)))
    tried = [_rounded(middle, bits) for bits in _MANTISSAS] + [one.astype(np.float64) for one in near]
    tried += [_rounded(middle, bits) for bits in _WIDE]
    scales, right = middle.copy(), np.zeros(len(values), bool)
    for found in tried:
        good = ~right & (products(integers, found[:, None], values.dtype) == values).all(1)
        scales[good], right = found[good], right | good
    return scales, right


def _neighbours(sizes: np.ndarray, dtype: np.dtype, step: int) -> np.ndarray:
    """The next magnitudes of a dtype below (step −1) or above; those of 0 mean nothing."""
    words = sizes.astype(dtype).view(f"i{dtype.itemsize}") + np.dtype(f"i{dtype.itemsize}").type(step)
    return np.asarray(words.view(dtype).astype(np.float64))


def _rounded(values: np.ndarray, bits: int) -> np.ndarray:
    mantissas, exponents = np.frexp(values)
    return np.asarray(np.ldexp(np.rint(np.ldexp(mantissas, bits)), exponents - bits))


def products(integers: np.ndarray, scales: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Integers times scales in float64, rounded to the work dtype and then to the tensor's.

    What is beyond the range of the dtype becomes its largest number.
    """
    work = dtypes.work_dtype(dtype)
    largest = np.finfo(work).max.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        wide = np.clip(integers.astype(np.float64) * scales, -largest, largest)
    return dtypes.narrow(wide.astype(work), dtype)
