"""What threads of dask gain: `python tests/bench/stores.py [METHOD…]`.

Arrays of floats in chunks of 1 MB and of 16 MB are written to zarr in memory and read, by one
thread of dask and by two. Each number is how many times faster two are, the best of five runs each.
Beside it stands what two threads gain that only compute checksums without Python's lock: where that
is far below 2, the machine has no two free cores, and the other numbers say nothing.
"""

import hashlib
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import dask
import dask.array
import numpy as np
import zarr

from gcodec.integrations.zarr import encoding

SHAPES = {(1024, 256): 16, (16384, 256): 8}  # shape of a chunk: how many


def best_time(function: Callable[[], object]) -> float:
    """Seconds on the clock of the fastest of several calls."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def with_threads(count: int, function: Callable[[], object]) -> float:
    with dask.config.set(scheduler="threads", num_workers=count):
        return best_time(function)


def gain(function: Callable[[], object]) -> float:
    """How many times faster two threads of dask are than one."""
    function()
    return with_threads(1, function) / with_threads(2, function)


def possible() -> float:
    """How many times faster two threads are that take no lock of Python."""
    data = bytes(1 << 22)

    def run(count: int) -> float:
        with ThreadPoolExecutor(count) as pool:
            return best_time(lambda: list(pool.map(lambda _: hashlib.sha256(data).digest(), range(16))))

    return run(1) / run(2)


def main(methods: list[str]) -> None:
    print("| method | MB in a chunk | writing | reading | possible |\n|---|---|---|---|---|")
    for method in methods:
        for shape, count in SHAPES.items():
            x = np.random.default_rng(0).normal(size=(count * shape[0], shape[1])).astype(np.float32)
            blocks = dask.array.from_array(x, chunks=shape)
            codec = encoding(alpha=0.1, method=method, effort="fast")
            array = zarr.create_array({}, shape=x.shape, dtype=x.dtype, chunks=shape, **codec)
            writing = gain(lambda blocks=blocks, array=array: dask.array.store(blocks, array, lock=False))
            reading = gain(lambda array=array: dask.array.from_zarr(array).sum().compute())
            size = x[: shape[0]].nbytes >> 20
            print(f"| {method} | {size} | {writing:.2f} × | {reading:.2f} × | {possible():.2f} × |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or ["ecsq", "tcq"])
