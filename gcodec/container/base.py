"""The base of a record: the tensor that it is coded against, named by a checksum of its values."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, TypeGuard

from ..errors import Corrupt, MissingBase
from ..source import Source, Span

RESERVED = "//"  # how the names of records begin that are no tensors of a user
KEY = "base"  # the key of a record's attributes
DELTA = 11  # the id of the compressor whose payload is read beside the base; others code the change
MAX_DEPTH = 1000  # records between a record and a tensor without a base, so many at most
_ONE, _POLYNOMIAL = 1 << 31, 0xEDB88320  # polynomials over two elements: the highest bit is x⁰


@dataclass(frozen=True)
class BaseName:
    """What a record says of its base, which has the record's dtype and size (spec/format.md §3.5).

    crc: of its values as little-endian bytes. name: that of the tensor in its file. depth: how many
    records must be decoded first, one after the other: 1 for a base without a base. alpha: what the
    error is at most, relative to ‖x − base‖²; None where the record promises nothing of the change.
    several: whether the base is that of joined tensors (§3.7), of which `name` is one.
    """

    crc: int
    name: str
    depth: int = 1
    alpha: float | None = None
    several: bool = False

    def attributes(self, record: str) -> dict[str, Any]:
        """The attributes of a record of this name, without what a reader assumes."""
        found: dict[str, Any] = {"crc": self.crc}
        found |= {"name": self.name} if self.name != record else {}
        found |= {"depth": self.depth} if self.depth != 1 else {}
        return {KEY: found | ({"alpha": self.alpha} if self.alpha is not None else {})}

    @classmethod
    def of(cls, attributes: dict[str, Any], record: str) -> "BaseName | None":
        """The base that attributes name, if they name one.

        Raises Corrupt, which names the record.
        """
        if KEY not in attributes:
            return None
        found = attributes[KEY]
        if isinstance(found, dict):
            crc, alpha = found.get("crc"), found.get("alpha")
            name, depth = found.get("name", record), found.get("depth", 1)
            sound = alpha is None or (isinstance(alpha, float) and 0 < alpha < 1)
            if sound and isinstance(name, str) and _is_whole(crc, 0) and _is_whole(depth, 1):
                return cls(crc, name, depth, alpha)
        raise Corrupt(f"record {record!r}: the attribute base is not as the format says")

    @property
    def words(self) -> str:
        if self.several:
            return (
                f"the tensors that are joined with {self.name!r}, whose values together have the CRC-32 {self.crc:08x}"
            )
        if self.name.startswith(RESERVED):
            return f"what a file has beside its tensors, with the CRC-32 {self.crc:08x}"
        return f"the tensor {self.name!r} whose values have the CRC-32 {self.crc:08x}"


def _is_whole(value: object, least: int) -> TypeGuard[int]:
    """Whether a JSON value is an integer from `least` on and below 2³²."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 1 << 32


class Bases(Protocol):
    """What finds the base of a record."""

    def source(self, header: Any, budget: Any, span: Span | None) -> Source:
        """The values of the base that a header names, of a record or of JOIN; raises MissingBase.

        span: those that will be read; None is all. What decoding takes is taken from the budget.
        """


def missing_base(record: str, base: BaseName, why: str) -> MissingBase:
    """The error, to be raised, for a record whose base is not at hand."""
    what = f"record {record!r}" if not record.startswith(RESERVED) else "what the file has beside its tensors"
    return MissingBase(
        f"{what} was coded against a base: {base.words}; {why}. Give its file: --base FILE or --base-dir "
        "FOLDER on the command line, base= in Python"
    )


def joined_crc(parts: Iterable[tuple[int, int]]) -> int:
    """The CRC-32 of bytes one after the other, from (CRC-32, how many bytes) of each part.

    The CRC of a and b together is crc(a)·x^(8·|b|) + crc(b), modulo the polynomial of the CRC.
    """
    crc = 0
    for part, length in parts:
        crc = _times(_power(8 * length), crc) ^ part
    return crc


@cache
def _power(n: int) -> int:
    """x^n modulo the polynomial."""
    square, product = _ONE >> 1, _ONE
    while n:
        if n & 1:
            product = _times(square, product)
        square, n = _times(square, square), n >> 1
    return product


def _times(a: int, b: int) -> int:
    product = 0
    while a:
        if a & _ONE:
            product ^= b
        a = (a << 1) & 0xFFFF_FFFF
        b = (b >> 1) ^ (_POLYNOMIAL if b & 1 else 0)
    return product
