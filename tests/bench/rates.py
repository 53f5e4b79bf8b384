"""Bits per coordinate of whole files: `python tests/bench/rates.py FOLDER_OR_FILE.npy…`.

It prints a Markdown table in which all bytes are counted. The rows are the synthetic sources (2^20
values) and every .npy file, at each --alpha. The columns are the methods, and `auto` at both
efforts. A dash means that the method cannot take the tensor. Every file is decoded and its
distortion measured; a row where one is above alpha stops the run. bfloat16 and float16 files are
taken as they are.
"""

import argparse
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import gcodec
from gcodec.compressors import registry
from gcodec.errors import InvalidInput
from gcodec.io.arrays import npy

ALPHAS = (0.1, 0.01)
SYNTHETIC_ALPHAS = (0.5, 0.25, 0.1, 0.01, 1e-3, 1e-4)
NOT_HERE = ("lossless", "sc")  # they have tables of their own
METHODS = [entry.name for entry in registry.ENTRIES if "alpha" in entry.load().kinds and entry.name not in NOT_HERE]
AUTO = {"auto fast": "fast", "auto best": "best"}


def synthetic(size: int) -> Iterator[tuple[str, np.ndarray]]:
    rng = np.random.default_rng(2026)
    yield "Gaussian", rng.standard_normal(size).astype(np.float32)
    yield "Laplace", rng.laplace(size=size).astype(np.float32)
    yield "Student t, 3", rng.standard_t(3, size=size).astype(np.float32)


def files(paths: list[Path]) -> Iterator[tuple[str, np.ndarray]]:
    for path in paths:
        for file in sorted(path.rglob("*.npy")) if path.is_dir() else [path]:
            with npy.Reader(file) as reader:
                for _, source in reader.tensors():
                    yield file.stem, source.read(0, source.size).reshape(source.shape)


def rate(x: np.ndarray, method: str, alpha: float) -> str:
    """Bits per coordinate of a whole file."""
    options = {"effort": AUTO[method]} if method in AUTO else {}
    try:
        data = gcodec.encode(x, method.split()[0], alpha=alpha, **options)
    except InvalidInput:
        return "–"
    wide = x.astype(np.float64)
    error = float(((gcodec.decode(data).astype(np.float64) - wide) ** 2).sum() / (wide**2).sum())
    if error > alpha:
        raise SystemExit(f"{method} at {alpha}: distortion {error}")
    return f"{8 * len(data) / x.size:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="*", type=Path)
    parser.add_argument("--alpha", type=float, action="append", help="default: 0.1 and 0.01 for files")
    parser.add_argument("--methods", type=lambda text: text.split(","), default=[*METHODS, *AUTO])
    parser.add_argument("--size", type=int, default=1 << 20, help="values of a synthetic source; 0 for none")
    options = parser.parse_args()
    header = ["tensor", "shape", "alpha", "½log₂(1/α)", *options.methods]
    print("| " + " | ".join(header) + " |\n|" + "---|" * len(header), flush=True)
    sources = [(source, SYNTHETIC_ALPHAS) for source in (synthetic(options.size) if options.size else ())]
    for (name, x), alphas in [*sources, *((source, ALPHAS) for source in files(options.paths))]:
        for alpha in options.alpha or alphas:
            cells = [name, "×".join(map(str, x.shape)), f"{alpha:g}", f"{math.log2(1 / alpha) / 2:.3f}"]
            cells += [rate(x, method, alpha) for method in options.methods]
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
