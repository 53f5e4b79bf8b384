"""The members of an archive: which of them are arrays that gcodec codes, and what others are."""

import errno
import io
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

import numpy as np

from .... import dtypes
from ....errors import InvalidInput
from ...names import archive_problem
from ...skeleton import RAW, is_skeleton
from ..npy import Header, raw_width, read_header, reinterpreted, why_uncoded

DTYPES_MEMBER = "__gcodec_dtypes__.json"  # what arrays of raw integers stand for
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time in a zip file, so that the same arrays give the same bytes
MOST_TAIL = (1 << 16) - 1  # bytes behind an archive, with its comment: beyond them, no one finds its directory
_MAGIC, _END_MAGIC, _END_BYTES = b"\x93NUMPY", b"PK\5\6", 22
_OF_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, NotImplementedError, OverflowError)


@contextmanager
def reporting(what: object) -> Iterator[None]:
    """What zipfile raises on damaged archives, as InvalidInput."""
    try:
        yield
    except InvalidInput:
        raise
    except _OF_DAMAGE as error:
        raise InvalidInput(f"{what}: not a readable .npz file ({error}); fetch or write it again") from None
    except OSError as error:
        if error.errno != errno.EINVAL:  # a damaged directory names a place before the file's start
            raise
        raise InvalidInput(
            f"{what}: not a readable .npz file (a member's place is not in the file); fetch or write it again"
        ) from None


def tail_of(file: IO[bytes], archive: zipfile.ZipFile) -> bytes:
    """What stands behind the end of an open archive, where zip files have nothing."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(size - MOST_TAIL - _END_BYTES, 0))
    end = file.read()
    return end[end.rfind(_END_MAGIC) + _END_BYTES + len(archive.comment) :]


@dataclass(frozen=True)
class Member:
    """A member as an array; one that is not coded is an array of its bytes.

    dtype: of the tensor. why: what it holds, if it is not coded.
    """

    info: zipfile.ZipInfo
    header: Header
    dtype: np.dtype
    why: str | None = None

    @property
    def key(self) -> str:
        """The name of the array to numpy, or of the member if it is no array."""
        return self.info.filename.removesuffix(".npy")

    @property
    def name(self) -> str:
        """The name of the record."""
        return self.key if self.why is None else RAW + self.info.filename


def member(info: zipfile.ZipInfo, file: IO[bytes], what: str, named: str | None, raw: str | None) -> Member:
    """A member of an archive, whose unpacked bytes `file` has.

    what: its name for errors. named: the dtype that its integers or raw values stand for. raw: the
    one that raw values of its width stand for otherwise. Raises InvalidInput for a damaged array, a
    name that leads out of a folder, and a dtype that does not fit.
    """
    problem = archive_problem(info.filename)
    if problem:
        raise InvalidInput(f"{what}: the member's name {problem}; rename it")
    start = file.read(len(_MAGIC))
    if not info.filename.endswith(".npy") or start != _MAGIC:
        return _kept(info, "no array")
    header = read_header(_Joined(start, file), what)
    nbytes = math.prod(header.shape) * header.dtype.itemsize
    width = raw_width(header.dtype)
    named = named or (raw if raw and width == dtypes.by_name(raw).itemsize else None)
    why = None if width and named else why_uncoded(header.dtype)
    if not header.dtype.hasobject and header.length + nbytes != info.file_size:
        raise InvalidInput(
            f"{what}: {header.dtype} of shape {header.shape} needs {nbytes} bytes, and the member has "
            f"{info.file_size - header.length}; fetch the archive or write it again by numpy.savez"
        )
    if why or is_skeleton(info.filename):
        return _kept(info, why or "an array whose name begins with //")
    return Member(info, header, reinterpreted(header.stored.newbyteorder("="), named))


def _kept(info: zipfile.ZipInfo, why: str) -> Member:
    nbytes = np.dtype(np.uint8)
    return Member(info, Header((info.file_size,), False, nbytes, 0), nbytes, why)


class _Joined(io.BytesIO):
    """What was read of a file, and the rest of it, for one call of `read`."""

    def __init__(self, start: bytes, file: IO[bytes]) -> None:
        super().__init__(start)
        self._file = file

    def read(self, count: int | None = -1, /) -> bytes:
        start = super().read(count)
        return start + self._file.read(-1 if count is None or count < 0 else count - len(start))
