"""Messages between two processes: a JSON document, and bytes beside it."""

import json
import struct
from typing import IO, Any

from ....container.spool import PIECE

_LENGTHS = struct.Struct("<QQ")


def send(file: IO[bytes], document: Any, data: bytes | memoryview = b"") -> None:
    """Write one message; `file` is buffered."""
    text = json.dumps(document).encode()
    file.write(_LENGTHS.pack(len(text), len(data)))
    file.write(text)
    file.write(data)
    file.flush()


def receive(file: IO[bytes], most: int) -> tuple[Any, bytes]:
    """Read one message.

    Raises EOFError when it does not come whole, ValueError when it has more than `most` bytes or no
    JSON.
    """
    text_length, data_length = _LENGTHS.unpack(_exactly(file, _LENGTHS.size))
    if text_length > most or data_length > most:
        raise ValueError(f"a message of {text_length:,} and {data_length:,} bytes is too long")
    return json.loads(_exactly(file, text_length)), _exactly(file, data_length)


def _exactly(file: IO[bytes], count: int) -> bytes:
    """`count` bytes; memory is taken as they come."""
    parts, left = [], count
    while left:
        part = file.read(min(left, PIECE))
        if not part:
            raise EOFError
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
