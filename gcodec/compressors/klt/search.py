"""How the encoder of `klt` chooses: the subspace, the rank, and the step that spends the bound.

Rank and step are planned from the spectrum. Prices and centroids are learned on rows of the exact
factors, without any product. Then few attempts follow. The distortion of an attempt needs no
decoded tensor: with orthonormal V̂ it is ‖X‖² − ‖C‖² + ‖C − Ĉ‖². Only where roundings may matter
is what the decoder gives measured.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from ... import dtypes
from ...parallel import spread
from ...source import ArraySource, spans
from ..common.levels import Labels, Points, Step
from ..common.quantiser import LARGEST_LEVEL, Quantiser
from ..common.scaled import Scaled, energy
from ..common.step_search import Spending
from ..contract import CHUNK, TooFine
from .factors import Basis, classes_of, product
from .levels import Factor, column_classes
from .look import Look
from .matrix import Matrix
from .spectrum import Spectrum, spectrum_of

# The share of the target by which a distortion may stay below it. Of few levels it is more, but
# about _BITS_LEFT bits at most.
_TOLERANCE, _MOST_LEFT, _BITS_LEFT = 0.004, 0.03, 3.0
_SHARED = 1 << 15  # levels of both factors from which on two threads find them sooner than one
ROOM = 1e-4  # share of the bound that is left for roundings that were not foreseen
_ROUNDS = 3  # how often prices and step are settled
_STRIDE, _STRIDES = 0.08, 3  # share of the planned rank between tried ones; number of higher ones
_LEVELS = 1 << 17  # about how many of a factor's levels settings are learned from
_ZERO_RATE = 2.5  # bits a level; below it, an odd book with a zero is tried as well
_CHECKS = 3  # how often what the decoder gives is measured, each followed by a smaller target
_FEW_STATES, _STATES = 8, 32  # states while settings are chosen; states of the thorough choice
_THOROUGH = 1 << 20  # levels up to which there are so many states at last
_ROUNDING = 2.0**-3  # energy of a dtype's roundings beside its values', times the square of its spacing at 1


@dataclass(frozen=True)
class Task:
    """What all attempts share. target: the squared error allowed, of the scaled tensor."""

    matrix: Matrix
    spectrum: Spectrum
    target: float

    def room(self, rank: int) -> float:
        """The part of the target that quantisation may take at a rank.

        It is next to nothing where the rank is too low.
        """
        return max(self.target - self.spectrum.tail(rank), self.target * 2.0**-40)


@dataclass(frozen=True)
class Settings:
    """How the two factors are quantised.

    rows: how coarse the numbers of their rows are, 0 where they have none.
    """

    rank: int
    step: float
    first: Quantiser
    second: Quantiser
    rows: tuple[int, int] = (0, 0)

    def with_states(self, states: int) -> "Settings":
        return replace(self, first=self.first.with_states(states), second=self.second.with_states(states))

    def with_step(self, step: float) -> "Settings":
        """With a step that levels can be found for."""
        size = float(Step.below(max(step, 1 / LARGEST_LEVEL)))
        return replace(self, step=size, first=self.first.with_step(size), second=self.second.with_step(size))


@dataclass(frozen=True)
class Attempt:
    """Both factors coded with a step, that of the scaled tensor.

    error: ‖x̂ − x‖² of the scaled tensor.
    """

    task: Task
    settings: Settings
    first: Factor
    basis: Basis
    second: Factor
    error: float

    @classmethod
    def make(cls, task: Task, settings: Settings) -> "Attempt":
        matrix, spectrum, rank = task.matrix, task.spectrum, settings.rank
        values = (spectrum.vectors[:, :rank] * spectrum.values[:rank]).astype(matrix.dtype)
        classes = column_classes(_deviations(spectrum, rank), settings.step)
        first = Factor.of(values, classes, settings.first, settings.rows[0], (0, matrix.view.width))
        basis = Basis.of(first.in_steps())
        values = matrix.times(basis.vectors.astype(matrix.dtype))
        second = Factor.of(values, basis.classes, settings.second, settings.rows[1], matrix.view.cuts())
        error = spectrum.total - _energy(values.reshape(-1)) + second.error
        if is_rounded_finely(matrix.scaled.source.dtype, task.target / spectrum.total):
            second = second.settled()
        return cls(task, settings, first, basis, second, error)

    def points(self) -> Points:
        """The decoder's side of the second factor, for the tensor as it is."""
        points = self.second.quantiser.points
        return replace(points, step=points.step.times(self.task.matrix.scaled.exponent))

    def code(self, start: int, stop: int) -> bytes:
        """The bytes of a chunk of the tensor."""
        return self.second.encode(start // self.task.matrix.view.chunk)

    def measure(self) -> float:
        """‖x̂ − x‖² of the scaled tensor as it is decoded and rounded to its dtype."""
        matrix, rank = self.task.matrix, self.settings.rank
        scaled, view = matrix.scaled, matrix.view
        dtype = scaled.source.dtype
        work, points = dtypes.work_dtype(dtype), self.points()
        parts = [points.values(found.numbers, found.books, work).reshape(-1, rank) for found in self.second.found]
        left, right = np.concatenate(parts), self.basis.vectors.astype(work)
        if view.transposed:
            left, right = right, left
        right = np.ascontiguousarray(right.T)
        errors = []
        for first, last in view.chunks():
            decoded = ArraySource(dtypes.narrow(product(left[first:last], right), dtype))
            values = scaled.read(first * view.columns, last * view.columns)
            errors.append(energy(Scaled(decoded, scaled.exponent).read(0, values.size) - values))
        return math.fsum(errors)


def fit(look: Look, thorough: bool) -> Attempt:
    """The attempt with about the fewest bits whose distortion is close to the bound and within it.

    Raises TooFine.
    """
    matrix, bound, total = look.matrix, look.bound, look.sketch.total
    scaled = matrix.scaled
    spectrum = spectrum_of(matrix, look.sketch, bound * total)
    task = Task(matrix, spectrum, bound * total * (1 - ROOM))
    settings = _choose(task, thorough)
    for _ in range(_CHECKS):
        attempt = _solve(task, settings)
        if spectrum.values[0] > LARGEST_LEVEL / 4 * attempt.settings.step:
            raise TooFine
        if is_rounded_finely(scaled.source.dtype, bound):
            break
        error = attempt.measure()
        if error <= bound * total:
            break
        settings = attempt.settings
        task = replace(task, target=task.target * (bound * total / error) * (1 - ROOM))
    return attempt


def is_rounded_finely(dtype: np.dtype, bound: float) -> bool:
    """Whether roundings to a dtype, and in float32 products, are far below what ROOM leaves."""
    spacing = float(dtypes.spacing(dtype))
    return spacing * spacing * _ROUNDING < 0.1 * ROOM * bound and bound > 1e-4


def _solve(task: Task, settings: Settings) -> Attempt:
    """The attempt with the step that spends the target."""
    room, tail = task.room(settings.rank), task.spectrum.tail(settings.rank)

    def trial(step: float) -> tuple[Attempt, float]:
        attempt = Attempt.make(task, settings.with_step(step))
        return attempt, max(attempt.error - tail, 0.0) / room

    view = task.matrix.view
    levels = settings.rank * (view.height + view.width)
    left = min(max(_TOLERANCE, _BITS_LEFT / levels), _MOST_LEFT)
    tolerance = min(left * task.target / room, 0.5)
    return Spending(trial, 1.0).search(settings.with_step(settings.step).step, tolerance)


def _choose(task: Task, thorough: bool) -> Settings:
    """Rank, labels, prices and centroids."""
    rank, step = task.spectrum.plan(task.target)
    ranks = _ranks(rank, task.spectrum.values.size)
    school = School.of(task, ranks[-1])
    fresh = Quantiser.fresh(Labels(_FEW_STATES, False), task.matrix.dtype, step)
    best = school.train(Settings(rank, step, fresh, fresh), _ROUNDS)
    for higher in ranks[1:]:
        found = school.train(replace(best[0], rank=higher), 1)
        if found[1] >= best[1]:
            break
        best = found
    rows = school.with_rows(best[0])
    if any(rows.rows):
        best = min(best, school.train(rows, 1), key=_bits_of)
    if best[1] < _ZERO_RATE * school.size(best[0].rank):
        fresh = Quantiser.fresh(Labels(_FEW_STATES, True), task.matrix.dtype, best[0].step)
        with_zero = replace(best[0], first=fresh, second=fresh)
        best = min(best, school.train(with_zero, _ROUNDS), key=_bits_of)
    if thorough and best[0].rank * (task.matrix.view.height + task.matrix.view.width) <= _THOROUGH:
        best = school.train(best[0].with_states(_STATES), 1)
    return best[0]


def _ranks(rank: int, most: int) -> list[int]:
    """The ranks to try, increasing.

    The first one is as planned, which is rather too low than too high.
    """
    strides = range(_STRIDES + 1)
    return sorted({min(rank + round(i * _STRIDE * rank), most) for i in strides})


def _bits_of(trained: tuple[Settings, float]) -> float:
    return trained[1]


def _energy(values: np.ndarray) -> float:
    """‖values‖² in float64, without a copy of all of them."""
    return math.fsum(energy(values[start:stop].astype(np.float64)) for start, stop in spans(values.size, CHUNK))


def _deviations(spectrum: Spectrum, rank: int) -> np.ndarray:
    """Root mean squares of the first factor's columns."""
    return np.asarray(spectrum.values[:rank] / math.sqrt(spectrum.width))


@dataclass(frozen=True)
class School:
    """Rows of the exact factors, V·diag(σ) and X·V, that settings are learned from.

    The factors have the columns of the highest rank that is tried. shares: of all rows.
    """

    task: Task
    factors: tuple[np.ndarray, np.ndarray]
    shares: tuple[float, float]

    @classmethod
    def of(cls, task: Task, rank: int) -> "School":
        matrix, spectrum = task.matrix, task.spectrum
        vectors = spectrum.vectors[:, :rank]
        whole = (vectors * spectrum.values[:rank]).astype(matrix.dtype), matrix.times(vectors.astype(matrix.dtype))
        some = [np.ascontiguousarray(factor[:: max(factor.size // _LEVELS, 1)]) for factor in whole]
        shares = len(some[0]) / len(whole[0]), len(some[1]) / len(whole[1])
        return cls(task, (some[0], some[1]), shares)

    def size(self, rank: int) -> float:
        """Levels of both whole factors."""
        return rank * sum(len(factor) / share for factor, share in zip(self.factors, self.shares, strict=True))

    def factorise(self, settings: Settings) -> tuple[Factor, Factor]:
        """The rows' levels."""
        spectrum, rank = self.task.spectrum, settings.rank
        one, other = (factor[:, :rank] for factor in self.factors)
        classes = column_classes(_deviations(spectrum, rank), settings.step)
        tasks = (
            (one, classes, settings.first, settings.rows[0], (0, len(one))),
            (other, classes_of(spectrum.values[:rank] ** 2), settings.second, settings.rows[1], (0, len(other))),
        )
        work = spread if one.size + other.size > _SHARED else map
        first, second = work(lambda task: Factor.of(*task), tasks)
        return first, second

    def train(self, settings: Settings, rounds: int) -> tuple[Settings, float]:
        """Settings that suit these rows, and about how many bits the whole factors take with them.

        The settings' step is the one at which the target is expected.
        """
        room = self.task.room(settings.rank)
        for _ in range(rounds):
            settings = settings.with_step(settings.step)
            factors = self.factorise(settings)
            error = sum(factor.error / share for factor, share in zip(factors, self.shares, strict=True))
            bits = sum(factor.bits() / share for factor, share in zip(factors, self.shares, strict=True))
            excess = max(error / room, 2.0**-20)
            bits += 0.5 * math.log2(excess) * min(bits, self.size(settings.rank))
            step = settings.step / math.sqrt(min(max(excess, 0.25), 4.0))
            settings = replace(settings, step=step, first=factors[0].learned(), second=factors[1].learned())
        return settings, bits

    def with_rows(self, settings: Settings) -> Settings:
        """The settings, with numbers of rows where they save bits."""
        first, second = self.factorise(settings.with_step(settings.step))
        return replace(settings, rows=(first.best_rows(), second.best_rows()))
