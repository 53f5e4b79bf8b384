"""What `auto` loses to a choice that codes everything: `python tests/bench/auto.py FOLDER…`.

For each .npy file and bound it prints the smallest of all methods, what `auto` took, how many more
bits these are, and the CPU time of both. uint16 stands for bfloat16. The last line is the judge:
the largest loss.
"""

import argparse
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import ml_dtypes
import numpy as np
from rates import files

import gcodec
from gcodec.compressors import registry
from gcodec.dtypes import is_float
from gcodec.errors import InvalidInput

ALPHAS = (0.5, 0.1, 0.01)
METHODS = [entry.name for entry in registry.ENTRIES if entry.efforts and "alpha" in entry.load().kinds]


def as_bfloat16(x: np.ndarray) -> np.ndarray:
    return x.view(ml_dtypes.bfloat16) if x.dtype == np.uint16 else x


def timed(encode: Callable[[], bytes]) -> tuple[bytes, float]:
    start = time.thread_time()
    data = encode()
    return data, time.thread_time() - start


def method_of(data: bytes) -> str:
    with gcodec.open(BytesIO(data)) as archive:
        return registry.by_id(archive.header("").compressor).name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    tensors = ((name, as_bfloat16(x)) for name, x in files(parser.parse_args().folders))
    losses = [compare(name, x, alpha) for name, x in tensors if is_float(x.dtype) for alpha in ALPHAS]
    print(f"largest loss: {max(losses):.2%}")


def compare(name: str, x: np.ndarray, alpha: float) -> float:
    """One line; the share of bytes that `auto` takes too many."""
    found: dict[str, tuple[bytes, float]] = {}
    for method in METHODS:
        try:
            found[method] = timed(lambda method=method: gcodec.encode(x, method, alpha=alpha, threads=1))
        except InvalidInput:
            continue
    best = min(found, key=lambda method: len(found[method][0]))
    data, seconds = timed(lambda: gcodec.encode(x, alpha=alpha, threads=1))
    loss = len(data) / len(found[best][0]) - 1
    spent = sum(seconds for _, seconds in found.values())
    print(f"{name:40} {alpha:<6g} {best:8} {method_of(data):8} {loss:+.2%}  {spent:.3f} s -> {seconds:.3f} s")
    return loss


if __name__ == "__main__":
    main()
