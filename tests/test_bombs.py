"""Small containers that declare a lot fill neither the disk nor memory with unsent values."""

import base64
import os
import struct
import time
import zlib

import h5py
import numpy as np
import pytest
from checks import call_cli, run_cli
from h5py import h5d, h5p, h5s, h5t
from hdf5_files import copy, numbers
from safetensors.numpy import save_file

from gcodec.container.budget import Budget
from gcodec.container.writer import ContainerWriter
from gcodec.errors import LimitExceeded
from gcodec.io import hdf5
from gcodec.io.formats import deflate_work
from gcodec.io.skeleton import SKELETON
from gcodec.pipeline import auto
from gcodec.request.choice import choose
from gcodec.source import ArraySource


def write_container(path, tensors, meta):
    with open(path, "wb") as file:
        writer = ContainerWriter(file, meta)
        for name, array in tensors:
            with auto.compress(name, ArraySource(array), choose("lossless")) as coded:
                writer.add(coded.header, coded.pieces(), coded.work)
        writer.close()


def bomb(path, fill=None):
    """The skeleton of a file with a contiguous dataset, without that dataset's bytes.

    The dataset has 3 GiB if it has no fill value.
    """
    create = h5p.create(h5p.DATASET_CREATE)
    create.set_alloc_time(h5d.ALLOC_TIME_EARLY)
    create.set_fill_time(h5d.FILL_TIME_NEVER if fill is None else h5d.FILL_TIME_ALLOC)
    if fill is not None:
        create.set_fill_value(np.array(fill, "f4"))
    shape = (3 << 28,) if fill is None else (1 << 10,)
    with h5py.File(path, "w") as file:
        dataset = h5d.create(file.id, b"big", h5t.NATIVE_FLOAT, h5s.create_simple(shape), create)
        offset, length = dataset.get_offset(), dataset.get_storage_size()
    with open(path, "rb") as file:
        before = file.read(offset)
        file.seek(offset + length)
        kept = before + file.read()
    size = os.path.getsize(path)
    path.unlink()
    return np.frombuffer(struct.pack("<QQQQ", size, 1, offset, length) + kept, np.uint8)


def test_a_dataset_without_a_record_fills_no_disk(tmp_path):
    """Neither is it made of nothing: whoever reads it would take its zeros for values."""
    for fill in (None, 7):
        write_container(tmp_path / "x.gcz", [(SKELETON, bomb(tmp_path / "bomb.h5", fill))], {"format": "h5"})
        assert (tmp_path / "x.gcz").stat().st_size < 1000
        code, _, err = call_cli("decode", tmp_path / "x.gcz", "-o", tmp_path / "x.h5")
        assert code == 3 and "no record of the dataset 'big'" in err
        assert not (tmp_path / "x.h5").exists()


def test_chunks_larger_than_their_dataset_count_against_the_limit(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        options = dict(chunks=(1 << 20,), maxshape=(None,), compression="gzip")
        for i in range(4):
            file.create_dataset(f"{i}", data=numbers(10), **options)
    arrays = copy(tmp_path / "a.h5", tmp_path / "b.h5")
    with pytest.raises(LimitExceeded, match="limit"), hdf5.Writer(tmp_path / "c.h5", {}, Budget(10 << 20)) as writer:
        for name, array in arrays.items():
            writer.add(name, array.dtype, array.shape).write(0, array.ravel())


def test_a_header_out_of_proportion(tmp_path):
    header = b'{"a":[' + b"{}," * 10_000_000 + b"{}]}"
    packed = base64.b64encode(zlib.compress(header, 9)).decode()
    write_container(tmp_path / "x.gcz", [("a", np.ones(4))], {"format": "safetensors", "header": packed})
    start = time.perf_counter()
    code, _, err = call_cli("decode", tmp_path / "x.gcz", "-o", tmp_path / "x.safetensors")
    assert code == 5 and "--limit" in err and time.perf_counter() - start < 3
    assert not (tmp_path / "x.safetensors").exists()


def test_an_honest_header_that_packs_well(tmp_path):
    """It is stored so that it is in proportion."""
    save_file({"a": np.ones(4)}, tmp_path / "a.safetensors", metadata={"log": "0" * (3 << 20)})
    assert call_cli("encode", tmp_path / "a.safetensors", "--lossless")[0] == 0
    assert call_cli("decode", tmp_path / "a.safetensors.gcz", "-o", tmp_path / "b.safetensors")[0] == 0
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_metadata_that_is_no_unicode(tmp_path):
    header = b'{"__metadata__":{"k":"\\ud800"},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'
    (tmp_path / "x.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"\0")
    code, _, err = call_cli("encode", tmp_path / "x.safetensors", "--lossless")
    assert code == 2 and "surrogate" in err
    packed = base64.b64encode(zlib.compress(header)).decode()
    write_container(
        tmp_path / "x.gcz", [("a", np.ones(4)), ("b", np.ones(4))], {"format": "safetensors", "header": packed}
    )
    assert call_cli("decode", tmp_path / "x.gcz", "--tensor", "b", "-o", tmp_path / "y.safetensors")[0] == 0


@pytest.mark.parametrize("shape, options", [((8,), dict(chunks=(30_000_000,), maxshape=(None,), compression="gzip")),
                                            ((80_000,), dict(chunks=(1,)))])  # fmt: skip
def test_chunks_that_take_long_for_few_values(tmp_path, shape, options):
    """A chunk far larger than its dataset, and one for every value."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", shape, "f4", **options)
    with pytest.raises(LimitExceeded, match="'x'.*--limit"):
        copy(tmp_path / "a.h5", tmp_path / "b.h5")


def test_filters_are_paid_for_by_what_changes():
    noise = np.random.default_rng(0).normal(size=1 << 20).astype("f4")
    assert deflate_work(np.ones_like(noise)) < deflate_work(noise) / 7


@pytest.mark.parametrize("first", [0.0, 1.0])
def test_honest_archives_come_back_through_a_pipe(tmp_path, first):
    """48 MB of one value, which is quick to deflate, and then noise."""
    noise = np.random.default_rng(0).normal(size=1 << 16).astype("f4")
    np.savez_compressed(tmp_path / "a.npz", x=np.concatenate([np.full(12_000_000, first, "f4"), noise]), y=noise)
    assert call_cli("encode", tmp_path / "a.npz", "--lossless")[0] == 0
    data = (tmp_path / "a.npz.gcz").read_bytes()
    code, _, err = run_cli("decode", "-", "-o", tmp_path / "b.npz", stdin=data)
    assert code == 0, err
    with np.load(tmp_path / "a.npz") as a, np.load(tmp_path / "b.npz") as b:
        assert all(np.array_equal(a[key], b[key]) for key in ("x", "y"))
