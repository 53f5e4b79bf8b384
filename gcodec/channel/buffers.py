"""Arrays of the caller that a message is decoded into."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InvalidInput
from .manifest import Manifest


def check_out(out: Any, manifest: Manifest) -> None:
    """Raise InvalidInput for arrays that cannot take a message of these tensors, each as it is."""
    if not isinstance(out, Sequence) or isinstance(out, str | bytes):
        raise InvalidInput(f"out must be a list of arrays in the order of the tensors, not {type(out).__name__}")
    if len(out) != len(manifest.names):
        raise InvalidInput(f"out must have an array for each of the {len(manifest.names)} tensors, not {len(out)}")
    for name, array, spec in zip(manifest.names, out, manifest.specs, strict=True):
        if not isinstance(array, np.ndarray):
            raise InvalidInput(f"{name}: out must have a numpy array for it, not {type(array).__name__}")
        if array.dtype != spec.dtype or array.shape != spec.shape:
            raise InvalidInput(
                f"{name}: out has {array.dtype} of shape {array.shape} for it; the channel has {spec.dtype} of shape "
                f"{spec.shape}"
            )
        if not array.flags.writeable:
            raise InvalidInput(f"{name}: out has a read-only array for it; give one that can be written to")
    _check_apart(out, manifest.names)


def _check_apart(out: Sequence[np.ndarray], names: Sequence[str]) -> None:
    """Raise InvalidInput for arrays that share memory: the later would spoil the earlier."""
    spans = sorted((*np.lib.array_utils.byte_bounds(array), i) for i, array in enumerate(out) if array.size)
    near: list[tuple[int, int]] = []  # (end, number) of the arrays that reach beyond the start of the next one
    for start, end, i in spans:
        near = [(other, j) for other, j in near if other > start]
        for _, j in near:
            if np.shares_memory(out[i], out[j]):
                raise InvalidInput(f"{names[j]} and {names[i]}: out has arrays for them that share memory")
        near.append((end, i))
