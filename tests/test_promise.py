"""Every compressor keeps its promise, for every dtype and shape.

The pipeline keeps it even for a compressor that lies.
"""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import checks
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import gcodec
from gcodec.compressors import registry
from gcodec.compressors.contract import Compressor, Entry, Payload
from gcodec.container.writer import ContainerWriter
from gcodec.errors import InvalidInput, NonFinite
from gcodec.pipeline.compress import compress
from gcodec.request.choice import choose

CORPORA = Path(__file__).parent.parent / "corpora"

FLOATS = [np.float16, ml_dtypes.bfloat16, np.float32, np.float64, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2]


@pytest.mark.parametrize("method", ["ecsq", "tcq", "klt"])
@pytest.mark.parametrize("alpha", [0.95, 0.9999, 1 - 1e-6])
def test_a_bound_near_1_takes_a_few_levels(method, alpha):
    """Most steps give zeros alone, whose error does not tell how far the right step is."""
    one_loud_row = np.random.default_rng(0).standard_normal((111, 101))
    one_loud_row[7] *= 1e4
    heavy_tails = np.random.default_rng(7).standard_normal((36, 157)) ** 5
    for matrix in (one_loud_row, heavy_tails):
        data = gcodec.encode(matrix.astype(np.float32), method, alpha=alpha)
        assert checks.header_of(data).guarantee.kind == "alpha" and len(data) < 200


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda d: np.dtype(d).name)
@pytest.mark.parametrize(("method", "kind", "bound"), checks.CASES)
def test_promise(method, kind, bound, dtype):
    for name, x in checks.tensors(np.dtype(dtype)).items():
        try:
            checks.check_promise(x, method, kind, bound)
        except InvalidInput as error:
            assert name and str(error)  # a method may refuse a tensor, in words
        except BaseException as error:
            error.add_note(f"tensor: {name}")
            raise


@pytest.mark.parametrize(("method", "kind", "bound"), [case for case in checks.CASES if case[0] != "auto"])
def test_corrupt_payloads(method, kind, bound):
    checks.check_corrupt_payloads(method, kind, bound)


@pytest.mark.parametrize("method", ["auto", *(entry.name for entry in registry.ENTRIES)])
@pytest.mark.parametrize("shape", [(0,), (3, 0), (), (1,), (4, 5)])
@pytest.mark.parametrize("value", [0.0, -0.0])
def test_empty_and_zero(method, shape, value):
    x = np.full(shape, value, np.float32)
    assert gcodec.decode(gcodec.encode(x, method)).tobytes() == x.tobytes()


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", "c8", "c16", ">f4", ">i2"])
def test_other_dtypes_are_exact(dtype):
    x = (np.random.default_rng(0).normal(size=(5, 7)) * 50).astype(dtype)
    y = gcodec.decode(gcodec.encode(x, alpha=0.1))
    assert np.array_equal(x, y) if dtype != ">f4" else checks.distortion(x, y) <= 0.1


def test_lossless_keeps_every_bit():
    bits = np.random.default_rng(0).integers(0, 2**32, 10_000, dtype=np.uint64).astype(np.uint32)
    bits[:4] = 0x7FC00001, 0xFF800001, 0x80000000, 0x00000001  # NaN payloads, −0.0, a subnormal
    x = bits.view(np.float32)
    assert gcodec.decode(gcodec.encode(x, lossless=True)).view(np.uint32).tolist() == bits.tolist()


@pytest.mark.parametrize("bad", [0x7FC00000, 0x7F800001, 0x7F800000, 0xFF800000])
def test_non_finite(bad):
    """Two kinds of NaN, of which the second one signals when it is converted, and infinities."""
    x = np.ones((4, 5), np.float32)
    x.view(np.uint32)[[2, 3], [3, 0]] = bad
    with pytest.raises(NonFinite, match=r"2 of 20 .* index \(2, 3\)"):
        gcodec.encode(x, alpha=0.1)
    with pytest.raises(NonFinite, match=r"2 of 20 .* index \(2, 3\)"):
        gcodec.encode(x, pointwise=0.1)
    for bound in ({"alpha": 0.1}, {"alpha": 0.1, "method": "ecsq"}, {"pointwise": 0.1}):
        y = gcodec.decode(gcodec.encode(x, nonfinite="lossless", **bound))
        assert y.tobytes() == x.tobytes()


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        ("sd", {"alpha": 0.0}, "between 0 and 1"),
        ("sd", {"alpha": 1.0}, "between 0 and 1"),
        ("sd", {"alpha": float("nan")}, "between 0 and 1"),
        ("rsd", {"omega": 0.0}, "positive"),
        ("rsd", {"omega": float("inf")}, "positive"),
        ("sd", {"omega": 1.0}, "guarantees alpha"),
        ("sd", {"alpha": 0.1, "omega": 1.0}, "only one"),
        ("auto", {"alpha": 0.1, "pointwise": 0.1}, "only one"),
        ("auto", {"pointwise": 0.1, "lossless": True}, "only one"),
        *(("geometric", {"pointwise": bad}, "between 0 and 1") for bad in (0.0, 1.0, -0.1, 2, float("nan"))),
        ("geometric", {"pointwise": "0.1"}, "must be a number"),
        ("geometric", {"alpha": 0.1}, "guarantees pointwise"),
        ("sd", {"pointwise": 0.1}, "guarantees alpha"),
        ("sd", {"seed": 1}, "no option seed"),
        ("zip", {}, "unknown"),
        ("sd", {"threads": 0}, "threads"),
        ("sd", {"nonfinite": "what"}, "nonfinite"),
    ],
)
def test_arguments(method, options, words):
    with pytest.raises(InvalidInput, match=words):
        gcodec.encode(np.ones(3), method, **options)


def test_unsupported_dtypes():
    for array in (np.array(["a"]), np.array([object()]), np.zeros(3, "M8[s]"), np.zeros(2, "f4,i4")):
        with pytest.raises(InvalidInput, match="cannot be stored"):
            gcodec.encode(array)


@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(max_dims=3, max_side=20),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
    ),
    st.floats(1e-9, 0.99),
)
def test_any_array_any_alpha(x, alpha):
    checks.check_promise(x, "sd", "alpha", alpha)


@dataclass(frozen=True)
class Liar(Compressor):
    """A compressor that gives back the bytes that it was made with, whatever was asked for."""

    kinds = ("alpha", "omega", "pointwise")
    work_per_value = 1
    answer = 0.0
    expected = 0.0

    def encode(self, source, guarantee):
        return Payload(b"", source.size, lambda start, stop: b"", self.expected if guarantee.kind == "omega" else None)

    @classmethod
    def decoder(cls, head, spec):
        return lambda data, start, count: np.full(count, cls.answer, np.float32)


@pytest.mark.parametrize("answer", [0.0, 1e30, np.inf, np.nan])
@pytest.mark.parametrize("bound", [{"alpha": 0.5}, {"omega": 0.01}, {"pointwise": 0.9}])
def test_a_lying_compressor_is_found_out(monkeypatch, answer, bound):
    monkeypatch.setattr(Liar, "answer", answer)
    monkeypatch.setattr(Entry, "load", lambda entry, real=Entry.load: Liar if entry.id == 2 else real(entry))
    x = np.random.default_rng(0).normal(size=100).astype(np.float32)
    data = gcodec.encode(x, "sd", **bound)
    assert checks.header_of(data).guarantee.kind == "exact"
    assert gcodec.decode(data).tobytes() == x.tobytes()


def test_threads_make_no_difference(monkeypatch):
    monkeypatch.setattr("gcodec.compressors.lossless.compressor.CHUNK", 1000)
    x = np.random.default_rng(0).normal(size=10_500).astype(np.float32)
    assert gcodec.encode(x, lossless=True, threads=1) == gcodec.encode(x, lossless=True, threads=3)


def test_where_lossless_wins():
    """Whatever auto chooses can be read back, also where exact bytes are the fewest."""
    f16 = np.load(CORPORA / "mlp_f16.npy")
    for x, alpha in [(np.ones(2048, np.float32), 0.1), (np.float32([1, -1] * 500), 0.5), (f16, 1e-9)]:
        data = gcodec.encode(x, alpha=alpha)
        assert checks.distortion(x, gcodec.decode(data)) <= alpha
        assert gcodec.verify(data, x).ok


@pytest.mark.parametrize("shape", [(1,) * 65, (0, 1 << 50)])
def test_shapes_beyond_the_format(shape):
    class Absurd:
        dtype, size = np.dtype(np.int8), 0

        def read(self, start, stop):
            return np.zeros(stop - start, np.int8)

    source = Absurd()
    source.shape = shape
    with pytest.raises(InvalidInput, match="cannot hold"), compress("x", source, choose("lossless")) as coded:
        ContainerWriter(BytesIO()).add(coded.header, coded.pieces(), coded.work)


@pytest.mark.parametrize(
    "options", [{"alpha": "a"}, {"alpha": [0.1]}, {"threads": "a"}, {"method": "rsd", "seed": 1.5}]
)
def test_arguments_of_the_wrong_type(options):
    with pytest.raises(InvalidInput):
        gcodec.encode(np.ones(3), **options)


def test_save_needs_a_choice(tmp_path):
    with pytest.raises(InvalidInput, match="needs a choice"):
        gcodec.save(tmp_path / "x.gcz", {"a": np.ones(3)})
    gcodec.save(tmp_path / "x.gcz", {"a": np.ones((3, 2)), "b": np.arange(4)}, alpha=0.1)
    with gcodec.open(tmp_path / "x.gcz") as archive:
        assert list(archive) == ["a", "b"] and np.array_equal(archive["b"], np.arange(4))
    assert set(gcodec.load(tmp_path / "x.gcz")) == {"a", "b"}
