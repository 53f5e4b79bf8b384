"""Whole checkpoints through the command line.

Tensors are exact where exact was asked for, and every lossy tensor is within its own bound.
"""

import json
from pathlib import Path

import h5py
import ml_dtypes
import numpy as np
import pytest
from checks import call_cli, distortion
from hdf5_files import write_everything, write_keras
from safetensors.numpy import load_file, save_file
from test_io_hdf5 import check_same

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


def write_state_dict(path: Path) -> None:
    """A state_dict as PyTorch users keep it in HDF5.

    It has dotted names, the optimiser's moments beside, and numbers as attributes.
    """
    rng = np.random.default_rng(5)
    with h5py.File(path, "w") as file:
        file.attrs["epoch"], file.attrs["torch_version"] = 3, "2.5.1"
        for layer in range(3):
            weight = rng.normal(size=(48, 32)).astype("f4")
            file[f"model/layers.{layer}.weight"] = weight
            file[f"model/layers.{layer}.bias"] = rng.normal(size=48).astype("f4")
            file[f"optimizer/state/{layer}/exp_avg"] = weight * 1e-3
            file[f"optimizer/state/{layer}/exp_avg_sq"] = (weight * 1e-3) ** 2
            file[f"optimizer/state/{layer}/step"] = np.int64(1000 + layer)
        file["model/layers.0.running_mean"] = rng.normal(size=2000)
        file["model/tied.weight"] = file["model/layers.0.weight"]
        file["optimizer/param_groups"] = json.dumps([{"lr": 1e-3, "betas": [0.9, 0.999]}])


def through_cli(source: Path, *options: object) -> tuple[Path, list[dict]]:
    """Encode, check against the original, and decode.

    Gives the decoded file, and what `info` says about the tensors.
    """
    coded, back = source.with_suffix(".gcz"), source.with_stem("back")
    for command in (
        ["encode", source, "-o", coded, *options],
        ["verify", coded, "--against", source],
        ["decode", coded, "-o", back],
    ):
        code, _, err = call_cli(*command)
        assert code == 0, err
    return back, json.loads(call_cli("info", coded, "--json")[1])["tensors"]


@pytest.mark.parametrize("write", [write_keras, write_state_dict, write_everything])
def test_lossless_hdf5(tmp_path, write):
    write(tmp_path / "a.h5")
    back, _ = through_cli(tmp_path / "a.h5", "--lossless")
    check_same(tmp_path / "a.h5", back)


@pytest.mark.parametrize("alpha", [0.3, 1e-3])
@pytest.mark.parametrize("write", [write_keras, write_state_dict])
def test_lossy_hdf5(tmp_path, write, alpha):
    write(tmp_path / "a.h5")
    back, tensors = through_cli(tmp_path / "a.h5", "--alpha", alpha)
    bounds = {t["name"]: t["guarantee"]["bound"] for t in tensors if t["guarantee"]["class"] == "alpha"}
    moments = {t["name"] for t in tensors if t["guarantee"] == {"class": "pointwise", "bound": 0.05}}
    assert len(bounds) >= 2 and {name.rpartition("/")[2] for name in moments} <= {"exp_avg_sq"}
    with h5py.File(tmp_path / "a.h5") as a, h5py.File(back) as b:

        def same(name, item):
            assert list(item.attrs) == list(b[name].attrs)
            if not isinstance(item, h5py.Dataset):
                return
            assert item.dtype == b[name].dtype and item.shape == b[name].shape
            if name in bounds:
                assert distortion(item[()], b[name][()]) <= alpha
            elif name in moments:
                assert (abs(b[name][()] - item[()]) <= 0.0500001 * abs(item[()])).all()
            else:
                assert np.asarray(item[()]).tobytes() == np.asarray(b[name][()]).tobytes()

        a.visititems(same)
        assert "model/tied.weight" not in a or b["model/tied.weight"] == b["model/layers.0.weight"]  # one object still


@pytest.mark.parametrize("alpha", [0.3, 1e-2])
def test_lossy_safetensors_in_every_float_dtype(tmp_path, alpha):
    """The rounding to the tensor's own dtype is inside the bound."""
    x = np.random.default_rng(0).normal(size=(64, 48))
    dtypes = [np.float64, np.float32, np.float16, BFLOAT16]
    arrays = {np.dtype(dtype).name: x.astype(dtype) for dtype in dtypes}
    save_file(arrays | {"step": np.array([7])}, tmp_path / "a.safetensors", metadata={"by": "a trainer"})
    back, tensors = through_cli(tmp_path / "a.safetensors", "--alpha", alpha)
    assert {t["guarantee"]["class"] for t in tensors if t["name"] != "step"} == {"alpha"}
    decoded = load_file(back)
    for name, array in arrays.items():
        assert decoded[name].dtype == array.dtype and distortion(array, decoded[name]) <= alpha
    assert decoded["step"] == 7


def test_float8_comes_back_bit_for_bit(tmp_path):
    codes = np.arange(256, dtype=np.uint8)
    header = {
        name: {"dtype": code, "shape": [256], "data_offsets": [256 * i, 256 * i + 256]}
        for i, (name, code) in enumerate([("a", "F8_E4M3"), ("b", "F8_E5M2")])
    }
    text = json.dumps(header).encode()
    whole = len(text).to_bytes(8, "little") + text + codes.tobytes() * 2
    (tmp_path / "a.safetensors").write_bytes(whole)
    back, _ = through_cli(tmp_path / "a.safetensors", "--lossless")
    assert back.read_bytes() == whole


@pytest.mark.parametrize("to", ["npz", "safetensors", "h5"])
def test_conversion(tmp_path, to):
    x = {"w": np.random.default_rng(0).normal(size=(40, 30)).astype("f4"), "n": np.arange(5)}
    np.savez(tmp_path / "a.npz", **x)
    coded, back = tmp_path / "a.gcz", tmp_path / f"back.{to}"
    assert call_cli("encode", tmp_path / "a.npz", "-o", coded, "--lossless")[0] == 0
    assert call_cli("decode", coded, "--to", to, "-o", back)[0] == 0
    readers = {"npz": np.load, "safetensors": load_file, "h5": lambda path: h5py.File(path)}
    found = readers[to](back)
    assert all(np.array_equal(found[name][()], array) for name, array in x.items())
    assert call_cli("decode", coded, "--tensor", "w", "-o", tmp_path / "w.npy")[0] == 0
    assert np.array_equal(np.load(tmp_path / "w.npy"), x["w"])


def test_overhead_of_small_tensors(tmp_path):
    """A container costs at most 120 bytes a tensor, its name included."""
    arrays = {f"layer{i}.bias": np.random.default_rng(i).normal(size=100).astype("f4") for i in range(500)}
    save_file(arrays, tmp_path / "a.safetensors")
    _, tensors = through_cli(tmp_path / "a.safetensors", "--lossless")
    payload = sum(t["payload_bytes"] if "payload_bytes" in t else t["bytes"] for t in tensors)
    assert (tmp_path / "a.gcz").stat().st_size - payload <= 120 * 500


@pytest.mark.parametrize("refused", ["nan", "inf"])
def test_one_bad_tensor_of_many(tmp_path, refused):
    arrays = {f"w{i}": np.ones((40, 30), "f4") for i in range(4)}
    arrays["w2"][3, 7] = float(refused)
    save_file(arrays, tmp_path / "a.safetensors")
    coded = tmp_path / "a.gcz"
    code, _, err = call_cli("encode", tmp_path / "a.safetensors", "-o", coded, "--alpha", "0.1")
    assert code == 2 and "w2" in err and "(3, 7)" in err and not coded.exists()
    back, tensors = through_cli(tmp_path / "a.safetensors", "--alpha", "0.1", "--nonfinite", "lossless")
    assert load_file(back)["w2"].tobytes() == arrays["w2"].tobytes()
    assert {t["name"]: t["guarantee"]["class"] for t in tensors}["w2"] == "exact"


@pytest.mark.parametrize("name", ["../../escape", "/etc/x", "a/../../b", "C:\\x", "con", "a\x00b", "." * 300])
def test_hostile_names_write_nothing_outside_the_output(tmp_path, name):
    folder = tmp_path / "in"
    folder.mkdir()
    save_file({name: np.ones(3, "f4")}, folder / "a.safetensors")
    assert call_cli("encode", folder / "a.safetensors", "--lossless")[0] == 0
    for to in ("npz", "h5", "safetensors"):
        out = folder / f"out.{to}"
        code, _, err = call_cli("decode", folder / "a.safetensors.gcz", "--to", to, "-o", out)
        assert code in (0, 2) and "Traceback" not in err and out.exists() == (code == 0), err
    assert {p.name for p in tmp_path.iterdir()} == {"in"}
    assert {p.name for p in folder.iterdir()} <= {"a.safetensors", "a.safetensors.gcz"} | {
        f"out.{to}" for to in ("npz", "h5", "safetensors")
    }
