"""Tables of `sc` in Markdown.

    python tests/bench/spherical.py --draws | --budgets | [GRADIENT.npy …]

With --draws it prints the directions to try for one block, from theory. With --budgets it prints
rate and time of 2²⁰ Gaussian values for each number of draws.

Otherwise it runs with one thread. It prints the mean payload bits of one block on random vectors,
beside the paper's upper bound. For 2²⁰ Gaussian values and the arrays given it prints bits per
coordinate (payload), distortion, seconds to encode, and MB/s to decode (of the input, CPU time).
"""

import sys
import time

import numpy as np

from gcodec.compressors.contract import Guarantee, Payload, TensorSpec
from gcodec.compressors.spherical.compressor import Spherical
from gcodec.dtypes import narrow
from gcodec.source import ArraySource, spans
from gcodec.theory.sphere import cap_bits

VECTORS = 2000
ONE_BLOCK = ((8, 0.1), (12, 0.25), (24, 0.5), (64, 0.75), (128, 0.9))
LENGTHS = (4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 1024)
ALPHAS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9)
BUDGETS = (10, 14, 18, 20, 22, 24, 26)  # log2
BOUNDS = (("alpha", 0.5), ("alpha", 0.1), ("alpha", 0.01), ("omega", 1.0))


def encode(x: np.ndarray, kind: str, bound: float, **options: int) -> tuple[Payload, list[bytes]]:
    payload = Spherical(**options).encode(ArraySource(x), Guarantee(kind, bound))
    return payload, [payload.code(start, stop) for start, stop in spans(x.size, payload.chunk)]


def decode(x: np.ndarray, payload: Payload, chunks: list[bytes]) -> np.ndarray:
    decoder = Spherical.decoder(payload.head, TensorSpec(x.dtype, x.shape))
    parts = [decoder(data, a, b - a) for data, (a, b) in zip(chunks, spans(x.size, payload.chunk), strict=True)]
    return narrow(np.concatenate(parts), x.dtype)


def bits_of(payload: Payload, chunks: list[bytes]) -> int:
    return 8 * (len(payload.head) + sum(map(len, chunks)))


def distortion(x: np.ndarray, y: np.ndarray) -> float:
    wide = x.ravel().astype(np.float64)
    return float(((y - wide) ** 2).sum() / (wide**2).sum())


def one_block() -> None:
    print(
        "| d | α | mean payload bits | 31 − log2 P + 3 | largest distortion | ms a vector |\n|---|---|---|---|---|---|"
    )
    for d, alpha in ONE_BLOCK:
        vectors = np.random.default_rng(d).normal(size=(VECTORS, d)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        start = time.process_time()
        coded = [encode(x, "alpha", alpha) for x in vectors]
        seconds = time.process_time() - start
        worst = max(distortion(x, decode(x, *one)) for x, one in zip(vectors, coded, strict=True))
        mean = np.mean([bits_of(*one) for one in coded])
        bound = 34 + cap_bits(alpha, d)
        print(f"| {d} | {alpha} | {mean:.2f} | {bound:.2f} | {worst:.6f} | {1000 * seconds / VECTORS:.2f} |")


def tensors(paths: list[str]) -> None:
    print("\n| tensor | bound | bits per coordinate | distortion | encode s | decode MB/s |\n|---|---|---|---|---|---|")
    arrays = {"Gaussian, 2²⁰": np.random.default_rng(0).normal(size=1 << 20).astype(np.float32)}
    arrays |= {path.rsplit("/", 1)[-1]: np.load(path) for path in paths}
    for name, x in arrays.items():
        for kind, bound in BOUNDS:
            start = time.process_time()
            payload, chunks = encode(x, kind, bound)
            middle = time.process_time()
            y = decode(x, payload, chunks)
            end = time.process_time()
            rate = bits_of(payload, chunks) / x.size
            speed = x.nbytes / (end - middle) / 1e6
            row = f"{rate:.4f} | {distortion(x, y):.5f} | {middle - start:.2f} | {speed:.0f}"
            print(f"| {name} | {kind} {bound:g} | {row} |")


def draws() -> str:
    """log2 of the mean number of directions to try, by block length and α."""
    rows = ["| length | " + " | ".join(f"α = {alpha:g}" for alpha in ALPHAS) + " |", "|---" * (len(ALPHAS) + 1) + "|"]
    for k in LENGTHS:
        rows.append(f"| {k} | " + " | ".join(f"{cap_bits(alpha, k):.1f}" for alpha in ALPHAS) + " |")
    return "\n".join(rows)


def budgets() -> None:
    x = np.random.default_rng(0).normal(size=1 << 20).astype(np.float32)
    print(
        "| max_draws | α = 0.5: bits per coordinate | seconds | α = 0.1: bits per coordinate | seconds |\n|---|---|---|---|---|"
    )
    for budget in BUDGETS:
        cells = [f"2^{budget}"]
        for alpha in (0.5, 0.1):
            start = time.process_time()
            rate = bits_of(*encode(x, "alpha", alpha, max_draws=1 << budget)) / x.size
            cells += [f"{rate:.3f}", f"{time.process_time() - start:.1f}"]
        print("| " + " | ".join(cells) + " |", flush=True)


def main(arguments: list[str]) -> None:
    if arguments == ["--draws"]:
        print(draws())
        return
    encode(np.ones(4, np.float32), "alpha", 0.5)  # compile
    tensors_to_compile = np.random.default_rng(1).normal(size=300).astype(np.float32)
    decode(tensors_to_compile, *encode(tensors_to_compile, "alpha", 0.1))
    if arguments == ["--budgets"]:
        budgets()
        return
    one_block()
    tensors(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
