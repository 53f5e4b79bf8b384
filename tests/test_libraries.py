"""Files of libraries, read by these after a lossless and after a lossy round trip.

Each test is skipped where its library is not installed.
"""

from importlib.util import find_spec
from zipfile import ZipFile

import numpy as np
import pytest
from checks import call_cli, distortion

ALPHA = 1e-3
X = np.random.default_rng(0).standard_normal((200, 120)).astype(np.float32)


@pytest.fixture(autouse=True)
def no_other_filters(monkeypatch):
    """netCDF4 names filters of its own, which suit no other library in the same process."""
    monkeypatch.delenv("HDF5_PLUGIN_PATH", raising=False)


def run(*args):
    code, _, error = call_cli(*args)
    assert code == 0, error


def trips(path, *lossy):
    """The file after a lossless and after a lossy round trip, each in a folder of its own.

    lossy: options beside the bound.
    """
    for kind, options in (("lossless", ["--lossless"]), ("lossy", ["--alpha", str(ALPHA), *lossy])):
        folder = path.parent / kind
        folder.mkdir()
        run("encode", path, *options, "-o", folder / f"{path.name}.gcz")
        run("verify", folder / f"{path.name}.gcz", "--against", path)
        run("decode", folder / f"{path.name}.gcz")
        yield kind, folder / path.name


def check(kind, x, back):
    """Equal, or within the bound and not equal."""
    error = distortion(np.asarray(x), np.asarray(back))
    assert error == 0 if kind == "lossless" else 0 < error <= ALPHA


def test_scipy_sparse(tmp_path):
    sparse = pytest.importorskip("scipy.sparse")
    a = sparse.random(300, 200, 0.2, format="csr", dtype=np.float64, random_state=1)
    sparse.save_npz(tmp_path / "a.npz", a)
    for kind, path in trips(tmp_path / "a.npz"):
        b = sparse.load_npz(path)
        assert b.format == "csr" and np.array_equal(b.indices, a.indices) and np.array_equal(b.indptr, a.indptr)
        check(kind, a.data, b.data)
        assert kind != "lossless" or path.read_bytes() == (tmp_path / "a.npz").read_bytes()


@pytest.mark.parametrize("engine", ["h5netcdf", "netCDF4"])
def test_netcdf(tmp_path, engine):
    library = pytest.importorskip("h5netcdf.legacyapi" if engine == "h5netcdf" else engine)
    with library.Dataset(tmp_path / "a.nc", "w") as file:
        file.createDimension("lat", 200)
        file.createDimension("lon", 120)
        file.title = "a title"
        file.createVariable("lon", "f8", ("lon",))[:] = np.arange(120) * 3.0
        values = file.createVariable("t", "f4", ("lat", "lon"), zlib=True, fill_value=np.float32(-9999))
        values.units = "K"
        values[:] = X
    for kind, path in trips(tmp_path / "a.nc"):
        with library.Dataset(path) as file:
            assert file.title == "a title" and file.variables["t"].units == "K"
            assert list(file.variables["t"].dimensions) == ["lat", "lon"]
            assert np.array_equal(file.variables["lon"][:], np.arange(120) * 3.0)
            check(kind, X, file.variables["t"][:])


@pytest.mark.parametrize("packing", [None, "zlib", "blosc"])
def test_pytables(tmp_path, packing):
    tables = pytest.importorskip("tables")
    filters = tables.Filters(complevel=5, complib=packing) if packing else None
    with tables.open_file(str(tmp_path / "a.h5"), "w") as file:
        file.create_array("/", "plain", X)
        file.create_carray("/group", "packed", obj=X, filters=filters, createparents=True)
        table = file.create_table("/", "table", np.rec.fromarrays([X[:, 0], np.arange(200)], names="x,n"))
        table.attrs.note = "a note"
    for kind, path in trips(tmp_path / "a.h5"):
        with tables.open_file(str(path)) as file:
            check(kind, X, file.root.plain[:])
            assert np.array_equal(file.root.table[:]["x"], X[:, 0]) and file.root.table.attrs.note == "a note"
            coded = packing != "blosc" or find_spec("hdf5plugin")
            check(kind if coded else "lossless", X, file.root.group.packed[:])


@pytest.mark.filterwarnings("ignore")  # those of pandas
@pytest.mark.parametrize("packing", [None, "gzip"])
def test_anndata(tmp_path, packing):
    anndata = pytest.importorskip("anndata")
    anndata.settings.allow_write_nullable_strings = True
    pandas, sparse = pytest.importorskip("pandas"), pytest.importorskip("scipy.sparse")
    obs = pandas.DataFrame({"kind": pandas.Categorical(["a", "b"] * 100)}, index=[f"cell{i}" for i in range(200)])
    a = anndata.AnnData(sparse.csr_matrix(np.where(X > 1, X, 0)), obs=obs, obsm={"pca": X[:, :50]}, uns={"n": "note"})
    a.write_h5ad(tmp_path / "a.h5ad", compression=packing)
    for kind, path in trips(tmp_path / "a.h5ad"):
        b = anndata.read_h5ad(path)
        assert (b.obs == a.obs).all().all() and list(b.obs_names) == list(a.obs_names) and b.uns["n"] == "note"
        assert np.array_equal(b.X.indices, a.X.indices) and np.array_equal(b.X.indptr, a.X.indptr)
        check(kind, a.X.data, b.X.data)
        check(kind, a.obsm["pca"], b.obsm["pca"])


@pytest.mark.filterwarnings("ignore")  # those of Keras
@pytest.mark.parametrize("suffix", ["h5", "weights.h5", "keras"])
def test_keras(tmp_path, monkeypatch, suffix):
    """The .keras format is a zip archive, of which the weights are coded alone."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    pytest.importorskip("torch")
    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.Input((120,)), keras.layers.Dense(64, activation="relu"), keras.layers.Dense(10)])
    before, path = model.get_weights(), tmp_path / f"a.{suffix}"
    model.save_weights(path) if suffix == "weights.h5" else model.save(path)
    if suffix == "keras":
        ZipFile(path).extract("model.weights.h5", tmp_path)
        path = tmp_path / "model.weights.h5"
    for kind, back in trips(path):
        if suffix == "h5":
            after = keras.models.load_model(back).get_weights()
        else:
            model.load_weights(back)
            after = model.get_weights()
        for x, y in zip(before, after, strict=True):
            check(kind if x.size >= 1024 else "lossless", x, y)


def test_matlab(tmp_path):
    """Version 7.3: HDF5 behind 512 bytes of text, with an attribute that names the class."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.mat", "w", userblock_size=512) as file:
        file["w"] = X.astype(np.float64)
        file["w"].attrs["MATLAB_class"] = np.bytes_("double")
        file["text"] = np.frombuffer("hello".encode("utf-16-le"), np.uint16)
        file["text"].attrs["MATLAB_class"] = np.bytes_("char")
    start = b"MATLAB 7.3 MAT-file, written by a test".ljust(124) + b"\x00\x02IM"
    with open(tmp_path / "a.mat", "r+b") as file:
        file.write(start)
    for kind, path in trips(tmp_path / "a.mat"):
        assert path.read_bytes().startswith(start)
        with h5py.File(path) as file:
            assert file["w"].attrs["MATLAB_class"] == b"double" and file["text"].attrs["MATLAB_class"] == b"char"
            assert file["text"][()].tobytes().decode("utf-16-le") == "hello"
            check(kind, X, file["w"][()])


def test_filters_of_hdf5plugin(tmp_path):
    """They are coded where the package is, and kept as they are where it is not."""
    plugin = pytest.importorskip("hdf5plugin")
    h5py = pytest.importorskip("h5py")
    kinds = {"blosc": plugin.Blosc(), "zstd": plugin.Zstd(), "lz4": plugin.LZ4(), "bitshuffle": plugin.Bitshuffle()}
    kinds["bzip2"] = plugin.BZip2()
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, filters in kinds.items():
            file.create_dataset(name, data=X, chunks=(50, 120), **filters)
        file.create_dataset("lossy", data=X, chunks=(50, 120), **plugin.Zfp(rate=8))
    for kind, path in trips(tmp_path / "a.h5"):
        with h5py.File(path) as file, h5py.File(tmp_path / "a.h5") as before:
            for name in kinds:
                check(kind, X, file[name][()])
            assert np.array_equal(file["lossy"][()], before["lossy"][()])
