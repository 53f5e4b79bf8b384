"""bfloat16 as a data type of zarr, which has none: `create_array(…, dtype="bfloat16")`.

Its name in the metadata of v3 and v2 is "bfloat16". A fill value is a number, "NaN", "Infinity",
"-Infinity" or the bits as "0x7fc0", as the registry of zarr's extensions says.

It has an entry point, but zarr 3.1 does not load those of data types: import this file, or
`gcodec.integrations.zarr`, before such an array is created or opened.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import ml_dtypes
import numpy as np

from .chunks import missing

try:
    from zarr.core.dtype.common import DataTypeValidationError, HasEndianness, HasItemSize
    from zarr.dtype import ZDType, data_type_registry
except ImportError as error:
    raise missing("zarr 3.1 or newer", "zarr") from error

NAME = "bfloat16"
NATIVE = np.dtype(ml_dtypes.bfloat16)


@dataclass(frozen=True, kw_only=True)
class BFloat16(ZDType[Any, Any], HasEndianness, HasItemSize):
    """The data type whose values numpy has as `ml_dtypes.bfloat16`."""

    dtype_cls: ClassVar[type] = type(NATIVE)
    _zarr_v3_name: ClassVar[str] = NAME

    @property
    def item_size(self) -> int:
        """The bytes of one value."""
        return int(NATIVE.itemsize)

    @classmethod
    def from_native_dtype(cls, dtype: Any) -> Self:
        if dtype != NATIVE:
            raise DataTypeValidationError(f"{dtype} is not {NAME}")
        return cls()

    def to_native_dtype(self) -> Any:
        return NATIVE

    @classmethod
    def _from_json_v2(cls, data: Any) -> Self:
        return cls._from_name(data["name"] if isinstance(data, dict) and data.get("object_codec_id") is None else data)

    @classmethod
    def _from_json_v3(cls, data: Any) -> Self:
        return cls._from_name(data)

    @classmethod
    def _from_name(cls, name: object) -> Self:
        if name != NAME:
            raise DataTypeValidationError(f"{name!r:.200} is not {NAME}")
        return cls()

    def to_json(self, zarr_format: int) -> Any:
        return NAME if zarr_format == 3 else {"name": NAME, "object_codec_id": None}

    def _check_scalar(self, data: object) -> bool:
        try:
            self._cast_scalar_unchecked(data)
        except (TypeError, ValueError, OverflowError):
            return False
        return True

    def cast_scalar(self, data: object) -> Any:
        if not self._check_scalar(data):
            raise TypeError(f"{data!r:.200} is not a number that {NAME} can hold")
        return self._cast_scalar_unchecked(data)

    def _cast_scalar_unchecked(self, data: Any) -> Any:
        return NATIVE.type(float(data))

    def default_scalar(self) -> Any:
        return NATIVE.type(0)

    def from_json_scalar(self, data: Any, *, zarr_format: int) -> Any:
        try:
            if isinstance(data, str) and data.startswith("0x"):
                return np.uint16(int(data, 16)).view(NATIVE)
            if isinstance(data, str | int | float) and not isinstance(data, bool):
                return NATIVE.type(float(data))
        except (ValueError, OverflowError):
            pass
        raise TypeError(f"{data!r:.200} is no fill value of {NAME}; it is a number, or a string such as NaN or 0x7fc0")

    def to_json_scalar(self, data: object, *, zarr_format: int) -> float | str:
        value = float(self.cast_scalar(data))
        if np.isfinite(value):
            return value
        return "NaN" if np.isnan(value) else "Infinity" if value > 0 else "-Infinity"


data_type_registry.register(NAME, BFloat16)
