"""Outputs and standard streams of the command line.

There are links, modes, signals, and streams that are closed or stop early.
"""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest
from checks import call_cli, run_cli, said

import gcodec
from gcodec.cli import interrupt
from gcodec.cli.output import progress_bar


@pytest.fixture
def gradient(tmp_path):
    np.save(tmp_path / "grads.npy", np.random.default_rng(0).normal(size=(64, 48)).astype(np.float32))
    return tmp_path / "grads.npy"


def test_an_existing_output_keeps_its_mode_and_its_link(gradient, tmp_path):
    """-f writes through a symbolic link, and does not open a private file to others."""
    (tmp_path / "private.gcz").write_bytes(b"")
    (tmp_path / "private.gcz").chmod(0o600)
    (tmp_path / "link.gcz").symlink_to("private.gcz")
    assert call_cli("encode", gradient, "-f", "-o", tmp_path / "link.gcz")[0] == 0
    assert (tmp_path / "link.gcz").is_symlink() and (tmp_path / "private.gcz").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "private.gcz").read_bytes().startswith(b"\x89GCZ")


def test_closed_standard_streams(gradient):
    """`<&-` and `>&-` are errors of the system, and closed text outputs are none."""
    coded = f"{gradient}.gcz"

    def shell(command):
        done = subprocess.run(
            ["sh", "-c", f"exec {sys.executable} -m gcodec {command}"], capture_output=True, timeout=120, check=False
        )
        return done.returncode, said(done.stderr)

    assert shell(f"encode {gradient} >&-") == (0, "")
    for command in (f"decode {coded} -o - >&-", f"encode {gradient} -o - >&-", "decode - <&-", "encode - <&-"):
        code, err = shell(command)
        assert code == 5 and err.count("\n") == 1 and "is closed" in err, (command, err)
    done = subprocess.run(
        ["sh", "-c", f"exec {sys.executable} -m gcodec encode {gradient} -o - 2>&-"], capture_output=True, check=False
    )
    assert done.returncode == 0 and done.stdout == Path(coded).read_bytes()


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", "<&- 2>&-", ">&-"])
def test_hdf5_with_closed_standard_streams(tmp_path, closed):
    """No pipe to the process that reads HDF5 gets the number of a standard stream."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["g/x"] = np.ones((64, 64), np.float32)
    for command in ("encode x.h5 --lossless", "decode x.h5.gcz -o y.h5"):
        done = subprocess.run(
            ["sh", "-c", f"exec {sys.executable} -m gcodec {command} {closed}"], cwd=tmp_path, timeout=120, check=False,
            env=os.environ | {"PYTHONPATH": str(Path(gcodec.__file__).parents[1])},
        )  # fmt: skip
        assert done.returncode == 0, command
    assert (tmp_path / "y.h5").read_bytes() == (tmp_path / "x.h5").read_bytes()


def test_a_reader_of_text_may_stop(gradient):
    """`gcodec info x.gcz | head -1` is no error."""
    run_cli("encode", gradient)
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "gcodec", "info", f"{gradient}.gcz"], stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


def test_an_interrupt_that_got_lost_comes_again(monkeypatch):
    monkeypatch.setattr(interrupt, "_seen", [])
    with progress_bar(1, "encoding", True) as progress:
        progress(1)
        with suppress(KeyboardInterrupt):
            interrupt._interrupt(signal.SIGTERM, None)
        with pytest.raises(KeyboardInterrupt, match=str(int(signal.SIGTERM))):
            progress(1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("where", ["typer", "numpy", "gcodec.parallel"])
def test_a_signal_while_the_command_starts(gradient, number, where):
    """Whatever is being imported or parsed, one line and the signal's own exit code come of it."""
    script = (
        "import builtins, os, sys\n"
        "from gcodec.__main__ import main\n"
        "true = builtins.__import__\n"
        "def load(name, globals=None, locals=None, fromlist=(), level=0):\n"
        "    full = f'gcodec.{name}' if level else name\n"
        f"    if full == {where!r}:\n"
        "        builtins.__import__ = true\n"
        f"        os.kill(os.getpid(), {int(number)})\n"
        "    return true(name, globals, locals, fromlist, level)\n"
        "builtins.__import__ = load\n"
        f"sys.argv = ['gcodec', 'encode', {str(gradient)!r}, '--json']\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=120, check=False)
    assert done.returncode == 128 + number, done.stderr
    assert done.stderr == b"gcodec: interrupted; nothing was left behind\n"
    assert json.loads(done.stdout)["error"]["exit_code"] == 128 + number
    assert os.listdir(gradient.parent) == [gradient.name]
    done = subprocess.run(
        [sys.executable, "-c", script.replace(repr(where), "'of no module'")], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
