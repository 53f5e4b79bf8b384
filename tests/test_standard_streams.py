"""Standard streams and pipes: every byte arrives, whatever they do, or the exit code says so."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from checks import call_cli, said

import gcodec
from gcodec.io import streams

GCODEC = [sys.executable, "-m", "gcodec"]


def non_blocking_pipe():
    read, write = os.pipe()
    os.set_blocking(write, False)
    return read, write


def slowly(read, into):
    time.sleep(1)
    while piece := os.read(read, 1 << 16):
        into.append(piece)
    os.close(read)


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", ["encode", "decode"])
def test_a_standard_output_that_does_not_block_gets_all(large, command, unbuffered):
    read, write = non_blocking_pipe()
    got: list[bytes] = []
    reader = threading.Thread(target=slowly, args=(read, got))
    reader.start()
    source = [str(large), "--lossless"] if command == "encode" else [f"{large}.gcz"]
    process = subprocess.Popen(
        [*GCODEC, command, *source, "-o", "-"], stdout=write, stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
    )  # fmt: skip
    os.close(write)
    _, err = process.communicate(timeout=120)
    reader.join()
    whole = Path(f"{large}.gcz" if command == "encode" else large).read_bytes()
    assert process.returncode == 0 and b"".join(got) == whole, err


def test_long_results_reach_a_standard_output_that_does_not_block(tmp_path):
    gcodec.save(tmp_path / "x.gcz", {f"tensor {i}": np.zeros(1) for i in range(1500)}, lossless=True)
    read, write = non_blocking_pipe()
    got: list[bytes] = []
    reader = threading.Thread(target=slowly, args=(read, got))
    reader.start()
    process = subprocess.Popen([*GCODEC, "info", str(tmp_path / "x.gcz")], stdout=write)
    os.close(write)
    assert process.wait(120) == 0
    reader.join()
    assert b"".join(got).count(b"\n") == 1500 + 3


@pytest.mark.parametrize("command", ["encode", "decode"])
def test_a_standard_input_that_does_not_block(large, tmp_path, command):
    read, write = os.pipe()
    os.set_blocking(read, False)
    source, out = (large, "out.gcz") if command == "encode" else (Path(f"{large}.gcz"), "out.npy")
    options = ["--lossless"] if command == "encode" else []
    process = subprocess.Popen([*GCODEC, command, "-", *options, "-o", str(tmp_path / out)], stdin=read)
    os.close(read)
    with open(write, "wb") as pipe:
        data = source.read_bytes()
        for at in range(0, len(data), 1 << 20):
            pipe.write(data[at : at + (1 << 20)])
            time.sleep(0.02)
    assert process.wait(120) == 0
    assert (tmp_path / out).read_bytes() == Path(f"{large}.gcz" if command == "encode" else large).read_bytes()


def shell(command, **options):
    done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=120, check=False, **options)
    return done.returncode, done.stdout, said(done.stderr)


def test_pipes_that_are_paths(gradient, tmp_path):
    sd, tool, coded, back = "--method sd", " ".join(GCODEC), tmp_path / "x.gcz", tmp_path / "back.npy"
    assert shell(f"{tool} encode {gradient} {sd} -o {coded}")[0] == 0
    data = coded.read_bytes()
    os.mkfifo(tmp_path / "pipe")
    for command in (
        f"{tool} encode <(cat {gradient}) {sd} -q -o {tmp_path}/1.gcz && cat {tmp_path}/1.gcz",
        f"cat {gradient} | {tool} encode /dev/stdin {sd}",
        f"{tool} encode {gradient} {sd} -o /dev/stdout | cat",
        f"{tool} encode {gradient} {sd} -q -o >(cat >{tmp_path}/2.gcz) && sleep 0.2 && cat {tmp_path}/2.gcz",
    ):
        assert shell(command)[:2] == (0, data), command
    whole = shell(f"{tool} decode {coded} -o {back} -q && cat {back}")[1]
    for command in (
        f"{tool} decode <(cat {coded}) -o - -q",
        f"{tool} decode {coded} -o /dev/stdout -q | cat",
        f"{tool} decode {coded} -o {tmp_path}/pipe -q & cat {tmp_path}/pipe",
    ):
        assert shell(command)[:2] == (0, whole), command
    code, _, err = shell(f"{tool} encode <(cat {gradient})")
    assert code == 2 and "-o" in err and err.count("\n") == 1
    assert shell(f"{tool} verify {coded} --against <(cat {gradient})")[0] == 0
    assert {path.name for path in tmp_path.iterdir()} == {"grads.npy", "x.gcz", "back.npy", "pipe", "1.gcz", "2.gcz"}


def test_other_names_of_standard_streams(gradient, tmp_path):
    """What is said of the work does not get between the data, whatever the stream is called."""
    tool, coded, back = " ".join(GCODEC), tmp_path / "x.gcz", tmp_path / "back.npy"
    assert shell(f"{tool} encode {gradient} -o {coded} && {tool} decode {coded} -o {back}")[0] == 0
    (tmp_path / "out").symlink_to("/dev/stdout")
    (tmp_path / "in").symlink_to("/dev/stdin")
    os.mkfifo(tmp_path / "pipe")
    for name in ("/dev/fd/1", "/proc/self/fd/1", tmp_path / "out"):
        for options in ("", "--json"):
            code, out, err = shell(f"{tool} encode {gradient} -o {name} {options} | cat")
            assert (code, out) == (0, coded.read_bytes()) and err, (name, options)
            code, out, err = shell(f"{tool} decode {coded} --to npy -o {name} {options} | cat")
            assert (code, out) == (0, back.read_bytes()) and err, (name, options)
    pipe = tmp_path / "pipe"
    assert shell(f"{tool} encode {gradient} -o {pipe} >{pipe} & cat {pipe}")[1] == coded.read_bytes()
    for name in ("/dev/fd/0", "/proc/self/fd/0", tmp_path / "in"):
        assert shell(f"cat {gradient} | {tool} encode {name}")[:2] == (0, coded.read_bytes()), name
        assert shell(f"cat {coded} | {tool} decode {name}")[:2] == (0, back.read_bytes()), name
    code, _, err = shell(f"{tool} compare {gradient} --html {tmp_path / 'out'} | cat; exit ${{PIPESTATUS[0]}}")
    assert code == 2 and "--html" in err


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_text_in_any_encoding(gradient, encoding):
    for command in (("encode", gradient, "-f", "--method", "sd"), ("verify", f"{gradient}.gcz")):
        code, out, err = shell(" ".join(map(str, [*GCODEC, *command])), env=os.environ | {"PYTHONIOENCODING": encoding})
        err = err.replace("gcodec: compiling kernels, once\n", "")  # where they were not compiled before
        assert code == 0 and not err and out.decode(encoding), (command, err)
    assert streams.encoded("a → b ≤ 1 ×\udcff ψ", "ascii") == b"a -> b <= 1 x\xff \\u03c8"
    assert streams.encoded("a → b\udcff", "utf-8") == "a → b".encode() + b"\xff"


def test_file_names_that_are_no_text(tmp_path):
    name = os.fsencode(tmp_path) + b"/\xff\xfe\x80.npy"
    with open(name, "wb") as file:
        np.save(file, np.arange(9.0))
    for options in ([], ["--json"]):
        done = subprocess.run(
            [*GCODEC, "encode", name, "--lossless", "-f", *options], capture_output=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        assert options or name in done.stdout
    done = subprocess.run([*GCODEC, "encode", name], capture_output=True, timeout=60, check=False)
    assert done.returncode == 2 and done.stderr.count(b"\n") == 1 and b"exists" in done.stderr


def test_a_page_about_a_file_whose_name_is_no_text(tmp_path):
    name = tmp_path / os.fsdecode(b"bad\xff.npy")
    np.save(name, np.ones(64, np.float32))
    assert call_cli("compare", name, "--methods", "sd", "--html", tmp_path / "x.html", "-q") == (0, "", "")
    assert "bad\\udcff.npy" in (tmp_path / "x.html").read_text(encoding="utf-8")


def test_a_full_standard_output(large):
    """/dev/full takes nothing."""
    for command in (f"decode {large}.gcz -o -", f"encode {large} --lossless -o -", f"info {large}.gcz", "--help"):
        for setting in ("", "PYTHONUNBUFFERED=1 "):
            code, _, err = shell(f"{setting}{' '.join(GCODEC)} {command} > /dev/full")
            assert code == 5 and err.count("\n") == 1 and "tandard output: No space left" in err, (command, err)


def test_results_name_the_standard_streams(gradient):
    """A dash would be hard to tell from the arrow beside it."""
    command, data = [*GCODEC, "encode", "-", "--lossless", "-o"], gradient.read_bytes()
    done = subprocess.run([*command, "-"], input=data, capture_output=True, check=True)
    assert done.stderr.decode().startswith("standard input → standard output: ")
    done = subprocess.run([*GCODEC, "decode", "-"], input=done.stdout, capture_output=True, check=True)
    assert done.stdout == data and done.stderr.decode().startswith("standard input → standard output (npy): 1 tensor")
