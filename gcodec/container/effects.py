"""What a bound did to a tensor, as its record says it (spec/format.md §3.2.1)."""

import json
import math
from dataclasses import dataclass
from typing import Any

KEY = "effects"  # among the attributes
DIGITS = 3  # significant digits that are written
REMARKABLE = 2.0  # times the tensor's distortion; the worst row is written only when it is above that
_SHARE_OF_BODY = 1 / 256  # the most that the effects add to a record, unless the bound ruined the tensor
_LEAST_BODY = len(KEY) / _SHARE_OF_BODY  # a shorter body is not worth any effects


@dataclass(frozen=True)
class Effects:
    """What became of the values x of a tensor, which were decoded to x̂.

    zeroed: the share of the values other than 0 that became 0. filled: the share of the zeros that
    became something else. flipped: the share of the values other than 0 that changed their sign.
    lost: the share of the values other than 0 with |x̂ − x| > |x|/2. row: the largest relative
    squared L2 error of a row; 0 where it is at most twice that of the tensor. cosine:
    ⟨x̂, x⟩ / (‖x̂‖·‖x‖); 0 if x̂ is zero.
    """

    zeroed: float = 0.0
    filled: float = 0.0
    flipped: float = 0.0
    lost: float = 0.0
    row: float = 0.0
    cosine: float = 1.0

    def rounded(self, distortion: float) -> "Effects":
        """The effects as a record states them. distortion: that of the whole tensor."""
        short = {name: float(f"{value:.{DIGITS}g}") for name, value in vars(self).items()}
        return Effects(**short | ({} if self.row > REMARKABLE * distortion else {"row": 0.0}))

    def attributes(self, body: int, always: bool) -> dict[str, Any]:
        """The record's attributes: those entries that say something, if they are worth their bytes.

        body: the bytes of the record's body. always: whether to write them at any price.
        """
        if not always and body < _LEAST_BODY:
            return {}
        said = {name: value for name, value in vars(self).items() if value != getattr(_NONE, name)}
        worth = always or len(json.dumps({KEY: said})) <= body * _SHARE_OF_BODY
        return {KEY: said} if said and worth else {}

    @classmethod
    def of(cls, attributes: dict[str, Any]) -> "Effects | None":
        """The effects that a record states; None where it states none, or no sensible ones."""
        said = attributes.get(KEY)
        if not isinstance(said, dict):
            return None
        known = {name: said[name] for name in vars(_NONE) if name in said}
        numbers = all(type(value) in (int, float) and math.isfinite(value) for value in known.values())
        return cls(**{name: float(value) for name, value in known.items()}) if numbers else None

    def words(self) -> str:
        """One line for people; empty when there is nothing to say."""
        shares = {
            "of the non-zero values became 0": self.zeroed,
            "of the zeros became something else": self.filled,
            "of the non-zero values changed their sign": self.flipped,
            "changed by more than half of their size": self.lost,
        }
        parts = [f"{percent(share)} {what}" for what, share in shares.items() if share]
        parts += [f"the worst row has relative squared L2 error {self.row:.3g}"] if self.row else []
        parts += [f"cosine {self.cosine:.3g}"] if self.cosine != 1 else []
        return "; ".join(parts)


_NONE = Effects()


def percent(share: float) -> str:
    """A share in per cent, with at most three digits; "100 %" only where it is the whole."""
    text = f"{100 * share:.3g}"
    return f"{'99.9' if text == '100' and share < 1 else text} %"
