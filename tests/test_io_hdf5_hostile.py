"""Damaged and hostile HDF5 files and skeletons.

They give clear errors, and nothing is written outside the output.
"""

from pathlib import Path

import h5py
import numpy as np
import pytest
from hdf5_files import copy, numbers, write_plain
from hypothesis import given
from hypothesis import strategies as st

from gcodec.errors import Corrupt, GcodecError, InvalidInput
from gcodec.io import hdf5
from gcodec.io.hdf5.values import boxes
from gcodec.io.skeleton import SKELETON, SkeletonSink, SkeletonSource, holes


def test_outside_storage_is_neither_read_nor_written(tmp_path):
    (tmp_path / "raw.bin").write_bytes(bytes(400))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = numbers(100)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("external", (100,), "f4", external=[(str(tmp_path / "raw.bin"), 0, 400)])
        layout = h5py.VirtualLayout((100,), "f4")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (100,))
        file.create_virtual_dataset("virtual", layout)
        file["link"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/x")
    before = (tmp_path / "other.h5").read_bytes()
    arrays = copy(tmp_path / "a.h5", tmp_path / "b.h5")
    assert list(arrays) == [SKELETON]
    for name in ("external", "virtual", "link"):
        with pytest.raises(GcodecError), hdf5.Writer(tmp_path / "c.h5", {}) as writer:
            writer.add(SKELETON, np.dtype(np.uint8), arrays[SKELETON].shape).write(0, arrays[SKELETON])
            writer.add(name, np.dtype("f4"), (100,)).write(0, numbers(100))
    assert (tmp_path / "raw.bin").read_bytes() == bytes(400) and (tmp_path / "other.h5").read_bytes() == before


def test_deep_groups(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.id
        for _ in range(3000):
            group = h5py.h5g.create(group, b"g")
        h5py.Group(group)["x"] = numbers(100)
        file["g/shallow"] = numbers(100)
    arrays = copy(tmp_path / "a.h5", tmp_path / "b.h5")
    assert list(arrays) == [SKELETON, "g/shallow"]
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_a_bomb_stays_in_the_skeleton(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("bomb", (1 << 45,), "f4", chunks=(1 << 20,), compression="gzip")
        file.create_dataset("bomb 2", (1 << 45,), "f4")
    assert list(copy(tmp_path / "a.h5", tmp_path / "b.h5")) == [SKELETON]
    assert structure_names(tmp_path / "b.h5") == {"bomb", "bomb 2"}


def structure_names(path: Path) -> set[str]:
    with h5py.File(path) as file:
        return set(file)


@pytest.mark.parametrize("damage", ["cut", "not HDF5", "empty", "chunk"])
def test_damaged_files_are_refused(tmp_path, damage):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=numbers(100, 100), compression="gzip", chunks=(10, 100))
        offset = file["x"].id.get_chunk_info(0).byte_offset
    data = bytearray(path.read_bytes())
    data[offset : offset + 50] = bytes(50)
    path.write_bytes({"cut": data[:-5000], "not HDF5": b"hello" * 500, "empty": b"", "chunk": data}[damage])
    with pytest.raises(InvalidInput, match="a.h5"):
        copy(path, tmp_path / "b.h5")


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        hdf5.Reader(tmp_path / "none.h5")


def skeleton_of(path: Path) -> np.ndarray:
    with hdf5.Reader(path) as reader:
        source = next(reader.tensors())[1]
        return source.read(0, source.size)


def rebuild(path: Path, skeleton: np.ndarray, *tensors: tuple[str, np.ndarray]) -> None:
    with hdf5.Writer(path, {"format": "h5"}) as writer:
        for name, array in ((SKELETON, skeleton), *tensors):
            writer.add(name, array.dtype, array.shape).write(0, array.ravel())


def test_tensors_that_do_not_fit_the_skeleton(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"], file["text"] = numbers(100), "words"
        file["group/y"] = numbers(3)
    skeleton = skeleton_of(tmp_path / "a.h5")
    wrong = [("x", numbers(99)), ("x", numbers(100, dtype="f8")), ("y", numbers(3)), ("group", numbers(3))]
    for tensor in [
        *wrong,
        ("text", numbers(3)),
        ("../x", numbers(100)),
        ("group/../x", numbers(100)),
        ("/x", numbers(100)),
    ]:
        with pytest.raises(GcodecError):
            rebuild(tmp_path / "b.h5", skeleton, tensor)
    with pytest.raises(Corrupt):
        rebuild(tmp_path / "b.h5", skeleton, ("x", numbers(100)), ("x", numbers(100)))
    with pytest.raises(Corrupt):
        rebuild(tmp_path / "b.h5", skeleton, (SKELETON, skeleton))
    with pytest.raises(Corrupt):
        rebuild(tmp_path / "b.h5", skeleton.astype(np.int16))


def test_damaged_skeletons(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = numbers(100)
    skeleton = skeleton_of(tmp_path / "a.h5")
    for n in (0, 1, 8, 15, 16, 20, 31, 32):
        with pytest.raises(Corrupt):
            rebuild(tmp_path / "b.h5", skeleton[:n])
    for i in range(32):
        damaged = skeleton.copy()
        damaged[i] ^= 0x81
        with pytest.raises(Corrupt):
            rebuild(tmp_path / "b.h5", damaged)
    with pytest.raises(Corrupt), hdf5.Writer(tmp_path / "b.h5", {}) as writer:  # the values stop within the skeleton
        writer.add(SKELETON, skeleton.dtype, skeleton.shape).write(0, skeleton[:-9])


@given(st.lists(st.tuples(st.integers(0, 900), st.integers(0, 300)), max_size=8), st.data())
def test_skeleton_of_any_holes(tmp_path_factory, ranges, data):
    folder = tmp_path_factory.mktemp("skeleton")
    original = np.random.default_rng(1).integers(0, 256, 1200, np.uint8)
    (folder / "a").write_bytes(original.tobytes())
    left_out = holes(ranges, 1200)
    expected = original.copy()
    for start, length in left_out:
        expected[start : start + length] = 0
    with open(folder / "a", "rb") as file:
        source = SkeletonSource(file, 1200, left_out)
        whole = source.read(0, source.size)
        start = data.draw(st.integers(0, source.size))
        stop = data.draw(st.integers(start, source.size))
        assert source.read(start, stop).tobytes() == whole[start:stop].tobytes()
    sink = SkeletonSink(folder / "b", whole.dtype, whole.shape)
    sink.write(0, whole[:start])
    sink.write(start, whole[start:])
    sink.close()
    assert sink.complete and (folder / "b").read_bytes() == expected.tobytes()


def test_ranges_outside_the_file():
    for ranges in ([(-1, 5)], [(90, 20)], [(5, -1)]):
        with pytest.raises(InvalidInput):
            holes(ranges, 100)


@given(st.lists(st.integers(0, 5), max_size=4), st.data())
def test_boxes_cover_a_range_in_order(shape, data):
    size = int(np.prod(shape, dtype=int))
    start = data.draw(st.integers(0, size))
    stop = data.draw(st.integers(start, size))
    index = np.arange(size).reshape(shape)
    parts = [
        index[tuple(slice(o, o + c) for o, c in zip(offset, count, strict=True))].ravel()
        for offset, count in boxes(tuple(shape), start, stop)
    ]
    assert np.array_equal(np.concatenate([*parts, []]), np.arange(start, stop))
    assert len(parts) <= max(1, 2 * len(shape) - 1)


@pytest.mark.parametrize("names", [["a", "a"], ["a", "a/b"], ["a/b", "a"], ["a/b/c", "a/b"], ["", "arr_0"]])
def test_names_that_collide(tmp_path, names):
    with pytest.raises(InvalidInput) as error, hdf5.Writer(tmp_path / "a.h5", {}) as writer:
        for name in names:
            writer.add(name, np.dtype("f4"), (2,)).write(0, numbers(2))
    assert all(repr(name or "arr_0") in str(error.value) for name in names)


@pytest.mark.parametrize(
    "name", ["/a", "../a", "a/../b", ".", "a//b", "a/", "a\0b", "x" * 5000, "a/" * 200 + "b", "\ud800"]
)
def test_names_that_are_no_paths(tmp_path, name):
    with pytest.raises(InvalidInput):
        write_plain(tmp_path / "a.h5", {name: numbers(2)})
    assert [path.name for path in tmp_path.iterdir()] in ([], ["a.h5"])
