"""What a bound did to a tensor, whether that is too much, and what to do about it."""

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...compressors.contract import Guarantee
from ...container.effects import Effects, percent
from ...request.arrays import ONE
from ...request.rules import rule_of
from ...request.sentinels import Repeated

_FEW = 64  # values other than 0; of fewer nothing is said
# The share of the values that a bound may cost: 0.97 at alpha 0.1, and less where alpha is smaller,
# 0.85 at 0.01 and 0.75 at 1e-3. What is ordinary costs less: 33 gradients, updates and weights from
# real models lose at most 0.84, 0.58 and 0.54. The updates and first moments of a table
# whose rows are seldom met lose 0.95, 0.79 and 0.67, and training goes on as from exact ones.
_MOST, _AT, _POWER = 0.97, 0.1, 1 / 18
_OF_ONE_SIGN = 0.25  # the share that may be lost where all values have one sign, whatever the bound
_TIMES = 5.0  # and at most so many times √α; of sizes of Gaussian values 1.4·√α are lost
_BY_ROWS = 0.8  # among the lost values, the least share in such rows from which rows are what was lost
_FINE = 0.02  # a bound of at most that should erase none, but those of a dying layer
_MANY, _MOST_HEADS = 1 / 16, 1 / 2  # shares of erased heads that are too large, up to _FINE and above


@dataclass(frozen=True)
class Erased:
    """Heads of which nothing is left.

    count, among: how many, and of how many that are not zero. axis: along which they lie, if it is
    a single one. rows: how many rows each has, where they are blocks of rows of a matrix.
    """

    count: int = 0
    among: int = 0
    axis: int | None = None
    rows: int = 0

    @classmethod
    def of(cls, tally: np.ndarray, axis: int | None) -> "Erased":
        return cls(int(tally[1]), int(tally[2]), axis)

    def is_too_much(self, alpha: float) -> bool:
        if self.rows and alpha > _FINE:
            return False
        return self.count > 0 and self.count >= self.among * (_MANY if alpha <= _FINE else _MOST_HEADS)


@dataclass(frozen=True)
class Found:
    """What was measured of a whole tensor.

    effects: to all digits. one_sign: whether no two values have different signs. values: how many
    are not 0. rows, erased: rows, and heads, counted in each way in which there may be some.
    repeated: a value that may stand for what is missing, and is not kept. moment: whether it is a
    first moment, which may lose a value to 0: it then only forgets, and does not go astray.
    """

    effects: Effects
    one_sign: bool
    values: int
    rows: Erased = Erased()
    erased: tuple[Erased, ...] = ()
    repeated: Repeated | None = None
    moment: bool = False

    def ruins(self, guarantee: Guarantee) -> bool:
        """Whether the bound holds, and yet it cost more of the tensor than it should.

        A method whose errors average out may lose most values of a single tensor.
        """
        if guarantee.kind != "alpha" or self.values < _FEW:
            return False
        return self._loses_values(guarantee.bound) or bool(self._lost_heads(guarantee.bound))

    def attributes(self, guarantee: Guarantee, distortion: float, body: int) -> dict[str, Any]:
        """What a record says of it. distortion: the record's. body: the bytes of its body."""
        return self.effects.rounded(distortion).attributes(body, self.ruins(guarantee))

    def _lost_heads(self, alpha: float) -> list[Erased]:
        return [one for one in self.erased if one.is_too_much(alpha) and not self.moment]

    def _loses_values(self, alpha: float) -> bool:
        most = _MOST * (alpha / _AT) ** _POWER
        if self.one_sign:
            most = min(_OF_ONE_SIGN, _TIMES * math.sqrt(alpha))
        lost = self.effects.lost - (self.effects.zeroed if self.moment else 0.0)
        return bool(lost >= most)

    def loss(self, name: str, guarantee: Guarantee) -> str:
        """What was lost, in a sentence without its end; empty if the bound ruins nothing."""
        if not self.ruins(guarantee):
            return ""
        effects, alpha = self.effects, guarantee.bound
        if not self._loses_values(alpha):
            one = self._lost_heads(alpha)[0]
            if one.rows:
                return f"little is left of {one.count:,} of the {one.among:,} blocks of {one.rows:,} rows of {name}"
            where = "of the last two axes" if one.axis is None else f"along axis {one.axis}"
            return f"nothing is left of {one.count:,} of the {one.among:,} slices of {name} {where}"
        if effects.zeroed >= effects.lost / 2:
            return f"{percent(effects.zeroed)} of the non-zero values of {name} became 0"
        return f"{percent(effects.lost)} of the values of {name} changed by more than half of their size"

    def remedy(self, name: str, guarantee: Guarantee) -> str:
        """What keeps it; name: empty for an array alone."""
        if self.repeated is not None:
            fills = rule_of("--fill", name, ",".join(f"{value:g}" for value in self.repeated.values))
            return f"keep what stands for missing values by {fills} ({_in_python('fill', name)})"
        by_rows = self.rows.count >= _BY_ROWS * self.effects.lost * self.rows.among > 0 and not self.one_sign
        slices = [self.rows] * by_rows + self._lost_heads(guarantee.bound)
        axes = [one.axis for one in slices if one.axis is not None]
        if axes:
            at = "rows" if axes[0] == 0 else f"axis{axes[0]}"
            python = f"axes={{{name!r}: {axes[0]}}}" if name else f"axis={axes[0]}"
            return f"bound each slice by {rule_of('--alpha', name, f'{guarantee.bound:g}@{at}')} ({python} in Python)"
        smaller = "use a smaller alpha, or " if slices else "use "
        pointwise = f"{rule_of('--pointwise', name, '0.05')} ({_in_python('pointwise', name)})"
        return f"{smaller}{pointwise}{'' if slices else ', or store it exactly'}"


def _in_python(parameter: str, name: str) -> str:
    """A parameter of `encode`, or for a tensor with a name that of `save`."""
    return f"{parameter}{'s' if name else ''}= in Python"


def warn_of_losses(name: str, found: Found | None, guarantee: Guarantee, sampled: bool = False) -> None:
    """One warning when the bound holds and says little about most values.

    sampled: whether only a part of the tensor was coded.
    """
    if found is None or guarantee.kind != "alpha":
        return
    shown, bound = f"a sample of {name or ONE}" if sampled else name or ONE, f"alpha {guarantee.bound:g}"
    if loss := found.loss(shown, guarantee):
        warnings.warn(f"{loss}, though {bound} holds; {found.remedy(name, guarantee)}", stacklevel=3)
    elif (repeated := found.repeated) is not None:
        warnings.warn(
            f"{percent(repeated.share)} of the values of {shown} are {repeated.values[0]:g}, and these have "
            f"{percent(repeated.energy)} of its squared norm, so {bound} says little about the others; "
            f"{found.remedy(name, guarantee)}, or use {rule_of('--pointwise', name, '0.05')}",
            stacklevel=3,
        )
