"""The tensors within a nested value, and the names that they get: their keys, joined by dots."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ...errors import InvalidInput
from .kinds import Mapping, Tensor

MAX_DEPTH = 100  # values within values
MAX_LETTERS = 1 << 26  # that all names together may have


def tensors_in(value: Any, most: int) -> tuple[list[tuple[str, Tensor]], int]:
    """Names and tensors in the order of the file, and the number of other values.

    A key that is text or a number is a part of the name; any other key counts by its place. A name
    that is taken gets `#2`, `#3` … behind it. most: the values that are looked at, where one within
    several others counts each time. Raises InvalidInput for more, and for deep nesting.
    """
    found: dict[str, Tensor] = {}
    others = seen = letters = 0
    waiting: list[tuple[str, Any, _Outer | None]] = [("", value, None)]
    while waiting:
        name, value, outer = waiting.pop()
        seen += 1
        letters += len(name)
        if seen > most or letters > MAX_LETTERS:
            raise _endless(value, outer) or InvalidInput("it names its values again and again, or by very long names")
        if outer is not None and outer.depth > MAX_DEPTH:
            raise _endless(value, outer) or InvalidInput(f"its values are nested deeper than {MAX_DEPTH}")
        if isinstance(value, Tensor):
            found[_free(name, found)] = value
        elif isinstance(value, (Mapping, list, tuple)):
            around = _Outer(value, outer, outer.depth + 1 if outer else 1)
            inner = [(_joined(name, part), item, around) for part, item in _parts(value)]
            waiting += reversed(inner)
        else:
            others += 1
    return list(found.items()), others


@dataclass(frozen=True)
class _Outer:
    """A collection that a value lies in, and the one around it. depth: how many there are."""

    value: Any
    around: "_Outer | None"
    depth: int


def _endless(value: Any, outer: _Outer | None) -> InvalidInput | None:
    """The error for a collection that holds itself, if that is why there are so many values."""
    seen = {id(value)} if isinstance(value, (Mapping, list)) else set()
    while outer is not None:
        if id(outer.value) in seen:
            return InvalidInput("a dictionary or list in it holds itself")
        seen.add(id(outer.value))
        outer = outer.around
    return None


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """The keys of a collection as text, and what they lead to."""
    items = value.items if isinstance(value, Mapping) else enumerate(value)
    for place, item in enumerate(items):
        if not isinstance(item, (tuple, list)) or len(item) != 2:
            raise InvalidInput("a dictionary in it is not made of pairs")
        yield _text(item[0], place), item[1]


def _text(key: Any, place: int) -> str:
    if isinstance(key, str):
        return key
    small = isinstance(key, (float, bool, type(None))) or (isinstance(key, int) and abs(key) < 2**63)
    return str(key) if small else str(place)


def _joined(name: str, part: str) -> str:
    return f"{name}.{part}" if name else part


def _free(name: str, taken: dict[str, Tensor]) -> str:
    """The name, or one with a number that nobody has."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"the key {name[:80]!r} is not valid Unicode") from None
    number = 2
    free = name
    while free in taken:
        free = f"{name}#{number}"
        number += 1
    return free
