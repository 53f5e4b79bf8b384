"""What `decode` says: of damage, of what it leaves out, and of the format that it writes."""

import json

import h5py
import numpy as np
import pytest
from checks import call_cli, run_cli
from hdf5_files import write_keras

import gcodec
from gcodec.container.reader import RandomAccess


@pytest.fixture
def keras(tmp_path):
    write_keras(tmp_path / "k.h5")
    with h5py.File(tmp_path / "k.h5", "a") as file:
        file["config"] = "text"
    assert call_cli("encode", tmp_path / "k.h5", "--lossless")[0] == 0
    return tmp_path / "k.h5.gcz"


def flipped(path, name):
    """The file with one flipped bit at the end of the record before the one with this name."""
    data = bytearray(path.read_bytes())
    with open(path, "rb") as file:
        data[RandomAccess(file, len(data)).offsets[name] - 1] ^= 4
    path.write_bytes(data)


def names_of(path):
    with open(path, "rb") as file:
        return list(RandomAccess(file, path.stat().st_size).offsets)


@pytest.mark.parametrize("to", ["npz", "safetensors"])
def test_what_a_conversion_leaves_out_is_said(tmp_path, keras, to):
    code, out, _ = call_cli("decode", keras, "--to", to)
    assert code == 0 and "5 tensors; left out: config (16 bytes: text), all" in out and "attributes and links" in out
    result = json.loads(call_cli("decode", keras, "--to", to, "-f", "--json")[1])
    uncoded = [["config", 16, "text"]]
    assert result["left_out"] == {"datasets": 1, "attributes": True, "links": True, "uncoded": uncoded}
    assert result["format"] == to
    assert "left_out" not in json.loads(call_cli("decode", keras, "-f", "--json")[1])


def test_the_skeleton_is_no_tensor(keras):
    names = names_of(keras)
    assert f"gcodec format 1.0, {len(names) - 1} tensors" in call_cli("info", keras)[1]
    assert f"{len(names) - 1} tensors" in call_cli("decode", keras, "-f")[1]
    flipped(keras, names[3])
    for options in ([], ["--salvage"]):
        code, _, err = call_cli("decode", keras, "-f", *options)
        assert code == 3 and "//hdf5" not in err and f"missing are: {names[2]!r}" in err
        assert ("--salvage" in err) == (not options)


def test_what_is_lost_with_the_skeleton_is_said(tmp_path, keras):
    names = names_of(keras)
    flipped(keras, names[1])
    out = tmp_path / "back.h5"
    code, _, err = call_cli("decode", keras, "-o", out)
    assert code == 3 and "whole are: none" in err and "--salvage also looks behind the damage" in err
    code, text, err = call_cli("decode", keras, "-o", out, "--salvage")
    assert code == 3 and "left out: config (16 bytes: text), all attributes and links (which are lost)" in text
    assert "--salvage" not in err
    found = json.loads(call_cli("decode", keras, "-o", out, "--salvage", "-f", "--json")[1])
    uncoded = [["config", 16, "text"]]
    assert found["left_out"] == {"datasets": 1, "attributes": True, "links": True, "uncoded": uncoded}
    assert found["missing"] == []
    with h5py.File(out) as back:
        assert all(name in back for name in names[1:])


def test_salvage_of_one_tensor(tmp_path, keras):
    names = names_of(keras)
    flipped(keras, names[3])
    out = tmp_path / "one.npy"
    assert call_cli("decode", keras, "--salvage", "--tensor", names[4], "-o", out)[0] == 0 and out.exists()
    code, _, err = call_cli("decode", keras, "--salvage", "--tensor", names[2], "-f", "-o", out)
    assert code == 3 and f"whole are: none; missing are: {names[2]!r}" in err and names[4] not in err


def test_a_cut_within_the_first_bytes(tmp_path, keras):
    for length in (0, 3, 15, 16, 30, 200):
        (tmp_path / "cut.gcz").write_bytes(keras.read_bytes()[:length])
        for options in ([], ["--salvage"]):
            code, _, err = call_cli("decode", tmp_path / "cut.gcz", "-o", tmp_path / "x.h5", *options)
            assert code == 3 and "whole are: none" in err, (length, err)


def test_saved_arrays_become_an_npz_by_default(tmp_path):
    arrays = {"a": np.arange(3), "b/c": np.ones((2, 2))}
    gcodec.save(tmp_path / "x.gcz", arrays, lossless=True)
    assert call_cli("decode", tmp_path / "x.gcz")[0] == 0
    with np.load(tmp_path / "x.npz") as back:
        assert all(np.array_equal(back[name], array) for name, array in arrays.items())
    data = (tmp_path / "x.gcz").read_bytes()
    code, _, err = run_cli(
        "decode", "-", "-o", tmp_path / "y.npz", stdin=data[: data.rindex(b"b/c", 0, data.rindex(b"INDX")) + 20]
    )
    assert code == 3 and "whole are: 'a'; missing are: 'b/c'" in err


def test_the_format_is_said_when_the_name_does_not(tmp_path, keras):
    assert "x.txt (h5): " in call_cli("decode", keras, "-o", tmp_path / "x.txt")[1]
    code, _, err = call_cli("decode", keras, "-o", tmp_path / "x.gcz")
    assert code == 2 and "no gcodec files" in err and not (tmp_path / "x.gcz").exists()


def test_info_cuts_long_names(tmp_path):
    gcodec.save(tmp_path / "x.gcz", {"n" * 5000 + "end": np.ones(3), "w": np.ones(3)}, lossless=True)
    lines = call_cli("info", tmp_path / "x.gcz")[1].splitlines()
    assert max(map(len, lines[2:])) < 200 and any("…" in line and "nend  " in line for line in lines)
