"""A file in ten lines: write tensors with a bound, read a part of one, check the promise."""

import numpy as np

import gcodec

weights = {"embed": np.random.default_rng(0).normal(size=(1000, 64)).astype(np.float32), "step": 7}
gcodec.save("weights.gcz", weights, alpha=1e-3)
with gcodec.open("weights.gcz") as tensors:
    rows = tensors.rows("embed", 10, 20)  # decodes the chunks of these rows alone
    gap = tensors["embed"].astype(float) - weights["embed"]
    error = (gap**2).sum() / (weights["embed"].astype(float) ** 2).sum()
    print(f"{error:.6f} of at most {tensors.header('embed').guarantee.bound}; step {tensors['step']}")
assert error <= 1e-3 and rows.shape == (10, 64) and gcodec.verify("weights.gcz").ok
