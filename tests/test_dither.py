"""`dither`: no bias and a bounded error over the seeds, the trellis, the format, damage."""

import hashlib
import itertools
import math

import ml_dtypes
import numpy as np
import payloads
import pytest
from checks import header_of
from hypothesis import given
from hypothesis import strategies as st

import gcodec
from gcodec.compressors.contract import TensorSpec
from gcodec.compressors.dither.compressor import Dither
from gcodec.compressors.dither.noise import error_bound
from gcodec.compressors.dither.path import nearest_path
from gcodec.errors import Corrupt, InvalidInput
from gcodec.kernels import dither as kernels
from gcodec.kernels import rng
from gcodec.kernels.entropy import rans
from gcodec.kernels.levels import densities
from gcodec.kernels.levels.paths import TRELLISES

NORMAL_999 = 3.291  # two-sided 99.9 % of the normal distribution
SEEDS = 256
STATES = [1, 8, 32]


def digest() -> str:
    """Of heads, chunks and decoded values of some small tensors."""
    random = np.random.default_rng(3)
    state = hashlib.sha256()
    for x in (random.standard_t(2, size=(12, 20)).astype(np.float32), random.normal(size=270)):
        for states, bound in ((1, 0.2), (1, 1e-6), (8, 0.2)):
            payload, chunks = payloads.encode(Dither(seed=-9, states=states), x, bound)
            state.update(payload.head + b"".join(chunks) + payloads.decode(Dither, x, payload, chunks).tobytes())
    return state.hexdigest()


def errors(x: np.ndarray, bound: float, states: int) -> np.ndarray:
    """(SEEDS, size): x̂ − x for each seed."""
    found = []
    for seed in range(SEEDS):
        payload, chunks = payloads.encode(Dither(seed, states), x, bound)
        assert payload.expected <= bound
        found.append((payloads.decode(Dither, x, payload, chunks).astype(np.float64) - x).reshape(-1))
    return np.array(found)


TENSORS = {
    "gauss": np.random.default_rng(1).normal(size=700).astype(np.float32),
    "matrix": np.outer(
        np.exp(np.random.default_rng(2).normal(size=40)), np.random.default_rng(3).standard_t(3, size=30)
    ),
    "sparse": (np.random.default_rng(4).normal(size=1000) * (np.arange(1000) % 50 == 0)).astype(np.float32),
    "constant": np.full(100, 0.3, np.float32),
    "subnormal": (np.arange(-30, 31) * 1e-45).astype(np.float32),
    "three": np.array([1e-3, -7.0, 2.0]),
}


CASES = [(name, omega, 8) for name in TENSORS for omega in (1.0, 1e-3) if (name, omega) != ("subnormal", 1e-3)] + [
    ("gauss", 1 / 9, 1),
    ("gauss", 1 / 9, 32),
    ("matrix", 1.0, 1),
    ("three", 1.0, 32),
]


@pytest.mark.parametrize(("name", "omega", "states"), CASES)
def test_unbiased_and_within_the_bound(name, omega, states):
    """Over 256 seeds, at 99.9 %, there is no bias and the mean distortion is ≤ ω.

    ‖mean error‖² is that of independent errors without bias. The mean error in the direction of x
    is 0, and so is the mean of the errors' sum.
    """
    x = TENSORS[name]
    unit = x.astype(np.float64).reshape(-1)
    found = errors(x, omega, states)
    found, unit = found / np.linalg.norm(unit), unit / np.linalg.norm(unit)
    gram = (found @ found.T)[np.triu_indices(SEEDS, 1)]
    assert gram.mean() <= NORMAL_999 * gram.std() / math.sqrt(gram.size)
    distortions = (found**2).sum(1)
    assert distortions.mean() <= omega * (1 + 1e-9) + NORMAL_999 * distortions.std() / math.sqrt(SEEDS)
    for direction in (unit, np.full(unit.size, unit.size**-0.5)):
        along = found @ direction
        assert abs(along.mean()) <= NORMAL_999 * along.std() / math.sqrt(SEEDS)


def test_rate_of_gaussian_values():
    """At ω = 1/9, the whole file: 1.76 bits, and ω is spent."""
    x = np.random.default_rng(5).normal(size=1 << 20).astype(np.float32)
    data = gcodec.encode(x, "dither", omega=1 / 9)
    assert 8 * len(data) / x.size <= 1.76
    header = header_of(data)
    assert 0.99 / 9 < header.expected <= 1 / 9
    assert header.distortion == pytest.approx(header.expected, rel=0.005)


@pytest.mark.parametrize("states", STATES)
def test_error_bound(states):
    """For short paths, the mean squared error of uniform targets is just below its upper bound."""
    random = np.random.default_rng(6)
    for count, lanes, slack in (
        (1, 1, 1.02),
        (2, 1, 1.03),
        (3, 1, 1.2),
        (16, 1, 1.03),
        (100, 1, 1.05),
        (99, 4, 1.1),
        (5000, 1, 1.01),
    ):
        tries, total = max(40_000 // count, 40), []
        for t in range(tries):
            targets = random.uniform(-2, 2, count)
            firsts = (t + np.arange(lanes)) % states
            total.append(((nearest_path(targets, firsts, states)[0] - targets) ** 2).sum())
        mean, sd = np.mean(total), np.std(total) / math.sqrt(tries)
        assert mean - NORMAL_999 * sd <= error_bound(count, lanes, states) <= (mean + NORMAL_999 * sd) * slack


@pytest.mark.parametrize("states", STATES)
def test_nearest_path_is_the_best_of_all(states):
    """In each of two lanes, which begin in different states."""
    _, odd_jump, jump = TRELLISES[states]
    random = np.random.default_rng(7)
    for first in range(states):
        firsts, targets = np.array([first, (first + 3) % states]), random.uniform(-9, 9, 12)
        levels, books = nearest_path(targets, firsts, states)
        for lane, start in enumerate(firsts.tolist()):
            mine, best = targets[lane::2], math.inf
            for bits in itertools.product((0, 1), repeat=6):
                state, error = start, 0.0
                for target, bit in zip(mine, bits, strict=True):
                    residue = (state & 1) + 2 * bit
                    error += (target - residue - 4 * round((target - residue) / 4)) ** 2
                    state = (state >> 1) ^ (state & 1) * odd_jump ^ bit * jump
                best = min(best, error)
            assert ((levels[lane::2] - mine) ** 2).sum() == pytest.approx(best)
            state = start
            for level, book in zip(levels[lane::2].tolist(), books[lane::2].tolist(), strict=True):
                assert (level - state) % 2 == 0 and book == state & 1
                state = (state >> 1) ^ (state & 1) * odd_jump ^ (level >> 1 & 1) * jump


def test_float32_is_rounded_without_bias():
    key = np.uint64(rng.stream_key(np.uint64(1), 5))
    for value in (1 + 2.0**-25, -1 - 3 * 2.0**-26, 1e-40 / 3, -(2.0**-149) / 7, 3e38 * (1 + 2.0**-30)):
        values = np.full(40_000, value)
        kernels.round_randomly(values, values.view(np.uint64), key, 0)
        rounded = values.astype(np.float32)
        assert np.array_equal(rounded.astype(np.float64), values) and np.unique(values).size == 2
        error = values / value - 1
        assert abs(error.mean()) <= NORMAL_999 * error.std() / 200


def test_seeds():
    """Any integer is a seed.

    Equal seeds give equal bytes with any number of threads, and others give other values.
    """
    x = np.random.default_rng(8).normal(size=(1100, 500)).astype(np.float32)
    files = [gcodec.encode(x, "dither", omega=0.5, seed=seed, threads=2) for seed in (3, -1, 2**70 + 3)]
    assert files[0] == gcodec.encode(x, "dither", omega=0.5, seed=3, threads=1)
    assert len(set(files)) == 3
    a, b = gcodec.decode(files[0]), gcodec.decode(files[1])
    assert abs(np.corrcoef((a - x).reshape(-1), (b - x).reshape(-1))[0, 1]) < NORMAL_999 / math.sqrt(x.size)


def test_heavy_tails_and_scales_pay():
    """The classes and densities follow the data.

    They take fewer bits than for Gaussian values at the same ω, and much fewer when sparse.
    """
    random = np.random.default_rng(9)
    gauss = random.normal(size=(300, 400)).astype(np.float32)
    scaled = (gauss * np.exp(1.5 * random.normal(size=(300, 1)))).astype(np.float32)
    sparse = gauss * (random.random(gauss.shape) < 0.01)
    sizes = [payloads.bits(*payloads.encode(Dither(states=8), x, 0.25)) for x in (gauss, scaled, sparse)]
    assert sizes[1] < 0.6 * sizes[0] and sizes[2] < 0.5 * sizes[0]


def test_zero_rows_cost_next_to_nothing():
    """Without a trellis a zero decodes to the nearest point of the dither.

    The density of its class makes that point nearly certain. The 1000 other values get a hundredth
    of the error, 0.25 / 100.
    """
    x = np.zeros((1000, 100), np.float32)
    x[::100] = np.random.default_rng(10).normal(size=(10, 100))
    found = payloads.bits(*payloads.encode(Dither(states=1), x, 0.25))
    assert found < 1000 * (math.log2(100 / 0.25) / 2 + 0.3) + 1000


@given(st.lists(st.integers(0, 2**20), min_size=1, max_size=60).filter(any), st.integers(0, 15))
def test_densities(counts, last_token):
    """What is read is what was written, for all phases.

    Each token up to the last one has a frequency.
    """
    places = np.zeros(densities.PLACES, np.int64)
    places[: len(counts)] = counts
    histograms = np.zeros((kernels.PHASES, rans.SYMBOLS), np.int64)
    histograms[:, 2 * last_token] = 1
    data = np.zeros(200, np.uint8)
    written, read = np.empty_like(histograms), np.empty_like(histograms)
    end = densities.choose_density(places, histograms, data, np.int64(5), written)
    assert densities.get_density(data, np.int64(5), read) == end
    assert np.array_equal(written, read) and (written.sum(1) == rans.TOTAL).all()
    assert (written[:, : 2 * last_token + 1] > 0).all() and not written[:, 2 * last_token + 1 :].any()


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn])
def test_coarse_dtypes_are_refused(dtype):
    with pytest.raises(InvalidInput, match="rsd"):
        gcodec.encode(np.ones(5, dtype), "dither", omega=1.0)


def test_unknown_trellis():
    with pytest.raises(InvalidInput, match="states"):
        gcodec.encode(np.ones(5, np.float32), "dither", omega=1.0, states=4)


@pytest.mark.parametrize(("states", "bound"), [(1, 1.0), (8, 0.2), (8, 1e-3), (32, 1e-9)])
def test_damage(states, bound):
    random = np.random.default_rng(10)
    matrix = (random.normal(size=(40, 30)) * np.exp(2 * random.normal(size=(40, 1)))).astype(np.float32)
    for x in (random.standard_t(2, size=(24, 16)).astype(np.float32), random.normal(size=700), matrix):
        payloads.check_damage(Dither(9, states), x, bound, tries=60)


def test_heads_that_are_not():
    x = np.ones(4, np.float32)
    payload, _ = payloads.encode(Dither(), x, 0.5)
    spec = TensorSpec(x.dtype, x.shape)
    for first in (0xC0, 0x3C):  # a fourth trellis; a seed of 15 bytes
        with pytest.raises(Corrupt):
            Dither.decoder(bytes([first]) + payload.head[1:] + bytes(20), spec)
    with pytest.raises(Corrupt):
        Dither.decoder(payload.head, TensorSpec(np.dtype(np.float16), x.shape))


def test_worked_example():
    """That of the specification."""
    x = np.array([3, -1, 0, 0.5], np.float32)
    payload, chunks = payloads.encode(Dither(7, 8), x, 0.25)
    assert (payload.head.hex().upper(), chunks[0].hex().upper()) == ("441DAC6000", "B0604200012F")
    values = [2.0778060, -2.3002875, -0.55815715, -0.22838996]
    assert payloads.decode(Dither, x, payload, chunks) == pytest.approx(values, rel=1e-7)


def test_plain_python_gives_the_same_bytes():
    assert payloads.run_plain("import test_dither; print(test_dither.digest())") == digest() + "\n"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_near_the_largest_number_it_is_exact_instead_of_biased(dtype):
    """What decodes beyond the largest number would be cut, and the mean too small."""
    largest = float(np.finfo(dtype).max)
    for fraction, kind in ((1.0, "exact"), (0.9, "exact"), (0.01, "omega")):
        data = gcodec.encode(np.full(64, fraction * largest, dtype), "dither", omega=0.25)
        assert header_of(data).guarantee.kind == kind


@pytest.mark.parametrize("method", ["dither", "rsd", "sc", "auto"])
@pytest.mark.parametrize("omega", [1e30, 1e200, 1e308])
def test_a_huge_omega_is_taken(method, omega):
    for x in (np.ones(64, np.float32), np.linspace(-1e300, 1e300, 65)):
        assert np.isfinite(gcodec.decode(gcodec.encode(x, method, omega=omega))).all()
