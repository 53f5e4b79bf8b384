"""HDF5 files for tests: as Keras writes them, and with every kind of object.

Functions take them through Reader and Writer.
"""

from pathlib import Path

import h5py
import ml_dtypes
import numpy as np

from gcodec.io import hdf5

PLAIN = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")


def copy(source: Path, target: Path, piece: int = 1000, skip: tuple[str, ...] = (), writer=hdf5.Writer) -> dict:
    """Every tensor of a file through a Writer, in pieces that fit no chunk; gives the arrays."""
    arrays = {}
    with hdf5.Reader(source) as reader, writer(target, meta_of(reader)) as out:
        for name, tensor in reader.tensors():
            arrays[name] = tensor.read(0, tensor.size).reshape(tensor.shape)
            if name in skip:
                continue
            sink = out.add(name, tensor.dtype, tensor.shape)
            for start in range(0, tensor.size, piece):
                sink.write(start, tensor.read(start, min(start + piece, tensor.size)))
    return arrays


def meta_of(reader: hdf5.Reader) -> dict:
    """The metadata that a container of this file has."""
    return reader.meta | {"names": [name for name, _ in reader.tensors()]}


def numbers(*shape: int, dtype: str = "f4", seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(shape) * 100).astype(dtype)


def write_keras(path: Path, **options: object) -> None:
    """A model as Keras writes it.

    It has layer groups, lists of names as attributes, and the configuration as text.
    """
    with h5py.File(path, "w", **options) as file:
        file.attrs["keras_version"] = "2.15.0"
        file.attrs["model_config"] = '{"class_name": "Sequential"}' * 50
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = np.array([b"dense", b"embedding"])
        weights.attrs["backend"] = b"tensorflow"
        dense = weights.create_group("dense/dense")
        dense.parent.attrs["weight_names"] = np.array([b"dense/kernel:0", b"dense/bias:0"])
        dense["kernel:0"] = numbers(30, 70)
        dense["bias:0"] = numbers(70)
        table = weights.create_group("embedding")
        table.create_dataset(
            "table", data=numbers(130, 33, dtype="f2"), chunks=(50, 20), compression="gzip", shuffle=True
        )
        table["bf16"] = numbers(40).astype(ml_dtypes.bfloat16)
        table["bf16"].attrs["dtype"] = "bfloat16"
        file["optimizer_weights/iterations"] = np.int64(12345)


def write_everything(path: Path, **options: object) -> None:
    """As a trainer might write it, with every kind of object that HDF5 has."""
    with h5py.File(path, "w", **options) as file:
        write_layouts(file.create_group("layouts", track_order=True))
        write_kinds(file.create_group("kinds"))
        write_links(file)
        file.attrs.create("empty", h5py.Empty("f4"))
        file.attrs["points to"] = file["layouts/gzip"].ref
        file.attrs["unicode"] = "Gewichte: αβγ"
        file["layouts"].attrs["matrix"] = numbers(5, 5, dtype="f8")


def write_layouts(group: h5py.Group) -> None:
    values = numbers(203, 57)
    group.create_dataset("gzip", data=values, chunks=(20, 20), compression="gzip", fletcher32=True, fillvalue=7.0)
    group.create_dataset("growing", data=values, chunks=(64, 57), maxshape=(None, 57), compression="gzip", shuffle=True)
    group.create_dataset("growing both ways", data=values, chunks=(50, 30), maxshape=(None, None), compression="gzip")
    group.create_dataset("one chunk", data=values, chunks=values.shape, compression="gzip")
    group.create_dataset("larger chunk", data=values, chunks=(300, 60), maxshape=(None, None), compression="gzip")
    group.create_dataset("unfiltered", data=values, chunks=(64, 32), fillvalue=-1.0)
    group.create_dataset("contiguous", data=values, track_times=True)
    group.create_dataset("big endian", data=values.astype(">f8"))
    group.create_dataset("big endian gzip", data=values.astype(">i2"), chunks=(30, 57), compression="gzip")
    group.create_dataset("never written", shape=(400, 5), dtype="f4", fillvalue=3.0)
    group.create_dataset("three axes", data=numbers(7, 11, 13), chunks=(2, 3, 5), compression="gzip")
    gzip = dict(chunks=(100, 100), compression="gzip")
    sparse = group.create_dataset("sparse", shape=(1000, 1000), dtype="f4", fillvalue=2.5, **gzip)
    sparse[300:310, 300:310] = 1.0
    compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    compact.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple((8,))
    low = h5py.h5d.create(group.id, b"compact", h5py.h5t.IEEE_F32LE, space, compact)
    low.write(h5py.h5s.ALL, h5py.h5s.ALL, numbers(8))
    group.create_dataset("scale offset", data=np.arange(1000).reshape(20, 50), chunks=(10, 50), scaleoffset=0)


def write_kinds(group: h5py.Group) -> None:
    for dtype in PLAIN:
        group[dtype] = numbers(100, dtype=dtype) if dtype[0] != "u" else np.arange(100, dtype=dtype)
    group["bool"] = numbers(50) > 0
    group["complex64"] = numbers(20) + 1j * numbers(20, seed=1)
    group["complex128"] = numbers(20, dtype="f8") * 1j
    group["long double"] = numbers(20).astype(np.longdouble)
    group["scalar"] = np.float32(2.5)
    group["empty"] = np.zeros((0, 3), "f4")
    group["null"] = h5py.Empty("f8")
    group["nan"] = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45] * 20, "f4")
    colours = h5py.enum_dtype({"RED": 0, "GREEN": 7}, basetype="i2")
    group.create_dataset("enum", data=np.array([0, 7] * 40, "i2"), dtype=colours)
    group["fixed text"] = np.array([b"one", b"two"] * 30, "S5")
    group.create_dataset("text", data=["text of any length" * 9, "é"], dtype=h5py.string_dtype())
    group.create_dataset(
        "texts", data=["a" * i for i in range(50)], dtype=h5py.string_dtype(), chunks=(9,), compression="gzip"
    )
    group["compound"] = np.array([(1, 2.5, b"x")] * 9, [("a", "i4"), ("b", "f4"), ("c", "S3")])
    group["opaque"] = np.array([b"\0\1\2"] * 30, "V3")
    ragged = group.create_dataset("ragged", (3,), dtype=h5py.vlen_dtype(np.dtype("f4")))
    ragged[0], ragged[2] = numbers(3), numbers(100)
    group.create_dataset("pairs", (50,), np.dtype(("f4", (2,))))[:] = numbers(50, 2)
    group["references"] = np.array([group.ref, group["f4"].ref], h5py.ref_dtype)
    regions = group.create_dataset("regions", (1,), dtype=h5py.regionref_dtype)
    regions[0] = group["f4"].regionref[3:50]
    group["a type"] = np.dtype("f4")


def write_links(file: h5py.File) -> None:
    links = file.create_group("links")
    links["hard"] = file["layouts/gzip"]
    links["soft"] = h5py.SoftLink("/kinds/f4")
    links["dangling"] = h5py.SoftLink("/nowhere")
    links["outside"] = h5py.ExternalLink("other.h5", "/secret")
    links["cycle"] = file
    links["a group again"] = file["kinds"]


def write_plain(path: Path, tensors: dict[str, np.ndarray]) -> None:
    with hdf5.Writer(path, {}) as writer:
        for name, array in tensors.items():
            sink = writer.add(name, array.dtype, array.shape)
            for start in range(0, array.size, 7):
                sink.write(start, array.ravel()[start : start + 7])
