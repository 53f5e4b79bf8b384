"""Inputs that are odd, damaged, or change while they are read: a clear error, never a fault."""

import io
import json
import os
import tracemalloc
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from checks import call_cli
from hdf5_files import numbers
from safetensors.numpy import save_file
from vectors import gcz

import gcodec
from gcodec.cli.files import tensor_file
from gcodec.errors import Corrupt, InternalError, InvalidInput
from gcodec.io.arrays import npy
from gcodec.pipeline import convert
from gcodec.source import ArraySource


@pytest.fixture
def gradient(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(64, 48)).astype(np.float32))
    return tmp_path / "x.npy"


@pytest.fixture
def changing(gradient, monkeypatch):
    """A file that someone writes to once encoding has begun."""
    true = convert.compress

    def compress(name, source, choice):
        coded = true(name, source, choice)
        with open(gradient, "r+b") as file:
            file.seek(200)
            file.write(b"other bytes")
        os.utime(gradient, ns=(0, 0))  # as the clock may not have moved on
        return coded

    monkeypatch.setattr(convert, "compress", compress)
    return gradient


@pytest.mark.parametrize("options", [("--lossless",), ("--alpha", 0.1, "--method", "ecsq")])
def test_an_input_that_changes_is_refused(changing, tmp_path, options):
    code, _, err = call_cli("encode", changing, *options)
    assert code == 2 and err == f"gcodec: {changing}: changed while it was read; try again when nobody writes to it\n"
    assert os.listdir(tmp_path) == ["x.npy"]


def test_a_stream_of_an_input_that_changes_has_no_end(changing):
    sent = io.BytesIO()
    with pytest.raises(InvalidInput, match="changed while"), tensor_file(str(changing)) as reader:
        headers = convert.encode_tensors(
            list(reader.tensors()), {}, sent, lambda name, source: choice(), 1, check=reader.check
        )
        with pytest.raises(InvalidInput, match="changed while it was read"):
            list(headers)
    assert len(sent.getvalue()) > 1000 and not sent.getvalue().endswith(b"GCZE")


def choice():
    from gcodec.request.choice import choose

    return choose("lossless")


def test_what_looks_like_a_fault_may_be_a_change(gradient):
    with pytest.raises(InvalidInput, match="changed while"), tensor_file(str(gradient)):
        os.utime(gradient, ns=(0, 0))
        raise InternalError("the bytes that came back are others")
    with pytest.raises(InternalError), tensor_file(str(gradient)):
        raise InternalError("the bytes that came back are others")


def encrypted(path, which):
    """An archive with a member that says it is encrypted."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("__gcodec_dtypes__.json", "{}")
        member = io.BytesIO()
        np.save(member, np.arange(9.0))
        archive.writestr("a.npy", member.getvalue())
    data = bytearray(path.read_bytes())
    local, central = (data.find(signature) for signature in (b"PK\3\4", b"PK\1\2"))
    if which:
        local, central = data.find(b"PK\3\4", local + 4), data.find(b"PK\1\2", central + 4)
    data[local + 6] |= 1
    data[central + 8] |= 1
    path.write_bytes(data)


@pytest.mark.parametrize("which", [0, 1])
def test_encrypted_members(tmp_path, which):
    encrypted(tmp_path / "x.npz", which)
    code, _, err = call_cli("encode", tmp_path / "x.npz", "--lossless")
    assert code == 2 and "encrypted" in err and err.count("\n") == 1


@pytest.mark.parametrize("method", ["rsd", "dither", "auto"])
@pytest.mark.parametrize("omega", ["1e308", "1e30", "5e-324"])
def test_bounds_at_the_ends_of_float64(gradient, method, omega):
    code, _, err = call_cli("encode", gradient, "-f", "--method", method, "--omega", omega)
    assert code == 0, err


def test_a_change_with_the_old_time_is_seen(gradient):
    before = os.stat(gradient)
    with pytest.raises(InvalidInput, match="changed while it was read"), tensor_file(str(gradient)):
        with open(gradient, "r+b") as file:
            file.seek(200)
            file.write(b"other bytes")
        os.utime(gradient, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_file_that_is_replaced_stays_what_it_was(gradient):
    """Whoever opened it before has the old values, all of them."""
    old = np.load(gradient)
    with tensor_file(str(gradient)) as opened:
        np.save(gradient.with_name("new.npy"), old + 1)
        os.replace(gradient.with_name("new.npy"), gradient)
        ((_, source),) = opened.tensors()
        assert (source.read(0, old.size) == old.ravel()).all()


@pytest.fixture
def model(tmp_path):
    """A file with a dataset that is linked twice, and a container with that record damaged."""
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["a"], file["lost"], file["text"] = numbers(60, 60), numbers(60, 60, seed=1), "words"
        file.create_dataset("packed", data=numbers(50, 50), compression="gzip")
        file["z/again"] = file["lost"]
    assert call_cli("encode", tmp_path / "m.h5", "--lossless")[0] == 0
    data = bytearray((tmp_path / "m.h5.gcz").read_bytes())
    data[data.find(b"TENS", data.find(b"\x04lost")) - 9] ^= 4  # within the body
    (tmp_path / "damaged.gcz").write_bytes(data)
    return tmp_path


def test_salvage_leaves_missing_datasets_out(model):
    """Zeros in their place would be taken for values."""
    code, out, err = call_cli("decode", model / "damaged.gcz", "-o", model / "out.h5", "--salvage", "--json")
    found = json.loads(out)
    assert code == 3 and found["missing"] == ["lost"] and "missing are: 'lost'" in err
    assert set(found["tensors"]) == {"a", "packed"}
    with h5py.File(model / "m.h5") as before, h5py.File(model / "out.h5") as after:
        assert set(after) == {"a", "packed", "text", "z"} and not list(after["z"])
        assert (after["a"][()] == before["a"][()]).all() and (after["packed"][()] == before["packed"][()]).all()


def test_a_record_that_is_not_there_is_missed(model):
    blocks = list(gcz.split((model / "m.h5.gcz").read_bytes()))
    whole = [block for block in blocks if not (isinstance(block, gcz.Record) and b"lost" in block.fields["name"])]
    assert len(whole) == len(blocks) - 1
    (model / "without.gcz").write_bytes(gcz.container(*whole))
    for options, names in (((), None), (("--to", "npz"), None), (("--salvage",), {"a", "packed"})):
        code, out, err = call_cli(
            "decode", model / "without.gcz", "-o", model / "out", "-f", "--to", "h5", *options, "--json"
        )
        found = json.loads(out)
        assert code == 3 and "metadata name" in err and "'lost'" in err
        assert (model / "out").exists() == (names is not None)
        assert names is None or set(found["tensors"]) == names


def test_messages_name_the_file(gradient, tmp_path):
    assert call_cli("encode", gradient, "--lossless")[0] == 0
    data = Path(f"{gradient}.gcz").read_bytes()
    (tmp_path / "cut.gcz").write_bytes(data[:-30])
    for command in ("decode", "verify", "info"):
        code, _, err = call_cli(command, tmp_path / "cut.gcz")
        assert code == 3 and err.startswith(f"gcodec: {tmp_path}/cut.gcz: "), (command, err)


def test_the_unforeseen_is_one_line(gradient, monkeypatch):
    monkeypatch.setattr(ArraySource, "read", None)
    monkeypatch.setattr("gcodec.pipeline.convert.ContainerWriter", None)
    code, _, err = call_cli("encode", gradient, "--lossless")
    assert code == 70 and err.count("\n") == 1 and "please report" in err


@pytest.mark.parametrize("length", [1 << 20, (1 << 32) - 1])
def test_a_header_that_claims_to_be_long_is_not_read(tmp_path, length):
    head = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }\n"
    path = tmp_path / "x.npy"
    path.write_bytes(b"\x93NUMPY\x02\x00" + length.to_bytes(4, "little") + head + bytes(4))
    with path.open("r+b") as file:
        file.truncate(1 << 33)  # a hole
    tracemalloc.start()
    with pytest.raises(InvalidInput, match="not a readable"):
        npy.Reader(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_a_header_whose_fault_has_no_words(tmp_path, monkeypatch):
    def read(file):
        raise MemoryError

    np.save(tmp_path / "x.npy", np.zeros((2, 1, 977), np.int16))  # no other test has such a header
    monkeypatch.setattr(npy.npy_format, "read_array_header_1_0", read)
    with pytest.raises(InvalidInput, match="MemoryError"):
        npy.Reader(tmp_path / "x.npy")


@pytest.mark.parametrize("harm", ["container", "original"])
def test_an_error_of_verify_names_the_file_that_is_at_fault(gradient, monkeypatch, harm):
    """…with two files open, whichever of them is damaged."""
    coded = f"{gradient}.gcz"
    assert call_cli("encode", gradient, "--lossless")[0] == 0
    if harm == "container":
        data = bytearray(Path(coded).read_bytes())
        data[len(data) // 2] ^= 1
        Path(coded).write_bytes(data)
    else:
        monkeypatch.setattr(npy.FileSource, "read", refuse)
    code, out, err = call_cli("verify", coded, "--against", gradient, "--json")
    named = str(gradient) if harm == "original" else coded
    assert code == 3 and json.loads(out)["error"]["file"] == named
    assert err.startswith(f"gcodec: {named}: "), err


def refuse(*_):
    raise Corrupt("its blocks overlap")


def test_the_name_of_the_skeleton_is_reserved(tmp_path):
    """A tensor of this name would be taken for the frame of an HDF5 file; in a file, it is kept."""
    arrays = {"a": np.ones(9, np.float32), "//hdf5": np.ones(9, np.float32)}
    path = tmp_path / "x.safetensors"
    save_file(arrays, path)
    code, said, _ = call_cli("encode", path, "--lossless")
    assert code == 0 and "not coded, but kept bit for bit: //hdf5 (36 bytes: a tensor whose name begins" in said
    assert call_cli("decode", f"{path}.gcz", "-o", tmp_path / "y.safetensors")[0] == 0
    assert (tmp_path / "y.safetensors").read_bytes() == path.read_bytes()
    assert list(gcodec.load(f"{path}.gcz")) == ["a"]
    with pytest.raises(InvalidInput, match="reserved"):
        gcodec.save(tmp_path / "x.gcz", arrays, lossless=True)
    with gcodec.Writer(io.BytesIO(), gcodec.Policy(lossless=True)) as writer:
        writer.add("a", arrays["a"])
        with pytest.raises(InvalidInput, match="reserved"):
            writer.add("//hdf5", arrays["a"])


def test_names_that_a_format_reserves(tmp_path):
    arrays = {"__metadata__": np.ones(9), "__gcodec_dtypes__.json": np.ones(5)}
    gcodec.save(tmp_path / "x.gcz", arrays, lossless=True)
    assert call_cli("decode", tmp_path / "x.gcz", "-o", tmp_path / "x.npz")[0] == 0
    with np.load(tmp_path / "x.npz") as back:
        assert set(back.files) == set(arrays)
    code, _, err = call_cli("decode", tmp_path / "x.gcz", "-o", tmp_path / "x.safetensors")
    assert code == 2 and "__metadata__" in err
