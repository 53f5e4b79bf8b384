"""Which dtype an HDF5 type is; values move as they are in the file, without HDF5's conversions."""

from typing import Any

import h5py
import ml_dtypes
import numpy as np
from h5py import h5a, h5d, h5t

from ... import dtypes
from ...errors import InvalidInput
from ..raw import raw_dtype

DTYPE_ATTRIBUTE = "gcodec_dtype"  # names the float that raw unsigned integers stand for

Pair = tuple[np.dtype[Any], np.dtype[Any]]  # what the bytes are to numpy, and the tensor's dtype of the same width

# size, (sign, exponent at, bits, mantissa at, bits), exponent bias → dtype
_FLOATS = {
    (2, (15, 10, 5, 0, 10), 15): np.dtype(np.float16),
    (2, (15, 7, 8, 0, 7), 127): np.dtype(ml_dtypes.bfloat16),
    (4, (31, 23, 8, 0, 23), 127): np.dtype(np.float32),
    (8, (63, 52, 11, 0, 52), 1023): np.dtype(np.float64),
}


def dtypes_of(dataset: h5d.DatasetID) -> Pair | None:
    """The dtypes of a dataset, by its type and the attributes that rename raw bits, or None."""
    kind = dataset.get_type()
    if kind.get_class() == h5t.OPAQUE and kind.get_size() == 2 and _text(dataset, "dtype") == "bfloat16":
        return np.dtype("<u2"), np.dtype(ml_dtypes.bfloat16)  # as Keras writes it
    pair = _numeric(kind)
    if pair and pair[0].kind == "u" and (renamed := _text(dataset, DTYPE_ATTRIBUTE)):
        try:
            dtype = dtypes.by_name(renamed)
        except InvalidInput:
            return pair
        if dtypes.is_float(dtype) and dtype.itemsize == pair[0].itemsize:
            return pair[0], dtype
    return pair


def _text(dataset: h5d.DatasetID, attribute: str) -> str | None:
    if not h5a.exists(dataset, attribute.encode()):
        return None
    value = h5py.Dataset(dataset).attrs[attribute]
    return value if isinstance(value, str) else None


def _numeric(kind: h5t.TypeID) -> Pair | None:
    """The dtypes of an HDF5 type, None when it is no number that numpy has."""
    match kind.get_class():
        case h5t.INTEGER:
            return _integer(kind)
        case h5t.FLOAT:
            return _float(kind)
        case h5t.ENUM:
            base = _integer(kind.get_super())
            return (base[0], np.dtype(bool)) if base and _is_bool(kind) else base
        case h5t.COMPOUND:
            return _complex(kind)
    if kind.get_class() == getattr(h5t, "COMPLEX", None):
        return _twice(_float(kind.get_super()))
    return None


def _integer(kind: h5t.TypeID) -> Pair | None:
    size = kind.get_size()
    if kind.get_class() != h5t.INTEGER or size not in (1, 2, 4, 8) or not _plain(kind):
        return None
    stored = np.dtype(f"{_order(kind)}{'i' if kind.get_sign() == h5t.SGN_2 else 'u'}{size}")
    return stored, stored.newbyteorder("=")


def _float(kind: h5t.TypeID) -> Pair | None:
    if kind.get_class() != h5t.FLOAT or not _plain(kind) or kind.get_norm() != h5t.NORM_IMPLIED:
        return None
    dtype = _FLOATS.get((kind.get_size(), kind.get_fields(), kind.get_ebias()))
    if dtype is None:
        return None
    return np.dtype(f"{_order(kind)}{raw_dtype(dtype).str[1:]}"), dtype


def _plain(kind: h5t.TypeID) -> bool:
    known_order = kind.get_order() in (h5t.ORDER_LE, h5t.ORDER_BE)
    return known_order and kind.get_offset() == 0 and kind.get_precision() == 8 * kind.get_size()


def _order(kind: h5t.TypeID) -> str:
    return "<" if kind.get_order() == h5t.ORDER_LE else ">"


def _is_bool(kind: h5t.TypeID) -> bool:
    """h5py's way of bool: an enumeration of FALSE = 0 and TRUE = 1 in a byte."""
    if kind.get_size() != 1 or kind.get_nmembers() != 2:
        return False
    return {kind.get_member_name(i): kind.get_member_value(i) for i in range(2)} == {b"FALSE": 0, b"TRUE": 1}


def _complex(kind: h5t.TypeID) -> Pair | None:
    """h5py's way of complex: a compound of two equal floats named r and i."""
    if kind.get_nmembers() != 2 or [kind.get_member_name(i) for i in range(2)] != [b"r", b"i"]:
        return None
    parts = [kind.get_member_type(i) for i in range(2)]
    offsets = [kind.get_member_offset(i) for i in range(2)]
    if not parts[0].equal(parts[1]) or offsets != [0, kind.get_size() // 2]:
        return None
    return _twice(_float(parts[0]))


def _twice(part: Pair | None) -> Pair | None:
    if part is None or part[1] not in (np.float32, np.float64):
        return None
    stored = np.dtype(f"{part[0].str[0]}c{2 * part[0].itemsize}")
    return stored, stored.newbyteorder("=")
