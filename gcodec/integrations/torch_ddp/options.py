"""The arguments of `compress`, checked before anything is sent."""

from collections.abc import Mapping
from typing import Any

import gcodec
from gcodec.errors import InvalidInput

DEFAULTS: dict[str, Any] = {"method": "klt", "effort": "fast", "threads": 1}


def checked(start: Any, timeout: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the channels. Raises InvalidInput for what cannot be."""
    if not isinstance(start, int) or isinstance(start, bool) or start < 0:
        raise InvalidInput(f"start must be a whole number of steps, 0 or more, not {start!r:.200}")
    if timeout is not None and (not isinstance(timeout, int | float) or not 0 < timeout < 1e9):
        raise InvalidInput(f"timeout must be a number of seconds above 0, or None, not {timeout!r:.200}")
    if "rank" in options:
        raise InvalidInput("leave rank out: it is that of the process group")
    found = DEFAULTS | dict(options)
    gcodec.Channel({}, **found)  # refuses what no channel takes
    return found


def check_dense(model: Any) -> None:
    """Raise InvalidInput for a model with sparse gradients, which have no message."""
    for name, module in model.named_modules():
        if getattr(module, "sparse", False) is True:
            raise InvalidInput(
                f"{name or 'the model'} gives sparse gradients, which are not coded; make it sparse=False"
            )
