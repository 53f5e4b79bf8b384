"""Where the items of a checkpoint are: file systems, the names of records, and their marks.

What `.metadata` keeps of an item is a tuple of plain values, so that every program can unpickle it,
with or without gcodec: (file, record, mark) of a tensor, and (file, record, mark, start, length) of
an object, whose bytes are a part of those in the record.
"""

import os
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from torch.distributed.checkpoint import filesystem
from torch.distributed.checkpoint.planner import WriteItem

import gcodec
from gcodec.errors import Corrupt

OBJECTS = "@objects"  # the record of all objects of a rank that are no tensors
_TENSOR, _OBJECT = (str, str, int), (str, str, int, int, int)


class Place(NamedTuple):
    """Where an item is: a file of the folder, a record, its mark, and of an object its bytes."""

    file: str
    record: str
    mark: int
    start: int = 0
    length: int = -1


def file_system(path: str | os.PathLike[str]) -> Any:
    """The file system of a path or URL, as torch has it."""
    if isinstance(path, str) and "://" in path:
        from torch.distributed.checkpoint import _fsspec_filesystem

        return _fsspec_filesystem.FileSystem()
    return filesystem.FileSystem()


def named(item: WriteItem) -> tuple[str, tuple[str, tuple[int, ...]] | None]:
    """The record of an item to be written, and the tensor that it is a part of.

    The record is named as the tensor, that of a part with its offset. Of the tensor, name and shape
    are given, and None where the item is the whole.
    """
    name, data = item.index.fqn, item.tensor_data
    if data is None or data.chunk.sizes == data.size:
        return name, None
    return f"{name}@{','.join(map(str, data.chunk.offsets))}", (name, tuple(data.size))


def mark(header: gcodec.TensorHeader) -> int:
    """A checksum of the decoded values of a record, by which it is known again."""
    return zlib.crc32(b"".join(chunk.decoded_crc.to_bytes(4, "little") for chunk in header.chunks))


def place(found: object, item: str) -> Place:
    """The place of an item in `.metadata`. Raises Corrupt for anything but a file of its folder."""
    if isinstance(found, filesystem._StorageInfo):
        raise Corrupt("torch's own writer wrote this checkpoint; load it with its FileSystemReader")
    if not isinstance(found, tuple) or tuple(map(type, found)) not in (_TENSOR, _OBJECT):
        raise Corrupt(f".metadata does not say where {item!r:.200} is; it was damaged, or gcodec did not write it")
    if found[0] != os.path.basename(found[0]) or found[0] in ("", ".", ".."):
        raise Corrupt(f".metadata names {found[0]!r:.200}, which is no file of the checkpoint's folder")
    return Place(*found)


def within(offsets: Sequence[int], lengths: Sequence[int], shape: Sequence[int]) -> bool:
    """Whether a box lies in a tensor of this shape."""
    if not len(offsets) == len(lengths) == len(shape):
        return False
    return all(0 <= o <= o + n <= size for o, n, size in zip(offsets, lengths, shape, strict=True))
