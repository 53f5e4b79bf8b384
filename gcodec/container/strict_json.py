"""JSON as in RFC 8259: without a key twice, NaN and Infinity, which Python's parser lets through.

Python refuses deep nesting and long integers only in some settings. Here they are refused always.
"""

import json
from typing import Any, NoReturn

DEEPEST = 64
LONGEST = 300  # the most characters of an integer


def loads(data: bytes) -> Any:
    """The value of UTF-8 text. Raises ValueError, or RecursionError, for anything else."""
    text = data.decode()
    value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_integer)
    if _depth(value) > DEEPEST:
        raise ValueError(f"nested deeper than {DEEPEST}")
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode()  # half of a surrogate pair raises UnicodeEncodeError
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key stands twice")
    return fields


def _integer(digits: str) -> int:
    if len(digits) > LONGEST:
        raise ValueError(f"an integer of more than {LONGEST} characters")
    return int(digits)


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, (list, dict))]:
        depth += 1
        level = [item for one in level for item in (one.values() if isinstance(one, dict) else one)]
    return depth


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
