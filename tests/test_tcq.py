"""`tcq`: rates near Shannon's bound, the trellis search, the code of levels, hostile bytes."""

import itertools
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from checks import distortion
from hypothesis import given, settings
from hypothesis import strategies as st

import gcodec
from gcodec import dtypes
from gcodec.compressors.common import trellis
from gcodec.compressors.common.trellis import Contexts, Labels, Layout
from gcodec.compressors.common.trellis_search import Quantiser
from gcodec.compressors.contract import CHUNK, Guarantee, Payload, TensorSpec
from gcodec.compressors.tcq.compressor import Tcq
from gcodec.errors import Corrupt, InvalidInput
from gcodec.kernels import contexts as kernels
from gcodec.kernels.tcq import CENTROIDS, TRELLISES
from gcodec.source import ArraySource, spans

LABELS = [Labels(zero, index) for zero in (False, True) for index in range(len(TRELLISES))]


def encode(x: np.ndarray, bound: float, **options) -> tuple[Payload, list[bytes]]:
    payload = Tcq(**options).encode(ArraySource(x), Guarantee("alpha", bound))
    return payload, [payload.code(start, stop) for start, stop in spans(x.size, payload.chunk)]


def decode(x: np.ndarray, payload: Payload, chunks: list[bytes]) -> np.ndarray:
    decoder = Tcq.decoder(payload.head, TensorSpec(x.dtype, x.shape))
    parts = [decoder(data, a, b - a) for data, (a, b) in zip(chunks, spans(x.size, payload.chunk), strict=True)]
    return dtypes.narrow(np.concatenate(parts), x.dtype).reshape(x.shape)


def rate(x: np.ndarray, bound: float, **options) -> float:
    """Bits per value of the payload, once the bound is seen to be met and spent."""
    payload, chunks = encode(x, bound, **options)
    assert 0.985 * bound <= distortion(x, decode(x, payload, chunks)) <= bound
    return 8 * (len(payload.head) + sum(map(len, chunks))) / x.size


@pytest.mark.parametrize("alpha", [0.5, 0.1, 0.01, 1e-4])
def test_gaussian_near_shannon(alpha):
    x = np.random.default_rng(1).normal(size=1 << 17).astype(np.float32)
    assert rate(x, alpha) <= 0.5 * math.log2(1 / alpha) + 0.09


def test_states_and_heavy_tails():
    rng = np.random.default_rng(2)
    x = rng.normal(size=1 << 16).astype(np.float32)
    assert rate(x, 0.1, effort="best") < rate(x, 0.1, effort="fast") < 0.5 * math.log2(10) + 0.11
    assert rate(rng.laplace(size=1 << 17), 0.1) <= 1.67
    assert rate(rng.standard_t(3, size=1 << 17), 0.1) <= 1.53


def test_scales_of_rows_and_columns_are_followed():
    rng = np.random.default_rng(3)
    scales = np.exp(rng.normal(size=(256, 1)) + rng.normal(size=(1, 256)))
    x = rng.normal(size=scales.shape) * scales
    shuffled = rng.permutation(x.reshape(-1)).reshape(x.shape)
    assert rate(x, 0.1) < 0.75 * rate(shuffled, 0.1)


@pytest.mark.parametrize("exponent", [-1000, -60, 60, 900])
def test_powers_of_two_change_the_step_alone(exponent):
    x = np.random.default_rng(4).normal(size=(20, 30))
    payload, chunks = encode(x, 0.01)
    moved, moved_chunks = encode(np.ldexp(x, exponent), 0.01)
    assert moved_chunks == chunks
    assert np.array_equal(decode(np.ldexp(x, exponent), moved, chunks), np.ldexp(decode(x, payload, chunks), exponent))


def test_chunks_and_threads():
    x = np.random.default_rng(5).normal(size=(1500, 1000)).astype(np.float32)
    payload, chunks = encode(x, 0.1)
    assert payload.chunk == CHUNK // 1000 * 1000 and len(chunks) == 2
    last = payload.chunk, x.size - payload.chunk
    tail = Tcq.decoder(payload.head, TensorSpec(x.dtype, x.shape))(chunks[1], *last)
    assert np.array_equal(tail, decode(x, payload, chunks).reshape(-1)[payload.chunk :])
    assert gcodec.encode(x, "tcq", alpha=0.1, threads=1) == gcodec.encode(x, "tcq", alpha=0.1, threads=3)


@pytest.mark.parametrize("shape", [(), (1,), (7,), (1, 1), (1, 300), (300, 1), (2, 3), (3, 2, 2, 2), (2, CHUNK + 1)])
def test_layout(shape):
    layout = Layout.of(shape)
    assert 1 <= layout.columns <= layout.chunk <= CHUNK and layout.chunk % layout.columns == 0
    assert math.prod(shape) % layout.columns == 0


def levels_from(magnitudes: list[int], signs: list[bool], labels: Labels) -> np.ndarray:
    """Levels that the trellis allows, with these magnitudes."""
    h0, h1 = TRELLISES[labels.trellis]
    state, levels = 0, []
    for v, negative in zip(magnitudes, signs, strict=True):
        odd = state & 1
        size = 2 * v if not odd else max(2 * v - 1, 0) if labels.zero else 2 * v + 1
        levels.append(-size if negative else size)
        state = int(kernels.advance(state, levels[-1], odd, labels.zero, h0, h1))
    return np.array(levels, np.int32)


SIZES = st.one_of(st.integers(0, 3), st.integers(0, 40), st.integers(0, kernels.MAGNITUDE_MAX - 1))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(SIZES, st.booleans()), min_size=1, max_size=60),
    st.sampled_from(LABELS),
    st.integers(1, 9),
    st.sampled_from([1.0, 0.9]),
    st.floats(2.0**-8, 1e6),
)
def test_levels_survive(drawn, labels, columns, keep, mean):
    magnitudes, signs = zip(*drawn, strict=True)
    levels = levels_from(magnitudes, signs, labels)
    contexts = Contexts(np.full(columns, mean), 1.0, keep)
    code, _ = labels.encode(levels, contexts)
    data = np.frombuffer(code, np.uint8)
    assert np.array_equal(labels.decode(data, levels.size, contexts), levels)
    assert not code or code[-1] != 0
    with pytest.raises(Corrupt):
        labels.decode(np.concatenate([data, np.ones(64, np.uint8)]), levels.size, contexts)


def test_rare_symbols_in_a_row_do_not_empty_the_interval():
    """Every model is trained to near certainty; then symbols come that none of them expected."""
    labels, columns = Labels(True, 0), 40
    sizes = np.round(2.0 ** (np.arange(columns) / 4 - 2)).astype(int) + 1
    magnitudes = [*np.tile(sizes, 2000).tolist(), *[0] * columns, *sizes.tolist(), *[0] * columns]
    levels = levels_from(magnitudes, [False] * len(magnitudes), labels)
    contexts = Contexts(np.full(columns, 1.0), 1.0)
    code, _ = labels.encode(levels, contexts)
    assert np.array_equal(labels.decode(np.frombuffer(code, np.uint8), levels.size, contexts), levels)


@pytest.mark.parametrize("labels", LABELS, ids=str)
def test_search_finds_the_best_path(labels):
    """Against all sequences of levels near the values, priced in the same contexts."""
    rng = np.random.default_rng(6)
    quantiser = Quantiser.fresh(labels)
    h0, h1 = TRELLISES[labels.trellis]
    contexts = Contexts(np.ones(1), 1.0)
    prices = 0.25 * quantiser.bits
    for _ in range(3):
        y = rng.normal(size=4) * 1.5
        bins = np.empty(4, np.uint8)
        kernels.classify(y, 1.0, contexts.means, contexts.confidence, contexts.keep, bins)
        best = math.inf
        for levels in itertools.product(range(-5, 6), repeat=4):
            cost, state = 0.0, 0
            for t, level in enumerate(levels):
                odd = state & 1
                if abs(level) % 2 != odd and not (labels.zero and odd and level == 0):
                    cost = math.inf
                    break
                cost += (y[t] - level) ** 2 + prices[bins[t], *_subset(level, odd, labels.zero)]
                state = int(kernels.advance(state, level, odd, labels.zero, h0, h1))
            best = min(best, cost)
        found, state, cost = quantiser.levels(y, 1.0, contexts), 0, 0.0
        for t, level in enumerate(found.tolist()):
            odd = state & 1
            cost += (y[t] - level) ** 2 + prices[bins[t], *_subset(level, odd, labels.zero)]
            state = int(kernels.advance(state, level, odd, labels.zero, h0, h1))
        assert cost <= best + 1e-12


def _subset(level: int, odd: int, zero: bool) -> tuple[int, int]:
    """Where the price of a level stands: (subset, number of the point in it).

    It is seen from the side of the level's sign.
    """
    size = abs(level)
    if odd == 0:
        return size // 2 % 2, size // 4
    if zero and size == 0:
        return 3, 0
    return (2, size // 4) if size % 4 == 1 else (3, (size + 1) // 4)


def test_centroids_and_extremes_of_levels():
    points = trellis.Points(trellis.Step.below(0.5), (10, -20, 0, 127))
    levels = np.array([0, 1, -1, 2, -3, 4, 5, -(2**30), 2**30 - 1], np.int32)
    wanted = [0, 0.5 + 5 / 128, -0.5 - 5 / 128, 1 - 10 / 128, -1.5, 2 + 63.5 / 128, 2.5, -(2.0**29), 2.0**29 - 0.5]
    assert points.values(levels, np.dtype(np.float64)).tolist() == wanted
    large = trellis.Points(trellis.Step(0, 1023), (0,) * CENTROIDS)
    assert large.values(np.array([-9], np.int32), np.dtype(np.float32)).tolist() == [-float(np.finfo(np.float32).max)]
    assert large.values(np.array([9], np.int32), np.dtype(np.float64)).tolist() == [float(np.finfo(np.float64).max)]


@pytest.mark.parametrize("index", range(0, 128, 9))
def test_codes_of_means(index):
    mean = trellis.mean_of_code(np.array(index))
    assert trellis.code_of_mean(mean) == index
    assert trellis.code_of_mean(mean * 1.05) == trellis.code_of_mean(mean * 0.96) == index


def test_every_prefix_and_flipped_bit():
    x = np.random.default_rng(7).normal(size=(9, 8)).astype(np.float32)
    payload, (data,) = encode(x, 0.01)
    spec = TensorSpec(x.dtype, x.shape)
    for cut in range(len(payload.head)):
        with pytest.raises(Corrupt):
            Tcq.decoder(payload.head[:cut], spec)
    with pytest.raises(Corrupt):
        Tcq.decoder(payload.head + b"\0", spec)
    decoder = Tcq.decoder(payload.head, spec)
    damaged = [data[:cut] for cut in range(len(data))]
    damaged += [
        bytes(b ^ (1 << bit) * (i == at) for i, b in enumerate(data)) for at in range(len(data)) for bit in range(8)
    ]
    for bad in damaged:
        try:
            assert decoder(bad, 0, x.size).shape == (x.size,)
        except Corrupt:
            pass


def test_random_bytes():
    rng = np.random.default_rng(8)
    spec = TensorSpec(np.dtype(np.float32), (50, 20))
    refused = 0
    for _ in range(300):
        try:
            values = Tcq.decoder(rng.bytes(rng.choice([5, 9])), spec)(rng.bytes(int(rng.integers(400))), 0, 1000)
            assert values.shape == (1000,) and not np.isnan(values).any()
        except Corrupt:
            refused += 1
    assert refused > 30


def test_unknown_effort():
    with pytest.raises(InvalidInput, match="effort"):
        encode(np.ones(3), 0.1, effort="slow")


def test_worked_example():
    x = np.array([[4, -3, 1], [0.5, 0, 0.1], [2, -2, 1]], np.float32)
    payload, (data,) = encode(x, 0.01)
    assert (payload.head.hex().upper(), data.hex().upper()) == ("162D7FE240", "F4329766C0")
    y = decode(x, payload, [data])
    wanted = [4.157959, -2.7719727, 1.3859863, 0.69299316, 0, 0, 1.7324829, -2.0789795, 1.0394897]
    assert y.reshape(-1).tolist() == pytest.approx(wanted, rel=1e-7)


PLAIN = """
import numpy as np
from gcodec.compressors.contract import Guarantee, TensorSpec
from gcodec.compressors.registry import by_name
from gcodec.source import ArraySource
rng = np.random.default_rng(0)
for x in (rng.normal(size=(9, 6)).astype("f4"), rng.standard_t(2, size=50), np.eye(8, dtype="f2")):
    for cls in (by_name("tcq").load(), by_name("klt").load()):
        for alpha in (0.3, 1e-4):
            payload = cls().encode(ArraySource(x), Guarantee("alpha", alpha))
            data = payload.code(0, x.size)
            values = cls.decoder(payload.head, TensorSpec(x.dtype, x.shape))(data, 0, x.size)
            print(payload.head.hex(), data.hex(), values.tobytes().hex())
"""


def test_same_without_compilation():
    """Bytes and decoded values, of `klt` as well."""
    outputs = []
    for disabled in ("0", "1"):
        env = os.environ | {"NUMBA_DISABLE_JIT": disabled, "PYTHONHASHSEED": "0"}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", PLAIN],
            env=env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    assert outputs[0] == outputs[1]
