"""What is judged about ecsq, tcq, klt and dither: work, rows, and the errors that are stated."""

import math

import numpy as np
import pytest
from vectors import gcz
from verdicts import varint, work_of

import gcodec
from gcodec.compressors.dither.noise import error_bound
from gcodec.compressors.dither.path import nearest_path
from gcodec.errors import Corrupt

ROWS = np.random.default_rng(0).normal(size=(12, 8)).astype(np.float32)


@pytest.mark.parametrize(("method", "work"), [("ecsq", 16), ("tcq", 16), ("dither", 32)])
@pytest.mark.parametrize(("chunk", "chunks"), [(96, 1), (16, 6)])
def test_the_work_of_a_value(method, work, chunk, chunks):
    found, nbytes = work_of(gcz.record("", ROWS, method, 0.5, chunk=chunk))
    assert (found, nbytes) == (96 * work + 2 * 384 + 131_072 * (1 + chunks), 384)


@pytest.mark.parametrize("rank", [1, 3, 5, 17])
@pytest.mark.parametrize("shape", [(30, 19), (19, 40)])
def test_the_work_of_klt(rank, shape):
    """r·(2¹¹ + width·(64 + ⌊r/4⌋) + 24·height) + (4 + ⌊r/8⌋) a value, of a matrix of rank r."""
    random = np.random.default_rng(rank)
    left, right = (np.linalg.qr(random.normal(size=(n, rank)))[0] for n in shape)
    width, height, size = min(shape), max(shape), math.prod(shape)
    found, _ = work_of(gcz.record("", (left @ right.T).astype(np.float32), "klt", 1e-3))
    own = rank * (2048 + width * (64 + rank // 4) + 24 * height) + size * (4 + rank // 8)
    assert found == own + 2 * 4 * size + 2 * 131_072


def test_chunks_of_klt_are_of_whole_rows():
    """At first a hundred rows a chunk, then a value more."""
    x = np.outer(np.arange(1, 1201), np.arange(1, 9)).astype(np.float32)
    record = gcz.record("", x, "klt", 0.1, chunk=800)
    assert gcodec.decode(gcz.container(record)).shape == (1200, 8)
    with pytest.raises(Corrupt, match="not of whole rows"):
        gcodec.decode(gcz.container(record.but(chunk=varint(801))))


@pytest.mark.parametrize("states", [8, 32])
def test_the_stated_errors_of_dither(states):
    """The mean squared error of 2ᵏ values in a lane is at most as stated, and not much less."""
    random, lanes = np.random.default_rng(states), 64
    for k in range(13):
        count, errors = 1 << k, []
        for _ in range(1 << max(11 - k, 0)):
            targets = random.uniform(-2, 2, (count, lanes))
            levels, _ = nearest_path(targets.reshape(-1), np.arange(lanes) % states, states)
            errors.append(((levels.reshape(count, lanes) - targets) ** 2).sum(axis=0))
        mean, sd = np.mean(errors), np.std(errors) / math.sqrt(np.size(errors))
        assert sd < 0.004 * mean
        for width in (1, 7):
            stated = error_bound(count * width, width, states)
            assert mean - 3 * sd <= stated / width <= 1.015 * mean + 3 * sd, k


@pytest.mark.parametrize("states", [1, 8, 32])
def test_lanes_that_are_not_equally_long(states):
    """Of 100 values in 7 lanes, 2 lanes have 15 values and 5 have 14."""
    one = {count: error_bound(count, 1, states) for count in (14, 15)}
    assert error_bound(100, 7, states) == pytest.approx(2 * one[15] + 5 * one[14], rel=1e-12)
    assert states > 1 or error_bound(100, 7, states) == pytest.approx(100 / 3)
