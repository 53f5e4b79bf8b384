"""How fast methods are, and the links below which they make a transfer faster."""

import json

import numpy as np
import pytest
from checks import call_cli

import gcodec
from gcodec.comparison.break_even import break_even, speed_words
from gcodec.comparison.links import link_speed
from gcodec.errors import InvalidInput


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A checkpoint of two methods, and a tensor that is stored exactly."""
    path = tmp_path_factory.mktemp("links") / "m.gcz"
    rng = np.random.default_rng(0)
    tensors = {name: rng.standard_normal((60, 70)).astype(np.float32) for name in ("a", "b", "c")}
    gcodec.save(path, tensors | {"step": np.arange(5)}, alpha=0.1, method="ecsq", methods={"c": "sd"})
    return path


@pytest.mark.parametrize(
    "text, bits",
    [("1Gbit", 1e9), ("100Mbit/s", 1e8), ("2.5GB", 2e10), ("3 kB/s", 2.4e4), ("7bit", 7.0), ("1Tbit", 1e12)],
)
def test_speeds_of_links(text, bits):
    assert link_speed(text) == bits


@pytest.mark.parametrize("text", ["", "1", "Gbit", "-1Gbit", "0Gbit", "1 gb", "1GBit", "inf", "1e3Mbit", "1Gbit/h"])
def test_what_is_no_speed_of_a_link(text):
    with pytest.raises(InvalidInput, match="such as 1Gbit"):
        link_speed(text)
    code, out, err = call_cli("compare", "x.npy", f"--link={text}")
    assert (code, out) == (2, "") and "such as 1Gbit" in err


def test_break_even():
    """At that speed, sending all takes as long as the work and sending the rest."""
    speed = break_even(1000, 200, 4.0)
    assert speed is not None and 1000 / speed == pytest.approx(4.0 + 200 / speed)
    assert break_even(1000, 1000, 4.0) is None and break_even(1000, 1001, 4.0) is None
    assert [speed_words(x) for x in (None, 12.0, 3.21e6, 9.996e9)] == ["never", "12 bit/s", "3.21 Mbit/s", "10 Gbit/s"]


def test_compare_over_a_link(tmp_path):
    np.save(tmp_path / "x.npy", x := np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32))
    args = "compare", tmp_path / "x.npy", "--alpha", 0.1, "--methods", "sd,ecsq,lossless,drive", "--link", "10Mbit"
    code, out, _ = call_cli(*args)
    assert code == 0 and "over a link of 10 Mbit/s" in out and "times faster" in out and "pays below" in out
    result = json.loads(call_cli(*args, "--json")[1])
    rows = {row["name"]: row for row in result["totals"]}
    sent = result["link"]["transfers"]
    assert result["link"]["speed"] == 1e7 and {one["name"] for one in sent} == set(rows)
    assert [one["compressed"] for one in sent] == sorted(one["compressed"] for one in sent)
    for one in sent:
        row = rows[one["name"]]
        megabytes = x.nbytes / 1e6
        work = megabytes / row["encode_speed"] + (megabytes / row["decode_speed"] if row["decode_speed"] else 0)
        assert row["original_rate"] == 32 and one["plain"] == pytest.approx(8 * x.nbytes / 1e7)
        assert one["compressed"] == pytest.approx(work + row["rate"] * x.size / 1e7)
        assert row["break_even"] == pytest.approx(8 * x.nbytes * (1 - row["rate"] / 32) / work)
        assert (one["faster"] > 1) == (row["break_even"] > 1e7)
    assert all(one["reaches"] for one in sent)
    assert "link" not in json.loads(call_cli("compare", tmp_path / "x.npy", "--methods", "sd", "--json")[1])


def test_what_misses_alpha_comes_last_over_a_link_and_exact_methods_once(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32))
    args = "compare", tmp_path / "x.npy", "--alpha", 0.01, "--methods", "delta,ecsq,scaled-sign", "--link", "1kbit"
    table = call_cli(*args)[1].split("over a link")[1].splitlines()
    rows = [line for line in table if line.startswith(("method", "baseline"))]
    assert [line.split()[1] for line in rows] == ["ecsq", "delta", "scaled-sign"]
    assert [line.endswith("misses alpha") for line in rows] == [False, False, True]
    result = json.loads(call_cli(*args, "--json")[1])
    assert [one["reaches"] for one in result["link"]["transfers"]] == [True, True, False]
    assert [row["name"] for row in result["totals"]].count("delta") == 1


def test_times_of_a_file(file):
    code, out, _ = call_cli("info", "--time", file)
    assert code == 0 and "pays below" in out
    speeds = {one["method"]: one for one in json.loads(call_cli("info", "--time", file, "--json")[1])["speeds"]}
    assert {name: one["tensors"] for name, one in speeds.items()} == {"ecsq": 2, "sd": 1, "lossless": 1}
    assert speeds["ecsq"]["original"] == 2 * 60 * 70 * 4 and 0 < speeds["ecsq"]["coded"] < speeds["ecsq"]["original"]
    for one in speeds.values():
        work = one["original"] / 1e6 / one["encode_speed"] + one["original"] / 1e6 / one["decode_speed"]
        saved = 8 * (one["original"] - one["coded"])
        assert one["break_even"] == (pytest.approx(saved / work) if saved > 0 else None)
    assert "speeds" not in json.loads(call_cli("info", file, "--json")[1])


def test_times_ask_for_a_limit_as_decoding_does(file):
    code, _, err = call_cli("info", "--time", file, "--limit", 100)
    assert code == 5 and "--limit" in err


def test_a_tensor_that_is_not_encoded_again_is_counted(tmp_path, monkeypatch):
    from gcodec.comparison import speeds

    def refuse(array: np.ndarray, choice: object) -> None:
        raise InvalidInput("not this one")

    gcodec.save(tmp_path / "x.gcz", {"x": np.ones((40, 40), np.float32)}, alpha=0.1, method="sd")
    monkeypatch.setattr(speeds, "_encode", refuse)
    (speed,) = json.loads(call_cli("info", "--time", tmp_path / "x.gcz", "--json")[1])["speeds"]
    assert (speed["method"], speed["refused"], speed["tensors"], speed["break_even"]) == ("sd", 1, 0, None)
