"""Small things that the commands say, and where they write."""

import os

import numpy as np
import pytest
from checks import call_cli

import gcodec
from gcodec.cli.output import LONGEST_NAME, printable, times
from gcodec.comparison.advice import _times
from gcodec.errors import InvalidInput

X = np.random.default_rng(0).normal(size=(64, 48)).astype(np.float32)


def test_a_rule_without_a_number_is_named_whole(gradient):
    code, _, err = call_cli("encode", gradient, "--alpha", "*=")
    assert code == 2 and "--alpha *=: what follows is not a number" in err
    code, _, err = call_cli("encode", gradient, "--alpha", "w*=x")
    assert code == 2 and "--alpha w*=x: 'x' is not a number" in err


@pytest.mark.parametrize("command", ["encode", "decode", "info"])
def test_an_empty_name_of_an_input(command):
    code, _, err = call_cli(command, "")
    assert code == 2 and "the name of the input is empty" in err


def test_the_bytes_of_the_file_are_said(gradient):
    code, out, _ = call_cli("encode", gradient, "--method", "sd")
    size = os.path.getsize(f"{gradient}.gcz")
    assert code == 0 and f"{X.nbytes:,} → {size:,} bytes ({X.nbytes / size:.1f} times fewer)" in out
    np.save(gradient, X[0, :1])
    assert " times more)" in call_cli("encode", gradient, "-f")[1]


def test_times_fewer_or_more():
    assert times(300, 100) == "3.0 times fewer" and times(100, 160) == "1.6 times more" and times(0, 0)


def test_several_arrays_are_for_save():
    with pytest.raises(InvalidInput, match="^the array: is a dict; gcodec.save takes arrays by name"):
        gcodec.encode({"w": X})


def test_long_names_lose_their_middle():
    assert printable("a\n") == r"a\n" and printable("x" * LONGEST_NAME) == "x" * LONGEST_NAME
    long = printable("a" + "\x1b" * 60_000 + "z")
    assert len(long) < 8 * LONGEST_NAME and long.startswith("a") and long.endswith("z") and "\x1b" not in long


def test_a_dump_into_a_folder_without_a_name(gradient):
    assert call_cli("encode", gradient, "--method", "sd")[0] == 0
    code, _, err = call_cli("inspect", f"{gradient}.gcz", "--dump", "")
    assert code == 2 and "the name of the folder is empty" in err


def test_a_dump_of_one_tensor_has_the_number_of_a_whole_dump(tmp_path):
    gcodec.save(tmp_path / "x.gcz", {"a": X, "b": X}, "sd", alpha=0.1)
    assert call_cli("inspect", tmp_path / "x.gcz", "--dump", tmp_path / "all")[0] == 0
    code, out, _ = call_cli("inspect", tmp_path / "x.gcz", "--tensor", "b", "--dump", tmp_path / "one")
    assert code == 0 and os.listdir(tmp_path / "one") == ["001_b"] and f"arrays are in {tmp_path / 'one'}" in out
    assert sorted(os.listdir(tmp_path / "all")) == ["000_a", "001_b"]


def test_a_dump_says_what_has_no_arrays(tmp_path):
    gcodec.save(tmp_path / "x.gcz", {"a": X}, lossless=True)
    out = call_cli("inspect", tmp_path / "x.gcz", "--dump", tmp_path / "d")[1]
    assert "no arrays to look at: a" in out and "arrays are in" not in out


def test_a_dump_replaces_a_link(tmp_path):
    gcodec.save(tmp_path / "x.gcz", {"a": X}, "sd", alpha=0.1)
    command = ("inspect", tmp_path / "x.gcz", "--dump", tmp_path / "d")
    assert call_cli(*command)[0] == 0
    part = next((tmp_path / "d" / "000_a").iterdir())
    (tmp_path / "mine").write_text("kept")
    part.unlink()
    part.symlink_to(tmp_path / "mine")
    assert call_cli(*command, "-f")[0] == 0
    assert (tmp_path / "mine").read_text() == "kept" and not part.is_symlink() and np.load(part).size


def test_as_many_bits_are_not_1_times_fewer():
    assert _times(1.0) == _times(0.997) == "as many as"
    assert _times(2.5) == "2.5 times fewer than" and _times(0.5) == "2 times more than"
