"""What is judged about ecsq, tcq, klt and dither.

That is their work, whole rows, and the errors that are stated.
"""

import math

import numpy as np
import pytest
from vectors import gcz
from verdicts import varint, work_of

import gcodec
from gcodec.compressors.dither.compressor import error_bound, trellis_of
from gcodec.errors import Corrupt
from gcodec.kernels import dither as kernels

ROWS = np.random.default_rng(0).normal(size=(12, 8)).astype(np.float32)


@pytest.mark.parametrize(("method", "work"), [("ecsq", 16), ("tcq", 48), ("dither", 32)])
@pytest.mark.parametrize(("chunk", "chunks"), [(96, 1), (16, 6)])
def test_the_work_of_a_value(method, work, chunk, chunks):
    found, nbytes = work_of(gcz.record("", ROWS, method, 0.5, chunk=chunk))
    assert (found, nbytes) == (96 * work + 2 * 384 + 131_072 * (1 + chunks), 384)


@pytest.mark.parametrize("rank", [1, 3, 5])
@pytest.mark.parametrize("shape", [(30, 9), (9, 40)])
def test_the_work_of_klt(rank, shape):
    """r·(2¹¹ + width·(96 + 2r) + 48·height) + (4 + ⌊r/4⌋) a value, of a matrix of rank r."""
    random = np.random.default_rng(rank)
    left, right = (np.linalg.qr(random.normal(size=(n, rank)))[0] for n in shape)
    width, height, size = min(shape), max(shape), math.prod(shape)
    found, _ = work_of(gcz.record("", (left @ right.T).astype(np.float32), "klt", 1e-3))
    own = rank * (2048 + width * (96 + 2 * rank) + 48 * height) + size * (4 + rank // 4)
    assert found == own + 2 * 4 * size + 2 * 131_072


@pytest.mark.parametrize("method", ["tcq", "klt"])
def test_chunks_are_of_whole_rows(method):
    """The same bytes as rows of another length: at first two a chunk, then one and a third."""
    x = np.outer(np.arange(1, 1201), np.arange(1, 9)).astype(np.float32)
    record = gcz.record("", x, method, 0.1, chunk=16 * 50)
    assert gcodec.decode(gcz.container(record)).shape == (1200, 8)
    with pytest.raises(Corrupt, match="not of whole rows"):
        gcodec.decode(gcz.container(record.but(dims=varint(800) + varint(12))))


@pytest.mark.parametrize("states", [8, 32])
def test_the_stated_errors_of_dither(states):
    """The mean squared error of 2ᵏ values is at most what is stated, and not much less."""
    trellis, random = trellis_of(states), np.random.default_rng(states)
    for k in range(13):
        count, tries = 1 << k, max(1 << (17 - k), 40)
        targets = random.uniform(-2, 2, (tries, count))
        levels = np.empty(count, np.int64)
        errors = [
            kernels.nearest_path(target, t % states, trellis.before, trellis.residues, levels)
            for t, target in enumerate(targets)
        ]
        mean, sd = np.mean(errors), np.std(errors) / math.sqrt(tries)
        stated = error_bound(count, states)
        assert sd < 0.004 * mean
        assert mean - 3 * sd <= stated <= 1.015 * mean + 3 * sd, k
