"""A checkpoint of a model and its optimizer: each tensor is coded as its role asks.

The names are those that PyTorch gives, but only numpy is needed here.
"""

import numpy as np

import gcodec

rng = np.random.default_rng(0)
shape = (512, 256)
state = {
    "model.up.weight": rng.normal(0, 0.02, shape).astype(np.float32),
    "model.norm.weight": np.ones(4096, np.float32),
    "optimizer.state.0.exp_avg": rng.normal(0, 1e-3, shape).astype(np.float32),
    "optimizer.state.0.exp_avg_sq": (rng.normal(0, 1e-3, shape) ** 2).astype(np.float32),
    "optimizer.state.0.step": np.float32(1000),
}
gcodec.save("checkpoint.gcz", state, alpha=1e-4)
with gcodec.open("checkpoint.gcz") as tensors:
    for name in state:
        guarantee = tensors.header(name).guarantee
        print(f"{name:30} {guarantee.kind:9} {guarantee.bound:g}")
    moments = tensors["optimizer.state.0.exp_avg_sq"]
    assert np.array_equal(tensors["model.norm.weight"], state["model.norm.weight"])

# The second moments divide the update, so it is each value's own error that counts.
x = state["optimizer.state.0.exp_avg_sq"]
assert (np.abs(moments - x) <= 0.05 * x).all()
