"""Bits and speed of all methods and of other compressors: `python bench/run.py [FILE.npy …]`.

Without files it takes those of corpora/. It writes a table of all measurements, one for each
version of gcodec and kind of machine, into bench/results/, prints what it measures, and draws two
pictures from the table. Bits are those of all that is stored. Speeds are of processor time on one
core, the best of three runs. The other compressors are compared where they are installed:

    pip install pysz pcodec zipnn blosc2 zfpy torch matplotlib

NNCodec needs an older numpy, and so an environment of its own, whose interpreter --nncodec names:

    python3 -m venv nn && nn/bin/pip install 'numpy<2' torch scikit-learn pandas h5py tqdm pybind11
    nn/bin/pip install --no-deps --no-build-isolation nncodec
    python bench/run.py --nncodec nn/bin/python
"""

import argparse
import csv
import math
import platform
import re
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import coders
import ml_dtypes
import numpy as np
import pictures

import gcodec
from gcodec.errors import InvalidInput

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
RUNS = 3
ALPHAS = (0.1,)
CURVE = "lm_up"  # the tensor that is measured at more bounds, for the picture
CURVE_ALPHAS = (0.5, 0.25, 0.1, 0.03, 0.01)
FIELDS = ("tensor", "dtype", "values", "coder", "version", "promise", "bits", "error", "encode", "decode")


def machine() -> str:
    """The processor and the system, as a part of a file's name."""
    try:
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    words = f"{found[1] if found else platform.processor()} {platform.machine()} {platform.system()}"
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def seconds(work: Callable[[], object], clock: Callable[[], float]) -> float:
    """Processor time of the fastest run; one before it may compile."""
    work()
    times = []
    for _ in range(RUNS):
        start = clock()
        work()
        times.append(clock() - start)
    return max(min(times), 1e-9)


def allowed(promise: str) -> float:
    """The largest relative squared error that a promise allows, if it says so."""
    if promise == "exact":
        return 0.0
    kind, _, bound = promise.partition(" ")
    return float(bound) if kind == "alpha" else math.inf


def measured(name: str, x: np.ndarray, coder: coders.Coder) -> dict[str, object]:
    """A line of the table. Speeds are in MB/s of the array; one that is missing is in the other."""
    data = coder.encode(x)
    error = coders.error_of(x, coder.decode(data))
    assert error <= allowed(coder.promise), (coder.name, error)
    there = seconds(lambda: coder.encode(x), coder.clock)
    back = seconds(lambda: coder.decode(data), coder.clock) if coder.size is None else 0.0
    bits = 8 * (coder.size or len(data)) / x.size
    numbers = {"bits": f"{bits:.4f}", "error": f"{error:.4g}"}
    megabytes = x.nbytes / 1e6
    speeds = {"encode": f"{megabytes / there:.1f}", "decode": f"{megabytes / back:.1f}" if back else ""}
    what = {"tensor": name, "dtype": str(x.dtype), "values": x.size, "coder": coder.name}
    return what | {"version": coder.version, "promise": coder.promise} | numbers | speeds


def tensors(paths: list[Path]) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays of files; a file of raw integers whose name says bf16 is one of bfloat16."""
    for path in paths:
        x = np.load(path)
        yield path.stem, x.view(ml_dtypes.bfloat16) if "bf16" in path.stem else x


def makers(x: np.ndarray, alpha: float, nncodec: coders.NNCodec | None) -> list[Callable[[], Iterator[coders.Coder]]]:
    """What makes the coders of each package; those that know no alpha are measured once."""
    lossy = (coders.of_sz3, coders.of_zfp, coders.of_powersgd)
    found = [partial(coders.of_gcodec, alpha), *(partial(maker, x, alpha) for maker in lossy)]
    found.append(partial(coders.of_nncodec, x, alpha, nncodec))
    if alpha == ALPHAS[0]:
        exact = (coders.of_pcodec, coders.of_zipnn, coders.of_blosc2)
        found += [coders.of_zstandard, *(partial(maker, x) for maker in exact)]
    return found


def lines(
    name: str, x: np.ndarray, alpha: float, nncodec: coders.NNCodec | None, missing: set[str]
) -> Iterator[dict[str, object]]:
    for make in makers(x, alpha, nncodec):
        try:
            for coder in make():
                try:
                    yield measured(name, x, coder)
                except InvalidInput as error:  # such as klt for a vector
                    print(f"{name}: {error}")
        except ImportError as error:
            missing.add(str(error.name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="*", default=sorted((ROOT / "corpora").glob("*.npy")))
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--nncodec", metavar="PYTHON", help="the interpreter of an environment that has NNCodec")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    table, missing = options.out / f"{gcodec.__version__}-{machine()}.csv", set()
    with (
        coders.NNCodec(options.nncodec) if options.nncodec else nullcontext() as nncodec,
        table.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        for name, x in tensors(options.files):
            for alpha in CURVE_ALPHAS if name == CURVE else ALPHAS:
                for line in lines(name, x, alpha, nncodec, missing):
                    writer.writerow(line)
                    print(" · ".join(str(line[field]) for field in FIELDS if field != "version"), flush=True)
    print(f"not installed: {', '.join(sorted(missing)) or 'none'}\n{table}")
    pictures.draw(table, options.out)


if __name__ == "__main__":
    main()
