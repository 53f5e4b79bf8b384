"""`auto` takes the fewest bytes of what it tries, and adds no bias to unbiased methods."""

import numpy as np
import pytest
from checks import distortion, header_of, tensors

import gcodec
from gcodec.compressors import registry

ALPHAS = (0.5, 0.1, 1e-3, 1e-9)
SEEDS = 300
Z = 3.9  # a normal variable is beyond ±Z once in 10,000 times


@pytest.mark.parametrize("effort", ["best", "fast"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_never_more_bytes_than_lossless_or_sd(dtype, effort):
    """Tensors of few distinct values are kept as they are, and take what lossless takes."""
    for name, x in tensors(np.dtype(dtype)).items():
        exact = len(gcodec.encode(x, lossless=True))
        if 16 * np.unique(x.view(f"u{x.itemsize}")).size <= min(256, x.size):
            assert all(len(gcodec.encode(x, alpha=alpha, effort=effort)) == exact for alpha in ALPHAS), name
            continue
        for alpha in ALPHAS:
            size = len(gcodec.encode(x, alpha=alpha, effort=effort))
            assert size <= min(exact, len(gcodec.encode(x, "sd", alpha=alpha))), (name, alpha)


def test_omega_of_what_lossless_packs():
    assert len(gcodec.encode(np.ones(100_000, np.float32), omega=1e-3)) < 300


@pytest.mark.parametrize(("decay", "taken"), [(10, "klt"), (200, "ecsq")])
@pytest.mark.parametrize("shape", [(700, 300), (300, 700)])
def test_fast_effort_takes_klt_where_the_rank_is_low(decay, taken, shape):
    """Best effort takes it on both matrices, and by its name it takes both at each effort."""
    rng = np.random.default_rng(decay)
    left = rng.normal(size=(shape[0], 300)) * np.exp(-np.arange(300) / decay)
    x = (left @ rng.normal(size=(300, shape[1]))).astype(np.float32)
    methods = [
        registry.by_id(header_of(gcodec.encode(x, method, alpha=0.1, effort=effort)).compressor).name
        for method, effort in (("auto", "fast"), ("auto", "best"), ("klt", "fast"))
    ]
    assert methods == [taken, "klt", "klt"]


def one_hot():
    return np.eye(1, 37, 5, dtype=np.float32)[0]


def gaussian():
    return np.random.default_rng(0).normal(size=37).astype(np.float32)


def sparse():
    rng = np.random.default_rng(1)
    return (rng.normal(size=200) * (rng.random(200) < 0.05)).astype(np.float32)


@pytest.mark.parametrize("method", ["auto", "dither"])
@pytest.mark.parametrize(("make", "omega"), [(one_hot, 10.0), (gaussian, 1.0), (sparse, 1.0)])
def test_the_choice_does_not_bias(method, make, omega):
    """The projection of x̂ on x has the mean ‖x‖².

    A choice by the length of the code that is sent would shrink it.
    """
    x = make()
    projections = []
    for seed in range(SEEDS):
        y = gcodec.decode(gcodec.encode(x, method, omega=omega, seed=seed, threads=1)).astype(np.float64)
        projections.append(float((y - x) @ x / (x.astype(np.float64) @ x)))
    error = np.std(projections, ddof=1) / np.sqrt(SEEDS)
    assert abs(np.mean(projections)) <= Z * error + 1e-12


@pytest.mark.parametrize("method", ["auto", "sd", "sc", "ecsq", "tcq", "klt"])
@pytest.mark.parametrize("alpha", [1e-8, 1e-14, 1e-20, 1e-40, 1e-300])
def test_very_fine_bounds(method, alpha):
    rng = np.random.default_rng(0)
    arrays = (rng.normal(size=(30, 20)), rng.normal(size=300), np.array(1e-42), rng.normal(size=(8, 4)) * 1e30)
    for x in (array.astype(dtype) for array in arrays for dtype in (np.float32, np.float64)):
        y = gcodec.decode(data := gcodec.encode(x, method, alpha=alpha))
        assert distortion(x, y) <= alpha
        assert alpha > 1e-30 or header_of(data).guarantee.kind == "exact"
