"""Links: how long tensors take plain and compressed, and up to which speed compressing pays."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import InvalidInput
from .summary import Row

_PREFIXES = {"": 1e0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_UNITS = {"bit": 1, "B": 8}


def link_speed(text: str) -> float:
    """Bits per second of a link such as 1Gbit, 100Mbit/s or 2.5GB.

    Raises InvalidInput for anything else.
    """
    match = re.fullmatch(r"(\d+\.?\d*)\s*([kMGT]?)(bit|B)(?:/s)?", text.strip())
    speed = float(match[1]) * _PREFIXES[match[2]] * _UNITS[match[3]] if match else 0.0
    if speed <= 0:
        raise InvalidInput(f"the speed of a link is a number and a unit, such as 1Gbit, 100Mbit or 2.5GB, not {text!r}")
    return speed


@dataclass(frozen=True)
class Transfer:
    """What a method makes of the time that all tensors take over a link.

    alpha, group, name, kind: as in Row. plain: seconds without compressing. compressed: seconds of
    encoding, of sending what it gives, and of decoding, one after the other. reaches: as in Row.
    faster: how many times sooner all is there.
    """

    alpha: float
    group: str
    name: str
    kind: str
    plain: float
    compressed: float
    reaches: bool

    @property
    def faster(self) -> float:
        return self.plain / self.compressed

    def as_dict(self) -> dict[str, float | str]:
        return {**vars(self), "faster": self.faster}


def transfers(totals: Iterable[Row], size: int, link: float) -> list[Transfer]:
    """The transfers of `size` values by each method, the fastest first for each α.

    Those that miss their α come last, however fast they are.
    link: bits per second.
    """
    found = [_transfer(row, size, link) for row in totals]
    return sorted(found, key=lambda one: (-one.alpha, not one.reaches, one.compressed))


def _transfer(row: Row, size: int, link: float) -> Transfer:
    megabytes = size * row.original_rate / 8e6
    work = megabytes / row.encode_speed + (megabytes / row.decode_speed if row.decode_speed else 0.0)
    sent = size * row.rate / link
    plain = size * row.original_rate / link
    return Transfer(row.alpha, row.group, row.name, row.kind, plain, work + sent, row.reaches)
