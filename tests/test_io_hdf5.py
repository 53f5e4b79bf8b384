"""HDF5 files come back whole: values, attributes, links, creation properties."""

import shutil
import subprocess
from pathlib import Path

import h5py
import ml_dtypes
import numpy as np
import pytest
from hdf5_files import PLAIN, copy, numbers, write_everything, write_keras, write_plain

from gcodec.io import hdf5, safetensors
from gcodec.io.skeleton import SKELETON, is_skeleton

LIBVERS = ("earliest", "v110", "latest")


def structure(path: Path) -> dict:
    """What h5py can tell of a file, link by link."""
    found: dict = {}
    with h5py.File(path) as file:
        seen: dict = {}
        pending = [("/", file["/"])]
        while pending:
            name, item = pending.pop()
            info = h5py.h5o.get_info(item.id)
            if info.addr in seen:
                found[name] = ("same as", seen[info.addr])
                continue
            seen[info.addr] = name
            found[name] = (type(item).__name__, attributes(item), properties(item))
            if isinstance(item, h5py.Group):
                for key in item:
                    link = item.get(key, getlink=True)
                    if isinstance(link, h5py.HardLink):
                        pending.append((f"{name}{key}/", item[key]))
                    else:
                        found[f"{name}{key}"] = (type(link).__name__, vars(link))
    return found


def attributes(item) -> dict:
    return {key: repr(h5py.h5a.open(item.id, key.encode()).dtype) + repr(attribute(item, key)) for key in item.attrs}


def attribute(item, key: str) -> object:
    value = item.attrs[key]
    return item.file[value].name if isinstance(value, h5py.Reference) else value


def properties(item) -> object:
    if not isinstance(item, h5py.Dataset):
        return None
    plain = (item.dtype, item.shape, item.maxshape, item.chunks, item.compression, item.compression_opts, item.shuffle)
    values = None if item.shape is None else item[()]
    reference = h5py.check_ref_dtype(item.dtype)
    if reference is h5py.Reference:
        values = [item.file[value].name for value in values]
    elif reference is h5py.RegionReference:
        values = [(item.file[value].name, item.file[value][value].tobytes()) for value in values]
    elif item.dtype.kind == "O":
        values = repr([np.asarray(value).tolist() for value in np.ravel(values)])
    else:
        values = None if values is None else np.asarray(values).tobytes()
    return plain, item.fletcher32, item.scaleoffset, values


def check_same(first: Path, second: Path, libver: str = "earliest") -> None:
    assert structure(first) == structure(second)
    if shutil.which("h5diff") and libver != "latest":  # which h5diff may be too old to read
        twin = Path(shutil.copy(first, second.with_suffix(".twin")))
        found = h5diff(first, second)
        assert found == h5diff(first, twin) and found.startswith("0 ")  # it calls empty datasets "not comparable"


def h5diff(first: Path, second: Path) -> str:
    result = subprocess.run(["h5diff", first, second], capture_output=True, text=True, timeout=60)
    return f"{result.returncode} {result.stdout}"


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
    """Compressed chunks of other lengths than before, as after a lossy round trip.

    No two datasets may share bytes.
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


@pytest.mark.parametrize("libver", LIBVERS)
def test_missing_tensors_have_the_fill_value(tmp_path, libver):
    write_everything(tmp_path / "a.h5", libver=libver)
    missing = [
        "gzip",
        "growing",
        "growing both ways",
        "one chunk",
        "larger chunk",
        "unfiltered",
        "contiguous",
        "compact",
    ]
    copy(tmp_path / "a.h5", tmp_path / "b.h5", skip=tuple(f"layouts/{name}" for name in missing))
    with h5py.File(tmp_path / "a.h5") as before, h5py.File(tmp_path / "b.h5") as after:
        for name in before["layouts"]:
            then, now = before["layouts"][name], after["layouts"][name]
            assert (now[()] == (then.fillvalue if name in missing else then[()])).all(), name


def test_tensor_that_is_not_whole_counts_as_missing(tmp_path):
    write_everything(tmp_path / "a.h5")
    with hdf5.Reader(tmp_path / "a.h5") as reader, hdf5.Writer(tmp_path / "b.h5", reader.meta) as writer:
        for name, tensor in reader.tensors():
            part = tensor.size if is_skeleton(name) else tensor.size // 2
            writer.add(name, tensor.dtype, tensor.shape).write(0, tensor.read(0, part))
    with h5py.File(tmp_path / "b.h5") as file:
        for dataset in file["layouts"].values():
            assert dataset.name == "/layouts/scale offset" or (dataset[()] == dataset.fillvalue).all()


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
