"""The encoder's choice of block length, caps and step, from the norms alone.

It needs no search to know what a plan will cost. The index of a class has a known mean length, and
the error of a block depends on its projection only through its mean. So candidates are compared on
a sample, and the step is solved for on all norms. The choice changes the size of a file, never
whether its bound holds.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np

from ...kernels import spherical_tree as tree
from ..common.scaled import energy
from ..common.step_search import solve_step
from .blocks import Nodes, Rules, walk, with_centroids
from .plan import Plan, classes_within, lengths_of

LENGTHS = (4, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128)  # below 4, single values would be cheaper
SPREADS = (0.5, 1.0, 2.0)  # factors of the caps that are tried
_NEAR = (0.7, 1.4)  # multiples of the best factor that are tried then
ZEROS = (0.5, 0.8, 1.1)
_SINGLE_LEVELS = 64  # a survey counts levels of single values apart up to here
_SAMPLE, _RUN = 1 << 16, 1 << 12
# FINEST: the step at which the levels of single values, all below 1, just fit the format.
FINEST = 2.0 ** (1 - tree.EXPONENT_BITS)
_TOLERANCE = 0.002
_TRIES = 8  # how many steps are tried for a candidate

# Chunks gives consecutive pieces: the flat index and the float64 values of each.
Chunks = Callable[[], Iterable[tuple[int, np.ndarray]]]


@dataclass
class Survey:
    """What the blocks of some values add up to under a plan, by length and level.

    The last level of a length means that blocks are split.

    counts: the number of blocks, or its expectation if norms are rounded at random.
    norms, squares: the sums of ‖x‖ and ‖x‖².
    single_error: the squared error of the single values.
    """

    plan: Plan
    rules: Rules
    counts: dict[int, np.ndarray] = field(default_factory=dict)
    norms: dict[int, np.ndarray] = field(default_factory=dict)
    squares: dict[int, np.ndarray] = field(default_factory=dict)
    single_error: float = 0.0

    @staticmethod
    def of(chunks: Iterable[tuple[int, np.ndarray]], plan: Plan, rules: Rules) -> "Survey":
        survey = Survey(plan, rules)
        for start, values in chunks:
            walk(values, start, plan, rules, survey._add)
        return survey

    def _add(self, nodes: Nodes) -> np.ndarray:
        k = nodes.length
        width = _SINGLE_LEVELS + 1 if k == 1 else int(self.plan.counts[k]) + 2
        levels = np.minimum(nodes.levels, width - 1)
        self._sum(self.squares, k, np.bincount(levels, nodes.norms**2, width))
        if not self.rules.unbiased:
            self._sum(self.counts, k, np.bincount(levels, minlength=width))
            self._sum(self.norms, k, np.bincount(levels, nodes.norms, width))
            if k == 1:
                self.single_error += float(((nodes.norms - nodes.levels * self.plan.step) ** 2).sum())
            return nodes.levels
        steps = nodes.norms / self.plan.step
        split = levels == width - 1 if k > 1 else np.zeros(len(steps), dtype=bool)
        low = np.where(split, width - 1, np.minimum(np.floor(steps), width - 1)).astype(np.int64)
        share = np.where(split, 0.0, steps - np.floor(steps))
        high = np.minimum(low + (share > 0), width - 1)
        self._sum(self.counts, k, np.bincount(low, 1 - share, width) + np.bincount(high, share, width))
        if k == 1:
            self.single_error += float((share * (1 - share)).sum()) * self.plan.step**2
        return nodes.levels

    @staticmethod
    def _sum(sums: dict[int, np.ndarray], k: int, values: np.ndarray) -> None:
        sums[k] = sums[k] + values if k in sums else values

    def error(self) -> float:
        """The expected squared error, with the best scales or, if unbiased, with the plan's."""
        total = self.single_error
        for one in self.plan.classes:
            counts = self.counts[one.length][1:-1]
            squares = self.squares[one.length][:-1].sum()
            n = np.arange(1, len(one) + 1)
            if self.rules.unbiased:
                total += (counts * (n * self.plan.step * one.scales) ** 2).sum() - squares
            else:
                norms = self.norms[one.length][1:-1]
                total += squares - ((one.cosines * norms) ** 2 / np.maximum(counts, 1)).sum()
        return float(total)

    def bits(self) -> float:
        """The expected size in bits, with levels at the entropy of each length's histogram."""
        total = 8.0 * len(self.used().pack())
        for counts in self.counts.values():
            some = counts[counts > 0]
            total -= float((some * np.log2(some / some.sum())).sum()) if some.size else 0.0
        for one in self.plan.classes:
            total += float((self.counts[one.length][1:-1] * one.index_bits).sum())
        return total + float(self.counts[1][1:].sum())  # signs of single values

    def used(self) -> Plan:
        """The plan with its scales, without the loud classes that no block has."""
        plan = self.plan
        if not self.rules.unbiased:
            projections = {
                one.length: self.norms[one.length] * np.concatenate([[0], one.cosines, [0]]) for one in plan.classes
            }
            plan = with_centroids(plan, projections, self.counts)
        classes = []
        for one in plan.classes:
            present = np.flatnonzero(self.counts[one.length][1:-1])
            classes.append(one.cut(int(present[-1]) + 1 if present.size else 0))
        return replace(plan, classes=tuple(classes))


@dataclass(frozen=True)
class Problem:
    """What is to be solved for.

    chunks, energy, size: float64 values in pieces, their ‖x‖² and their number.
    bound: the relative error that is aimed at.
    rules: how levels are given.
    exponent, seed: those of the plan.
    """

    chunks: Chunks
    energy: float
    size: int
    bound: float
    rules: Rules
    exponent: int
    seed: int

    def plan(self, length: int, spread: float, step: float) -> Plan:
        """A plan with all classes that max_draws is enough for. Its step is FINEST at least."""
        spread, step = float(np.float32(spread)), float(np.float32(max(step, FINEST)))
        draws = self.rules.max_draws
        classes = tuple(classes_within(k, spread, draws) for k in lengths_of(length)[:-1])
        plan = Plan(length, step, spread, self.exponent, self.seed, self.rules.unbiased, classes)
        return plan.with_scales({one.length: 1 / one.cosines for one in classes}) if plan.unbiased else plan

    def survey(self, length: int, spread: float, step: float) -> Survey:
        return Survey.of(self.chunks(), self.plan(length, spread, step), self.rules)

    def solve(self, length: int, spread: float, start: float, tolerance: float = _TOLERANCE, tries: int = 24) -> Survey:
        """The survey at a step whose expected error is just below the bound, or at the best one."""
        tried: dict[float, Survey] = {}

        def distortion(step: float) -> float:
            tried[step] = self.survey(length, spread, step)
            return max(tried[step].error() / self.energy, 0.0)

        step = solve_step(distortion, self.bound, start, tolerance, tries)
        return tried[step] if step > 0 else min(tried.values(), key=Survey.error)

    def first_step(self) -> float:
        """√12 times the root mean square of the error, FINEST at least."""
        return max(float(np.sqrt(12 * self.bound / (1 + self.bound) * self.energy / self.size)), FINEST)


@dataclass(frozen=True)
class Candidate:
    """A length of the longest blocks, a factor of the caps, and a dead zone in steps."""

    length: int
    spread: float
    zero: float


def best_survey(problem: Problem, lengths: tuple[int, ...]) -> Survey:
    """The survey of the plan with the fewest bits, for longest blocks of one of these lengths."""
    first = problem.first_step()
    if first == FINEST:  # only single values are left; if even these miss the bound, no plan meets it
        return problem.survey(1, 1.0, FINEST)
    choice = choose(problem, lengths)
    chosen = replace(problem, rules=replace(problem.rules, zero=choice.zero))
    return chosen.solve(choice.length, choice.spread, first)


def choose(problem: Problem, lengths: tuple[int, ...]) -> Candidate:
    """The best block length, factor of the caps, and dead zone, on a sample.

    It tries every second length, then what is near the best. Length and factor are tried together:
    at low rates either is good only with the other.
    """
    sample = _sampled(problem)
    step = sample.first_step()
    if step == FINEST:  # the sample is nearly all zeros, so long blocks are best
        return Candidate(max(lengths), 1.0, 1.1)

    @cache
    def cost(choice: Candidate) -> float:
        nonlocal step
        rules = replace(sample.rules, zero=choice.zero)
        survey = replace(sample, rules=rules).solve(choice.length, choice.spread, step, 10 * _TOLERANCE, _TRIES)
        step = survey.plan.step
        miss = max(survey.error() / (sample.energy * sample.bound), 1e-3)
        return survey.bits() + 0.5 * sample.size * float(np.log2(miss))

    def with_spreads(some: tuple[int, ...]) -> list[Candidate]:
        return [Candidate(k, spread, 0.8) for k in some for spread in SPREADS]

    best = min(with_spreads(lengths[::2]), key=cost)
    at = lengths.index(best.length)
    best = min([best, *with_spreads(lengths[max(at - 1, 0) : at + 2])], key=cost)
    best = min([best, *(replace(best, spread=best.spread * factor) for factor in _NEAR)], key=cost)
    if not problem.rules.unbiased:
        best = min((replace(best, zero=zero) for zero in ZEROS), key=cost)
    return best


def _sampled(problem: Problem) -> Problem:
    """The same problem on runs of values, of at most _SAMPLE values together.

    The runs are evenly spread over the tensor.
    """
    if problem.size <= _SAMPLE:
        return problem
    stride = problem.size * _RUN // _SAMPLE
    runs = []
    for start, values in problem.chunks():
        first = -start % stride
        runs += [(start + at, values[at : at + _RUN]) for at in range(first, values.size, stride)]
    total = sum(energy(values) for _, values in runs)
    return replace(problem, chunks=lambda: runs, energy=total, size=sum(values.size for _, values in runs))
