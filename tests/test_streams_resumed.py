"""Streams that go on after a cut: nothing that arrived whole is sent again."""

import io
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from checks import call_cli, names_in
from safetensors.numpy import load_file, save_file
from test_streams import RECEIVER, SENDER

from gcodec.container.resume import Part

GCODEC = [sys.executable, "-m", "gcodec"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("resumed") / "model.safetensors"
    rng = np.random.default_rng(1)
    save_file({f"layer{i}.weight": rng.normal(size=(96, 64)).astype(np.float32) for i in range(6)}, path)
    return path


def stream_of(path, *options) -> bytes:
    """What `gcodec encode … -o -` sends."""
    command = [*GCODEC, "encode", str(path), "--alpha", "1e-2", "--method", "sd", "-q", "-o", "-", *options]
    return subprocess.run(command, capture_output=True, check=True, timeout=120).stdout


def said_mark(error: str) -> str:
    return re.search(r"--skip ([0-9]+-[0-9a-f]{8})$", error.strip())[1]


def test_a_cut_before_the_first_tensor(tmp_path, model):
    """Of a folder, the frames of its files come first."""
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(model, folder)
    (folder / "config.json").write_text("{}")
    data = stream_of(folder)
    cut = next(n for n in range(100, len(data), 10) if len(names_in(data[:n])) == 2)
    receive = ("decode", "-", "--resume-from", tmp_path / "part", "-o", tmp_path / "back")
    code, _, error = call_cli(*receive, stdin=data[:cut])
    assert code == 3 and "part keeps what came before the first tensor: repeat both commands" in error
    assert call_cli(*receive, stdin=stream_of(folder, "--skip", said_mark(error)))[0] == 0


def test_commands_from_cut_to_cut(tmp_path, model):
    out, part = tmp_path / "back.safetensors", tmp_path / "part"
    receive = ("decode", "-", "--resume-from", part, "-o", out)
    data, options, arrived = stream_of(model), (), []
    for share in (0.01, 0.4, 0.5, 0.3):
        code, _, error = call_cli(*receive, stdin=data[: int(len(data) * share)])
        assert code == 3 and len(error.strip().splitlines()) == 1 and not out.exists()
        if share < 0.1:
            assert "no tensor arrived whole, so nothing is kept" in error and not part.exists()
            continue
        arrived += names_in(data[: int(len(data) * share)])
        assert f"{part} keeps {len(arrived)} of 6 tensors: repeat both commands" in error
        options = ("--skip", said_mark(error))
        data = stream_of(model, *options)
        assert len(set(arrived)) == len(arrived) and not set(arrived) & set(names_in(data))
    code, text, error = call_cli(*receive, stdin=data)
    assert code == 0 and "6 tensors" in text and not part.exists(), error
    assert call_cli("decode", "-", "-o", tmp_path / "whole.safetensors", stdin=stream_of(model))[0] == 0
    assert out.read_bytes() == (tmp_path / "whole.safetensors").read_bytes()


@pytest.mark.parametrize("seed", range(3))
def test_cuts_at_random_bytes(tmp_path, model, seed):
    out, part, random = tmp_path / "back.safetensors", tmp_path / "part", np.random.default_rng([18, seed])
    first = data = stream_of(model)
    arrived = []
    for _ in range(3):
        cut = int(random.integers(len(data)))
        code, _, error = call_cli("decode", "-", "--resume-from", part, "-o", out, stdin=data[:cut])
        assert code == 3 and len(error.strip().splitlines()) == 1 and not out.exists(), (cut, error)
        arrived += names_in(data[:cut]) if cut else []
        assert part.exists() == bool(arrived)
        data = stream_of(model, "--skip", said_mark(error)) if arrived else data
        assert not set(arrived) & set(names_in(data))
    code, _, error = call_cli("decode", "-", "--resume-from", part, "-o", out, stdin=data)
    assert code == 0 and not part.exists(), error
    assert call_cli("decode", "-", "-o", tmp_path / "whole.safetensors", stdin=first)[0] == 0
    assert out.read_bytes() == (tmp_path / "whole.safetensors").read_bytes()


def test_when_all_arrived_but_the_end(tmp_path, model):
    part, out = tmp_path / "part", tmp_path / "back.safetensors"
    _, _, error = call_cli("decode", "-", "--resume-from", part, "-o", out, stdin=stream_of(model)[:-5])
    assert f"{part} keeps 6 of 6 tensors" in error
    rest = stream_of(model, "--skip", said_mark(error))
    assert names_in(rest) == [] and len(rest) < 500
    assert call_cli("decode", "-", "--resume-from", part, "-o", out, stdin=rest)[0] == 0
    assert set(load_file(out)) == set(load_file(model))


def test_a_part_stays_when_the_output_cannot_be_written(tmp_path, model):
    part, out = tmp_path / "part", tmp_path / "back.safetensors"
    out.write_bytes(b"mine")
    receive = ("decode", "-", "--resume-from", part, "-o", out)
    code, _, error = call_cli(*receive, stdin=stream_of(model))
    assert code == 2 and "exists" in error and out.read_bytes() == b"mine"
    code, _, error = call_cli(*receive, "-f", stdin=stream_of(model))
    assert code == 2 and f"{part} is whole already: gcodec decode {part} gives its tensors" in error
    assert call_cli("decode", part, "-o", out, "-f")[0] == 0 and len(load_file(out)) == 6


def test_what_cannot_go_on(tmp_path, model):
    part, out = tmp_path / "part", tmp_path / "back"
    receive = ("decode", "-", "--resume-from", part, "-o", out)
    call_cli("encode", model, "--lossless", "-o", tmp_path / "x.gcz")
    data = (tmp_path / "x.gcz").read_bytes()
    code, _, error = call_cli(*receive, stdin=data[: len(data) // 2])
    assert code == 3 and "its stream does not come from encode -o -" in error
    code, _, error = call_cli(*receive, stdin=data)
    assert code == 2 and "do not note their originals; delete it" in error
    part.write_bytes(b"something else, of more than sixteen bytes")
    code, _, error = call_cli(*receive, stdin=data)
    assert code == 3 and f"{part}: this is not a gcodec file" in error
    assert part.read_bytes().startswith(b"something")
    for arguments, words in (
        (("decode", "-", "--resume-from", tmp_path, "-o", out), "is no file"),
        (("decode", "-", "--resume-from", "s3://a/b", "-o", out), "is no file"),
        (("decode", "-", "--resume-from", "", "-o", out), "is no file"),
        (("decode", "-", "--resume-from", "p", "--salvage", "-o", out), "gcodec decode --salvage p gives its tensors"),
        (("encode", model, "--skip", "3-3fa91c02"), "send it to standard output with -o -"),
        (("encode", model, "--alpha", "1e-2", "--skip", "3-3fa91c02", "-o", "-"), "are not those that arrived"),
    ):
        code, _, error = call_cli(*arguments, stdin=b"")
        assert code == 2 and words in error and not out.exists()


def test_a_receiver_that_is_killed_loses_one_record_at_most(tmp_path, model):
    part, out = tmp_path / "part", tmp_path / "back.safetensors"
    data = stream_of(model)
    receive = ["decode", "-", "--resume-from", str(part), "-o", str(out)]
    with subprocess.Popen([*GCODEC, *receive], stdin=subprocess.PIPE) as process:
        process.stdin.write(data[: len(data) // 2])
        process.stdin.flush()
        whole = names_in(data[: len(data) // 2])
        until = time.monotonic() + 60
        while time.monotonic() < until and (
            not part.exists() or len(Part(io.BytesIO(part.read_bytes())).names) < len(whole)
        ):
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    code, _, error = call_cli(*receive, stdin=data)
    assert code == 2 and not out.exists()
    rest = stream_of(model, "--skip", said_mark(error))
    assert names_in(rest) == sorted(load_file(model))[len(whole) :]
    assert call_cli(*receive, stdin=rest)[0] == 0 and len(load_file(out)) == 6


@pytest.mark.parametrize("kind", ["folder", "h5"])
def test_files_with_more_than_tensors(tmp_path, kind):
    """Their frames are records too, which come first."""
    import h5py

    source, out, part = tmp_path / "source", tmp_path / "back", tmp_path / "part"
    arrays = {f"t{i}": np.random.default_rng(i).normal(size=(64, 50)).astype(np.float32) for i in range(4)}
    if kind == "folder":
        source.mkdir()
        (source / "config.json").write_bytes(b'{"a": 1}')
        for i in (0, 2):
            save_file({name: arrays[name] for name in (f"t{i}", f"t{i + 1}")}, source / f"model-{i}.safetensors")
    else:
        source, out = source.with_suffix(".h5"), out.with_suffix(".h5")
        with h5py.File(source, "w") as file:
            for name, array in arrays.items():
                file[name] = array
            file.attrs["note"] = "text"
    receive = ("decode", "-", "--resume-from", part, "-o", out)
    data = stream_of(source)
    _, _, error = call_cli(*receive, stdin=data[: int(0.7 * len(data))])
    assert re.search("keeps [123] of 4 tensors", error)
    assert call_cli(*receive, stdin=stream_of(source, "--skip", said_mark(error)))[0] == 0
    if kind == "folder":
        assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in source.iterdir())
        found = load_file(out / "model-0.safetensors") | load_file(out / "model-2.safetensors")
    else:
        with h5py.File(out) as file:
            found = {name: file[name][:] for name in arrays}
            assert file.attrs["note"] == "text"
    for name, x in arrays.items():
        assert 0 < ((found[name] - x) ** 2).sum() <= 1e-2 * (x**2).sum()


def test_from_machine_to_machine(tmp_path, model):
    """encode | socket | decode: the connection breaks, and the second one carries the rest."""
    part, out = tmp_path / "part", tmp_path / "back.safetensors"
    options: list[str] = []
    kept, error, code, data = 0, "", None, b""
    for left in (9000, 1 << 40):
        receiver = subprocess.Popen(
            [sys.executable, "-c", RECEIVER, "127.0.0.1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        port = receiver.stderr.readline().decode().strip()
        decoder = subprocess.Popen(
            [*GCODEC, "decode", "-", "--resume-from", str(part), "-o", str(out)],
            stdin=receiver.stdout, stderr=subprocess.PIPE,
        )  # fmt: skip
        data = stream_of(model, *options)
        subprocess.run([sys.executable, "-c", SENDER, "127.0.0.1", port, str(left)], input=data, timeout=60, check=True)
        error = decoder.communicate(timeout=60)[1].decode()
        code = decoder.returncode
        receiver.communicate(timeout=60)
        if code == 3:
            kept = int(re.search("keeps ([0-9]) of 6 tensors", error)[1])
            options = ["--skip", said_mark(error)]
    assert code == 0, error
    assert kept and len(names_in(data)) == 6 - kept
    assert set(load_file(out)) == set(load_file(model)) and not Path(part).exists()
