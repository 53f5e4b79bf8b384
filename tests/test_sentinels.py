"""Values that stand for what is missing are found and kept, or named in a warning."""

import warnings

import numpy as np
import pytest
from checks import header_of

import gcodec

RNG = np.random.default_rng(4)


def error(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x.astype(np.float64), y.astype(np.float64)
    return float(((y - x) ** 2).sum() / (x**2).sum())


def checked(x: np.ndarray, **options: object) -> np.ndarray:
    """What comes back of a file of which every promise holds."""
    data = gcodec.encode(x, **options)
    assert gcodec.verify(data, x).ok
    return gcodec.decode(data)


@pytest.mark.parametrize(("dtype", "mark"), [("f4", 1e20), ("f4", 9.96921e36), ("f8", -9999.0), ("f2", -32768.0)])
def test_marks_of_what_is_missing_are_found(dtype, mark):
    x = (280 + 5 * RNG.standard_normal((90, 120))).astype(dtype)
    hidden = RNG.random(x.shape) < 0.1
    x[hidden] = mark
    y = checked(x, alpha=1e-5)
    assert np.array_equal(y[hidden], x[hidden])
    assert error(x[~hidden], y[~hidden]) <= 1e-5


FIELD = (10 + 5 * RNG.standard_normal((300, 200))).astype(np.float32)
PLACE = RNG.random(FIELD.shape)


@pytest.mark.parametrize(
    ("marks", "share"),
    [((-9999, 1e20), 0.1), ((-999, -99), 0.005), ((999, -999), 0.1), ((1e20, -9999, 9.96921e36), 0.3), ((1e20,), 5e-4)],
)
def test_several_sentinels_are_found_however_rare(marks, share):
    x = FIELD.copy()
    for i, mark in enumerate(marks):
        x[(i * share < PLACE) & ((i + 1) * share >= PLACE)] = mark
    hidden = np.isin(x, np.array(marks, np.float32))
    y = checked(x, alpha=1e-3)
    assert hidden.any() and np.array_equal(y[hidden], x[hidden]) and error(x[~hidden], y[~hidden]) <= 1e-3


@pytest.mark.parametrize(
    ("low", "high", "marks"),
    [
        (0, 8848, (-9999,)),  # heights
        (-8, 38, (-99,)),  # degrees Celsius
        (970, 1050, (-999,)),  # hPa: no larger than the others
        (250, 310, (0,)),  # Kelvin
        (0, 1, (-1,)),
        (250, 310, (1e20, 0)),
        (0, 8848, (-9999, -9998, 20000)),
    ],
)
@pytest.mark.parametrize("alpha", [1e-2, 1e-4])
def test_sentinels_behind_a_gap_are_found_whatever_their_size(low, high, marks, alpha):
    x = (low + (high - low) * PLACE).astype(np.float32)
    x[RNG.random(x.shape) < 0.1] = marks[0]
    for mark in marks[1:]:
        x[RNG.random(x.shape) < 0.05] = mark
    hidden = np.isin(x, np.array(marks, np.float32))
    y = checked(x, alpha=alpha)
    assert np.array_equal(y[hidden], x[hidden]) and error(x[~hidden], y[~hidden]) <= alpha


def test_a_sentinel_beside_zeros_and_a_long_tail_is_found():
    rain = np.where(PLACE < 0.4, 0, RNG.gamma(0.5, 2, PLACE.shape)).astype(np.float32)
    rain[RNG.random(rain.shape) < 0.1] = -1
    y = checked(rain, alpha=1e-3)
    assert np.array_equal(y == -1, rain == -1)


def test_ends_of_a_range_are_no_sentinels_without_a_gap():
    clipped = np.clip(FIELD, 5, 15)
    near = np.where(PLACE < 0.1, np.float32(-1), 10 * RNG.random(PLACE.shape))
    for x in (clipped, near, np.maximum(FIELD, 0), np.where(PLACE < 0.1, np.float32(-9), np.round(4 * PLACE))):
        assert "kept" not in header_of(gcodec.encode(x.astype(np.float32), alpha=1e-2)).attributes
    kelvin = np.where(PLACE < 0.1, np.float32(0), 280 + FIELD).astype(np.float32)
    assert header_of(gcodec.encode(kelvin, alpha=1e-2)).attributes["kept"] == ["00000000"]
    assert "kept" not in header_of(gcodec.encode(kelvin, alpha=1e-2, keep_zeros=False)).attributes


def test_sentinels_that_lie_together_are_found():
    """A sample of the tensor may meet none of them."""
    x = (15 + 5 * RNG.standard_normal((700, 800))).astype(np.float32)
    x[301:311, 433:443] = -9999
    hidden = x == -9999
    y = checked(x, alpha=1e-3, effort="fast")
    assert np.array_equal(y[hidden], x[hidden]) and error(x[~hidden], y[~hidden]) <= 1e-3


@pytest.mark.parametrize("fill", [-np.inf, 1e20, np.finfo("f4").min])
def test_the_extremes_of_a_dtype_make_no_warning(fill):
    x = RNG.standard_normal((200, 200)).astype(np.float32)
    x[::7] = fill
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y = gcodec.decode(gcodec.encode(x, alpha=1e-3, fill=fill))
        assert np.array_equal(y[::7], x[::7])
        half = RNG.standard_normal((90, 90)).astype(np.float16)
        gcodec.encode(half, alpha=1e-3, fill=[1.0, fill])


def warned(x: np.ndarray, **options: object) -> list[str]:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        gcodec.encode(x, **options)
    return [str(one.message) for one in told]


def test_sentinels_that_are_not_kept_are_named():
    x = FIELD.copy()
    x[PLACE < 0.1], x[PLACE > 0.9] = -9999, 1e20
    (text,) = warned(x, method="tcq", alpha=1e-3)
    assert "became 0" in text and "by --fill 1e+20,-9999 (fill= in Python)" in text
    assert warned(x, method="tcq", alpha=1e-3, fill=[1e20, -9999]) == warned(x, alpha=1e-3) == []
    x = FIELD.copy()
    x[PLACE < 0.005] = -999
    (text,) = warned(x, method="tcq", alpha=1e-3)
    assert "of the values of the array are -999, and these have 9" in text and "--fill -999 " in text
    near = (FIELD - 10) * 4
    near[PLACE < 0.05] = -120
    (text,) = warned(near, method="tcq", alpha=1e-3)
    assert "--fill -120 " in text and warned(near, alpha=1e-3) == warned(near, alpha=1e-3, fill=-120) == []


def test_values_that_are_only_large_are_no_sentinels():
    heavy = FIELD.copy()
    heavy.flat[:3], heavy.flat[500] = 1e6, 1e9  # each met too seldom
    clipped = np.clip(FIELD - 10, -3, 3)
    for x in (heavy, clipped, FIELD.astype(np.float16)):
        assert "kept" not in header_of(gcodec.encode(x, alpha=1e-6)).attributes
    assert warned(clipped, alpha=1e-3) == []
