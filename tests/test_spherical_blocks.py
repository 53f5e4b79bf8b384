"""`sc` in blocks of any tensor: bounds, rates, statistics, damage, the same bytes everywhere."""

import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from checks import distortion
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from spherical_coding import decode, encode, payload_bits, random_vectors, spec_of

import gcodec
from gcodec.compressors.contract import CHUNK, CodedTensor, Guarantee, TensorSpec
from gcodec.compressors.spherical import report
from gcodec.compressors.spherical.blocks import Rules, decode_chunk, encode_chunk, read_leaves
from gcodec.compressors.spherical.choose import Problem
from gcodec.compressors.spherical.compressor import Spherical
from gcodec.compressors.spherical.plan import Plan, lengths_of
from gcodec.errors import Corrupt, InvalidInput
from gcodec.source import ArraySource, spans
from gcodec.theory.spherical import golomb_mean_bits
from gcodec.verification.trials import distortion_check, unbiased_check

GRADIENT = np.load(Path(__file__).parents[1] / "corpora" / "lm_up.npy")


FLOAT32 = hnp.arrays(np.float32, st.integers(1, 300), elements=st.floats(-100, 100, width=32)).filter(np.any)


@given(FLOAT32, st.sampled_from([0.5, 0.1, 0.01]))
def test_alpha_is_met(x, alpha):
    payload, chunks = encode(x, "alpha", alpha, max_draws=1 << 12)
    assert distortion(x, decode(x, payload, chunks)) <= alpha


@pytest.mark.parametrize("alpha", [0.5, 0.1, 0.01])
def test_blocks_spend_the_bound(alpha):
    x = np.random.default_rng(2).normal(size=20_000).astype(np.float32)
    payload, chunks = encode(x, "alpha", alpha, max_draws=1 << 16)
    assert 0.99 * alpha <= distortion(x, decode(x, payload, chunks)) <= alpha
    coding = report.Coding.of(payload.head, spec_of(x), Guarantee("alpha", alpha))
    checked = report.cap_report(coding, chunks[0], x)
    assert checked.outside == 0
    assert checked.blocks > 500
    classes = report.index_report(coding, [(chunks[0], x.size)])
    assert sum(c.blocks for c in classes) == checked.blocks
    for one in classes:
        if one.blocks > 100:
            assert one.index_bits <= one.blocks * (one.cap_bits + 3)
            assert abs(one.index_bits / one.blocks - golomb_mean_bits(one.cap_bits)) < 6 / math.sqrt(one.blocks) + 0.02


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
        assert kind == "alpha" or payload.expected <= bound or scale < 1e-40


@pytest.mark.parametrize("value", [np.finfo(np.float32).max, np.finfo(np.float32).smallest_subnormal * 3])
@pytest.mark.parametrize("options", [{}, {"block": 8}], ids=["one block", "blocks"])
def test_unbiased_at_the_ends_of_the_range(value, options):
    """Values that a decoder would cut, or round to a coarse grid, are stored exactly."""
    x = np.full(6 if not options else 32, value, np.float32)
    assert encode(x, "omega", 1.0, **options)[0].expected == math.inf
    assert gcodec.decode(gcodec.encode(x, "sc", omega=1.0, **options)).tobytes() == x.tobytes()
    assert encode(x / 16 if value > 1 else x * 2**24, "omega", 1.0, **options)[0].expected <= 1


@pytest.mark.parametrize(("size", "options"), [(500, {"block": 10}), (12, {})])
def test_another_seed_with_the_parameters_of_a_head(size, options):
    x = random_vectors(size, 1)[0]
    payload, _ = encode(x, "omega", 1.0, max_draws=1 << 14, **options)
    wanted, chunks = encode(x, "omega", 1.0, max_draws=1 << 14, seed=77, **options)
    coded = CodedTensor(spec_of(x), Guarantee("omega", 1.0), payload)
    found = Spherical.encode_again(coded, ArraySource(x), 77)
    assert (found.head, found.chunk, [found.code(0, size)]) == (wanted.head, wanted.chunk, chunks)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bound", [1e-20, 1e-24, 1e-30, 1e-100, 1e-300, 5e-324])
@pytest.mark.parametrize("size", [1, 2, 300])
def test_bounds_finer_than_any_step(size, bound, dtype):
    """They are met, or the tensor is stored exactly."""
    x = np.random.default_rng(17).normal(size=size).astype(dtype)
    for kind, most in (("alpha", 1), ("omega", 16)):
        assert distortion(x, gcodec.decode(gcodec.encode(x, "sc", **{kind: bound}))) <= most * bound


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
    for check in (unbiased_check(gram, 0.0), distortion_check(np.diag(gram), omega)):
        assert check.ok, check.detail
    assert 0.9 * omega < expected <= omega


def test_unbiased_refuses_coarse_dtypes():
    for dtype in ("float16", "bfloat16", "float8_e5m2"):
        x = np.ones(8, np.dtype(getattr(ml_dtypes, dtype, None) or dtype))
        with pytest.raises(InvalidInput, match="rsd"):
            encode(x, "omega", 1.0)


def test_seed_reaches_the_decoder():
    x = random_vectors(1000, 1)[0]
    for y in (x, x[:8]):
        heads = set()
        for seed in (0, 1, 255, 256, (1 << 64) - 1):
            payload, chunks = encode(y, "alpha", 0.1, seed=seed, max_draws=1 << 18)
            assert distortion(y, decode(y, payload, chunks)) <= 0.1
            assert report.Coding.of(payload.head, spec_of(y), Guarantee("alpha", 0.1)).seed == seed
            heads.add(payload.head)
        assert len(heads) == 5


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
from spherical_coding import decode, encode
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


def test_worked_example():
    """The one of the specification."""
    x = np.array([4, -3, 1, 0.5, 0, 0, 0.1, 0, 1, 2, -2, 1, 9, 0, 0, 1], np.float32)
    head, chunk = "80 04 0400 dd30a83e 3333333f 01 11f42d 02 090040 0dca36", "5726038a"
    y = Spherical.decoder(bytes.fromhex(head), spec_of(x))(bytes.fromhex(chunk), 0, x.size)
    values = """2.3411345 -2.8174253 -0.24411738 0.8739239 0 0 0 0
                1.5089259 3.139587 -0.71073574 1.2661456 8.998304 -0.11532122 0 0"""
    assert y.tolist() == np.array(values.split(), np.float32).tolist()
    assert distortion(x, y) <= 0.1
