"""Streams: cut anywhere, a container gives the tensors that arrived whole, and says which; killed, it leaves nothing behind."""

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from checks import run_cli
from safetensors.numpy import load_file, save_file

CUTS = 12


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("stream") / "model.safetensors"
    tensors = {f"layer{i}.weight": rng.normal(size=(96, 64)).astype(np.float32) for i in range(6)}
    tensors |= {f"layer{i}.bias": rng.normal(size=64).astype(np.float32) for i in range(6)}
    save_file(tensors, path)
    return path


@pytest.fixture(scope="module")
def encoded(checkpoint):
    code, _, err = run_cli("encode", checkpoint, "--alpha", "1e-2", "--method", "sd", "-f")
    assert code == 0, err
    return Path(f"{checkpoint}.gcz").read_bytes()


@pytest.mark.parametrize("cut", range(CUTS))
def test_a_cut_stream_gives_what_arrived_whole(tmp_path, checkpoint, encoded, cut):
    data = encoded[: int(np.random.default_rng(cut).integers(1, len(encoded)))]
    out = tmp_path / "back.safetensors"
    code, stdout, err = run_cli("decode", "-", "-o", out, stdin=data)
    assert code == 3 and not list(tmp_path.iterdir()), err
    whole = names_after("whole are: ", err)
    code, stdout, err = run_cli("decode", "-", "-o", out, "--salvage", stdin=data)
    assert code == 3 and names_after("whole are: ", err) == whole
    if whole:
        original, back = load_file(checkpoint), load_file(out)
        assert set(back) == whole
        for name in whole:
            assert ((back[name] - original[name]) ** 2).sum() <= 1e-2 * (original[name] ** 2).sum()
        assert names_after("missing are: ", err) == set(original) - whole


def names_after(words, text):
    found = re.search(f"{words}((?:'[^']*'(?:, )?)*)", text)
    return set(re.findall(r"'([^']*)'", found[1])) if found else set()


def test_over_a_socket(tmp_path, checkpoint):
    """Encoder and decoder are two processes with a connection between them."""
    server = socket.create_server(("127.0.0.1", 0))
    sender = subprocess.Popen(
        [sys.executable, "-m", "gcodec", "encode", str(checkpoint), "--lossless", "-o", "-"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )

    def send():
        with socket.create_connection(server.getsockname()) as line:
            while piece := sender.stdout.read(1000):
                line.sendall(piece)

    thread = threading.Thread(target=send)
    thread.start()
    receiver = subprocess.Popen(
        [sys.executable, "-m", "gcodec", "decode", "-", "-o", str(tmp_path / "back.safetensors"), "-q"],
        stdin=subprocess.PIPE,
    )
    line, _ = server.accept()
    with line:
        while piece := line.recv(1000):
            receiver.stdin.write(piece)
    receiver.stdin.close()
    thread.join()
    server.close()
    sender.stdout.close()
    assert receiver.wait(60) == 0 and sender.wait(60) == 0
    assert (tmp_path / "back.safetensors").read_bytes() == checkpoint.read_bytes()


@pytest.mark.parametrize("kill", range(4))
def test_killed_it_leaves_nothing_under_the_final_name(tmp_path, kill):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=1 << 22))
    before = (tmp_path / "x.npy").read_bytes()
    command = [sys.executable, "-m", "gcodec", "encode", str(tmp_path / "x.npy"), "--lossless"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    time.sleep(0.3 + 0.15 * kill)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    out = tmp_path / "x.npy.gcz"
    assert (tmp_path / "x.npy").read_bytes() == before
    assert not out.exists() or run_cli("verify", out)[0] == 0  # it may have been done by then


def test_policy(tmp_path, checkpoint):
    out = tmp_path / "x.gcz"
    rules = [
        "--alpha",
        "1e-2",
        "--alpha",
        "layer1*=0.3",
        "--exact",
        "layer2*",
        "--method",
        "layer3*=sd",
        "--method",
        "sd",
    ]
    assert run_cli("encode", checkpoint, "-o", out, *rules)[0] == 0
    tensors = {t["name"]: t for t in json.loads(run_cli("info", out, "--json")[1])["tensors"]}
    assert tensors["layer0.weight"]["guarantee"] == {"class": "alpha", "bound": 0.01}
    assert tensors["layer1.weight"]["guarantee"] == {"class": "alpha", "bound": 0.3}
    assert tensors["layer2.weight"]["guarantee"]["class"] == "exact"
    assert tensors["layer0.bias"]["guarantee"]["class"] == "exact"  # small
    assert tensors["layer3.weight"]["method"] == "sd"
    code, _, err = run_cli("encode", checkpoint, "-f", "-o", out, "--alpha", "0.1", "--exact", "nothing*")
    assert code == 2 and "matches none of the 12 tensors" in err
    code, _, err = run_cli("encode", checkpoint, "-f", "-o", out)
    assert code == 2 and "needs a choice" in err


def test_scope_file(tmp_path):
    rng = np.random.default_rng(0)
    tensors = {
        name: (rng.normal(size=(64, 64)) * size).astype(np.float32) for name, size in [("a", 1), ("b", 0.1), ("c", 3)]
    }
    save_file(tensors, tmp_path / "m.safetensors")
    out = tmp_path / "m.gcz"
    assert run_cli("encode", tmp_path / "m.safetensors", "-o", out, "--alpha", "0.05", "--scope", "file")[0] == 0
    assert run_cli("decode", out, "-o", tmp_path / "back.safetensors")[0] == 0
    back = load_file(tmp_path / "back.safetensors")
    error = sum(float(((back[name] - x) ** 2).sum()) for name, x in tensors.items())
    assert error <= 0.05 * sum(float((x**2).sum()) for x in tensors.values())
    bounds = {t["name"]: t["guarantee"]["bound"] for t in json.loads(run_cli("info", out, "--json")[1])["tensors"]}
    assert bounds["b"] > bounds["a"] > bounds["c"]  # the same step for all
    assert "over all tensors" in run_cli("verify", out, "--against", tmp_path / "m.safetensors")[1]
    code, _, err = run_cli("encode", tmp_path / "m.safetensors", "-o", out, "-f", "--lossless", "--scope", "file")
    assert code == 2 and "one alpha" in err
