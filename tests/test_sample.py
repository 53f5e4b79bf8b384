"""The values on which an encoder makes its choices: few, even where a tensor is sparse."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

import gcodec
from gcodec.compressors.common import sample as sample_module
from gcodec.compressors.common.fit import Survey
from gcodec.compressors.common.sample import take
from gcodec.compressors.common.scale_choice import scan
from gcodec.compressors.common.scale_classes import LARGEST_BLOCK, Tiling
from gcodec.source import ArraySource

RNG = np.random.default_rng(6)
ROWS, WIDTH = 1 << 12, 1000  # chunks that do not end with a block
PLACES = (5, ROWS * WIDTH // 2 + 77, ROWS * WIDTH - 1)


def sparse(places=PLACES):
    array = np.zeros((ROWS, WIDTH), np.float32)
    array.reshape(-1)[list(places)] = np.arange(1, len(places) + 1)
    return array


def sample_of(array):
    source = ArraySource(array)
    tiling = Tiling.of(source.shape, source.size)
    return take(source, tiling, scan(source, tiling, 1.0), 1.0), tiling


def test_a_sample_of_a_sparse_tensor_has_its_values():
    sample, tiling = sample_of(sparse())
    assert sorted(sample.values[sample.values != 0]) == [1, 2, 3]
    assert (sample.part, sample.whole) == (3, 3)
    assert sample.values.size < tiling.size // 16


def test_the_spans_of_a_sample_lie_apart_in_one_chunk_each_and_begin_with_a_block():
    sample, tiling = sample_of(sparse())
    stops = [0, *(stop for _, stop in sample.spans)]
    for (start, stop), before in zip(sample.spans, stops, strict=False):
        assert before <= start < stop <= tiling.size
        assert start // tiling.chunk == (stop - 1) // tiling.chunk
        assert start % tiling.chunk % LARGEST_BLOCK == 0


def test_of_many_places_with_values_some_are_taken(monkeypatch):
    monkeypatch.setattr(sample_module, "_COUNT", 2)
    sample, _ = sample_of(sparse())
    assert np.count_nonzero(sample.values) == 3  # groups of one piece each, and the one that is left
    assert (sample.part, sample.whole) == (3, 3)
    sample, _ = sample_of(sparse(range(0, ROWS * WIDTH, ROWS * WIDTH // 64)))
    assert sample.part < 4 and sample.whole >= 64


def test_a_sample_of_a_dense_tensor_stands_for_its_share():
    sample, tiling = sample_of(np.ones((ROWS, WIDTH), np.float32))
    assert sample.values.size == pytest.approx(tiling.size * sample.part / sample.whole, rel=0.1)


def test_a_sample_has_its_share_of_the_energy_however_few_rows_have_most_of_it():
    scales = np.exp(3 * np.random.default_rng(1).standard_normal((ROWS, 1)))
    array = (scales * np.random.default_rng(2).standard_normal((ROWS, WIDTH))).astype(np.float32)
    sample, _ = sample_of(array)
    energy = np.square(sample.values, dtype=np.float64).sum() * sample.whole / sample.part
    assert energy == pytest.approx(np.square(array, dtype=np.float64).sum(), rel=0.1)


@pytest.mark.parametrize("method", ["ecsq", "tcq"])
def test_sparse_tensors_need_little_memory(method):
    array = sparse()
    gcodec.encode(array[:64], method, alpha=0.01)  # compiles
    tracemalloc.start()
    data = gcodec.encode(array, method, alpha=0.01, threads=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * array.size + (8 << 20)  # bytes: kept levels are one each, and the rest is of a chunk
    error = np.square(gcodec.decode(data) - array, dtype=np.float64).sum()
    assert error <= 0.01 * np.square(array, dtype=np.float64).sum()


@pytest.mark.parametrize("times", [1.0, 1.3, 0.6])
def test_a_sample_whose_share_of_the_error_is_another_than_expected(times):
    """A pass without a trellis tells the share; a difference that may be chance is let be."""
    x = RNG.standard_normal((1024, 256)).astype(np.float32)
    survey = Survey.of(ArraySource(x), 0.1)
    found = replace(survey, share=times * survey.share)._share_of_errors()
    assert found == survey.share if times == 1 else found == pytest.approx(survey.share, rel=0.02)
