"""`open`, `load` and `Archive`: what they take, and what they say when they cannot."""

import subprocess
from io import BytesIO

import numpy as np
import pytest

import gcodec
from gcodec import errors
from gcodec.errors import Closed, InvalidInput, MissingTensor

X = np.random.default_rng(0).normal(size=(64, 48)).astype(np.float32)


def test_open_and_load_take_a_file_object(tmp_path):
    gcodec.save(tmp_path / "x.gcz", {"a": X, "b": np.arange(4)}, lossless=True)
    with (tmp_path / "x.gcz").open("rb") as file:
        assert list(gcodec.load(file, threads=1, limit=X.nbytes + 32)) == ["a", "b"]
        with gcodec.open(file, threads=1, limit=X.nbytes) as archive:
            assert list(archive) == ["a", "b"] and len(archive) == 2 and np.array_equal(archive["a"], X)
            assert np.array_equal(archive.rows("a", 3, 9), X[3:9]) and archive.header("b").spec.shape == (4,)
        assert not file.closed and file.seek(0) == 0
        with pytest.raises(InvalidInput, match="decode takes bytes, not BufferedReader"):
            gcodec.decode(file)
    archive = gcodec.open(str(tmp_path / "x.gcz"))
    archive.close()
    assert archive._file.closed


def test_open_and_load_take_a_url():
    fsspec = pytest.importorskip("fsspec")
    with fsspec.open("memory://reading/x.gcz", "wb") as file:
        file.write(gcodec.encode(X, lossless=True))
    assert np.array_equal(gcodec.load("memory://reading/x.gcz")[""], X)
    with gcodec.open("memory://reading/x.gcz") as archive:
        assert np.array_equal(archive[""], X)


def test_a_closed_archive(tmp_path):
    gcodec.save(tmp_path / "x.gcz", {"a": X}, lossless=True)
    for file in (tmp_path / "x.gcz", BytesIO((tmp_path / "x.gcz").read_bytes())):
        archive = gcodec.open(file)
        archive.close()
        archive.close()
        for read in (lambda a: a["a"], lambda a: a.rows("a", 0, 1), lambda a: a.header("a"), lambda a: a.record("a")):
            with pytest.raises(Closed, match="the archive is closed"):
                read(archive)
            with pytest.raises(ValueError, match="the archive is closed"):
                read(archive)


def test_names_that_are_missing(tmp_path, monkeypatch):
    gcodec.save(tmp_path / "x.gcz", {f"w{i}": np.arange(3) for i in range(10)}, lossless=True)
    with gcodec.open(tmp_path / "x.gcz") as archive:
        for read in (lambda: archive["v"], lambda: archive.header("v"), lambda: archive.rows("v", 0, 1)):
            with pytest.raises(MissingTensor) as caught:
                read()
            assert isinstance(caught.value, KeyError) and isinstance(caught.value, errors.GcodecError)
            assert str(caught.value).startswith("there is no tensor named 'v'; it holds 'w0', ")
            assert str(caught.value).endswith("'w7' and 2 more")
        assert archive.get("v", 5) == 5
        monkeypatch.setattr(type(archive), "__getitem__", None)
        assert "w3" in archive and "v" not in archive and 3 not in archive  # without decoding anything


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "x.txt").write_text("text")
    for wrong in (5, None, X, (tmp_path / "x.txt").open("r")):
        for read in (gcodec.open, gcodec.load):
            with pytest.raises(InvalidInput, match="a path or a binary file object"):
                read(wrong)
    wrong.close()
    process = subprocess.Popen(["cat", tmp_path / "x.txt"], stdout=subprocess.PIPE)
    with process, pytest.raises(InvalidInput, match="not seekable; gcodec.load reads it"):
        gcodec.open(process.stdout)
    for read in (gcodec.open, gcodec.load):
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "none.gcz")
    gcodec.save(tmp_path / "x.gcz", {"a": np.float32(1)}, lossless=True)
    with gcodec.open(tmp_path / "x.gcz") as archive, pytest.raises(InvalidInput, match="'a' has no first axis"):
        archive.rows("a", 0, 1)
