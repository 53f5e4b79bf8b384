"""Writes tensors of any origin as a dictionary that `torch.load(weights_only=True)` reads."""

import math
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ...container.budget import Budget
from ...errors import InvalidInput
from ..raw import raw_dtype
from .kinds import storage_class

ALIGNMENT = 64  # bytes of each storage's place in the file, so that it can be mapped into memory
_PADDING = struct.Struct("<HH")  # the kind and length of an extra field
_ZIP64_FIELD, _ZIP64_LIMIT = 20, (1 << 31) - 1
_EPOCH = (1980, 1, 1, 0, 0, 0)


class Writer:
    """Makes a file of torch.save; a tensor whose values did not all arrive is left out.

    A tensor with the empty name is the value by itself. Raises InvalidInput for equal names.
    """

    def __init__(self, path: Path, meta: dict[str, Any], budget: Budget | None = None) -> None:
        self._file = open(path, "wb")  # noqa: SIM115 (closed by __exit__)
        self._zip = zipfile.ZipFile(self._file, "w")
        self._whole: dict[str, bytes] = {}  # the steps that make each tensor, by its name
        self._names: set[str] = set()
        self._sink: _Sink | None = None
        self._put("byteorder", sys.byteorder.encode())
        self._put("version", b"3\n")

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            self._end()
            if kind is None:
                self._put("data.pkl", self._pickle())
            self._zip.close()
        finally:
            self._file.close()

    def add(self, name: str, dtype: np.dtype, shape: tuple[int, ...]) -> "_Sink":
        """Begin a tensor; the result's `write(start, values)` takes its values in order."""
        self._end()
        if name in self._names or (self._names and "" in (name, *self._names)):
            raise InvalidInput(f"two tensors have the name {name!r}, or one has none; decode to another format")
        key = str(len(self._names))
        self._names.add(name)
        info = self._info(f"data/{key}", math.prod(shape) * dtype.itemsize)
        self._sink = _Sink(self._zip, info, name, _tensor(key, dtype, tuple(shape)), raw_dtype(dtype), math.prod(shape))
        return self._sink

    def _end(self) -> None:
        """Close the tensor before; one that is not whole is taken out of the directory."""
        sink, self._sink = self._sink, None
        if sink is None:
            return
        sink.close()
        if sink.left:
            self._zip.filelist.remove(sink.info)
            del self._zip.NameToInfo[sink.info.filename]
        else:
            self._whole[sink.name] = sink.steps

    def _info(self, name: str, size: int) -> zipfile.ZipInfo:
        info = zipfile.ZipInfo(f"archive/{name}", _EPOCH)
        info.file_size = size  # zipfile asks whether it needs zip64
        head = 30 + len(info.filename) + _PADDING.size + (_ZIP64_FIELD if size * 1.05 > _ZIP64_LIMIT else 0)
        padding = -(self._file.tell() + head) % ALIGNMENT
        info.extra = _PADDING.pack(0x4246, padding) + bytes(padding)
        return info

    def _put(self, name: str, data: bytes) -> None:
        self._zip.writestr(self._info(name, len(data)), data)

    def _pickle(self) -> bytes:
        if list(self._whole) == [""]:
            return b"\x80\x02" + self._whole[""] + b"."
        items = b"".join(_text(name) + steps for name, steps in self._whole.items())
        return b"\x80\x02}(" + items + b"u."


class _Sink:
    """Takes a tensor's values in order. steps: those of a pickle that make it."""

    def __init__(
        self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, steps: bytes, stored: np.dtype, size: int
    ) -> None:
        self.info, self.name, self.steps, self.left = info, name, steps, size
        self._stored = stored
        self._file: Any = archive.open(info, "w")

    def write(self, start: int, values: np.ndarray) -> None:
        self._file.write(np.ascontiguousarray(values).view(self._stored).tobytes())
        self.left -= values.size

    def close(self) -> None:
        self._file.close()


def _tensor(key: str, dtype: np.dtype, shape: tuple[int, ...]) -> bytes:
    """The steps that make a tensor in C order, a view of a storage of its own."""
    holder, typed = storage_class(dtype)
    size = math.prod(shape) * (1 if typed else dtype.itemsize)
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    holder_module = "torch" if typed else "torch.storage"
    persistent = _text("storage") + _name(holder_module, holder) + _text(key) + _text("cpu") + _number(size)
    view = b"(" + persistent + b"tQ" + _number(0) + _numbers(shape) + _numbers(strides)
    flags = b"\x89" + _name("collections", "OrderedDict") + b")R"
    if typed:
        return _name("torch._utils", "_rebuild_tensor_v2") + b"(" + view + flags + b"tR"
    return _name("torch._utils", "_rebuild_tensor_v3") + b"(" + view + flags + _name("torch", dtype.name) + b"tR"


def _name(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def _text(text: str) -> bytes:
    data = text.encode()
    return b"X" + len(data).to_bytes(4, "little") + data


def _number(value: int) -> bytes:
    return b"\x8a\x08" + value.to_bytes(8, "little", signed=True)


def _numbers(values: Any) -> bytes:
    return b"(" + b"".join(map(_number, values)) + b"t"
