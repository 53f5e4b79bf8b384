"""What is asked for beside a bound: zeros, fill values and slices, in Python and the command."""

import io
import warnings

import numpy as np
import pytest
from checks import call_cli, header_of

import gcodec
from gcodec.errors import InvalidInput, NonFinite

RNG = np.random.default_rng(9)
NAN = float("nan")


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def error(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x.astype(np.float64), y.astype(np.float64)
    return float(((y - x) ** 2).sum() / (x**2).sum())


def spread_rows(*shape: int) -> np.ndarray:
    """Rows of very different sizes."""
    return (normal(*shape) * 10 ** RNG.uniform(-4, 0, (shape[0], *[1] * (len(shape) - 1)))).astype(np.float32)


@pytest.mark.parametrize("alpha", [0.3, 0.1, 0.01, 1e-3, 1e-6])
@pytest.mark.parametrize("kind", ["none", "half", "rows", "low rank"])
def test_zeros_asked_for_cost_nothing_where_they_are_kept_anyway(kind, alpha):
    x = normal(128, 4) @ normal(4, 96) + 0.01 * normal(128, 96) if kind == "low rank" else normal(128, 96)
    x = x * {"half": RNG.random(x.shape) < 0.5, "rows": RNG.random((128, 1)) < 0.2}.get(kind, np.float32(1))
    x = x.astype(np.float32)
    plain, asked = (gcodec.encode(x, alpha=alpha, keep_zeros=keep) for keep in (None, True))
    assert not gcodec.decode(asked)[x == 0].any()
    assert gcodec.decode(plain)[x == 0].any() or len(asked) <= len(plain)


def test_a_method_that_was_named_keeps_zeros_plainly_where_that_is_shorter():
    x = normal(200, 64) * (RNG.random((200, 1)) < 0.1).astype(np.float32)
    plain, asked = (gcodec.encode(x, "tcq", alpha=0.1, keep_zeros=keep) for keep in (None, True))
    assert not gcodec.decode(asked)[x == 0].any() and len(asked) <= len(plain)


@pytest.mark.parametrize("alpha", [0.1, 1e-5])
def test_signs_of_zeros(alpha):
    """Zeros that are kept may lose their sign; both zeros as fill values keep their bits."""
    x = normal(64, 64) * (RNG.random((64, 64)) < 0.5)
    zeros = x == 0
    assert np.signbit(x[zeros]).any() and not np.signbit(x[zeros]).all()
    assert not gcodec.decode(gcodec.encode(x, alpha=alpha, keep_zeros=True))[zeros].any()
    bits = gcodec.decode(gcodec.encode(x, alpha=alpha, fill=[0.0, -0.0]))
    assert bits[zeros].tobytes() == x[zeros].tobytes()
    assert gcodec.decode(gcodec.encode(x, pointwise=alpha, keep_zeros=True))[zeros].tobytes() == x[zeros].tobytes()


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("fill", [[NAN], [NAN, -999.0], [float("inf"), NAN]])
@pytest.mark.parametrize("bound", [0.1, 1e-3])
def test_fill_values_beside_a_bound_pointwise(dtype, fill, bound):
    x = normal(70, 33).astype(dtype)
    x[RNG.random(x.shape) < 0.2], x[5], x[:, 3] = fill[0], fill[-1], 0
    x[6, ::2] = -0.0
    special = np.isin(x, fill) | np.isnan(x)
    data = gcodec.encode(x, pointwise=bound, fill=fill)
    y = gcodec.decode(data)
    assert header_of(data).guarantee.kind == "pointwise" and gcodec.verify(data, x).ok
    assert y[special].tobytes() == x[special].tobytes() and np.array_equal(np.signbit(x), np.signbit(y))
    wide, back = x[~special].astype(np.float64), y[~special].astype(np.float64)
    assert (np.abs(back - wide) <= bound * np.abs(wide)).all()
    changed = x.copy()
    changed.flat[np.argmin(special)] = fill[0]
    failing = [check.name for check in gcodec.verify(data, changed).tensors[0].checks if not check.ok]
    assert "kept values" in failing


def test_fill_values_of_whole_chunks_and_of_zeros_alone():
    x = np.full((300, 4096), NAN, np.float32)
    x[-1], x[-1, :9] = 0, 3
    y = gcodec.decode(gcodec.encode(x, pointwise=0.1, fill=NAN))
    assert np.array_equal(np.isnan(x), np.isnan(y)) and (y[-1, 9:] == 0).all()
    x[-1, :9] = -0.0
    assert gcodec.decode(gcodec.encode(x, pointwise=0.1, fill=NAN)).tobytes() == x.tobytes()


@pytest.mark.parametrize("bound", [{"alpha": 0.1}, {"pointwise": 0.1}])
def test_nan_beside_fill_values_is_refused_with_what_to_type(bound):
    x = normal(40, 40)
    x[::3], x[1, 1] = 1e20, np.nan
    with pytest.raises(NonFinite, match=r"fill=float\('nan'\) in Python .*--fill nan on the command line"):
        gcodec.encode(x, fill=1e20, **bound)
    assert np.isnan(gcodec.decode(gcodec.encode(x, fill=[1e20, NAN], **bound))[1, 1])


def test_fill_values_of_the_command_are_lists_as_in_python(tmp_path):
    x = normal(64, 64)
    x[::5], x[1::5, 1], x[3, 3] = -999, np.nan, 1e20
    np.save(tmp_path / "x.npy", x)
    for options in (["--fill=-999,nan,1e20"], ["--fill=-999", "--fill", "nan", "--fill", "*=1e20"]):
        assert call_cli("encode", tmp_path / "x.npy", "-f", "--pointwise", "0.01", *options)[0] == 0
        assert (tmp_path / "x.npy.gcz").read_bytes() == gcodec.encode(x, pointwise=0.01, fill=[-999.0, NAN, 1e20])
    code, _, err = call_cli("encode", tmp_path / "x.npy", "-f", "--alpha", "0.1", "--fill", "1,x")
    assert code == 2 and "--fill x: 'x' is not a number" in err


@pytest.mark.parametrize("axis", ["rows", "columns", 0, -1, 1, 3])
def test_a_tensor_of_fewer_than_two_axes_is_one_slice(axis):
    for x in (normal(2000), np.float32(3)):
        data = gcodec.encode(x, alpha=0.01, axis=axis)
        assert error(np.asarray(x), gcodec.decode(data)) <= 0.01 and "slices" not in header_of(data).attributes
    assert gcodec.encode(spread_rows(30, 9), alpha=0.1, axis="columns") != gcodec.encode(
        spread_rows(30, 9), alpha=0.1, axis="rows"
    )


def test_an_axis_that_is_not_there_names_the_tensor_and_what_to_type(tmp_path):
    tensors = {"conv": normal(8, 4, 3, 3), "bias": normal(2000), "head": normal(40, 50)}
    np.savez(tmp_path / "x.npz", **tensors)
    assert call_cli("encode", tmp_path / "x.npz", "--alpha", "0.01@axis1")[0] == 0
    code, _, err = call_cli("encode", tmp_path / "x.npz", "-f", "--alpha", "0.01@axis2")
    assert code == 2 and "head: its shape (40, 50) has no axis 2" in err and "--alpha 'head=1e-2@rows'" in err
    rules = ["--alpha", "0.01@axis2", "--alpha", "head=1e-2@rows"]
    assert call_cli("encode", tmp_path / "x.npz", "-f", *rules)[0] == 0
    with pytest.raises(InvalidInput, match="the array: its shape .* has no axis 2"):
        gcodec.encode(tensors["head"], alpha=0.1, axis=2)


@pytest.mark.parametrize(("shape", "axis"), [((64, 64), "rows"), ((1, 64, 64), "axis1")])
def test_whole_rows_that_are_lost_ask_for_slices_along_them(shape, axis):
    x = spread_rows(64, 64).reshape(shape)
    x[..., 0, :] = 1000 * normal(64)
    for asked in (None, "columns"):
        with pytest.warns(UserWarning, match=f"bound each slice by --alpha x=0.01@{axis} "):
            gcodec_encoded(x, asked)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gcodec_encoded(x, axis.removeprefix("axis"))


def gcodec_encoded(x: np.ndarray, axis: str | None) -> None:
    axes = {} if axis is None else {"x": int(axis) if axis.isdecimal() else axis}
    with gcodec.Writer(io.BytesIO(), gcodec.Policy(alpha=0.01, axes=axes)) as writer:
        writer.add("x", x)


def test_values_that_are_lost_everywhere_ask_for_pointwise():
    x = (normal(64, 64) * 10 ** RNG.uniform(-9, 0, (64, 64))).astype(np.float32)
    with pytest.warns(UserWarning, match="use --pointwise"):
        gcodec_encoded(x, None)


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ({"omega": 0.5, "keep_zeros": True}, "^w: an unbiased code"),
        ({"omega": 0.5, "fills": {"w": 1.0}}, "^w: an unbiased code"),
        ({"omega": 0.5, "axes": {"w": 0}}, "^w: an unbiased code"),
        ({"pointwise": 0.5, "axes": {"w": 0}}, "^w: a bound pointwise holds for every value"),
        ({"alphas": {"b": 0.1}}, "^w: no rule names it, and it needs a choice"),
        ({"alpha": 0.1, "fills": {"w": "nan"}}, "NaN is float"),
        ({"alpha": "0.1@rows"}, 'axes={"GLOB": "rows"}'),
        ({"alpha": 0.1, "alphas": {"w": "0.1@rows"}}, "the alpha of 'w' must be a number, not '0.1@rows'"),
        ({"alpha": 0.1, "axes": {"w": "row"}}, 'axis must be "rows", "columns" or'),
        ({"alpha": 0.1, "scope": "file", "fills": {"w": 1.0}}, "counts fill values as all others"),
        ({"alpha": 0.1, "scope": "file", "alphas": {"w": 0.5}}, "such as 'w'. take all of alpha 0.1"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, policy, words):
    with pytest.raises(InvalidInput, match=words):
        gcodec.save(tmp_path / "x.gcz", {"w": normal(64, 64), "b": normal(2000)}, **policy)
    assert not list(tmp_path.iterdir())


def test_the_command_refuses_in_the_same_words(tmp_path):
    np.savez(tmp_path / "x.npz", w=normal(64, 64))
    code, _, err = call_cli("encode", tmp_path / "x.npz", "--omega", "0.5", "--keep-zeros")
    assert code == 2 and "w: an unbiased code (omega) cannot keep zeros" in err


def test_rules_alone_are_enough_where_they_name_all(tmp_path):
    tensors = {"w": normal(64, 64), "step": np.arange(3), "small": normal(9)}
    gcodec.save(tmp_path / "x.gcz", tensors, alphas={"w": 0.1})
    back = gcodec.load(tmp_path / "x.gcz")
    assert 0.05 < error(tensors["w"], back["w"]) <= 0.1 and back["small"].tobytes() == tensors["small"].tobytes()
    np.savez(tmp_path / "x.npz", **tensors)
    assert call_cli("encode", tmp_path / "x.npz", "--alpha", "w=0.1")[0] == 0
    with gcodec.Writer(io.BytesIO(), gcodec.Policy(alphas={"w": 0.1})) as writer:
        writer.add("w", tensors["w"])
        with pytest.raises(InvalidInput, match="v: no rule names it"):
            writer.add("v", tensors["w"])


def test_bounds_of_their_own_in_the_scope_of_a_file(tmp_path):
    """Tensors with a rule or with slices keep their bounds; the others share what is left."""
    tensors = {"k": spread_rows(16, 400), "a": normal(64, 64), "b": normal(40, 50)}
    np.savez(tmp_path / "x.npz", **tensors)
    options = ["--scope", "file", "--alpha", "0.1", "--alpha", "k=0.02@rows", "--pointwise", "b=0.01"]
    assert call_cli("encode", tmp_path / "x.npz", *options)[0] == 0
    assert call_cli("verify", tmp_path / "x.npz.gcz", "--against", tmp_path / "x.npz")[0] == 0
    back = gcodec.load(tmp_path / "x.npz.gcz")
    assert max(map(error, tensors["k"], back["k"])) <= 0.02 and error(tensors["b"], back["b"]) <= 1e-4
    whole = [np.concatenate([part.ravel() for part in one.values()]) for one in (tensors, back)]
    assert 0.08 < error(*whole) <= 0.1
    assert call_cli("encode", tmp_path / "x.npz", "-f", "--scope", "file", "--alpha", "0.1@rows")[0] == 0
    back = gcodec.load(tmp_path / "x.npz.gcz")
    assert all(max(map(error, tensors[name], back[name])) <= 0.1 for name in tensors)
