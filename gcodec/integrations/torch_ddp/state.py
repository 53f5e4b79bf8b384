"""The state of a compression, as it stands in a training checkpoint: tensors by name."""

from collections.abc import Container, Mapping
from typing import Any

import numpy as np
import torch

from gcodec.errors import InvalidInput

_STEPS = 1 << 62  # steps that a state may have: far below those that a message can number

Memory = dict[str, np.ndarray]
Shapes = Mapping[str, tuple[int, ...]]


def packed(memory: Memory) -> dict[str, torch.Tensor]:
    """A copy of the memory as tensors, which `torch.load` takes as they are."""
    return {name: torch.tensor(array) for name, array in memory.items()}


def unpacked(given: Any, shapes: Shapes) -> Memory:
    """The memory that was packed. shapes: of all tensors that may have one, by name.

    It is empty, or it has all of them. Raises InvalidInput for other names, shapes and dtypes, for
    NaN and infinity, and for what is no memory.
    """
    if not isinstance(given, Mapping):
        raise InvalidInput(f"the state's memory must be a dict of tensors by name, not {type(given).__name__}")
    found: Memory = {}
    for name, tensor in given.items():
        if name not in shapes:
            raise InvalidInput(f"the state has a tensor {name!r:.200} that the model or this rank lacks")
        found[name] = _array_of(name, tensor, tuple(shapes[name]))
    missing = [name for name in shapes if name not in found]
    if found and missing:
        raise InvalidInput(f"the state's memory lacks {missing[0]!r:.200}; take the state of this model")
    return found


def _array_of(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """A copy of a tensor of a memory."""
    try:
        tensor = torch.as_tensor(value).detach()
    except (TypeError, ValueError, RuntimeError):
        raise InvalidInput(f"{name}: the state's memory must be a tensor, not {type(value).__name__}") from None
    if tuple(tensor.shape) != shape or tensor.dtype not in (torch.float32, torch.float64):
        raise InvalidInput(
            f"{name}: the state has {str(tensor.dtype)[6:]} of shape {tuple(tensor.shape)}, and the model has shape "
            f"{shape}; take the state of this model, in the dtype that was saved"
        )
    if not tensor.isfinite().all():
        raise InvalidInput(f"{name}: the state's memory has NaN or infinite values; take an earlier state")
    return np.array(tensor.cpu().numpy())


def check_memory(given: Any, wide: Container[str], options: Mapping[str, Any]) -> None:
    """Raise InvalidInput for a memory that channels with these options would not take.

    wide: names of the parameters of float64, whose memory is float64; that of all others is
    float32. What is no memory at all is left to `unpacked`.
    """
    if not isinstance(given, Mapping):
        return
    if given and not (options.get("alpha") is not None and options.get("feedback", True)):
        raise InvalidInput(
            "the state has a memory, which this compression would never send; load it with a bound alpha and feedback"
        )
    for name, tensor in given.items():
        found, expected = str(getattr(tensor, "dtype", "")), "float64" if name in wide else "float32"
        if found.endswith(("float32", "float64")) and not found.endswith(expected):
            raise InvalidInput(f"{name}: the state has {found}, not {expected}; keep the dtype that was saved")


def check_origin(state: Mapping[str, Any], expected: Mapping[str, Any]) -> int:
    """The steps of a state. expected: what else it must say of where it was taken.

    Raises InvalidInput for a state from elsewhere, and for what is no state.
    """
    if not isinstance(state, Mapping) or not {"steps", "memory", *expected} <= set(state):
        raise InvalidInput("this is not what the state_dict() of such a compression gives")
    for key, value in expected.items():
        if not isinstance(state[key], int | str) or state[key] != value:
            raise InvalidInput(
                f"the state is of {key} {state[key]!r:.200}, and this compression has {key} {value!r}; "
                "load what the same rank has saved, with as many ranks and the same scheme"
            )
    steps = state["steps"]
    if not isinstance(steps, int) or isinstance(steps, bool) or not 0 <= steps < _STEPS:
        raise InvalidInput(f"the steps of a state must be a whole number from 0 to below 2^62, not {steps!r:.200}")
    return steps
