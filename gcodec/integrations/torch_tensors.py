"""Tensors of gcodec files as tensors of PyTorch, for `load_state_dict` and the like."""

import os
from typing import Any, BinaryIO

import numpy as np
import torch

import gcodec


def load(
    file: str | os.PathLike[str] | BinaryIO, *, base: Any = None, threads: int | None = None, limit: int | None = None
) -> dict[str, torch.Tensor]:
    """All tensors of a container by name, as `gcodec.load` gives arrays, in the processor's memory.

    The dtypes are those of the file, bfloat16 and float8 too. The parameters, and what is raised,
    are those of `gcodec.load`.
    """
    found = gcodec.load(file, base=base, threads=threads, limit=limit)
    return {name: tensor_of(array) for name, array in found.items()}


def tensor_of(array: np.ndarray) -> torch.Tensor:
    """The same values for torch, which knows none of the dtypes of ml_dtypes as numpy has them.

    A contiguous array and its tensor share their memory.
    """
    plain = np.asarray(array, order="C")
    if array.dtype.isbuiltin == 1:  # one of numpy's own
        return torch.from_numpy(plain)
    bits = torch.from_numpy(plain.view(f"i{array.dtype.itemsize}"))
    return bits.view(getattr(torch, array.dtype.name))
