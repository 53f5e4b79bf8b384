"""How the encoder of `klt` chooses: the subspace, the rank, and the step that spends the bound.

Rank and step are planned from the spectrum. Prices and centroids are learned on rows of the exact
factors, without any product. Then few attempts follow.
"""

import math
from dataclasses import dataclass, replace

import ml_dtypes
import numpy as np

from ... import dtypes
from ...parallel import spread
from ..common.levels import Labels
from ..common.quantiser import LARGEST_LEVEL, Quantiser
from ..common.scaled import Scaled
from ..common.step_search import Spending
from ..contract import TooFine
from .attempt import Attempt, Begun, Settings, Task, deviations, trial_of
from .factors import classes_of
from .levels import Factor, column_classes
from .look import Look
from .spectrum import spectrum_of

# The share of the target by which a distortion may stay below it. Of few levels it is more, but
# about _BITS_LEFT bits at most.
_TOLERANCE, _MOST_LEFT, _BITS_LEFT = 0.006, 0.03, 3.0
_SAMPLE = 1 << 15  # levels of the second factor that foretell the error of all
_NEAR = 1.04  # steps whose quotient is smaller share the first factor,
_FEW = 1 << 14  # if both factors together have more levels than that
_SHARED = 1 << 15  # levels of both factors from which on two threads find them sooner than one
ROOM = 1e-4  # share of the bound that is left for roundings that were not foreseen
_ROUNDS = {False: 2, True: 3}  # how often prices and step are settled, by whether there are fewer than _FEW levels
_FAST = 32.0  # bits of a level, by which lanes are chosen while settings are: more lanes are faster
_HIGHER = 1.07  # times the planned rank: so much higher, the fewest bits are found
_NOTHING = 1e-4  # share of the target below which a component is not worth a rank, as where roundings are left
# About how many of a factor's levels settings are learned from, and of how many rows of each factor
# at least.
_LEVELS, _ROWS = 1 << 15, (1 << 8, 1 << 9)
_ZERO_RATE = 2.0  # bits a level; below it, an odd book with a zero is tried as well
_CHECKS = 3  # how often what the decoder gives is measured, each followed by a smaller target
_FEW_STATES, _STATES = 8, 32  # states while settings are chosen; states of the thorough choice
_THOROUGH = 1 << 20  # levels up to which there are so many states at last
_ROUNDING = 2.0**-3  # energy of a dtype's roundings beside its values', times the square of its spacing at 1
FORESEEN = 0.02  # share of a bound that roundings to a dtype may take without a measurement
FINE = 1e-4  # from here on down roundings in float32 products matter


@dataclass(frozen=True)
class Chosen:
    """What is chosen before the tensor is coded.

    foreseen: whether the target leaves room for roundings. bits: about what both factors take.
    """

    task: Task
    settings: Settings
    foreseen: bool
    bits: float

    @classmethod
    def of(cls, look: Look, thorough: bool) -> "Chosen":
        matrix, bound, total = look.matrix, look.bound, look.sketch.total
        spectrum = spectrum_of(matrix, look.sketch, bound * total)
        matrix.forget_square()
        rounded = roundings(matrix.scaled, total) / bound
        foreseen = rounded < FORESEEN and bound > FINE
        task = Task(matrix, spectrum, bound * total * (1 - ROOM - (rounded if foreseen else 0)))
        settings, bits = _choose(task, thorough)
        return cls(task, settings, foreseen, bits)


def fit(look: Look, chosen: Chosen) -> Attempt:
    """The attempt with about the fewest bits whose distortion is close to the bound and within it.

    Raises TooFine.
    """
    bound, total = look.bound, look.sketch.total
    task, settings = chosen.task, chosen.settings
    for _ in range(_CHECKS):
        attempt = _solve(task, settings)
        if task.spectrum.values[0] > LARGEST_LEVEL / 4 * attempt.settings.step:
            raise TooFine
        if chosen.foreseen:
            return attempt.settled()
        error = attempt.measure()
        if error <= bound * total:
            break
        settings = attempt.settings
        task = replace(task, target=task.target * (bound * total / error) * (1 - ROOM))
    return attempt


def roundings(scaled: Scaled, total: float) -> float:
    """About the energy of roundings to a tensor's dtype, rather too much, beside ‖x‖².

    total: ‖x‖² of the scaled tensor.
    """
    dtype = scaled.source.dtype
    least = math.ldexp(float(ml_dtypes.finfo(dtype).smallest_subnormal), -scaled.exponent)
    return _ROUNDING * float(dtypes.spacing(dtype)) ** 2 + scaled.size * least * least / (12 * total)


def _solve(task: Task, settings: Settings) -> Attempt:
    """The attempt with the step that spends the target."""
    view = task.matrix.view
    levels = settings.rank * (view.height + view.width)
    left = min(max(_TOLERANCE, _BITS_LEFT / levels), _MOST_LEFT)
    tolerance = min(left * task.target / task.room(settings.rank), 0.5)
    if levels <= _FEW:
        return Spending(trial_of(task, settings, 1.0), 1.0).search(settings.with_step(settings.step).step, tolerance)
    begun = Begun.of(task, settings.with_step(settings.step))
    step = begun.foretold(_SAMPLE, 1 - tolerance / 2)
    if not 1 / _NEAR < step / begun.settings.step < _NEAR:  # rows differ so much that some do not stand for all
        step = begun.settings.step
    return Spending(trial_of(task, settings, _NEAR, begun), 1.0).search(step, tolerance)


def _choose(task: Task, thorough: bool) -> tuple[Settings, float]:
    """Rank, labels, prices and centroids, and about the bits of both factors."""
    rank, step = task.spectrum.plan(task.target)
    worth = int(np.count_nonzero(task.spectrum.values**2 > _NOTHING * task.target))
    rank = max(min(round(_HIGHER * rank), worth), rank)
    school = School.of(task, rank)
    fresh = Quantiser.fresh(Labels(_FEW_STATES, False), task.matrix.dtype, step)
    rounds = _ROUNDS[school.size(rank) < _FEW]
    best = school.train(Settings(rank, step, fresh, fresh), rounds)
    rows = school.with_rows(best[0])
    if any(rows.rows):
        best = min(best, school.train(rows, 1), key=_bits_of)
    if best[1] < _ZERO_RATE * school.size(rank):
        fresh = Quantiser.fresh(Labels(_FEW_STATES, True), task.matrix.dtype, best[0].step)
        with_zero = replace(best[0], first=fresh, second=fresh)
        best = min(best, school.train(with_zero, rounds), key=_bits_of)
    if thorough and rank * (task.matrix.view.height + task.matrix.view.width) <= _THOROUGH:
        best = school.train(best[0].with_states(_STATES), 1)
    return best


def _bits_of(trained: tuple[Settings, float]) -> float:
    return trained[1]


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
        width, height = matrix.view.width, matrix.view.height
        fewest = zip((width, height), _ROWS, strict=True)
        strides = [max(min(length * rank // _LEVELS, length // rows), 1) for length, rows in fewest]
        first = (vectors[:: strides[0]] * spectrum.values[:rank]).astype(matrix.dtype)
        second = matrix.times(vectors.astype(matrix.dtype), strides[1])
        return cls(task, (first, second), (len(first) / width, len(second) / height))

    def size(self, rank: int) -> float:
        """Levels of both whole factors."""
        return rank * sum(len(factor) / share for factor, share in zip(self.factors, self.shares, strict=True))

    def factorise(self, settings: Settings) -> tuple[Factor, Factor]:
        """The rows' levels."""
        spectrum, rank = self.task.spectrum, settings.rank
        one, other = (factor[:, :rank] for factor in self.factors)
        classes = column_classes(deviations(spectrum, rank), settings.step)
        loud = classes_of(spectrum.values[:rank] ** 2)
        tasks = (
            (one, classes, settings.first, settings.rows[0], (0, len(one)), _FAST),
            (other, loud, settings.second, settings.rows[1], (0, len(other)), _FAST),
        )
        work = spread if one.size + other.size > _SHARED else map
        first, second = work(lambda task: Factor.of(*task), tasks)
        return first, second

    def train(self, settings: Settings, rounds: int) -> tuple[Settings, float]:
        """Settings that suit these rows, and about how many bits the whole factors take with them.

        The settings' step is the one at which the target is expected.
        """
        room, harm = self.task.room(settings.rank), self.task.spectrum.harm(settings.rank)
        for _ in range(rounds):
            settings = settings.with_step(settings.step)
            factors = self.factorise(settings)
            error = factors[0].error / self.shares[0] * harm + factors[1].error / self.shares[1]
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
