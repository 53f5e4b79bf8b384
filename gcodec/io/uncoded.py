"""What of a file is kept as it is, and why: META.uncoded (spec/interchange.md §1)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

MOST = 200  # parts that META lists, the largest first
SHOWN = 3  # parts that a message names
LONGEST = 100  # characters of a name or a reason that a message has


@dataclass(frozen=True)
class Uncoded:
    """A part of a file that no tensor's record gives: its name there, its bytes, and the reason."""

    name: str
    nbytes: int
    why: str


def listed(parts: Iterable[Uncoded]) -> dict[str, object]:
    """What META says of these parts; nothing where there are none."""
    found = sorted(parts, key=lambda part: -part.nbytes)[:MOST]
    return {"uncoded": [[part.name, part.nbytes, part.why] for part in found]} if found else {}


def uncoded(meta: Mapping[str, object]) -> list[Uncoded]:
    """The parts that META lists; what is no part is passed over."""
    said = meta.get("uncoded")
    parts = [part for part in said if isinstance(part, list) and len(part) == 3] if isinstance(said, list) else []
    return [Uncoded(*part) for part in parts if list(map(type, part)) == [str, int, str] and part[1] >= 0]


def words(parts: Sequence[Uncoded], total: int) -> str:
    """The first few parts, each with its bytes and the reason, without what a terminal acts on.

    total: of parts, listed or not.
    """
    shown = [f"{_plain(part.name)} ({part.nbytes:,} bytes: {_plain(part.why)})" for part in parts[:SHOWN]]
    more = max(total, len(parts)) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def _plain(text: str) -> str:
    return text[:LONGEST].encode("unicode_escape").decode("ascii")
