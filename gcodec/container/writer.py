"""Write a container to any binary file object: records as they come, then the index and the footer."""

import warnings
from collections.abc import Callable, Iterable
from functools import partial
from typing import BinaryIO

from ..errors import FormatError, InvalidInput
from .budget import Budget
from .layout import MAX_HEADER, MAX_TEXT, FileHeader, Footer, Index, TensorHeader, pack_block, pack_json, unpack_meta


class Writer:
    """Streams records to `file`, which needs only `write`; `close` ends the container (the file stays open).

    meta: a JSON-able description of where the tensors come from (spec/format.md §3.1).
    """

    def __init__(self, file: BinaryIO, meta: dict | None = None) -> None:
        self._file = file
        self._offset = 0
        self._entries: dict[str, int] = {}
        self._budget = Budget()
        self._write(FileHeader().pack())
        if meta:
            packed = pack_json(meta)
            _check(unpack_meta, packed, "the file's metadata")
            self._write(pack_block(b"META", packed))

    def add(self, header: TensorHeader, body: Iterable[bytes], work: int) -> None:
        """Append a record; `body` gives the bytes of head and chunks in order. work: of decoding it."""
        check_name(header.name)
        if header.name in self._entries:
            raise InvalidInput(f"two tensors have the name {header.name!r}")
        self._entries[header.name] = self._offset
        packed = header.pack()
        _check(TensorHeader.unpack, packed, f"the header of {header.name!r}")
        self._write(pack_block(b"TENS", packed, header.body_length))
        for part in body:
            self._write(part)
        self._budget.add(header, work)

    def close(self) -> None:
        """Write the index and the footer. Warns when readers will not decode all of it unless they are told to."""
        start = self._offset
        packed = Index(tuple(self._entries.items())).pack()
        _check(partial(Index.unpack, end=start), packed, "the index")
        self._write(pack_block(b"INDX", packed))
        self._write(Footer(start).pack())
        self._budget.length = self._offset
        if self._budget.exceeded:
            warnings.warn(
                f"so few bytes ask for so much that decoding them needs a limit of {self._budget.needed} (--limit)",
                stacklevel=3,
            )

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


def _check(unpack: Callable, header: bytes, what: str) -> None:
    """What a reader would refuse is not written."""
    if len(header) > MAX_HEADER:
        raise InvalidInput(f"{what} has {len(header)} bytes; the format allows {MAX_HEADER}")
    try:
        unpack(header)
    except FormatError as error:
        raise InvalidInput(f"the format cannot hold {what}: {error}") from None
