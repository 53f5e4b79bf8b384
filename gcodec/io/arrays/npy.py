"""`.npy` files: one array in any order, read piece by piece; pickled objects are refused."""

import math
import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.lib import format as npy_format

from ... import dtypes
from ...container.budget import Budget
from ...errors import InvalidInput
from ...source import UNMARKED, Marks, Source
from ..raw import raw_dtype
from ..streams import open_input, read_at
from .fortran import FortranSource

LONGEST_HEADER = 1 << 16  # bytes


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


class Reader:
    """The one array of a `.npy` file, under the empty name.

    dtype: what raw integers stand for, such as "bf16".
    """

    def __init__(self, path: Path, dtype: str | None = None) -> None:
        self.meta = {"format": "npy"}
        self._file = open_input(path)
        try:
            self._source = self._open(path, dtype)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def tensors(self) -> Iterator[tuple[str, Source]]:
        yield "", self._source

    def _open(self, path: Path, dtype: str | None) -> Source:
        shape, fortran, stored, offset = read_header(self._file, str(path))
        if stored.kind == "V":  # how numpy stores bfloat16 and float8
            if dtype is None:
                raise InvalidInput(
                    f"{path}: holds raw {stored.itemsize}-byte values; say what they are, as --dtype bf16"
                )
            stored = np.dtype(f"u{stored.itemsize}")
        there = os.fstat(self._file.fileno()).st_size - offset
        if there != math.prod(shape) * stored.itemsize:
            raise InvalidInput(
                f"{path}: the header declares {stored} of shape {shape}, {math.prod(shape) * stored.itemsize} bytes, "
                f"but {there} bytes follow; the file was cut or is not a .npy file"
            )
        native = reinterpreted(stored.newbyteorder("="), dtype)
        dtypes.code_of(native)
        if fortran and len(shape) > 1:
            return FortranSource(FileSource(self._file, offset, stored, native, shape[::-1]), shape)
        return FileSource(self._file, offset, stored, native, shape)


def read_header(file: IO[bytes], what: str) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Shape, Fortran order, dtype and length of the .npy header with which a file begins.

    Raises InvalidInput for what is no array.
    """
    head = BytesIO(file.read(LONGEST_HEADER))  # numpy would read as much as the header says it has
    try:
        version = npy_format.read_magic(head)
        read = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
        shape, fortran, dtype = read(head)
    except Exception as error:  # numpy raises ValueError, but also what the header's Python literal makes it raise
        words = str(error).partition("\n")[0] or type(error).__name__
        raise InvalidInput(f"{what}: not a readable .npy file ({words})") from None
    if dtype.hasobject:
        raise InvalidInput(f"{what}: holds pickled Python objects, which gcodec never loads; save a numeric array")
    raw = dtype.kind == "V" and dtype.fields is None and dtype.subdtype is None and dtype.itemsize in (1, 2)
    if not raw and (dtype.fields is not None or dtype.kind not in "biufc"):
        raise InvalidInput(f"{what}: dtype {dtype} is not numeric; save its fields as arrays of their own")
    if len(shape) > 64 or any(n < 0 for n in shape) or math.prod(n or 1 for n in shape) >= 1 << 48:
        raise InvalidInput(f"{what}: the shape {shape} is not one that an array can have")
    return shape, fortran, dtype, head.tell()


def reinterpreted(stored: np.dtype, name: str | None) -> np.dtype:
    """The dtype that raw bits stand for; `name` may only rename integers of the same width."""
    if name is None:
        return stored
    dtype = dtypes.by_name(name)
    if dtype != stored and (stored.kind not in "iu" or stored.itemsize != dtype.itemsize):
        raise InvalidInput(f"--dtype {name}: the array holds {stored}; only integers of the same width can be renamed")
    return dtype


class Writer:
    """Writes one array to a new `.npy` file; bfloat16 and float8 become unsigned integers."""

    def __init__(self, path: Path, meta: dict[str, Any], budget: Budget | None = None) -> None:
        self._file = open(path, "wb")  # noqa: SIM115 (closed by __exit__)
        self._used = False

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, name: str, dtype: np.dtype, shape: tuple[int, ...]) -> "Writer":
        """Begin the array; the result's `write(start, values)` takes its values in order."""
        if self._used:
            raise InvalidInput("a .npy file holds one array; choose one with --tensor, or --to npz")
        self._used = True
        header = {"descr": npy_format.dtype_to_descr(raw_dtype(dtype)), "fortran_order": False, "shape": shape}
        npy_format.write_array_header_1_0(self._file, header)
        return self

    def write(self, start: int, values: np.ndarray) -> None:
        self._file.write(values.tobytes())
