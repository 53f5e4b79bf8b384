"""Peak memory of the command: `python tests/bench/memory.py [GiB] [METHOD …]`.

It encodes dense, sparse and row-sparse arrays, and a matrix of low rank by klt. Each command runs
in a process of its own, with two threads. The methods are auto and those that it tries on an array
of this size. Linux tells how much memory a process has.
"""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROWS, WIDTH = 1 << 12, 1 << 10  # values are made in pieces of 16 MiB
RANK = 16  # the rank that the matrix for klt has without its noise
INTERVAL = 0.005  # seconds between two looks at the memory
METHODS = ("auto", "sd", "ecsq", "lossless")


def dense(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(ROWS, WIDTH))


def sparse(rng: np.random.Generator) -> np.ndarray:
    """One value in 2¹⁴ is not zero."""
    return dense(rng) * (rng.random((ROWS, WIDTH)) < 2**-14)


def row_sparse(rng: np.random.Generator) -> np.ndarray:
    """One row in 128 is not zero, as in the gradient of an embedding."""
    return dense(rng) * (rng.random((ROWS, 1)) < 1 / 128)


def low_rank(rng: np.random.Generator) -> np.ndarray:
    vectors = np.random.default_rng(2**32).normal(size=(RANK, WIDTH))
    return rng.normal(size=(ROWS, RANK)) @ vectors + dense(rng)


def write(path: Path, gib: float, make: Callable[[np.random.Generator], np.ndarray]) -> None:
    pieces = int(gib * 64)
    with open(path, "wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (pieces * ROWS, WIDTH)}
        np.lib.format.write_array_header_1_0(file, header)
        for i in range(pieces):
            make(np.random.default_rng(i)).astype(np.float32).tofile(file)


def run(*args: object, threads: int = 2) -> tuple[float, int]:
    """Seconds, and the peak of resident memory in MB; pages of files do not count."""
    start, peak = time.perf_counter(), 0
    process = subprocess.Popen([sys.executable, "-m", "gcodec", *map(str, args), "-q", "-T", str(threads)])
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        peak = max(peak, sum(int(kb) for kb in re.findall(r"(?:RssAnon|RssShmem):\s+(\d+)", status.read_text())))
        time.sleep(INTERVAL)
    assert process.returncode == 0, args
    return time.perf_counter() - start, (peak << 10) // 10**6


def main() -> None:
    gib = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    print("| array | method | encode MB | s | decode MB | s | bytes |\n|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        path, coded, back = Path(folder, "x.npy"), Path(folder, "x.gcz"), Path(folder, "back.npy")
        for make in (dense, sparse, row_sparse, low_rank):
            write(path, gib, make)
            for method in sys.argv[2:] or (("klt",) if make is low_rank else METHODS):
                choice = ["--lossless"] if method == "lossless" else ["--method", method, "--alpha", "0.1"]
                seconds, peak = run("encode", path, "-o", coded, "-f", *choice)
                back_seconds, back_peak = run("decode", coded, "-o", back, "-f")
                size = coded.stat().st_size
                print(
                    f"| {make.__name__} | {method} | {peak} | {seconds:.0f} | {back_peak} | {back_seconds:.0f} | {size:,} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
