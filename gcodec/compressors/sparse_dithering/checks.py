"""What `verify` can test of `rsd` with the original at hand: its noise is that which it promises.

With a scale S each |x| lies between what two neighbouring levels decode to, lo ≤ |x| ≤ hi. An
honest level is the upper one with the probability p = (|x| − lo)/(hi − lo), independently of all
others. So E‖x̂ − x‖² = Σ(|x| − lo)(hi − |x|) follows from S alone, and sums of weights times (up −
p) are near 0. With the weight 1, levels that are rounded up, or down, too often show. With 1 − 2p,
levels that are rounded to the nearest show, as those of `sd` are. With the sign of x, values that
all grow show, or that all shrink.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from ...source import Source
from ..contract import Check, CodedTensor
from .code import unpack_levels
from .parts import Parts

Bracket = Callable[[Source, float, int, int], tuple[np.ndarray, ...]]  # (source, |scale|, start, stop)
CHANCE = 1e-6  # each test of an honest file fails with this probability at most
FEW = 1 << 16  # for up to so many values, chance is computed from each of them
_TILTS = [2.0 ** (i / 2) for i in range(-20, 13)]  # the t that are tried in Chernoff's bound


@dataclass
class Deviation:
    """Σ w·(up − p) over values, beside what it is by chance. The weights w are of size 1 at most.

    kept: the pairs (w, p), as long as there are few values.
    """

    total: float = 0.0
    variance: float = 0.0
    values: int = 0
    kept: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)

    def add(self, weights: np.ndarray, up: np.ndarray, p: np.ndarray) -> None:
        self.total += float((weights * (up - p)).sum())
        self.variance += float((weights * weights * p * (1 - p)).sum())
        self.values += p.size
        self.kept = [*self.kept, (weights, p)] if self.values <= FEW else []

    def check(self, name: str, words: str) -> Check:
        """Whether the sum is within what chance gives it in all but CHANCE of honest files."""
        low, high = self._range()
        detail = f"{words} is {self.total:+.1f}; by chance it is within {low:+.1f} … {high:+.1f}"
        unseen = [word for word, is_so in zip(("low", "high"), self._always_within(low, high), strict=True) if is_so]
        if unseen:
            detail += f"; too few values to tell if it is too {' or '.join(unseen)}"
        return Check(name, low <= self.total <= high, detail)

    def _range(self) -> tuple[float, float]:
        """What the sum stays between, each with a probability of CHANCE/2 at most to be beyond.

        Of few values it is Chernoff's bound, (K(t) + log(2/CHANCE))/t for any t > 0, where K is the
        cumulants' generating function of the sum. Of many it is Bernstein's for terms of at most 1,
        P(|total| ≥ s) ≤ 2·exp(−s²/(2(variance + s/3))).
        """
        log = math.log(2 / CHANCE)
        if self.values > FEW:
            most = log / 3 + math.sqrt(log * log / 9 + 2 * self.variance * log)
            return -most, most
        low, high = (min((self._cumulants(sign * t) + log) / t for t in _TILTS) for sign in (-1, 1))
        return -low, high

    def _cumulants(self, t: float) -> float:
        """K(t) = Σ (log(1 − p + p·exp(t·w)) − t·w·p)."""
        with np.errstate(divide="ignore"):  # p may be 0 or 1
            parts = [np.logaddexp(np.log1p(-p), np.log(p) + t * w) - t * w * p for w, p in self.kept]
        return math.fsum(float(part.sum()) for part in parts)

    def _always_within(self, low: float, high: float) -> tuple[bool, bool]:
        """Whether no roundings at all, however wrong, give a sum below low, and above high."""
        if self.values > FEW:
            return False, False
        least = math.fsum(float(np.minimum(w * (1 - p), -w * p).sum()) for w, p in self.kept)
        most = math.fsum(float(np.maximum(w * (1 - p), -w * p).sum()) for w, p in self.kept)
        return low <= least, most <= high


@dataclass
class Roundings:
    """The levels of a tensor beside its values. outside: levels that are no neighbours."""

    parts: Parts
    outside: int = 0
    values: int = 0
    plain: Deviation = field(default_factory=Deviation)
    by_fraction: Deviation = field(default_factory=Deviation)
    by_sign: Deviation = field(default_factory=Deviation)

    def add(self, start: int, levels: np.ndarray, bracket: tuple[np.ndarray, ...]) -> None:
        """Count a range of levels.

        start: the flat index of the first. levels: signed. bracket: values, lower levels, and what
        these and the next ones decode to.
        """
        values, lower, lows, highs = (part.astype(np.float64) for part in bracket)
        gaps, rest = highs - lows, np.abs(values) - lows
        p = np.divide(rest, gaps, out=np.zeros_like(rest), where=gaps > 0)
        up = np.abs(levels) - lower
        is_neighbour = ((up == 0) & (p < 1)) | ((up == 1) & ((p > 0) | (gaps == 0)))
        is_neighbour &= (levels == 0) | (np.sign(levels) == np.sign(values))
        self.outside += int((~is_neighbour).sum())
        self.values += values.size
        free = is_neighbour & (gaps > 0)
        up, p = up[free], np.clip(p[free], 0.0, 1.0)
        weights = np.array([np.ones(p.size), 1 - 2 * p, np.sign(values[free])])
        for own, row in zip((self.plain, self.by_fraction, self.by_sign), weights, strict=True):
            own.add(row, up, p)
        self.parts.add(start + np.flatnonzero(free), weights, up, p)

    def checks(self) -> Iterator[Check]:
        detail = f"{self.outside:,} of {self.values:,} levels are not next to their values"
        yield Check("neighbours", self.outside == 0, detail)
        yield self.plain.check("roundings", "the sum of up − p")
        yield self.by_fraction.check("roundings by fraction", "the sum of (up − p)² − p(1 − p)")
        yield self.by_sign.check("roundings by sign", "the sum of sign(x)·(up − p)")
        yield from self.parts.checks()


def roundings_of(coded: CodedTensor, original: Source, scale: float, bracket_of: Bracket) -> Roundings:
    """All levels beside the original."""
    found = Roundings(Parts(coded.spec.shape, coded.spec.size))
    for start, stop in coded.spans:
        data, sign = coded.payload.code(start, stop), math.copysign(1.0, scale)
        levels = unpack_levels(data, stop - start, sign, sign_known=start == 0)
        found.add(start, levels, bracket_of(original, abs(scale), start, stop))
    return found
