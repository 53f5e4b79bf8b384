"""A bf16 checkpoint through the command: `python tests/bench/checkpoint.py FOLDER [MB]`.

FOLDER has .npy files of real tensors; uint16 stands for bfloat16. The checkpoint has each once, and
then copies of them in turn until it has so many MB (90). A copy is x·(1 + 0.05·g) + 0.05·r·h, where
g and h are Gaussian and r is the root mean square of x: it has the spectrum and the scales of x,
and no bytes in common with it.

Each line is one process, start-up included: seconds of CPU and by the clock, the
peak of resident memory, and bytes. `zstd -1` is Python with zstandard on the same file.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ml_dtypes
import numpy as np
from memory import run
from rates import files
from safetensors.numpy import save_file

NOISE = 0.05
CHOICES = {
    "auto best": ("--alpha", "0.1"),
    "auto fast": ("--alpha", "0.1", "--effort", "fast"),
    "ecsq": ("--alpha", "0.1", "--method", "ecsq"),
    "lossless": ("--lossless",),
}
ZSTANDARD = "import sys, zstandard; open(sys.argv[2], 'wb').write(zstandard.ZstdCompressor(level=1).compress(open(sys.argv[1], 'rb').read()))"


def tensors(folder: Path, size: int) -> Iterator[tuple[str, np.ndarray]]:
    """Tensors by name until there are so many bytes."""
    originals = [
        (name, (x.view(ml_dtypes.bfloat16) if x.dtype == np.uint16 else x).astype(np.float32))
        for name, x in files([folder])
    ]
    rng, copy, left = np.random.default_rng(0), 0, size
    while left > 0:
        for name, x in originals:
            made = x
            if copy:
                spread = NOISE * float(np.sqrt(np.mean(x**2, dtype=np.float64)))
                made = x * (1 + NOISE * rng.standard_normal(x.shape, np.float32))
                made += spread * rng.standard_normal(x.shape, np.float32)
            if left > 0:
                yield f"{copy}.{name}", made.astype(ml_dtypes.bfloat16)
                left -= 2 * x.size
        copy += 1


@contextmanager
def children() -> Iterator[list[float]]:
    """Gets the CPU seconds of the processes that are run within it."""
    before, found = resource.getrusage(resource.RUSAGE_CHILDREN), [0.0]
    yield found
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found[0] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("size", type=float, nargs="?", default=90, help="MB")
    options = parser.parse_args()
    print(
        "| coder | threads | encode CPU s | clock s | peak MB | bytes | decode CPU s |\n|---|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as folder:
        path, coded, back = Path(folder, "m.safetensors"), Path(folder, "m.gcz"), Path(folder, "b.safetensors")
        save_file(dict(tensors(options.folder, int(options.size * 1e6))), path)
        print(f"| the file | | | | | {path.stat().st_size:,} | |")
        with children() as cpu:
            subprocess.run([sys.executable, "-c", ZSTANDARD, path, coded], check=True)
        print(f"| zstd -1 | 1 | {cpu[0]:.1f} | | | {coded.stat().st_size:,} | |", flush=True)
        for name, choice in CHOICES.items():
            for threads in (1, 2):
                with children() as there:
                    clock, peak = run("encode", "-f", path, "-o", coded, *choice, threads=threads)
                with children() as home:
                    run("decode", "-f", coded, "-o", back, threads=threads)
                figures = f"{there[0]:.1f} | {clock:.1f} | {peak} | {coded.stat().st_size:,} | {home[0]:.1f}"
                print(f"| {name} | {threads} | {figures} |", flush=True)


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    main()
