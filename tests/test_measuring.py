"""Promises in real arithmetic: what is stored, what is compared, on any processor and thread."""

import math
import os
import shutil
import subprocess
import sys
from fractions import Fraction
from io import BytesIO

import ml_dtypes
import numpy as np
import pytest

import gcodec
from gcodec import distortion, ieee
from gcodec.container.reader import Stream
from gcodec.errors import InvalidInput
from gcodec.kernels import norms
from gcodec.source import ArraySource

FLOATS = [np.float16, ml_dtypes.bfloat16, np.float32, np.float64, ml_dtypes.float8_e5m2, ml_dtypes.float8_e4m3fn]


def header(data: bytes):
    return next(iter(Stream(BytesIO(data)))).header


def exact_ratio(x: np.ndarray, y: np.ndarray) -> Fraction:
    pairs = [(Fraction(float(a)), Fraction(float(b))) for a, b in zip(x.reshape(-1), y.reshape(-1), strict=True)]
    return sum((b - a) ** 2 for a, b in pairs) / sum(a * a for a, _ in pairs)


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("method", ["sd", "ecsq", "tcq"])
def test_a_bound_equal_to_the_stored_distortion_is_kept_exactly(method, dtype):
    """Small tensors, encoded at bounds that are what the same file reached before."""
    rng = np.random.default_rng(1)
    kept = 0
    for _ in range(60):
        x = rng.standard_normal(int(rng.integers(2, 12))).astype(dtype)
        if not x.astype(float).any():
            continue
        first = header(data := gcodec.encode(x, method, alpha=float(10 ** rng.uniform(-4, -0.3)), threads=1))
        ratio = exact_ratio(x, gcodec.decode(data))
        assert ratio <= Fraction(first.distortion) <= ratio * (1 + Fraction(3e-12)) + Fraction(5e-324)
        if 0 < first.distortion < 1:
            second = gcodec.encode(x, method, alpha=first.distortion, threads=1)
            assert exact_ratio(x, gcodec.decode(second)) <= Fraction(first.distortion)
            kept += header(second).guarantee.kind == "alpha"
    assert kept >= 20


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        ([4.0, 1.0], [3.0, 1.0], 0.25),
        ([3.0], [4.0], math.nextafter(1 / 3, 1)),
        ([1.0], [1 + 2.0**-52], 2.0**-52),
        ([5e-324, -1e-323], [5e-324, -1.5e-323], 0.5),
        ([1.7e308, -1.7e308], [1.7e308, -0.85e308], 0.5),
        ([5e-324], [1.7e308], math.inf),
        ([0.0, -0.0, 2.0], [0.0, -0.0, 2.0], 0.0),
        ([0.0], [-0.0], math.inf),
        ([0.0], [5e-324], math.inf),
        ([5e-324], [0.0], math.inf),
        ([1.0], [-1.0], math.inf),
        ([1.0], [math.nan], math.inf),
        ([-1.0], [-math.inf], math.inf),
        ([], [], 0.0),
    ],
)
def test_the_largest_error_is_the_least_float_that_is_not_below_it(x, y, expected):
    assert distortion.largest_error(np.array(x), np.array(y)) == expected


def test_a_largest_error_that_breaks_every_bound():
    x = np.random.default_rng(1).standard_normal(1 << 20)
    assert 1 <= distortion.largest_error(x, 2 * x) <= 1 + 1e-14  # at once, though all ratios are equal
    assert 2 <= distortion.largest_error(x[:9], 3 * x[:9]) <= 2 + 1e-14


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: np.dtype(dtype).name)
def test_the_largest_error_of_random_values(dtype):
    rng = np.random.default_rng(2)
    for _ in range(40):
        x = rng.standard_normal(30).astype(dtype)
        y = (x.astype(np.float64) * rng.uniform(0.9, 1.1, 30)).astype(dtype)
        pairs = [(Fraction(float(a)), Fraction(float(b))) for a, b in zip(x, y, strict=True) if a]
        exact = max(abs(b - a) / abs(a) for a, b in pairs)
        if ((y == 0) == (x == 0)).all():
            found = distortion.largest_error(x, y)
            assert Fraction(math.nextafter(found, 0)) < exact <= Fraction(found) or exact == found == 0


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: np.dtype(dtype).name)
def test_a_pointwise_bound_equal_to_the_error_is_kept_exactly(dtype):
    x = np.random.default_rng(1).standard_normal(300).astype(dtype)
    for bound in (0.3, 0.25, 0.1):
        first = header(gcodec.encode(x, "geometric", pointwise=bound))
        assert first.distortion <= bound
        if first.distortion:
            again = gcodec.encode(x, "geometric", pointwise=first.distortion)
            assert header(again).distortion <= first.distortion and gcodec.verify(again, x).ok


def test_verify_decides_in_exact_arithmetic_near_the_bound():
    x = np.random.default_rng(3).standard_normal(200).astype(np.float32)
    y = gcodec.decode(gcodec.encode(x, "ecsq", alpha=0.1))
    ratio = exact_ratio(x, y)
    below, above = float(ratio), float(ratio)
    below = below if Fraction(below) < ratio else math.nextafter(below, 0)
    above = above if Fraction(above) >= ratio else math.nextafter(above, 1)
    assert distortion.exceeds([(x, y)], below) and not distortion.exceeds([(x, y)], above)
    assert distortion.exceeds([(x[:100], y[:100]), (x[100:], y[100:])], below)
    tiny = np.array([5e-324, -3e-320, 2.0**-1022, 0.0])
    assert distortion.exceeds([(tiny, tiny * 0)], 1 - 2**-53) and not distortion.exceeds([(tiny, tiny * 0)], 1.0)


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 4095, 4096, 4097, 100_000])
def test_sums_of_squares(size):
    rng = np.random.default_rng(size)
    for dtype in (np.float32, np.float64):
        a, b = rng.standard_normal((2, size)).astype(dtype)
        wide = a.astype(float) - b.astype(float)
        assert norms.squared_distance(a, b) == pytest.approx(math.fsum(wide * wide), rel=1e-13)
        assert norms.sum_squares(a) == pytest.approx(math.fsum(a.astype(float) ** 2), rel=1e-13)


def test_an_error_that_underflows_is_not_zero():
    """Squares of differences below 2⁻⁵³⁷ are 0 in float64; the error is not."""
    x = np.array([1.0, 2.0**-600, 0.0])
    y = np.array([1.0, 0.0, 0.0])
    scan = distortion.scan_source("", ArraySource(x), "refuse")
    assert scan is not None and scan.scale == 1
    assert 0 < distortion.relative_error([distortion.squared_error(x, y, 1.0)], scan) < 1e-300
    assert distortion.relative_error([distortion.squared_error(x, x.copy(), 1.0)], scan) == 0
    assert distortion.relative_error([math.nan], scan) == distortion.relative_error([1.0, math.inf], scan) == math.inf


SAME_FILES = """
import hashlib, numpy as np, gcodec
rng = np.random.default_rng(0)
for dtype in ("f4", "f8", "f2"):
    x = rng.standard_normal(7000).astype(dtype)
    print(hashlib.sha1(gcodec.encode(x, "sd", alpha=0.01)).hexdigest(), gcodec.encode(x, "rsd", omega=0.3, seed=1)[:200].hex())
"""


def test_files_are_equal_on_all_processors(tmp_path):
    """Machine code for a processor without wide vectors gives the same certificates."""
    outputs = []
    for name, environment in (("own", {}), ("generic", {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""})):
        changed = os.environ | environment | {"NUMBA_CACHE_DIR": str(tmp_path / name)}
        run = subprocess.run(
            [sys.executable, "-c", SAME_FILES], env=changed, capture_output=True, text=True, check=True
        )
        outputs.append(run.stdout)
    assert outputs[0] == outputs[1] and outputs[0].count("\n") == 3


FLUSH = """
#include <fenv.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
void flush(int on) { unsigned m = _mm_getcsr(); _mm_setcsr(on ? m | 0x8040 : m & ~0x8040u); }
#elif defined(__aarch64__)
void flush(int on) { unsigned long r; __asm__("mrs %0, fpcr" : "=r"(r)); r = on ? r | 1ul << 24 : r & ~(1ul << 24);
                     __asm__("msr fpcr, %0" : : "r"(r)); }
#endif
void upward(int on) { fesetround(on ? FE_UPWARD : FE_TONEAREST); }
"""


@pytest.fixture(scope="module")
def switch(tmp_path_factory):
    """A library that does what `-ffast-math` does to the thread that loads it."""
    import ctypes

    if not shutil.which("gcc") or sys.platform == "win32":
        pytest.skip("needs a C compiler")
    folder = tmp_path_factory.mktemp("flush")
    (folder / "f.c").write_text(FLUSH)
    subprocess.run(["gcc", "-shared", "-fPIC", folder / "f.c", "-o", folder / "f.so", "-lm"], check=True)
    return ctypes.CDLL(str(folder / "f.so"))


@pytest.fixture(params=["flush", "upward"])
def spoilt(switch, request):
    """The arithmetic of this thread is against the rules for the test."""
    yield lambda on: getattr(switch, request.param)(on)
    getattr(switch, request.param)(0)


def test_encode_and_decode_keep_the_rules_in_a_spoilt_thread(spoilt):
    """Near the smallest normal numbers, in one and in several threads."""
    rng = np.random.default_rng(0)
    for x in (
        (rng.standard_normal(500) * 3e-38).astype(np.float32),
        rng.standard_normal(500) * 3e-308,
        (rng.standard_normal(2**21) * 1e-38).astype(np.float32),
    ):
        right = gcodec.encode(x, "ecsq", alpha=0.1, threads=2)
        decoded = gcodec.decode(right)
        spoilt(1)
        same, again = gcodec.encode(x, "ecsq", alpha=0.1, threads=2), gcodec.decode(right, threads=2)
        report = gcodec.verify(right, x)
        assert not ieee._is_right()  # it is given back as it was
        spoilt(0)
        assert same == right and np.array_equal(decoded.view(np.uint8), again.view(np.uint8)) and report.ok
        assert ieee._is_right()


@pytest.mark.parametrize("method", ["rsd", "dither", "sc"])
def test_verify_and_inspect_keep_the_rules_in_a_spoilt_thread(spoilt, method):
    """The noise of tiny values follows from their squares and from a tiny step."""
    random = np.random.default_rng(0).standard_normal(500)
    for x in ((random * 3e-38).astype(np.float32), random * 3e-308):
        data = gcodec.encode(x, method, omega=0.25, seed=1)
        right = gcodec.verify(data, x, trials=10, sections=True)
        spoilt(1)
        found = gcodec.verify(data, x, trials=10, sections=True)
        assert not ieee._is_right()
        spoilt(0)
        assert found.ok and found.to_json() == right.to_json()


def test_what_cannot_be_mended_is_named(spoilt, monkeypatch):
    monkeypatch.setattr(ieee, "_set_default", lambda: None)
    spoilt(1)
    try:
        with pytest.raises(InvalidInput, match="subnormal"):
            gcodec.encode(np.ones(5, np.float32), "sd", alpha=0.1)
    finally:
        spoilt(0)
