"""Dtypes of the format: their codes, and how a tensor's own dtype becomes the work dtype and back.

Compressors work on `float64` for float64 tensors and on `float32` for every other floating dtype
(`work_dtype`). `narrow` rounds decoded work values to the tensor's dtype, to nearest with ties to
even. A value beyond the largest finite number becomes that number. This is the last step of
decoding and part of the format (spec/arithmetic.md).
"""

import ml_dtypes
import numpy as np

from .errors import InvalidInput, UnsupportedFeature

_NAMES = {
    1: "float16",
    2: "bfloat16",
    3: "float32",
    4: "float64",
    5: "float8_e4m3fn",
    6: "float8_e5m2",
    7: "float8_e3m4",
    8: "float8_e4m3",
    16: "int8",
    17: "int16",
    18: "int32",
    19: "int64",
    20: "uint8",
    21: "uint16",
    22: "uint32",
    23: "uint64",
    32: "bool",
    33: "complex64",
    34: "complex128",
    35: "float8_e8m0fnu",
    36: "float8_e4m3fnuz",
    37: "float8_e5m2fnuz",
    38: "float4_e2m1fn",
}
_DTYPES = {code: np.dtype(getattr(ml_dtypes, name, None) or name) for code, name in _NAMES.items()}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}
_BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FLOATS = frozenset(_DTYPES[code] for code in range(1, 9))


def code_of(dtype: np.dtype) -> int:
    """The format's code of a dtype of any byte order.

    Raises InvalidInput when the format has none.
    """
    try:
        return _CODES[np.dtype(dtype).newbyteorder("=")]
    except KeyError:
        raise InvalidInput(f"dtype {dtype} cannot be stored; supported are {', '.join(_NAMES.values())}") from None


def is_known(dtype: np.dtype) -> bool:
    """Whether the format has a code for a dtype of any byte order."""
    return np.dtype(dtype).newbyteorder("=") in _CODES


def dtype_of(code: int) -> np.dtype:
    """The dtype of a code, in native byte order. Raises UnsupportedFeature when it is unknown."""
    try:
        return _DTYPES[code]
    except KeyError:
        raise UnsupportedFeature(f"dtype code {code} is unknown to this version of gcodec") from None


def by_name(name: str) -> np.dtype:
    """A dtype by its name. Raises InvalidInput when it is unknown.

    `f16`, `bf16`, `f32`, `f64`, `f8_e4m3` (that of torch) and `f8_e5m2` are short names of floats.
    """
    short = dict(f16=1, bf16=2, f32=3, f64=4, f8_e4m3=5, f8_e5m2=6)
    for code, known in _NAMES.items():
        if name == known or short.get(name) == code:
            return _DTYPES[code]
    raise InvalidInput(f"dtype {name!r} is unknown; known are {', '.join([*short, *_NAMES.values()])}")


def is_float(dtype: np.dtype) -> bool:
    """Whether tensors of this dtype can be coded with a bound.

    All other dtypes are stored exactly.
    """
    return dtype in FLOATS


def work_dtype(dtype: np.dtype) -> np.dtype:
    """float64 for float64, float32 for all other floating dtypes."""
    return dtype if dtype == np.float64 else np.dtype(np.float32)


def spacing(dtype: np.dtype) -> float:
    """The distance from 1 to the next number of a floating dtype."""
    return float(ml_dtypes.finfo(dtype).eps)


def widen(values: np.ndarray) -> np.ndarray:
    """The same numbers in the work dtype, exactly."""
    if values.dtype == _BFLOAT16 and values.flags.c_contiguous:
        from .kernels.half import from_bfloat16

        wide = np.empty(values.shape, np.float32)
        from_bfloat16(values.reshape(-1).view(np.int16), wide.reshape(-1).view(np.int32))
        return wide
    return values.astype(work_dtype(values.dtype), copy=False)


def for_kernels(values: np.ndarray) -> np.ndarray:
    """Numbers in the work dtype, or the bits (int16) of contiguous bfloat16 numbers.

    Kernels that say so take both, and need not write numbers that are twice as long to memory.
    """
    return values.view(np.int16) if values.dtype == _BFLOAT16 and values.flags.c_contiguous else widen(values)


def narrow(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Work values rounded to `dtype`, to nearest with ties to even.

    A value beyond the largest finite number of `dtype` becomes that number, with its sign.
    """
    if values.dtype == dtype:
        return values
    if dtype in (np.float16, _BFLOAT16) and values.dtype == np.float32:
        from .kernels.half import to_bfloat16, to_half

        flat = np.ascontiguousarray(values).reshape(-1)
        bits = np.empty(flat.size, np.uint16)
        if dtype == np.float16:
            to_half(flat, flat.view(np.int32), bits)
        else:
            to_bfloat16(flat.view(np.int32), bits)
        return bits.view(dtype).reshape(values.shape)
    largest = float(ml_dtypes.finfo(dtype).max)
    rounded: np.ndarray = np.clip(values, -largest, largest).astype(dtype)
    return rounded


def as_bytes(values: np.ndarray) -> memoryview:
    """The bytes of contiguous values, without a copy."""
    return values.view(np.uint8).data


def same_bytes(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays of one dtype have the same bytes; compared by words, which is faster."""
    words = a.nbytes // 8 * 8
    left, right = a.view(np.uint8), b.view(np.uint8)
    whole = np.array_equal(left[:words].view(np.uint64), right[:words].view(np.uint64))
    return whole and np.array_equal(left[words:], right[words:])
