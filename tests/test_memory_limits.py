"""Limits of memory, as `ulimit -v` or a batch system set them: a clear error, or all goes well."""

import re
import resource
import subprocess
import sys
import threading

import numpy as np
import pytest
from checks import said

from gcodec import errors, parallel
from gcodec.cli import memory

LEAST = memory.BASE + memory.PER_THREAD


def limited(bytes_of_memory, *args, cwd):
    """Exit code and standard error of a command that may use so much address space."""

    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (bytes_of_memory, bytes_of_memory))

    command = [sys.executable, "-m", "gcodec", *args]
    done = subprocess.run(command, cwd=cwd, capture_output=True, preexec_fn=limit, timeout=60, check=False)
    return done.returncode, said(done.stderr)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=1000).astype(np.float32))
    return tmp_path


@pytest.mark.parametrize("part", [0.2, 0.4, 0.5, 0.6, 0.99])
def test_too_little_memory_is_an_error_that_says_how_much_is_needed(folder, part):
    status, err = limited(int(LEAST * part), "encode", "x.npy", "--alpha", "0.1", "-T", "1", cwd=folder)
    assert (status, err.count("\n")) == (5, 1)
    assert f"raise it (ulimit -v {LEAST >> 10})" in err
    assert not (folder / "x.npy.gcz").exists()


def test_with_the_memory_that_is_asked_for_all_goes_well(folder):
    _, err = limited(LEAST // 2, "encode", "x.npy", "--alpha", "0.1", "-T", "2", cwd=folder)
    asked = int(re.search(r"ulimit -v (\d+)", err)[1]) << 10
    assert asked == LEAST + memory.PER_THREAD
    assert limited(asked, "encode", "x.npy", "--alpha", "0.1", "-T", "2", "-q", cwd=folder) == (0, "")
    assert limited(asked, "decode", "x.npy.gcz", "-o", "y.npy", "-T", "2", "-q", cwd=folder) == (0, "")


def test_help_needs_little_memory(folder):
    assert limited(LEAST // 4, "encode", "--help", cwd=folder)[0] == 0


def test_a_thread_that_does_not_start_is_a_lack_of_memory(monkeypatch):
    def start(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(errors.OutOfMemory, match="use fewer"):
        list(parallel.ordered(abs, range(-3, 3), threads=2))
