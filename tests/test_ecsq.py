"""`ecsq`: rate and distortion, classes of scale, damage, worked examples. Its parts are those of
test_levels.py.
"""

import hashlib
import math

import ml_dtypes
import numpy as np
import payloads
import pytest
from checks import distortion, header_of
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import gcodec
from gcodec.coding.bitstring import BitReader
from gcodec.coding.rans import decode_classes, encode_classes
from gcodec.compressors.common.levels import Coded, Labels, Points
from gcodec.compressors.common.quantiser import Part, Quantiser
from gcodec.compressors.common.scale_classes import BLOCKS, CHUNK, NONE, PRODUCT
from gcodec.compressors.contract import TensorSpec
from gcodec.compressors.ecsq.compressor import Ecsq
from gcodec.errors import Corrupt


def digest() -> str:
    """Of heads, chunks and decoded values of some small tensors."""
    rng = np.random.default_rng(3)
    state = hashlib.sha256()
    subnormal = np.array([3e-45, 0, -1e-44], np.float32)
    for x in (rng.standard_t(2, size=(12, 20)).astype(np.float32), rng.normal(size=270), subnormal):
        for bound in (0.1, 1e-7):
            payload, chunks = payloads.encode(Ecsq(), x, bound)
            state.update(payload.head + b"".join(chunks) + payloads.decode(Ecsq, x, payload, chunks).tobytes())
    return state.hexdigest()


def mode_of(payload) -> int:
    reader = BitReader(payload.head, "head")
    Points.unpack(reader)
    return reader.get(2)


@pytest.mark.parametrize("alpha", [0.5, 0.25, 0.1, 0.01, 1e-3, 1e-4])
def test_gaussian(alpha):
    """The whole file is within 0.28 bit of Shannon's bound, and the bound on the error is spent."""
    x = np.random.default_rng(1).normal(size=1 << 20).astype(np.float32)
    data = gcodec.encode(x, "ecsq", alpha=alpha)
    assert 8 * len(data) / x.size <= math.log2(1 / alpha) / 2 + 0.28
    measured = distortion(x, gcodec.decode(data))
    assert 0.99 * alpha <= measured <= alpha
    assert math.isclose(header_of(data).distortion, measured, rel_tol=1e-9)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
@pytest.mark.parametrize("alpha", [0.25, 0.1, 0.003])
def test_distortion_of_matrices(dtype, alpha):
    rng = np.random.default_rng(2)
    x = (rng.normal(size=(90, 40)) * np.exp(rng.normal(size=(90, 1))) * np.exp(rng.normal(size=40))).astype(dtype)
    payload, chunks = payloads.encode(Ecsq(), x, alpha)
    assert 0.98 * alpha <= distortion(x, payloads.decode(Ecsq, x, payload, chunks)) <= alpha * (1 + 1e-9)


@given(
    hnp.arrays(np.float32, st.integers(1, 60), elements=st.floats(-1e6, 1e6, width=32)).filter(np.any),
    st.sampled_from([0.9, 0.3, 0.01, 1e-6]),
)
def test_any_vector(x, alpha):
    y = gcodec.decode(gcodec.encode(x, "ecsq", alpha=alpha))
    assert distortion(x, y) <= alpha * (1 + 1e-12)


@pytest.mark.parametrize("size", [1, 2, 3, 10, 100, 1000])
def test_small_tensors(size):
    """24 bytes, in the mean, beyond 0.25 bit above Shannon's bound of Gaussian values."""
    rng = np.random.default_rng(size)
    coded = [payloads.encode(Ecsq(), rng.normal(size=size).astype(np.float32), 0.01) for _ in range(20)]
    assert np.mean([payloads.bits(*one) for one in coded]) <= 8 * 24 + size * (math.log2(100) / 2 + 0.25)


def test_scale_classes_pay():
    """Values whose scale differs by row and column, by block, or not at all.

    With them come the mode that was made for this, and its gain.
    """
    rng = np.random.default_rng(4)
    plain = rng.normal(size=(256, 512)).astype(np.float32)
    matrix = (plain * np.exp(rng.normal(size=(256, 1))) * np.exp(rng.normal(size=512))).astype(np.float32)
    blocks = (plain.reshape(-1, 256) * np.exp(1.5 * rng.normal(size=(512, 1)))).reshape(-1).astype(np.float32)
    for x, mode in ((plain, NONE), (matrix, PRODUCT), (blocks, BLOCKS)):
        coded = payloads.encode(Ecsq(), x, 0.1)
        assert mode_of(coded[0]) == mode
        shuffled = payloads.encode(Ecsq(), rng.permutation(x.reshape(-1)), 0.1)
        gain = payloads.bits(*shuffled) / payloads.bits(*coded)
        assert gain > 1.15 if mode else gain == pytest.approx(1, abs=0.01)


def test_chunks_decode_alone_and_threads_do_not_matter():
    rng = np.random.default_rng(5)
    x = (rng.normal(size=(900, 1000)) * np.exp(rng.normal(size=(900, 1)))).astype(np.float32)
    payload, chunks = payloads.encode(Ecsq(), x, 0.05)
    assert payload.chunk % 1000 == 0 and payload.chunk <= CHUNK and len(chunks) == 2
    whole = payloads.decode(Ecsq, x, payload, chunks).reshape(-1)
    decoder = Ecsq.decoder(payload.head, TensorSpec(x.dtype, x.shape))
    assert np.array_equal(decoder(chunks[1], payload.chunk, x.size - payload.chunk), whole[payload.chunk :])
    assert gcodec.encode(x, "ecsq", alpha=0.05, threads=1) == gcodec.encode(x, "ecsq", alpha=0.05, threads=2)


def test_a_sample_that_misses_nothing():
    """All values that are not zero are one level at any step, so hardly a step spends the bound."""
    x = np.zeros((4, 1 << 18), ml_dtypes.float8_e5m2)
    x[:, ::4096] = 1
    data = gcodec.encode(x, "ecsq")
    assert len(data) < 320 and distortion(x, gcodec.decode(data)) < 0.02


@pytest.mark.parametrize("bound", [0.3, 1e-3, 1e-9])
def test_damage(bound):
    rng = np.random.default_rng(6)
    matrix = (rng.normal(size=(40, 30)) * np.exp(2 * rng.normal(size=(40, 1)))).astype(np.float32)
    for x in (rng.standard_t(2, size=(24, 16)).astype(np.float32), rng.normal(size=700), matrix):
        payloads.check_damage(Ecsq(), x, bound, tries=150)


def test_random_bytes():
    rng = np.random.default_rng(8)
    spec = TensorSpec(np.dtype(np.float32), (20, 30))
    for _ in range(300):
        try:
            decoder = Ecsq.decoder(rng.bytes(rng.integers(4, 40)), spec)
            decoder(rng.bytes(rng.integers(1, 200)), 0, 600)
        except Corrupt:
            pass


@pytest.mark.parametrize(
    ("x", "alpha", "head", "chunk", "values"),
    [
        ([3, -1, 0, 0.5], 0.1, "2F41FFC0", "9CCB8400FD4D", [3.4765625, -1.73828125, 0, 0]),
        ([100, -1, 0, 0.5], 1e-4, "2ED9FFC0", "B0303880E1AF01B680", [100.452148, -1.7319336, 0, 0]),
    ],
)
def test_worked_examples(x, alpha, head, chunk, values):
    """Those of the specification: what is written, and what it stands for."""
    x = np.array(x, np.float32)
    payload, chunks = payloads.encode(Ecsq(), x, alpha)
    assert (payload.head.hex().upper(), chunks[0].hex().upper()) == (head, chunk)
    assert payloads.decode(Ecsq, x, payload, chunks) == pytest.approx(values, rel=1e-7)


@pytest.mark.parametrize(
    ("code", "numbers"),
    [
        ("AA80005540060005400602000760", [0, 20, 31]),
        ("3480005555555554003010000110", [0, 31]),
        ("05000001", [5] * 9),
        ("26000AA00339223000BDC03603", [7, 8, 9, 10, 11, 10, 9]),
        ("A2B84A4200E58E02", [3] * 5 + [4] * 9),
    ],
)
def test_worked_sequences(code, numbers):
    assert decode_classes(BitReader(bytes.fromhex(code), "classes"), len(numbers)).tolist() == numbers
    assert encode_classes(np.array(numbers)).hex().upper() == code


def test_plain_python_gives_the_same_bytes():
    assert payloads.run_plain("import test_ecsq; print(test_ecsq.digest())") == digest() + "\n"


@pytest.mark.parametrize("dtype", [np.float32, np.float64, ml_dtypes.bfloat16])
@pytest.mark.parametrize("widths", [0, 20])
def test_one_pass_finds_what_several_find(dtype, widths):
    """A few numbers have raw bits: large ones, and where `widths` is a class, all from it on."""
    rng = np.random.default_rng(7)
    dtype = np.dtype(dtype)
    values = np.concatenate([rng.standard_normal(5000), 90 * rng.standard_normal(40)]).astype(dtype)
    values = values.astype(np.float64 if dtype == np.float64 else np.float32)
    classes = rng.choice(32, values.size, p=[0.99 / 20] * 20 + [0.01 / 12] * 12).astype(np.uint8)
    wide = np.where((np.arange(32) >= widths) & (widths > 0), 2, 0).astype(np.int64)
    plain = Quantiser.fresh(Labels(1), dtype, 0.7)
    quantiser = Quantiser(Points(Labels(1), plain.points.step, (0, -6, 0, 3)), dtype, wide, plain.prices)
    part = Part(values, classes, 1)
    found = quantiser.find(part)
    numbers, _ = quantiser._by_thresholds(part)
    coded = Coded.of(numbers, None, classes, wide)
    assert found.large is not None
    assert np.array_equal(found.numbers, numbers)
    assert np.array_equal(found.coded.codes, coded.codes)
    assert (found.coded.raw_bits, found.coded.raw) == (coded.raw_bits, coded.settled(classes).raw)
    assert found.error == pytest.approx(quantiser._error(part, numbers, None, coded), rel=1e-5)
