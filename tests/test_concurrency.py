"""Several threads, forks and processes at once give what one alone gives."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest
from checks import NIGHTLY
from hdf5_files import numbers
from threadpoolctl import threadpool_info, threadpool_limits

import gcodec
from gcodec.compressors.klt import look, search
from gcodec.errors import InvalidInput
from gcodec.io import hdf5

ARRAYS = {f"x{i}": np.random.default_rng(i).normal(size=(60, 40 + i)).astype(np.float32) for i in range(8)}
METHODS = ("sd", "ecsq", "tcq", "klt", "lossless", "rsd")


def encoded(method: str, x: np.ndarray, threads: int | None = 1) -> bytes:
    seed = {"seed": 5} if method in ("rsd", "dither", "sc") else {}
    return gcodec.encode(x, method, threads=threads, **seed)


def test_eight_threads_encode_and_decode_at_once():
    jobs = [(method, x) for x in list(ARRAYS.values())[:4] for method in METHODS]
    alone = [encoded(*job) for job in jobs]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda job: encoded(*job, threads=None), jobs))
        assert together == alone
        decoded = list(pool.map(gcodec.decode, together))
    assert all(np.array_equal(there, gcodec.decode(data)) for there, data in zip(decoded, alone, strict=True))


def test_an_archive_is_shared_by_threads(tmp_path):
    """All ways to read, on one file and by several chunks each."""
    path = tmp_path / "x.gcz"
    tensors = {**ARRAYS, "long": np.arange(1 << 21, dtype=np.int32).reshape(-1, 8)}
    gcodec.save(path, tensors, lossless=True)
    wrong: list[str] = []
    with gcodec.open(path) as archive:

        def read(name: str) -> None:
            for start in range(0, 50, 7):
                whole = np.array_equal(archive[name], tensors[name])
                rows = np.array_equal(archive.rows(name, start, start + 9), tensors[name][start : start + 9])
                if not (whole and rows and archive.header(name).spec.shape == tensors[name].shape):
                    wrong.append(name)

        threads = [threading.Thread(target=read, args=(name,)) for name in tensors]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


def test_threads_share_a_child_that_reads_hdf5(tmp_path):
    values = {name: numbers(300, 50, seed=i) for i, name in enumerate("abcdef")}
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, array in values.items():
            file.create_dataset(name, data=array, chunks=(20, 20), compression="gzip")
    with hdf5.Reader(tmp_path / "a.h5") as reader, ThreadPoolExecutor(8) as pool:
        sources = dict(reader.tensors())
        ranges = [(name, start) for start in range(0, 15_000, 1111) for name in values]
        found = list(pool.map(lambda one: sources[one[0]].read(one[1], min(one[1] + 1111, 15_000)), ranges))
    for (name, start), part in zip(ranges, found, strict=True):
        assert np.array_equal(part, values[name].ravel()[start : start + 1111])


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_fork_of_a_process_with_threads_works_on(tmp_path):
    """As DataLoader workers do: pools of threads do not come along."""
    x = np.random.default_rng(0).normal(size=(1 << 11, 1 << 10)).astype(np.float32)
    before = {method: encoded(method, x, threads=4) for method in ("ecsq", "sd")}
    children = []
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            signal.alarm(120)  # a child that hangs is ended
            same = all(encoded(method, x, threads=4) == data for method, data in before.items())
            fine = same and all(gcodec.decode(data, threads=4).shape == x.shape for data in before.values())
            os._exit(0 if fine else 1)
        children.append(pid)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [0, 0, 0]


def test_six_commands_with_cold_kernels(tmp_path):
    """Nobody compiled anything before; all of them write the same."""
    np.save(tmp_path / "x.npy", ARRAYS["x0"])
    method = "tcq" if NIGHTLY else "sd"
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    commands = [
        [sys.executable, "-m", "gcodec", "encode", "x.npy", "--method", method, "-q", "-o", f"{i}.gcz"]
        for i in range(6)
    ]
    together = [subprocess.Popen(command, cwd=tmp_path, env=environment) for command in commands]
    assert [process.wait(600) for process in together] == 6 * [0]
    assert len({(tmp_path / f"{i}.gcz").read_bytes() for i in range(6)}) == 1


def blas_threads() -> set[int]:
    """Those of numpy's own library. A package that is imported later may bring one of its own."""
    found = [library for library in threadpool_info() if library["user_api"] == "blas"]
    return {one["num_threads"] for one in [one for one in found if "numpy" in one["filepath"]] or found}


def test_blas_stays_on_one_thread_while_klt_encodes(monkeypatch):
    """Four encoders at once each find one thread; what the caller had set is there again after."""
    alone = [encoded("klt", x) for x in ARRAYS.values()]  # numba may load a BLAS of scipy meanwhile
    found: list[set[int]] = []
    for module, name in ((look, "sketch_of"), (search, "spectrum_of")):
        whole = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args, whole=whole: (found.append(blas_threads()), whole(*args))[1])
    with threadpool_limits(3):
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(lambda x: encoded("klt", x), ARRAYS.values()))
        assert blas_threads() == {3}
    assert found == [{1}] * 2 * len(ARRAYS)
    assert together == alone


def test_blas_has_its_threads_again_after_an_error():
    with threadpool_limits(3):
        with pytest.raises(InvalidInput, match="effort"):
            gcodec.encode(np.ones((4, 4), np.float32), "klt", effort="none")
        assert blas_threads() == {3}


@pytest.mark.parametrize("method", ["ecsq", "tcq", "klt", "auto", "lossless"])
def test_the_passes_over_a_tensor_are_spread_over_threads(method):
    """Most of the work of two threads is not that of the thread that asked; the bytes are equal."""
    x = np.random.default_rng(0).standard_normal((1 << 12, 512)).astype(np.float32)
    x[:, :256] = x[:, :4].repeat(64, axis=1)  # so that klt takes it
    alone = gcodec.encode(x, method, threads=1, **({"lossless": True} if method == "lossless" else {}))
    start, own = time.process_time(), time.thread_time()
    together = gcodec.encode(x, method, threads=2, **({"lossless": True} if method == "lossless" else {}))
    own, whole = time.thread_time() - own, time.process_time() - start
    assert together == alone
    assert own < (0.7 if method in ("klt", "auto") else 0.5) * whole


def test_threads_import_the_methods_at_once():
    """A module that another thread has begun to import is waited for."""
    script = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
from gcodec.compressors import registry
sys.setswitchinterval(1e-6)
together = threading.Barrier(8)
def load(i):
    together.wait()
    return [entry.load().kinds for entry in registry.ENTRIES]
with ThreadPoolExecutor(8) as pool:
    assert len(set(map(str, pool.map(load, range(8))))) == 1
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
