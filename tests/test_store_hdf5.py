"""The HDF5 filter: what is stored has its bound; what cannot have it is refused, never raw."""

import ctypes.util
import io
import signal
import threading
import time

import h5py
import ml_dtypes
import numpy as np
import pytest
from stores import FAST, error, fresh, normal

import gcodec
from gcodec.errors import ChecksumMismatch, InvalidInput
from gcodec.integrations import hdf5, hdf5_library

ALPHA = 0.1
X = normal(300, 64)
OPTIONS = dict(alpha=ALPHA, **FAST)


def create(path, data=X, chunks=(128, 64), options=OPTIONS, **more):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=data, chunks=chunks, **gcodec.hdf5(**options), **more)
    return path


def read(path, name="x"):
    with h5py.File(path) as file:
        return file[name][:]


def chunk(path, at=(0, 0)):
    with h5py.File(path) as file:
        return file["x"].id.read_direct_chunk(at)[1]


GOLDEN = (1, 0x9999999A, 0x3FA99999, 3, 0, int.from_bytes(b"auto", "little"), 0, 0)  # pointwise=0.05, as in the page


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.h5"


@pytest.mark.parametrize("options", [OPTIONS, {"alpha": 0.01, "method": "klt", "effort": "fast"}, {"lossless": True}])
def test_the_bound_holds_for_each_chunk_and_the_array(path, options):
    y = read(create(path, options=options))
    for part in (np.s_[:], np.s_[:128], np.s_[128:256], np.s_[256:]):
        assert error(y[part], X[part]) <= options.get("alpha", 0)
    with h5py.File(path) as file:
        assert np.array_equal(file["x"][100:130, 3], y[100:130, 3])


def test_chunks_are_containers(path):
    create(path)
    with gcodec.open(io.BytesIO(chunk(path))) as archive:
        header = archive.header("")
    assert header.spec.shape == (128, 64) and header.guarantee.kind == "alpha" and header.guarantee.bound == ALPHA
    assert gcodec.verify(io.BytesIO(chunk(path, (256, 0)))).ok


def test_files_say_how_they_were_made(path):
    with h5py.File(create(path)) as file:
        number, flags, values, name = file["x"].id.get_create_plist().get_filter(0)
    assert (number, flags) == (hdf5.FILTER, 0)  # 0: mandatory
    assert b"gcodec" in name and np.array(values[1:3], "<u4").view("<f8") == ALPHA
    assert values[-2:] == (128, 64)


def test_pointwise(path):
    create(path, options={"pointwise": 0.05})
    assert (abs(read(path).astype("f8") - X) <= 0.05 * abs(X.astype("f8"))).all() and not np.array_equal(read(path), X)
    with h5py.File(path) as file:
        assert file["x"].id.get_create_plist().get_filter(0)[2][:8] == GOLDEN
    with h5py.File(path, "r+") as file:
        file["x"].id.write_direct_chunk((0, 0), gcodec.encode(X[:128], pointwise=0.06))
    with pytest.raises(OSError, match="promises pointwise 0.06, which is less"):
        read(path)


@pytest.mark.parametrize("dtype", ["f2", "f8", ">f4", "i8", ">i2", "u1", "?", "c8"])
def test_dtypes(path, dtype):
    x = (X * 100).astype(dtype)
    y = read(create(path, x))
    assert y.dtype == x.dtype
    if x.dtype.kind == "f":
        assert 0 < error(y, x) <= ALPHA
    else:
        assert np.array_equal(y, x)
    assert len(chunk(path)) < x[:128].nbytes or dtype == "u1"


def test_bfloat16(path):
    kind = h5py.h5t.IEEE_F16LE.copy()
    kind.set_fields(15, 7, 8, 0, 7)
    kind.set_ebias(127)
    with h5py.File(path, "w") as file:
        made = file.create_dataset("x", X.shape, h5py.Datatype(kind), chunks=(128, 64), **gcodec.hdf5(**OPTIONS))
        made.id.write(h5py.h5s.ALL, h5py.h5s.ALL, X)
    y = np.empty_like(X)
    with h5py.File(path) as file:
        file["x"].id.read(h5py.h5s.ALL, h5py.h5s.ALL, y)
    assert error(y, X.astype(ml_dtypes.bfloat16)) <= ALPHA
    assert gcodec.decode(chunk(path)).dtype == ml_dtypes.bfloat16


def test_chunks_with_nan_are_exact(path):
    x = X.copy()
    x[200, 3] = np.nan
    y = read(create(path, x))
    assert np.array_equal(y[128:256], x[128:256], equal_nan=True) and 0 < error(y[:128], x[:128]) <= ALPHA
    assert len(chunk(path, (128, 0))) < x[128:256].nbytes and gcodec.decode(chunk(path, (128, 0))).shape == (128, 64)
    with pytest.raises(InvalidInput, match="stored exactly"):
        gcodec.hdf5(alpha=ALPHA, nonfinite="refuse")


@pytest.mark.parametrize(
    "data, more, words",
    [
        (np.array([b"abc"] * 300), {}, "no numbers"),
        (np.zeros(300, "i4,f4"), {}, "no numbers"),
        (np.zeros(300, np.longdouble), {}, "cannot be stored"),
        (X, {"fillvalue": 3}, "edge"),
        (X, {"fillvalue": np.nan}, 'edge.*"_FillValue": None'),
        (X, {"shuffle": True}, "leave out shuffle"),
    ],
)
def test_datasets_that_are_refused(path, data, more, words):
    with h5py.File(path, "w") as file:
        with pytest.raises((ValueError, OSError), match=f"gcodec: InvalidInput.*{words}"):
            file.create_dataset("x", data=data, chunks=(128, 64)[: data.ndim], **gcodec.hdf5(**OPTIONS), **more)
        assert "x" not in file and isinstance(hdf5.last_error(), InvalidInput)


@pytest.mark.parametrize("data, fill", [(X, -0.0), ((100 * X).astype("i4"), 7)])
def test_fill_values_that_take_nothing_of_a_bound(path, data, fill):
    """Minus zero has no error, and what is no float is stored exactly."""
    create(path, data, fillvalue=fill)
    assert error(read(path)[256:], data[256:]) <= ALPHA * (data is X)


@pytest.mark.parametrize("options", [OPTIONS, {"lossless": True}])
def test_values_of_variable_length(path, options):
    """HDF5 gives references to a filter, which are stored exactly; the values lie elsewhere."""
    words, lines = ["one", "three hundred"] * 10, [np.arange(n, dtype="f4") for n in range(20)]
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=words, dtype=h5py.string_dtype(), chunks=(5,), **gcodec.hdf5(**options))
        made = file.create_dataset("y", (20,), h5py.vlen_dtype("f4"), chunks=(5,), **gcodec.hdf5(**options))
        for i, line in enumerate(lines):
            made[i] = line
    with h5py.File(path) as file:
        assert list(file["x"].asstr()) == words and all(map(np.array_equal, file["y"], lines))
    assert gcodec.decode(chunk(path, (0,))).dtype == np.uint8 and b"three hundred" in path.read_bytes()
    with h5py.File(path, "r+") as file:
        file["x"].id.write_direct_chunk((0,), gcodec.encode(X, alpha=0.1))
    with pytest.raises(OSError, match="gcodec: Corrupt: the chunk holds float32"):
        read(path)


def test_a_dataset_that_is_created_without_the_filter(path):
    """Its dtype is not known, so that its chunks are exact."""
    options = {key: value for key, value in gcodec.hdf5(**OPTIONS).items() if key == "compression_opts"}
    code = """if 1:
        import sys, h5py
        with h5py.File(sys.argv[1], "w") as file:
            file.create_dataset("x", (300, 64), "f4", chunks=(128, 64), compression=34485, allow_unknown_filter=True,
                                compression_opts=tuple(map(int, sys.argv[2:])))"""
    fresh(code, path, *options["compression_opts"])
    with h5py.File(path, "r+") as file:
        file["x"][:] = X
    assert np.array_equal(read(path), X)


def test_a_build_of_h5py_that_hides_hdf5(monkeypatch):
    monkeypatch.setattr(h5py.defs, "__file__", ctypes.util.find_library("c"))
    with pytest.raises(ImportError, match="does not show H5allocate_memory of HDF5; install h5py from"):
        hdf5_library.library.__wrapped__()


def test_the_name_of_a_method_fits_its_place(monkeypatch):
    monkeypatch.setattr(hdf5, "METHOD", 3)
    with pytest.raises(InvalidInput, match="at most 3 bytes, and 'ecsq' has more"):
        gcodec.hdf5(**OPTIONS)


def test_a_dataset_needs_a_bound(path):
    hdf5.register()
    with h5py.File(path, "w") as file, pytest.raises((ValueError, OSError), match="has no bound.*gcodec.hdf5"):
        file.create_dataset("x", data=X, chunks=(128, 64), compression=hdf5.FILTER)
    with pytest.raises(InvalidInput, match="bound"):
        gcodec.hdf5()
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        gcodec.hdf5(alpha=1.5)
    with pytest.raises(InvalidInput, match="no setting 'chunks'"):
        gcodec.hdf5(alpha=ALPHA, chunks=(3, 4))


def test_datasets_that_grow_and_edges(path):
    with h5py.File(path, "w") as file:
        made = file.create_dataset("x", (0, 64), "f4", maxshape=(None, 64), chunks=(128, 64), **gcodec.hdf5(**OPTIONS))
        made.resize(300, 0)
        made[:] = X
        made.resize(200, 0)
    assert error(read(path), X[:200]) <= 300 / 200 * ALPHA and read(path).shape == (200, 64)
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "x", data=X[:5], maxshape=(None, 64), chunks=(128, 64), fletcher32=True, **gcodec.hdf5(**OPTIONS)
        )
    assert error(read(path), X[:5]) <= ALPHA


def test_damage_is_an_error_with_our_words(path, tmp_path):
    data = bytearray(create(path).read_bytes())
    data[data.find(b"GCZ") + 300] ^= 8
    path.write_bytes(data)
    with pytest.raises(OSError, match="gcodec: ChecksumMismatch.*the bytes were damaged"):
        read(path)
    assert isinstance(hdf5.last_error(), ChecksumMismatch)


def test_a_second_process_reads_it(path):
    y = read(create(path))
    code = """if 1:
        import sys, h5py
        from gcodec.integrations import hdf5, hdf5_library
        hdf5.register()
        hdf5.register()
        print(h5py.File(sys.argv[1])["x"][5].tobytes().hex())"""
    assert fresh(code, path).strip() == y[5].tobytes().hex()
    code = "import sys, h5py\ntry: h5py.File(sys.argv[1])['x'][5]\nexcept OSError as error: print(error)"
    assert fresh(code, path).startswith("Can't")


def test_files_left_open_are_written_at_the_end(path):
    code = """if 1:
        import sys, h5py, numpy as np, gcodec
        file = h5py.File(sys.argv[1], "w")
        file.create_dataset("x", data=np.ones((100, 30), "f4"), chunks=(50, 30), **gcodec.hdf5(lossless=True))"""
    fresh(code, path)
    hdf5.register()
    assert np.array_equal(read(path), np.ones((100, 30), "f4"))


def test_a_write_when_python_ends_does_not_crash(path):
    code = """if 1:
        import sys, h5py, numpy as np, gcodec
        made = h5py.File(sys.argv[1], "w").create_dataset(
            "x", data=np.ones((100, 30), "f4"), chunks=(50, 30), **gcodec.hdf5(lossless=True))
        class Late:
            def __del__(self):
                try: made[:] = 2
                except ValueError: print("closed")
        sys.late = Late()"""
    assert fresh(code, path) in ("", "closed\n")
    hdf5.register()
    assert np.array_equal(read(path), np.ones((100, 30), "f4"))


def test_threads(path):
    create(path, options={"lossless": True})
    found = []
    threads = [threading.Thread(target=lambda: found.append(np.array_equal(read(path), X))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 4


def test_an_interrupt_waits_until_a_chunk_is_coded(path, monkeypatch):
    """HDF5 crashes later when a chunk fails, so that the chunk is coded first."""
    coded, calls = hdf5._encoded, []

    def interrupted(words, data):
        calls.append(len(data))
        if len(calls) == 1:
            signal.raise_signal(signal.SIGINT)
        return coded(words, data)

    monkeypatch.setattr(hdf5, "_encoded", interrupted)
    with pytest.raises(KeyboardInterrupt):
        create(path, options={"lossless": True})
        time.sleep(10)
    monkeypatch.undo()
    assert len(calls) >= 4 and np.array_equal(read(path), X)
