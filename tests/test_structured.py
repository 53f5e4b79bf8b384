"""Zeros, fill values, signs, means and heads are kept, and what is promised of them is verified."""

import ml_dtypes
import numpy as np
import pytest
from checks import call_cli, header_of
from hypothesis import given
from hypothesis import strategies as st

import gcodec
from gcodec.compressors.contract import Guarantee, TensorSpec
from gcodec.compressors.structured.compressor import Structured
from gcodec.errors import InvalidInput
from gcodec.source import ArraySource

RNG = np.random.default_rng(4)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def pruned(share: float, *shape: int) -> np.ndarray:
    return np.where(RNG.random(shape) < share, np.float32(0), normal(*shape))


def error(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x.astype(np.float64), y.astype(np.float64)
    return float(((y - x) ** 2).sum() / (x**2).sum())


def checked(x: np.ndarray, **options: object) -> np.ndarray:
    """What comes back of a file of which every promise holds."""
    data = gcodec.encode(x, **options)
    report = gcodec.verify(data, x)
    assert report.ok, [check for check in report.tensors[0].checks if not check.ok]
    return gcodec.decode(data)


@pytest.mark.parametrize("alpha", [0.3, 0.1, 0.01, 1e-3, 1e-4, 1e-6])
@pytest.mark.parametrize("share", [0.5, 0.7, 0.9])
def test_frequent_zeros_come_back_where_that_takes_5_percent_at_most(share, alpha):
    x = pruned(share, 256, 128)
    y = checked(x, alpha=alpha)
    kept, given_up = (len(gcodec.encode(x, alpha=alpha, keep_zeros=keep)) for keep in (True, False))
    assert error(x, y) <= alpha and kept <= 1.07 * given_up
    assert not y[x == 0].any() or kept > 1.05 * given_up
    assert len(gcodec.encode(x, alpha=alpha)) <= 1.06 * given_up


@pytest.mark.parametrize("alpha", [0.1, 0.01, 1e-3, 1e-5])
@pytest.mark.parametrize("dtype", ["f4", "f2"])
@pytest.mark.parametrize("where", ["row", "rows", "columns"])
def test_a_few_rows_and_columns_of_zeros_come_back(where, dtype, alpha):
    """A map of them takes next to nothing, however few they are."""
    x = normal(400, 96).astype(dtype)
    gone = RNG.random(400 if "row" in where else 96) < 0.04
    gone = np.arange(400) == 7 if where == "row" else gone
    (x if "row" in where else x.T)[gone] = 0
    assert not checked(x, alpha=alpha)[x == 0].any()
    assert len(gcodec.encode(x, alpha=alpha)) <= 1.01 * len(gcodec.encode(x, alpha=alpha, keep_zeros=False))


@pytest.mark.parametrize("alpha", [0.1, 1e-3])
def test_channels_that_were_pruned_come_back(alpha):
    """Their map repeats itself with each row, far apart."""
    x = normal(64, 64, 3, 3)
    x[:, RNG.random(64) < 0.1] = 0
    assert not checked(x, alpha=alpha)[x == 0].any()
    assert len(gcodec.encode(x, alpha=alpha)) <= len(gcodec.encode(x, alpha=alpha, keep_zeros=False))


def test_few_zeros_are_kept_where_their_map_saves_bits():
    x = pruned(0.04, 256, 256)
    assert not checked(x, alpha=1e-6)[x == 0].any() and checked(x, alpha=0.01)[x == 0].any()
    assert len(gcodec.encode(x, alpha=1e-6)) < len(gcodec.encode(x, alpha=1e-6, keep_zeros=False))


@pytest.mark.parametrize("alpha", [0.01, 1e-5])
def test_zeros_of_both_signs(alpha):
    x = normal(128, 128) * (RNG.random((128, 128)) < 0.5)
    assert np.signbit(x[x == 0]).any() and not checked(x, alpha=alpha)[x == 0].any()


def test_a_map_of_zeros_saves_bits_at_small_bounds():
    x = pruned(0.5, 256, 256)
    assert len(gcodec.encode(x, alpha=1e-5)) < 0.85 * len(gcodec.encode(x, "tcq", alpha=1e-5))


@pytest.mark.parametrize("alpha", [0.5, 0.01, 1e-4])
def test_zeros_that_are_asked_for_come_back(alpha):
    x = pruned(0.03, 100, 90)
    x[3] = -0.0
    for method in ("auto", "tcq", "ecsq", "sd"):
        assert not checked(x, method=method, alpha=alpha, keep_zeros=True)[x == 0].any()
    for method in ("sc", "klt"):
        with pytest.raises(InvalidInput, match=f"method {method} cannot keep values"):
            gcodec.encode(x, method, alpha=alpha, keep_zeros=True)


def test_rows_that_were_not_touched():
    x = normal(400, 64) * (RNG.random((400, 1)) < 0.1).astype(np.float32)
    y = checked(x, alpha=0.01)
    assert not y[x == 0].any()


@pytest.mark.filterwarnings("ignore:.*changed by more than half of their size")
@pytest.mark.parametrize("method", ["auto", "ecsq", "tcq", "klt"])
@pytest.mark.parametrize("alpha", [0.3, 0.01])
def test_values_stay_in_a_range_that_means_something(method, alpha):
    for x in (normal(64, 80) ** 2, 1 + RNG.random((64, 80)), np.clip(normal(64, 80), -1, 1.5), -np.abs(normal(70, 9))):
        x = x.astype(np.float32)
        y = checked(x, method=method, alpha=alpha)
        assert x.min() <= y.min() and y.max() <= x.max()


def test_fill_values_and_nan():
    x = normal(80, 50)
    x[::3, ::2], x[1::7] = np.nan, -1.0
    x.view(np.uint32)[0, 0] = 0xFFC12345
    special = np.isnan(x) | (x == -1)
    y = checked(x, alpha=1e-3, fill=[float("nan"), -1.0])
    assert y[special].tobytes() == x[special].tobytes()
    assert error(x[~special], y[~special]) <= 1e-3
    with pytest.raises(gcodec.errors.NonFinite):
        gcodec.encode(x, alpha=1e-3, fill=-1.0)


def test_too_many_patterns():
    x = np.arange(0x7FC0_0000, 0x7FC0_0000 + 300, dtype=np.uint32).view(np.float32)
    with pytest.raises(InvalidInput, match="300 bit patterns; at most 254"):
        gcodec.encode(x, alpha=0.1, fill=float("nan"))


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_a_bound_for_each_slice(axis):
    x = normal(6, 40, 30) * np.float32(10) ** RNG.uniform(
        -2, 2, [n if a == axis % 3 else 1 for a, n in enumerate((6, 40, 30))]
    )
    x = x.astype(np.float32)
    x[(slice(None),) * (axis % 3) + (2,)] = 0
    y = checked(x, alpha=0.02, axis=axis)
    for a, b in zip(np.moveaxis(x, axis, 0), np.moveaxis(y, axis, 0), strict=True):
        assert error(a, b) <= 0.02 if a.any() else not b.any()


def test_heads_that_the_bound_would_erase():
    x = normal(8, 64, 32) * np.float32(10) ** np.linspace(-2, 2, 8, dtype=np.float32)[:, None, None]
    y = checked(x, alpha=0.01)
    assert max(map(error, x, y)) <= 0.01
    alike = normal(8, 64, 32)
    assert not header_of(gcodec.encode(alike, alpha=0.01)).attributes


@pytest.mark.filterwarnings("ignore:.*changed by more than half of their size")
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("alpha", [0.3, 0.01, 1e-4])
def test_signs_of_one_sided_tensors(sign, alpha):
    x = (sign * normal(64, 80) ** 2).astype(np.float32)
    y = checked(x, alpha=alpha)
    assert (sign * y >= 0).all() and np.abs(y).max() <= np.abs(x).max()


def test_a_mean_that_carries_the_norm():
    x = (1 + 0.1 * normal(4096)).astype(np.float32)
    data = gcodec.encode(x, alpha=0.1)
    assert header_of(data).body_length <= 11 and (gcodec.decode(data) > 0).all()
    fine = gcodec.encode(x, alpha=1e-4)
    assert len(fine) < 0.75 * len(gcodec.encode(x, "tcq", alpha=1e-4))


def test_means_that_float32_cannot_hold():
    """They are left on, without a warning of an overflow."""
    x = 1e300 * (5 + normal(64, 32).astype(np.float64))
    y = gcodec.decode(gcodec.encode(x, "structured", alpha=0.01, options={"means": 0}))
    assert error(x / 1e300, y / 1e300) <= 0.01


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("axis", [0, 1])
def test_means_of_rows_and_columns_that_carry_the_norm(axis, dtype):
    rests = normal(256, 128)
    means = normal(*((256, 1) if axis == 0 else (1, 128)))
    x = (rests + 5 * means).astype(dtype)
    for alpha, share in ((0.01, 0.8), (1e-4, 0.9)):
        y = checked(x, alpha=alpha)
        assert error(x, y) <= alpha
        best = min(len(gcodec.encode(x, method, alpha=alpha)) for method in ("tcq", "klt", "ecsq"))
        assert len(gcodec.encode(x, alpha=alpha)) < share * best


def test_plain_tensors_stay_plain():
    for x in (normal(64, 64), normal(5000), normal(4, 8, 8, 3)):
        assert header_of(gcodec.encode(x, alpha=0.01)).attributes == {}
        assert header_of(gcodec.encode(x, alpha=0.01)).compressor != 10


@given(
    st.sampled_from(["f2", ml_dtypes.bfloat16, "f4", "f8", ml_dtypes.float8_e5m2]),
    st.sampled_from([(60,), (12, 9), (5, 4, 6), (1, 20, 7)]),
    st.sampled_from(["ecsq", "tcq", "klt"]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0.9, 0.1, 0.01]),
    st.integers(0, 2**32),
)
def test_any_structure(dtype, shape, other, mean, clamp, keep, scale, alpha, seed):
    rng = np.random.default_rng(seed)
    x = (rng.standard_normal(shape) * (rng.random(shape) < 0.7) + rng.integers(2)).astype(dtype)
    kept = (0, int(x.reshape(-1).view(f"u{x.itemsize}")[0])) if keep and other != "klt" else ()
    options = {"other": other, "mean": mean, "clamp": clamp, "kept": kept, "axis": 0 if scale else None}
    options["means"] = [None, 0, len(shape) - 1][rng.integers(3)]
    y = gcodec.decode(gcodec.encode(x, "structured", alpha=alpha, options=options))
    words, back = (part.reshape(-1).view(f"u{x.itemsize}") for part in (x, y))
    for word in kept:
        assert (back[words == word] == word).all()
    if clamp and not kept:
        assert x.astype(float).min() <= y.astype(float).min() and y.astype(float).max() <= x.astype(float).max()


def test_several_chunks():
    x = pruned(0.5, 700, 1024)
    payload = Structured(kept=(0,)).encode(ArraySource(x), Guarantee("alpha", 1e-4))
    decode = Structured.decoder(payload.head, TensorSpec(x.dtype, x.shape))
    flat, y = x.reshape(-1), np.empty(x.size, np.float32)
    for start in range(0, x.size, payload.chunk):
        stop = min(start + payload.chunk, x.size)
        y[start:stop] = decode(payload.code(start, stop), start, stop - start)
    assert x.size > payload.chunk and not y[flat == 0].any() and error(flat, y) <= 1e-4


def test_verify_sees_kept_values_and_slices_that_changed():
    x = pruned(0.5, 64, 64)
    changed = x.copy()
    changed.flat[np.argmax(x)] = 0
    report = gcodec.verify(gcodec.encode(x, alpha=0.1, fill=0), changed)
    assert [check.name for check in report.tensors[0].checks if not check.ok][-1] == "kept values"
    rows = gcodec.encode(x, alpha=0.1, axis=0)
    other = x.copy()
    other[5] *= 3
    assert "slices" in [check.name for check in gcodec.verify(rows, other).tensors[0].checks if not check.ok]


def test_policy_and_command(tmp_path):
    x = {"k_proj": normal(8, 64, 16) * np.float32(10) ** np.arange(8)[:, None, None], "t": normal(64, 64)}
    x["k_proj"] = x["k_proj"].astype(np.float32)
    x["t"][3] = 5
    np.savez(tmp_path / "x.npz", **x)
    rules = ["--alpha", "1e-2", "--alpha", "k_*=1e-2@rows", "--fill", "t=5", "--keep-zeros"]
    assert call_cli("encode", tmp_path / "x.npz", *rules)[0] == 0
    assert call_cli("verify", tmp_path / "x.npz.gcz", "--against", tmp_path / "x.npz")[0] == 0
    back = gcodec.load(tmp_path / "x.npz.gcz")
    assert max(map(error, x["k_proj"], back["k_proj"])) <= 0.01 and (back["t"][3] == 5).all()
    x["t"][5] = -7
    np.savez(tmp_path / "x.npz", **x)
    fills = ["--fill", "t=5", "--fill", "t=-7", "--fill", "1e20"]
    assert call_cli("encode", "-f", tmp_path / "x.npz", "--alpha", "1e-2", *fills)[0] == 0
    back = gcodec.load(tmp_path / "x.npz.gcz")
    assert (back["t"][3] == 5).all() and (back["t"][5] == -7).all()
    gcodec.save(tmp_path / "y.gcz", x, alpha=0.01, axes={"k_*": 0}, fills={"t": 5.0, "*": [-7.0, 1e20]})
    back = gcodec.load(tmp_path / "y.gcz")
    assert (back["t"][3] == 5).all() and (back["t"][5] == -7).all()
    assert max(map(error, x["k_proj"], gcodec.load(tmp_path / "y.gcz")["k_proj"])) <= 0.01


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"omega": 0.5, "axis": 0}, "an unbiased code .omega. cannot keep zeros or fill values, nor hold"),
        ({"omega": 0.5, "keep_zeros": True}, "an unbiased code .omega. cannot keep zeros"),
        ({"pointwise": 0.5, "axis": 0}, "a bound pointwise holds for every value, so it takes no axis"),
        ({"alpha": 0.5, "axis": 2}, "has no axis 2"),
        ({"alpha": 0.5, "axis": "heads"}, 'axis must be "rows", "columns" or a whole number, not \'heads\''),
        ({"alpha": "0.5@rows"}, 'in Python the axis of slices is axis="rows"'),
        ({"alpha": 0.5, "fill": "nan"}, "NaN is float\\('nan'\\) in Python"),
        ({"alpha": 0.5, "keep_zeros": 2}, "keep_zeros must be True or False"),
        ({"alpha": 0.5, "fill": "x"}, "fill must be a number"),
        ({"alpha": 0.5, "method": "structured", "options": {"other": "sd"}}, "must be one of ecsq, tcq, klt"),
        ({"alpha": 0.5, "method": "structured", "options": {"axis": 5}}, "has no axis 5"),
    ],
)
def test_refused(options, words):
    with pytest.raises(InvalidInput, match=words):
        gcodec.encode(normal(10, 10), **options)


@pytest.mark.parametrize("text", ["1e-2@", "1e-2@heads", "1e-2@axis", "x@rows"])
def test_refused_by_the_command(tmp_path, text):
    np.save(tmp_path / "x.npy", normal(9, 9))
    code, _, err = call_cli("encode", tmp_path / "x.npy", "--alpha", text)
    assert code == 2 and "--alpha" in err
