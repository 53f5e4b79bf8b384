"""Writes to zarr arrays: whatever is written, each chunk stays within its bound."""

from contextlib import suppress
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stores import ALPHA, FRACTION, X, create, error, normal, settle

from gcodec.errors import InvalidInput

pytest.importorskip("zarr", reason="the extra gcodec[zarr] is not installed")


def test_writing_into_a_chunk_is_refused():
    array = create()
    array[:] = X
    before = array[:]
    with pytest.raises(InvalidInput, match="chunk 'c/0/0'.*whole chunks"):
        array[3:5] = 0
    with pytest.raises(InvalidInput, match="whole chunks"):
        array[::2] = 1
    with pytest.raises(InvalidInput, match="whole chunks"):
        array.vindex[[1], [2]] = 7
    assert np.array_equal(array[:], before)
    array[128:256] = 3
    array[256:] = X[256:] * 2
    assert np.allclose(array[128:256], 3, rtol=0.5) and error(array[256:], 2 * X[256:]) <= ALPHA * FRACTION
    assert np.array_equal(array[:128], before[:128])


def test_exact_chunks_take_any_write():
    array, x = create(codec={"lossless": True}), X.copy()
    array[:] = x
    for selection, value in ((np.s_[3:5], 0), (np.s_[::2, 1], 4), (np.s_[7], X[8]), (np.s_[100:200, 3:9], X[:100, :6])):
        array[selection] = x[selection] = value
    array.oindex[[1, 9], 3] = x[np.ix_([1, 9], [3])] = 5
    assert np.array_equal(array[:], x)


def test_other_codecs_beside_it_are_refused():
    array = create(compressors="auto")
    with pytest.raises(InvalidInput, match="compressors=None"):
        array[:] = X
    array = create(compressors="auto", codec={"lossless": True})
    array[:] = X
    array[3:5] = 0
    assert np.array_equal(array[5:], X[5:]) and not array[3:5].any()


def test_inner_chunks_that_are_not_written_keep_their_bytes():
    array = create(chunks=(32, 64), shards=(128, 64))
    array[:] = X
    before = array[:]
    with pytest.raises(InvalidInput, match=r"chunk \([01], 0\) of a shard.*whole chunks"):
        array[10:40] = 1
    array[32:64] = X[:32]
    changed = array[:]
    assert np.array_equal(np.delete(changed, np.s_[32:64], 0), np.delete(before, np.s_[32:64], 0))
    assert error(changed[32:64], X[:32]) <= ALPHA * FRACTION


Writes = st.lists(
    st.tuples(st.integers(0, 23), st.integers(1, 24), st.integers(0, 7), st.integers(1, 8), st.integers(0, 99)),
    min_size=1,
    max_size=12,
)


@pytest.mark.parametrize("sides", [{"chunks": (8, 4)}, {"chunks": (4, 4), "shards": (8, 8)}])
@given(Writes, st.sampled_from([0.0, 2.5]))
@settings(max_examples=25)
def test_any_sequence_of_writes(sides, writes, fill):
    """Each chunk's error stays within the bound for what was last written there."""
    shape = (22, 7)
    array = create(shape, fill_value=fill, codec={"alpha": ALPHA, "method": "sd"}, **sides)
    last = np.full(shape, fill, np.float32)
    height, width = sides["chunks"]
    for start, rows, left, columns, seed in writes:
        part = np.s_[start : start + rows, left : left + columns]
        before, values = array[:], normal(*last[part].shape, seed=seed)
        with suppress(InvalidInput):  # then some chunks were written, and some were not
            array[part] = values
        settle()
        changed, after = last.copy(), array[:]
        changed[part] = values
        for i, j in product(range(0, shape[0], height), range(0, shape[1], width)):
            chunk = np.s_[i : i + height, j : j + width]
            if not np.array_equal(after[chunk], before[chunk]):
                last[chunk] = changed[chunk]
            assert error(after[chunk], last[chunk]) <= ALPHA * FRACTION
