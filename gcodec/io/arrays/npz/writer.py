"""Writes `.npz` archives: arrays, and the members that were kept as they are."""

import base64
import json
import math
import shutil
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

from ....container.budget import Budget
from ....container.spool import PIECE, temporary_file
from ....errors import Corrupt
from ...formats import deflate_work
from ...names import UNNAMED, ArchiveNames
from ...raw import raw_dtype
from ...skeleton import RAW, is_skeleton
from ..fortran import OrderedSink
from ..npy import plain_header
from .members import DTYPES_MEMBER, EPOCH, MOST_TAIL


class Writer:
    """Writes arrays to a new .npz file; one that is not whole is left out.

    Arrays are in C order, unless `meta` says otherwise. bfloat16 and float8 are stored as raw
    unsigned integers, and named in the member `__gcodec_dtypes__.json`. meta: that of a Reader, or
    {}. Raises InvalidInput for names that collide or cannot be those of members, Corrupt for a tail
    that no Reader gives.
    """

    def __init__(self, path: Path, meta: dict[str, Any], budget: Budget | None = None) -> None:
        self._budget = budget or Budget()
        self._path, self._tail = path, _tail(meta.get("tail", ""))
        self._zip = zipfile.ZipFile(path, "w")
        self._method = zipfile.ZIP_DEFLATED if meta.get("deflate") is True else zipfile.ZIP_STORED
        self._big_endian, self._fortran, self._raw = (_keys(meta.get(key)) for key in ("big_endian", "fortran", "raw"))
        self._names = ArchiveNames("" if meta.get("format") == "npz" else UNNAMED)
        self._renamed: dict[str, str] = {}
        self._sink: _Sink | None = None

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            self._end_array()
            if kind is None and self._renamed:
                self._zip.writestr(zipfile.ZipInfo(DTYPES_MEMBER, EPOCH), json.dumps(self._renamed))
        finally:
            self._zip.close()
        if kind is None and self._tail:
            with open(self._path, "ab") as file:
                file.write(self._tail)

    def add(self, name: str, dtype: np.dtype, shape: tuple[int, ...]) -> "_Sink":
        """Begin an array; the result's `write(start, values)` takes its values in order."""
        self._end_array()
        raw = raw_dtype(dtype)
        if is_skeleton(name):
            if not name.startswith(RAW) or dtype != np.uint8 or len(shape) != 1:
                raise Corrupt(f"the record {name[:200]!r} does not belong into an archive")
            member, header = self._names.add(name.removeprefix(RAW), ""), b""
        else:
            member = self._names.add(name)
            key = member.removesuffix(".npy")
            if raw != dtype and key not in self._raw:
                self._renamed[key] = dtype.name
            raw = raw.newbyteorder(">" if key in self._big_endian else "<")
            descr = np.dtype(f"V{raw.itemsize}") if key in self._raw else raw
            header = plain_header(descr, tuple(shape), key in self._fortran)
        info = zipfile.ZipInfo(member, EPOCH)
        info.compress_type = self._method
        transposed = name in self._fortran and len(shape) > 1
        self._sink = _Sink(self._zip, info, header, raw, tuple(shape), transposed, self._budget)
        return self._sink

    def _end_array(self) -> None:
        """Close the array before; one that is not whole is taken out of the directory."""
        sink, self._sink = self._sink, None
        if sink is None:
            return
        sink.close()
        if sink.left:
            self._zip.filelist.remove(sink.info)
            del self._zip.NameToInfo[sink.info.filename]
            self._renamed.pop(sink.info.filename.removesuffix(".npy"), None)


class _Sink:
    """Takes an array's values, which come in C order; in Fortran order, by a temporary file."""

    def __init__(
        self,
        archive: zipfile.ZipFile,
        info: zipfile.ZipInfo,
        header: bytes,
        stored: np.dtype,
        shape: tuple[int, ...],
        transposed: bool,
        budget: Budget,
    ) -> None:
        self.info, self._stored, self._budget = info, stored, budget
        self.left = math.prod(shape)
        self._file: Any = archive.open(
            info, "w", force_zip64=True
        )  # as numpy does: then its files come back byte for byte
        self._file.write(header)
        self._beside: IO[bytes] | None = temporary_file() if transposed else None
        self._ordered = OrderedSink(self._beside or self._file, 0, stored, shape, transposed)

    def write(self, start: int, values: np.ndarray) -> None:
        if self.info.compress_type == zipfile.ZIP_DEFLATED:
            native = np.ascontiguousarray(values).view(self._stored.newbyteorder("="))
            self._budget.spend(self.info.filename, deflate_work(native))
        self._ordered.write(start, values)
        self.left -= values.size

    def close(self) -> None:
        if self._beside:
            self._beside.seek(0)
            shutil.copyfileobj(self._beside, self._file, PIECE)
            self._beside.close()
        self._file.close()


def _keys(keys: object) -> set[str]:
    return set(map(str, keys)) if isinstance(keys, list) else set()


def _tail(text: object) -> bytes:
    """The bytes behind the end of the archive."""
    try:
        tail = base64.b64decode(text, validate=True) if isinstance(text, str) else None
    except ValueError:
        tail = None
    if tail is None or len(tail) > MOST_TAIL:
        raise Corrupt(f"the metadata give no base64 of at most {MOST_TAIL:,} bytes for what follows the archive")
    return tail
