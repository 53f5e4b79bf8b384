"""`rsd`: its mean, its variance and its bits over many seeds."""

import math

import ml_dtypes
import numpy as np
import pytest
from sparse_dithering_coding import NORMAL_999, decode, encode, payload_bits

from gcodec import dtypes
from gcodec.compressors.contract import Guarantee, Payload, TensorSpec
from gcodec.compressors.sparse_dithering.compressor import RandomSparseDithering
from gcodec.source import ArraySource

FLOATS = [np.float16, ml_dtypes.bfloat16, np.float32, np.float64]


def gradients() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(11)
    rows = np.exp(rng.normal(size=(40, 1))) * rng.standard_t(4, size=(40, 50))
    return {"normal": rng.normal(size=2000), "rows of different scale": rows.reshape(-1)}


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda d: np.dtype(d).name)
@pytest.mark.parametrize("omega", [0.25, 1.0, 4.0])
@pytest.mark.parametrize("name", gradients())
def test_unbiased_with_bounded_variance(name, omega, dtype):
    """Over 256 seeds, the means' χ² and the mean error are within 99.9 %.

    The χ² has its exact variance. Bits and error are below the paper's expectations.
    """
    x = gradients()[name].astype(dtype)
    wide, seeds = x.astype(np.float64), 256
    norm2 = float((wide**2).sum())
    errors, bits = np.zeros((seeds, x.size)), np.zeros(seeds)
    for seed in range(seeds):
        payload, chunks = encode(RandomSparseDithering(seed), x, omega)
        errors[seed] = decode(x, payload, chunks).astype(np.float64) - wide
        bits[seed] = payload_bits(payload, chunks)
    assert payload.expected <= omega

    squares = (errors**2).sum(axis=1) / norm2
    allowance = NORMAL_999 * squares.std(ddof=1) / math.sqrt(seeds)
    assert abs(squares.mean() - payload.expected) <= allowance
    assert squares.mean() <= omega + allowance

    low, high, probability = exact_distribution(x, payload)
    variance = probability * (1 - probability) * (high - low) ** 2
    drawn = variance > 0
    assert np.array_equal(errors[:, ~drawn], np.zeros((seeds, int((~drawn).sum()))))
    assert variance.sum() / norm2 == pytest.approx(payload.expected, rel=1e-9)
    z2 = errors[:, drawn].mean(axis=0) ** 2 * seeds / variance[drawn]
    fourth = 1 / (probability * (1 - probability))[drawn] - 3  # kurtosis of a two-point distribution
    spread = math.sqrt(float((2 + (fourth - 3) / seeds).sum()))
    assert abs(float(z2.sum()) - z2.size) <= NORMAL_999 * spread

    assert bits.mean() <= 30 + math.log2(x.size) + (math.log2(3) + 1 / (2 * math.sqrt(omega))) * x.size


def exact_distribution(x: np.ndarray, payload: Payload) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two decoded magnitudes around each |x|, and the probability of the upper one.

    They are found by a search among all levels.
    """
    work = dtypes.work_dtype(x.dtype)
    scale = abs(float(np.frombuffer(payload.head, "<f4" if len(payload.head) == 4 else "<f8")[0]))
    magnitude = np.abs(x.astype(np.float64))
    levels = np.arange(int(magnitude.max() / scale) + 3) * scale
    decoded = dtypes.narrow(levels.astype(work), x.dtype).astype(np.float64)
    upper = np.searchsorted(decoded, magnitude, side="right")
    low, high = decoded[upper - 1], decoded[upper]
    return low, high, (magnitude - low) / (high - low)


def test_random_levels_do_not_depend_on_chunks_or_order():
    x = np.random.default_rng(4).normal(size=5000).astype(np.float32)
    payload = RandomSparseDithering(-3).encode(ArraySource(x), Guarantee("omega", 1.0))
    again = RandomSparseDithering(2**64 - 3).encode(ArraySource(x), Guarantee("omega", 1.0))
    decoder = RandomSparseDithering.decoder(payload.head, TensorSpec(x.dtype, x.shape))
    whole = decoder(again.code(0, 5000), 0, 5000)
    parts = [decoder(payload.code(a, b), a, b - a) for a, b in ((3000, 5000), (0, 3000))]
    assert np.array_equal(whole, np.concatenate(parts[::-1]))
    other = RandomSparseDithering(1).encode(ArraySource(x), Guarantee("omega", 1.0))
    assert payload.code(0, 5000) != other.code(0, 5000)
