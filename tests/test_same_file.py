"""The same file comes back: its name, its order of bytes and axes, and what is no tensor."""

import base64
import os
import subprocess
import sys

import h5py
import ml_dtypes
import numpy as np
import pytest
from checks import call_cli
from numpy.lib import format as npy_format

import gcodec
from gcodec.errors import Corrupt, InvalidInput
from gcodec.io.arrays import fortran, npy

X = np.random.default_rng(0).standard_normal((40, 30, 5)).astype(np.float32)


def run(*args):
    code, said, error = call_cli(*args)
    assert code == 0, error
    return said


def there_and_back(path, *options):
    """Encode and decode beside each other, by the names that the commands choose."""
    before, others = path.read_bytes(), set(os.listdir(path.parent))
    run("encode", path, "--lossless", *options)
    run("verify", f"{path}.gcz", "--against", path, *options)
    path.unlink()
    run("decode", f"{path}.gcz")
    assert set(os.listdir(path.parent)) == others | {f"{path.name}.gcz"}
    return before, path.read_bytes()


ARRAYS = {
    "big endian": X.astype(">f4"),
    "fortran": np.asfortranarray(X),
    "fortran, big endian": np.asfortranarray(X.astype(">f8")),
    "one axis": X[0, 0],
    "fortran, no values": np.zeros((3, 0, 2), order="F"),
    "scalar": np.array(1.5),
}


@pytest.mark.parametrize("what", ARRAYS)
@pytest.mark.parametrize("slab", [7, 1 << 22])
def test_npy(tmp_path, monkeypatch, what, slab):
    monkeypatch.setattr(fortran, "SLAB", slab)
    np.save(tmp_path / "x.npy", ARRAYS[what])
    before, after = there_and_back(tmp_path / "x.npy")
    assert before == after


def test_npy_of_raw_values_and_other_headers(tmp_path):
    np.save(tmp_path / "x.npy", X.astype(ml_dtypes.bfloat16))
    before, after = there_and_back(tmp_path / "x.npy", "--dtype", "bf16")
    assert before == after
    for version in ((2, 0), (3, 0)):
        with open(tmp_path / "y.npy", "wb") as file:
            npy_format.write_array(file, X, version)
        before, after = there_and_back(tmp_path / "y.npy")
        assert before == after
        (tmp_path / "y.npy.gcz").unlink()
    assert run("info", tmp_path / "x.npy.gcz").count("bfloat16") == 1


def test_a_header_that_is_not_the_array_s(tmp_path):
    def write(header, array=X):
        with npy.Writer(tmp_path / "x.npy", {"format": "npy", "header": header}) as writer:
            writer.add("", array.dtype, array.shape).write(0, array.reshape(-1))

    def packed(data):
        return base64.b64encode(data).decode()

    good = npy.plain_header(np.dtype(">f4"), X.shape, True)
    write(packed(good))
    assert np.array_equal(np.load(tmp_path / "x.npy"), X)
    objects = good.replace(b"'>f4'", b"'|O' ")
    for wrong in ("?", 3, packed(good[:-1]), packed(good + b"x"), packed(objects), packed(b"\x93NUMPY")):
        with pytest.raises(Corrupt):
            write(wrong)
    for array in (X[1:], X.astype("f8"), X.view("i4")):
        with pytest.raises(Corrupt, match="is that of"):
            write(packed(good), array)


def test_raw_values_of_an_npy_file_have_no_name(tmp_path):
    np.save(tmp_path / "x.npy", X.astype(ml_dtypes.bfloat16))
    for option, words in ((None, "--dtype bf16"), ("w=bf16", "without a name"), ("f32", "same width")):
        code, _, error = call_cli("encode", tmp_path / "x.npy", *(["--dtype", option] if option else []))
        assert code == 2 and words in error
    with pytest.raises(InvalidInput, match="other formats"):
        gcodec.io.formats.reader(tmp_path / "x.npy", "safetensors", {"": "bf16"})


@pytest.mark.parametrize("name", ["x.h5ad", "x.nc", "x.mat", "x.keras", "x", "x.H5", "x.npy", "a.b.c"])
def test_names_of_hdf5(tmp_path, name):
    with h5py.File(tmp_path / name, "w", userblock_size=512 if name == "x.mat" else 0) as file:
        file["w"], file["label"], file["elsewhere"] = X, "text", h5py.ExternalLink("other.h5", "/x")
    if name == "x.mat":
        with open(tmp_path / name, "r+b") as file:
            file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    before, after = there_and_back(tmp_path / name)
    assert before == after


@pytest.mark.parametrize("name", ["X.NPY", "x", "x.dat"])
def test_names_of_npy(tmp_path, name):
    with open(tmp_path / name, "wb") as file:
        np.save(file, X)
    before, after = there_and_back(tmp_path / name)
    assert before == after


def test_names_in_other_formats(tmp_path):
    with h5py.File(tmp_path / "x.h5ad", "w") as file:
        file["w"] = X
    run("encode", tmp_path / "x.h5ad", "--lossless")
    run("decode", tmp_path / "x.h5ad.gcz", "--to", "npz")
    run("decode", tmp_path / "x.h5ad.gcz", "--tensor", "w")
    gcodec.save(tmp_path / "y.gcz", {"w": X}, lossless=True)
    run("decode", tmp_path / "y.gcz")
    names = {"x.h5ad", "x.h5ad.gcz", "x.h5ad.npz", "x.h5ad.h5", "y.gcz", "y.npz"}
    assert set(os.listdir(tmp_path)) == names


@pytest.mark.parametrize("version", ["earliest", "latest"])
def test_hdf5_that_was_not_closed_or_has_bytes_behind_its_end(tmp_path, version):
    program = f"""
import h5py, numpy, os
file = h5py.File("{tmp_path}/x.h5", "w", libver="{version}")
file["w"] = numpy.arange(9999.0)
file.flush()
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    before, after = there_and_back(tmp_path / "x.h5")
    assert before == after
    with h5py.File(tmp_path / "y.h5", "w", libver=version) as file:
        file["w"] = X
    with open(tmp_path / "y.h5", "ab") as file:
        file.write(b"more bytes")
    before, after = there_and_back(tmp_path / "y.h5")
    assert before == after


def test_room_of_chunks_is_used_again(tmp_path):
    """What a bound saves in compressed chunks makes the file shorter, where HDF5 counts room."""
    with h5py.File(tmp_path / "x.h5", "w", libver="latest") as file:
        made = [file.create_dataset(f"w{i}", (400, 300), "f4", chunks=(100, 100), compression="gzip") for i in range(4)]
        for i, dataset in enumerate(made):
            dataset[...] = np.random.default_rng(i).standard_normal((400, 300))
    run("encode", tmp_path / "x.h5", "--alpha", "1e-2")
    run("decode", tmp_path / "x.h5.gcz", "-o", tmp_path / "y.h5")
    assert os.path.getsize(tmp_path / "y.h5") < 0.55 * os.path.getsize(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5") as a, h5py.File(tmp_path / "y.h5") as b:
        for name in a:
            assert 0 < np.sum((a[name][()] - b[name][()]) ** 2) <= 1e-2 * np.sum(a[name][()] ** 2)
