"""Peak memory and speed on large files: `python tests/bench/large.py [GiB] [FOLDER]`.

It writes a .npy and an .h5 file of Gaussian values, larger than what one would hold in memory. Then
it runs `gcodec encode` and `decode` on them, in processes of their own.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

ROWS = 1 << 12  # rows of 1024 values, written 16 MiB at a time


def write_npy(path: Path, gib: float) -> None:
    blocks = int(gib * 64)
    with open(path, "wb") as file:  # not a memory map: a child's peak memory counts from its parent's
        header = {"descr": "<f4", "fortran_order": False, "shape": (blocks * ROWS, 1024)}
        np.lib.format.write_array_header_1_0(file, header)
        for i in range(blocks):
            block(i).tofile(file)


def write_h5(path: Path, gib: float) -> None:
    blocks = int(gib * 64)
    with h5py.File(path, "w") as file:
        data = file.create_dataset("w", (blocks * ROWS, 1024), np.float32)
        for i in range(blocks):
            data[i * ROWS : (i + 1) * ROWS] = block(i)


def block(i: int) -> np.ndarray:
    return np.random.default_rng(i % 8).normal(size=(ROWS, 1024)).astype(np.float32)


def run(*args: object) -> tuple[float, float]:
    """Seconds, and the peak resident memory in MB."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "gcodec", *map(str, args), "-f", "-q"])
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, args
    return time.perf_counter() - start, usage.ru_maxrss / 1000


def main() -> None:
    gib = float(sys.argv[1]) if len(sys.argv) > 1 else 4.0
    folder = Path(tempfile.mkdtemp(dir=sys.argv[2] if len(sys.argv) > 2 else None))
    print("| file | method | encode s | peak MB | decode s | peak MB | bits/value |\n|---|---|---|---|---|---|---|")
    for name, write, size in (("x.npy", write_npy, gib), ("x.h5", write_h5, gib / 2)):
        path = folder / name
        write(path, size)
        for method in (["--lossless"], ["--method", "sd", "--alpha", "0.1"]):
            coded = Path(f"{path}.gcz")
            seconds, peak = run("encode", path, *method)
            rate = 8 * coded.stat().st_size / (size * 2**28)
            back, back_peak = run("decode", coded, "-o", folder / f"back{path.suffix}")
            row = f"{seconds:.0f} | {peak:.0f} | {back:.0f} | {back_peak:.0f} | {rate:.3f}"
            print(f"| {name} {size:g} GiB | {method[-1] if len(method) == 1 else method[1]} | {row} |", flush=True)
        path.unlink()
        coded.unlink()


if __name__ == "__main__":
    main()
