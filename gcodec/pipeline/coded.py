"""A tensor that was compressed, before it is written to a container."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import IO

from ..compressors.contract import Payload
from ..container.budget import Budget
from ..container.layout import TensorHeader
from ..container.spool import PIECE
from .effects.found import Found


@dataclass(frozen=True)
class CodedRecord:
    """A compressed tensor: its header, and its body in a temporary file, which `close` removes.

    payload: what the body was made from; it can read the tensor as long as that is there. sampled:
    whether the body lacks some chunks (see `Choice.sample`), and ends with zeros in their place.
    """

    header: TensorHeader
    body: IO[bytes]
    work: int  # nanoseconds: about what decoding it takes at worst, as its compressor says
    payload: Payload
    found: Found | None = None  # what the bound did, where there is one
    sampled: bool = False

    def pieces(self) -> Iterator[bytes]:
        """The body in pieces of at most 1 MiB."""
        self.body.seek(0)
        lacking = self.header.body_length
        while piece := self.body.read(PIECE):
            lacking -= len(piece)
            yield piece
        for at in range(0, lacking, PIECE) if self.sampled else ():
            yield bytes(min(PIECE, lacking - at))

    @cached_property
    def header_size(self) -> int:
        return len(self.header.pack())

    @property
    def size(self) -> int:
        """Bytes of header and body."""
        return self.header_size + self.header.body_length

    @cached_property
    def paid_size(self) -> int:
        """Bytes in a file of its own, with the zeros that pay for its decoding."""
        budget = Budget(received=self.header.body_length)
        budget.add(self.header, self.work)
        return self.size + budget.lacking

    def close(self) -> None:
        self.body.close()

    def __enter__(self) -> "CodedRecord":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
