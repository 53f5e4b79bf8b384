"""`encode --plan` takes the way of `encode`: it says, and refuses, what `encode` then does."""

import json

import numpy as np
import pytest
from checks import call_cli, run_cli

from gcodec.cli import plan

RNG = np.random.default_rng(15)
W = (0.02 * RNG.normal(size=(96, 64))).astype("f4")
HOLES = RNG.random(W.shape)


def filled(value: float, share: float = 0.2) -> np.ndarray:
    return np.where(share > HOLES, np.float32(value), W)


TENSORS = {
    "plain": W,
    "pruned": filled(0, 0.5),
    "sentinel": filled(-9999),
    "two.sentinels": np.where(HOLES > 0.9, np.float32(1e20), filled(-9999)),
    "palette": RNG.choice([-0.3, 0, 0.3], W.shape).astype("f4"),
    "int8": (np.rint(W / np.abs(W).max() * 127).astype("i1") * (np.abs(W).max(1, keepdims=True) / 127)).astype("f4"),
    "offset": 3 + W,
    "heads": (RNG.normal(size=(4, 32, 48)) * 10.0 ** np.arange(-2, 2)[:, None, None]).astype("f4"),
    "opt.embed.exp_avg": np.where(HOLES[:, :1] < 0.5, 0, W),
    "opt.embed.exp_avg_sq": np.where(HOLES[:, :1] < 0.5, 0, W**2),
    "scale": np.abs(W),
    "counts": np.arange(5000),
    **{f"bias.{i}": W[i] for i in range(20)},
}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("plan") / "t.npz"
    np.savez(path, **TENSORS)
    np.savez(path.with_name("nan.npz"), missing=filled(np.nan), **TENSORS)
    np.savez(path.with_name("base.npz"), **{name: x + x.dtype.type(x[-1].max()) for name, x in TENSORS.items()})
    return path


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("t", "--alpha 1e-2"),
        ("t", "--alpha 1e-4 --effort fast"),
        ("t", "--alpha 1e-3@rows --exact int*"),
        ("t", "--alpha 1e-2 --alpha plain=1e-3@columns --alpha heads=1e-2@rows --pointwise offset=0.1"),
        ("t", "--pointwise 0.05"),
        ("t", "--omega 0.25 --seed 7"),
        ("t", "--lossless"),
        ("t", "--alpha 1e-3 --method ecsq --keep-zeros"),
        ("t", "--alpha 1e-3 --scope file"),
        ("t", "--alpha 1e-3 --base base.npz"),
        ("nan", "--alpha 1e-3 --fill nan"),
        ("nan", "--pointwise 1e-2 --fill missing=nan"),
        ("nan", "--alpha 1e-3 --nonfinite lossless"),
    ],
)
def test_it_says_what_encode_then_does(file, monkeypatch, name, options):
    monkeypatch.chdir(file.parent)
    arguments = ("encode", f"{name}.npz", *options.split(), "--json")
    code, out, err = call_cli(*arguments, "--plan")
    assert (code, err) == (0, "")
    planned = json.loads(out)
    code, out, err = call_cli(*arguments, "-f")
    assert (code, err) == (0, "")
    coded = json.loads(out)
    assert planned.get("warnings") == coded.get("warnings")
    for said, done in zip(planned["plan"], coded["tensors"], strict=True):
        assert said["estimated_bytes"] == done["bytes"]
        assert all(said[key] == done[key] for key in ("name", "dtype", "shape", "method", "guarantee"))
        assert all(said.get(key) == done.get(key) for key in ("kept", "base"))
        assert said.get("slices", {}).get("axis") == done.get("slices", {}).get("axis")
        assert (said["by"] == "role") == ("role" in done) and said["role"] == done.get("role", said["role"])
    assert planned["estimated_bytes"] == (file.parent / f"{name}.npz.gcz").stat().st_size


@pytest.mark.parametrize(
    "options",
    [
        "--alpha 1e-3",  # NaN
        "--alpha 1e-3 --fill nan --alpha nothing=1e-2",
        "--alpha 1e-3 --fill nan --method spherical",
        "--alpha 1e-3@axis5 --fill nan",
        "--omega 0.25 --fill nan",
    ],
)
def test_it_refuses_what_encode_refuses(file, monkeypatch, options):
    monkeypatch.chdir(file.parent)
    (file.parent / "nan.npz.gcz").unlink(missing_ok=True)
    found = [call_cli("encode", "nan.npz", *options.split(), *end) for end in (["--plan"], [])]
    assert found[0] == found[1] and found[0][0] == 2


def test_it_shows_slices_and_kept_values(file):
    out = run_cli("encode", file, "--alpha", "1e-2", "--alpha", "plain=1e-2@rows", "--plan")[1]
    rows = {line.split("  ")[0]: line for line in out.splitlines()}
    assert "alpha ≤ 0.01@rows  " in rows["plain"] and "alpha ≤ 0.01, -9999 kept" in rows["sentinel"]
    assert "alpha ≤ 0.01, -9999 1e+20 kept" in rows["two.sentinels"] and "nothing is written" in out


@pytest.mark.parametrize("options", ["--alpha 1e-2@rows", "--fill=-999 --alpha 1e-2 --effort fast"])
def test_a_large_tensor_is_sampled(tmp_path, monkeypatch, options):
    monkeypatch.setattr(plan, "SAMPLE", 2)
    x = RNG.normal(size=(3200, 1000)).astype("f2") * (1 / np.arange(1, 3201, dtype="f4") ** 0.2).astype("f2")[:, None]
    x[RNG.random(3200) < 0.1] = -999 if "fill" in options else 1
    np.save(tmp_path / "x.npy", x)
    planned = json.loads(call_cli("encode", tmp_path / "x.npy", *options.split(), "--plan", "--json")[1])
    coded = json.loads(call_cli("encode", tmp_path / "x.npy", *options.split(), "--json")[1])["tensors"][0]
    (said,) = planned["plan"]
    assert said["estimated_bytes"] == pytest.approx(coded["bytes"], rel=0.1)
    assert said["method"] == coded["method"] and said.get("kept") == coded.get("kept")
    assert planned["estimated_bytes"] == pytest.approx((tmp_path / "x.npy.gcz").stat().st_size, rel=0.1)
