"""Writes to zarr arrays: whatever is written, each chunk stays within its bound."""

import asyncio
from contextlib import suppress
from itertools import product
from threading import Thread

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stores import ALPHA, FRACTION, X, create, error, normal, settle

from gcodec.errors import InvalidInput, NonFinite

zarr = pytest.importorskip("zarr", reason="the extra gcodec[zarr] is not installed")


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
@given(Writes, st.sampled_from([0.0, 2.5, 100.0]))
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


def stepped(array, draw, values):
    place = np.s_[draw % 3 :: 1 + draw % 4, draw % 2 :: 2]
    array[place] = values[place]
    return place


def outer(array, draw, values):
    rows, columns = sorted({draw % 5, draw % 9, draw % 14}), [draw % 3, 3 + draw % 4]
    array.oindex[rows, columns] = values[np.ix_(rows, columns)]
    return np.ix_(rows, columns)


def masked(array, draw, values):
    mask = np.random.default_rng(draw).random(values.shape) < (0.1, 1.1)[draw % 2]
    array.vindex[mask] = values[mask]
    return mask


def whole(array, draw, values):
    array[:] = values
    return np.s_[:]


@given(st.lists(st.tuples(st.sampled_from([stepped, outer, masked, whole]), st.integers(0, 99)), max_size=9))
@settings(max_examples=25)
def test_other_ways_to_write(writes):
    """A chunk that changed has the new values within its bound, and the others are as they were."""
    array = create((14, 7), chunks=(8, 4), codec={"alpha": ALPHA, "method": "sd"}, fill_value=2.5)
    last = np.full((14, 7), 2.5, np.float32)
    for write, draw in writes:
        before, values, changed, place = array[:], normal(14, 7, seed=draw), last.copy(), None
        with suppress(InvalidInput):
            place = write(array, draw, values)
        settle()
        # What a refused write was about is what it would have written to another array.
        place = write(exact_like(values), draw, values) if place is None else place
        changed[place] = values[place]
        after = array[:]
        for i, j in product(range(0, 14, 8), range(0, 7, 4)):
            chunk = np.s_[i : i + 8, j : j + 4]
            if not np.array_equal(after[chunk], before[chunk]):
                last[chunk] = changed[chunk]
            assert error(after[chunk], last[chunk]) <= ALPHA * FRACTION


def exact_like(values):
    """An exact array of zarr."""
    return create(values.shape, chunks=values.shape, codec={"lossless": True})


@pytest.mark.parametrize("step", [8, 5])
def test_arrays_that_grow_and_shrink(step):
    """Rows that were taken are within the bound, before and after other rows come and go."""
    array, taken = create((0, 64), chunks=(8, 64)), []
    for start in range(0, 40, step):
        with suppress(InvalidInput):
            array.append(X[start : start + step])
            taken.append(start)
        settle()
    assert taken == ([0, 8, 16, 24, 32] if step == 8 else [0])
    before = array[:step].copy()
    array.resize((step - 1, 64))
    array.resize((40, 64))
    assert np.array_equal(array[: step - 1], before[: step - 1]) and error(before, X[:step]) <= ALPHA * FRACTION


def test_a_series_that_grows_step_by_step():
    array = create((0, 64), chunks=(1, 64), shards=(8, 64))
    for i in range(20):
        array.append(X[i : i + 1])
    assert error(array[:], X[:20]) <= ALPHA * FRACTION


@pytest.mark.parametrize("codec", [{}, {"chunk_key_encoding": {"name": "v2", "separator": "."}}, {"name": "g/h"}])
def test_an_array_that_shrank_is_written_as_far_as_it_goes(codec):
    """Its last chunk still holds rows that the array lost; those do not count."""
    array = create(**codec)
    array[:] = X
    array.resize((200, 64))
    with pytest.raises(InvalidInput, match="whole chunks"):
        array[128:190] = X[128:190]
    array[128:] = 2 * X[128:200]
    array[:128] = X[:128]
    assert error(array[128:], 2 * X[128:200]) <= ALPHA * FRACTION
    array.resize((256, 64))
    assert not array[200:].any()


@pytest.mark.parametrize("size", [1, 3])
def test_what_a_refused_write_leaves(size):
    """Chunks are changed one by one, or none is where zarr gives the codec all of them at once."""
    with zarr.config.set({"codec_pipeline.batch_size": size}):
        array = create()
        array[:] = X
        before = array[:]
        with pytest.raises(InvalidInput, match="chunk 'c/1/0'"):
            array[:130] = 2 * X[:130]
        settle()
    assert np.array_equal(array[128:], before[128:])
    if size == 1:
        assert error(array[:128], 2 * X[:128]) <= ALPHA * FRACTION
    else:
        assert np.array_equal(array[:128], before[:128])


class Slow(zarr.storage.MemoryStore):
    """A store to which a write takes a while, as one that is far away."""

    async def set(self, *arguments, **options):
        await asyncio.sleep(0.03)
        await super().set(*arguments, **options)


MANY = normal(40 * 32, 8)


def written_after_a_refusal():
    """The last 32 rows once zarr is through, which were written after the refusal of a part."""
    array = create(MANY.shape, chunks=(32, 8), store=Slow())
    array[:32] = MANY[:32]
    with pytest.raises(InvalidInput, match=r"'After a refusal' in docs/stores.md"):
        array[5:] = MANY[5:]
    array[-32:] = 2 * MANY[-32:]
    settle()
    return array[-32:]


def test_after_a_refusal_the_newer_values_stay_in_one_batch():
    """As the page says; without the setting, zarr overwrites them with the refused ones."""
    assert error(written_after_a_refusal(), MANY[-32:]) <= ALPHA * FRACTION
    with zarr.config.set({"codec_pipeline.batch_size": 1000}):
        assert error(written_after_a_refusal(), 2 * MANY[-32:]) <= ALPHA * FRACTION


def test_after_a_refusal_a_shard_that_is_written_alone_keeps_its_bytes():
    array = create((32, 8), chunks=(8, 8), shards=(32, 8), store=Slow())
    array[:] = MANY[:32]
    before = array[:]
    with pytest.raises(InvalidInput, match="of a shard"):
        array[5:] = 3 * MANY[5:32]
    array[8:16] = 2 * MANY[8:16]
    settle()
    assert error(array[8:16], 2 * MANY[8:16]) <= ALPHA * FRACTION
    assert np.array_equal(array[:8], before[:8]) and np.array_equal(array[16:], before[16:])


@pytest.mark.parametrize("fill", [0, 2.5, 100, 1e30, np.nan, np.inf])
@pytest.mark.parametrize("sides", [{"chunks": (128, 64)}, {"chunks": (64, 64), "shards": (128, 64)}])
def test_the_bound_is_not_spent_on_the_fill_value(sides, fill):
    array = create(fill_value=fill, **sides)
    for part in (np.s_[5:10], np.s_[130:140, 3:9], np.s_[256:258]):
        array[part] = X[part]
        assert error(array[part], X[part]) <= ALPHA * FRACTION
    assert np.array_equal(array[20:60], np.full((40, 64), fill, "f4"), equal_nan=True)
    array[:] = X
    assert 0 < error(array[:], X) <= ALPHA * FRACTION
    with pytest.raises(NonFinite):
        create(fill_value=fill)[3:5] = -np.inf


@pytest.mark.parametrize("missing", [1, 30])
@pytest.mark.parametrize("value", [9.96921e36, -1e10])
def test_a_large_value_for_what_is_missing_does_not_wipe_out_the_rest(missing, value):
    x, array = X.copy(), create(fill_value=0)
    x[5, :missing] = value
    array[:] = x
    assert np.array_equal(array[:128], x[:128]) and 0 < error(array[128:], X[128:]) <= ALPHA * FRACTION


def test_threads_that_write_parts_of_a_new_chunk(tmp_path):
    """One of them is the first; the others are refused, and nothing that was taken is lost."""
    for attempt in range(5):
        create((128, 64), store=tmp_path / str(attempt))
        taken = []

        def write(part, place=tmp_path / str(attempt), taken=taken):
            with suppress(InvalidInput):
                zarr.open_array(place)[part] = X[part]  # each with an array of its own
                taken.append(part)

        threads = [Thread(target=write, args=(np.s_[start : start + 32],)) for start in range(0, 128, 32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = zarr.open_array(tmp_path / str(attempt))[:]
        assert taken and all(error(found[part], X[part]) <= ALPHA * FRACTION for part in taken)


@pytest.mark.parametrize("part", [np.s_[:90], np.s_[:, :40]])
def test_a_copy_of_a_chunk_that_was_first_written_in_part(part):
    """Its container holds a smaller box; it comes again in a copy with the same fill value."""
    made = create((128, 64))
    made[part] = X[:128][part]
    for _ in range(3):
        copied = create((128, 64))
        copied[:] = made[:]
        assert np.array_equal(copied[:], made[:])
        assert copied.store._store_dict["c/0/0"].to_bytes() == made.store._store_dict["c/0/0"].to_bytes()
        made = copied
    other = create((128, 64), fill_value=2.5)
    other[:] = made[:]
    assert error(other[:], made[:]) <= ALPHA * FRACTION and not other[:][90:, 40:].any()
