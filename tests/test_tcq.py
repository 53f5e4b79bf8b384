"""`tcq`: rates near Shannon's bound, chunks, its decoder on hostile bytes. Its parts are those of
test_levels.py.
"""

import math
import os
import subprocess
import sys

import numpy as np
import pytest
from checks import distortion

import gcodec
from gcodec import dtypes
from gcodec.compressors.common.scale_classes import CHUNK
from gcodec.compressors.contract import Guarantee, Payload, TensorSpec
from gcodec.compressors.tcq.compressor import Tcq
from gcodec.errors import Corrupt, InvalidInput
from gcodec.kernels.entropy.rans import MAX_LANES
from gcodec.kernels.levels import paths, trellis_lane
from gcodec.source import ArraySource, spans


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
    x = np.random.default_rng(5).normal(size=(900, 1000)).astype(np.float32)
    payload, chunks = encode(x, 0.1)
    assert payload.chunk == CHUNK // 1000 * 1000 and len(chunks) == 2
    last = payload.chunk, x.size - payload.chunk
    tail = Tcq.decoder(payload.head, TensorSpec(x.dtype, x.shape))(chunks[1], *last)
    assert np.array_equal(tail, decode(x, payload, chunks).reshape(-1)[payload.chunk :])
    assert gcodec.encode(x, "tcq", alpha=0.1, threads=1) == gcodec.encode(x, "tcq", alpha=0.1, threads=3)


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
            values = Tcq.decoder(b"\x86" + rng.bytes(2) + b"\xc0", spec)(rng.bytes(int(rng.integers(400))), 0, 1000)
            assert values.shape == (1000,) and not np.isnan(values).any()
        except Corrupt:
            refused += 1
    assert refused > 30


def test_unknown_effort():
    with pytest.raises(InvalidInput, match="effort"):
        encode(np.ones(3), 0.1, effort="slow")


def test_worked_example():
    """That of the specification, and the encoder's own way, which is free to be another one, takes
    no more bytes.
    """
    x = np.array([[4, -3, 1], [0.5, 0, 0.1], [2, -2, 1]], np.float32)
    payload, (data,) = encode(x, 0.01)
    head, example = bytes.fromhex("86CCFFC0"), bytes.fromhex("A01FE30C404FBC010596")
    assert len(payload.head + data) <= len(head + example)
    assert distortion(x, decode(x, payload, [data])) <= 0.01
    y = Tcq.decoder(head, TensorSpec(x.dtype, x.shape))(example, 0, x.size)
    step = 0.3031005859375
    assert y.tolist() == pytest.approx([step * level for level in (14, -10, 4, 1, 1, 1, 7, -7, 4)], rel=1e-7)
    assert distortion(x, y.reshape(3, 3)) <= 0.01


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


@pytest.mark.skipif(not trellis_lane.USED, reason="without compiled kernels, all lanes go side by side")
@pytest.mark.parametrize("states", [8, 32])
@pytest.mark.parametrize("lanes", [1, 2, 8])
def test_lanes_that_go_one_by_one_take_the_same_ways(states, lanes):
    """Costs and decisions are those of the plain loop, where metrics are equal as well."""
    count = 501
    metrics = np.round(8 * np.random.default_rng(0).random(paths.SUBSETS * paths.STRIP)).astype(np.float32) / 8
    costs = np.zeros(states * MAX_LANES, np.float32)
    costs[MAX_LANES:] = 1e30
    same, ways, own = costs.copy(), np.zeros((2, count), np.uint32), costs.copy()
    for first in range(0, count, lanes):
        grown, here = same.copy(), min(lanes, count - first)
        paths.ADVANCE[states](same.copy(), grown, metrics, first, ways[0], first, here)
        same = grown
    trellis_lane.WALK[states](own, metrics, ways[1], 0, count, lanes)
    assert np.array_equal(ways[0], ways[1])
    used = [state * MAX_LANES + lane for state in range(states) for lane in range(lanes)]
    assert np.array_equal(same[used], own[used])
