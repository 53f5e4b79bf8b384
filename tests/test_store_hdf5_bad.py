"""HDF5 datasets with wrong settings or wrong chunks: errors of ours, and never a crash."""

import h5py
import numpy as np
import pytest
from stores import LOSSY, X, error, fresh

import gcodec
from gcodec.errors import Corrupt, OutOfMemory
from gcodec.integrations import hdf5
from gcodec.integrations.chunks import Settings


def read(path):
    with h5py.File(path) as file:
        return file["x"][:]


@pytest.fixture
def path(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=X, chunks=(128, 64), **gcodec.hdf5(**LOSSY))
    return tmp_path / "x.h5"


@pytest.mark.parametrize("x", [X[:128].astype("f8"), X[:127], X[:128].T, np.zeros((1 << 16, 64), "f4")])
def test_chunks_of_another_shape_or_dtype(path, x):
    with h5py.File(path, "r+") as file:
        file["x"].id.write_direct_chunk((0, 0), gcodec.encode(x, lossless=True))
    with pytest.raises(OSError, match="gcodec: Corrupt.*"):
        read(path)
    assert isinstance(hdf5.last_error(), Corrupt)


@pytest.mark.parametrize("bad", [b"x", b"raw bytes, such as an optional filter leaves", None])
def test_chunks_that_are_no_containers(path, bad):
    with h5py.File(path, "r+") as file:
        file["x"].id.write_direct_chunk((0, 0), X[:128].tobytes() if bad is None else bad)
    with pytest.raises(OSError):
        read(path)


@pytest.mark.parametrize("options, words", [({"alpha": 0.9}, "alpha 0.9.*alpha 0.1"), ({"omega": 0.05}, "omega 0.05")])
def test_chunks_that_promise_less(path, options, words):
    with h5py.File(path, "r+") as file:
        file["x"].id.write_direct_chunk((0, 0), gcodec.encode(X[:128], **options))
    with pytest.raises(OSError, match=f"gcodec: Corrupt: the chunk promises {words}"):
        read(path)


def test_finished_containers_are_written(path):
    """As the page says: of whole chunks, padded with zeros at the edge."""
    with h5py.File(path, "r+") as file:
        last = np.zeros((128, 64), "f4")
        last[:44] = X[256:]
        file["x"].id.write_direct_chunk((256, 0), gcodec.encode(last, alpha=0.05))
    assert 0 < error(read(path)[256:], X[256:]) <= 0.05


FORGED = [  # the place of a word, its value, and what the error says
    (0, 2, "UnsupportedFeature.*version 2"),
    (2, 0x7FF80000, "InvalidInput.*alpha must be between"),
    (3, 99, "UnsupportedFeature.*unknown"),
    (5, int.from_bytes(b"mine", "little"), "InvalidInput.*method 'mine'"),
    (8, int.from_bytes(b"<f8", "little"), "Corrupt.*float64"),
    (8, 0x78787878, "Corrupt.*xxxx"),
    (8, int.from_bytes(b",8", "little"), "Corrupt.*',8'"),
    (10, 1 << 31, "Corrupt.*chunks of"),
    (10, 0, "Corrupt"),
]


def forge(path, place, value):
    """Change one of the filter's values in a file."""
    with h5py.File(path) as file:
        values = np.array(file["x"].id.get_create_plist().get_filter(0)[2], "<u4")
    data, old = path.read_bytes(), values.tobytes()
    values[place] = value
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, values.tobytes()))


@pytest.mark.parametrize("place, value, words", FORGED)
def test_forged_values_of_the_filter(path, place, value, words):
    forge(path, place, value)
    with pytest.raises(OSError, match=f"gcodec: {words}"):
        read(path)


def test_forged_values_do_not_crash_a_writer(path, tmp_path):
    """They are refused when a chunk is read, so that none is changed and cannot be coded."""
    files = [tmp_path / f"{i}.h5" for i in range(len(FORGED))]
    for file, (place, value, _) in zip(files, FORGED, strict=True):
        file.write_bytes(path.read_bytes())
        forge(file, place, value)
    code = """if 1:
        import sys, h5py
        from gcodec.integrations import hdf5
        hdf5.register()
        for path in sys.argv[1:]:
            with h5py.File(path, "r+") as file:
                for rows in (slice(3, 5), slice(128, 256)):  # a part of a chunk, and a whole one
                    try: file["x"][rows] = 1
                    except OSError as error: print(path, error)"""
    found = fresh(code, *files)
    assert all(f"{file} Can't" in found for file in files) and found.count("gcodec: ") >= len(files)


@pytest.mark.parametrize("trouble", [OutOfMemory("too little"), MemoryError("too little"), ValueError("a bug")])
def test_chunks_that_cannot_be_coded_are_stored_exactly(path, monkeypatch, trouble):
    def failing(self, values):
        raise trouble

    monkeypatch.setattr(Settings, "coded_once", failing)
    with h5py.File(path, "r+") as file:
        file["x"][:128] = X[:128]
    assert np.array_equal(read(path)[:128], X[:128]) and hdf5.last_error() is trouble
