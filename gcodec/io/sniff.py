"""What a file is, by its content: one that gcodec reads, or one that has a remedy.

The suffix of a name is a hint for content that could be several things. It never wins over what the
content says.
"""

import os
import re
import struct
from pathlib import Path, PurePath

from ..errors import InvalidInput

PREFIX = 1 << 16  # the most bytes of a file that are looked at
MAX_SAFETENSORS_HEADER = 100_000_000  # bytes; the limit of the safetensors library
HDF5_MAGIC, TORCH_MAGIC = b"\x89HDF\r\n\x1a\n", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
HINTS = {
    ".safetensors": "safetensors",
    **dict.fromkeys((".h5", ".hdf5", ".h5ad", ".nc", ".mat", ".keras"), "h5"),
}  # what a suffix makes likely of content that has no magic, as HDF5 behind a long user block
_EXPORT = "export its weights to .safetensors, .npz or HDF5 with the library that wrote it, and encode that"
_UNPACK = "unpack it first, and encode what was in it"
_AGAIN = "fetch the file again; what came is a page that says why it did not"

FOREIGN = {
    "gcz": ("a gcodec file already", "to look into it use gcodec info or decode"),
    "empty": ("an empty file", "fetch or write it again"),
    "lfs": ("a pointer of git-lfs, not the file itself", "fetch the file with: git lfs pull"),
    "html": ("an HTML page, saved by mistake", _AGAIN),
    "xml": ("an XML document, such as the error message of a server", _AGAIN),
    "index": ("an index of shards, without a tensor of its own", "encode the folder that it lies in"),
    "json": ("a JSON document, which holds no tensors", "name a file of tensors, or the folder that this one lies in"),
    "gguf": ("a GGUF file", _EXPORT),
    "ggml": ("a GGML file", _EXPORT),
    "onnx": ("an ONNX model", _EXPORT),
    "tflite": ("a TensorFlow Lite model", _EXPORT),
    "torchscript": (
        "a TorchScript archive, which holds code",
        "save its state_dict() as .safetensors, and encode that",
    ),
    "distcp": (
        "one part of a distributed checkpoint of torch",
        "load the checkpoint and save its tensors as .safetensors",
    ),
    "pickle": ("a pickle of Python objects, which gcodec never loads", "save its arrays as .npz or .safetensors"),
    "zip": ("a zip archive, and none of numpy's .npz", _UNPACK),
    "gzip": ("packed by gzip", _UNPACK),
    "xz": ("packed by xz", _UNPACK),
    "bzip2": ("packed by bzip2", _UNPACK),
    "zstd": ("packed by zstd", _UNPACK),
    "lz4": ("packed by lz4", _UNPACK),
    "7z": ("a 7z archive", _UNPACK),
    "rar": ("a RAR archive", _UNPACK),
    "tar": ("a tar archive", _UNPACK),
    "mat5": ("a MATLAB file of a version before 7.3", "save it again with -v7.3, which makes it HDF5"),
    "netcdf3": ("a classic netCDF file", "convert it to netCDF-4, which is HDF5: nccopy -k nc4"),
    "hdf4": ("an HDF4 file", "convert it to HDF5: h4toh5"),
    "parquet": ("a Parquet file", "save its columns as .npz"),
    "arrow": ("an Arrow file", "save its columns as .npz"),
}  # what each kind is that is not read, and what to do

FOLDERS = (
    (".metadata", "a distributed checkpoint of torch", "load it and save its tensors as .safetensors"),
    ("zarr.json", "a Zarr store", "use the Zarr codec of gcodec, or save its arrays as .npz"),
    (".zgroup", "a Zarr store", "use the Zarr codec of gcodec, or save its arrays as .npz"),
    (".zarray", "a Zarr array", "use the Zarr codec of gcodec, or save it as .npy"),
    ("saved_model.pb", "a SavedModel of TensorFlow", _EXPORT),
    ("manifest.ocdbt", "a checkpoint of Orbax", _EXPORT),
)  # (the file by which a folder is known, what the folder is, what to do)

_STARTS = (
    (b"\x93NUMPY", "npy"),
    (HDF5_MAGIC, "h5"),
    (b"\x89GCZ", "gcz"),
    (b"version https://git-lfs.github.com/spec/", "lfs"),
    (TORCH_MAGIC, "legacy pt"),
    (b"GGUF", "gguf"),
    (b"lmgg", "ggml"),
    (b"fmgg", "ggml"),
    (b"tjgg", "ggml"),
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"BZh", "bzip2"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"MATLAB 5.0 MAT-file", "mat5"),
    (b"CDF\x01", "netcdf3"),
    (b"CDF\x02", "netcdf3"),
    (b"CDF\x05", "netcdf3"),
    (b"\x0e\x03\x13\x01", "hdf4"),
    (b"PAR1", "parquet"),
    (b"ARROW1", "arrow"),
)


def format_of(path: Path, name: str | None = None) -> str:
    """The format of a file that gcodec reads: a key of `formats.MODULES`.

    name: what messages call the file; its suffix is the hint. Reads the first PREFIX bytes at most,
    from a descriptor of its own, without seeking. Raises InvalidInput with a remedy for all else.
    """
    shown = name or str(path)
    kind = kind_of(_start(path), PurePath(shown).suffix)
    if kind in FOREIGN:
        what, remedy = FOREIGN[kind]
        raise InvalidInput(f"{shown}: is {what}; {remedy}")
    if kind == "unknown":
        known = ".h5, .hdf5, .npy, .npz, .pt, .safetensors"
        raise InvalidInput(f"{shown}: neither an .npy file nor another known format ({known}); name a file of tensors")
    return kind.removeprefix("legacy ")


def kind_of(start: bytes, suffix: str = "") -> str:
    """What a file is that starts so: a format that is read, a key of FOREIGN, or "unknown".

    start: the first bytes, PREFIX of them or the whole file. suffix: of its name, with the dot.
    """
    suffix = suffix.lower()
    for magic, kind in _STARTS:
        if start.startswith(magic):
            return kind
    for test in (_safetensors, _zip, _pickle, _hdf5, _text, _model, _packed):
        found = test(start, suffix)
        if found:
            return found
    return HINTS.get(suffix, "unknown")


def check_folder(path: Path, name: str) -> None:
    """Raise InvalidInput with a remedy for a folder that is one thing, known and not read."""
    for file, what, remedy in FOLDERS:
        if (path / file).is_file():
            raise InvalidInput(f"{name}: is {what}; {remedy}")


def _start(path: Path) -> bytes:
    """The first PREFIX bytes, or fewer at the end of the file."""
    parts, left = [], PREFIX
    with open(path, "rb", buffering=0) as file:
        while left and (part := os.read(file.fileno(), left)):
            parts.append(part)
            left -= len(part)
    return b"".join(parts)


def _zip(start: bytes, suffix: str) -> str | None:
    """What a zip archive is, by the names of its first members."""
    if start.startswith(b"PK\x05\x06"):
        return "npz"  # without members, as numpy writes it for no arrays
    names = _members(start)
    if not names:
        return None
    if any(name.endswith(".distcp") for name in names) or suffix == ".distcp":
        return "distcp"
    if any(re.match("[^/]*/(code/|constants.pkl$)", name) for name in names):
        return "torchscript"
    folder, _, first = names[0].partition("/")
    if first in ("data.pkl", "byteorder", "version", ".format_version") or first.startswith("data/"):
        return "pt"
    if first.startswith("extra/"):
        return "torchscript"
    if folder in ("metadata.json", "config.json", "model.weights.h5") and suffix != ".npz":
        return "keras"
    return "npz" if suffix == ".npz" or any(name.endswith(".npy") for name in names) else "zip"


def _members(start: bytes) -> list[str]:
    """Names of a zip archive's members, as far as one says where the next begins."""
    names, at = [], 0
    while start[at : at + 4] == b"PK\x03\x04" and len(start) >= at + 30:
        flags, size, length, extra = struct.unpack_from("<6xH10xI4xHH", start, at)
        names.append(start[at + 30 : at + 30 + length].decode("utf-8", "replace"))
        at += 30 + length + extra + size
        if flags & 8 and not size:  # its length comes behind it
            break
    return names


def _pickle(start: bytes, suffix: str) -> str | None:
    return "pickle" if start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05" and len(start) > 2 else None


def _hdf5(start: bytes, suffix: str) -> str | None:
    """HDF5 may stand behind a user block of 512 bytes or a power of two more."""
    at = 512
    while at < len(start):
        if start.startswith(HDF5_MAGIC, at):
            return "h5"
        at *= 2
    return "h5" if start.startswith(b"MATLAB 7.3 MAT-file") else None


def _safetensors(start: bytes, suffix: str) -> str | None:
    return (
        "safetensors" if start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= MAX_SAFETENSORS_HEADER else None
    )


def _text(start: bytes, suffix: str) -> str | None:
    """What a text is: a page, a message of a server, or JSON."""
    if not start:
        return "empty"
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if re.match(rb"<(!doctype\s+html|html|head|body)\b", text, re.IGNORECASE):
        return "html"
    if text.startswith(b"<?xml"):
        return "html" if b"<html" in text[:1024].lower() else "xml"
    if re.match(rb'[{\[]\s*(["\[{\d\]}-]|$)', text):
        return "index" if b'"weight_map"' in text else "json"
    return None


def _model(start: bytes, suffix: str) -> str | None:
    """Models whose formats have no magic at the start."""
    if start[4:8] == b"TFL3":
        return "tflite"
    # ONNX is a protobuf message: its first field is the version, and its next one text or a graph.
    if start[:1] == b"\x08" and start[1:2] < b"\x20" and start[2:3] in (b"\x12", b"\x1a", b"\x22", b"\x32", b"\x3a"):
        return "onnx"
    return None


def _packed(start: bytes, suffix: str) -> str | None:
    return "tar" if start[257:262] == b"ustar" else None
