"""gcodec beside other compressors: `python tests/bench/peers.py FILE.npy … [--alpha A]`.

Lossy ones are compared at the same measured error: SZ3 gets the largest absolute bound with which
the relative squared L2 error of what it decodes is at most alpha, and no more than 2 % below it.
Lossless ones take the bytes as they are. Bits are those of all that is stored. Speeds are of
processor time on one core, the best of three runs. uint16 stands for bfloat16. A peer that is not
installed (`pip install pysz pcodec zipnn`) is left out, and the last line says so.
"""

import argparse
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import ml_dtypes
import numpy as np
import zstandard
from rates import files

import gcodec
from gcodec.errors import InvalidInput

RUNS, STEPS, CLOSE = 3, 40, 0.98
LOSSY = ("ecsq", "tcq", "klt", "auto")


@dataclass
class Coder:
    """name: in the table. encode: an array to bytes. decode: the bytes to an array or to bytes."""

    name: str
    encode: Callable[[np.ndarray], bytes]
    decode: Callable[[bytes], object]
    lossy: bool = False


def seconds(work: Callable[[], object]) -> float:
    """Processor time of the fastest run; one before it may compile."""
    work()
    times = []
    for _ in range(RUNS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return max(min(times), 1e-9)


def error_of(x: np.ndarray, decoded: np.ndarray) -> float:
    gaps = decoded.astype(np.float64).reshape(x.shape) - x.astype(np.float64)
    return float(np.sum(gaps**2) / np.sum(x.astype(np.float64) ** 2))


def of_gcodec(alpha: float) -> Iterator[Coder]:
    for method in LOSSY:
        yield Coder(
            f"gcodec {method}",
            lambda x, method=method: gcodec.encode(x, method, alpha=alpha, threads=1),
            lambda data: gcodec.decode(data, threads=1),
            lossy=True,
        )
    yield Coder(
        "gcodec lossless",
        lambda x: gcodec.encode(x, lossless=True, threads=1),
        lambda data: gcodec.decode(data, threads=1),
    )


def of_zstandard() -> Iterator[Coder]:
    for level in (1, 9):
        compress = zstandard.ZstdCompressor(level=level).compress
        yield Coder(f"zstd -{level}", lambda x, c=compress: c(x.tobytes()), zstandard.ZstdDecompressor().decompress)


def of_sz3(x: np.ndarray, alpha: float) -> Iterator[Coder]:
    """SZ3 takes float32 at least, so narrower dtypes are widened: its time counts that, too."""
    import pysz

    wide = np.float64 if x.dtype == np.float64 else np.float32

    def coder(bound: float) -> Coder:
        config = pysz.szConfig()
        config.errorBoundMode = pysz.szErrorBoundMode.ABS
        config.absErrorBound = bound

        def encode(x: np.ndarray) -> bytes:
            return pysz.sz.compress(np.ascontiguousarray(x.astype(wide)), config)[0].tobytes()

        def decode(data: bytes) -> np.ndarray:
            return pysz.sz.decompress(np.frombuffer(data, np.uint8), wide, x.shape)[0].astype(x.dtype)

        return Coder("SZ3", encode, decode, lossy=True)

    scale = math.sqrt(float(np.mean(x.astype(np.float64) ** 2)))
    low, high = 1e-6 * scale, 100 * scale
    best = coder(low)
    for _ in range(STEPS):
        middle = math.sqrt(low * high)
        trial = coder(middle)
        error = error_of(x, trial.decode(trial.encode(x)))
        if error <= alpha:
            low, best = middle, trial
            if error >= CLOSE * alpha:
                break
        else:
            high = middle
    yield best


def of_pcodec(x: np.ndarray) -> Iterator[Coder]:
    """pcodec knows no bfloat16: it gets the bits as integers."""
    from pcodec import ChunkConfig, standalone

    plain = x.dtype if x.dtype in (np.float16, np.float32, np.float64) else np.dtype(f"u{x.dtype.itemsize}")
    config = ChunkConfig()
    yield Coder(
        "pcodec",
        lambda x: standalone.simple_compress(x.reshape(-1).view(plain), config),
        lambda data: standalone.simple_decompress(data).view(x.dtype),
    )


def of_zipnn(x: np.ndarray) -> Iterator[Coder]:
    from zipnn import ZipNN

    names = {np.dtype(np.float32): "float32", np.dtype(ml_dtypes.bfloat16): "bfloat16", np.dtype(np.float16): "float16"}
    if x.dtype in names:
        packer = ZipNN(input_format="byte", bytearray_dtype=names[x.dtype], threads=1)
        yield Coder("ZipNN", lambda x: bytes(packer.compress(x.tobytes())), packer.decompress)


def row(name: str, x: np.ndarray, coder: Coder) -> str:
    data = coder.encode(x)
    decoded = coder.decode(data)
    back = decoded if isinstance(decoded, np.ndarray) else np.frombuffer(bytes(decoded), x.dtype)
    error = error_of(x, back)
    assert coder.lossy or error == 0, (coder.name, error)
    megabytes = x.nbytes / 1e6
    there, home = seconds(lambda: coder.encode(x)), seconds(lambda: coder.decode(data))
    bits = 8 * len(data) / x.size
    return f"| {name} | {coder.name} | {bits:.3f} | {error:.4g} | {megabytes / there:.0f} | {megabytes / home:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--alpha", type=float, default=0.1)
    options = parser.parse_args()
    alpha, missing = options.alpha, set()
    print("| tensor | coder | bits/value | error | encode MB/s | decode MB/s |\n|---|---|---|---|---|---|")
    for name, stored in files(options.files):
        x = stored.view(ml_dtypes.bfloat16) if stored.dtype == np.uint16 else stored
        makers = (
            lambda: of_gcodec(alpha), of_zstandard, lambda x=x: of_sz3(x, alpha),
            lambda x=x: of_pcodec(x), lambda x=x: of_zipnn(x),
        )  # fmt: skip
        for make in makers:
            try:
                for coder in make():
                    print(row(name, x, coder), flush=True)
            except ImportError as error:
                missing.add(error.name)
            except InvalidInput as error:
                print(f"| {name} | {error} |")
    print(f"not installed: {', '.join(sorted(missing)) or 'none'}")


if __name__ == "__main__":
    main()
