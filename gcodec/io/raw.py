"""Bits of dtypes that file formats lack."""

import numpy as np


def raw_dtype(dtype: np.dtype) -> np.dtype:
    """A dtype of numpy's own for the same bits: unsigned integers for bfloat16 and float8."""
    own = np.dtype(dtype.type).isbuiltin == 1  # 2 means registered by another package
    return dtype if own else np.dtype(f"u{dtype.itemsize}")
