"""The state of a compression, as it stands in a training checkpoint: tensors by name."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from gcodec.errors import InvalidInput

Memory = dict[str, np.ndarray]
Shapes = Mapping[str, tuple[int, ...]]


def packed(memory: Memory) -> dict[str, torch.Tensor]:
    """A copy of the memory as tensors, which `torch.load` takes as they are."""
    return {name: torch.tensor(array) for name, array in memory.items()}


def unpacked(given: Any, shapes: Shapes) -> Memory:
    """The memory that was packed. shapes: of all tensors that may have one, by name.

    Raises InvalidInput for other names and shapes, and for what is no memory.
    """
    if not isinstance(given, Mapping):
        raise InvalidInput(f"the state's memory must be a dict of tensors by name, not {type(given).__name__}")
    found: Memory = {}
    for name, tensor in given.items():
        if name not in shapes:
            raise InvalidInput(f"the state has a tensor {name!r:.200} that the model or this rank lacks")
        found[name] = array = np.array(tensor)
        if array.shape != tuple(shapes[name]) or array.dtype not in (np.float32, np.float64):
            raise InvalidInput(
                f"{name}: the state has {array.dtype} of shape {array.shape}, and the model has shape "
                f"{tuple(shapes[name])}; take the state of this model"
            )
    return found


def check_origin(state: Mapping[str, Any], expected: Mapping[str, Any]) -> int:
    """The steps of a state. expected: what else it must say of where it was taken.

    Raises InvalidInput for a state from elsewhere, and for what is no state.
    """
    if not isinstance(state, Mapping) or not {"steps", "memory", *expected} <= set(state):
        raise InvalidInput("this is not what the state_dict() of such a compression gives")
    for key, value in expected.items():
        if state[key] != value:
            raise InvalidInput(
                f"the state is of {key} {state[key]!r:.200}, and this compression has {key} {value!r}; "
                "load what the same rank has saved, with as many ranks and the same scheme"
            )
    return int(state["steps"])
