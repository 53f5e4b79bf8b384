"""What threads of dask gain, and what rows cost: `python tests/bench/stores.py [METHOD…|ranges]`.

Arrays of floats in chunks of 1 MB and of 16 MB are written to zarr in memory and read, by one
thread of dask and by two. Each number is how many times faster two are, the best of five runs each.
Beside it stands what two threads gain that only compute checksums without Python's lock: where that
is far below 2, the machine has no two free cores, and the other numbers say nothing.

With `ranges`, 1 % of the rows of arrays of one chunk are read from several places, and the ranges
are counted and the bytes of the chunk that they have.
"""

import hashlib
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

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


class Counting(zarr.storage.MemoryStore):
    """A store that keeps the lengths of what was read of chunks."""

    lengths: ClassVar[list[int]] = []

    async def get(self, key: str, prototype: Any = None, byte_range: Any = None) -> Any:
        found = await super().get(key, prototype, byte_range)
        if key.startswith("c/") and found is not None:
            self.lengths.append(len(found))
        return found

    async def getsize(self, key: str) -> int:
        return len(self._store_dict[key])


def low_rank(rows: int, columns: int) -> np.ndarray:
    """A matrix whose singular values fall as 1/√i."""
    rng = np.random.default_rng(0)
    left = rng.standard_normal((rows, columns), np.float32) / np.sqrt(np.arange(1, columns + 1, dtype=np.float32))
    return left @ rng.standard_normal((columns, columns), np.float32)


def ranges() -> None:
    print("| method | MB | bytes of the chunk | ranges | of the bytes |\n|---|---|---|---|---|")
    for method, alpha in (("ecsq", 0.1), ("klt", 0.01), ("lossless", None)):
        for rows in (1 << 15, 1 << 16, 1 << 17):
            x, some = low_rank(rows, 256), rows // 100
            codec = dict(lossless=True) if alpha is None else dict(alpha=alpha, method=method, effort="fast")
            array = zarr.create_array(Counting(), shape=x.shape, dtype=x.dtype, chunks=x.shape, **encoding(**codec))
            array[:] = x
            size, counts, shares = len(array.store._store_dict["c/0/0"]), [], []
            for start in (0, 4096 - some // 2, rows // 3, rows // 2 - some // 2, rows - some):
                Counting.lengths.clear()
                array[start : start + some]
                counts.append(len(Counting.lengths))
                shares.append(sum(Counting.lengths) / size)
            count, share = f"{min(counts)} to {max(counts)}", f"{min(shares):.1%} to {max(shares):.1%}"
            print(f"| {method} | {x.nbytes >> 20} | {size:,} | {count} | {share} |", flush=True)


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
    if sys.argv[1:] == ["ranges"]:
        ranges()
    else:
        main(sys.argv[1:] or ["ecsq", "tcq"])
