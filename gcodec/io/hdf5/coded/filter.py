"""What a dataset keeps of gcodec's filter: how its chunks were coded."""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

FILTER, FLETCHER32 = 34485, 3  # numbers of filters
WITHOUT_FILTER, WITHOUT_CHECKSUM = 1, 2  # bits of a chunk's mask: which of its filters were left out
_VALUES = struct.Struct("<IdII12s")  # version, bound, kind, flags, method: the first of the filter's values
_SHAPE = _VALUES.size // 4 + 2  # the place of a chunk's shape, behind the dtype
_VERSION, _KINDS = 1, ("exact", "alpha", "omega", "pointwise")

Filters = Sequence[tuple[int, tuple[int, ...]]]  # number and values of each filter


@dataclass(frozen=True)
class Coded:
    """How the chunks of a dataset are coded.

    method, kind, bound: what was asked for; the class and the bound of a guarantee. tail: bytes
    behind each container, the checksum of fletcher32. numbers: which chunks are stored, in
    ascending order, by their place in the C order of the grid of chunks.
    """

    method: str
    kind: str
    bound: float
    tail: int
    numbers: tuple[int, ...] = ()

    def allows(self, kind: str, bound: float) -> bool:
        """Whether a chunk with this guarantee is as good as the dataset's."""
        return kind == "exact" or (kind == self.kind and bound <= self.bound)

    def pack(self) -> list[Any]:
        return [self.method, self.kind, self.bound.hex(), self.tail, list(self.numbers)]

    @classmethod
    def unpack(cls, packed: list[Any], chunk_count: int) -> "Coded":
        """Raises ValueError, TypeError and their like when the parts make no sense."""
        method, kind, bound, tail, numbers = packed
        found = cls(str(method), str(kind), float.fromhex(bound), int(tail), tuple(map(int, numbers)))
        pairs = zip((-1, *found.numbers), (*found.numbers, chunk_count), strict=True)
        if found.kind not in _KINDS or found.tail not in (0, 4) or not all(one < other for one, other in pairs):
            raise ValueError(f"{packed!r:.200} says nothing of chunks")
        return found


def coded_as(filters: Filters) -> Coded | None:
    """How chunks behind these filters are coded; None when not by gcodec, or by a later one.

    Only a checksum may come after gcodec.
    """
    codes, values = [code for code, _ in filters], filters[0][1] if filters else ()
    if codes not in ([FILTER], [FILTER, FLETCHER32]) or len(values) <= _SHAPE:
        return None
    packed = struct.pack(f"<{_VALUES.size // 4}I", *values[: _VALUES.size // 4])
    version, bound, kind, _, method = _VALUES.unpack(packed)
    if version != _VERSION or kind >= len(_KINDS) or not math.isfinite(bound):
        return None
    name = method.rstrip(b"\0").decode("ascii", "replace")
    return Coded(name, _KINDS[kind], bound, 4 * (len(codes) - 1))
