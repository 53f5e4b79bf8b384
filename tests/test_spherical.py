"""`sc`: its directions, the search, the law of the index, and one block: the paper's code."""

import math
import os
import re
from statistics import NormalDist

import numpy as np
import pytest
from checks import distortion
from hypothesis import given
from hypothesis import strategies as st
from spherical_coding import decode, encode, payload_bits, random_vectors, spec_of

from gcodec.compressors.contract import Guarantee, TensorSpec
from gcodec.compressors.spherical import golomb, report
from gcodec.compressors.spherical import one_block as single
from gcodec.compressors.spherical.compressor import Spherical
from gcodec.compressors.spherical.search import find, stream
from gcodec.errors import Corrupt, InvalidInput
from gcodec.kernels import normals
from gcodec.kernels import spherical as kernels
from gcodec.theory.sphere import cap_bits, mean_cosine
from gcodec.theory.spherical import golomb_mean_bits

NORMAL_999 = 3.291  # two-sided 99.9 % of the normal distribution
CHI2_999 = 43.82  # 99.9 % of chi-square with 19 degrees of freedom
VECTORS = 2000 if os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else 250


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
    found, projections = find(blocks, norms, np.full(60, alpha), np.full(60, limit), seed=5)
    rims = np.sqrt(1 - alpha) * norms
    key = stream(5, length)
    for x, rim, k, reached in zip(blocks, rims, found, projections, strict=True):
        tried = (kernels.projection(key, i, x) for i in range(limit))
        first = next((i for i, value in enumerate(tried) if value >= rim), -1)
        assert k == first
        assert k < 0 or reached == kernels.projection(key, k, x)
    assert (found >= 0).sum() > 30


@pytest.mark.parametrize(("d", "alpha"), [(8, 0.1), (12, 0.25), (24, 0.5), (64, 0.75), (128, 0.9)])
def test_one_block_is_within_three_bits(d, alpha):
    """The mean length of whole payloads, and the paper's bound on the error, for every input."""
    bits, indices = [], []
    for x in random_vectors(d, VECTORS):
        payload, chunks = encode(x, "alpha", alpha)
        assert distortion(x, decode(x, payload, chunks)) <= alpha
        coding = report.Coding.of(payload.head, spec_of(x), Guarantee("alpha", alpha))
        (found,) = report.index_report(coding, [(chunks[0], d)])
        bits.append(payload_bits(payload, chunks))
        indices.append(found.index_bits)
        assert report.cap_report(coding, chunks[0], x).outside == 0
    least = cap_bits(alpha, d)
    assert single.overhead_bits(single.Cap.of(Guarantee("alpha", alpha), spec_of(x)), x.dtype, len(payload.head)) == 0
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


@pytest.mark.parametrize(("d", "alpha"), [(6, 0.01), (10, 0.1), (10, 0.09), (17, 0.25)])
def test_a_short_tensor_is_one_block_by_default(d, alpha):
    """What takes up to 2²⁰ draws on average. As blocks it would take four times the bits."""
    x = random_vectors(d, 1)[0]
    payload, chunks = encode(x, "alpha", alpha)
    assert len(payload.head) == 1 and payload_bits(payload, chunks) < 80
    payload, chunks = encode(x, "alpha", alpha, max_draws=1 << 20)
    assert len(payload.head) > single.MAX_HEAD and payload_bits(payload, chunks) > 120


def test_budget_errors_name_what_fits():
    x = random_vectors(64, 1)[0]
    with pytest.raises(InvalidInput, match=r"alpha of 0\.742 or more for 64 values, or 9 values at alpha = 0\.1"):
        encode(x, "alpha", 0.1, block=64, max_draws=1 << 22)
    payload, chunks = encode(x, "alpha", 0.742, block=64, max_draws=1 << 22)
    assert distortion(x, decode(x, payload, chunks)) <= 0.742
    assert encode(x[:9], "alpha", 0.1, block=9)
    with pytest.raises(InvalidInput, match="omega of"):
        encode(x, "omega", 0.1, block=64)
    with pytest.raises(InvalidInput, match=r"64 values \(shape \(8, 8\)\) at alpha"):
        encode(x.reshape(8, 8), "alpha", 0.1, block=64)
    for options in (
        {"block": 0},
        {"block": 300},
        {"max_draws": 1},
        {"max_draws": 1 << 40},
        {"max_draws": 100.5},
        {"seed": -1},
        {"seed": 1 << 64},
    ):
        with pytest.raises(InvalidInput):
            encode(np.ones(400, np.float32), "alpha", 0.1, **options)


@pytest.mark.parametrize(
    ("kind", "bound", "d", "draws"),
    [
        ("alpha", 0.9999, 65536, 1 << 22),
        ("alpha", 0.99, 300, 1 << 8),
        ("alpha", 1e-6, 2, 1 << 12),
        ("alpha", 0.1, 3, 64),
        ("omega", 0.1, 2000, 1 << 12),
        ("omega", 0.1, 60000, 64),
    ],
)
def test_what_is_said_to_fit_does(kind, bound, d, draws):
    """Long blocks are searched for in fewer draws: each of them costs more."""
    ones = np.ones(d, np.float32)
    with pytest.raises(InvalidInput) as refused:
        encode(ones, kind, bound, block=d, max_draws=draws)
    message = str(refused.value)
    for found in re.finditer(rf"{kind} of (\S+) or more for", message):
        assert kind == "omega" or 0 < float(found[1]) < 1
        single.check(Guarantee(kind, float(found[1])), spec_of(np.zeros(d, np.float32)), draws / 32)
    for found in re.finditer(r"(\d+) values at", message.partition("What fits")[2]):
        assert int(found[1]) > 1
        single.check(Guarantee(kind, bound), spec_of(np.zeros(int(found[1]), np.float32)), draws / 32)
    assert message.lower().endswith("leave the block length to sc")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("kind", "d", "bound"),
    [
        ("alpha", 1, 0.5),
        ("alpha", 2, 1e-6),
        ("alpha", 3, 1e-3),
        ("alpha", 9, 0.99),
        ("omega", 6, 0.1),
        ("omega", 12, 10),
    ],
)
def test_mean_bits_with_the_overhead(kind, d, bound, dtype):
    guarantee = Guarantee(kind, bound)
    cap = single.Cap.of(guarantee, spec_of(np.zeros(d, dtype)))
    bits = []
    for seed in range(100):
        payload, chunks = encode(random_vectors(d, 1)[0].astype(dtype), kind, bound, seed=seed)
        bits.append(payload_bits(payload, chunks) - single.overhead_bits(cap, np.dtype(dtype), len(payload.head)))
    assert np.mean(bits) <= 34 + cap_bits(cap.alpha, d)


def test_worked_example():
    """The one of the specification."""
    x = np.array([3, -1, 0.5], np.float32)
    payload, chunks = encode(x, "alpha", 0.1)
    assert (payload.head.hex(), b"".join(chunks).hex()) == ("13", "c0b185")
    assert decode(x, payload, chunks).tolist() == np.array([2.942309, -0.74521714, 0.15287624], np.float32).tolist()
    drawn = [normals.normal_at(stream(0, 3), 168 + i) for i in range(3)]
    assert drawn == [1.1716231375101078, -0.29674439784761636, 0.06087509810854941]


def test_exponents_of_one_block():
    """In float64 they reach beyond what a power of two can be.

    Index 0 is one bit, then come 12 bits of exponent and 11 of mantissa.
    """
    decoder = Spherical.decoder(b"\0", TensorSpec(np.dtype(np.float64), (3,)))
    for exponent in (-1120, 0, 1100):
        assert np.isfinite(decoder((exponent + 1120 << 11).to_bytes(3, "big"), 0, 3)).all()
    for exponent in (1101, 2047, 2975):
        with pytest.raises(Corrupt, match="exponent"):
            decoder((exponent + 1120 << 11).to_bytes(3, "big"), 0, 3)
