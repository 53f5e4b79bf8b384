"""Throughput of `sd` and `rsd`: `python tests/bench/sparse_dithering.py [GRADIENT.npy]`.

It is measured on one thread, beside a copy. The gradient (by default Gaussian values) is repeated
up to 16 M values. The numbers are MB/s of the input, the best of three runs.
"""

import sys
import time

import numpy as np

from gcodec.compressors.contract import Compressor, Guarantee, TensorSpec
from gcodec.compressors.sparse_dithering.compressor import RandomSparseDithering, SparseDithering
from gcodec.source import ArraySource

SIZE = 1 << 24


def best_time(function, runs: int = 3) -> float:
    """Seconds of the fastest of several calls, after one that compiles."""
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times[1:])


def encode(compressor: Compressor, x: np.ndarray, guarantee: Guarantee) -> tuple[bytes, list[tuple[bytes, int, int]]]:
    payload = compressor.encode(ArraySource(x), guarantee)
    spans = [(start, min(start + payload.chunk, x.size)) for start in range(0, x.size, payload.chunk)]
    return payload.head, [(payload.code(start, stop), start, stop - start) for start, stop in spans]


def decode(compressor: Compressor, x: np.ndarray, head: bytes, chunks: list[tuple[bytes, int, int]]) -> None:
    decoder = compressor.decoder(head, TensorSpec(x.dtype, x.shape))
    for data, start, count in chunks:
        decoder(data, start, count)


def main() -> None:
    x = np.load(sys.argv[1]).reshape(-1) if len(sys.argv) > 1 else np.random.default_rng(0).standard_normal(1 << 20)
    x = np.resize(x.astype(np.float32), SIZE)
    out = np.empty_like(x)
    print(f"np.copyto     {x.nbytes / 1e6 / best_time(lambda: np.copyto(out, x)):8.0f} MB/s")
    cases = ((SparseDithering(), Guarantee("alpha", 0.1)), (RandomSparseDithering(), Guarantee("omega", 0.25)))
    for compressor, guarantee in cases:
        head, chunks = encode(compressor, x, guarantee)
        rate = 8 * (len(head) + sum(len(data) for data, _, _ in chunks)) / x.size
        seconds = (
            best_time(lambda c=compressor, g=guarantee: encode(c, x, g)),
            best_time(lambda c=compressor, h=head, parts=chunks: decode(c, x, h, parts)),
        )
        speeds = "  ".join(
            f"{name} {x.nbytes / 1e6 / s:6.0f} MB/s" for name, s in zip(("encode", "decode"), seconds, strict=True)
        )
        print(f"{type(compressor).__name__:22}{guarantee.kind} {guarantee.bound}: {speeds}  {rate:.4f} bits/coordinate")


if __name__ == "__main__":
    main()
