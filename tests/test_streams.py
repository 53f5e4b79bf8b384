"""Streams: cut anywhere, a container gives the tensors that arrived whole, and says which.

A process that is killed leaves nothing behind.
"""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from checks import NIGHTLY, call_cli, run_cli
from safetensors.numpy import load_file, save_file

from gcodec.compressors.contract import Guarantee
from gcodec.container.reader import RandomAccess
from gcodec.container.writer import ContainerWriter
from gcodec.pipeline.compress import compress
from gcodec.request.choice import Choice
from gcodec.source import ArraySource

CUTS, KILLS = (50, 50) if NIGHTLY else (12, 4)


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
    code, _, err = call_cli("encode", checkpoint, "--alpha", "1e-2", "--method", "sd", "-f")
    assert code == 0, err
    return Path(f"{checkpoint}.gcz").read_bytes()


@pytest.mark.parametrize("cut", range(CUTS))
def test_a_cut_stream_gives_what_arrived_whole(tmp_path, checkpoint, encoded, cut):
    data = encoded[: int(np.random.default_rng(cut).integers(1, len(encoded)))]
    out = tmp_path / "back.safetensors"
    code, stdout, err = call_cli("decode", "-", "-o", out, stdin=data)
    assert code == 3 and not list(tmp_path.iterdir()), err
    whole = names_after("whole are: ", err)
    code, stdout, err = call_cli("decode", "-", "-o", out, "--salvage", stdin=data)
    assert code == 3 and names_after("whole are: ", err) == whole
    if whole:
        original, back = load_file(checkpoint), load_file(out)
        assert set(back) == whole
        for name in whole:
            assert ((back[name] - original[name]) ** 2).sum() <= 1e-2 * (original[name] ** 2).sum()
        assert names_after("missing are: ", err) == set(original) - whole


def damaged(encoded, name):
    """A file with one flipped bit in the last byte of this tensor's record."""
    access = RandomAccess(io.BytesIO(encoded), len(encoded))
    names = list(access.offsets)
    after = names[names.index(name) + 1]
    data = bytearray(encoded)
    data[access.offsets[after] - 1] ^= 4
    return bytes(data)


def test_damage_in_one_tensor_costs_that_one_alone(tmp_path, checkpoint, encoded):
    (tmp_path / "x.gcz").write_bytes(damaged(encoded, "layer1.weight"))
    for source, stdin in ((tmp_path / "x.gcz", None), ("-", (tmp_path / "x.gcz").read_bytes())):
        out = tmp_path / "back.safetensors"
        code, _, err = call_cli("decode", source, "-o", out, "--salvage", "-f", stdin=stdin)
        assert code == 3 and names_after("missing are: ", err) == {"layer1.weight"}, err
        assert set(load_file(out)) == set(load_file(checkpoint)) - {"layer1.weight"}


def test_a_tensor_of_a_later_version_costs_that_one_alone(tmp_path, checkpoint):
    """One record names a compressor that does not exist yet."""
    arrays = load_file(checkpoint)
    with open(tmp_path / "x.gcz", "wb") as file:
        writer = ContainerWriter(file, {"format": "safetensors", "names": list(arrays)})
        for name, array in arrays.items():
            with compress(name, ArraySource(array), Choice("lossless", Guarantee("exact"))) as coded:
                new = replace(coded.header, compressor=100) if name == "layer2.bias" else coded.header
                writer.add(new, coded.pieces(), coded.work)
        writer.close()
    code, _, err = call_cli("decode", tmp_path / "x.gcz", "-o", tmp_path / "back.safetensors", "--salvage")
    assert code == 4 and "compressor 100" in err and names_after("missing are: ", err) == {"layer2.bias"}
    assert set(load_file(tmp_path / "back.safetensors")) == set(arrays) - {"layer2.bias"}


def names_after(words, text):
    found = re.search(f"{words}((?:'[^']*'(?:, )?)*)", text)
    return set(re.findall(r"'([^']*)'", found[1])) if found else set()


SENDER = """
import socket, sys
left = int(sys.argv[3])
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=30) as line:
    while piece := sys.stdin.buffer.read(min(left, 1000)):
        line.sendall(piece)
        left -= len(piece)
"""
RECEIVER = """
import socket, sys
server = socket.create_server((sys.argv[1], 0))
print(server.getsockname()[1], file=sys.stderr, flush=True)
line, _ = server.accept()
while piece := line.recv(1000):
    sys.stdout.buffer.write(piece)
"""


@pytest.fixture(scope="module")
def namespaces():
    """Two network namespaces with a cable between them.

    Gives the commands to run things there, and the second one's address.
    """
    names = [f"gcodec-{os.getpid()}-{side}" for side in "ab"]
    steps = [f"netns add {name}" for name in names]
    steps.append(f"link add eth0 netns {names[0]} type veth peer name eth0 netns {names[1]}")
    steps += [f"-n {name} addr add 10.97.0.{i + 1}/24 dev eth0" for i, name in enumerate(names)]
    steps += [f"-n {name} link set eth0 up" for name in names]
    try:
        for step in steps:
            subprocess.run(["ip", *step.split()], check=True, capture_output=True, timeout=20)
        yield [["ip", "netns", "exec", name] for name in names], "10.97.0.2"
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"network namespaces cannot be made here: {error}")
    finally:
        for name in names:
            with suppress(OSError):
                subprocess.run(["ip", "netns", "del", name], capture_output=True, timeout=20, check=False)


@pytest.fixture(params=["loopback", "namespaces"])
def line(request):
    return ([[], []], "127.0.0.1") if request.param == "loopback" else request.getfixturevalue("namespaces")


@pytest.mark.parametrize("cut", [None, *range(CUTS // 4)])
def test_from_machine_to_machine(tmp_path, checkpoint, encoded, line, cut):
    """encode | connection | decode, each a process of its own.

    The connection is whole, or breaks somewhere.
    """
    (here, there), address = line
    left = 1 << 40 if cut is None else int(np.random.default_rng(cut).integers(1, len(encoded)))
    gcodec, out = [sys.executable, "-m", "gcodec"], tmp_path / "back.safetensors"
    pipe = subprocess.PIPE
    with ExitStack() as stack:

        def start(command, **streams):
            return stack.enter_context(subprocess.Popen(list(map(str, command)), stderr=pipe, **streams))

        receiver = start([*there, sys.executable, "-c", RECEIVER, address], stdout=pipe)
        port = receiver.stderr.readline().decode().strip()
        decoder = start([*there, *gcodec, "decode", "-", "-o", out], stdin=receiver.stdout)
        options = ["--alpha", "1e-2", "--method", "sd", "-o", "-"]
        encoder = start([*here, *gcodec, "encode", checkpoint, *options], stdout=pipe)
        sender = start([*here, sys.executable, "-c", SENDER, address, port, left], stdin=encoder.stdout)
        encoder.stdout.close()
        errors = decoder.communicate(timeout=60)[1].decode()
        assert sender.wait(60) == 0 and encoder.wait(60) in (0, 5)
    if cut is None:
        assert decoder.returncode == 0 and set(load_file(out)) == set(load_file(checkpoint))
    else:
        assert decoder.returncode == 3 and "whole are: " in errors and not out.exists()


@pytest.mark.parametrize("kill", range(KILLS))
def test_killed_it_leaves_nothing_under_the_final_name(tmp_path, kill):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=1 << 22))
    before = (tmp_path / "x.npy").read_bytes()
    command = [sys.executable, "-m", "gcodec", "encode", str(tmp_path / "x.npy"), "--lossless"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    time.sleep(float(np.random.default_rng(kill).uniform(0.3, 1.5)))
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
    assert call_cli("encode", checkpoint, "-o", out, *rules)[0] == 0
    tensors = {t["name"]: t for t in json.loads(call_cli("info", out, "--json")[1])["tensors"]}
    assert tensors["layer0.weight"]["guarantee"] == {"class": "alpha", "bound": 0.01}
    assert tensors["layer1.weight"]["guarantee"] == {"class": "alpha", "bound": 0.3}
    assert tensors["layer2.weight"]["guarantee"]["class"] == "exact"
    assert tensors["layer0.bias"]["guarantee"]["class"] == "exact"  # small
    assert tensors["layer3.weight"]["method"] == "sd"
    code, _, err = call_cli("encode", checkpoint, "-f", "-o", out, "--alpha", "0.1", "--exact", "nothing*")
    assert code == 2 and "matches no tensor; there are" in err and "and 4 more" in err
    code, _, err = call_cli("encode", checkpoint, "-f", "-o", out)
    assert code == 2 and "needs a choice" in err


def test_scope_file(tmp_path):
    rng = np.random.default_rng(0)
    tensors = {
        name: (rng.normal(size=(64, 64)) * size).astype(np.float32) for name, size in [("a", 1), ("b", 0.1), ("c", 3)]
    }
    save_file(tensors, tmp_path / "m.safetensors")
    out = tmp_path / "m.gcz"
    assert call_cli("encode", tmp_path / "m.safetensors", "-o", out, "--alpha", "0.05", "--scope", "file")[0] == 0
    assert call_cli("decode", out, "-o", tmp_path / "back.safetensors")[0] == 0
    back = load_file(tmp_path / "back.safetensors")
    error = sum(float(((back[name] - x) ** 2).sum()) for name, x in tensors.items())
    assert error <= 0.05 * sum(float((x**2).sum()) for x in tensors.values())
    bounds = {t["name"]: t["guarantee"]["bound"] for t in json.loads(call_cli("info", out, "--json")[1])["tensors"]}
    assert bounds["b"] > bounds["a"] > bounds["c"]  # the same step for all
    assert "over all tensors" in call_cli("verify", out, "--against", tmp_path / "m.safetensors")[1]
    code, _, err = call_cli("encode", tmp_path / "m.safetensors", "-o", out, "-f", "--lossless", "--scope", "file")
    assert code == 2 and "one alpha" in err
