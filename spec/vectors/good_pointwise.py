"""Good files of the method whose guarantee is pointwise: geometric."""

import numpy as np
from cases import Good
from good import BF16, E4M3, E5M2, case, flat, normal, sparse
from good_trellis import DRIFTING, FIELD, SCALED

WITH_ZEROS = flat(0, -0.0, 3, -1, 0, 0, 2, -0.0)
SQUARES = (normal(24, 30) ** 2 * np.exp(normal(24, 1, seed=5) * 2) * 1e-9).astype("f4")
UNTOUCHED = (FIELD * (np.arange(24) % 3 == 0)[:, None]).astype("f4")
TINY = (np.arange(-60, 60) * 7).astype("f8") * 5e-324
FEW = np.arange(1, 40, dtype="u4").view("f4")
BETWEEN = 2.0 ** np.linspace(-1021.5, -1023.5, 60)


def geometric(name: str, about: str, array: np.ndarray, bound: float, **options: int) -> Good:
    return case(f"geometric-{name}", about, array, "geometric", bound, **options)


POINTWISE = (
    geometric("example", "The worked example of 09-geometric.", flat(3, -1, 0, 0.5), 0.1),
    geometric("one-value", "A tensor without dimensions.", np.float32(-2.5), 0.1),
    geometric("float32", "A float32 matrix.", FIELD, 0.01),
    geometric("fine", "A small bound: runs of several intervals, and raw bits.", normal(100), 1e-6),
    geometric("coarse", "A large bound: intervals of several octaves.", SCALED, 0.9),
    geometric("float64", "float64 near 1e-300 under a small bound.", normal(60, dtype="f8", scale=1e-300), 1e-12),
    geometric("huge", "float64 up to the largest number, under a large bound.", np.append(normal(40, dtype="f8", scale=1e307), 1.7976931348623157e308), 0.99),
    geometric("float16", "float16, down to subnormal numbers.", normal(200, dtype="f2", scale=1e-5), 0.02),
    geometric("bfloat16", "bfloat16: intervals of a few numbers.", normal(9, 21, dtype=BF16), 0.01),
    geometric("float8-e4m3", "float8_e4m3fn: most intervals hold one number.", normal(200, dtype=E4M3, scale=100), 0.1),
    geometric("float8-e5m2", "float8_e5m2, under a large bound.", normal(200, dtype=E5M2), 0.5),
    geometric("subnormal", "float64 near the smallest number, each an interval of its own, and zero.", TINY, 0.01),
    geometric("smallest", "The 39 smallest numbers of float32, in intervals of several.", FEW, 0.2),
    geometric("around-normal", "float64 on both sides of the smallest normal number.", BETWEEN, 1e-4),
    geometric("zeros", "Zeros of both signs: signs of all values.", WITH_ZEROS, 0.1),
    geometric("squares", "Positive values of rows of different scales: no signs.", SQUARES, 0.05),
    geometric("sparse", "Many zeros, and signs of the others.", sparse(500), 0.1),
    geometric("rows-of-zeros", "Rows of zeros, which have class 0.", UNTOUCHED, 0.05),
    geometric("rows-and-columns", "Classes of rows and columns.", SCALED, 0.05),
    geometric("blocks", "Classes of blocks.", DRIFTING, 0.05),
    geometric("blocks-chunks", "Classes of blocks, in chunks of 400 values.", DRIFTING, 0.05, chunk=400),
    geometric("rows-chunks", "Classes of rows and columns, in chunks of ten rows.", SCALED, 0.05, chunk=300),
    geometric("64-lanes", "64 lanes, the last row of which is not full.", normal(1100, seed=9), 0.1, lane_bytes=4),
)  # fmt: skip
