"""Mutated .npy, .npz and .safetensors files, and what must hold when they are read.

Headers are changed in their fields, with the lengths and checksums around them mended, or as raw
bytes. A file gives an error of gcodec, or the values that the format's own library reads.
"""

import io
import json
import random
import tempfile
import warnings
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import safetensors.numpy

from gcodec.errors import GcodecError
from gcodec.io import formats

from .engine import EDGES, bytes_like

FORMATS = ("npy", "npz", "safetensors")
TYPES = ("<f4", ">f4", "<f8", "|u1", "<i8", "|b1", "<c8", "|V2", "|O", "<U4", "<M8[s]", "<f2", "?", "", "<f16", "f4,i4")
MOST_VALUES = 1 << 20  # so many values of a tensor are read


@dataclass(frozen=True)
class Mutant:
    """A file of one of the formats."""

    data: bytes
    fmt: str


def mutant(rng: random.Random, fmt: str) -> Mutant:
    data = rng.choice(seeds(fmt))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        change = bytes_changed if rng.random() < 0.4 else {"npy": npy, "npz": npz, "safetensors": safetensor}[fmt]
        data = change(rng, data)
    return Mutant(data, fmt)


@cache
def seeds(fmt: str) -> tuple[bytes, ...]:
    """Small good files."""
    values = np.random.default_rng(0).normal(size=(5, 7))
    arrays = [values.astype(name) for name in ("<f4", ">f8", "<i2", "u1", "<c8", "bool")]
    arrays += [np.asfortranarray(values), np.float32(3), np.zeros((0, 4), np.float16)]
    if fmt == "npy":
        return tuple(map(npy_of, arrays))
    named = {f"layer.{i}": array for i, array in enumerate(arrays)}
    if fmt == "safetensors":
        native = {name: np.ascontiguousarray(array, array.dtype.newbyteorder("=")) for name, array in named.items()}
        one = {"w": native["layer.0"]}
        return safetensors.numpy.save(native, {"format": "pt"}), safetensors.numpy.save(one)
    plain, packed = io.BytesIO(), io.BytesIO()
    np.savez(plain, **named)
    np.savez_compressed(packed, **named)
    bits = {"b.npy": npy_of(np.arange(9, dtype=np.uint16)), "__gcodec_dtypes__.json": b'{"b": "bfloat16"}'}
    return plain.getvalue(), packed.getvalue(), zipped(bits, zipfile.ZIP_STORED)


def npy_of(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def zipped(members: dict[str, bytes], packing: int) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", packing) as archive:
        warnings.simplefilter("ignore")  # that a name, cut at a zero, comes twice
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, packing)
    return file.getvalue()


def bytes_changed(rng: random.Random, data: bytes) -> bytes:
    return bytes_like(rng, data, rng.choice(seeds("npy")))


def npy(rng: random.Random, data: bytes) -> bytes:
    """Another shape, dtype or order, in a header of the right length and of any version."""
    shape = tuple(rng.choice((0, 1, 2, 5, 7, 35, -1, *EDGES)) for _ in range(rng.choice((0, 1, 1, 2, 2, 3, 65))))
    text = repr({"descr": rng.choice(TYPES), "fortran_order": rng.choice((True, False, 1, None)), "shape": shape})
    if rng.random() < 0.3:
        text = bytes_like(rng, text.encode(), data).decode("latin1")
    head = text.encode("latin1") + b" " * rng.randrange(9) + b"\n"
    version = rng.choice((1, 1, 1, 2, 3, 0, 9))
    length = len(head).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes((version, 0)) + length + head + data[128 if len(data) >= 128 else 0 :]


def npz(rng: random.Random, data: bytes) -> bytes:
    """Another member, with its checksum; or a number changed in the directory at the end."""
    if rng.random() < 0.4:
        at = rng.randrange(max(0, data.rfind(b"PK\1\2") - 200), len(data)) if data else 0
        width = rng.choice((1, 2, 4))
        return data[:at] + (rng.choice(EDGES) % (1 << 8 * width)).to_bytes(width, "little") + data[at + width :]
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    except Exception:  # changed before: zipfile raises almost anything
        return bytes_changed(rng, data)
    name = rng.choice([*members, "new.npy"])
    old = members.pop(name, npy_of(np.arange(3)))
    named = rng.choice((name, name, name, "", "../x.npy", "/x.npy", "a\0.npy", "x.txt", "é" * 300 + ".npy"))
    members[named] = (npy if rng.random() < 0.7 else bytes_changed)(rng, old)
    return zipped(members, rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)))


def safetensor(rng: random.Random, data: bytes) -> bytes:
    """A field of a tensor changed, with the header's length mended."""
    length = int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8 : 8 + length])
        name = rng.choice(list(header))
        _change_entry(rng, header, name)
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):  # changed before
        return bytes_changed(rng, data)
    text = json.dumps(header).encode()
    if rng.random() < 0.2:
        text = bytes_like(rng, text, data)
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def _change_entry(rng: random.Random, header: dict, name: str) -> None:
    number = rng.choice((0, 1, 4, 5, 7, 140, -1, 0.5, 1e400, *EDGES))
    match rng.randrange(7):
        case 0:
            header[name]["dtype"] = rng.choice(("F64", "F32", "BF16", "F8_E4M3", "BOOL", "F4", "", None, 7))
        case 1:
            shape = header[name]["shape"]
            shape[rng.randrange(len(shape))] = number
        case 2:
            header[name]["data_offsets"][rng.randrange(2)] = number
        case 3:
            header[rng.choice(("", "a/b", "\ud800", "__metadata__", "x" * 999))] = header.pop(name)
        case 4:
            header[name] = rng.choice((None, [], {}, 3, "x", [[]] * 9))
        case 5:
            header[name]["shape"] = [number] * rng.choice((0, 1, 2, 65))
        case 6:
            del header[name]


def check(one: Mutant) -> bool:
    """Whether the file is accepted. Raises AssertionError when its values are not those of the
    format's library, as far as that accepts it too.
    """
    path = _folder() / f"x.{one.fmt}"
    path.write_bytes(one.data)
    found: dict[str, bytes] = {}
    try:
        with formats.reader(path, one.fmt) as reader:
            for name, tensor in reader.tensors():
                assert tensor.size * tensor.dtype.itemsize < 1 << 26, "more is claimed than the file can hold"
                found[name] = tensor.read(0, min(tensor.size, MOST_VALUES)).tobytes()
    except GcodecError:
        return False
    expected = by_library(one)
    assert expected is None or found == {name: expected.get(name) for name in found}, "wrong values"
    return True


def by_library(one: Mutant) -> dict[str, bytes] | None:
    """The bytes of each array in native order, by the format's library; None where it refuses."""
    try:
        return _loaded(one)
    except Exception:  # it raises almost anything
        return None


def _loaded(one: Mutant) -> dict[str, bytes]:
    if one.fmt == "safetensors":
        return {name: array.tobytes() for name, array in safetensors.numpy.load(one.data).items()}
    loaded = np.load(io.BytesIO(one.data), allow_pickle=False)
    arrays = {"": loaded} if one.fmt == "npy" else dict(loaded)
    found = {name: np.asarray(array, array.dtype.newbyteorder("=")).tobytes() for name, array in arrays.items()}
    if one.fmt == "npz":  # what is no array is kept as it is
        found |= {f"//raw/{name}": loaded.zip.read(name) for name in loaded.zip.namelist()}
    return found


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="gcodec-fuzz-"))
