"""`sd` and `rsd`: the bounds on error and on length for hostile tensors."""

import math
import os
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
from checks import distortion
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sparse_dithering_coding import NORMAL_999, decode, encode, payload_bits

from gcodec.compressors.contract import Payload, TensorSpec
from gcodec.compressors.sparse_dithering import anatomy
from gcodec.compressors.sparse_dithering import compressor as sd
from gcodec.compressors.sparse_dithering.compressor import RandomSparseDithering, SparseDithering
from gcodec.errors import Corrupt
from gcodec.source import spans

FLOATS = [np.float16, ml_dtypes.bfloat16, np.float32, np.float64]


def paper_length(x: np.ndarray, payload: Payload, chunks: list[bytes]) -> float:
    counts = [
        anatomy.chunk_counts(data, a, b - a) for data, (a, b) in zip(chunks, spans(x.size, payload.chunk), strict=True)
    ]
    return anatomy.paper_bits(x.size, sum(c.zeros for c in counts), sum(c.level_sum for c in counts))


def worst_length(d: int, nu: float) -> float:
    """31 + log2 d + max over m of log2 C(d,m) + m + ⌊½(m + √(m·d/ν))⌋.

    No vector needs more in the paper's code.
    """
    m = np.arange(d + 1.0)
    logs = np.concatenate([[0.0], np.cumsum(np.log2(m[1:]))])
    return 31 + math.log2(d) + float((logs[-1] - logs - logs[::-1] + m + np.floor((m + np.sqrt(m * d / nu)) / 2)).max())


def check_sd(x: np.ndarray, alpha: float) -> None:
    """The error, the paper's length of these levels, and the worst case of all levels."""
    payload, chunks = encode(SparseDithering(), x, alpha)
    assert distortion(x, decode(x, payload, chunks)) <= alpha
    constant = sd.overhead_bits(x.size, payload.chunk, len(payload.head))
    assert payload_bits(payload, chunks) <= paper_length(x, payload, chunks) + constant
    assert payload_bits(payload, chunks) <= worst_length(x.size, alpha) + constant


def equality_case(d: int, nu: float, share: float = 0.837) -> np.ndarray:
    """The costliest unit vectors.

    A share of the coordinates has magnitudes (2k − 1)h, at which levels round up, with two
    neighbouring k such that the norm is used up. The others are zero. 0.837 is the worst share for
    ν = 0.1.
    """
    count = min(max(int(share * d), 1), int(d / nu))
    k = int((1 + math.sqrt(d / count / nu)) / 2)
    lower, upper = ((2 * k - 1) ** 2 * nu / d, (2 * k + 1) ** 2 * nu / d)
    raised = min(int((1 - count * lower) / (upper - lower)), count)
    u = np.zeros(d)
    u[:count] = math.sqrt(lower)
    u[:raised] = math.sqrt(upper)
    rng = np.random.default_rng(d)
    return rng.permutation(u) * rng.choice([-1, 1], d)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("alpha", [0.5, 0.1, 0.001])
@pytest.mark.parametrize("d", [1, 2, 3, 5, 17, 100, 1023, 10_000])
def test_hostile_vectors(d, alpha, dtype):
    rng = np.random.default_rng(d)
    vectors = [
        np.eye(1, d, d // 2)[0],
        np.ones(d),
        rng.choice([-1.0, 1.0], d),
        rng.normal(size=d),
        rng.standard_t(1, size=d),
    ]
    vectors += [equality_case(d, alpha, share) for share in (0.837, 0.5, 0.01, 1.0)]
    vectors += [np.arange(d) < max(share * d, 1) for share in (0.9, 0.837, 0.5, 0.1)]
    for vector in vectors:
        check_sd(vector.astype(dtype), alpha)


@pytest.mark.parametrize("vector", ["equality", "equal, a share", "one-hot", "equal", "normal"])
def test_a_million_values(vector):
    d, alpha = 10**6, 0.1
    rng = np.random.default_rng(0)
    x = {
        "equality": equality_case(d, alpha),
        "equal, a share": rng.permutation(np.arange(d) < 0.837 * d),
        "one-hot": np.arange(d) == 17,
        "equal": rng.choice([-1.0, 1.0], d),
        "normal": rng.normal(size=d),
    }[vector]
    check_sd(x.astype(np.float32), alpha)


def test_published_bound():
    """30 + log2 d + 3.35·d bits at ν = 0.1, for d where the exact count is below it."""
    for d in (100, 4096, 10**6):
        payload, chunks = encode(SparseDithering(), equality_case(d, 0.1).astype(np.float32), 0.1)
        assert payload_bits(payload, chunks) <= 30 + math.log2(d) + 3.35 * d + sd.overhead_bits(d, payload.chunk, 4)


@given(
    hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(-1, 1)).filter(lambda x: np.abs(x).max() > 1e-100),
    st.sampled_from([0.9, 0.3, 0.1, 1e-3, 1e-6]),
    st.integers(-900, 1000),
)
def test_any_vector(x, alpha, exponent):
    scaled = np.ldexp(x / np.abs(x).max(), exponent)
    payload, chunks = encode(SparseDithering(), scaled, alpha)
    constant = sd.overhead_bits(x.size, payload.chunk, len(payload.head))
    assert distortion(scaled, decode(scaled, payload, chunks)) <= alpha * (1 + 1e-12)
    assert payload_bits(payload, chunks) <= worst_length(x.size, alpha) + constant


def test_several_chunks():
    x = np.random.default_rng(5).standard_t(3, size=(2, (1 << 20) + 7)).astype(np.float32)
    payload, chunks = encode(SparseDithering(), x, 0.1)
    assert len(chunks) == 3
    assert distortion(x, decode(x, payload, chunks)) <= 0.1
    assert payload_bits(payload, chunks) <= paper_length(x, payload, chunks) + sd.overhead_bits(
        x.size, payload.chunk, 4
    )


def test_small_bounds_need_little_memory():
    x = np.zeros(10**6, np.float32)
    x[3] = 2.5
    payload, chunks = encode(SparseDithering(), x, 1e-9)
    assert payload_bits(payload, chunks) < 300
    assert distortion(x, decode(x, payload, chunks)) <= 1e-9
    for alpha in (1e-13, 1e-25):
        y = np.random.default_rng(1).normal(size=1000)
        payload, chunks = encode(SparseDithering(), y, alpha)
        assert len(payload.head) == 8 and distortion(y, decode(y, payload, chunks)) <= alpha


@pytest.mark.parametrize("compressor", [SparseDithering(), RandomSparseDithering(7)], ids=["sd", "rsd"])
@pytest.mark.parametrize("bound", [1e-40, 1e-30, 1e-9, 0.1, 0.999999])
def test_extremes(compressor, bound):
    """Sizes, ranges and bounds at their ends give finite values and no warning.

    Where precision allows it, the bound is kept.
    """
    for dtype in FLOATS:
        info = ml_dtypes.finfo(dtype)
        rng = np.random.default_rng(9)
        for x in (
            np.array(-2.5, dtype),
            np.array([info.max, -info.max, 0], np.float64).astype(dtype),
            np.array([info.smallest_subnormal, 0, -0.0], np.float64).astype(dtype),
            (rng.normal(size=50) * (float(info.max) / 16)).astype(dtype),
            (rng.normal(size=50) * (float(info.smallest_subnormal) * 100)).astype(dtype),
        ):
            payload, chunks = encode(compressor, x, bound)
            y = decode(x, payload, chunks)
            assert y.dtype == x.dtype and y.shape == x.shape and np.isfinite(y.astype(np.float64)).all()
            if bound == 0.1 and isinstance(compressor, RandomSparseDithering):
                assert payload.expected <= bound
            if bound == 0.1 and dtype in (np.float32, ml_dtypes.bfloat16) and isinstance(compressor, SparseDithering):
                assert distortion(x, y) <= bound * 1.01


@pytest.mark.parametrize(
    "head",
    [b"", b"\0" * 4, b"\0" * 3, b"\0" * 8, b"\1\0\0\x80", b"\1\0\0\0", b"\0\0\x80\x7f", b"\xff" * 8, b"\0" * 9],
)
def test_bad_heads(head):
    with pytest.raises(Corrupt):
        SparseDithering.decoder(head, TensorSpec(np.dtype(np.float32), (3,)))


def test_worked_example():
    """The one of the specification."""
    payload, chunks = encode(SparseDithering(), np.array([3, -1, 0, 0.5], np.float32), 0.1)
    assert (payload.head.hex(), chunks[0].hex()) == ("0000803f", "8427")
    assert anatomy.chunk_counts(chunks[0], 0, 4) == (2, 4)
    assert anatomy.paper_bits(4, 2, 4) == pytest.approx(31 + 2 + math.log2(6) + 2 + 4)


@pytest.mark.parametrize(("compressor", "bound"), [(SparseDithering(), 0.1), (RandomSparseDithering(5), 0.25)])
@pytest.mark.parametrize("d", [10, 100, 2000])
def test_a_payload_takes_what_the_paper_counts(compressor, bound, d):
    """On average at most 6 bits more than the paper's count, filling included; some 3 here.

    The count is 31 + log2 d + log2 C(d, zeros) + nonzeros + Σk.
    """
    rng = np.random.default_rng(d)
    excess = []
    for _ in range(300):
        payload, chunks = encode(compressor, x := rng.standard_normal(d).astype(np.float32), bound)
        excess.append(payload_bits(payload, chunks) - paper_length(x, payload, chunks))
    assert np.mean(excess) + NORMAL_999 * np.std(excess) / math.sqrt(300) <= 5
    assert max(excess) <= sd.overhead_bits(d, d, 4)


def test_the_sign_of_the_scale_is_a_level_s():
    """It stands for the first level that is not zero, wherever in the first chunk that is."""
    for place in (0, 1, 4095, 4096, 9000):
        x = np.zeros(9001, np.float32)
        x[place], x[9000] = -2.0, 1.0 if place < 9000 else -1.0
        payload, chunks = encode(SparseDithering(), x, 0.001)
        assert payload.head[-1] & 0x80 and np.array_equal(np.sign(decode(x, payload, chunks)), np.sign(x))
        payload, chunks = encode(SparseDithering(), -x, 0.001)
        assert not payload.head[-1] & 0x80 and np.array_equal(np.sign(decode(x, payload, chunks)), -np.sign(x))
    x = np.zeros((1 << 20) + 5, np.float32)
    x[-3:] = -1.0, 1.0, -1.0  # the first chunk has no level at all
    payload, chunks = encode(SparseDithering(), x, 0.1)
    assert np.array_equal(np.sign(decode(x, payload, chunks)), x)


SAME_BYTES = """
import numpy as np
from gcodec.compressors.contract import Guarantee, TensorSpec
from gcodec.compressors.sparse_dithering.compressor import RandomSparseDithering, SparseDithering
from gcodec.source import ArraySource
for dtype in (np.float16, np.float32, np.float64):
    x = (np.sin(np.arange(1, 400) ** 2) ** 3 * 50).astype(dtype)
    for compressor, bound in ((SparseDithering(), 0.1), (SparseDithering(), 1e-6), (RandomSparseDithering(2**64 - 1), 0.3)):
        payload = compressor.encode(ArraySource(x), Guarantee(compressor.kinds[0], bound))
        data = payload.code(0, x.size)
        values = compressor.decoder(payload.head, TensorSpec(x.dtype, x.shape))(data, 0, x.size)
        print(payload.head.hex(), data.hex(), values.tobytes().hex())
"""


def test_plain_python_gives_the_same_bytes():
    outputs = []
    for disabled in ("0", "1"):
        environment = {**os.environ, "NUMBA_DISABLE_JIT": disabled}
        run = [sys.executable, "-W", "error", "-c", SAME_BYTES]
        outputs.append(subprocess.run(run, env=environment, capture_output=True, check=True, text=True).stdout)
    assert outputs[0] == outputs[1] and outputs[0].count("\n") == 9
