"""`delta`, and records with a base: promises, bits, and what both decoders make of them."""

import io

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference_files import reference

import gcodec
from gcodec.compressors.contract import Guarantee, TensorSpec
from gcodec.compressors.delta.compressor import Delta
from gcodec.container.base import joined_crc
from gcodec.container.fields import crc32
from gcodec.container.layout import TensorHeader
from gcodec.container.reader import Stream
from gcodec.errors import Corrupt, InvalidInput, MissingBase, NonFinite
from gcodec.pipeline.bases.places import decoded_crc
from gcodec.source import ArraySource, spans

FLOATS = [np.float32, ml_dtypes.bfloat16, np.float16, np.float64, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2]
DTYPES = [*FLOATS, np.int8, np.int64, np.uint16, np.uint32, np.complex64, np.complex128]


def step(rng, shape=(64, 96), dtype=np.float32, size=0.02, change=1e-3):
    """(a tensor, the tensor after a step), of one dtype."""
    before = rng.standard_normal(shape) * size
    after = before + change * rng.standard_normal(shape)
    return before.astype(dtype), after.astype(dtype)


def header(data: bytes) -> TensorHeader:
    return next(iter(Stream(io.BytesIO(data)))).header


def by_reference(data: bytes, *bases: np.ndarray) -> bytes:
    known = [{"": base.tobytes()} for base in bases]
    return b"".join(b"".join(chunks) for _, chunks in reference.decode_file(data, known))


def squares(x: np.ndarray) -> float:
    return float((x.astype(np.float64) ** 2).sum())


def error(x: np.ndarray, y: np.ndarray) -> float:
    return float(((y.astype(np.float64) - x.astype(np.float64)) ** 2).sum())


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
def test_any_bits_come_back(dtype):
    """Words of noise, also beside themselves with few bits changed."""
    rng = np.random.default_rng(1)
    width = np.dtype(dtype).itemsize
    words = rng.integers(0, 256, (40, 33 * width), np.uint8)
    base = words.view(dtype)
    for share in (0.0, 0.01, 1.0):
        changed = np.where(rng.random(words.shape) < share, rng.integers(0, 256, words.shape, np.uint8), words)
        x = changed.view(dtype)
        source, below = ArraySource(x), ArraySource(base)
        payload = Delta().encode_on(source, below)
        decode = Delta.decoder_on(payload.head, TensorSpec(x.dtype, x.shape), below)
        parts = [decode(payload.code(*span), span[0], span[1] - span[0]) for span in spans(x.size, payload.chunk)]
        assert np.concatenate(parts).tobytes() == x.tobytes()
        data = gcodec.encode(x, base=base, lossless=True, nonfinite="lossless")
        assert gcodec.decode(data, base=base).tobytes() == x.tobytes() == by_reference(data, base)


@given(
    dtype=st.sampled_from(FLOATS),
    alpha=st.sampled_from([0.1, 0.01, 0.5]),
    of=st.sampled_from(["change", "tensor"]),
    change=st.sampled_from([1e-6, 1e-4, 1e-2, 3.0]),
    seed=st.integers(0, 1000),
)
def test_bounds_are_of_the_sum(dtype, alpha, of, change, seed):
    base, x = step(np.random.default_rng(seed), (12, 25), dtype, change=change)
    data = gcodec.encode(x, alpha=alpha, base=base, alpha_of=of)
    y = gcodec.decode(data, base=base)
    assert y.dtype == x.dtype and y.shape == x.shape
    limit = squares(x) if of == "tensor" else error(base, x)
    assert error(x, y) <= alpha * limit
    found = header(data)
    if found.guarantee.kind == "alpha":
        assert error(x, y) <= found.distortion * squares(x) * (1 + 1e-9) and found.distortion <= found.guarantee.bound
        assert found.base is None or (found.base.alpha == alpha) == (of == "change")
    assert by_reference(data, base) == y.tobytes()
    assert gcodec.verify(data, x, base=base).ok


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16, np.float16], ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("alpha", [0.1, 0.01])
def test_a_chain_does_not_drift(dtype, alpha):
    """20 steps of AdamW's size: each error is within its bound, and the last is no larger."""
    rng = np.random.default_rng(3)
    weights = rng.standard_normal((32, 48)) * 0.05
    have = weights.astype(dtype)
    errors = []
    for number in range(20):
        weights = weights - 1e-3 * np.tanh(rng.standard_normal(weights.shape) * 2) - 1e-5 * weights
        x = weights.astype(dtype)
        data = gcodec.encode(x, alpha=alpha, base=have)
        y = gcodec.decode(data, base=have)
        assert error(x, y) <= alpha * error(have, x)
        if number % 7 == 0:  # plain Python is slow
            assert by_reference(data, have) == y.tobytes()
        errors.append(error(x, y))
        have = y
    assert np.mean(errors[-5:]) <= 1.5 * np.mean(errors[:5]) + 1e-12


def test_nothing_is_sent_where_the_bound_allows_it():
    base, x = step(np.random.default_rng(0), (200, 300), change=1e-4)
    data = gcodec.encode(x, alpha=0.1, base=base, alpha_of="tensor")
    found = header(data)
    assert found.body_length == 0 and found.guarantee == Guarantee("alpha", 0.1) and len(data) < 200
    assert gcodec.decode(data, base=base).tobytes() == base.tobytes() == by_reference(data, base)
    same = header(gcodec.encode(base, alpha=0.1, base=base))
    assert same.body_length == 0 and same.guarantee.kind == "exact"


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16, np.float16, ml_dtypes.float8_e4m3fn, np.int32])
@pytest.mark.parametrize("promise", [{"lossless": True}, {"alpha": 0.1}])
def test_an_unrelated_base_costs_at_most_64_bytes(dtype, promise):
    rng = np.random.default_rng(4)
    x, base = ((rng.standard_normal((90, 100)) * 30).astype(dtype) for _ in range(2))
    whole = gcodec.encode(x, **promise)
    assert len(gcodec.encode(x, base=base, **promise)) <= len(whole) + 64


def test_small_steps_of_bfloat16_take_few_bits():
    """What changes follows from the exponent: far below the entropy without it."""
    rng = np.random.default_rng(5)
    exact = rng.standard_normal((512, 512)) * 0.02
    base = exact.astype(ml_dtypes.bfloat16)
    x = (exact + 1e-6 * np.tanh(rng.standard_normal(exact.shape))).astype(ml_dtypes.bfloat16)
    changed = (x != base).mean()
    entropy = -changed * np.log2(changed / 2) - (1 - changed) * np.log2(1 - changed)
    data = gcodec.encode(x, base=base, lossless=True)
    assert 8 * len(data) / x.size < 0.85 * entropy
    assert header(data).compressor == 11


def test_rows_that_stay_cost_little():
    rng = np.random.default_rng(6)
    base, x = step(rng, (1000, 64), ml_dtypes.bfloat16)
    some = np.where((np.arange(1000) % 10 == 0)[:, None], x, base)
    mixed = np.where(rng.random(x.shape) < 0.1, x, base)
    few, scattered = (len(gcodec.encode(one, base=base, lossless=True)) for one in (some, mixed))
    assert few < 0.85 * scattered


def test_a_missing_or_wrong_base_is_named():
    base, x = step(np.random.default_rng(7))
    data = gcodec.encode(x, alpha=0.1, base=base)
    crc = f"{crc32(base.tobytes()):08x}"
    for wrong in ({}, {"base": x}, {"base": base.astype(np.float16)}, {"base": {"w": base[:3]}}):
        with pytest.raises(MissingBase, match=crc):
            gcodec.decode(data, **wrong)
    with pytest.raises(reference.FormatError, match=f"^missing-base: .*{crc}"):
        by_reference(data, x)
    assert gcodec.decode(data, base=[x, {"": base}]).shape == x.shape


def test_a_base_of_another_dtype_or_size_is_left_out():
    base, x = step(np.random.default_rng(8))
    for other in (base[:-1], base.astype(np.float64)):
        data = gcodec.encode(x, alpha=0.1, base=other)
        assert header(data).base is None and gcodec.decode(data).shape == x.shape
    reshaped = gcodec.encode(x, alpha=0.1, base=base.reshape(-1))
    assert header(reshaped).base is not None


@pytest.mark.parametrize("dtype", ["f4", "f2", "bfloat16"])
def test_what_is_coded_whole_keeps_the_bound_of_the_change(dtype):
    rng = np.random.default_rng(0)
    base = np.where(rng.random((64, 80)) < 0.3, 0, rng.standard_normal((64, 80))).astype(dtype)
    x = (base.astype("f8") * (1 + 0.02 * rng.standard_normal(base.shape))).astype(dtype)
    holes, holes_below = x.copy(), base.copy()
    holes[:, 5], holes_below[7] = np.nan, np.nan
    for tensor, below, asked in (
        (x, base, {"keep_zeros": True}),
        (x, base, {"axis": "rows"}),
        (holes, base, {"fill": float("nan")}),
        (holes, holes_below, {"fill": float("nan")}),
        (base, base, {"keep_zeros": True}),
    ):
        back = gcodec.decode(gcodec.encode(tensor, alpha=0.1, base=below, **asked), base=below)
        wide, apart = tensor.astype("f8"), np.nan_to_num(below.astype("f8"))
        there = np.isfinite(wide)
        error2 = ((back.astype("f8") - wide)[there] ** 2).sum()
        assert error2 <= 0.1 * ((wide - apart)[there] ** 2).sum()
        assert (error2 > 0) == (tensor is not base)
    for asked in (
        {"alpha": 0.1, "axis": "rows"},
        {"alpha": 0.1, "keep_zeros": True},
        {"pointwise": 0.1},
        {"omega": 0.1},
    ):
        data = gcodec.encode(base, base=base, **asked)
        assert len(data) < 200 and gcodec.decode(data, base=base).tobytes() == base.tobytes()


def test_what_is_not_finite():
    base, x = step(np.random.default_rng(9))
    x[3, 4] = np.nan
    with pytest.raises(NonFinite):
        gcodec.encode(x, alpha=0.1, base=base)
    data = gcodec.encode(x, alpha=0.1, base=base, nonfinite="lossless")
    assert header(data).guarantee.kind == "exact"
    assert gcodec.decode(data, base=base).tobytes() == x.tobytes()
    finite = gcodec.encode(base, alpha=0.1, base=x)
    assert error(base, gcodec.decode(finite, base=x)) <= 0.1 * squares(base)


def test_far_values_do_not_overflow():
    base = np.array([3e38, -3e38, 1.0, 2.0], np.float32)
    x = np.array([-3e38, 3.4e38, 1.5, 2.5], np.float32)
    data = gcodec.encode(x, alpha=0.5, base=base)
    y = gcodec.decode(data, base=base)
    assert np.isfinite(y).all() and by_reference(data, base) == y.tobytes()


def test_arguments_are_checked():
    base, x = step(np.random.default_rng(10))
    with pytest.raises(InvalidInput, match='must be "change" or "tensor"'):
        gcodec.encode(x, alpha=0.1, base=base, alpha_of="both")
    with pytest.raises(InvalidInput, match="give one"):
        gcodec.encode(x, alpha=0.1, alpha_of="tensor")


def test_a_base_that_changes_while_it_is_read_is_noticed():
    base, x = step(np.random.default_rng(11))

    class Changing:
        dtype, shape, size, reads = base.dtype, base.shape, base.size, 0

        def read(self, start, stop):
            self.reads += 1
            return base.reshape(-1)[start:stop] + np.float32(self.reads > 4)

    from gcodec.pipeline.bases.encode import compress
    from gcodec.request.choice import choose
    from gcodec.request.on_base import OnBase, OnBases

    chooser = OnBases(lambda *_: choose(lossless=True), lambda *_: OnBase(Changing(), "w"))
    source = ArraySource(x)
    with pytest.raises(Exception, match="changed while it was read|did not come back"):
        compress("w", source, chooser("w", source))


def test_crcs_of_parts_join():
    data = np.random.default_rng(12).bytes(1000)
    assert joined_crc((crc32(data[at : at + 64]), len(data[at : at + 64])) for at in range(0, 1000, 64)) == crc32(data)
    assert joined_crc([]) == crc32(b"")
    x = np.random.default_rng(13).standard_normal(1_500_000).astype(np.float16)
    coded = gcodec.encode(x, lossless=True)
    assert decoded_crc(header(coded)) == crc32(x.tobytes()) and len(header(coded).chunks) > 1


def test_a_forged_head_is_corrupt():
    spec = TensorSpec(np.dtype(np.float16), (4,))
    for head in (b"\0", b"\x20\0\0", b"\0\0\2", b"\0\0\0\0"):
        with pytest.raises(Corrupt):
            Delta.decoder(head, spec)
