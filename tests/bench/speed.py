"""Speed on one thread, relative to zstd: `python tests/bench/speed.py [METHOD…]`.

Each number is a multiple of zstd level 1 on the same bytes in the same run. Encoding is all of
`gcodec.encode`: every pass over the values, the code, its decoding and the measurement of the
error. Times are CPU times, the best of three runs. zstd takes the raw float32 bytes. Peak memory is
that of Python's and numpy's allocations.
"""

import sys
import time
import tracemalloc

import numpy as np
import zstandard

import gcodec

METHODS = ("sd", "ecsq", "tcq", "klt")
ALPHA = 0.1


def gradient_like(rows: int, columns: int) -> np.ndarray:
    """A matrix like a gradient.

    Its singular values fall like 1/k, and its rows and columns have different scales.
    """
    rng = np.random.default_rng(0)
    rank = 64
    left = rng.standard_normal((rows, rank)) * np.exp(rng.standard_normal((rows, 1)))
    right = rng.standard_normal((rank, columns)) * np.exp(rng.standard_normal(columns) / 2)
    return ((left / np.arange(1, rank + 1)) @ right + 0.1 * rng.standard_normal((rows, columns))).astype(np.float32)


def best_time(function, runs: int = 3) -> float:
    """CPU seconds of the fastest of several calls, after one that compiles."""
    function()
    times = []
    for _ in range(runs):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def peak(function) -> int:
    """Bytes that are allocated at the same time at most."""
    tracemalloc.start()
    function()
    size = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return size


def main() -> None:
    sources = {
        "gradient-like 4096×1024": gradient_like(4096, 1024),
        "Gaussian 2^24": np.random.default_rng(0).standard_normal(1 << 24, dtype=np.float32),
    }
    for name, x in sources.items():
        raw = x.tobytes()
        packed = zstandard.ZstdCompressor(level=1).compress(raw)
        pack = best_time(lambda raw=raw: zstandard.ZstdCompressor(level=1).compress(raw))
        unpack = best_time(lambda packed=packed: zstandard.ZstdDecompressor().decompress(packed))
        speed = x.nbytes / 1e6
        print(f"{name}: zstd -1 encodes {speed / pack:.0f} MB/s, decodes {speed / unpack:.0f} MB/s")
        for method in sys.argv[1:] or METHODS:
            data = gcodec.encode(x, method, alpha=ALPHA, threads=1)
            there = best_time(lambda x=x, m=method: gcodec.encode(x, m, alpha=ALPHA, threads=1))
            back = best_time(lambda data=data: gcodec.decode(data, threads=1))
            memory = peak(lambda x=x, m=method: gcodec.encode(x, m, alpha=ALPHA, threads=1)) / x.nbytes
            print(
                f"  {method:5} encode {pack / there:6.3f} × ({speed / there:4.0f} MB/s)   decode {unpack / back:6.3f} × "
                f"({speed / back:4.0f} MB/s)   {8 * len(data) / x.size:.3f} bits   memory {memory:.1f} × the tensor"
            )


if __name__ == "__main__":
    main()
