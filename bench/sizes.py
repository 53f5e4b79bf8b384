"""The size of each file of corpora/ by each method: `python bench/sizes.py` writes sizes.csv.

tests/test_sizes.py compares them with what is written now, and fails when a file grows by 1 %.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import ml_dtypes
import numpy as np

import gcodec
from gcodec.errors import InvalidInput

ROOT = Path(__file__).parents[1]
TABLE = Path(__file__).parent / "sizes.csv"
ASKED = (
    ("sd", "alpha", 0.1), ("ecsq", "alpha", 0.1), ("tcq", "alpha", 0.1), ("klt", "alpha", 0.1),
    ("auto", "alpha", 0.1), ("auto", "alpha", 1e-3), ("rsd", "omega", 0.25), ("dither", "omega", 0.25),
    ("geometric", "pointwise", 0.01), ("lossless", "lossless", True),
)  # fmt: skip
SHORT = (("sc", "alpha", 0.5), ("sc", "omega", 4.0))  # sc searches long, so it gets short vectors alone


def sizes() -> Iterator[tuple[str, str, str, int]]:
    """file, method, bound and bytes; what a method does not take is left out."""
    for path in sorted((ROOT / "corpora").glob("*.npy")):
        x = np.load(path)
        x = x.view(ml_dtypes.bfloat16) if "bf16" in path.stem else x
        for method, kind, bound in (*ASKED, *(SHORT if x.size < 1000 else ())):
            seed = {"seed": 1} if kind == "omega" else {}
            try:
                data = gcodec.encode(x, method, threads=1, **{kind: bound}, **seed)
            except InvalidInput:
                continue
            yield path.name, method, kind if bound is True else f"{kind} {bound:g}", len(data)


if __name__ == "__main__":
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("file", "method", "bound", "bytes"))
        writer.writerows(sizes())
