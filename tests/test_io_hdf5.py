"""HDF5 files come back whole: values, attributes, links, creation properties."""

import shutil
import struct

import h5py
import ml_dtypes
import numpy as np
import pytest
from checks import call_cli
from hdf5_contents import check_same, structure
from hdf5_files import PLAIN, copy, meta_of, numbers, write_everything, write_keras, write_plain

from gcodec.io import hdf5
from gcodec.io.arrays import safetensors
from gcodec.io.skeleton import SKELETON, is_skeleton

LIBVERS = ("earliest", "v110", "latest")


@pytest.mark.parametrize("libver", LIBVERS)
@pytest.mark.parametrize("userblock", [0, 512])
@pytest.mark.parametrize("write", [write_keras, write_everything])
def test_round_trip(tmp_path, write, libver, userblock):
    source, target = tmp_path / "a.h5", tmp_path / "b.h5"
    write(source, libver=libver, userblock_size=userblock)
    before = source.read_bytes()
    copy(source, target)
    check_same(source, target, libver)
    assert source.read_bytes() == before


def test_h5diff():
    if not shutil.which("h5diff"):
        pytest.skip("h5diff is not installed (Debian: hdf5-tools); h5py alone compared the files")


def test_contiguous_files_come_back_byte_by_byte(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for i in range(20):
            file[f"layer {i}/w"] = numbers(10, i + 1)
    copy(tmp_path / "a.h5", tmp_path / "b.h5")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_tensors_by_first_path_and_once(tmp_path):
    write_everything(tmp_path / "a.h5")
    arrays = copy(tmp_path / "a.h5", tmp_path / "b.h5")
    assert next(iter(arrays)) == SKELETON and is_skeleton(SKELETON)
    assert "layouts/gzip" in arrays and "links/hard" not in arrays and "links/outside" not in arrays
    names = {name.removeprefix("kinds/") for name in arrays if name.startswith("kinds/")}
    assert names == {*PLAIN, "bool", "complex64", "complex128", "scalar", "empty", "nan", "enum"}
    with h5py.File(tmp_path / "a.h5") as file:
        for name, array in arrays.items():
            if not is_skeleton(name):
                np.testing.assert_array_equal(array, file[name][()])
                assert array.dtype == file[name].dtype.newbyteorder("=")


def test_skeleton_is_without_the_numbers(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["contiguous"] = numbers(1000, 100)
        file.create_dataset("compressed", data=numbers(1000, 100), compression="gzip", chunks=(10, 100))
    with hdf5.Reader(tmp_path / "a.h5") as reader:
        name, skeleton = next(reader.tensors())
        assert is_skeleton(name) and skeleton.size < 20_000 < (tmp_path / "a.h5").stat().st_size
        assert reader.meta == {"format": "h5", "kept": 0}


@pytest.mark.parametrize("convention", ["attribute", "keras"])
def test_bfloat16(tmp_path, convention):
    values = numbers(100).astype(ml_dtypes.bfloat16)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = values.view(np.uint16) if convention == "attribute" else values
        file["x"].attrs["gcodec_dtype" if convention == "attribute" else "dtype"] = "bfloat16"
    arrays = copy(tmp_path / "a.h5", tmp_path / "b.h5")
    assert arrays["x"].dtype == ml_dtypes.bfloat16 and arrays["x"].tobytes() == values.tobytes()
    check_same(tmp_path / "a.h5", tmp_path / "b.h5")


@pytest.mark.parametrize("libver", LIBVERS)
def test_changed_values_and_sizes(tmp_path, libver):
    """Compressed chunks of other lengths than before, as after a lossy round trip: no two datasets
    may share bytes.
    """
    write_everything(tmp_path / "a.h5", libver=libver)
    new = {}
    with hdf5.Reader(tmp_path / "a.h5") as reader, hdf5.Writer(tmp_path / "b.h5", reader.meta) as writer:
        for i, (name, tensor) in enumerate(reader.tensors()):
            values = tensor.read(0, tensor.size)
            if not is_skeleton(name) and values.size:
                values = np.random.default_rng(i).permutation(values) if i % 2 else np.full_like(values, values[-1])
            new[name] = values
            writer.add(name, tensor.dtype, tensor.shape).write(0, values)
    with h5py.File(tmp_path / "b.h5") as file:
        for name, values in new.items():
            assert is_skeleton(name) or file[name][()].tobytes() == values.astype(file[name].dtype).tobytes(), name


MISSING = ("gzip", "growing", "growing both ways", "one chunk", "larger chunk", "unfiltered", "contiguous", "compact")


@pytest.mark.parametrize("libver", LIBVERS)
def test_missing_tensors_are_left_out_with_all_links_to_them(tmp_path, libver):
    write_everything(tmp_path / "a.h5", libver=libver)
    copy(tmp_path / "a.h5", tmp_path / "b.h5", skip=tuple(f"layouts/{name}" for name in MISSING))
    before, after = structure(tmp_path / "a.h5"), structure(tmp_path / "b.h5")
    gone = {f"/layouts/{name}/" for name in MISSING} | {"/links/hard/"}
    assert before.keys() - after.keys() == gone
    for name in after:
        if name not in ("/", "/kinds/references/"):  # which point to what is gone
            assert after[name] == before[name], name


def test_a_tensor_that_is_not_whole_is_left_out(tmp_path):
    write_everything(tmp_path / "a.h5")
    with hdf5.Reader(tmp_path / "a.h5") as reader, hdf5.Writer(tmp_path / "b.h5", meta_of(reader)) as writer:
        for name, tensor in reader.tensors():
            part = tensor.size if is_skeleton(name) or name == "kinds/f4" else tensor.size // 2
            writer.add(name, tensor.dtype, tensor.shape).write(0, tensor.read(0, part))
    assert "layouts/gzip" in writer.left_out and "kinds/f4" not in writer.left_out
    with h5py.File(tmp_path / "b.h5") as file:
        assert list(file["layouts"]) == ["scale offset"]
        assert (file["kinds/f4"][()] == numbers(100)).all()


def test_datasets_that_the_encoder_could_not_read_stay_as_they_are(tmp_path):
    """One machine lacks a filter that the other one has."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=numbers(1000), compression="gzip")
        file["y"] = numbers(1000)
    arrays = copy(tmp_path / "a.h5", tmp_path / "b.h5")
    whole = (tmp_path / "a.h5").read_bytes()
    skeleton = np.frombuffer(struct.pack("<QQ", len(whole), 0) + whole, np.uint8)
    with hdf5.Writer(tmp_path / "c.h5", {"names": [SKELETON, "y"]}) as writer:
        writer.add(SKELETON, skeleton.dtype, skeleton.shape).write(0, skeleton)
        writer.add("y", np.dtype("f4"), (1000,)).write(0, arrays["y"])
    check_same(tmp_path / "a.h5", tmp_path / "c.h5")


def test_sparse_storage_stays_sparse(tmp_path):
    write_everything(tmp_path / "a.h5")
    copy(tmp_path / "a.h5", tmp_path / "b.h5", piece=100_000)
    with h5py.File(tmp_path / "b.h5") as file:
        assert file["layouts/never written"].id.get_storage_size() == 0
        assert file["layouts/sparse"].id.get_num_chunks() <= 20


def test_without_a_skeleton(tmp_path):
    tensors = {f"layer/{i}.w": array for i, array in enumerate((numbers(3, 4), numbers(2, dtype="f8"), numbers(9) > 0))}
    tensors |= {"half": numbers(5, dtype="f2"), "scalar": np.array(3, "i8"), "none": np.zeros((0, 2), "f4")}
    tensors |= {"zeros": np.zeros(100, "f4"), "late": np.eye(10, dtype="f4")[::-1].copy(), "": numbers(3)}
    tensors |= {"c": numbers(3) * np.complex64(1j), "bf": numbers(3).astype(ml_dtypes.bfloat16)}
    tensors |= {"e4": numbers(3).astype(ml_dtypes.float8_e4m3fn), "e5": numbers(3).astype(ml_dtypes.float8_e5m2)}
    write_plain(tmp_path / "a.h5", tensors)
    write_plain(tmp_path / "again.h5", tensors)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "again.h5").read_bytes()
    tensors["arr_0"] = tensors.pop("")
    arrays = copy(tmp_path / "a.h5", tmp_path / "b.h5")
    del arrays[SKELETON]
    assert arrays.keys() == tensors.keys()
    for name, array in tensors.items():
        assert arrays[name].dtype == array.dtype and arrays[name].tobytes() == array.tobytes()


def test_part_of_a_tensor_is_not_made(tmp_path):
    with hdf5.Writer(tmp_path / "a.h5", {}) as writer:
        writer.add("whole", np.dtype("f4"), (3,)).write(0, numbers(3))
        writer.add("group/part", np.dtype("f4"), (3,)).write(0, numbers(2))
    with h5py.File(tmp_path / "a.h5") as file:
        assert "whole" in file and "group/part" not in file


def test_to_safetensors_and_back(tmp_path):
    write_keras(tmp_path / "a.h5")
    arrays = copy(
        tmp_path / "a.h5", tmp_path / "b.safetensors", skip=(SKELETON,), writer=lambda p, m: safetensors.Writer(p, {})
    )
    with safetensors.Reader(tmp_path / "b.safetensors") as reader, hdf5.Writer(tmp_path / "c.h5", {}) as writer:
        for name, tensor in reader.tensors():
            assert tensor.read(0, tensor.size).tobytes() == arrays[name].tobytes()
            writer.add(name, tensor.dtype, tensor.shape).write(0, tensor.read(0, tensor.size))
    with h5py.File(tmp_path / "c.h5") as file:
        assert (file["model_weights/dense/dense/kernel:0"][()] == arrays["model_weights/dense/dense/kernel:0"]).all()


def test_filters_that_are_not_here_or_may_lose_digits_are_named(tmp_path):
    """Their chunks are kept as they are; a name cannot act on the terminal."""
    path = tmp_path / "x.h5"
    kinds = {
        "a\x1b[2J": (32013, "ZFP (HDF5 filter 32013), which may lose digits"),
        "b": (32099, "the HDF5 filter 32099"),
    }
    if not h5py.h5z.filter_avail(32015):
        kinds["c"] = (32015, "Zstandard (HDF5 filter 32015), which is not here; install hdf5plugin to code it")
    with h5py.File(path, "w") as file:
        for name, (number, _) in kinds.items():
            dataset = file.create_dataset(
                name, (64,), "f4", chunks=(64,), compression=number, allow_unknown_filter=True
            )
            dataset.id.write_direct_chunk((0,), bytes(100))
    code, said, _ = call_cli("encode", path, "--lossless")
    assert code == 0 and "\x1b" not in said and "…" not in said
    assert all(f"100 bytes: packed by {words}" in said for _, words in kinds.values()), said
    code, said, _ = call_cli("decode", f"{path}.gcz", "--to", "npz", "-o", tmp_path / "x.npz")
    assert code == 0 and "\x1b" not in said and r"a\x1b[2J (100 bytes" in said
    assert call_cli("decode", f"{path}.gcz", "-o", tmp_path / "back.h5")[0] == 0
    assert (tmp_path / "back.h5").read_bytes() == path.read_bytes()
