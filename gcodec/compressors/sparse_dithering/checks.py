"""What `verify` can test of `rsd` with the original at hand: its noise is that which it promises.

With a scale S each |x| lies between what two neighbouring levels decode to, lo ≤ |x| ≤ hi. An
honest level is the upper one with the probability p = (|x| − lo)/(hi − lo), independently of all
others. So E‖x̂ − x‖² = Σ(|x| − lo)(hi − |x|) follows from S alone, and sums of weights times (up −
p) are near 0. With the weight 1, levels that are rounded up, or down, too often show; with 1 − 2p,
levels that are rounded to the nearest, as those of `sd` are.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from ...source import Source
from ..contract import Check, CodedTensor
from .code import unpack_levels

Bracket = Callable[[Source, float, int, int], tuple[np.ndarray, ...]]  # (source, |scale|, start, stop)
CHANCE = 1e-6  # each of the two tests of an honest file fails with this probability at most


@dataclass
class Deviation:
    """Σ w·(up − p) over values, and the variance that it has by chance."""

    total: float = 0.0
    variance: float = 0.0

    def add(self, weights: np.ndarray, up: np.ndarray, p: np.ndarray) -> None:
        self.total += float((weights * (up - p)).sum())
        self.variance += float((weights * weights * p * (1 - p)).sum())

    @property
    def most(self) -> float:
        """What |total| stays within, by Bernstein's inequality for terms of at most 1.

        P(|total| ≥ t) ≤ 2·exp(−t²/(2(variance + t/3))), which holds for any number of values.
        """
        log = math.log(2 / CHANCE)
        return log / 3 + math.sqrt(log * log / 9 + 2 * self.variance * log)

    def check(self, name: str, words: str) -> Check:
        confidence = 100 * (1 - CHANCE)
        detail = (
            f"{words} is {self.total:+.1f}; by chance it is within ±{self.most:.1f} at {confidence:.4f} % confidence"
        )
        return Check(name, abs(self.total) <= self.most, detail)


@dataclass
class Roundings:
    """The levels of a tensor beside its values. outside: levels that are no neighbours."""

    outside: int = 0
    values: int = 0
    plain: Deviation = field(default_factory=Deviation)
    by_fraction: Deviation = field(default_factory=Deviation)

    def add(self, levels: np.ndarray, bracket: tuple[np.ndarray, ...]) -> None:
        """levels: signed. bracket: values, lower levels, and what these and the next decode to."""
        values, lower, lows, highs = (part.astype(np.float64) for part in bracket)
        gaps, rest = highs - lows, np.abs(values) - lows
        p = np.divide(rest, gaps, out=np.zeros_like(rest), where=gaps > 0)
        up = np.abs(levels) - lower
        is_neighbour = ((up == 0) & (p < 1)) | ((up == 1) & ((p > 0) | (gaps == 0)))
        is_neighbour &= (levels == 0) | (np.sign(levels) == np.sign(values))
        self.outside += int((~is_neighbour).sum())
        self.values += values.size
        free = is_neighbour & (gaps > 0)
        self.plain.add(np.ones(int(free.sum())), up[free], p[free])
        self.by_fraction.add(1 - 2 * p[free], up[free], p[free])

    def checks(self) -> Iterator[Check]:
        detail = f"{self.outside:,} of {self.values:,} levels are not next to their values"
        yield Check("neighbours", self.outside == 0, detail)
        yield self.plain.check("roundings", "the sum of up − p")
        yield self.by_fraction.check("roundings by fraction", "the sum of (up − p)² − p(1 − p)")


def roundings_of(coded: CodedTensor, original: Source, scale: float, bracket_of: Bracket) -> Roundings:
    """All levels beside the original."""
    found = Roundings()
    for start, stop in coded.spans:
        data, sign = coded.payload.code(start, stop), math.copysign(1.0, scale)
        levels = unpack_levels(data, stop - start, sign, sign_known=start == 0)
        found.add(levels, bracket_of(original, abs(scale), start, stop))
    return found
