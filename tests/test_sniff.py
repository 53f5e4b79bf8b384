"""What a file is, by its content: formats that are read, and a remedy for each that is not."""

import io
import os
import pickle
import struct
import tarfile
import threading
import zipfile

import h5py
import numpy as np
import pytest
from checks import call_cli, run_cli

from gcodec.errors import InvalidInput
from gcodec.io import sniff
from gcodec.io.sniff import content


def zipped(*names, data=b"x"):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, data)
    return file.getvalue()


HEADER = b'{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'
READ = {
    "keras": zipped("metadata.json", "config.json", "model.weights.h5"),
    "npy": b"\x93NUMPY\x01\x00",
    "npz": zipped("w.npy"),
    "pt": zipped("archive/data.pkl"),
    "h5": b"\x89HDF\r\n\x1a\n",
    "safetensors": len(HEADER).to_bytes(8, "little") + HEADER + b"\0",
}
NOT_READ = {
    "gcz": b"\x89GCZ\r\n\x1a\n",
    "empty": b"",
    "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
    "html": b"\n<!DOCTYPE html>\n<html><body>Sign in",
    "xml": b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
    "index": b'{"metadata": {}, "weight_map": {"w": "a.safetensors"}}',
    "json": b'{"hidden_size": 64}',
    "gguf": b"GGUF\x03\0\0\0",
    "ggml": b"lmgg\0\0\0\0",
    "onnx": b"\x08\x08\x12\x07pytorch",
    "tflite": b"\x1c\0\0\0TFL3",
    "torchscript": zipped("m/code/m.py"),
    "distcp": zipped("__0_0.distcp"),
    "pickle": b"\x80\x04\x95\0\0",
    "zip": zipped("notes.txt"),
    "gzip": b"\x1f\x8b\x08",
    "xz": b"\xfd7zXZ\x00",
    "bzip2": b"BZh9",
    "zstd": b"\x28\xb5\x2f\xfd",
    "lz4": b"\x04\x22\x4d\x18",
    "7z": b"7z\xbc\xaf\x27\x1c",
    "rar": b"Rar!\x1a\x07\x00",
    "tar": b"w.npy".ljust(257, b"\0") + b"ustar\x0000",
    "mat5": b"MATLAB 5.0 MAT-file, Platform",
    "netcdf3": b"CDF\x01\0\0\0\0",
    "hdf4": b"\x0e\x03\x13\x01",
    "parquet": b"PAR1",
    "arrow": b"ARROW1\0\0",
    "reply": b"Entry not found",
    "table": b"a,b\n1,2\n3,4\n",
    "text": b"# Model card\n\nWeights of a model.\n",
    "msgpack": b"\x81\xa6params\x80",
    "zlib": b"\x78\x9c\x03\0",
    "lzma": b"\x5d\0\0\x80\0",
    "snappy": b"\xff\x06\0\0sNaPpY",
    "compress": b"\x1f\x9d\x90",
    "grib": b"GRIB\0\0\0\2",
    "fits": b"SIMPLE  =                    T",
    "nifti": bytes([92, 1]) + bytes(342) + b"n+1\0",
    "dicom": bytes(128) + b"DICM",
    "idx": b"\0\0\x08\3\0\0\0\x0a",
    "orc": b"ORC\0",
    "avro": b"Obj\1\4",
    "sqlite": b"SQLite format 3\0",
    "r": b"RDX3\n",
    "png": b"\x89PNG\r\n\x1a\n",
    "jpeg": b"\xff\xd8\xff\xe0",
    "gif": b"GIF89a",
    "tiff": b"II*\0",
    "webp": b"RIFF\0\0\0\0WEBPVP8 ",
    "bmp": b"BM\x36\0\0\0\0\0\0\0",
    "exr": b"\x76\x2f\x31\1",
    "sound": b"RIFF\0\0\0\0WAVEfmt ",
    "film": b"\0\0\0\x18ftypmp42",
    "pdf": b"%PDF-1.7\n",
    "postscript": b"%!PS-Adobe-3.0\n",
    "program": b"\x7fELF\2\1\1",
    "events": b"\x18" + bytes(7) + b'\xa3\x7fK"\x09' + bytes(8) + b"\x1a\rbrain.Event:2",
}


def test_every_kind_has_an_example():
    assert set(sniff.FOREIGN) == {*NOT_READ, "tensorflow"}  # which only a name tells


@pytest.mark.parametrize("kind", READ)
@pytest.mark.parametrize("suffix", [".npy", ".h5", ".safetensors", ".pt", ""])
def test_content_decides_and_no_suffix_does(kind, suffix):
    assert sniff.kind_of(READ[kind], suffix) == kind


@pytest.mark.parametrize("kind", NOT_READ)
@pytest.mark.parametrize("suffix", [".npy", ".h5", ".safetensors"])
def test_a_remedy_for_each_kind_that_is_not_read(kind, suffix, tmp_path):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(NOT_READ[kind])
    assert sniff.kind_of(NOT_READ[kind], suffix) == kind
    with pytest.raises(InvalidInput) as caught:
        sniff.format_of(path)
    what, remedy = sniff.FOREIGN[kind]
    assert str(caught.value) == f"{path}: is {what}; {remedy}"


@pytest.mark.parametrize(
    ("kind", "suffix", "starts"),
    [
        ("pickle", ".pkl", [pickle.dumps({"w": np.ones(3)}, protocol) for protocol in range(6)]),
        ("pickle", ".pkl", [pickle.dumps(value, protocol) for value in ([], {}, np.ones(2)) for protocol in (0, 1)]),
        ("table", ".txt", [b"1.5 2\n3 4e-2\n", b"x;y\n1,5;2,5\n", b"a\tb\nc\td\n", b"# head\n1\n2\n", b"3.5"]),
        ("text", ".md", ["Größe und Länge\n".encode(), "Größe und Länge\n".encode("latin1"), "w".encode("utf-16")]),
        ("text", ".txt", ["重み".encode() * 9, b"404 tensors, all of them\n" + b"text " * 60, b'"x"', b"cat\ndog\n"]),
        ("reply", ".h5", [b"Repository Not Found", b"Access denied", b"404: Not Found", b"403 Forbidden\n"]),
        ("msgpack", ".bin", [b"\xde\0\2\xa1w\1", b"\xdf\0\0\0\2\xd9\x28weight"]),
        ("tensorflow", ".index", [bytes(50)]),
        ("tensorflow", ".data-00000-of-00001", [bytes(50)]),
        ("mat5", ".mat", [struct.pack("<5i", 0, 2, 2, 0, 2) + b"a\0", struct.pack(">5i", 1000, 2, 2, 0, 2) + b"a\0"]),
        ("arrow", ".arrow", [b"\xff\xff\xff\xff\x78\0\0\0", b"FEA1"]),
        ("zip", ".zip", [b"PK\3\4"]),
        ("unknown", ".dat", [np.arange(9.0).tobytes(), bytes(300), "\0ä".encode() * 9]),
    ],
)
def test_kinds_that_start_in_several_ways(kind, suffix, starts):
    assert [sniff.kind_of(start, suffix) for start in starts] == [kind] * len(starts)


def test_an_archive_of_hdf5_is_no_hdf5_behind_a_user_block():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo("w.h5")
        member.size = len(READ["h5"])
        archive.addfile(member, io.BytesIO(READ["h5"]))
    assert sniff.kind_of(file.getvalue(), ".tar") == "tar"


def test_raw_numbers_have_a_remedy(tmp_path):
    np.arange(9.0).tofile(tmp_path / "x.dat")
    with pytest.raises(InvalidInput, match="numpy.fromfile and save them as .npy"):
        sniff.format_of(tmp_path / "x.dat")


def test_torch_members_in_any_order():
    for first in ("byteorder", "version", ".format_version", "data/0"):
        assert sniff.kind_of(zipped(f"model/{first}", "model/data.pkl"), ".zip") == "pt"
    assert sniff.kind_of(sniff.TORCH_MAGIC) == "legacy pt"


def test_scripts_of_torch_are_known_by_any_member():
    assert sniff.kind_of(zipped("ts/data.pkl", "ts/code/__torch__/a.py"), ".pt") == "torchscript"
    assert sniff.kind_of(zipped("ts/data.pkl", "ts/constants.pkl"), ".pt") == "torchscript"
    assert sniff.kind_of(zipped("ts/data.pkl", "ts/data/code"), ".pt") == "pt"


def test_a_user_block_is_looked_behind():
    for length in (512, 4096, 32768):
        assert sniff.kind_of(bytes(length) + READ["h5"]) == "h5"
    assert sniff.kind_of(bytes(513) + READ["h5"]) == "unknown"
    assert sniff.kind_of(b"MATLAB 7.3 MAT-file".ljust(600)) == "h5"


def test_the_suffix_is_a_hint_for_unknown_content():
    junk = bytes(100)
    assert sniff.kind_of(junk, ".npy") == "unknown"
    assert sniff.kind_of(junk, ".H5AD") == "h5"  # whose magic may be further on than the prefix
    assert sniff.kind_of(junk, ".safetensors") == "safetensors"  # whose reader says what is wrong with it
    assert sniff.kind_of(zipped("README.txt", "w.npy"), ".npz") == "npz"


def test_members_whose_length_comes_later_end_the_search():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive, archive.open("a.txt", "w") as member:
        member.write(b"text")
    start = bytearray(file.getvalue())
    start[6] |= 8
    start[18:26] = bytes(8)
    assert content._members(bytes(start)) == ["a.txt"]
    assert content._members(zipped("a", "b", "c")) == ["a", "b", "c"]
    assert content._members(zipped("a", data=bytes(40))[:20]) == []


def test_no_more_than_a_prefix_is_read(tmp_path, monkeypatch):
    path, counts, read = tmp_path / "x.npy", [], os.read

    def counted(number, length):
        counts.append(length)
        return read(number, length)

    with open(path, "wb") as file:
        file.write(READ["npy"])
        file.truncate(1 << 30)
    monkeypatch.setattr(os, "read", counted)
    assert sniff.format_of(path) == "npy"
    assert sum(counts) == sniff.PREFIX


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (".metadata", "torch_dcp.Reader loads it, and the files of its ranks are .gcz already"),
        ("zarr.json", "a Zarr store"),
        (".zgroup", "a Zarr store"),
        (".zarray", "a Zarr array"),
        ("saved_model.pb", "SavedModel"),
        ("manifest.ocdbt", "Orbax"),
    ],
)
def test_folders_of_other_tools(file, words, tmp_path):
    (tmp_path / file).write_bytes(b"")
    _, _, error = call_cli("encode", tmp_path, "--lossless", "-o", tmp_path / "x.gcz")
    assert str(tmp_path) in error and words in error and "; " in error


def test_hdf5_named_npy_is_read_as_hdf5(tmp_path):
    path = tmp_path / "x.npy"
    with h5py.File(path, "w") as file:
        file["w"] = np.arange(6.0)
    run_cli("encode", path, "--lossless", "-o", tmp_path / "x.gcz")
    run_cli("decode", tmp_path / "x.gcz", "-o", tmp_path / "y.h5")
    assert (tmp_path / "y.h5").read_bytes() == path.read_bytes()


def test_a_pipe_with_a_user_block(tmp_path):
    path, pipe = tmp_path / "x.mat", tmp_path / "pipe"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["w"] = np.arange(6.0)
    os.mkfifo(pipe)
    feeder = threading.Thread(target=lambda: pipe.write_bytes(path.read_bytes()))
    feeder.start()
    run_cli("encode", pipe, "--lossless", "-o", tmp_path / "x.gcz")
    feeder.join()
    run_cli("decode", tmp_path / "x.gcz", "-o", tmp_path / "y.h5")
    assert (tmp_path / "y.h5").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("magic", [b"\x1f\x8b\x08", b"BZh", b"\x78\x9c", b"MZ", b"ID3", b"CDF\x01"])
def test_a_header_whose_length_begins_like_another_magic(magic):
    length = int.from_bytes(magic, "little")
    assert sniff.kind_of(length.to_bytes(8, "little") + HEADER) == "safetensors"


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_header_whose_length_begins_like_a_pickle(protocol):
    """Of 128 + 256·protocol bytes: the first two bytes of the file are those of a pickle."""
    length = 0x80 + 256 * protocol
    start = length.to_bytes(8, "little") + b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'.ljust(length)
    assert sniff.kind_of(start) == sniff.kind_of(start, ".pt") == "safetensors"


def cut_files(folder):
    """By name, the start of a file that lacks its end, or whose header is wrong."""
    x = np.arange(400, dtype=np.float32)
    np.save(folder / "x.npy", x)
    np.savez(folder / "x.npz", x=x)
    with h5py.File(folder / "x.h5", "w") as file:
        file["x"] = x
    entry = '"%s":{"dtype":"F32","shape":[1],"data_offsets":[%d,%d]}'
    for name, begin in {"hole": 5, "overlap": 3}.items():
        header = f"{{{entry % ('a', 0, 4)},{entry % ('b', begin, begin + 4)}}}".encode()
        (folder / f"{name}.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(begin + 4))
    (folder / "word.safetensors").write_bytes(b"Entry not found")
    for name, size in {"x.npy": 60, "x.npz": 700, "x.h5": 3000}.items():
        (folder / name).write_bytes((folder / name).read_bytes()[:size])
    return sorted(folder.iterdir())


def test_each_refusal_of_a_damaged_file_says_what_to_do(tmp_path):
    for path in cut_files(tmp_path):
        code, _, error = call_cli("encode", path, "--alpha", "1e-2")
        assert code == 2 and len(error.strip().splitlines()) == 1, error
        assert path.name in error and ("write it again" in error or "write the file again" in error), error


@pytest.mark.parametrize(("dtype", "example"), [("V2", "bf16"), ("V1", "f8_e4m3")])
def test_raw_values_are_asked_for_by_a_dtype_of_their_width(tmp_path, dtype, example):
    np.save(tmp_path / "raw.npy", np.zeros(64, dtype))
    code, _, error = call_cli("encode", tmp_path / "raw.npy", "--alpha", "1e-2")
    assert code == 2 and error.strip().endswith(f"as --dtype {example}")
    assert call_cli("encode", tmp_path / "raw.npy", "--lossless", "--dtype", example)[0] == 0
