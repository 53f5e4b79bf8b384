"""Good files of the methods with a step: ecsq, tcq, klt, dither, and structured around them."""

import numpy as np
from cases import Good
from good import BF16, E4M3, E5M2, case, flat, heavy, matrix, normal, sparse

FIELD = normal(24, 30)
SCALED = (normal(24, 30) * np.exp(normal(24, 1, seed=5) * 1.5) * np.exp(normal(1, 30, seed=6))).astype("f4")
DRIFTING = (normal(768) * np.repeat([1, 3000, 0.02], 256)).astype("f4")
STRIPED = (
    normal(24, 20) * np.where(np.arange(24) % 2, 1, 1000)[:, None] * np.where(np.arange(20) < 8, 1, 1000)
).astype("f4")
RISING = (normal(2000, seed=7) * np.exp(np.arange(2000) / 200)).astype("f4")
UNEVEN = (normal(60, 6, seed=12) @ normal(6, 24, seed=13) * np.exp(2 * (normal(60, 1, seed=14) > 0.5) + 2)).astype("f4")
LAYER = np.array([[3.1, -6, 12], [-1, 2, -4], [2, -4, 8], [0.5, -1, 1.8]], np.float32)


ECSQ = (
    case("ecsq-example", "The worked example of 05-ecsq.", flat(3, -1, 0, 0.5), "ecsq", 0.1),
    case("ecsq-raw-bits", "The second worked example of 05-ecsq: a raw width of 2.", flat(100, -1, 0, 0.5), "ecsq", 1e-4),
    case("ecsq-one-value", "A tensor without dimensions.", np.float32(-2.5), "ecsq", 0.1),
    case("ecsq-float32", "A float32 matrix.", FIELD, "ecsq", 0.05),
    case("ecsq-fine", "A small bound: raw bits for every value.", normal(60), "ecsq", 1e-9),
    case("ecsq-float64", "float64 near 1e-300 under a small bound: wide raw bits.", normal(40, dtype="f8", scale=1e-300), "ecsq", 1e-18),
    case("ecsq-huge", "float64 near 1e300.", normal(40, dtype="f8", scale=1e300), "ecsq", 0.01),
    case("ecsq-bfloat16", "Values are rounded to bfloat16.", normal(9, 11, dtype=BF16), "ecsq", 0.02),
    case("ecsq-float8", "Values are rounded to float8_e4m3fn.", normal(200, dtype=E4M3), "ecsq", 0.02),
    case("ecsq-positive", "Positive values only: a table that is not symmetric.", np.abs(normal(300)), "ecsq", 0.02),
    case("ecsq-outlier", "A number beyond all ranges, whose raw bits tell their own number.", np.append(normal(99), np.float32(900)), "ecsq", 1e-6),
    case("ecsq-rows-and-columns", "Classes of rows and columns.", STRIPED, "ecsq", 1e-4),
    case("ecsq-blocks", "Classes of blocks.", DRIFTING, "ecsq", 1e-4),
    case("ecsq-chunks", "Chunks of 20 values.", heavy(50), "ecsq", 0.05, chunk=20),
    case("ecsq-rows-chunks", "Classes of rows and columns, in chunks of ten rows.", STRIPED, "ecsq", 1e-3, chunk=200),
    case("ecsq-blocks-chunks", "Classes of blocks, in chunks of 400 values: the last block of each is shorter.", DRIFTING, "ecsq", 1e-3, chunk=400),
    case("ecsq-drift", "Numbers of blocks as sums of differences.", RISING, "ecsq", 0.5),
    case("ecsq-two-lanes", "Two interleaved lanes.", normal(1000, seed=8), "ecsq", 0.1, lane_bytes=100),
    case("ecsq-64-lanes", "64 lanes, the last row of which is not full.", normal(1900, seed=9), "ecsq", 0.1, lane_bytes=4),
    case("ecsq-64-lanes-blocks", "64 lanes, classes and raw bits.", (normal(600) * np.where(np.arange(600) < 256, 1, 300)).astype("f4"), "ecsq", 1e-4, lane_bytes=2),
)  # fmt: skip

TCQ = (
    case("tcq-example", "The worked example of 06-tcq.", np.array([[4, -3, 1], [0.5, 0, 0.1], [2, -2, 1]], "f4"), "tcq", 0.01),
    case("tcq-one-value", "A tensor of one value.", np.float32([7]), "tcq", 0.1),
    case("tcq-matrix", "A float32 matrix whose rows and columns have scales.", SCALED, "tcq", 0.05),
    case("tcq-plain", "A vector, 32 states, no zero in the odd book.", heavy(300), "tcq", 0.01),
    case("tcq-8-states", "The trellis of 8 states.", FIELD, "tcq", 0.1, effort="fast"),
    case("tcq-coarse", "A large bound: few levels that are not zero, an odd book with a zero.", SCALED, "tcq", 0.6),
    case("tcq-fine", "A small bound: raw bits for every value, and one table for both books.", normal(10, 8), "tcq", 1e-9),
    case("tcq-outlier", "Levels far beyond those of their class.", sparse(400, share=0.02) * np.float32(1e4), "tcq", 1e-3),
    case("tcq-float64", "float64 near 1e-300, three dimensions.", normal(3, 4, 5, dtype="f8", scale=1e-300), "tcq", 0.02),
    case("tcq-bfloat16", "Values are rounded to bfloat16.", matrix(12, 10, dtype=BF16), "tcq", 0.02),
    case("tcq-float8", "Values are rounded to float8_e5m2.", normal(8, 20, dtype=E5M2), "tcq", 0.05),
    case("tcq-tables", "Tables of both books that are described one by one.", normal(3000, seed=11), "tcq", 0.05),
    case("tcq-64-lanes", "Paths in 64 lanes, the last row of which is not full.", normal(1900, seed=9), "tcq", 0.1, lane_bytes=4),
    case("tcq-chunks", "Chunks of four rows.", normal(10, 6), "tcq", 0.05, chunk=24),
)  # fmt: skip

KLT = (
    case("klt-example", "The worked example of 07-klt.", LAYER, "klt", 0.01),
    case("klt-tall", "A tall matrix of nearly low rank.", matrix(40, 12), "klt", 0.05),
    case("klt-wide", "A wide matrix: the transpose is coded.", matrix(9, 50), "klt", 0.05),
    case("klt-fine", "A small bound: the full rank.", matrix(14, 8), "klt", 1e-6),
    case("klt-vector", "A tensor that is no matrix: one column.", heavy(30), "klt", 0.1),
    case("klt-convolution", "Four dimensions, of which one has length 1.", matrix(12, 18).reshape(12, 1, 6, 3), "klt", 0.1),
    case("klt-float64", "float64 near 1e200.", matrix(10, 10, dtype="f8") * 1e200, "klt", 1e-3),
    case("klt-float16", "Values are rounded to float16.", matrix(16, 9, dtype="f2"), "klt", 0.02),
    case("klt-8-states", "The trellis of 8 states.", matrix(20, 10), "klt", 0.1, effort="fast"),
    case("klt-rows", "Numbers of the second factor's rows.", UNEVEN, "klt", 0.02),
    case("klt-chunks", "Chunks of six rows.", matrix(20, 8), "klt", 0.05, chunk=48),
)  # fmt: skip

DITHER = (
    case("dither-example", "The worked example of 08-dither.", flat(3, -1, 0, 0.5), "dither", 0.25, seed=7, states=8),
    case("dither-float32", "A float32 matrix.", FIELD, "dither", 0.25, seed=1),
    case("dither-float64", "float64 near 1e200, a seed of eight bytes.", normal(50, dtype="f8", scale=1e200), "dither", 0.05, seed=2**64 - 1),
    case("dither-raw-bits", "A small bound: classes with raw bits have one table for all phases.", normal(60), "dither", 1e-8, seed=2),
    case("dither-32-states", "The trellis of 32 states.", normal(120), "dither", 0.25, seed=8, states=32),
    case("dither-coarse", "A bound above 1.", normal(300), "dither", 4.0, seed=3),
    case("dither-one-value", "A tensor without dimensions, seed 0.", np.float32(0.7), "dither", 0.5),
    case("dither-subnormal", "float32 values so small that results are subnormal numbers.", normal(40, scale=1e-39), "dither", 0.25, seed=4),
    case("dither-rows-and-columns", "Classes of rows and columns.", STRIPED, "dither", 0.001, seed=5),
    case("dither-blocks", "Classes of blocks.", DRIFTING, "dither", 0.001, seed=6),
    case("dither-lanes", "Paths in 16 lanes, whose first states differ.", normal(500, seed=15), "dither", 0.25, seed=9, states=8, lane_bytes=4),
    case("dither-chunks", "Chunks of 15 values, each with a path of its own.", heavy(40), "dither", 0.1, seed=7, chunk=15),
)  # fmt: skip

PRUNED = normal(16, 20, seed=17) * (normal(16, 20, seed=18) > 0)
TOUCHED = normal(20, 12, seed=17) * (np.arange(20) % 3 == 0)[:, None].astype("f4")
FILLED = np.where(normal(200, seed=19) > 1, np.float32(1e20), 280 + normal(200, seed=20))
HEADS = (normal(4, 6, 10, seed=21) * np.float32([1, 30, 0.01, 0])[:, None, None]).astype("f4")
GAINS = (1 + 0.1 * normal(60, seed=22)).astype("f4")
ROWS_APART = (normal(24, 20, seed=24) + 5 * normal(24, 1, seed=25)).astype("f4")


STRUCTURED = (
    case("structured-example", "The worked example of 10-structured.", flat(3, 0, -1, 0, 0, 0.5), "structured", 0.1, other="ecsq", kept=(0,)),
    case("structured-zeros", "Zeros are kept, of both signs.", np.where(PRUNED == 0, normal(16, 20, seed=23) * np.float32(0), PRUNED), "structured", 0.01, kept=(0, 1 << 31)),
    case("structured-rows", "Rows of zeros: the others are a matrix.", TOUCHED, "structured", 0.01, kept=(0,)),
    case("structured-fill", "A fill value is kept, and the bound is that of the others.", FILLED, "structured", 1e-4, kept=(0x60AD78EC,)),
    case("structured-all-kept", "Nothing is left of a chunk.", np.repeat(flat(0, 2, -1), 20), "structured", 0.1, kept=(0,), chunk=20),
    case("structured-range", "A range around klt.", np.abs(matrix(20, 12)), "structured", 0.05, other="klt", clamp=True),
    case("structured-mean", "A mean, and no bytes beside it.", GAINS, "structured", 0.1, mean=True),
    case("structured-mean-and-rests", "A mean, a range and what is left.", GAINS, "structured", 1e-3, mean=True, clamp=True),
    case("structured-means-of-rows", "Means of the rows, with signs, and ecsq.", ROWS_APART, "structured", 0.002, other="ecsq", means=0),
    case("structured-means-and-all", "Means of the columns, a mean, scales of rows, kept zeros and a range, of float64.", np.where(ROWS_APART.T > 5, 0, ROWS_APART.T).astype("f8"), "structured", 0.01, means=1, mean=True, axis=0, kept=(0,), clamp=True),
    case("structured-heads", "Scales of the first axis, one of them 0.", HEADS, "structured", 0.01, axis=0),
    case("structured-columns", "Scales of the last axis, with kept zeros, of float64.", PRUNED.astype("f8") * 1e200, "structured", 0.02, other="ecsq", axis=1, kept=(0,)),
    case("structured-bfloat16", "Values and range of bfloat16.", np.abs(normal(200, dtype=BF16)), "structured", 0.02, clamp=True),
    case("structured-pointwise", "Fill values and NaN are kept, and geometric bounds all others.", np.append(FILLED, [np.float32("nan"), np.float32(-0.0)]), "structured:pointwise", 0.05, kept=(0x60AD78EC, 0x7FC00000)),
    case("structured-pointwise-plain", "geometric, and nothing kept.", FILLED, "structured:pointwise", 0.1),
    case("structured-chunks", "Chunks of 100 values, each with a head of the other method.", PRUNED, "structured", 0.01, other="ecsq", kept=(0,), chunk=100),
)  # fmt: skip

TRELLIS: tuple[Good, ...] = ECSQ + TCQ + KLT + DITHER + STRUCTURED
