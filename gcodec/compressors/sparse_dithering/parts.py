"""Roundings over the parts of a tensor: do they lean in some places, and do they scatter as chance?

With up and p as in checks.py, every sum S of w·(up − p) over some of the values has the mean 0 and
the variance V = Σw²·p(1 − p), as roundings are independent. The parts are runs of values and runs
of runs, rows, columns, and every n-th value. No sum may be too far from 0. And sums over parts
without common values may be neither too small nor too large together: Σ S²/V is about the number of
the parts. Levels that carry the error of one value to the next, for instance, have sums that are
all too small.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..contract import Check

CHANCE = 1e-6  # either check of an honest file fails with this probability at most
_MOST_CELLS, _CELL = 1 << 12, 16  # cells of a way to cut a tensor, and the fewest values of a cell
_STRIDE = 64  # every n-th value is looked at for the powers of two up to this one
_LEAST = 4.0  # the least variance of a part whose scatter is looked at
_WEIGHTS = ("up − p", "(up − p)² − p(1 − p)", "sign(x)·(up − p)")
_PLAIN, _SIGNED = 0, 2  # the weights that are 1 or −1
_SHARES = (0.1, 0.2, 0.35, 0.5, 0.7, 0.9)


@dataclass
class Cells:
    """Sums over the cells of one way to cut a tensor.

    name: of a part. period, width: value i is in cell i mod period // width. fold: whether halves
    of the sums are those of every n/2-th value; else two neighbouring cells make a larger one.
    totals, variances: of the three weights (rows) in each cell. values: in each cell.
    """

    name: str
    period: int
    width: int
    fold: bool
    totals: np.ndarray
    variances: np.ndarray
    values: np.ndarray

    @staticmethod
    def of(name: str, period: int, width: int, fold: bool = False) -> "Cells":
        """Cells of `width` values, or of more, where there would be too many."""
        width = max(width, -(-period // _MOST_CELLS))
        count = 1 << max(-(-period // width) - 1, 0).bit_length()
        return Cells(name, period, width, fold, np.zeros((3, count)), np.zeros((3, count)), np.zeros(count, np.int64))

    def add(self, places: np.ndarray, terms: np.ndarray, variances: np.ndarray) -> None:
        cells = places % self.period // self.width
        self.values += np.bincount(cells, minlength=self.values.size)
        for own, parts in ((self.totals, terms), (self.variances, variances)):
            own += [np.bincount(cells, part, self.values.size) for part in parts]

    def levels(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(totals, variances) of the cells, of pairs of them, and so on, down to two parts."""
        totals, variances, count = self.totals, self.variances, self.values.size
        while count > 1:
            yield totals, variances
            count //= 2
            shape, axis = ((3, 2, count), 1) if self.fold else ((3, count, 2), 2)
            totals, variances = totals.reshape(shape).sum(axis), variances.reshape(shape).sum(axis)

    def part(self, number: int, count: int) -> str:
        """One of `count` parts, in words."""
        return f"the values at {number} modulo {count}" if self.fold else f"{self.name} {number + 1} of {count}"

    def joined(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(totals, variances, values) of neighbours that have the least variance together."""
        before = np.concatenate([[0.0], np.cumsum(self.variances[_PLAIN])])
        ends = [0]
        while (end := int(np.searchsorted(before, before[ends[-1]] + _LEAST))) < before.size:
            ends.append(end)
        ends = ends[:-1] or [0]  # the last one takes what is left
        totals, variances = (np.add.reduceat(own, ends, axis=1) for own in (self.totals, self.variances))
        return totals, variances[_PLAIN], np.add.reduceat(self.values, ends)


class Parts:
    """All ways to cut one tensor."""

    def __init__(self, shape: tuple[int, ...], size: int) -> None:
        self.ways = [Cells.of("run", size, _CELL), Cells.of("", _STRIDE, 1, fold=True)]
        columns = shape[-1] if len(shape) > 1 else size
        if 1 < columns < size:
            rows = Cells.of("row group", size, columns * -(-size // columns // _MOST_CELLS))
            self.ways += [rows, Cells.of("column group", columns, 1)]

    def add(self, places: np.ndarray, weights: np.ndarray, up: np.ndarray, p: np.ndarray) -> None:
        """places: flat indices. weights: three rows, of _WEIGHTS."""
        terms, variances = weights * (up - p), weights * weights * (p * (1 - p))
        for way in self.ways:
            way.add(places, terms, variances)

    def checks(self) -> Iterator[Check]:
        yield self._sums()
        yield self._scatter()

    def _sums(self) -> Check:
        """Whether every sum is within what chance gives it, by Bernstein's bound for all."""
        found = [(way, *level) for way in self.ways for level in way.levels()]
        log = math.log(2 * max(sum(totals.size for _, totals, _ in found), 1) / CHANCE)
        furthest, words = 0.0, "too few values to tell"
        if self.ways[0].values.sum() < 2 * log / 3:  # no sum of so few terms is beyond the bound
            return Check("roundings in parts", True, words)
        for way, totals, variances in found:
            most = log / 3 + np.sqrt(log * log / 9 + 2 * variances * log)
            weight, at = map(int, np.unravel_index(np.argmax(np.abs(totals) / most), totals.shape))
            total, limit = totals[weight, at], most[weight, at]
            if abs(total) / limit > furthest:
                furthest, part = float(abs(total) / limit), way.part(at, totals.shape[1])
                words = f"of {part}, the sum of {_WEIGHTS[weight]} is {total:+.1f}; by chance it is within ±{limit:.1f}"
        return Check("roundings in parts", furthest <= 1, words)

    def _scatter(self) -> Check:
        """Whether squared sums are together as large as chance makes them, for each way to cut."""
        found = [(way, *way.joined()) for way in self.ways]
        found = [row for row in found if row[2].size > 1 and row[2].min() >= _LEAST]
        furthest, words = 0.0, "too few values to tell"
        for way, totals, variances, values in found:
            low, high = scatter_range(variances, values, CHANCE / (4 * len(found)))
            for weight in (_PLAIN, _SIGNED):
                scatter, count = float((totals[weight] ** 2 / variances).sum()), variances.size
                off = (scatter - count) / ((high if scatter > count else low) - count)
                if off > furthest:
                    kind = "residues of the index" if way.fold else f"{way.name}s"
                    furthest, words = off, f"over {count} {kind}, the sum of S²/V is {scatter:.4g}"
                    words += f"; by chance it is within {max(low, 0.0):.4g} … {high:.4g}"
        return Check("scatter of roundings", furthest <= 1, words)


def scatter_range(variances: np.ndarray, values: np.ndarray, chance: float) -> tuple[float, float]:
    """What Σ S²/V is below, and above, each with at most this probability.

    variances, values: V, and the number of terms of size 1 at most, of each sum S of independent
    terms w·(up − p), w = ±1. By Chernoff's bound for any t > 0, with a standard normal Z:

        E exp(−t·S²/V) = E exp(i·Z·S·√(2t/V)) ≤ E exp(−V·(1 − cos(Z·√(2t/V))))
        E exp(t·S²/V) = E exp(Z·S·√(2t/V)) ≤ E exp(min(V·(eˢ − 1 − s), values·s²/8))

    where s = |Z|·√(2t/V). For a term has the characteristic function |1 − p + p·exp(iu)|² =
    1 − 2p(1 − p)(1 − cos u), and its moments obey Bennett's bound and Hoeffding's.
    """
    log = math.log(1 / chance)
    v = variances[:, None]
    z = np.arange(0, 8, 1 / 32)
    low = -math.inf
    for t in 2.0 ** np.arange(-6, 4.5, 0.5):
        means = _mean(z, -v * (1 - np.cos(z * np.sqrt(2 * t / v))))
        low = max(low, -(log + means) / float(t))
    high, z = math.inf, np.arange(0, 26, 1 / 16)
    largest = min(0.5, float((2 * variances / values).min()))
    for t in largest * np.array(_SHARES):
        s = z * np.sqrt(2 * t / v)
        means = _mean(z, np.minimum(v * (np.expm1(np.minimum(s, 700)) - s), values[:, None] * s * s / 8))
        high = min(high, (log + means) / float(t))
    return low, high


def _mean(z: np.ndarray, exponents: np.ndarray) -> float:
    """Σ log E exp(exponent(|Z|)), by the trapezoidal rule over z ≥ 0, rounded up."""
    weights = np.full(z.size, 2 * (z[1] - z[0]) / math.sqrt(2 * math.pi))
    weights[0] /= 2
    return float(np.log(np.exp(exponents - z * z / 2) @ weights + 1e-12).sum())
