"""What a checkpoint keeps of the sending end of a channel, checked before a channel takes it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import dtypes
from ..arguments import whole_number
from ..compressors.contract import TensorSpec
from ..errors import InvalidInput
from ..request.arrays import array_of
from .manifest import Manifest

_STEPS = 1 << 63  # steps that a state may have; messages can number twice as many


def state_of(state: Any, manifest: Manifest, *, feedback: bool) -> tuple[int, dict[int, np.ndarray]]:
    """(the step, a copy of the memory by the number of its tensor) of a channel's `state_dict`.

    feedback: whether the channel has a memory at all. Raises InvalidInput for anything that is not
    the state of a channel of these tensors.
    """
    if not isinstance(state, Mapping) or not {"step", "memory"} <= set(state):
        raise InvalidInput('a state is the mapping that `state_dict` gives, with "step" and "memory"')
    step, memory = whole_number("the step of a state", state["step"], 0), state["memory"]
    if step >= _STEPS:
        raise InvalidInput("the step of a state must be below 2^63")
    if not isinstance(memory, Mapping):
        raise InvalidInput(f"the memory of a state must be a mapping from names to arrays, not {memory!r:.200}")
    if memory and not feedback:
        raise InvalidInput(
            "the state has a memory, which this channel would never send or empty; give it to a channel with a bound "
            "alpha and feedback, or load the state with an empty memory"
        )
    places = {name: i for i, name in enumerate(manifest.names)}
    for name in memory:
        if name not in places:
            raise InvalidInput(f"the state has a tensor {name!r} that the channel lacks")
    return step, {places[name]: _memory_of(name, array, manifest.specs[places[name]]) for name, array in memory.items()}


def _memory_of(name: str, value: Any, spec: TensorSpec) -> np.ndarray:
    if not dtypes.is_float(spec.dtype):
        raise InvalidInput(f"{name}: the state has a memory of it, but {spec.dtype} is sent exactly and leaves none")
    found, dtype = array_of(name, value), dtypes.work_dtype(spec.dtype)
    if found.shape != spec.shape or found.dtype.newbyteorder("=") != dtype:
        raise InvalidInput(
            f"{name}: the state has another shape or dtype than the channel: {found.dtype} of shape {found.shape}, not "
            f"{dtype} of shape {spec.shape}"
        )
    if not np.isfinite(found).all():
        raise InvalidInput(
            f"{name}: the state has a memory with NaN or infinite values, which would spoil every message"
        )
    return found.astype(dtype, order="C")
