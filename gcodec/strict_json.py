"""JSON as RFC 8259 has it: no key twice, no NaN or Infinity, which Python's parser would let through."""

import json
from typing import Any, NoReturn


def loads(data: bytes) -> Any:
    """The value of UTF-8 text; raises ValueError (or RecursionError) for anything else."""
    text = data.decode()
    value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode()  # half of a surrogate pair is no text: a UnicodeEncodeError
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key stands twice")
    return fields


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
