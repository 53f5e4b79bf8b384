"""Rules for the tensors of a checkpoint.

Every choice is checked before anything is written, and says what it is.
"""

import json

import numpy as np
import pytest
from checks import call_cli, check_pointwise, header_of
from safetensors.numpy import save_file

import gcodec
from gcodec.errors import InvalidInput
from gcodec.pipeline.convert import encode_tensors
from gcodec.request.policy import Policy
from gcodec.request.rules import Rules
from gcodec.source import ArraySource


@pytest.fixture
def model(tmp_path):
    rng = np.random.default_rng(0)
    names = ("a.weight", "b.weight", "tok.weight")
    save_file({name: rng.normal(size=(48, 32)).astype("f4") for name in names}, tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


def encoded(model, *options):
    """Output of `encode`, and the guarantees by name."""
    code, out, err = call_cli("encode", model, "-f", *options)
    assert code == 0, err
    tensors = json.loads(call_cli("info", f"{model}.gcz", "--json")[1])["tensors"]
    return out, {t["name"]: (t["method"], t["guarantee"]["class"], t["guarantee"]["bound"]) for t in tensors}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--lossless", "--method", "*.weight=sd"], "a bound of their own"),
        (["--alpha", "1e-3", "--method", "*.weight=rsd"], "cannot guarantee alpha"),
        (["--alpha", "1e-3", "--method", "*.weight=zip"], "unknown"),
        (["--method", "lossless", "--alpha", "*.weight=0.1"], "cannot guarantee alpha"),
        (["--omega", "1", "--method", "rsd", "--alpha", "a*=0.1"], "cannot guarantee alpha"),
        *((["--lossless", "--alpha", f"a*={bad}"], "between 0 and 1") for bad in ("7", "nan", "0", "-1", "1")),
        (["--lossless", "--exact", "a*", "--alpha", "a*=7"], "between 0 and 1"),
        (["--lossless", "--alpha", "a*=x"], "not a number"),
        (["--small", "0", "--alpha", "*=-1", "--lossless"], "between 0 and 1"),
        (["--alpha", "a*=1e-2"], "no rule names it, and it needs a choice"),
        (["--alpha", "=0.1"], "the glob is missing"),
        (["--alpha", "0.1", "--method", "a*=sd", "--max-draws", "100"], "no option max_draws"),
        (["--alpha", "0.1", "--scope", "all"], "scope must be"),
        *((["--pointwise", bad], "pointwise must be between 0 and 1") for bad in ("1", "0", "-1", "nan", "inf")),
        (["--lossless", "--pointwise", "a*=7"], "the rule pointwise a*=7.0: pointwise must be between 0 and 1"),
        (["--pointwise", "x"], "--pointwise x: 'x' is not a number"),
        (["--pointwise", "a*=1e-2", "--pointwise", "a*=1e-3"], "the glob 'a*' was given before"),
        (["--pointwise", "a*=1e-2"], "no rule names it, and it needs a choice"),
        (["--lossless", "--pointwise", "no*=1e-2"], "matches no tensor"),
        (["--pointwise", "0.1", "--alpha", "0.1"], "only one of alpha, omega, pointwise and lossless"),
        (["--pointwise", "0.1", "--method", "a*=sd"], "cannot guarantee pointwise"),
        (["--alpha", "0.1", "--method", "geometric"], "cannot guarantee alpha"),
        (["--pointwise", "0.1", "--scope", "file"], "needs one alpha"),
        (["--alpha", "a*=0.1", "--scope", "file"], "needs one alpha"),
        (["--alpha", "0.1", "--scope", "file", "--alpha", "*.weight=0.2"], "take all of alpha 0.1"),
    ],
)
def test_rules_that_do_not_fit_are_refused_at_once(model, options, words):
    code, out, err = call_cli("encode", model, *options)
    assert (code, out) == (2, "") and words in err and err.count("\n") == 1, err
    assert not model.with_name("m.safetensors.gcz").exists()


def test_rules_keep_the_options_that_their_method_knows():
    def choices(**fields):
        rules = Rules(Policy(**fields), 1)
        return {name: rules.choice(name, ArraySource(np.ones(2000))) for name in ("a", "b", "c")}

    found = choices(omega=0.5, seed=5, effort="fast", methods={"a": "rsd", "b": "lossless"})
    assert found["a"].options == {"seed": 5} and found["b"].options == {}
    assert found["c"].options == {"seed": 5, "effort": "fast"}
    with pytest.raises(InvalidInput, match="no option block"):
        choices(method="sd", alpha=0.1, block=8)
    a = choices(method="sd", alpha=0.1, block=8, methods={"a": "sc"})["a"]
    assert a.options == {"block": 8} and a.guarantee.bound == 0.1


def test_rules_win_over_lossless(model):
    _, found = encoded(model, "--lossless", "--alpha", "tok*=1e-2", "--method", "tok*=sd")
    assert found["tok.weight"] == ("sd", "alpha", 0.01) and found["a.weight"][1] == "exact"
    _, found = encoded(model, "--lossless", "--alpha", "*=1e-2", "--method", "*=sd", "--exact", "tok*")
    assert found["tok.weight"][1] == "exact" and found["a.weight"] == ("sd", "alpha", 0.01)


def test_pointwise_rules_win_over_alpha_rules_and_defaults(model):
    _, found = encoded(model, "--alpha", "1e-3", "--pointwise", "tok*=1e-2")
    assert found["tok.weight"][1:] == ("pointwise", 0.01) and found["a.weight"][1:] == ("alpha", 1e-3)
    _, found = encoded(model, "--lossless", "--alpha", "*.weight=1e-3", "--pointwise", "tok*=1e-2")
    assert found["tok.weight"] == ("geometric", "pointwise", 0.01) and found["a.weight"][1:] == ("alpha", 1e-3)
    _, found = encoded(model, "--pointwise", "0.5", "--pointwise", "a*=0.1", "--pointwise", "a.w*=0.2", "--exact", "b*")
    assert [found[f"{name}.weight"][2] for name in ("tok", "a", "b")] == [0.5, 0.2, 0.0]
    assert "3 tensors: 2 geometric (pointwise ≤ 0.5)" in encoded(model, "--pointwise", "0.5", "--exact", "b*")[0]


def test_pointwise_in_python(tmp_path):
    tensors = {name: np.random.default_rng(0).normal(size=2000).astype("f4") for name in ("v", "w")}
    gcodec.save(tmp_path / "x.gcz", tensors, alpha=1e-2, pointwises={"v": 0.03})
    gcodec.save(tmp_path / "y.gcz", tensors, policy=Policy(alpha=1e-2, pointwises={"v": 0.03}))
    assert (tmp_path / "x.gcz").read_bytes() == (tmp_path / "y.gcz").read_bytes()
    with gcodec.open(tmp_path / "x.gcz") as archive:
        assert [archive.header(name).guarantee.kind for name in archive] == ["pointwise", "alpha"]
    gcodec.save(tmp_path / "z.gcz", tensors, pointwise=0.2)
    for name, y in gcodec.load(tmp_path / "z.gcz").items():
        check_pointwise(tensors[name], y, 0.2)
    assert gcodec.verify(tmp_path / "z.gcz", tensors).ok
    for bad in ({"v": "a"}, {"v": None}, {1: 0.5}, 0.5):
        with pytest.raises(InvalidInput):
            Policy(alpha=0.1, pointwises=bad)


def test_a_default_bound_is_stated(model):
    out, found = encoded(model, "--method", "sd")
    assert "3 tensors: 3 sd (alpha ≤ 0.1) (the default" in out and found["a.weight"] == ("sd", "alpha", 0.1)
    assert "(the default" not in encoded(model, "--method", "sd", "--alpha", "0.1")[0]


def test_scope_file_is_stated_once(model):
    out, _ = encoded(model, "--method", "sd", "--alpha", "0.05", "--scope", "file")
    assert "3 tensors: 3 sd (in the file's); alpha ≤ 0.05 over all floating tensors as one vector" in out
    assert "alpha ≤ 0.05 over all floating tensors" in call_cli("info", f"{model}.gcz")[1]


def test_counts(tmp_path):
    save_file({"only": np.ones(3, "f4")}, tmp_path / "one.safetensors")
    assert "1 tensor: 1 exact" in encoded(tmp_path / "one.safetensors", "--lossless")[0]
    np.savez(tmp_path / "none.npz")
    assert "0 tensors\n" in encoded(tmp_path / "none.npz", "--lossless")[0]
    assert call_cli("decode", tmp_path / "none.npz.gcz", "-f")[0] == 0 and not np.load(tmp_path / "none.npz").files


@pytest.mark.parametrize("method", ["auto", "sd", "lossless"])
def test_progress_moves_within_a_tensor(method):
    """…and adds up to the tensor's bytes, however often it was coded."""
    x = np.random.default_rng(0).normal(size=5 << 20).astype("f4")
    told: list[int] = []
    rules = Rules(Policy(method=method, alpha=None if method == "lossless" else 0.1), 1)
    with open("/dev/null", "wb") as file:
        list(encode_tensors([("x", ArraySource(x))], {}, file, rules.choice, 1, told.append))
    assert sum(told) == x.nbytes and len([n for n in told if n]) >= 5 and max(told) < x.nbytes / 2


@pytest.mark.parametrize("threads", [0, -3, 1.5])
def test_threads_are_counted_from_one(threads):
    data = gcodec.encode(np.ones(3), lossless=True)
    for call in (gcodec.decode, gcodec.verify):
        with pytest.raises(InvalidInput, match="number of threads"):
            call(data, threads=threads)


def test_threads_of_the_command_line(tmp_path):
    (tmp_path / "x.gcz").write_bytes(gcodec.encode(np.ones(3), lossless=True))
    for command in (["decode", "-o", tmp_path / "x.npy"], ["verify"]):
        code, _, err = call_cli(*command, tmp_path / "x.gcz", "-T", "0")
        assert code == 2 and "number of threads" in err


def test_bools_that_are_none(tmp_path):
    bad = np.array([0, 1, 7], np.uint8).view(bool)
    with pytest.raises(InvalidInput, match="neither 0 nor 1"):
        gcodec.encode(bad)
    np.savez(tmp_path / "x.npz", flags=bad, w=np.ones(3))
    code, _, err = call_cli("encode", tmp_path / "x.npz", "--lossless")
    assert code == 2 and "flags" in err and "neither 0 nor 1" in err
    assert header_of(gcodec.encode(np.array([True]))).guarantee.kind == "exact"
