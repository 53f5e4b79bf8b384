"""Speed on one thread, relative to zstd and to a copy: `python tests/bench/speed.py [PATH…]`.

The tensors are 16 MB of Gaussian values, a matrix like a gradient, and those of at least --least MB
in the .npy files of the paths, where uint16 stands for bfloat16. Encoding is all of
`gcodec.encode`: every pass over the values, the code, its decoding and the measurement of the
error. Times are CPU times of the thread, the best of several runs.

Each speed is given in MB/s of the tensor, as a multiple of zstd level 1 *encoding* the same bytes
in the same run, and as a multiple of `np.copyto` of them. Over a link below the break-even speed,
in Gbit/s for each core of both ends, a transfer with the method takes less time than one without.
The last lines are the means of the multiples of zstd over the tensors of the paths, by method.

--growth gives, instead, nanoseconds a value for square matrices like a gradient, from small to
large.
"""

import argparse
import math
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from warnings import simplefilter

import ml_dtypes
import numpy as np
import zstandard
from rates import files

import gcodec
from gcodec.errors import InvalidInput

METHODS = ("ecsq", "tcq", "klt", "auto", "lossless")
SIDES = (256, 1024, 4096)  # rows and columns for --growth
LONG = 1.0  # seconds after which a call is not run again


def gradient_like(rows: int, columns: int) -> np.ndarray:
    """A matrix like a gradient.

    Its singular values fall like 1/k, and its rows and columns have different scales.
    """
    rng = np.random.default_rng(0)
    rank = 64
    left = rng.standard_normal((rows, rank)) * np.exp(rng.standard_normal((rows, 1)))
    right = rng.standard_normal((rank, columns)) * np.exp(rng.standard_normal(columns) / 2)
    return ((left / np.arange(1, rank + 1)) @ right + 0.1 * rng.standard_normal((rows, columns))).astype(np.float32)


def tensors(paths: list[Path], least: float) -> Iterator[tuple[str, np.ndarray]]:
    """The names of tensors, and their values. least: MB."""
    yield "Gaussian", np.random.default_rng(0).standard_normal(1 << 22, dtype=np.float32)
    yield "like a gradient", gradient_like(4096, 1024)
    for name, x in files(paths):
        x = x.view(ml_dtypes.bfloat16) if x.dtype == np.uint16 else x
        if x.nbytes >= least * 1e6:
            yield name, x


def best_time(function: Callable[[], object], runs: int) -> float:
    """CPU seconds of the fastest of several calls, after one that compiles and fills caches."""
    function()
    best = math.inf
    for _ in range(runs):
        start = time.thread_time()
        function()
        best = min(best, time.thread_time() - start)
        if best > LONG:
            break
    return best


def times_of(x: np.ndarray, method: str, alpha: float, runs: int) -> tuple[float, float, float]:
    """(seconds to encode, seconds to decode, bits per value)."""
    bound = {"lossless": True} if method == "lossless" else {"alpha": alpha}
    data = gcodec.encode(x, method, threads=1, **bound)
    there = best_time(lambda: gcodec.encode(x, method, threads=1, **bound), runs)
    back = best_time(lambda: gcodec.decode(data, threads=1), runs)
    return there, back, 8 * len(data) / x.size


def show_growth(methods: list[str], alpha: float, runs: int) -> None:
    """Print the time that a value takes, and by how much it grows at most with the matrix."""
    for method in methods:
        times = [times_of(gradient_like(side, side), method, alpha, runs)[0] / side**2 for side in SIDES]
        figures = " | ".join(f"{side}²: {1e9 * time:.1f} ns" for side, time in zip(SIDES, times, strict=True))
        growth = max(later / least for later, least in zip(times[1:], np.minimum.accumulate(times), strict=False))
        print(f"| {method} | {figures} | {growth:.2f} × |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="*", type=Path)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--alpha", type=float, default=0.1)
    parser.add_argument("--least", type=float, default=2.0, help="MB of the smallest tensor that is taken")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--growth", action="store_true")
    options = parser.parse_args()
    simplefilter("ignore")
    if options.growth:
        return show_growth(options.methods, options.alpha, options.runs)
    means: dict[tuple[str, str], list[tuple[float, float]]] = {}
    print(
        "| tensor | coder | encode MB/s | × zstd | × copy | decode MB/s | × zstd | × copy | bits | break-even |\n"
        "|---|---|---|---|---|---|---|---|---|---|"
    )
    for place, (name, x) in enumerate(tensors(options.paths, options.least)):
        label, speed, room = f"{name} {x.dtype} {x.shape}", x.nbytes / 1e6, np.empty_like(x)
        compress, raw = zstandard.ZstdCompressor(level=1).compress, x.tobytes()
        pack = best_time(lambda: compress(raw), options.runs)  # noqa: B023  (it is called at once)
        copy = best_time(lambda: np.copyto(room, x), options.runs)  # noqa: B023
        bits = 8 * len(compress(raw)) / x.size
        print(f"| {label} | zstd -1 | {speed / pack:.0f} | 1 | {copy / pack:.3f} | | | | {bits:.3f} | |", flush=True)
        for method in options.methods:
            try:
                there, back, bits = times_of(x, method, options.alpha, options.runs)
            except InvalidInput:  # klt takes matrices alone
                continue
            figures = " | ".join(f"{speed / t:.0f} | {pack / t:.3f} | {copy / t:.3f}" for t in (there, back))
            even = (8 * x.nbytes - bits * x.size) / (there + back) / 1e9
            print(f"| {label} | {method} | {figures} | {bits:.3f} | {even:.2f} |", flush=True)
            if place > 1:
                means.setdefault((method, str(x.dtype)), []).append((pack / there, pack / back))
    for (method, dtype), pairs in sorted(means.items()):
        there, back = np.exp(np.mean(np.log(pairs), axis=0))
        print(f"{method} {dtype}: geometric means over {len(pairs)} tensors: encode {there:.3f} ×, decode {back:.3f} ×")


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    main()
