"""What a caller gives as an array: taken as it is, or refused by one sentence that names it."""

import sys
from collections.abc import Mapping
from typing import Any, Protocol

import ml_dtypes
import numpy as np

from .. import dtypes
from ..errors import InvalidInput


class HasArray(Protocol):
    """An object that numpy makes an array of, such as a tensor of PyTorch or a dataset of h5py."""

    def __array__(self) -> Any: ...


AnyArray = np.ndarray | np.generic | HasArray | bool | int | float | complex
_RAW_OF_TORCH = {  # dtypes that numpy lacks: the integers of the same width, and the dtype of their bits
    "torch.bfloat16": ("int16", ml_dtypes.bfloat16),
    "torch.float8_e4m3fn": ("uint8", ml_dtypes.float8_e4m3fn),
    "torch.float8_e5m2": ("uint8", ml_dtypes.float8_e5m2),
    "torch.float8_e4m3fnuz": ("uint8", ml_dtypes.float8_e4m3fnuz),
    "torch.float8_e5m2fnuz": ("uint8", ml_dtypes.float8_e5m2fnuz),
    "torch.float8_e8m0fnu": ("uint8", ml_dtypes.float8_e8m0fnu),
}


ONE = "the array"  # what messages call the only array, which has no name


def array_of(name: str, value: AnyArray) -> np.ndarray:
    """The value as an array of a dtype that the format has; where it can be, without a copy.

    Takes numpy arrays and scalars, Python numbers (as arrays without axes), tensors of PyTorch in
    memory (their values, without gradient), and every other object with an `__array__` method.
    Raises InvalidInput for anything else, for masked values, and for a dtype that cannot be stored.
    """
    what = name or ONE
    if type(value) is np.ndarray:
        array = value
    elif _is_torch(value):
        array = _array_of_torch(what, value)
    elif isinstance(value, np.ma.MaskedArray):
        if np.ma.is_masked(value):
            raise InvalidInput(
                f"{what}: is a masked array, and a container keeps no mask; fill it with .filled(value), and store "
                "the mask as an array of its own"
            )
        array = np.asarray(value.data)
    elif isinstance(value, np.ndarray | np.generic | bool | int | float | complex):
        array = np.asarray(value)
    else:
        array = _array_of_object(what, value)
    try:
        dtypes.code_of(array.dtype)
    except InvalidInput as error:
        raise InvalidInput(f"{what}: {error}") from None
    return array


def _array_of_object(what: str, value: Any) -> np.ndarray:
    kind = type(value).__name__
    if isinstance(value, Mapping) and what == ONE:
        raise InvalidInput(f"{what}: is a {kind}; gcodec.save takes arrays by name, and writes them to a file")
    if isinstance(value, Mapping):
        example = f"{what}/{next(iter(value), 'weight')}"
        raise InvalidInput(
            f"{what}: is a {kind}, not an array; a container is one flat mapping, so give each array inside a name of "
            f"its own, such as {example!r}; a state of model and optimizer goes through torch.save and then, as a file, "
            "through the command gcodec encode"
        )
    if isinstance(value, list | tuple):
        raise InvalidInput(f"{what}: is a {kind}, which does not say its dtype; give numpy.asarray(…, dtype=…) of it")
    if not hasattr(value, "__array__"):
        raise InvalidInput(f"{what}: is a {kind}, not an array; values of this type cannot be stored")
    try:
        return np.asarray(value)
    except Exception as error:  # whatever the other library raises
        raise InvalidInput(f"{what}: numpy cannot make an array of this {kind} ({_first_line(error)})") from None


def _is_torch(value: object) -> bool:
    """Whether it is a tensor of PyTorch, found without importing PyTorch."""
    return any(cls.__name__ == "Tensor" and cls.__module__ == "torch" for cls in type(value).__mro__)


def _array_of_torch(what: str, tensor: Any) -> np.ndarray:
    if hasattr(tensor, "full_tensor"):
        raise InvalidInput(f"{what}: is a tensor spread over processes; give its .full_tensor(), or its .to_local()")
    if tensor.device.type != "cpu":
        raise InvalidInput(f"{what}: is a tensor on the device {tensor.device}; move it to memory with .cpu() first")
    if str(tensor.layout) != "torch.strided":
        raise InvalidInput(f"{what}: is a tensor of layout {tensor.layout}; make it dense with .to_dense() first")
    raw = _RAW_OF_TORCH.get(str(tensor.dtype))
    try:
        plain = tensor.detach().resolve_conj().resolve_neg()
        if raw is None:
            return np.asarray(plain.numpy())
        return np.asarray(plain.view(getattr(sys.modules["torch"], raw[0])).numpy()).view(raw[1])
    except (TypeError, RuntimeError) as error:
        raise InvalidInput(
            f"{what}: tensors of {tensor.dtype} cannot be stored ({_first_line(error)}); convert it first"
        ) from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
