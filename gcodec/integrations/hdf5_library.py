"""The functions of the HDF5 library that a filter needs and h5py does not have."""

import ctypes
from ctypes import CFUNCTYPE, POINTER, byref, c_bool, c_char_p, c_int, c_int64, c_size_t, c_uint, c_uint64, c_void_p
from functools import cache
from typing import Any

import h5py

MANDATORY = 0  # a flag: what the filter refuses is an error; what an optional one refuses is stored without it
REVERSE = 0x100  # a flag: decode
_MOST_VALUES, _MOST_AXES = 64, 32

CODE = CFUNCTYPE(c_size_t, c_uint, c_size_t, POINTER(c_uint), c_size_t, POINTER(c_size_t), POINTER(c_void_p))
PREPARE = CFUNCTYPE(c_int, c_int64, c_int64, c_int64)


class FilterClass(ctypes.Structure):
    """HDF5's H5Z_class2_t: a filter's number, its name, and what HDF5 calls."""

    _fields_ = [
        ("version", c_int),
        ("number", c_int),
        ("encodes", c_uint),
        ("decodes", c_uint),
        ("name", c_char_p),
        ("can_apply", c_void_p),
        ("set_local", PREPARE),
        ("filter", CODE),
    ]


@cache
def library() -> Any:
    """The library that h5py uses, found among what one of its modules is linked with.

    Raises ImportError when this build of h5py hides its functions.
    """
    lib = ctypes.CDLL(h5py.defs.__file__)
    values = [POINTER(c_uint), POINTER(c_size_t), POINTER(c_uint), c_size_t, c_char_p, POINTER(c_uint)]
    signatures: tuple[tuple[str, Any, list[Any]], ...] = (
        ("H5allocate_memory", c_void_p, [c_size_t, c_bool]),
        ("H5free_memory", c_int, [c_void_p]),
        ("H5Pget_filter2", c_int, [c_int64, c_uint, *values]),
        ("H5Pget_filter_by_id2", c_int, [c_int64, c_int, *values]),
        ("H5Pmodify_filter", c_int, [c_int64, c_int, c_uint, c_size_t, POINTER(c_uint)]),
        ("H5Pget_chunk", c_int, [c_int64, c_int, POINTER(c_uint64)]),
        ("H5Pget_fill_value", c_int, [c_int64, c_int64, c_void_p]),
        ("H5Tencode", c_int, [c_int64, c_void_p, POINTER(c_size_t)]),
        ("H5Ecreate_stack", c_int64, []),
        ("H5Epush2", c_int, [c_int64, c_char_p, c_char_p, c_uint, c_int64, c_int64, c_int64, c_char_p]),
        ("H5Eset_current_stack", c_int, [c_int64]),
    )
    for name, result, arguments in signatures:
        function = getattr(lib, name, None)
        if function is None:
            raise ImportError(f"this build of h5py does not show {name} of HDF5; install h5py from PyPI or conda-forge")
        function.restype, function.argtypes = result, arguments
    return lib


def replace(buffer: Any, size: Any, data: bytes) -> int:
    """Put bytes into the place of a chunk's buffer, which HDF5 owns; gives their number."""
    place = library().H5allocate_memory(len(data), False)
    if not place:
        raise MemoryError(f"the system gives too little memory for a chunk of {len(data)} bytes")
    ctypes.memmove(place, data, len(data))
    library().H5free_memory(buffer[0])
    buffer[0], size[0] = place, len(data)
    return len(data)


def first_filter(create: int) -> int:
    """The number of the first filter of a dataset."""
    return int(library().H5Pget_filter2(create, 0, byref(c_uint()), byref(c_size_t()), None, 0, None, None))


def values_of(create: int, number: int) -> tuple[int, ...]:
    """The values that a dataset keeps for a filter."""
    words, count = (c_uint * _MOST_VALUES)(), c_size_t(_MOST_VALUES)
    library().H5Pget_filter_by_id2(create, number, byref(c_uint()), byref(count), words, 0, None, None)
    return tuple(words[: min(count.value, _MOST_VALUES)])


def set_values(create: int, number: int, values: tuple[int, ...]) -> int:
    """Let a dataset keep these values for a filter, and make the filter mandatory."""
    return int(library().H5Pmodify_filter(create, number, MANDATORY, len(values), (c_uint * len(values))(*values)))


def chunk_shape(create: int) -> tuple[int, ...]:
    """The shape of a dataset's chunks."""
    sides = (c_uint64 * _MOST_AXES)()
    return tuple(sides[: library().H5Pget_chunk(create, _MOST_AXES, sides)])


def fill_value(create: int, kind: int, itemsize: int) -> bytes:
    """The bytes of a dataset's fill value; those of zero where it has none."""
    fill = ctypes.create_string_buffer(itemsize)
    return fill.raw if library().H5Pget_fill_value(create, kind, fill) >= 0 else bytes(itemsize)


def type_of(kind: int) -> h5py.h5t.TypeID:
    """An HDF5 type as h5py knows it."""
    size = c_size_t()
    library().H5Tencode(kind, None, byref(size))
    packed = ctypes.create_string_buffer(size.value)
    library().H5Tencode(kind, packed, byref(size))
    return h5py.h5t.decode(packed.raw)


def push_error(words: str) -> None:
    """Make words the first of HDF5's errors, which h5py shows.

    The current list takes no error while a filter runs, but another list can take its place.
    """
    lib = library()
    ids = [c_int64.in_dll(lib, name).value for name in ("H5E_ERR_CLS_g", "H5E_PLINE_g", "H5E_CANTFILTER_g")]
    stack = lib.H5Ecreate_stack()
    lib.H5Epush2(stack, b"gcodec", b"filter", 0, *ids, words.replace("%", "%%").encode())
    lib.H5Eset_current_stack(stack)
