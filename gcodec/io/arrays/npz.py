"""`.npz` archives: a zip file with one `.npy` member an array. Pickled objects are refused."""

import errno
import json
import math
import os
import struct
import weakref
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format

from ... import dtypes
from ...container.budget import Budget
from ...container.spool import PIECE, in_temporary_folder, temporary_file
from ...errors import InvalidInput
from ...source import Source
from ..filters import deflate_work
from ..names import Names, path_problem
from ..raw import raw_dtype
from ..streams import open_input
from .fortran import FortranSource
from .npy import FileSource, read_header, reinterpreted

DTYPES_MEMBER = "__gcodec_dtypes__.json"  # what arrays of raw integers stand for
MAX_DTYPES = 1 << 24
OPEN_MEMBERS = 4  # unpacked members that a reader keeps
_LOCAL_HEADER = struct.Struct("<26xHH")  # its last fields: the lengths of name and extra field
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time in a zip file, so that the same arrays give the same bytes
_OF_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, NotImplementedError, OverflowError)


@contextmanager
def _reporting(what: object) -> Iterator[None]:
    """What zipfile raises on damaged archives, as InvalidInput."""
    try:
        yield
    except InvalidInput:
        raise
    except _OF_DAMAGE as error:
        raise InvalidInput(f"{what}: not a readable .npz file ({error})") from None
    except OSError as error:
        if error.errno != errno.EINVAL:  # a damaged directory names a place before the file's start
            raise
        raise InvalidInput(f"{what}: not a readable .npz file (a member's place is not in the file)") from None


class _Member:
    """An array of the archive: where it is, and what its header says."""

    def __init__(self, info: zipfile.ZipInfo, file: IO[bytes], what: str, renamed: str | None) -> None:
        self.info = info
        self.shape, self.fortran, self.stored, self.header_length = read_header(file, what)
        self.dtype = reinterpreted(self.stored.newbyteorder("="), renamed)
        dtypes.code_of(self.dtype)
        self.fortran = self.fortran and len(self.shape) > 1
        nbytes = math.prod(self.shape) * self.stored.itemsize
        if self.header_length + nbytes != info.file_size:
            raise InvalidInput(
                f"{what}: {self.stored} of shape {self.shape} needs {nbytes} bytes; the member has others"
            )


class Reader:
    """The arrays of a .npz file in the archive's order.

    meta: {"format": "npz", "deflate": whether any member is compressed, "big_endian": keys of
    arrays stored so}. A compressed member is unpacked into a temporary file when it is first read;
    checksums are checked then. Raises InvalidInput when the archive is damaged or holds anything
    but numeric arrays.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unpacked: OrderedDict[str, Source] = OrderedDict()
        self._lock = Lock()
        self._file = open_input(path)
        try:
            with _reporting(path):
                self._zip = zipfile.ZipFile(self._file)
                self._members = self._read_members()
        except BaseException:
            self._file.close()
            raise
        members = self._members.items()
        self.meta: dict[str, object] = {
            "format": "npz",
            "deflate": any(member.info.compress_type == zipfile.ZIP_DEFLATED for _, member in members),
            "big_endian": [key for key, member in members if member.stored.str[0] == ">"],
        }

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self._unpacked.clear()
        self._zip.close()
        self._file.close()

    def tensors(self) -> Iterator[tuple[str, Source]]:
        for key, member in self._members.items():
            yield key, _MemberSource(self, key, member)

    def source(self, key: str) -> Source:
        """A member, unpacked or checked; the last few stay unpacked."""
        with self._lock, _reporting(f"{self._path}: {key!r}"):
            source = self._unpacked.pop(key, None) or self._unpack(self._members[key])
            self._unpacked[key] = source
            while len(self._unpacked) > OPEN_MEMBERS:
                self._unpacked.popitem(last=False)
            return source

    def _read_members(self) -> dict[str, _Member]:
        infos = self._zip.infolist()
        if sum(info.compress_size for info in infos) > os.fstat(self._file.fileno()).st_size:
            raise InvalidInput(f"{self._path}: members overlap")
        renamed = self._read_dtypes()
        members: dict[str, _Member] = {}
        for info in infos:
            if info.filename == DTYPES_MEMBER:
                continue
            key = self._key(info)
            if key in members:
                raise InvalidInput(f"{self._path}: two members have the name {info.filename!r}")
            with self._zip.open(info) as file:
                members[key] = _Member(info, file, f"{self._path}: {info.filename!r}", renamed.get(key))
        return members

    def _key(self, info: zipfile.ZipInfo) -> str:
        name = info.filename
        problem = path_problem(name)
        if problem:
            raise InvalidInput(f"{self._path}: the member's name {name[:80]!r} {problem}")
        if not name.endswith(".npy"):
            raise InvalidInput(f"{self._path}: the member {name!r} is not an array; remove it from the archive")
        self._check_packing(info)
        return name.removesuffix(".npy")

    def _check_packing(self, info: zipfile.ZipInfo) -> None:
        if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InvalidInput(
                f"{self._path}: {info.filename!r} is encrypted, or packed by another method than numpy's"
            )

    def _read_dtypes(self) -> dict[str, str]:
        if DTYPES_MEMBER not in self._zip.namelist():
            return {}
        info = self._zip.getinfo(DTYPES_MEMBER)
        self._check_packing(info)
        with self._zip.open(info) as file:
            data = file.read(MAX_DTYPES)
        try:
            named = json.loads(data)
        except RecursionError:
            named = None
        if not isinstance(named, dict) or not all(isinstance(name, str) for name in named.values()):
            raise InvalidInput(f"{self._path}: {DTYPES_MEMBER!r} is not a map from keys to dtypes")
        return named

    def _unpack(self, member: _Member) -> Source:
        shape = member.shape[::-1] if member.fortran else member.shape
        if member.info.compress_type == zipfile.ZIP_STORED:
            self._check(member)
            offset = self._offset(member.info) + member.header_length
            source = FileSource(self._file, offset, member.stored, member.dtype, shape)
        else:
            file: Any = temporary_file()
            source = FileSource(file, member.header_length, member.stored, member.dtype, shape)
            weakref.finalize(source, file.close)  # a thread may still read when the member is dropped from `_unpacked`
            self._copy(member, file)
        return FortranSource(source, member.shape) if member.fortran else source

    def _check(self, member: _Member) -> None:
        """Read a member to the end, where zipfile checks its CRC-32."""
        with self._zip.open(member.info) as file:
            while file.read(PIECE):
                pass

    def _copy(self, member: _Member, target: IO[bytes]) -> None:
        """As `_check`, into a temporary file."""
        with self._zip.open(member.info) as file:
            while piece := file.read(PIECE):
                with in_temporary_folder():
                    target.write(piece)
        with in_temporary_folder():
            target.flush()

    def _offset(self, info: zipfile.ZipInfo) -> int:
        """Where a member's bytes begin: behind its local header, whose length varies."""
        name, extra = _LOCAL_HEADER.unpack(os.pread(self._file.fileno(), _LOCAL_HEADER.size, info.header_offset))
        return info.header_offset + _LOCAL_HEADER.size + int(name) + int(extra)


class _MemberSource:
    """An array of the archive as a Source; it is unpacked when it is read."""

    def __init__(self, reader: Reader, key: str, member: _Member) -> None:
        self._reader, self._key = reader, key
        self.dtype, self.shape = member.dtype, member.shape

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def read(self, start: int, stop: int) -> np.ndarray:
        return self._reader.source(self._key).read(start, stop)


class Writer:
    """Writes arrays to a new .npz file, in C order; one that is not whole is left out.

    bfloat16 and float8 are stored as raw unsigned integers, and named in the member
    `__gcodec_dtypes__.json`. meta: that of a Reader, or {}. Raises InvalidInput for names that
    collide or are no relative paths.
    """

    def __init__(self, path: Path, meta: dict[str, Any], budget: Budget | None = None) -> None:
        self._budget = budget or Budget()
        self._zip = zipfile.ZipFile(path, "w")
        self._method = zipfile.ZIP_DEFLATED if meta.get("deflate") is True else zipfile.ZIP_STORED
        big_endian = meta.get("big_endian")
        self._big_endian = set(map(str, big_endian)) if isinstance(big_endian, list) else set()
        self._names = Names(tree=False)
        self._renamed: dict[str, str] = {}
        self._sink: _Sink | None = None

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            self._end_array()
            if kind is None and self._renamed:
                self._zip.writestr(zipfile.ZipInfo(DTYPES_MEMBER, _EPOCH), json.dumps(self._renamed))
        finally:
            self._zip.close()

    def add(self, name: str, dtype: np.dtype, shape: tuple[int, ...]) -> "_Sink":
        """Begin an array; the result's `write(start, values)` takes its values in order."""
        self._end_array()
        key = self._names.add(name)
        raw = raw_dtype(dtype)
        if raw != dtype:
            self._renamed[key] = dtype.name
        stored = raw.newbyteorder(">" if name in self._big_endian else "<")
        info = zipfile.ZipInfo(f"{key}.npy", _EPOCH)
        info.compress_type = self._method
        info.file_size = (
            math.prod(shape) * dtype.itemsize + npy_format.ARRAY_ALIGN
        )  # zipfile asks whether it needs zip64
        self._sink = _Sink(self._zip, info, stored, tuple(shape), self._budget)
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
    """Takes an array's values in order."""

    def __init__(
        self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, stored: np.dtype, shape: tuple[int, ...], budget: Budget
    ) -> None:
        self.info, self._stored, self._budget = info, stored, budget
        self.left = math.prod(shape)
        self._file: Any = archive.open(info, "w")
        header = {"descr": npy_format.dtype_to_descr(stored), "fortran_order": False, "shape": shape}
        npy_format.write_array_header_1_0(self._file, header)

    def write(self, start: int, values: np.ndarray) -> None:
        native = np.ascontiguousarray(values).view(self._stored.newbyteorder("="))
        if self.info.compress_type == zipfile.ZIP_DEFLATED:
            self._budget.spend(self.info.filename, deflate_work(native))
        self._file.write(native.astype(self._stored, copy=False).tobytes())
        self.left -= values.size

    def close(self) -> None:
        self._file.close()
