"""Parts of chunks in HDF5 and zarr v2, which code the whole chunk again: errors do not add up."""

import h5py
import numpy as np
import pytest
from stores import ALPHA, FRACTION, LOSSY, X, error, normal

import gcodec
from gcodec.integrations import decoded
from gcodec.integrations.chunks import Settings
from gcodec.integrations.decoded import container_of, forget, holds_decoded, keep, remember

PARTS = {
    "rows": lambda i: np.s_[i : i + 3],
    "columns": lambda i: np.s_[:, i : i + 3],
    "boxes": lambda i: np.s_[i : 2 * i + 9, i : i + 7],
    "every other row": lambda i: np.s_[i % 2 :: 2],
    "every other value": lambda i: np.s_[i % 2 :: 2, ::2],
}


def write_parts(write, part):
    """Writes of new values to parts; gives what was last written."""
    last = X[:128].copy()
    for i in range(12):
        last[part(i)] = write(part(i), normal(*last[part(i)].shape, seed=i + 1))
    return last


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_parts_of_a_chunk_of_hdf5(tmp_path, part):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=X[:128], chunks=(128, 64), **gcodec.hdf5(**LOSSY))

    def write(place, values):
        with h5py.File(tmp_path / "x.h5", "r+") as file:
            file["x"][place] = values
        return values

    last = write_parts(write, part)
    with h5py.File(tmp_path / "x.h5") as file:
        assert error(file["x"][:], last) <= ALPHA * FRACTION
    whole = normal(128, 64, seed=99)
    write(np.s_[:], whole)  # which is coded with the bound again
    with h5py.File(tmp_path / "x.h5") as file:
        assert 0 < error(file["x"][:], whole) <= ALPHA * FRACTION


def test_a_dataset_that_shrinks_row_by_row(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=X[:128], maxshape=(None, 64), chunks=(128, 64), **gcodec.hdf5(**LOSSY))
    with h5py.File(tmp_path / "x.h5") as file:
        before = file["x"][:]
    for rows in range(127, 107, -1):
        with h5py.File(tmp_path / "x.h5", "r+") as file:
            file["x"].resize(rows, 0)
    with h5py.File(tmp_path / "x.h5") as file:
        assert np.array_equal(file["x"][:], before[:108])


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_parts_of_a_chunk_of_zarr_v2(part, order):
    zarr = pytest.importorskip("zarr")
    from gcodec.integrations.numcodecs import Gcodec

    array = zarr.create_array(
        {}, shape=(128, 64), dtype="f4", chunks=(128, 64), zarr_format=2, order=order, compressors=Gcodec(**LOSSY)
    )
    array[:] = X[:128]

    def write(place, values):
        array[place] = values
        return values

    last = write_parts(write, part)
    assert error(array[:], last) <= ALPHA * FRACTION


SHORT = {  # the shape of a chunk whose last axis is short, and which part is written
    "a column of 2": ((1000, 2), lambda i: np.s_[:, 0]),
    "a column of 3": ((1000, 3), lambda i: np.s_[:, 1]),
    "a column of 15": ((1000, 15), lambda i: np.s_[:, i]),
    "a column of an image": ((100, 100, 3), lambda i: np.s_[..., 0]),
    "some columns of an image": ((20, 30, 3), lambda i: np.s_[:, :29]),
    "a box of an image": ((100, 100, 3), lambda i: np.s_[3:90, i:, :2]),
    "small matrices": ((500, 3, 3), lambda i: np.s_[:, 1 + i % 2 :, :]),
    "small cubes": ((500, 2, 2, 2), lambda i: np.s_[:, :, 1, :]),
    "every other row": ((1000, 3), lambda i: np.s_[i % 2 :: 2]),
    "rows": ((1000, 3), lambda i: np.s_[40 + i :]),
    "few rows": ((3, 40), lambda i: np.s_[:, 10:]),
    "few values": ((5, 4), lambda i: np.s_[2:, 1:]),
}


@pytest.mark.parametrize("host", ["HDF5", "zarr v2", "zarr v2, big-endian"])
@pytest.mark.parametrize("shape, part", SHORT.values(), ids=SHORT)
def test_chunks_with_short_axes(tmp_path, shape, part, host):
    """Values that no write touches stay what they were after the first of them."""
    if host == "HDF5":
        file = h5py.File(tmp_path / "x.h5", "w", rdcc_nbytes=0)
        array = file.create_dataset("x", shape, "f4", chunks=shape, **gcodec.hdf5(**LOSSY))
    else:
        zarr = pytest.importorskip("zarr")
        from gcodec.integrations.numcodecs import Gcodec

        dtype = ">f4" if "big" in host else "<f4"
        array = zarr.create_array(
            {}, shape=shape, dtype=dtype, chunks=shape, zarr_format=2, compressors=Gcodec(**LOSSY)
        )
    last, touched = normal(*shape), np.zeros(shape, bool)
    array[...] = last
    before = array[...]
    assert (error(before, last) > 0) == (last.size >= 64)  # smaller chunks are exact
    for i in range(3):
        last[part(i)] = normal(*last[part(i)].shape, seed=i + 1)
        array[part(i)] = last[part(i)]
        touched[part(i)] = True
    assert np.array_equal(array[...], np.where(touched, last, before))


def test_columns_that_fill_a_chunk_one_by_one(tmp_path):
    x = normal(1000, 3)
    with h5py.File(tmp_path / "x.h5", "w", rdcc_nbytes=0) as file:
        array = file.create_dataset("x", x.shape, "f4", chunks=x.shape, **gcodec.hdf5(alpha=0.01))
        for i in range(3):
            array[:, i] = x[:, i]
        assert error(array[:], x) <= 0.01


@pytest.mark.parametrize("shape", [(), (1,), (7,), (100,), (2000,), (5, 3), (3, 500), (40, 5), (6, 7, 80), (0, 4)])
@pytest.mark.parametrize("dtype", ["f2", ">f4", "f8", "c16"])
def test_what_is_known_again(shape, dtype):
    x = normal(*shape, seed=7).astype(dtype)
    assert not holds_decoded(x + np.ones((), dtype))
    remember(x)
    assert holds_decoded(x) == (x.size > 0)
    if x.size >= 2000:
        x.reshape(-1)[: x.size // 2] = 3
        assert holds_decoded(x)
    assert not holds_decoded(np.zeros(shape, dtype))
    forget()
    assert not holds_decoded(normal(*shape, seed=7).astype(dtype))


@pytest.mark.parametrize(
    "settings, is_kept", [({"alpha": 0.1}, True), ({"alpha": 0.2}, True), ({"alpha": 0.05}, False)]
)
def test_a_chunk_that_comes_back_keeps_its_bytes(settings, is_kept):
    """Where they promise as much as is asked for, and every value is the same."""
    forget()
    data = gcodec.encode(X, alpha=0.1, method="ecsq")
    values = gcodec.decode(data)
    keep(values, data)
    assert (Settings(method="ecsq", **settings).coded(values.copy()) == data) == is_kept
    changed = values.copy()
    changed[1, 1] += 1
    assert Settings(alpha=0.1, method="ecsq").coded(changed) != data
    forget()
    assert container_of(values) is None


def test_containers_that_are_kept_have_a_limit(monkeypatch):
    forget()
    monkeypatch.setattr(decoded, "CAPACITY", 1000)
    for size in (1, 2, 3):
        keep(np.zeros(size), bytes(400))
    assert container_of(np.zeros(1)) is None and container_of(np.zeros(3)) == bytes(400)
    keep(np.zeros(3), bytes(500))
    keep(np.zeros(4), bytes(1001))
    assert container_of(np.zeros(4)) is None
