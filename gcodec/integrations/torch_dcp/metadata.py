"""The pickle `.metadata`, read without running it: it may name the classes of torch's own alone."""

import pathlib
import pickle
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import torch
from torch.distributed.checkpoint import filesystem, metadata
from torch.serialization import _get_layout

from gcodec.errors import Corrupt

_CLASSES: tuple[Any, ...] = (
    metadata.BytesStorageMetadata,
    metadata.ChunkStorageMetadata,
    metadata.Metadata,
    metadata.MetadataIndex,
    metadata.StorageMeta,
    metadata.TensorProperties,
    metadata.TensorStorageMetadata,
    metadata._MEM_FORMAT_ENCODING,
    filesystem._StorageInfo,  # what torch's own writer keeps, for the sake of a clear message
    OrderedDict,
    set,
    frozenset,
    torch.Size,
    _get_layout,
)
_KNOWN = {(one.__module__, one.__qualname__): one for one in _CLASSES}
_PATHS = ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")  # where it was saved; never opened


_REMEDY = "copy it again from where it was saved, or take the tensors of each rank from its .gcz by gcodec decode"


def unpickled(file: IO[bytes]) -> Any:
    """The metadata in a file. Raises Corrupt for what is damaged, or names anything else."""
    with reading():
        found = _Unpickler(file).load()
        _check(found)
    return found


@contextmanager
def reading() -> Iterator[None]:
    """Whatever a damaged pickle leads to, as Corrupt; OSError passes."""
    try:
        yield
    except (Corrupt, OSError):
        raise
    except Exception as error:
        raise Corrupt(f".metadata cannot be read ({type(error).__name__}: {error}); {_REMEDY}") from error


class Unreadable(metadata.Metadata):
    """Stands for metadata that cannot be read: whoever uses it gets the error."""

    def __init__(self, error: Corrupt) -> None:
        self.error = error

    def __getattribute__(self, name: str) -> Any:
        if name in ("state_dict_metadata", "storage_data"):
            raise self.error
        return super().__getattribute__(name)


class _Unpickler(pickle._Unpickler):
    """The one in Python: a large number in the pickle does not make it take much memory."""

    def find_class(self, module: str, name: str) -> Any:
        dtype = getattr(torch, name, None) if module == "torch" and "." not in name else None
        if isinstance(dtype, torch.dtype):
            return dtype
        if module in ("pathlib", "pathlib._local") and name in _PATHS:
            return getattr(pathlib, name.replace("Windows", "Posix"))
        if (module, name) not in _KNOWN:
            raise Corrupt(
                f".metadata names {module}.{name}, which gcodec does not run; if you trust whoever saved the "
                "checkpoint, give Reader(…, trust=True)"
            )
        return _KNOWN[module, name]


def _check(found: Any) -> None:
    """Raise Corrupt unless torch's planners can work with it."""
    right = isinstance(found, metadata.Metadata) and isinstance(found.storage_data, dict)
    right = right and isinstance(found.state_dict_metadata, dict)
    right = right and isinstance(found.storage_meta, metadata.StorageMeta | None)
    if not right or not all(map(_is_entry, found.state_dict_metadata.items())):
        raise Corrupt(f".metadata does not hold what describes a checkpoint; {_REMEDY}")


def _is_entry(item: tuple[object, object]) -> bool:
    name, about = item
    if isinstance(about, metadata.BytesStorageMetadata):
        return isinstance(name, str)
    if not isinstance(about, metadata.TensorStorageMetadata) or not isinstance(about.chunks, list):
        return False
    sizes = [about.size, *(size for chunk in about.chunks for size in (chunk.offsets, chunk.sizes))]
    return isinstance(name, str) and all(
        isinstance(size, torch.Size) and len(size) == len(about.size) for size in sizes
    )
