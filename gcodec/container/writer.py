"""Write a container to any binary file object: records as they come, then the index and the footer."""

from collections.abc import Iterable
from typing import BinaryIO

from ..errors import FormatError, InvalidInput
from .layout import MAX_HEADER, MAX_TEXT, FileHeader, Footer, Index, TensorHeader, pack_block, pack_json


class Writer:
    """Streams records to `file`, which needs only `write`; `close` ends the container (the file stays open).

    meta: a JSON-able description of where the tensors come from (spec/format.md §3.1).
    """

    def __init__(self, file: BinaryIO, meta: dict | None = None) -> None:
        self._file = file
        self._offset = 0
        self._entries: dict[str, int] = {}
        self._write(FileHeader().pack())
        if meta:
            self._write(pack_block(b"META", _sized(pack_json(meta), "the file's metadata")))

    def add(self, header: TensorHeader, body: Iterable[bytes]) -> None:
        """Append a record; `body` gives the bytes of head and chunks in order."""
        check_name(header.name)
        if header.name in self._entries:
            raise InvalidInput(f"two tensors have the name {header.name!r}")
        self._entries[header.name] = self._offset
        packed = _sized(header.pack(), f"the header of {header.name!r}")
        try:
            TensorHeader.unpack(packed)  # what a reader would refuse is not written
        except FormatError as error:
            raise InvalidInput(f"the format cannot hold this tensor: {error}") from None
        self._write(pack_block(b"TENS", packed, header.body_length))
        for part in body:
            self._write(part)

    def close(self) -> None:
        """Write the index and the footer."""
        start = self._offset
        self._write(pack_block(b"INDX", _sized(Index(tuple(self._entries.items())).pack(), "the index")))
        self._write(Footer(start).pack())

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._offset += len(data)


def check_name(name: object) -> None:
    """Raise InvalidInput unless it is a string that the format can hold as a tensor's name."""
    if not isinstance(name, str):
        raise InvalidInput(f"the name of a tensor must be a string, not {name!r}")
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        raise InvalidInput(f"the name {name[:40]!r} is not valid Unicode") from None
    if length > MAX_TEXT:
        raise InvalidInput(f"the name {name[:40]!r}… is longer than {MAX_TEXT} bytes")


def _sized(header: bytes, what: str) -> bytes:
    if len(header) > MAX_HEADER:
        raise InvalidInput(f"{what} has {len(header)} bytes; the format allows {MAX_HEADER}")
    return header
