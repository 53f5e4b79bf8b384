"""Chains of files: tensors that never change, and rows that need little of each file."""

import h5py
import numpy as np
import pytest
from checks import call_cli

import gcodec
from gcodec.errors import FormatError, MissingBase


@pytest.mark.parametrize("promise", [{"lossless": True}, {"alpha": 0.1}])
def test_tensors_that_never_change_go_through_a_chain(promise, tmp_path):
    """Each file then has a tensor of the base's values, and may be found before the base is."""
    rng = np.random.default_rng(5)
    tensors = {"frozen": rng.standard_normal((64, 48)), "moves": rng.standard_normal(2000)}
    paths = [tmp_path / f"{9 - step}.gcz" for step in range(4)]
    gcodec.save(paths[0], tensors, lossless=True)
    for step in range(1, 4):
        base, path = paths[step - 1], paths[step]
        tensors["moves"] = tensors["moves"] + 1e-3 * rng.standard_normal(2000)
        gcodec.save(path, tensors, base=[base, tmp_path], **promise)
        for given in (tmp_path, paths[: step + 1], paths[step::-1]):
            with gcodec.open(path, base=given) as archive:
                assert archive["frozen"].tobytes() == tensors["frozen"].tobytes()
                assert archive.header("frozen").base and archive["moves"].shape == (2000,)
    with gcodec.open(paths[1], base=paths[1]) as archive, pytest.raises(MissingBase, match="CRC-32"):
        archive["frozen"]


def test_rows_decode_only_their_chunks_of_the_bases(tmp_path):
    """Damage in the last chunk of the first file is met by those rows alone."""
    rng = np.random.default_rng(6)
    x, paths = rng.standard_normal((1100, 1000)).astype(np.float32), [tmp_path / f"{i}.gcz" for i in range(3)]
    gcodec.save(paths[0], {"x": x}, lossless=True)
    for i in (1, 2):
        x = x + 1e-3 * rng.standard_normal(x.shape).astype(np.float32)
        gcodec.save(paths[i], {"x": x}, alpha=0.1, method="ecsq", base=paths[:i][::-1])
    whole = gcodec.load(paths[2], base=tmp_path)["x"]
    with gcodec.open(paths[2], base=tmp_path) as archive:
        for start, stop in ((0, 2), (1040, 1060), (1099, 1100), (5, 5), (0, 1100)):
            assert archive.rows("x", start, stop).tobytes() == whole[start:stop].tobytes()
    with gcodec.open(paths[0]) as first:
        end = first.size - sum(chunk.length for chunk in first.header("x").chunks[-1:])
    data = bytearray(paths[0].read_bytes())
    data[end] ^= 1
    paths[0].write_bytes(data)
    with gcodec.open(paths[2], base=tmp_path) as archive:
        assert archive.rows("x", 1, 3).tobytes() == whole[1:3].tobytes()
        for rows in ((1098, 1100), (0, 1100)):
            with pytest.raises(FormatError):
                archive.rows("x", *rows)


def test_words_about_a_file_that_is_more_than_its_tensors(tmp_path):
    """What an HDF5 file has beside tensors counts as none, and has no name that a user knows."""
    for step in "01":
        with h5py.File(tmp_path / f"{step}.h5", "w") as file:
            file["w"] = np.random.default_rng(0).standard_normal(2000) + int(step) / 1000
            file["n"] = np.arange(2000)
    first, second = tmp_path / "0.h5.gcz", tmp_path / "1.h5.gcz"
    assert call_cli("encode", tmp_path / "0.h5", "--lossless")[0] == 0
    out = call_cli("encode", tmp_path / "1.h5", "--lossless", "--base", first)[1]
    assert "2 tensors: 2 exact; 2 of 2 against a base" in " ".join(out.split())
    first.unlink()
    code, _, err = call_cli("decode", second, "--base-dir", tmp_path, "-o", tmp_path / "back.h5")
    assert code == 2 and f"it is not in the folder {str(tmp_path)!r}. Give its file" in err and "//" not in err
