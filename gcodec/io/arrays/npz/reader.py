"""Reads `.npz` archives: numbers as tensors, and every other member as its bytes."""

import base64
import json
import math
import os
import struct
import weakref
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from threading import Lock
from typing import IO, Any

import numpy as np

from ....container.spool import PIECE, in_temporary_folder, temporary_file
from ....errors import InvalidInput
from ....source import Source
from ...streams import open_input
from ...uncoded import Uncoded, listed
from ..npy import raw_width, source_of
from .members import DTYPES_MEMBER, Member, reporting, tail_of
from .members import member as member_of

MAX_DTYPES = 1 << 24
OPEN_MEMBERS = 4  # unpacked members that a reader keeps
_SHOWN = 5  # keys that a message lists
_LOCAL_HEADER = struct.Struct("<26xHH")  # its last fields: the lengths of name and extra field


class Reader:
    """The members of a .npz file in the archive's order.

    dtypes: what raw integers stand for, by globs of keys; the glob "" is for all raw values. meta:
    {"format": "npz", "deflate": whether any member is compressed, "big_endian", "fortran", "raw":
    keys of arrays that are stored so, "uncoded": what is kept as it is, "tail": in base64, the
    bytes behind the end of the archive, if there are any}. A compressed member is unpacked into a
    temporary file when it is first read; checksums are checked then. Raises InvalidInput when the
    archive is damaged, and for a glob that no key matches.
    """

    def __init__(self, path: Path, dtypes: Mapping[str, str] | None = None) -> None:
        self._path, self._dtypes = path, dtypes or {}
        self._unpacked: OrderedDict[str, Source] = OrderedDict()
        self._lock = Lock()
        self._file = open_input(path)
        try:
            with reporting(path):
                self._zip = zipfile.ZipFile(self._file)
                self._members = self._read_members()
        except BaseException:
            self._file.close()
            raise
        self.meta: dict[str, object] = self._described()

    def _described(self) -> dict[str, object]:
        members, tail = self._members.values(), tail_of(self._file, self._zip)
        coded = [member for member in members if member.why is None]
        special = {
            "fortran": [member.key for member in coded if member.header.transposed],
            "raw": [member.key for member in coded if raw_width(member.header.dtype)],
        }
        kept = [Uncoded(member.info.filename, member.info.file_size, member.why) for member in members if member.why]
        return {
            "format": "npz",
            "deflate": any(member.info.compress_type == zipfile.ZIP_DEFLATED for member in members),
            "big_endian": [member.key for member in coded if member.header.dtype.str[0] == ">"],
            **{key: keys for key, keys in special.items() if keys},
            **({"tail": base64.b64encode(tail).decode()} if tail else {}),
            **listed(kept),
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
        with self._lock, reporting(f"{self._path}: {key!r}"):
            source = self._unpacked.pop(key, None) or self._unpack(self._members[key])
            self._unpacked[key] = source
            while len(self._unpacked) > OPEN_MEMBERS:
                self._unpacked.popitem(last=False)
            return source

    def _read_members(self) -> dict[str, Member]:
        infos = self._zip.infolist()
        if sum(info.compress_size for info in infos) > os.fstat(self._file.fileno()).st_size:
            raise InvalidInput(f"{self._path}: members overlap; fetch or write it again")
        renamed = self._read_dtypes()
        self._check_globs(infos)
        members: dict[str, Member] = {}
        for info in infos:
            if info.filename == DTYPES_MEMBER:
                continue
            self._check_packing(info)
            what = f"{self._path}: {info.filename!r}"
            key = info.filename.removesuffix(".npy")
            with self._zip.open(info) as file:
                found = member_of(info, file, what, renamed.get(key) or self._given(key), self._dtypes.get(""))
            if found.name in members:
                raise InvalidInput(f"{self._path}: two members have the name {info.filename!r}; rename one")
            members[found.name] = found
        return members

    def _given(self, key: str) -> str | None:
        """The dtype that was asked for; the last glob that matches wins."""
        found = [dtype for glob, dtype in self._dtypes.items() if glob and fnmatchcase(key, glob)]
        return found[-1] if found else None

    def _check_globs(self, infos: list[zipfile.ZipInfo]) -> None:
        keys = [info.filename.removesuffix(".npy") for info in infos if info.filename != DTYPES_MEMBER]
        for glob, dtype in self._dtypes.items():
            if glob and not any(fnmatchcase(key, glob) for key in keys):
                some = ", ".join(f"{key!r:.100}" for key in keys[:_SHOWN]) + ", …" * (len(keys) > _SHOWN)
                has = f"it has {some}" if keys else "it has none at all"
                raise InvalidInput(f"--dtype {glob}={dtype}: {self._path} has no array of that name; {has}")

    def _check_packing(self, info: zipfile.ZipInfo) -> None:
        if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InvalidInput(
                f"{self._path}: {info.filename!r} is encrypted, or packed by another method than numpy's; unpack the archive, and write it by numpy.savez"
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
            raise InvalidInput(
                f"{self._path}: {DTYPES_MEMBER!r} is not a map from keys to dtypes; take it out, or write it again"
            )
        return named

    def _unpack(self, member: Member) -> Source:
        if member.info.compress_type == zipfile.ZIP_STORED:
            self._check(member)
            return source_of(self._file, self._offset(member.info), member.header, member.dtype)
        file: Any = temporary_file()
        source = source_of(file, 0, member.header, member.dtype)
        weakref.finalize(source, file.close)  # a thread may still read when the member is dropped from `_unpacked`
        self._copy(member, file)
        return source

    def _check(self, member: Member) -> None:
        """Read a member to the end, where zipfile checks its CRC-32."""
        with self._zip.open(member.info) as file:
            while file.read(PIECE):
                pass

    def _copy(self, member: Member, target: IO[bytes]) -> None:
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

    def __init__(self, reader: Reader, key: str, member: Member) -> None:
        self._reader, self._key = reader, key
        self.dtype, self.shape = member.dtype, member.header.shape

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def read(self, start: int, stop: int) -> np.ndarray:
        return self._reader.source(self._key).read(start, stop)
