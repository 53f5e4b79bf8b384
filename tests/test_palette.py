"""Tensors of few distinct values take about their entropy, and no bound changes them."""

import ml_dtypes
import numpy as np
import pytest
from checks import header_of
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import gcodec
from gcodec.compressors.lossless.indices import decode_indices, encode_indices
from gcodec.compressors.lossless.palette import Palette
from gcodec.errors import Corrupt
from gcodec.source import ArraySource

VALUES = np.sort(np.random.default_rng(1).normal(size=256)).astype(np.float32)
SIZE = 1 << 17


def indices(kind: str, size: int = SIZE) -> np.ndarray:
    rng = np.random.default_rng(2)
    made = {
        "ternary": lambda: rng.choice(3, size, p=[0.25, 0.5, 0.25]),
        "signs": lambda: rng.integers(0, 2, size),
        "mask": lambda: (rng.random(size) < 0.02).astype(int),
        "nf4": lambda: rng.integers(0, 16, size),
        "33 values": lambda: rng.integers(0, 33, size),
        "int8": lambda: np.clip(np.rint(rng.normal(size=size) * 30), -127, 127).astype(int) + 127,
    }
    return made[kind]()


KINDS = ["ternary", "signs", "mask", "nf4", "33 values", "int8"]
FEW = KINDS[:4]


def entropy(x: np.ndarray) -> float:
    """Bytes that an ideal code without memory takes."""
    counts = np.unique(x, return_counts=True)[1]
    return float((counts * np.log2(x.size / counts)).sum()) / 8


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("kind", KINDS)
def test_entropy_and_palette(kind, dtype):
    numbers = indices(kind)
    x = numbers.astype(dtype) if dtype == np.int64 else VALUES[numbers].astype(dtype)
    data = gcodec.encode(x, lossless=True)
    assert header_of(data).body_length <= 1.03 * entropy(x) + x.itemsize * np.unique(x).size + 64
    assert gcodec.decode(data).tobytes() == x.tobytes()


@pytest.mark.parametrize("bound", [{"alpha": 0.5}, {"alpha": 0.1}, {"alpha": 1e-6}, {"omega": 0.5}])
@pytest.mark.parametrize("kind", FEW)
@pytest.mark.parametrize("size", [300, SIZE])
def test_few_values_come_back_under_any_bound(kind, bound, size):
    x = VALUES[indices(kind, size)]
    data = gcodec.encode(x, **bound)
    assert gcodec.decode(data).tobytes() == x.tobytes()
    assert header_of(data).guarantee.kind == "exact"


@pytest.mark.parametrize(
    "bound", [{"alpha": 0.5}, {"alpha": 0.01}, {"alpha": 7e-5}, {"omega": 0.5}, {"pointwise": 0.3}]
)
@pytest.mark.parametrize("kind", ["33 values", "int8"])
@pytest.mark.parametrize("size", [1500, SIZE])
def test_more_values_come_back_under_any_bound(kind, bound, size):
    x = VALUES[indices(kind, size)]
    data = gcodec.encode(x, **bound)
    assert gcodec.decode(data).tobytes() == x.tobytes()
    assert header_of(data).guarantee.kind == "exact"


@pytest.mark.parametrize("zeros", [0.9, 0.99])
def test_few_values_that_do_not_repeat_themselves_are_not_meant(zeros):
    """A sparse tensor has a palette, but its values are as good as any others."""
    x = np.where(np.random.default_rng(3).random(20_000) < zeros, 0, np.random.default_rng(4).normal(size=20_000))
    x[np.flatnonzero(x)[200:]] = 0
    assert header_of(gcodec.encode(x.astype(np.float32), alpha=0.1)).guarantee.kind == "alpha"


@pytest.mark.parametrize(
    ("shape", "count", "most"), [((20, 20), 16, 268), ((20, 20), 4, 135), ((512, 512), 2, 0), ((128, 128), 2, 0)]
)
def test_short_and_rarely_met_values(shape, count, most):
    """The body of a record: indices without tables."""
    rng = np.random.default_rng(6)
    numbers = rng.integers(0, count, shape) if most else (rng.random(shape) < 0.001).astype(int)
    x = VALUES[numbers]
    body = header_of(gcodec.encode(x, alpha=0.1)).body_length
    assert body <= (most or 1.03 * entropy(x) + 24)


def test_neighbours_that_tell_of_each_other():
    rng = np.random.default_rng(7)
    blocks = np.kron(rng.random((32, 32)) < 0.5, np.ones((16, 16)))
    smooth = np.clip(np.rint(np.cumsum(rng.normal(size=(256, 256)), 1) / 8), -8, 7) + 0.5
    for x, share in ((blocks, 0.02), (blocks != (rng.random(blocks.shape) < 0.02), 0.25), (smooth, 0.4)):
        x = x.astype(np.float32)
        data = gcodec.encode(x, lossless=True)
        assert gcodec.decode(data).tobytes() == x.tobytes() and len(data) < share * entropy(x)


def test_a_method_that_was_asked_for_is_used():
    assert header_of(gcodec.encode(VALUES[indices("signs")], "tcq", alpha=0.1)).guarantee.kind == "alpha"


@pytest.mark.parametrize("size", [1, 2, 15, 100])
def test_tensors_of_few_values_that_have_few_anyway(size):
    """A short tensor has no palette that is worth an exception."""
    x = np.random.default_rng(0).normal(size=size).astype(np.float32)
    smallest = min(len(gcodec.encode(x, method, alpha=0.5)) for method in ("sd", "tcq", "ecsq"))
    assert len(gcodec.encode(x, alpha=0.5)) <= smallest


@pytest.mark.parametrize("dtype", ["u2", "u4", "u8"])
def test_256_words_and_one_more(dtype):
    words = np.random.default_rng(5).permutation(60_000)[:257].astype(dtype) * np.array(7, dtype)
    for count in (255, 256):
        palette = Palette.of(ArraySource(np.tile(words[:count], 40)), np.dtype(dtype))
        assert palette is not None and np.array_equal(palette.words, np.sort(words[:count]))
        assert (palette.counts == 40).all()
    assert Palette.of(ArraySource(np.tile(words, 40)), np.dtype(dtype)) is None
    hidden = np.full(100_000, words[0])
    hidden[50_001:50_257] = words[1:]  # no piece that is looked at first has them all
    assert Palette.of(ArraySource(hidden), np.dtype(dtype)) is None


def test_chunks():
    x = VALUES[indices("nf4", (1 << 20) + 1000)]
    data = gcodec.encode(x, lossless=True)
    assert len(header_of(data).chunks) == 2
    assert gcodec.decode(data).tobytes() == x.tobytes()


@given(
    st.sampled_from(["f2", ml_dtypes.bfloat16, "f4", "f8", "i2", "i4", "u8", "c8"]),
    st.integers(1, 400),
    st.integers(1, 300),
    st.integers(0, 2**32),
)
def test_any_palette(dtype, size, count, seed):
    rng = np.random.default_rng(seed)
    words = rng.bytes(np.dtype(dtype).itemsize * count)
    x = np.frombuffer(words, dtype)[rng.integers(0, count, size)]
    assert gcodec.decode(gcodec.encode(x, lossless=True)).tobytes() == x.tobytes()


@given(
    hnp.arrays(np.float32, st.integers(1, 200), elements=st.sampled_from([0.0, -0.0, 1.5, float("nan"), float("inf")]))
)
def test_special_values(x):
    assert gcodec.decode(gcodec.encode(x, lossless=True)).tobytes() == x.tobytes()


@given(st.integers(1, 256), st.integers(1, 500), st.integers(0, 40), st.floats(0.01, 1), st.integers(0, 2**32))
def test_any_indices(values, size, width, share, seed):
    rng = np.random.default_rng(seed)
    indices = np.where(rng.random(size) < share, rng.integers(0, values, size), 0).astype(np.uint8)
    data, back = encode_indices(indices, values, width, True), np.empty(size, np.uint8)
    decode_indices(data, values, back, True)
    assert np.array_equal(indices, back)
    for damaged in (data[:-1], data + b"\0"):
        with pytest.raises(Corrupt):
            decode_indices(damaged, values, back, True)
