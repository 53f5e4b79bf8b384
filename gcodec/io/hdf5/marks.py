"""What an HDF5 file says of a dataset beside its values: netCDF and its like write it so."""

import math
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5ds, h5t

from ...dtypes import is_float
from ...source import Marks

FILLS = (b"_FillValue", b"missing_value")  # attributes with values that stand for missing ones
_MOST = 16  # values of such an attribute


def marks_of(dataset: h5d.DatasetID, dtype: np.dtype[Any]) -> Marks:
    """The marks of a dataset of this dtype.

    It is a coordinate if it is a dimension scale. Fill values are those of the attributes, and the
    one of the dataset's creation unless that is 0.
    """
    if not is_float(dtype):
        return Marks(coordinate=bool(h5ds.is_scale(dataset)))
    fills = [value for name in FILLS for value in _numbers(dataset, name)]
    create = dataset.get_create_plist()
    if dataset.get_type().get_class() == h5t.FLOAT and create.fill_value_defined() == h5d.FILL_VALUE_USER_DEFINED:
        own = np.zeros((), np.float64)
        create.get_fill_value(own)
        fills += [float(own)] if own else []
    return Marks(bool(h5ds.is_scale(dataset)), tuple(dict.fromkeys(map(_one_nan, fills))))


def _numbers(dataset: h5d.DatasetID, name: bytes) -> list[float]:
    """The values of an attribute of a few numbers."""
    if not h5a.exists(dataset, name):
        return []
    attribute = h5a.open(dataset, name)
    kind, shape = attribute.get_type().get_class(), attribute.shape
    if kind not in (h5t.FLOAT, h5t.INTEGER) or math.prod(shape) > _MOST:
        return []
    return [float(value) for value in np.ravel(h5py.Dataset(dataset).attrs[name])]


def _one_nan(value: float) -> float:
    """The value, with one NaN for all."""
    return math.nan if math.isnan(value) else value
