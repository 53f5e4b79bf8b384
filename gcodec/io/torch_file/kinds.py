"""What a pickle of torch may name, and the values that are made of it, which are gcodec's own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from ...errors import InvalidInput

MAX_NDIM = 64
_DTYPES: dict[str, Any] = {
    "float64": np.float64, "float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16,
    "float8_e4m3fn": ml_dtypes.float8_e4m3fn, "float8_e5m2": ml_dtypes.float8_e5m2, "int64": np.int64,
    "int32": np.int32, "int16": np.int16, "int8": np.int8, "uint64": np.uint64, "uint32": np.uint32,
    "uint16": np.uint16, "uint8": np.uint8, "bool": np.bool_, "complex64": np.complex64, "complex128": np.complex128,
    "float8_e4m3fnuz": ml_dtypes.float8_e4m3fnuz, "float8_e5m2fnuz": ml_dtypes.float8_e5m2fnuz,
    "float8_e8m0fnu": ml_dtypes.float8_e8m0fnu,
}  # fmt: skip
_UNKNOWN_DTYPES = {"float4_e2m1fn_x2": 1, "complex32": 4}  # the bytes of a value
_STORAGES = {
    "Double": "float64", "Float": "float32", "Half": "float16", "BFloat16": "bfloat16", "Long": "int64",
    "Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8", "Bool": "bool", "ComplexFloat": "complex64",
    "ComplexDouble": "complex128", "Untyped": "uint8",
}  # fmt: skip


@dataclass(frozen=True)
class Global:
    """What a pickle names. dtype: of the values, where it is a dtype or a storage's class."""

    module: str
    name: str
    dtype: np.dtype | None = None
    itemsize: int = 0


class Mapping:
    """A dictionary: its keys and values in order, never looked up. Keys may be anything."""

    def __init__(self) -> None:
        self.items: list[tuple[Any, Any]] = []

    @classmethod
    def of(cls, items: list[Any]) -> "Mapping":
        made = cls()
        made.add(items)
        return made

    def add(self, items: list[Any]) -> None:
        """Add keys and values, which alternate."""
        if len(items) % 2:
            raise ValueError("a key has no value")
        self.items += zip(items[::2], items[1::2], strict=True)


@dataclass(frozen=True)
class Opaque:
    """A value that is no tensor, and that no step looks into."""


@dataclass(frozen=True)
class Storage:
    """Bytes that tensors are views of, and the key of their place. itemsize: of its class."""

    key: str
    dtype: np.dtype | None
    itemsize: int
    size: int

    @classmethod
    def of(cls, persistent: Any) -> "Storage":
        """The storage of a persistent id ("storage", class, key, device, number of values)."""
        kind, holder, key, _, size, *view = persistent if isinstance(persistent, tuple) else ()
        if kind != "storage" or not isinstance(holder, Global) or not holder.itemsize or view not in ([], [None]):
            raise ValueError("a persistent id is not that of a storage")
        if not isinstance(key, str) or not _is_count(size):
            raise ValueError("a storage has no key or no size")
        return cls(key, holder.dtype, holder.itemsize, size)

    @property
    def nbytes(self) -> int:
        return self.size * self.itemsize


@dataclass(frozen=True)
class Tensor:
    """A view of a storage: offset and strides in values. dtype: None for an unknown one.

    plain: whether its values are those of the storage, not their conjugates or negatives.
    """

    storage: Storage
    dtype: np.dtype | None
    itemsize: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    plain: bool = True


def known(module: object, name: object) -> Global:
    """What a pickle may name. Raises InvalidInput with the name of anything else."""
    if module in ("torch", "torch.storage") and isinstance(name, str):
        dtype = name if module == "torch" else ""
        if name.endswith("Storage"):
            dtype = _STORAGES.get(name.removesuffix("Storage"), "")
        if dtype in _DTYPES:
            return Global("torch", name, np.dtype(_DTYPES[dtype]), np.dtype(_DTYPES[dtype]).itemsize)
        if dtype in _UNKNOWN_DTYPES:
            return Global("torch", name, None, _UNKNOWN_DTYPES[dtype])
    if (module, name) in _MAKERS or (module, name) in _CLASSES:
        return Global(str(module), str(name))
    raise InvalidInput(
        f"the pickle asks for {module}.{name}, which gcodec never runs; save tensors, numbers and text alone, such as "
        "a state_dict()"
    )


def storage_class(dtype: np.dtype) -> tuple[str, bool]:
    """The storage's class for a dtype, and whether it says the dtype, or holds bytes."""
    for name, of in _STORAGES.items():
        if of == dtype.name and name != "Untyped":
            return f"{name}Storage", True
    return "UntypedStorage", False


def made(function: Global, arguments: tuple[Any, ...]) -> Any:
    """What a call of something known gives. Raises ValueError for wrong arguments."""
    maker = _MAKERS.get((function.module, function.name))
    if maker is None:
        raise ValueError(f"{function.module}.{function.name} is called, and is no function")
    return maker(*arguments)


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *others: Any) -> Tensor:
    """`torch._utils._rebuild_tensor_v2`, and the one before it."""
    return _checked(
        storage, storage.dtype if isinstance(storage, Storage) else None, offset, shape, strides, others[2:]
    )


def _typed_tensor(
    storage: Any, offset: Any, shape: Any, strides: Any, grad: Any, hooks: Any, dtype: Any, *others: Any
) -> Tensor:
    """`torch._utils._rebuild_tensor_v3`, whose storage has bytes."""
    if not isinstance(dtype, Global) or not dtype.itemsize:
        raise ValueError("a tensor has no dtype")
    return _checked(storage, dtype, offset, shape, strides, others)


def _checked(storage: Any, kind: Any, offset: Any, shape: Any, strides: Any, flags: tuple[Any, ...]) -> Tensor:
    if not isinstance(storage, Storage) or not _is_count(offset) or not are_counts(shape) or not are_counts(strides):
        raise ValueError("a tensor has no storage, offset, shape or strides")
    if len(shape) != len(strides) or len(shape) > MAX_NDIM:
        raise ValueError("a tensor has not as many strides as axes, or too many")
    dtype, itemsize = (kind.dtype, kind.itemsize) if isinstance(kind, Global) else (kind, storage.itemsize)
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True)) + 1 if all(shape) else offset
    if last * itemsize > storage.nbytes:
        raise InvalidInput(
            f"a tensor of shape {str(shape):.200} lies beyond the end of its storage {storage.key!r:.80}; "
            "fetch or write the file again"
        )
    plain = not any(isinstance(flag, Mapping) and flag.items for flag in flags)
    return Tensor(storage, dtype, itemsize, offset, shape, strides, plain)


def _parameter(data: Any, *others: Any) -> Any:
    """A parameter or buffer: its tensor."""
    return data


def _subclassed(function: Any, kind: Any, arguments: Any, state: Any) -> Any:
    """`torch._tensor._rebuild_from_type_v2`: a tensor that has attributes."""
    if not isinstance(function, Global) or not isinstance(arguments, tuple):
        raise ValueError("a tensor is made by what is no function")
    return made(function, arguments)


def _mapping(*arguments: Any) -> Mapping:
    """An OrderedDict or a Counter, empty or of pairs or of a dictionary, which are not copied."""
    made = Mapping()
    given = arguments[0] if arguments else []
    made.items = given.items if isinstance(given, Mapping) else given
    if not isinstance(made.items, list):
        raise ValueError("a dictionary is made of what has no pairs")
    return made


def _opaque(*arguments: Any) -> Opaque:
    return Opaque()


_MAKERS: dict[tuple[object, object], Callable[..., Any]] = {
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _typed_tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("torch._tensor", "_rebuild_from_type_v2"): _subclassed,
    ("collections", "OrderedDict"): _mapping,
    ("collections", "Counter"): _mapping,
    ("torch", "Size"): _opaque,
    ("torch", "device"): _opaque,
    ("_codecs", "encode"): _opaque,
    **{(module, name): _opaque for module in ("builtins", "__builtin__") for name in ("set", "bytearray", "complex")},
}
_CLASSES = {("torch", "Tensor"), ("torch.nn.parameter", "Parameter")}


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def are_counts(values: Any) -> bool:
    """Whether these are whole numbers from 0 on, below 2⁶³."""
    return isinstance(values, tuple) and all(map(_is_count, values))
