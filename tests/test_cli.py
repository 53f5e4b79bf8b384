"""The command line as a user meets it.

It gives results, exit codes and one clear line for every mistake, and nothing is lost.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from checks import call_cli, run_cli, said, wait_until_it_writes

CORPORA = Path(__file__).parent.parent / "corpora"


@pytest.fixture
def gradient(tmp_path):
    x = np.random.default_rng(0).normal(size=(64, 48)).astype(np.float32)
    np.save(tmp_path / "grads.npy", x)
    return tmp_path / "grads.npy"


def fails(code, *args, words="", stdin=None):
    """The command fails with this code and one line on stderr, which has these words."""
    got, out, err = call_cli(*args, stdin=stdin)
    assert (got, out) == (code, ""), (got, out, err)
    assert "Traceback" not in err and err.startswith("gcodec: ") and err.count("\n") == 1, err
    assert words in err, err


def test_the_main_path(gradient):
    before = gradient.read_bytes()
    code, out, err = run_cli("encode", gradient, "--method", "sd")
    assert code == 0 and "0.1 (the default" in out and err == ""
    coded = f"{gradient}.gcz"
    assert gradient.read_bytes() == before
    assert run_cli("verify", coded, "--against", gradient)[0] == 0
    assert run_cli("decode", coded, "-o", gradient.with_name("back.npy"))[0] == 0
    x, y = np.load(gradient), np.load(gradient.with_name("back.npy"))
    assert ((x - y) ** 2).sum() <= 0.1 * (x**2).sum() and y.dtype == x.dtype
    gradient.unlink()
    assert run_cli("decode", coded)[0] == 0 and gradient.exists()


def test_json(gradient):
    coded = f"{gradient}.gcz"
    encoded = json.loads(run_cli("encode", gradient, "--method", "sd", "--alpha", 0.25, "--json")[1])
    assert encoded["output"] == coded
    info = json.loads(run_cli("info", coded, "--json")[1])
    assert info["format"] == {"major": 1, "minor": 0} and info["bytes"] == os.path.getsize(coded)
    (tensor,) = info["tensors"]
    assert tensor["guarantee"] == {"class": "alpha", "bound": 0.25} and tensor["method"] == "sd"
    assert tensor["shape"] == [64, 48] and tensor["dtype"] == "float32" and tensor["name"] == ""
    assert tensor["rate"] == 8 * tensor["bytes"] / (64 * 48) and tensor["payload_bits"] < 8 * tensor["bytes"]
    verified = json.loads(run_cli("verify", coded, "--against", gradient, "--json")[1])
    assert verified["ok"] is True
    (tensor,) = verified["tensors"]
    assert tensor["measured_distortion"] <= 0.25 and tensor["distortion"] == pytest.approx(
        tensor["measured_distortion"]
    )
    assert tensor["lower_bound_bits"] < tensor["payload_bits"] <= tensor["upper_bound_bits"]
    assert all(set(check) == {"name", "ok", "detail"} and check["ok"] for check in tensor["checks"])


def test_trials(gradient):
    call_cli("encode", gradient, "--method", "rsd", "--omega", 1, "--seed", 5)
    code, out, _ = call_cli("verify", f"{gradient}.gcz", "--against", gradient, "--trials", 60)
    assert code == 0 and "unbiased" in out and "over 60 seeds" in out
    fails(2, "verify", f"{gradient}.gcz", "--trials", 5, words="--against")


def test_verify_finds_another_original(gradient):
    call_cli("encode", gradient)
    np.save(gradient.with_name("other.npy"), np.load(gradient) * 3)
    code, out, _ = call_cli("verify", f"{gradient}.gcz", "--against", gradient.with_name("other.npy"))
    assert code == 1 and "FAILS" in out
    np.save(gradient.with_name("shape.npy"), np.zeros((3, 4), np.float32))
    fails(2, "verify", f"{gradient}.gcz", "--against", gradient.with_name("shape.npy"), words="shape (3, 4)")


def test_pipes(gradient):
    data = gradient.read_bytes()
    done = subprocess.run(
        [sys.executable, "-m", "gcodec", "encode", "-", "--lossless"], input=data, capture_output=True, check=True
    )
    assert done.stdout.startswith(b"\x89GCZ")
    back = subprocess.run(
        [sys.executable, "-m", "gcodec", "decode", "-", "-o", "-"], input=done.stdout, capture_output=True, check=True
    )
    assert back.stdout == data


@pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f8", ">f8", "<i4", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_kinds(tmp_path, dtype, order):
    x = np.asarray((np.random.default_rng(0).normal(size=(9, 5)) * 9).astype(dtype), order=order)
    np.save(tmp_path / "x.npy", x)
    assert call_cli("encode", tmp_path / "x.npy", "--lossless")[0] == 0
    assert call_cli("decode", tmp_path / "x.npy.gcz", "-o", tmp_path / "y.npy")[0] == 0
    assert (tmp_path / "y.npy").read_bytes() == (tmp_path / "x.npy").read_bytes()


def test_raw_bfloat16(tmp_path):
    raw = (np.random.default_rng(0).normal(size=(40, 30)).astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    np.save(tmp_path / "x.npy", raw)
    assert call_cli("encode", tmp_path / "x.npy", "--dtype", "bf16", "--method", "sd")[0] == 0
    assert json.loads(call_cli("info", tmp_path / "x.npy.gcz", "--json")[1])["tensors"][0]["dtype"] == "bfloat16"
    assert call_cli("verify", tmp_path / "x.npy.gcz", "--against", tmp_path / "x.npy", "--dtype", "bf16")[0] == 0
    assert call_cli("decode", tmp_path / "x.npy.gcz", "-o", tmp_path / "y.npy")[0] == 0
    assert np.load(tmp_path / "y.npy").dtype == np.uint16


def test_bad_arguments(gradient, tmp_path):
    for alpha in ("0", "1", "-1", "nan"):
        fails(2, "encode", gradient, "--alpha", alpha, words="alpha must be between 0 and 1")
    fails(2, "encode", gradient, "--omega", "0", "--method", "rsd", words="omega must be")
    fails(2, "encode", gradient, "--method", "zip", words="unknown")
    fails(2, "encode", gradient, "--dtype", "bf16", words="same width")
    fails(5, "encode", tmp_path / "none.npy", words="No such file")
    fails(2, "encode", tmp_path, words=f"encode each alone, as gcodec encode {gradient}")
    fails(2, "encode", gradient, "-o", tmp_path / "no" / "x.gcz", words="no such directory")
    assert call_cli("encode")[0] == 2 and call_cli("encode", gradient, "--alpha", "x")[0] == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["grads.npy"]


def test_existing_outputs_are_kept(gradient):
    coded = Path(f"{gradient}.gcz")
    coded.write_bytes(b"precious")
    fails(2, "encode", gradient, words="-f")
    assert coded.read_bytes() == b"precious"
    assert call_cli("encode", gradient, "-f", "-q") == (0, "", "")
    fails(2, "decode", coded, words="-f")
    assert np.load(gradient).shape == (64, 48)


def test_the_input_is_never_the_output(gradient):
    before = gradient.read_bytes()
    fails(2, "encode", gradient, "-o", gradient, "-f", words="the input itself")
    call_cli("encode", gradient)
    fails(2, "decode", f"{gradient}.gcz", "-o", f"{gradient}.gcz", "-f", words="the input itself")
    assert gradient.read_bytes() == before


def test_terminated(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=1 << 23))
    command = [sys.executable, "-m", "gcodec", "encode", str(tmp_path / "x.npy"), "--lossless"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    wait_until_it_writes(process, tmp_path)
    process.terminate()
    assert process.wait(60) == 128 + signal.SIGTERM
    assert [p.name for p in tmp_path.iterdir()] == ["x.npy"]


def test_bfloat16_as_numpy_saves_it(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(40, 30)).astype(ml_dtypes.bfloat16))
    fails(2, "encode", tmp_path / "x.npy", words="--dtype bf16")
    assert call_cli("encode", tmp_path / "x.npy", "--dtype", "bf16")[0] == 0


def test_bad_npy(tmp_path):
    def npy(name, array, **options):
        np.save(tmp_path / name, array, **options)
        return tmp_path / name

    fails(2, "encode", npy("pickle.npy", np.array([{}, 1]), allow_pickle=True), words="whose pickle gcodec never loads")
    fails(2, "encode", npy("fields.npy", np.zeros(3, "f4,i4")), words="holds structures; save its numbers")
    fails(2, "encode", npy("text.npy", np.array(["a", "b"])), words="holds text; save its numbers")
    fails(2, "encode", npy("nan.npy", np.array([1.0, np.nan])), words="--nonfinite lossless")
    assert call_cli("encode", tmp_path / "nan.npy", "--nonfinite", "lossless")[0] == 0
    whole = npy("whole.npy", np.ones(100)).read_bytes()
    for n in (0, 5, 8, 30, 127, 128, 500, len(whole) - 1):
        (tmp_path / "cut.npy").write_bytes(whole[:n])
        fails(2, "encode", tmp_path / "cut.npy")
    (tmp_path / "huge.npy").write_bytes(whole.replace(b"(100,)", b"(1" + b"0" * 4))
    fails(2, "encode", tmp_path / "huge.npy")
    (tmp_path / "long.npy").write_bytes(whole + b"x")
    fails(2, "encode", tmp_path / "long.npy", words="bytes follow")


@pytest.mark.parametrize("command", ["info", "verify", "decode"])
def test_bad_containers(gradient, tmp_path, command):
    call_cli("encode", gradient, "--lossless")
    whole = Path(f"{gradient}.gcz").read_bytes()
    bad = tmp_path / "bad.gcz"

    def damaged(data, code, words=""):
        bad.write_bytes(data)
        fails(code, command, bad, words=words)

    damaged(b"this is no container at all", 3, "not a gcodec file")
    damaged(b"", 3, "ends at byte 0")
    for n in (7, 16, 40, len(whole) // 2, len(whole) - 1):
        damaged(whole[:n], 3)
    damaged(whole[:8] + b"\x02" + whole[9:], 4, "update gcodec")
    flipped = bytearray(whole)
    flipped[60] ^= 4
    damaged(bytes(flipped), 3, "checksum")
    if command != "info":
        flipped = bytearray(whole)
        flipped[len(whole) // 2] ^= 4
        damaged(bytes(flipped), 3, "checksum")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.gcz", "grads.npy", "grads.npy.gcz"]


def test_missing_tensor_and_formats(gradient):
    call_cli("encode", gradient)
    fails(2, "decode", f"{gradient}.gcz", "-f", "--tensor", "no", words="no tensor named 'no'")
    fails(2, "decode", f"{gradient}.gcz", "-f", "--to", "zip", words="unknown")
    fails(2, "encode", f"{gradient}.gcz", words="a gcodec file already")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk(gradient):
    fails(5, "encode", gradient, "-o", "/dev/full", words="/dev/full: No space left")


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="needs a user whom permissions stop")
def test_unwritable_directory(gradient):
    gradient.parent.chmod(0o500)
    try:
        fails(5, "encode", gradient, words="Permission denied")
    finally:
        gradient.parent.chmod(0o700)


def test_closed_pipe(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=1 << 18))
    command = [sys.executable, "-m", "gcodec", "encode", str(tmp_path / "x.npy"), "--lossless", "-o", "-"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.read(10)
    process.stdout.close()
    err = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(60) == 5 and err == "gcodec: the reader of the output closed the pipe\n"


def test_interrupt(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=1 << 23))
    command = [sys.executable, "-m", "gcodec", "encode", str(tmp_path / "x.npy"), "--method", "sc"]  # slow
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until_it_writes(process, tmp_path)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and said(err).startswith("gcodec: interrupted"), err
    assert [p.name for p in tmp_path.iterdir()] == ["x.npy"]


def test_help_and_bounds_start_without_heavy_imports():
    code = "import sys; from gcodec.cli.main import app; sys.exit(bool({'numba', 'h5py', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    for command in ("", "encode", "decode", "verify", "info", "bounds"):
        code, out, _ = run_cli(*filter(None, [command]), "--help")
        assert code == 0 and "Usage" in out


def test_info_and_bounds_without_numba(gradient):
    call_cli("encode", gradient, "--method", "sd")
    for args in (["info", f"{gradient}.gcz"], ["bounds", "--dim", "1000", "--alpha", "0.1"]):
        code = f"""
import sys
from gcodec.cli.main import app
try:
    app({args!r})
except SystemExit as end:
    assert not end.code
assert not {{'numba', 'h5py'}} & set(sys.modules), 'imported too much'
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()


def test_bounds():
    code, out, _ = call_cli("bounds", "--dim", 10000, "--alpha", 0.1, "--json")
    result = json.loads(out)
    assert code == 0 and any(abs(row["bits"] - 16615.8730931) < 1e-6 for row in result["rows"])
    assert "16,615.9" in call_cli("bounds", "--dim", 10000, "--alpha", 0.1)[1]
    near = call_cli("bounds", "--dim", 10000, "--alpha", 0.999999)[1]
    assert "alpha = 0.999999\n" in near and "alpha 0.999999 " in near and "alpha 1 " not in near
    assert call_cli("bounds", "--dim", "1e4", "--alpha", 0.1, "--json")[1] == out
    for dim, *asked in ((10, "--alpha", 5e-324), ("9e18", "--alpha", 1e-308), (10, "--omega", 1e-308)):
        code, tiny, _ = call_cli("bounds", "--dim", dim, *asked)
        assert code == 0 and max(map(len, tiny.splitlines())) < 250
    for dim in (0, "1.5", "1e999999999", "1e19", "nan", "many"):
        fails(2, "bounds", "--dim", dim, "--alpha", 0.1)
    fails(2, "bounds", "--dim", 10, "--alpha", 2)
    fails(2, "bounds", "--dim", 10, "--alpha", 0.1, "--omega", 1)
