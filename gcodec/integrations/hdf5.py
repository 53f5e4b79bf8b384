"""HDF5 within this process: a filter for h5py, in Python, whose chunks are containers of gcodec.

    import gcodec, h5py
    with h5py.File("w.h5", "w") as file:
        file.create_dataset("w", data=x, chunks=(1024, 256), **gcodec.hdf5(alpha=0.1))

A file can be read where the filter is registered: call `gcodec.integrations.hdf5.register()` first.
The filter has no way to see which part of a chunk is written: HDF5 decodes, changes and codes a
chunk anew for a part of it. A chunk with values that were decoded before is stored exactly, so that
errors do not add up; write whole chunks, which stay small.
"""

import atexit
import ctypes
import io
import math
import struct
from functools import cache, lru_cache
from typing import Any

import h5py
import ml_dtypes
import numpy as np

import gcodec
from gcodec.errors import Corrupt, InvalidInput, UnsupportedFeature

from . import hdf5_library as library
from .chunks import Chunk, Settings, can_lose, exact, kept
from .hdf5_interrupt import interrupt

FILTER = 34485  # The HDF Group leaves the numbers from 32768 on to everybody
NAME = b"gcodec: each chunk is a container (.gcz) with an enforced bound"  # stands in the files
VERSION = 1
METHOD = 12  # bytes: the longest name of a method
LAYOUT = struct.Struct(f"<IdII{METHOD}s")  # version, bound, kind, flags, method: the first words of the filter's values
TYPE = struct.Struct("<8s")  # the dtype, in the next words; the shape of a chunk follows
WORDS, SHAPE = LAYOUT.size // 4, (LAYOUT.size + TYPE.size) // 4
KINDS = ("lossless", "alpha", "omega", "pointwise")
FAST = 1  # a flag: effort="fast"
_last: list[BaseException] = []


def hdf5(**settings: Any) -> dict[str, Any]:
    """The arguments of h5py's `create_dataset` for a dataset whose chunks gcodec codes.

    settings: method, alpha, omega, pointwise, lossless and effort, as for `gcodec.encode`; a bound
    is needed. A chunk with NaN or infinity is stored exactly: HDF5 codes chunks when it likes, and
    after an error in the midst of that it crashes, so nothing can be refused then. It registers the
    filter.

    Raises InvalidInput. `create_dataset` raises ValueError or OSError for values that are no
    numbers, for a fill value other than 0 where a bound is given (chunks at the edge are padded
    with it), and when another filter comes before this one.
    """
    if settings.get("nonfinite", "lossless") != "lossless":
        raise InvalidInput("in HDF5, chunks with NaN or infinity are stored exactly: nonfinite can only be 'lossless'")
    given = Settings.parse(settings)
    if len(given.method.encode()) > METHOD:
        raise InvalidInput(f"in HDF5, the name of a method has at most {METHOD} bytes, and {given.method!r} has more")
    register()
    kind = next(kind for kind in KINDS if getattr(given, kind) not in (None, False))
    bound = 0.0 if kind == "lossless" else getattr(given, kind)
    packed = LAYOUT.pack(VERSION, bound, KINDS.index(kind), FAST * (given.effort == "fast"), given.method.encode())
    return {"compression": FILTER, "compression_opts": struct.unpack(f"<{WORDS}I", packed)}


@cache
def register() -> None:
    """Make h5py in this process know the filter; a second call does nothing.

    Raises ImportError for a build of h5py that hides HDF5's functions.
    """
    library.library()
    h5py.h5z.register_filter(ctypes.addressof(_FILTER_CLASS))
    atexit.register(_finish)


def last_error() -> BaseException | None:
    """What went wrong in the filter for the last time; None before that.

    The error that h5py raises has its words, and this one has its type. After a chunk could not be
    coded, and was stored exactly instead, h5py raises nothing, and this is the error of that chunk.
    """
    return _last[-1] if _last else None


def _finish() -> None:
    """Write what is left in memory of open files, while there is a Python to code it.

    Files in which a dataset of ours is open are closed: the process would crash in a later write.
    """
    for file in h5py.h5f.get_obj_ids(types=h5py.h5f.OBJ_FILE):
        h5py.h5f.flush(file)
    for dataset in h5py.h5f.get_obj_ids(types=h5py.h5f.OBJ_DATASET):
        if dataset.valid and dataset.get_create_plist().get_filter_by_id(FILTER) is not None:
            h5py.File(h5py.h5i.get_file_id(dataset)).close()


@lru_cache(16)
def _settings(words: tuple[int, ...]) -> Settings:
    """The settings that the first words of the filter's values stand for."""
    if len(words) < WORDS:
        raise InvalidInput("the dataset has no bound; create it with **gcodec.hdf5(alpha=…)")
    version, bound, kind, flags, method = LAYOUT.unpack(struct.pack(f"<{WORDS}I", *words))
    if version != VERSION or kind >= len(KINDS):
        raise UnsupportedFeature(f"the filter's values {words} are unknown to this version of gcodec")
    return Settings.parse(
        {
            "method": method.rstrip(b"\0").decode("ascii", "replace"),
            KINDS[kind]: bound if kind else True,
            "effort": "fast" if flags & FAST else "best",
            "nonfinite": "lossless",
        }
    )


def _type_and_shape(words: tuple[int, ...]) -> tuple[Any, tuple[int, ...]]:
    """The dtype and the shape of a chunk, which stand behind the settings."""
    if words[0] != VERSION:
        raise UnsupportedFeature(f"the filter's values are of version {words[0]}, unknown to this version of gcodec")
    name = struct.pack("<2I", *words[WORDS:SHAPE]).rstrip(b"\0").decode("ascii", "replace")
    try:
        return np.dtype(getattr(ml_dtypes, name, None) or name), words[SHAPE:]
    except (TypeError, ValueError, SyntaxError):  # SyntaxError: of a name such as ",8"
        raise Corrupt(f"the filter's values name the dtype {name!r}, which is unknown") from None


def _encoded(words: tuple[int, ...], data: bytes) -> bytes:
    """A chunk as a container. What cannot be coded as the dataset says is stored exactly.

    An exact chunk keeps every promise, whereas HDF5 crashes some time after a chunk has failed.
    """
    values = np.frombuffer(data, np.uint8)
    if _is_bytes(words):
        return exact(values)
    try:
        dtype, shape = _type_and_shape(words)
        if len(data) != math.prod(shape) * dtype.itemsize:
            raise InvalidInput(f"{len(data)} bytes came for a chunk of {dtype} of shape {shape}")
        values = values.view(dtype).reshape(shape)
        return _settings(words[:WORDS]).coded_once(values)
    except Exception as error:
        _keep(error)
        return exact(values, kept(""))


def _decoded(words: tuple[int, ...], data: bytes) -> bytes:
    """The values of a chunk.

    Wrong settings are an error here already: a chunk that cannot be read is never changed, and so
    never coded.
    """
    if _is_bytes(words):
        return _bytes(data)
    dtype, shape = _type_and_shape(words)
    settings = _settings(words[:WORDS])
    chunk = Chunk(io.BytesIO(data), dtype, shape)
    if chunk.box != shape:
        raise Corrupt(f"the chunk holds values of shape {chunk.box}, where the dataset has chunks of {shape}")
    settings.accept(chunk.guarantee)
    values = chunk.values(0)
    settings.decoded(values, data, chunk.header)
    return values.tobytes()


def _is_bytes(words: tuple[int, ...]) -> bool:
    """Whether dtype and shape of a dataset are unknown, so that its chunks are stored as bytes.

    HDF5 gives no new dataset with values of variable length to `_set_local`, though it gives their
    chunks to the filter: references to where the values are. Nor is there anybody to take a dataset
    that is created where the filter is not registered.
    """
    return len(words) <= SHAPE


def _bytes(data: bytes) -> bytes:
    """The bytes of a chunk that was stored so."""
    values = gcodec.decode(data, threads=1)
    if values.dtype != np.uint8 or values.ndim != 1:
        raise Corrupt(f"the chunk holds {values.dtype} of shape {values.shape}, where the dataset has bytes")
    return values.tobytes()


def _filter(flags: int, count: int, words: Any, nbytes: int, size: Any, buffer: Any) -> int:
    """What HDF5 calls for each chunk; 0 stands for a failure."""
    with interrupt.held():
        return _filtered(flags, count, words, nbytes, size, buffer)


def _filtered(flags: int, count: int, words: Any, nbytes: int, size: Any, buffer: Any) -> int:
    try:
        change = _decoded if flags & library.REVERSE else _encoded
        return library.replace(buffer, size, change(tuple(words[:count]), ctypes.string_at(buffer[0], nbytes)))
    except KeyboardInterrupt:
        # HDF5 cannot give up a chunk half-way, so the chunk is coded from its beginning, and the
        # interrupt is raised again when HDF5 is through with it.
        interrupt.raise_later()
        return _filtered(flags, count, words, nbytes, size, buffer)
    except BaseException as error:
        return _failed(error, 0)


def _set_local(create: int, kind: int, space: int) -> int:
    """What HDF5 calls for a new dataset: adds dtype and chunk shape to the filter's values."""
    try:
        if (first := library.first_filter(create)) != FILTER:
            raise InvalidInput(
                f"filter {first} comes before gcodec, which must be the first: leave out shuffle and scaleoffset"
            )
        words = library.values_of(create, FILTER)[:WORDS]
        settings, dtype = _settings(words), _dtype(library.type_of(kind))
        fill = np.frombuffer(library.fill_value(create, kind, dtype.itemsize), dtype)
        if not settings.lossless and can_lose(dtype) and (fill != 0).any():
            raise InvalidInput(
                "chunks at the edge are padded with the fill value, which would use up the error that the bound "
                "allows; create the dataset with the fill value 0 (in an encoding of xarray: "
                '"_FillValue": None), or with lossless=True'
            )
        name = TYPE.pack((dtype.name if dtype.kind == "V" else dtype.str).encode())
        return library.set_values(create, FILTER, (*words, *struct.unpack("<2I", name), *library.chunk_shape(create)))
    except BaseException as error:
        return _failed(error, -1)


def _dtype(kind: h5py.h5t.TypeID) -> Any:
    """The dtype of an HDF5 type. Raises InvalidInput for values that are no numbers."""
    if isinstance(kind, h5py.h5t.TypeFloatID) and (kind.get_size(), kind.get_fields()[1:3]) == (2, (7, 8)):
        return np.dtype(ml_dtypes.bfloat16)
    if kind.dtype.kind not in "biufc" or kind.dtype.itemsize != kind.get_size():
        raise InvalidInput(f"values of dtype {kind.dtype} are no numbers that gcodec can store; leave out its filter")
    gcodec.encode(np.empty(0, kind.dtype), lossless=True)  # which refuses the others that cannot be stored
    return kind.dtype


def _keep(error: BaseException) -> None:
    """Make this the last error, without the frames of its tracebacks.

    They hold pointers of HDF5, and the process crashed when they were freed in a later call.
    """
    _last[:] = [error]
    link: BaseException | None = error
    while link is not None:
        link.__traceback__, link = None, link.__cause__ or link.__context__


def _failed(error: BaseException, status: int) -> int:
    _keep(error)
    library.push_error(f"gcodec: {type(error).__name__}: {error}")
    return status


_FILTER_CLASS = library.FilterClass(  # which lives as long as this module
    1, FILTER, 1, 1, NAME, None, library.PREPARE(_set_local), library.CODE(_filter)
)
