"""`.npy` files: one array in any order, read piece by piece; pickled objects are refused."""

import base64
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.lib import format as npy_format

from ... import dtypes
from ...container.budget import Budget
from ...errors import Corrupt, InvalidInput
from ...source import UNMARKED, Marks, Source
from ..raw import raw_dtype
from ..streams import open_input, read_at
from .fortran import FortranSource, OrderedSink

LONGEST_HEADER = 1 << 16  # bytes
_EXPRESSION = re.compile(r"<ast\.\w+ object at 0x\w+>")  # what Python calls a part that is no literal


class FileSource:
    """Values of `stored` dtype in a file from `offset` on, in C order, as a Source of `dtype`.

    Reads with pread, so threads need no lock and the file's pages are not counted as this process's
    memory. marks: what the file says of them.
    """

    def __init__(
        self,
        file: BinaryIO,
        offset: int,
        stored: np.dtype,
        dtype: np.dtype,
        shape: tuple[int, ...],
        marks: Marks = UNMARKED,
    ) -> None:
        self._file = file
        self._offset = offset
        self._stored = stored
        self.dtype = dtype
        self.shape = shape
        self.marks = marks

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def read(self, start: int, stop: int) -> np.ndarray:
        width = self._stored.itemsize
        out = np.empty(stop - start, self._stored)
        view, done = out.view(np.uint8).reshape(-1).data, 0
        while done < len(view):
            got = read_at(self._file, view[done:], self._offset + start * width + done)
            if got == 0:
                raise InvalidInput(f"{self._file.name}: the file became shorter while it was read")
            done += got
        native = out.astype(self._stored.newbyteorder("="), copy=False)
        return native.view(self.dtype) if self.dtype != native.dtype else native


_WRONG_LENGTH = (
    "the file was cut: fetch or write it again",
    "numpy reads the first array alone: save several in one .npz file, and cut off what is no array",
)


class Reader:
    """The one array of a `.npy` file, under the empty name.

    dtypes: what raw integers stand for, such as {"": "bf16"}. meta: {"format": "npy"}, and the
    file's "header" in base64 where it is not the one that a Writer gives.
    """

    def __init__(self, path: Path, dtypes: Mapping[str, str] | None = None) -> None:
        self.meta: dict[str, object] = {"format": "npy"}
        self._file = open_input(path)
        try:
            self._source = self._open(path, dict(dtypes or {}))
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def tensors(self) -> Iterator[tuple[str, Source]]:
        yield "", self._source

    def _open(self, path: Path, renamed: dict[str, str]) -> Source:
        dtype = renamed.pop("", None)
        if renamed:
            raise InvalidInput(
                f"--dtype {next(iter(renamed))}=…: an .npy file has one array without a name; leave it out"
            )
        header = read_header(self._file, str(path))
        if raw_width(header.dtype) and dtype is None:
            width = header.dtype.itemsize
            example = "bf16" if width == 2 else "f8_e4m3"
            raise InvalidInput(f"{path}: holds raw {width}-byte values; say what they are, as --dtype {example}")
        if not raw_width(header.dtype) and (why := why_uncoded(header.dtype)):
            raise InvalidInput(f"{path}: holds {why}; save its numbers as arrays of their own")
        stored, shape = header.stored, header.shape
        there = os.fstat(self._file.fileno()).st_size - header.length
        if there != math.prod(shape) * stored.itemsize:
            raise InvalidInput(
                f"{path}: the header declares {stored} of shape {shape}, {math.prod(shape) * stored.itemsize} bytes, "
                f"but {there} bytes follow; {_WRONG_LENGTH[there > math.prod(shape) * stored.itemsize]}"
            )
        native = reinterpreted(stored.newbyteorder("="), dtype)
        bits = os.pread(self._file.fileno(), header.length, 0)
        if bits != plain_header(raw_dtype(native), shape):
            self.meta["header"] = base64.b64encode(bits).decode()
        return source_of(self._file, 0, header, native)


@dataclass(frozen=True)
class Header:
    """What the header of a `.npy` file says; length: its bytes."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype
    length: int

    @property
    def stored(self) -> np.dtype:
        """The dtype as which the bytes are read: integers for raw ones."""
        return np.dtype(f"u{self.dtype.itemsize}") if raw_width(self.dtype) else self.dtype

    @property
    def transposed(self) -> bool:
        """Whether Fortran order differs from C order."""
        return self.fortran and len(self.shape) > 1


def read_header(file: IO[bytes], what: str) -> Header:
    """The .npy header with which a file begins. Raises InvalidInput for what is none."""
    start = file.read(LONGEST_HEADER)  # numpy would read as much as the header says it has
    fields = 10 if start[6:7] == b"\1" else 12
    length = fields + int.from_bytes(start[8:fields], "little")
    try:
        shape, fortran, dtype = _parsed(start[:length])
    except Exception as error:  # numpy raises ValueError, but also what the header's Python literal makes it raise
        words = _EXPRESSION.sub("an expression", str(error).partition("\n")[0]) or type(error).__name__
        raise InvalidInput(f"{what}: not a readable .npy file ({words}); fetch or write it again") from None
    if len(shape) > 64 or any(n < 0 for n in shape) or math.prod(n or 1 for n in shape) >= 1 << 48:
        raise InvalidInput(
            f"{what}: the shape {str(shape):.200} is not one that an array can have; fetch or write the file again"
        )
    return Header(shape, fortran, dtype, length)


@lru_cache(64)  # an archive of many arrays has few headers, and each is a Python literal
def _parsed(header: bytes) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, order and dtype. Raises what numpy does."""
    head = BytesIO(header)
    version = npy_format.read_magic(head)
    read = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
    parsed: tuple[tuple[int, ...], bool, np.dtype] = read(head)
    return parsed


def raw_width(dtype: np.dtype) -> int:
    """The bytes of a raw value, such as numpy writes for bfloat16 and float8; else 0."""
    raw = dtype.kind == "V" and dtype.fields is None and dtype.subdtype is None and dtype.itemsize in (1, 2)
    return dtype.itemsize if raw else 0


def why_uncoded(dtype: np.dtype) -> str | None:
    """What an array holds that gcodec does not code; None for numbers that it codes."""
    if dtype.hasobject:
        return "Python objects, whose pickle gcodec never loads"
    if raw_width(dtype):
        return f"raw values of {dtype.itemsize} bytes"
    if dtype.kind not in "biufc":
        return {"U": "text", "S": "text", "M": "dates", "m": "durations"}.get(dtype.kind, "structures")
    return None if dtypes.is_known(dtype) else f"numbers of the dtype {dtype}"


def source_of(file: BinaryIO, offset: int, header: Header, dtype: np.dtype) -> Source:
    """The array of a header that begins at `offset` of an open file, as a Source of `dtype`."""
    shape = header.shape[::-1] if header.transposed else header.shape
    source = FileSource(file, offset + header.length, header.stored, dtype, shape)
    return FortranSource(source, header.shape) if header.transposed else source


def plain_header(stored: np.dtype, shape: tuple[int, ...], fortran: bool = False) -> bytes:
    """The header that numpy writes for an array, in C order unless it says otherwise."""
    header = BytesIO()
    fields = {"descr": npy_format.dtype_to_descr(stored), "fortran_order": fortran, "shape": shape}
    npy_format.write_array_header_1_0(header, fields)
    return header.getvalue()


def reinterpreted(stored: np.dtype, name: str | None) -> np.dtype:
    """The dtype that raw bits stand for; `name` may only rename integers of the same width."""
    if name is None:
        return stored
    dtype = dtypes.by_name(name)
    if dtype != stored and (stored.kind not in "iu" or stored.itemsize != dtype.itemsize):
        raise InvalidInput(f"--dtype {name}: the array holds {stored}; only integers of the same width can be renamed")
    return dtype


class Writer:
    """Writes one array to a new `.npy` file, with the original's header if it has one.

    Otherwise it has C order, and bfloat16 and float8 become unsigned integers. meta: that of a
    Reader. Raises Corrupt for a header that is not one of the array.
    """

    def __init__(self, path: Path, meta: dict[str, Any], budget: Budget | None = None) -> None:
        self._header = _unpacked(meta.get("header"))
        self._file = open(path, "w+b")  # noqa: SIM115 (closed by __exit__)
        self._used = False

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, name: str, dtype: np.dtype, shape: tuple[int, ...]) -> "OrderedSink":
        """Begin the array; the result's `write(start, values)` takes its values in order."""
        if self._used:
            raise InvalidInput("a .npy file holds one array; choose one with --tensor, or --to npz")
        self._used = True
        raw = raw_dtype(dtype)
        bits = self._header or plain_header(raw, shape)
        header = _header_of(bits)
        if header.shape != tuple(shape) or header.stored.newbyteorder("=") not in (dtype, raw):
            raise Corrupt(f"the header in the file's metadata is that of {header.dtype} of shape {header.shape}")
        self._file.write(bits)
        return OrderedSink(self._file, header.length, header.stored, header.shape, header.transposed)


def _unpacked(header: object) -> bytes | None:
    try:
        return None if header is None else base64.b64decode(str(header), validate=True)
    except ValueError:
        raise Corrupt("the .npy header in the file's metadata is damaged") from None


def _header_of(bits: bytes) -> Header:
    try:
        header = read_header(BytesIO(bits), "the file's metadata")
    except InvalidInput as error:
        raise Corrupt(str(error)) from None
    if header.length != len(bits):
        raise Corrupt("the .npy header in the file's metadata has another length than it says")
    return header
