"""HDF5 files that gcodec's filter coded, on the command line: their values, and plain files."""

import json

import h5py
import ml_dtypes
import numpy as np
import pytest
from checks import call_cli
from stores import LOSSY, X, error, fresh, normal
from test_json import check

import gcodec

BFLOAT16 = h5py.h5t.IEEE_F16LE.copy()
BFLOAT16.set_fields(15, 7, 8, 0, 7)
BFLOAT16.set_ebias(127)


OWN = {"pointwise": {"pointwise": 0.05}, "unbiased": {"omega": 0.5, "method": "rsd"}}


def write(path, libver="earliest", userblock_size=0):
    """A file with coded datasets of many kinds; gives what was written, by name."""
    arrays = {
        "g/lossy": X,
        "rows": normal(300, 7, 5),
        "pointwise": normal(40, 30).astype("f2"),
        "line": normal(1000).astype(">f8"),
        "one": normal(20, 10),
        "unbiased": normal(50, 10),
        "whole": (X * 100).astype(">i2"),
        "flags": X > 0,
        "complex": (X[:50] + 1j * X[50:100]).astype("c8"),
    }
    chunks = {"unbiased": (50, 10), "rows": (128, 3, 5), "line": (300,), "one": (20, 10), "pointwise": (16, 30)}
    with h5py.File(path, "w", libver=libver, userblock_size=userblock_size) as file:
        for name, x in arrays.items():
            usual = LOSSY if x.dtype.kind == "f" else {"lossless": True}
            options = OWN.get(name, usual)
            more = {"fletcher32": True} if name in ("rows", "whole") else {}
            codec = gcodec.hdf5(**options)
            made = file.create_dataset(name, data=x, chunks=chunks.get(name, (50, 64)[: x.ndim]), **more, **codec)
            made.attrs["unit"] = "K"
        made = file.create_dataset("b", X.shape, h5py.Datatype(BFLOAT16), chunks=(128, 64), **gcodec.hdf5(**LOSSY))
        made.id.write(h5py.h5s.ALL, h5py.h5s.ALL, X)
        sparse = file.create_dataset(
            "sparse", (900, 8), "i4", chunks=(100, 8), fillvalue=7, **gcodec.hdf5(lossless=True)
        )
        sparse[250:320] = 5
        file.create_dataset("empty", (0, 4), "f4", maxshape=(None, 4), chunks=(8, 4), **gcodec.hdf5(**LOSSY))
        file["plain"], file["text"] = X, "words"
        file["other name"] = file["g/lossy"]
        file["link"] = h5py.SoftLink("/g/lossy")
    return arrays


def contents(path):
    """The values of all datasets, through HDF5 and the filter."""
    with h5py.File(path) as file:
        names = []
        file.visit(names.append)
        found = {name: file[name][()] for name in names if isinstance(file[name], h5py.Dataset) and name != "b"}
    return found


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.h5"


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("userblock", [0, 512])
def test_plain_files(path, tmp_path, libver, userblock):
    """The same values, attributes and links, for HDF5 without gcodec."""
    write(path, libver, userblock)
    before, data = contents(path), path.read_bytes()
    assert call_cli("decode", path, "-o", tmp_path / "plain.h5")[0] == 0
    options = "--alpha", "0.1", "--method", "ecsq", "--effort", "fast"
    assert call_cli("encode", path, *options, "-o", tmp_path / "x.gcz")[0] == 0
    assert call_cli("decode", tmp_path / "x.gcz", "-o", tmp_path / "back.h5")[0] == 0
    code = """if 1:
        import sys, h5py
        for path in sys.argv[1:]:
            with h5py.File(path) as file:
                found = []
                file.visititems(lambda name, item: found.append(item[()]) if isinstance(item, h5py.Dataset) else None)
                print(len(found), file["link"].attrs["unit"], file["other name"] == file["g/lossy"])"""
    assert fresh(code, tmp_path / "plain.h5", tmp_path / "back.h5") == "14 K True\n" * 2
    for name, values in before.items():
        for made in ("plain.h5", "back.h5"):
            after = contents(tmp_path / made)[name]
            if name == "plain" and made == "back.h5":
                assert 0 < error(after, X) <= 0.1
            else:
                assert (
                    after == values if name == "text" else np.array_equal(after, values) and after.dtype == values.dtype
                )
    with h5py.File(tmp_path / "plain.h5") as file:
        assert file["sparse"].id.get_num_chunks() == 2 and file["empty"].id.get_num_chunks() == 0
    assert path.read_bytes() == data


def test_tensors(path, tmp_path):
    """As arrays, in whichever format."""
    write(path)
    before = contents(path)
    assert call_cli("decode", path, "-o", tmp_path / "x.npz")[0] == 0
    with np.load(tmp_path / "x.npz") as found:
        assert all(np.array_equal(found[name], values) for name, values in before.items() if name != "text")
    assert call_cli("decode", path, "--tensor", "rows", "-o", tmp_path / "rows.npy")[0] == 0
    assert np.array_equal(np.load(tmp_path / "rows.npy"), before["rows"])
    assert call_cli("decode", path, "--tensor", "b", "-o", tmp_path / "b.safetensors")[0] == 0
    status, out, _ = call_cli("encode", path, "--alpha", "0.1", "--plan", "--json")
    plan = {one["name"]: one for one in json.loads(out)["plan"]}
    assert status == 0 and plan["b"]["dtype"] == "bfloat16"
    assert plan["g/lossy"]["role"] == "coded with a bound before" and plan["g/lossy"]["guarantee"]["class"] == "exact"
    assert plan["plain"]["guarantee"] == {"class": "alpha", "bound": 0.1}
    assert call_cli("encode", path, "--alpha", "0.1", "--alpha", "b=0.2", "-o", tmp_path / "x.gcz")[0] == 0
    tensors = gcodec.load(tmp_path / "x.gcz")
    assert np.array_equal(tensors["g/lossy"], before["g/lossy"]) and error(tensors["plain"], X) <= 0.1
    assert tensors["b"].dtype == ml_dtypes.bfloat16


def test_info(path):
    write(path)
    status, out, _ = call_cli("info", path, "--json")
    check("HDF5 files", json.loads(out))
    found = {one["name"]: one for one in json.loads(out)["datasets"]}
    assert status == 0 and len(found) == 12 and found["g/lossy"]["methods"] == ["ecsq"]
    assert found["g/lossy"]["guarantee"] == {"class": "alpha", "bound": 0.1} and found["g/lossy"]["chunks"] == 6
    assert found["pointwise"]["guarantee"] == {"class": "pointwise", "bound": 0.05}
    assert found["whole"]["guarantee"] == {"class": "exact", "bound": 0.0} and found["empty"]["chunks"] == 0
    line = next(line for line in call_cli("info", path)[1].splitlines() if line.startswith("g/lossy"))
    assert line.split()[:7] == ["g/lossy", "float32", "300×64", "ecsq", "alpha", "≤", "0.1"]


def verified(path, original):
    return json.loads(call_cli("verify", path, "--against", original, "--json")[1])["datasets"]


def test_verify(path, tmp_path):
    arrays = write(path)
    arrays |= {"b": X.astype(ml_dtypes.bfloat16), "empty": np.zeros((0, 4), "f4"), "sparse": np.full((900, 8), 7, "i4")}
    arrays["sparse"][250:320] = 5
    gcodec.save(tmp_path / "original.gcz", arrays, lossless=True)
    assert call_cli("decode", tmp_path / "original.gcz", "-o", tmp_path / "original.h5")[0] == 0
    status, out, _ = call_cli("verify", path)
    assert status == 0 and "6 of 6 keep" in out and "the error was not measured" in out
    status, out, err = call_cli("verify", path, "--against", tmp_path / "original.h5")
    assert status == 0 and out.endswith("every promise holds\n"), out + err
    found = {one["name"]: one for one in verified(path, tmp_path / "original.h5")}
    with h5py.File(path) as file:
        errors = [error(file["g/lossy"][at : at + 50], X[at : at + 50]) for at in range(0, 300, 50)]
    assert found["g/lossy"]["error"] == pytest.approx(max(errors)) and 0 < max(errors) <= 0.1
    assert f"the largest error of a chunk is alpha {max(errors):.6g}" in out
    assert 0 < found["pointwise"]["error"] <= 0.05 and "error" not in found["whole"]
    with h5py.File(tmp_path / "original.h5", "r+") as file:
        file["g/lossy"][60] *= 30
        file["unbiased"][:] = 0.01
        file["whole"][299, 63] += 1
        file["pointwise"][0, 0] = 0
    status, out, _ = call_cli("verify", path, "--against", tmp_path / "original.h5")
    assert status == 1 and "5 of 6 keep" in out and "chunk at (50, 0): error" in out
    assert "the largest error of a chunk is pointwise inf" in out
    assert (
        "omega" in out.partition("chunk at (0, 0): error")[2]
        and "chunk at (250, 0): values" in out
        and out.endswith("a promise is broken\n")
    )
    status, out, _ = call_cli("verify", path, "--against", tmp_path / "original.h5", "--json")
    assert status == 1 and json.loads(out)["ok"] is False and '"error": null' in out
    check("HDF5 files", json.loads(out))
    np.save(tmp_path / "x.npy", X)
    status, _, err = call_cli("verify", path, "--against", tmp_path / "x.npy")
    assert status == 2 and "holds no tensor named 'b'" in err


def test_what_decode_cannot_give_is_named(path, tmp_path):
    """Strings of variable length are references; the skeleton alone has them, behind the filter."""
    with h5py.File(path, "w") as file:
        text = {"data": ["ab", "c" * 50], "dtype": h5py.string_dtype(), "chunks": (2,)}
        file.create_dataset("names", **text, **gcodec.hdf5(**LOSSY))
        file.create_dataset("w", data=X, chunks=(50, 64), **gcodec.hdf5(**LOSSY))
    status, out, _ = call_cli("decode", path, "-o", tmp_path / "x.npz")
    assert status == 0 and "1 dataset left out: names (" in out
    assert json.loads(call_cli("decode", path, "-o", tmp_path / "y.npz", "--json")[1])["left_out"] == {"datasets": 1}
    status, out, err = call_cli("decode", path, "-o", tmp_path / "plain.h5")
    assert status == 0, err
    assert "only for those who have gcodec: names (" in out


def test_values_whose_error_was_paid_by_values_that_are_gone(path, tmp_path):
    """What the page says of a part write: what it leaves keeps its error, and `verify` sees it."""
    x = normal(1000, 32)
    loud = x.copy()
    loud[:, 16:] *= 2.5
    with h5py.File(path, "w") as file:
        file.create_dataset("w", data=loud, chunks=x.shape, **gcodec.hdf5(alpha=0.1))
    with h5py.File(path, "r+") as file:
        left = file["w"][:, :16]
        file["w"][:, 16:] = x[:, 16:]
    with h5py.File(path) as file:
        assert np.array_equal(file["w"][:], np.hstack([left, x[:, 16:]]))
    np.savez(tmp_path / "x.npz", w=x)
    status, out, _ = call_cli("verify", path, "--against", tmp_path / "x.npz")
    assert status == 1 and "FAILS  chunk at (0, 0): error  alpha 0.17" in out


def test_damage(path, tmp_path):
    """A flipped bit, a chunk of another shape, one that promises less, one stored raw."""
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=X, chunks=(128, 64), **gcodec.hdf5(**LOSSY))
    good = path.read_bytes()
    place = good.find(b"GCZ")
    path.write_bytes(good[: place + 300] + bytes([good[place + 300] ^ 4]) + good[place + 301 :])
    for command in (["decode"], ["verify"], ["encode", "--lossless"]):
        status, _, err = call_cli(*command, path, *(["-o", tmp_path / "y.gcz"] if command[0] == "encode" else []))
        assert status == 3 and "dataset 'x', chunk at (0, 0)" in err and "damaged" in err
    for bad, words in (
        (gcodec.encode(X, lossless=True), r"it holds float32 of shape (300, 64)"),
        (gcodec.encode(X[:128].astype("f8"), lossless=True), "it holds float64"),
        (gcodec.encode(X[:128], alpha=0.5), "it promises alpha ≤ 0.5"),
        (b"no container", "not a gcodec file"),
    ):
        path.write_bytes(good)
        with h5py.File(path, "r+") as file:
            file["x"].id.write_direct_chunk((128, 0), bad)
        for command in ("decode", "info"):
            status, _, err = call_cli(command, path)
            assert status == 3 and words in err and "chunk at (128, 0)" in err
    path.write_bytes(good)
    for raw in (X[128:256].tobytes(), b"too short"):
        with h5py.File(path, "r+") as file:
            file["x"].id.write_direct_chunk((128, 0), raw, 1)
        status, _, err = call_cli("decode", path, "-o", tmp_path / "raw.npz", "-f")
        assert (status, "without the filter, in 9 bytes" in err) == ((0, False) if len(raw) > 9 else (3, True))
    with np.load(tmp_path / "raw.npz") as found:
        assert np.array_equal(found["x"][128:256], X[128:256])


def test_what_is_not_taken(path, tmp_path):
    write(path)
    for command, words in (
        (["info", path, "--limit", "1000"], "--limit is for gcodec files"),
        (["verify", path, "--trials", "20"], "--trials is for gcodec files"),
        (["decode", path, "--salvage"], "--salvage is for gcodec files"),
        (["decode", path, "-o", tmp_path / "x.gcz"], "use gcodec encode"),
        (["decode", path, "--to", "csv"], "--to csv: unknown"),
        (["decode", path, "-o", tmp_path / "x.npy"], "--tensor"),
        (["decode", path, "--tensor", "nothing"], "no tensor named 'nothing'"),
    ):
        status, _, err = call_cli(*command)
        assert status in (2, 3) and words in err
    with h5py.File(path, "w") as file:
        file["x"] = X
    for command in ("info", "verify", "decode"):
        status, _, err = call_cli(command, path)
        assert status == 2 and "without a dataset that gcodec coded" in err
