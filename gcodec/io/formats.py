"""Which module reads or writes which file."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np

    from ..container.budget import Budget
    from ..source import Source
    from .hdf5.coded.source import Decode

SUFFIXES = {
    ".npy": "npy",
    ".npz": "npz",
    ".h5": "h5",
    ".hdf5": "h5",
    ".safetensors": "safetensors",
    ".pt": "pt",
    ".pth": "pt",
}
MODULES = {
    "npy": "arrays.npy",
    "npz": "arrays.npz",
    "h5": "hdf5",
    "safetensors": "arrays.safetensors",
    "pt": "folder.single",
    "keras": "folder.keras",
    "folder": "folder.many",
}
_NEW = {"pt": "torch_file.writer"}  # what writes files of a format whose frame is not there


PER_BYTE, PER_CHANGED_BYTE = 4, 28  # about nanoseconds that deflate takes, at its usual levels


def deflate_work(values: "np.ndarray[Any, Any]") -> int:
    """About the nanoseconds that deflate takes for these values; runs of one value are quick."""
    changes = int((values[1:] != values[:-1]).sum())
    return PER_BYTE * values.nbytes + PER_CHANGED_BYTE * values.itemsize * changes


class Reader(Protocol):
    """A file of tensors that is open; a context manager."""

    @property
    def meta(self) -> Mapping[str, object]:
        """What META needs, so that a Writer gives the same kind of file; "format" names it."""
        ...

    def tensors(self) -> "Iterator[tuple[str, Source]]":
        """Names, which differ, and tensors; these can be read while the file is open."""
        ...

    def __enter__(self) -> "Reader": ...
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object, /) -> None: ...


class Sink(Protocol):
    """Takes the values of one tensor."""

    def write(self, start: int, values: "np.ndarray[Any, Any]") -> object:
        """Values from flat C-order index `start` on; all pieces must come, in order."""
        ...


class Writer(Protocol):
    """A new file of tensors; a context manager, whose normal end completes the file."""

    def add(self, name: str, dtype: "np.dtype[Any]", shape: tuple[int, ...]) -> Sink:
        """Begin a tensor. The one before is left out of the file, unless all its values came.

        Raises InvalidInput for what the format cannot hold, and when names collide.
        """
        ...

    def __enter__(self) -> "Writer": ...
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object, /) -> None: ...


def files_left_out(writer: Writer) -> list[str]:
    """Paths of the files of a folder that a Writer could not complete, and so left out."""
    return list(getattr(writer, "files_left_out", ()))


def work_per_byte(meta: dict[str, Any]) -> int:
    """About the nanoseconds that writing such a file takes for a decoded byte, at most."""
    packs = meta.get("deflate") is True or meta.get("format") == "h5"
    return PER_BYTE + PER_CHANGED_BYTE if packs else 0


def user_metadata(meta: Mapping[str, object], limit: int | None = None) -> dict[str, str]:
    """What a user wrote beside the tensors, by key: `__metadata__` of a .safetensors file.

    Other formats have none, or, as HDF5 has, within their records. meta: of a Reader or a
    container. limit: of the bytes that it unpacks to. Raises Corrupt and LimitExceeded.
    """
    if meta.get("format") != "safetensors":
        return {}
    from .arrays.safetensors import metadata_in

    return metadata_in(meta, limit)


def reader(
    path: Path,
    fmt: str,
    dtypes: Mapping[str, str] | None = None,
    trust: bool = False,
    decode: "Decode | None" = None,
) -> Reader:
    """The Reader of a file.

    dtypes: what raw integers of an .npy or .npz file stand for, by globs of names; the glob "" is
    for all. trust: read an HDF5 file within this process, not in one of its own. decode: what gives
    the array of a container, for HDF5 datasets that gcodec's own filter coded.
    """
    numpys = fmt in ("npy", "npz")
    if dtypes and not numpys:
        raise InvalidInput("--dtype is for .npy and .npz files; other formats name their dtypes")
    hdf5 = {"trust": trust, "decode": decode} if fmt == "h5" else {}
    options: dict[str, Any] = {"dtypes": dtypes} if numpys else hdf5
    opened: Reader = import_module(f"gcodec.io.{MODULES[fmt]}").Reader(path, **options)
    return opened


def writer(path: Path, fmt: str, meta: dict[str, Any], budget: "Budget", trust: bool = False) -> Writer:
    """A Writer of a new file at `path`.

    meta: that of the container. budget: pays for the work of the format; its limit is also that of
    bytes made of metadata alone (default: what the format's module allows). trust: write an HDF5
    file within this process.
    """
    own = meta if meta.get("format") == fmt else {}
    options = {"trust": trust} if fmt == "h5" else {}
    module = MODULES[fmt] if own else _NEW.get(fmt, MODULES[fmt])
    made: Writer = import_module(f"gcodec.io.{module}").Writer(path, own, budget, **options)
    return made
