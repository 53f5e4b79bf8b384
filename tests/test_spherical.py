"""`sc`: the cap condition, the law of its index, the bounds on length and error, and the statistics of the unbiased one."""

import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from checks import distortion
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gcodec.coding import golomb
from gcodec.compressor import CHUNK, Guarantee, Payload, TensorSpec
from gcodec.compressors import spherical_report as report
from gcodec.compressors.spherical import Spherical
from gcodec.compressors.spherical_blocks import Rules, decode_chunk, encode_chunk, read_leaves
from gcodec.compressors.spherical_choice import Problem
from gcodec.compressors.spherical_plan import Plan, lengths_of
from gcodec.compressors.spherical_search import find, stream
from gcodec.dtypes import narrow
from gcodec.errors import Corrupt, InvalidInput
from gcodec.kernels import normals
from gcodec.kernels import spherical as kernels
from gcodec.pipeline import spans
from gcodec.source import ArraySource
from gcodec.theory.sphere import cap_bits, mean_cosine
from gcodec.theory.spherical import golomb_mean_bits
from gcodec.trials import _unbiased, _within

NORMAL_999 = 3.291  # two-sided 99.9 % of the normal distribution
CHI2_999 = 43.82  # 99.9 % of chi-square with 19 degrees of freedom
GRADIENT = np.load(Path(__file__).parents[1] / "corpora" / "lm_up.npy")


def encode(x: np.ndarray, kind: str, bound: float, **options: int) -> tuple[Payload, list[bytes]]:
    payload = Spherical(**options).encode(ArraySource(x), Guarantee(kind, bound))
    return payload, [payload.code(start, stop) for start, stop in spans(x.size, payload.chunk)]


def decode(x: np.ndarray, payload: Payload, chunks: list[bytes]) -> np.ndarray:
    decoder = Spherical.decoder(payload.head, TensorSpec(x.dtype, x.shape))
    parts = [decoder(data, a, b - a) for data, (a, b) in zip(chunks, spans(x.size, payload.chunk), strict=True)]
    return narrow(np.concatenate(parts), x.dtype).reshape(x.shape)


def spec_of(x: np.ndarray) -> TensorSpec:
    return TensorSpec(x.dtype, x.shape)


def payload_bits(payload: Payload, chunks: list[bytes]) -> int:
    return 8 * (len(payload.head) + sum(map(len, chunks)))


def random_vectors(d: int, count: int) -> np.ndarray:
    return np.random.default_rng(d).normal(size=(count, d)).astype(np.float32)


def test_normals_are_quantiles():
    for w in (0, 1, 77, 858_993_459, 1 << 31, 3 << 30, 4_252_017_622, (1 << 32) - 1):
        assert normals.quantile(w) == pytest.approx(NormalDist().inv_cdf((w + 0.5) / 2**32), abs=2e-9)
    numbers = np.empty(400_000)
    assert normals.fill_normals(stream(3, 1), 7, numbers) == pytest.approx(float(numbers @ numbers))
    assert [normals.normal_at(stream(3, 1), 7 + i) for i in range(9)] == numbers[:9].tolist()
    for power, moment in ((1, 0), (2, 1), (3, 0), (4, 3), (6, 15)):
        sd = math.sqrt((numbers ** (2 * power)).mean() / numbers.size)
        assert abs((numbers**power).mean() - moment) < NORMAL_999 * sd


def test_normals_increase():
    """Over the joints between the middle and the tails, and between octaves of the tails."""
    middle = round((0.5 - normals.MIDDLE) * 2**32)
    for joint in (middle, *(3 << k for k in range(2, 28))):
        around = [normals.quantile(w) for w in range(joint - 4, joint + 5)]
        assert all(a < b + 1e-9 for a, b in zip(around, around[1:], strict=False))


@given(st.integers(0, golomb.CODES - 1), st.data())
def test_golomb_code_round_trip(code, data):
    m = golomb.modulus(code)
    number = data.draw(st.integers(0, golomb.MAX_QUOTIENT * m))
    bits, count = golomb.encode(number, m)
    assert golomb.decode(bits << 5 | 19, count + 5, m) == (number, 5)
    for cut in range(count):
        with pytest.raises(ValueError, match="Golomb"):
            golomb.decode(bits >> (count - cut), cut, m)


def test_golomb_moduli_are_near():
    assert [golomb.modulus(code) for code in range(10)] == [1, 1, 1, 1, 2, 2, 3, 3, 4, 5]
    for parameter in (1, 2, 3, 5, 6, 1000, 77_777, 10**8):
        assert abs(math.log2(golomb.modulus(golomb.nearest_code(parameter)) / parameter)) < 0.17


@pytest.mark.parametrize(("length", "alpha"), [(2, 0.01), (3, 0.05), (5, 0.3), (8, 0.4), (13, 0.6), (66, 0.9)])
def test_tiled_search_equals_naive_search(length, alpha):
    blocks = random_vectors(length, 60).astype(np.float64)
    norms = np.sqrt((blocks**2).sum(1))
    limit = 3000
    found, heights = find(blocks, norms, np.full(60, alpha), np.full(60, limit), seed=5)
    rims = np.sqrt(1 - alpha) * norms
    key = stream(5, length)
    for x, rim, k, height in zip(blocks, rims, found, heights, strict=True):
        projections = (kernels.projection(key, i, x) for i in range(limit))
        first = next((i for i, value in enumerate(projections) if value >= rim), -1)
        assert k == first
        assert k < 0 or height == kernels.projection(key, k, x)
    assert (found >= 0).sum() > 30


@pytest.mark.parametrize(("d", "alpha"), [(8, 0.1), (12, 0.25), (24, 0.5), (64, 0.75), (128, 0.9)])
def test_one_block_is_within_three_bits(d, alpha):
    """The mean length of whole payloads, and the paper's bound on the error, which holds surely."""
    bits, indices = [], []
    for x in random_vectors(d, 250):
        payload, chunks = encode(x, "alpha", alpha)
        assert distortion(x, decode(x, payload, chunks)) <= alpha
        (found,) = report.index_report(payload.head, spec_of(x), Guarantee("alpha", alpha), [(chunks[0], d)])
        bits.append(payload_bits(payload, chunks))
        indices.append(found.index_bits)
        assert report.cap_report(payload.head, spec_of(x), Guarantee("alpha", alpha), chunks[0], x).outside == 0
    least = cap_bits(alpha, d)
    assert np.mean(bits) <= 31 + least + 3
    assert np.mean(indices) <= least + 3
    assert (
        abs(np.mean(indices) - golomb_mean_bits(least)) < NORMAL_999 * np.std(indices) / math.sqrt(len(indices)) + 0.02
    )


def test_index_is_geometric():
    """Chi-square of (1 − P)^K, which is uniform, over 20 cells."""
    blocks = random_vectors(12, 4000).astype(np.float64)
    norms = np.sqrt((blocks**2).sum(1))
    found, _ = find(blocks, norms, np.full(len(blocks), 0.3), np.full(len(blocks), 1 << 22), seed=1)
    uniform = (1 - 2 ** -cap_bits(0.3, 12)) ** found
    counts = np.bincount((uniform * 20).astype(int).clip(0, 19), minlength=20)
    assert ((counts - 200.0) ** 2 / 200).sum() < CHI2_999


@pytest.mark.parametrize("shape", ["axis", "diagonal", "random"])
def test_rate_does_not_depend_on_the_direction(shape):
    x = {"axis": np.eye(9)[4], "diagonal": np.ones(9), "random": random_vectors(9, 1)[0].astype(float)}[shape][None, :]
    norms = np.sqrt((x**2).sum(1))
    seeds = 1500
    found, cosines = np.array(
        [find(x, norms, np.array([0.5]), np.array([1 << 20]), seed) for seed in range(seeds)]
    )[:, :, 0].T  # fmt: skip
    p = 2 ** -cap_bits(0.5, 9)
    assert abs(found.mean() - (1 - p) / p) < NORMAL_999 * found.std() / math.sqrt(seeds)
    cosines /= norms
    assert abs(cosines.mean() - mean_cosine(0.5, 9)) < NORMAL_999 * cosines.std() / math.sqrt(seeds)


FLOAT32 = hnp.arrays(np.float32, st.integers(1, 300), elements=st.floats(-100, 100, width=32)).filter(np.any)


@given(FLOAT32, st.sampled_from([0.5, 0.1, 0.01]))
def test_alpha_is_met_surely(x, alpha):
    payload, chunks = encode(x, "alpha", alpha, max_draws=1 << 12)
    assert distortion(x, decode(x, payload, chunks)) <= alpha


@pytest.mark.parametrize("alpha", [0.5, 0.1, 0.01])
def test_blocks_spend_the_bound(alpha):
    x = np.random.default_rng(2).normal(size=20_000).astype(np.float32)
    payload, chunks = encode(x, "alpha", alpha, max_draws=1 << 16)
    assert 0.99 * alpha <= distortion(x, decode(x, payload, chunks)) <= alpha
    checked = report.cap_report(payload.head, spec_of(x), Guarantee("alpha", alpha), chunks[0], x)
    assert checked.outside == 0
    assert checked.blocks > 500
    classes = report.index_report(payload.head, spec_of(x), Guarantee("alpha", alpha), [(chunks[0], x.size)])
    assert sum(c.blocks for c in classes) == checked.blocks
    for one in classes:
        if one.blocks > 100:
            assert one.index_bits <= one.cap_bits + 3
            assert abs(one.index_bits - golomb_mean_bits(one.cap_bits)) < 6 / math.sqrt(one.blocks) + 0.02


def test_rate_on_gaussian_values():
    x = np.random.default_rng(6).normal(size=1 << 16).astype(np.float32)
    assert payload_bits(*encode(x, "alpha", 0.1)) / x.size < 2.05
    assert payload_bits(*encode(x, "alpha", 0.5)) / x.size < 0.66


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e-44, 1e-30, 1.0, 3e37])
@pytest.mark.parametrize("size", [1, 2, 3, 17, 1000])
def test_any_size_and_scale(size, scale, dtype):
    scale = scale**8 if dtype == np.float64 else scale
    x = (np.random.default_rng(size).normal(size=size) * scale).astype(dtype)
    if not x.any():
        x[0] = np.finfo(dtype).smallest_subnormal
    for kind, bound in (("alpha", 0.1), ("omega", 0.5)):
        payload, chunks = encode(x, kind, bound, max_draws=1 << 14)
        error = distortion(x, decode(x, payload, chunks))
        assert error <= (bound if scale > 1e-40 else 0.3) if kind == "alpha" else math.isfinite(error)
        assert kind == "alpha" or payload.expected <= bound


def test_sparse_tensor_costs_little():
    x = np.zeros(200_000, np.float32)
    x[[5, 70_000, 199_999]] = [1, -2, 3]
    payload, chunks = encode(x, "alpha", 0.1)
    assert payload_bits(payload, chunks) < 2000
    assert distortion(x, decode(x, payload, chunks)) <= 0.1


def test_blocks_without_a_direction_are_split():
    x = np.random.default_rng(8).normal(size=4096)
    rules = Rules(zero=0.8, unbiased=False, max_draws=1 << 20)
    plan = Problem(lambda: [(0, x)], 1.0, x.size, 0.1, rules, 0, 0).plan(8, 1.0, 1.0)
    whole = encode_chunk(x, 0, plan, rules)
    hurried = encode_chunk(x, 0, plan, Rules(zero=0.8, unbiased=False, max_draws=128))
    spec = TensorSpec(np.dtype(np.float64), x.shape)
    lengths = [np.bincount(read_leaves(one.data, x.size, plan).lengths, minlength=9) for one in (whole, hurried)]
    assert lengths[0][8] > 1.5 * lengths[1][8] > 0
    assert distortion(x, decode_chunk(hurried.data, x.size, plan, spec)) < 0.2


@pytest.mark.parametrize(
    ("x", "omega", "options"),
    [
        (GRADIENT.ravel()[:3000], 1.0, {"block": 8}),
        (random_vectors(12, 1)[0], 1.0, {}),
        (np.random.default_rng(9).normal(size=300) * (np.arange(300) % 10 == 0), 0.5, {"block": 10}),
    ],
    ids=["gradient", "one block", "sparse"],
)  # fmt: skip
def test_unbiased_over_seeds(x, omega, options):
    errors, expected = [], 0.0
    for seed in range(220):
        payload, chunks = encode(x, "omega", omega, seed=seed, max_draws=1 << 13, **options)
        errors.append((decode(x, payload, chunks).astype(np.float64) - x).ravel() / np.linalg.norm(x))
        expected = payload.expected
    gram = np.array(errors) @ np.array(errors).T
    for _, ok, detail in (_unbiased(gram), _within(np.diag(gram), omega)):
        assert ok, detail
    assert 0.9 * omega < expected <= omega


def test_unbiased_refuses_coarse_dtypes():
    for dtype in ("float16", "bfloat16", "float8_e5m2"):
        import ml_dtypes

        x = np.ones(8, np.dtype(getattr(ml_dtypes, dtype, None) or dtype))
        with pytest.raises(InvalidInput, match="rsd"):
            encode(x, "omega", 1.0)


def test_budget_errors_name_what_fits():
    x = random_vectors(64, 1)[0]
    with pytest.raises(InvalidInput, match=r"alpha of 0\.742 or more for 64 values, or 9 values at alpha = 0\.1"):
        encode(x, "alpha", 0.1, block=64)
    payload, chunks = encode(x, "alpha", 0.742, block=64)
    assert distortion(x, decode(x, payload, chunks)) <= 0.742
    assert encode(x[:9], "alpha", 0.1, block=9)
    with pytest.raises(InvalidInput, match="omega of"):
        encode(x, "omega", 0.1, block=64)
    for options in (
        {"block": 0},
        {"block": 300},
        {"max_draws": 1},
        {"max_draws": 1 << 40},
        {"seed": -1},
        {"seed": 1 << 64},
    ):
        with pytest.raises(InvalidInput):
            encode(np.ones(400, np.float32), "alpha", 0.1, **options)


def test_seed_reaches_the_decoder():
    x = random_vectors(1000, 1)[0]
    for y in (x, x[:8]):
        heads = set()
        for seed in (0, 1, 255, 256, (1 << 64) - 1):
            payload, chunks = encode(y, "alpha", 0.1, seed=seed, max_draws=1 << 18)
            assert distortion(y, decode(y, payload, chunks)) <= 0.1
            assert report.describe(payload.head, spec_of(y), Guarantee("alpha", 0.1))["seed"] == seed
            heads.add(payload.head)
        assert len(heads) == 5


def test_describe_and_random_vectors():
    x = random_vectors(24, 1)[0]
    guarantee = Guarantee("alpha", 0.5)
    payload, _ = encode(x, "alpha", 0.5)
    told = report.describe(payload.head, spec_of(x), guarantee)
    assert told["mode"] == "one block"
    assert told["classes"][0]["cap_bits"] == pytest.approx(cap_bits(0.5, 24), abs=0.01)
    tried = report.try_vectors(payload.head, spec_of(x), guarantee, 100)
    assert tried.index_bits <= tried.cap_bits + 3
    assert abs(tried.index_bits - tried.expected_bits) < 0.6


def test_lengths_of_halves():
    assert lengths_of(10) == [10, 5, 3, 2, 1]
    assert lengths_of(1) == [1]
    assert lengths_of(128) == [128, 64, 32, 16, 8, 4, 2, 1]


@pytest.mark.parametrize(("size", "alpha"), [(500, 0.1), (500, 0.001), (8, 0.1)])
def test_damaged_payloads(size, alpha):
    x = np.random.default_rng(11).standard_t(2, size=size).astype(np.float32)
    payload, (chunk,) = encode(x, "alpha", alpha, max_draws=1 << 12)
    rng = np.random.default_rng(12)

    def attempt(head: bytes, data: bytes) -> None:
        try:
            assert Spherical.decoder(head, spec_of(x))(data, 0, size).shape == (size,)
        except Corrupt:
            pass

    for at in range(len(payload.head)):
        with pytest.raises(Corrupt):
            Spherical.decoder(payload.head[:at], spec_of(x))
    for at in range(len(chunk)):
        attempt(payload.head, chunk[:at])
    with pytest.raises(Corrupt):
        Spherical.decoder(payload.head + b"\0", spec_of(x))(chunk, 0, size)
    with pytest.raises(Corrupt):
        Spherical.decoder(payload.head, spec_of(x))(chunk + bytes(70), 0, size)
    for _ in range(200):
        head, data = bytearray(payload.head), bytearray(chunk)
        head[rng.integers(len(head))] = rng.integers(256)
        data[rng.integers(len(data))] = rng.integers(256)
        attempt(bytes(head), chunk)
        attempt(payload.head, bytes(data))
        attempt(payload.head, rng.bytes(len(chunk)))


def test_heads_out_of_range():
    x = np.random.default_rng(13).normal(size=500).astype(np.float32)
    payload, _ = encode(x, "alpha", 0.1, max_draws=1 << 12)
    for at, value in ((0, 255), (0, 120), (1, 0), (1, 129), (3, 127)):
        head = bytearray(payload.head)
        head[at] = value
        with pytest.raises(Corrupt):
            Spherical.decoder(bytes(head), spec_of(x))(b"", 0, 500)
    for field in (np.float32(np.nan), np.float32(-1), np.float32(np.inf)):
        for at in (4, 8):
            head = bytearray(payload.head)
            head[at : at + 4] = field.tobytes()
            with pytest.raises(Corrupt):
                Plan.unpack(bytes(head))


def test_same_bytes_from_two_threads():
    x = np.random.default_rng(14).normal(size=CHUNK + 5000).astype(np.float32)
    payload, chunks = encode(x, "alpha", 0.95, max_draws=1 << 10)
    assert len(chunks) == 2
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda span: payload.code(*span), spans(x.size, payload.chunk))) == chunks
    assert distortion(x, decode(x, payload, chunks)) <= 0.95


PLAIN = """
import sys, numpy as np
sys.path.insert(0, sys.argv[1])
from test_spherical import decode, encode
x = np.random.default_rng(15).normal(size=96).astype(np.float32)
for kind, bound, block in (("alpha", 0.3, 4), ("omega", 1.0, 6), ("alpha", 0.95, 96)):
    payload, chunks = encode(x, kind, bound, block=block, max_draws=1 << 12, seed=2**64 - 1)
    print(payload.head.hex(), b"".join(chunks).hex(), decode(x, payload, chunks).tobytes().hex(), payload.expected)
"""


def test_same_bytes_without_jit():
    outputs = [
        subprocess.run(
            [sys.executable, "-W", "error", "-c", PLAIN, str(Path(__file__).parent)],
            env=os.environ | {"NUMBA_DISABLE_JIT": disable},
            capture_output=True,
            check=True,
        ).stdout
        for disable in ("0", "1")
    ]
    assert outputs[0] == outputs[1]
    assert len(outputs[0]) > 1000
