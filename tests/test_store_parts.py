"""Parts of chunks in HDF5 and zarr v2, which code the whole chunk again: errors do not add up."""

import warnings

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stores import ALPHA, FRACTION, LOSSY, X, error, normal

import gcodec
from gcodec.integrations import decoded, hdf5
from gcodec.integrations.chunks import SLACK, Settings
from gcodec.integrations.decoded import container_of, forget, keep, lost_before, remember

PARTS = {
    "rows": lambda i: np.s_[i : i + 3],
    "columns": lambda i: np.s_[:, i : i + 3],
    "boxes": lambda i: np.s_[i : 2 * i + 9, i : i + 7],
    "every other row": lambda i: np.s_[i % 2 :: 2],
    "every other value": lambda i: np.s_[i % 2 :: 2, ::2],
    "a mask": lambda i: np.random.default_rng(i).random((128, 64)) < 0.6,
}


def create(host, folder, x, **options):
    """An array of one chunk with these values."""
    if host == "HDF5":
        file = h5py.File(folder / "x.h5", "w", rdcc_nbytes=0)
        return file.create_dataset("x", data=x, chunks=x.shape, **gcodec.hdf5(**LOSSY))
    zarr = pytest.importorskip("zarr")
    from gcodec.integrations.numcodecs import Gcodec

    return zarr.create_array({}, data=x, chunks=x.shape, zarr_format=2, compressors=Gcodec(**LOSSY), **options)


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
    array = create("zarr v2", None, X[:128], order=order)

    def write(place, values):
        (array.vindex if isinstance(place, np.ndarray) else array)[place] = values
        return values

    last = write_parts(write, part)
    assert error(array[:], last) <= ALPHA * FRACTION


Parts = st.lists(st.tuples(st.sampled_from(sorted(PARTS)), st.integers(0, 19), st.integers(-2, 2)), max_size=5)


@pytest.mark.parametrize("host", ["HDF5", "zarr v2"])
@given(Parts)
@settings(max_examples=20)
def test_any_sequence_of_parts(tmp_path_factory, host, parts):
    """Each write is within the bound, or there is a warning."""
    shape = (128, 64)
    forget()
    last = normal(*shape)
    array = create(host, tmp_path_factory.mktemp("parts"), last)
    for part, i, exponent in parts:
        place = PARTS[part](i)
        values = 10.0**exponent * normal(*last[place].shape, seed=i)
        if i % 3 == 0:
            forget()  # as another process would have
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            (array.vindex if part == "a mask" and host != "HDF5" else array)[place] = values
        last[place] = values
        if any("decoded before" in str(warning.message) for warning in warned):
            return
        assert error(array[:], last) <= ALPHA * (1 + SLACK)


@pytest.mark.parametrize("part", [np.s_[::2], np.s_[::3], np.random.default_rng(0).random(4000) < 0.7])
def test_parts_of_a_chunk_whose_decoded_values_equal_their_neighbours(tmp_path, part):
    x = normal(4000).cumsum(dtype=np.float32)
    array = create("HDF5", tmp_path, x)
    last = array[:]
    assert len(np.unique(last)) < 5
    array[part] = last[part] = 1000 * normal(*x[part].shape, seed=1)
    assert np.array_equal(array[:], last)


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
    last, touched = normal(*shape), np.zeros(shape, bool)
    array = create(host, tmp_path, last.astype(">f4") if "big" in host else last)
    before = array[...]
    assert (error(before, last) > 0) == (last.size >= 64)  # smaller chunks are exact
    for i in range(3):
        last[part(i)] = (i + 2) * normal(*last[part(i)].shape, seed=i + 1)
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
    forget()
    remember(x, 0.5)
    assert lost_before(x + np.ones((), dtype)) is None
    assert lost_before(x) == (0.5 * x.size if x.size else None)
    if x.size >= 2000:
        x.reshape(-1)[: x.size // 2] = normal(x.size // 2, seed=8)
        assert lost_before(x) == 0.5 * x.size
    assert lost_before(np.zeros(shape, dtype)) is None
    forget()
    assert lost_before(normal(*shape, seed=7).astype(dtype)) is None


@pytest.mark.parametrize("background", [0, 1, 2.5, -999, 273.15])
@pytest.mark.parametrize("shape", [(256, 256), (256, 80), (1000, 3), (40, 40, 2)])
def test_a_background_that_two_chunks_share_makes_neither_exact(background, shape):
    """Nor do the edges of it, nor one chunk that has nothing but it."""
    from gcodec.integrations.numcodecs import Gcodec

    codec, other = Gcodec(**LOSSY), normal(*shape, seed=1)
    other[shape[0] // 3 : shape[0] // 2] = background
    forget()
    before = codec.encode(other)
    for left in (0, 1, 5):
        x = np.full(shape, background, np.float32)
        x[:, : min(left, shape[1])] = normal(shape[0], min(left, shape[1]), *shape[2:], seed=2)
        codec.decode(codec.encode(x))
        x[: shape[0] // 3] = 1e9 + background  # which stands so often that the chunk is exact
        codec.decode(codec.encode(x))
    assert codec.encode(other) == before


@pytest.mark.parametrize("bound, is_kept", [({"alpha": 0.1}, True), ({"alpha": 0.2}, True), ({"alpha": 0.05}, False)])
def test_a_chunk_that_comes_back_keeps_its_bytes(bound, is_kept):
    """Where they promise as much as is asked for, and every value is the same."""
    forget()
    data = gcodec.encode(X, alpha=0.1, method="ecsq")
    values = gcodec.decode(data)
    keep(values, data)
    assert (Settings(method="ecsq", **bound).coded(values.copy()) == data) == is_kept
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


@pytest.mark.parametrize("host", ["HDF5", "zarr v2"])
@pytest.mark.parametrize("change", [lambda y: y * (y > 0), lambda y: np.tril(y), lambda y: np.where(y > 1, y, 0)])
def test_whole_chunks_of_values_that_were_read_and_cut_down(tmp_path, host, change):
    """They are taken and exact. The codec cannot tell them from part writes, so it warns."""
    array = create(host, tmp_path, X[:128])
    cut = change(array[:]).astype(np.float32)
    with pytest.warns(UserWarning, match="^gcodec: a chunk holds values that were decoded before, and smaller"):
        array[:] = cut
    assert np.array_equal(array[:], cut)


@pytest.mark.parametrize("host", ["HDF5", "zarr v2"])
@pytest.mark.parametrize("change", [lambda y: y / 2, lambda y: -y, lambda y: np.roll(y, 3, axis=0), lambda y: y[::-1]])
def test_whole_chunks_that_were_read_and_changed_have_the_bound(tmp_path, host, change):
    x = X[:128].cumsum(axis=0, dtype=np.float32)  # many decoded values are the same
    array = create(host, tmp_path, x)
    changed = change(array[:])
    array[:] = changed
    assert error(array[:], changed) <= ALPHA * FRACTION
    array[:] = x
    assert 0 < error(array[:], x) <= ALPHA * FRACTION


@pytest.mark.parametrize("host", ["HDF5", "zarr v2"])
def test_large_values_that_are_replaced_by_small_ones(tmp_path, host):
    """What is left lost more than the bound of what is there then: this is never silent."""
    x = X[:128].copy()
    x[:64] *= 3
    array = create(host, tmp_path, x)
    with pytest.warns(UserWarning, match="write whole chunks"):
        array[:64] = X[:64]
    assert np.array_equal(array[:64], X[:64])
    with pytest.warns(UserWarning, match="write whole chunks"):
        array[:32] = X[:32] / 2
    whole = normal(128, 64, seed=99)
    array[:] = whole
    assert 0 < error(array[:], whole) <= ALPHA * FRACTION


@pytest.mark.parametrize("host", ["HDF5", "zarr v2"])
def test_a_warning_that_is_an_error(tmp_path, host):
    """It refuses the write in zarr. HDF5 stores the chunk, and `last_error` says of what."""
    array = create(host, tmp_path, X[:128])
    before = array[:]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if host == "HDF5":
            array[:64] = 0
            array[64:80] = X[64:80]
            assert not array[:64].any() and np.array_equal(array[80:], before[80:])
            assert isinstance(hdf5.last_error(), UserWarning)
        else:
            with pytest.raises(UserWarning, match="write whole chunks"):
                array[:64] = 0
            assert np.array_equal(array[:], before)


@pytest.mark.parametrize("make", [lambda r: r.random(128 * 64) < 0.01, lambda r: r.poisson(0.3, 128 * 64)])
@pytest.mark.parametrize("bound", [{"alpha": 0.1}, {"pointwise": 0.01}])
def test_new_chunks_that_have_little_in_them_are_not_taken_for_others(make, bound):
    """Nor are those that cost the least when they are exact."""
    from gcodec.integrations.numcodecs import Gcodec

    random, codec = np.random.default_rng(0), Gcodec(**bound)
    chunks = [(make(random) * random.normal(size=8192)).astype("f4").reshape(128, 64) for _ in range(4)]
    chunks += [(make(random) * 2.0**-i).astype("f4").reshape(128, 64) for i in range(4)]
    fresh = [codec.encode(x) for x in chunks]
    for x, data in zip(chunks, fresh, strict=True):
        assert codec.encode(x) == data
        codec.decode(data)
