"""Integers and the scale that they are multiplied by, found from the products."""

import math

import numpy as np

from ... import dtypes

MOST = 255  # the largest integer, and the largest distance of two
_DIFFERENT = 0.95  # with a larger share of different values, a group is not looked at further
_SOON = 16  # the divisor by which most groups have their scales
_NEAR = 2.0**-30  # how far the ratio of two values may be from a whole number, beside their roundings
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
    return min(MOST, int(1 / (4 * dtypes.spacing(dtype))))


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
    least = np.where(sizes > 0, sizes, math.inf).min(1)
    scales, open_ = np.where(np.isfinite(least), least, 0.0), np.isfinite(least)
    integers = np.zeros(wide.shape, np.int64)
    divisor = 0
    while open_.any():
        divisor += 1
        rows = np.flatnonzero(open_)
        if divisor > most // 2 or (divisor > _SOON and rows.size > len(values) // 2):
            return None
        ratios = wide[rows] / (least[rows, None] / divisor)
        near = np.rint(ratios)
        slack = 1.1 * dtypes.spacing(values.dtype) * np.abs(near) + _NEAR
        fits = (np.abs(ratios - near) <= slack).all(1) & (np.abs(near).max(1) <= most)
        chosen, right = _scales_for(values[rows[fits]], near[fits].astype(np.int64))
        done = rows[fits][right]
        integers[done], scales[done], open_[done] = near[fits][right], chosen[right], False
    return scales, int(integers.min(initial=0)), int(integers.max(initial=0))


def _scales_for(values: np.ndarray, integers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(the simplest scale that gives each row's values from its integers, whether there is one)."""
    wide, sizes = np.abs(values.astype(np.float64)), np.abs(integers).astype(np.float64)
    work = dtypes.work_dtype(values.dtype)
    lows = np.where(sizes > 0, (wide + _neighbours(wide, values.dtype, -1)) / 2 / sizes, 0.0).max(1, initial=0.0)
    highs = np.where(sizes > 0, (wide + _neighbours(wide, values.dtype, 1)) / 2 / sizes, math.inf)
    middle = (lows + highs.min(1, initial=math.inf)) / 2
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
