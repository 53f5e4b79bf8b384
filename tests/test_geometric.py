"""`geometric`: its intervals, its promise on any numbers, its rates, and exact storage."""

import hashlib
import math
from fractions import Fraction

import ml_dtypes
import numpy as np
import payloads
import pytest
from checks import check_pointwise, check_promise, header_of, tensors
from hypothesis import given
from hypothesis import strategies as st

import gcodec
from gcodec.compressors import registry
from gcodec.compressors.contract import Guarantee, TensorSpec, TooFine
from gcodec.compressors.geometric import fit
from gcodec.compressors.geometric.compressor import Geometric
from gcodec.compressors.geometric.head import Head
from gcodec.compressors.geometric.intervals import Intervals, floats, largest, magnitudes
from gcodec.compressors.geometric.numbers import Centre, Coded
from gcodec.kernels import geometric as kernels
from gcodec.source import ArraySource

FLOATS = [
    np.float16,
    ml_dtypes.bfloat16,
    np.float32,
    np.float64,
    ml_dtypes.float8_e4m3fn,
    ml_dtypes.float8_e5m2,
    ml_dtypes.float8_e3m4,
]
NARROW = [dtype for dtype in map(np.dtype, FLOATS) if dtype.itemsize < 4]
ID = "geometric"


def every_number(dtype: np.dtype) -> np.ndarray:
    """All finite numbers of a narrow dtype, both zeros too."""
    x = np.arange(1 << 8 * dtype.itemsize).astype(f"u{dtype.itemsize}").view(dtype)
    return x[magnitudes(x) <= largest(dtype)]


def head_of(x: np.ndarray, bound: float) -> Head:
    payload, _ = payloads.encode(Geometric(), x, bound)
    return Head.unpack(payload.head, TensorSpec(x.dtype, x.shape))


def rate(x: np.ndarray, bound: float) -> float:
    data = gcodec.encode(x, ID, pointwise=bound)
    assert header_of(data).guarantee.kind == "pointwise"
    check_pointwise(x, gcodec.decode(data), bound)
    return 8 * len(data) / x.size


@st.composite
def arrays_of_any_bits(draw) -> np.ndarray:
    """Finite numbers by their bits, so that all exponents, subnormal numbers and zeros occur."""
    dtype = np.dtype(draw(st.sampled_from(FLOATS)))
    width = 8 * dtype.itemsize
    most = 1 << draw(st.integers(1, width))
    numbers = draw(st.lists(st.integers(0, most - 1), min_size=1, max_size=60))
    signs = draw(st.sampled_from([0, 1 << width - 1]))
    x = (np.array(numbers, np.uint64) | np.uint64(signs)).astype(f"u{dtype.itemsize}").view(dtype)
    x[magnitudes(x) > largest(dtype)] = 1
    return x


BOUNDS = st.one_of(
    st.floats(1e-6, 0.9),
    st.sampled_from([1e-6, 1e-3, 0.25, 0.5, 0.9, 1 - 2.0**-20, math.nextafter(1, 0)]),
    st.integers(1, 60).map(lambda exponent: 2.0**-exponent),
)


@given(arrays_of_any_bits(), BOUNDS)
def test_any_numbers_and_any_bound(x, bound):
    check_promise(x, ID, "pointwise", bound)


@pytest.mark.parametrize("bound", [0.9, 0.5, 0.25, 0.1, 0.01, 1e-3, 1e-5])
@pytest.mark.parametrize("dtype", NARROW, ids=str)
def test_every_number_of_a_narrow_dtype(dtype, bound):
    x = every_number(dtype)
    data = check_promise(x, ID, "pointwise", bound)
    assert gcodec.verify(data, x).ok


@pytest.mark.parametrize("bound", [0.5, 0.25, 0.1, 0.03])
@pytest.mark.parametrize("dtype", NARROW, ids=str)
def test_there_are_as_few_intervals_as_can_be(dtype, bound):
    """A search with fractions, for the error that the head has, needs no fewer."""
    found = Intervals.of(dtype, bound, 1, largest(dtype), 1 << 15)
    error = Fraction(found.numerator, 1 << found.exponent)
    assert bound * (1 - 2.0**-8) <= error <= bound
    values = floats(np.arange(1, largest(dtype) + 1), np.zeros(largest(dtype), bool), dtype).astype(np.float64)
    exact = [Fraction(value) for value in values.tolist()]
    count = start = 0
    while start < len(exact):
        middle = start
        while middle + 1 < len(exact) and exact[middle + 1] <= exact[start] * (1 + error):
            middle += 1
        while start < len(exact) and abs(exact[middle] - exact[start]) <= error * exact[start]:
            start += 1
        count += 1
    assert found.doublings == 0 and found.count == count


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: np.dtype(dtype).name)
def test_signs_of_zeros_and_small_numbers(dtype):
    info = ml_dtypes.finfo(dtype)
    tiny = float(info.smallest_subnormal)
    x = np.array([0.0, -0.0, tiny, -tiny, 2 * tiny, -3 * tiny, 0.0, float(info.max), -float(info.max)]).astype(dtype)
    y = gcodec.decode(check_promise(x, ID, "pointwise", 0.3))
    assert y[:6].tobytes() == x[:6].tobytes() and np.isfinite(y.astype(np.float64)).all()


@given(arrays_of_any_bits(), BOUNDS)
def test_no_magnitude_is_beyond_those_of_the_tensor(x, bound):
    y = gcodec.decode(gcodec.encode(x, ID, pointwise=bound))
    assert magnitudes(y).max() <= magnitudes(x).max()
    assert magnitudes(y).min() >= magnitudes(x).min()


def test_intervals_of_single_numbers_are_exact():
    x = (np.arange(-300, 300) * 5e-324).astype(np.float64)
    assert gcodec.decode(gcodec.encode(x, ID, pointwise=1e-3)).tobytes() == x.tobytes()


@pytest.mark.parametrize(("bound", "gap"), [(0.1, 0.13), (0.01, 0.14), (1e-3, 0.16), (1e-6, 0.18)])
def test_second_moments(bound, gap):
    """Rows and columns of many scales cost little more than the logarithms of normal squares."""
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((512, 256)) ** 2
    x = noise * np.exp(2 * rng.standard_normal((512, 1))) * np.exp(rng.standard_normal(256))
    levels = np.floor(np.log(noise) / math.log((1 + bound) / (1 - bound)))
    if bound >= 0.01:
        counts = np.unique(levels, return_counts=True)[1] / levels.size
        entropy = -float((counts * np.log2(counts)).sum())
    else:  # more levels than values to tell their shares: from levels of another width
        counts = np.unique(np.floor(np.log(noise) / 0.02), return_counts=True)[1] / noise.size
        entropy = -float((counts * np.log2(counts)).sum()) + math.log2(0.02 / math.log((1 + bound) / (1 - bound)))
    assert rate(x.astype(np.float32), bound) <= entropy + gap


@pytest.mark.parametrize(("bound", "finer"), [(0.1, 0.05), (1e-4, 5e-5)])
def test_half_the_error_takes_a_bit_more(bound, finer):
    x = np.random.default_rng(2).standard_normal(1 << 17)
    assert 0.9 < rate(x, finer) - rate(x, bound) < 1.1


def test_rows_that_were_never_touched_are_nearly_free():
    rng = np.random.default_rng(3)
    x = np.where((rng.random(2000) < 0.02)[:, None], rng.standard_normal((2000, 64)), 0.0).astype(np.float32)
    touched = x[x.any(1)]
    assert 8 * len(gcodec.encode(x, ID, pointwise=0.01)) <= rate(touched, 0.01) * touched.size + 0.2 * 2000 + 400


def test_classes_are_of_all_modes():
    rng = np.random.default_rng(4)
    plain = rng.standard_normal(4000)
    blocks = plain * np.repeat(10.0 ** rng.integers(-8, 8, 16), 250)
    matrix = plain.reshape(100, 40) * 10.0 ** rng.integers(-4, 5, 100)[:, None] * 10.0 ** rng.integers(-4, 5, 40)
    assert [head_of(x, 0.05).classes.mode for x in (plain, matrix, blocks)] == [0, 1, 2]


def test_chunks_are_independent_and_threads_make_no_difference():
    x = np.random.default_rng(5).standard_t(3, (1300, 1000)).astype(np.float32)
    data = gcodec.encode(x, ID, pointwise=0.02, threads=2)
    assert data == gcodec.encode(x, ID, pointwise=0.02, threads=1)
    assert len(header_of(data).chunks) == 3
    check_pointwise(x, gcodec.decode(data), 0.02)


def test_a_bound_finer_than_all_dtypes_stores_exactly():
    x = np.random.default_rng(6).standard_normal(50)
    with pytest.raises(TooFine):
        fit.fit(ArraySource(x), 2.0**-55)
    assert header_of(gcodec.encode(x, ID, pointwise=2.0**-55)).guarantee.kind == "exact"
    assert header_of(gcodec.encode(x, ID, pointwise=2.0**-54)).guarantee.kind == "pointwise"


@pytest.mark.parametrize(("dtype", "bound"), [(np.float32, 2.0**-26), (ml_dtypes.bfloat16, 2.0**-10)])
def test_a_bound_finer_than_the_dtype_changes_nothing(dtype, bound):
    x = np.random.default_rng(6).standard_normal(3000).astype(dtype)
    data = gcodec.encode(x, ID, pointwise=bound)
    assert gcodec.decode(data).tobytes() == x.tobytes() and header_of(data).distortion == 0


def test_auto_takes_exact_storage_where_it_is_smaller():
    x = np.random.default_rng(7).standard_normal(5000)
    assert header_of(gcodec.encode(np.tile(x[:50], 100), pointwise=1e-4)).guarantee.kind == "exact"
    assert header_of(gcodec.encode(x, pointwise=1e-4)).compressor == registry.by_name(ID).id


def test_limits_of_intervals():
    """At the limit of the format, and one beyond: each of these numbers is an interval."""
    for doublings, last in ((0, kernels.MAX_RUNS), (52, kernels.MAX_LEVELS - 1)):
        assert Intervals(np.dtype(np.float64), 256, 62, doublings, 1, last).is_valid
        assert not Intervals(np.dtype(np.float64), 256, 62, doublings, 1, last + 1).is_valid


@pytest.mark.parametrize("numerator", [256, 511])
@pytest.mark.parametrize("exponent", [9, 10, 30, 62])
def test_no_product_overflows(numerator, exponent):
    """The reach of all float64 numbers, with the least and the largest error."""
    last = largest(np.dtype(np.float64))
    for first in (1, 1 << 52, last - 5, last):
        found = Intervals(np.dtype(np.float64), numerator, exponent, 30, first, last)
        if found.is_valid:
            patterns = np.unique(np.linspace(first, last, 999).astype(np.int64).clip(first, last))
            back = found.patterns(found.levels(patterns))
            x, y = (floats(p, np.zeros(p.size, bool), np.dtype(np.float64)) for p in (patterns, back))
            check_pointwise(x, y, math.ldexp(numerator, -exponent))


def test_levels_come_back_from_numbers():
    rng = np.random.default_rng(8)
    for scale in (3, 300, 1 << 40):
        levels = np.abs(rng.standard_t(1.5, 5000) * scale).clip(0, 1 << 56).astype(np.int64)
        levels[rng.random(5000) < 0.1] = kernels.ZERO_LEVEL
        classes = rng.integers(0, 32, 5000).astype(np.uint8)
        numbers = Centre(scale, -5 * scale).numbers(levels, classes)
        coded = Coded.of(numbers, classes)
        assert (coded.symbols == kernels.ZERO_SYMBOL).tolist() == (levels < 0).tolist()
        assert coded.histograms.sum() == 5000


def test_estimates_are_near_the_bits():
    rng = np.random.default_rng(9)
    for x in (rng.standard_normal((700, 300)), rng.standard_normal((700, 300)) * np.exp(3 * rng.random((700, 1)))):
        plan = Geometric().plan(ArraySource(x.astype(np.float32)), Guarantee("pointwise", 0.01))
        bits = rate(x.astype(np.float32), 0.01) * x.size
        assert plan.least <= bits <= plan.most


def digest() -> str:
    """Of heads, chunks and decoded values of some small tensors."""
    rng = np.random.default_rng(3)
    state = hashlib.sha256()
    subnormal = np.array([3e-45, 0, -1e-44], np.float32)
    for x in (rng.standard_t(2, size=(12, 20)).astype(np.float32), rng.normal(size=270), subnormal):
        for bound in (0.9, 0.1, 1e-7):
            payload, chunks = payloads.encode(Geometric(), x, bound)
            state.update(payload.head + b"".join(chunks) + payloads.decode(Geometric, x, payload, chunks).tobytes())
    return state.hexdigest()


def test_kernels_as_plain_python_give_the_same():
    assert payloads.run_plain("import test_geometric; print(test_geometric.digest())").strip() == digest()


@pytest.mark.parametrize("bound", [0.2, 1e-5])
def test_damage(bound):
    x = np.random.default_rng(10).standard_normal((10, 12)) * (np.arange(12) > 2)
    payloads.check_damage(Geometric(), x.astype(np.float32), bound, 300)


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: np.dtype(dtype).name)
def test_patterns_are_the_bits_without_the_sign(dtype):
    x = tensors(np.dtype(dtype))["matrix"].reshape(-1)
    negative = np.signbit(x.astype(np.float64))
    assert floats(magnitudes(x), negative, np.dtype(dtype)).tobytes() == x.tobytes()
    assert (np.argsort(magnitudes(x), kind="stable") == np.argsort(np.abs(x.astype(np.float64)), kind="stable")).all()
