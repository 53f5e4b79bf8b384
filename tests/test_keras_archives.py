"""Keras archives (.keras): their weights are coded, and all else comes back bit for bit."""

import io
import zipfile

import h5py
import numpy as np
import pytest
from checks import call_cli as run

import gcodec

W = np.random.default_rng(0).normal(size=(64, 40)).astype(np.float32)


def weights(**options) -> bytes:
    data = io.BytesIO()
    with h5py.File(data, "w") as file:
        file["layers/dense/vars/0"], file["layers/dense/vars/1"] = W, W[0]
        file.create_dataset("optimizer/vars/0", data=np.arange(9), **options)
        file["layers/dense"].attrs["name"] = "dense"
    return data.getvalue()


def archive(path, method: int = zipfile.ZIP_STORED, **members: bytes) -> None:
    found = {"metadata.json": b"{}", "config.json": b'{"a": 1}', "model.weights.h5": weights(), **members}
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in found.items():
            if data:
                file.writestr(name, data)


def coded(path, *bound: str, to: str = "back.keras"):
    code, _, err = run("encode", path, *bound, "-f")
    assert code == 0, err
    back = path.with_name(to)
    code, _, err = run("decode", f"{path}.gcz", "-o", back, "-f")
    assert code == 0, err
    return back


@pytest.fixture
def model(tmp_path):
    archive(tmp_path / "x.keras")
    return tmp_path / "x.keras"


def test_lossless_is_the_same_file(model):
    assert coded(model, "--lossless").read_bytes() == model.read_bytes()
    model.with_name("x.keras.gcz").rename(model.with_name("y.keras.gcz"))
    assert run("decode", model.with_name("y.keras.gcz"))[0] == 0
    assert model.with_name("y.keras").read_bytes() == model.read_bytes()


def test_a_bound_changes_weights_alone(model):
    back = coded(model, "--alpha", "1e-2")
    assert gcodec.verify(f"{model}.gcz").ok
    with zipfile.ZipFile(back) as file, zipfile.ZipFile(model) as original:
        assert file.testzip() is None and file.namelist() == original.namelist()
        assert file.read("config.json") == original.read("config.json")
        data = io.BytesIO(file.read("model.weights.h5"))
    with h5py.File(data) as found:
        x = found["layers/dense/vars/0"][()]
        assert 0 < ((x - W) ** 2).sum() <= 1e-2 * (W**2).sum()
        assert (found["layers/dense/vars/1"][()] == W[0]).all() and (found["optimizer/vars/0"][()] == range(9)).all()
        assert found["layers/dense"].attrs["name"] == "dense"
    code, out, _ = run("verify", f"{model}.gcz", "--against", model)
    assert code == 0 and "every promise holds" in out
    assert list(gcodec.load(f"{model}.gcz")) == ["layers/dense/vars/0", "layers/dense/vars/1", "optimizer/vars/0"]


def test_packed_datasets_and_other_members_are_kept(tmp_path):
    path = tmp_path / "x.keras"
    archive(path, **{"model.weights.h5": weights(chunks=(3,), compression="gzip"), "assets/vocabulary.txt": b"a\nb"})
    assert coded(path, "--lossless").read_bytes() == path.read_bytes()
    assert "a dataset in chunks" in run("info", f"{path}.gcz")[1]
    code, out, _ = run("decode", f"{path}.gcz", "-o", tmp_path / "x.npz")
    assert code == 0 and "(--to keras keeps them)" in out
    assert sorted(np.load(tmp_path / "x.npz")) == ["layers/dense/vars/0", "layers/dense/vars/1"]


def test_in_a_folder(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    archive(folder / "a.keras")
    archive(folder / "b.keras", zipfile.ZIP_DEFLATED)
    code, _, err = run("encode", folder, "--lossless")
    assert code == 0 and "b.keras: is a Keras archive, but" in err and "carried along as it is" in err
    assert run("decode", f"{folder}.gcz", "-o", tmp_path / "back")[0] == 0
    assert all((tmp_path / "back" / f"{x}.keras").read_bytes() == (folder / f"{x}.keras").read_bytes() for x in "ab")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": zipfile.ZIP_DEFLATED}, "unzip it, and encode its member model.weights.h5"),
        ({"model.weights.h5": b""}, "is a Keras archive without a member of weights (.h5); save the model again"),
        ({"model.weights.h5": weights()[:3000]}, "; fetch the archive or write it again"),
        ({"model.weights.h5": b"no HDF5" * 100}, "HDF5 cannot read or write it"),
        ({"../../x": b"x"}, "the name of the member '../../x' has a component \"..\"; fetch or write it again"),
    ],
)
def test_what_is_refused(tmp_path, options, words):
    archive(tmp_path / "x.keras", **options)
    code, _, err = run("encode", tmp_path / "x.keras", "--lossless")
    assert code == 2 and words in err and err.count("\n") <= 1
