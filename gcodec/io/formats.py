"""Which module reads or writes which file."""

from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import InvalidInput

SUFFIXES = {".npy": "npy", ".npz": "npz", ".h5": "h5", ".hdf5": "h5", ".safetensors": "safetensors"}
MODULES = {"npy": "npy", "npz": "npz", "h5": "hdf5", "safetensors": "safetensors"}
_MAGIC = {b"\x93NUMPY": "npy", b"PK\x03\x04": "npz", b"PK\x05\x06": "npz", b"\x89HDF\r\n\x1a\n": "h5"}


def format_of(path: Path, name: str | None = None) -> str:
    """The format of an existing file, by its first bytes, else by the suffix of `name` (default: the path)."""
    with open(path, "rb") as file:
        start = file.read(9)
    for magic, fmt in _MAGIC.items():
        if start.startswith(magic):
            return fmt
    if start.startswith(b"\x89GCZ"):
        raise InvalidInput(f"{name or path}: is a gcodec file already; to look into it use gcodec info or decode")
    if SUFFIXES.get(Path(name or path).suffix) == "h5":  # the magic may stand behind a user block
        return "h5"
    if start[8:9] == b"{" or SUFFIXES.get(Path(name or path).suffix) == "safetensors":
        return "safetensors"
    known = ", ".join(sorted(SUFFIXES))
    raise InvalidInput(f"{name or path}: neither an .npy file nor another known format ({known})")


def reader(path: Path, fmt: str, dtype: str | None = None) -> Any:
    """The Reader of a file; `dtype` renames raw integers of a .npy file."""
    if dtype is not None and fmt != "npy":
        raise InvalidInput("--dtype is for .npy files; other formats name their dtypes")
    module = import_module(f"gcodec.io.{MODULES[fmt]}")
    return module.Reader(path, dtype) if fmt == "npy" else module.Reader(path)


def writer(path: Path, fmt: str, meta: dict) -> Any:
    """A Writer of a new file at `path`; `meta` is that of the container if it came from the same format, else {}."""
    return import_module(f"gcodec.io.{MODULES[fmt]}").Writer(path, meta if meta.get("format") == fmt else {})
