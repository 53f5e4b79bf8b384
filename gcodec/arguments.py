"""Arguments of the public functions: each is taken as it is, or refused by one sentence."""

from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from .errors import InvalidInput


def whole_number(name: str, value: Any, least: int | None = None) -> int:
    """The value as an int. Raises InvalidInput for what is none, or less than `least`."""
    if not isinstance(value, Integral) or isinstance(value, bool) or (least is not None and value < least):
        at_least = "" if least is None else f", {least} or more"
        raise InvalidInput(f"{name} must be a whole number{at_least}, not {value!r:.200}")
    return int(value)


def check_number(name: str, value: object) -> None:
    """Raise InvalidInput for what is no real number, and for one that is beyond all floats.

    True and False are none.
    """
    if not isinstance(value, Real) or isinstance(value, bool):
        raise InvalidInput(f"{name} must be a number, not {value!r:.200}")
    try:
        float(value)
    except OverflowError:
        raise InvalidInput(f"{name} must be a number that a float can hold") from None


def check_flag(name: str, value: object) -> None:
    """Raise InvalidInput for what is neither True nor False."""
    if not isinstance(value, bool | np.bool_):
        raise InvalidInput(f"{name} must be True or False, not {value!r:.200}")


def check_text(name: str, value: object) -> None:
    """Raise InvalidInput for what is no string."""
    if not isinstance(value, str):
        raise InvalidInput(f"{name} must be a string, not {value!r:.200}")


def several(name: str, values: Any, example: str) -> list[Any]:
    """The values as a list. Raises InvalidInput for a single one; `example` is one of several."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InvalidInput(f"{name} must be a list, such as {example}, not {values!r:.200}")
    return list(values)


def named(name: str, values: Any) -> dict[str, Any]:
    """A copy of the values by name. Raises InvalidInput for what is no dict, or has other keys."""
    if not isinstance(values, Mapping) or not all(isinstance(key, str) for key in values):
        raise InvalidInput(f"{name} must be a dict with strings as keys, not {values!r:.200}")
    return dict(values)


def is_seekable(file: Any) -> bool:
    """Whether a file object can seek; one that does not say so cannot."""
    seekable = getattr(file, "seekable", None)
    return callable(seekable) and bool(seekable())
