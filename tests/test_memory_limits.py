"""Limits of memory, as `ulimit -v` or a batch system set them: a clear error, or all goes well."""

import os
import platform
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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="this C library is not glibc")
@pytest.mark.parametrize(("shared", "limit"), [(True, None), (False, None), (True, "4")])
def test_threads_have_one_heap(tmp_path, shared, limit):
    """As glibc lists its heaps, after eight threads took memory at once."""
    code = f"""if 1:
        import ctypes, threading
        from gcodec.cli.memory import share_heap
        if {shared}:
            share_heap()
        library, together = ctypes.PyDLL(None), threading.Barrier(8)
        library.fopen.restype, library.malloc.restype = ctypes.c_void_p, ctypes.c_void_p
        def take():
            together.wait()
            library.malloc(1000)
            together.wait()
        threads = [threading.Thread(target=take) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        file = ctypes.c_void_p(library.fopen({str(tmp_path / "heaps")!r}.encode(), b"w"))
        library.malloc_info(0, file)
        library.fclose(file)"""
    environment = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"}
    environment |= {"MALLOC_ARENA_MAX": limit} if limit else {}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    count = (tmp_path / "heaps").read_text().count("<heap nr=")
    assert (count == 1) == (shared and limit is None)
