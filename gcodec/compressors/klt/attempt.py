"""Both factors of `klt`, coded with a step.

The distortion of an attempt needs no decoded tensor: with orthonormal V̂ it is ‖X‖² − ‖C‖² +
‖C − Ĉ‖². Only where roundings may matter is what the decoder gives measured.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ... import dtypes
from ...source import ArraySource, spans
from ..common.levels import Points, Step
from ..common.quantiser import LARGEST_LEVEL, Quantiser
from ..common.scaled import Scaled, energy
from ..contract import CHUNK
from .factors import Basis, product
from .levels import Factor, column_classes
from .matrix import Matrix
from .spectrum import Spectrum

_SLOPE = 1.8  # the power of a step with which errors of the second factor grow


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
class Begun:
    """The first factor, coded, and the exact second one that belongs to it.

    values: of the second factor. missed: as of an attempt.
    """

    task: Task
    settings: Settings
    first: Factor
    basis: Basis
    values: np.ndarray
    missed: float

    @classmethod
    def of(cls, task: Task, settings: Settings) -> "Begun":
        matrix, spectrum, rank = task.matrix, task.spectrum, settings.rank
        values = (spectrum.vectors[:, :rank] * spectrum.values[:rank]).astype(matrix.dtype)
        classes = column_classes(deviations(spectrum, rank), settings.step)
        first = Factor.of(values, classes, settings.first, settings.rows[0], (0, matrix.view.width)).settled()
        basis = Basis.of(first.in_steps())
        values = matrix.times(basis.vectors.astype(matrix.dtype))
        return cls(task, settings, first, basis, values, spectrum.total - _energy(values.reshape(-1)))

    @property
    def room(self) -> float:
        """The squared error that is left for the second factor, or next to nothing."""
        return max(self.task.target - self.missed, self.task.target * 2.0**-40)

    def second(self, step: float, stride: int = 1) -> Factor:
        """The second factor's levels, of every row whose number is a multiple of `stride`."""
        values, quantiser = self.values[::stride], self.settings.second.with_step(step)
        cuts = self.task.matrix.view.cuts() if stride == 1 else (0, len(values))
        return Factor.of(values, self.basis.classes, quantiser, self.settings.rows[1], cuts)

    def foretold(self, levels: int, aim: float) -> float:
        """The step that so many levels of the second factor let expect, or rather more.

        aim: the share of the room that its error should have.
        """
        stride = max(self.values.size // levels, 1)
        step = self.settings.step
        for _ in range(2):
            error = self.second(step, stride).error * len(self.values) / len(self.values[::stride])
            growth = self.room * aim / max(error, math.ulp(0.0))
            step *= min(max(growth ** (1 / _SLOPE), 0.5), 2.0)
            if 0.8 < growth < 1.25:
                break
        return step

    def attempt(self, step: float) -> "Attempt":
        settings = replace(self.settings, step=step, second=self.settings.second.with_step(step))
        return Attempt(self.task, settings, self.first, self.basis, self.second(step), self.missed)


@dataclass(frozen=True)
class Attempt:
    """Both factors coded with a step, that of the scaled tensor.

    missed: the squared error, of the scaled tensor, that the second factor has without any
    quantisation.
    """

    task: Task
    settings: Settings
    first: Factor
    basis: Basis
    second: Factor
    missed: float

    @classmethod
    def make(cls, task: Task, settings: Settings) -> "Attempt":
        return Begun.of(task, settings).attempt(settings.step)

    def with_step(self, step: float, near: float) -> "Attempt":
        """With another step, which only the second factor gets where it is near to the first one's.

        near: steps whose quotient is smaller are near.
        """
        if not 1 / near < step / self.first.quantiser.step < near:
            return Attempt.make(self.task, self.settings.with_step(step))
        settings = replace(self.settings, step=step, second=self.settings.second.with_step(step))
        return replace(self, settings=settings, second=self.second.with_step(step))

    def settled(self) -> "Attempt":
        """The attempt to be coded, but not to be measured."""
        return replace(self, second=self.second.settled())

    @property
    def error(self) -> float:
        """‖x̂ − x‖² of the scaled tensor."""
        return self.missed + self.second.error

    def points(self) -> Points:
        """The decoder's side of the second factor, for the tensor as it is."""
        points = self.second.quantiser.points
        return replace(points, step=points.step.times(self.task.matrix.scaled.exponent))

    def code(self, start: int, stop: int) -> bytes:
        """The bytes of a chunk of the tensor."""
        return self.second.encode(start // self.task.matrix.view.chunk)

    def measure(self) -> float:
        """‖x̂ − x‖² of the scaled tensor as it is decoded and rounded to its dtype."""
        scaled, view = self.task.matrix.scaled, self.task.matrix.view
        dtype, errors = scaled.source.dtype, []
        left, right = self._factors()
        for first, last in view.chunks():
            decoded = ArraySource(dtypes.narrow(product(left[first:last], right), dtype))
            values = scaled.read(first * view.columns, last * view.columns)
            errors.append(energy(Scaled(decoded, scaled.exponent).read(0, values.size) - values))
        return math.fsum(errors)

    def decoded(self) -> np.ndarray:
        """What the tensor is decoded to, flat and in the work dtype."""
        return product(*self._factors())

    def _factors(self) -> tuple[np.ndarray, np.ndarray]:
        """The decoded factors: rows × rank, and rank × columns in C order."""
        work = dtypes.work_dtype(self.task.matrix.scaled.source.dtype)
        left, right = self.second.decoded(self.points(), work), self.basis.vectors.astype(work)
        if self.task.matrix.view.transposed:
            left, right = right, left
        return left, np.ascontiguousarray(right.T)


def trial_of(
    task: Task, settings: Settings, near: float, begun: Begun | None = None
) -> Callable[[float], tuple[Attempt, float]]:
    """What tries a step: an attempt, and its error as a share of what the target leaves for it.

    The error is that of the second factor, which grows with the square of the step, or of both
    where the first factor is so coarse that it is zero. near: as for `Attempt.with_step`. begun:
    what the first attempt goes on from.
    """
    made: list[Attempt] = []

    def trial(step: float) -> tuple[Attempt, float]:
        step = settings.with_step(step).step
        if made:
            made[:] = [made[0].with_step(step, near)]
        else:
            made[:] = [(begun or Begun.of(task, settings.with_step(step))).attempt(step)]
        error = made[0].second.error or made[0].missed
        return made[0], error / max(task.target - made[0].missed, task.target * 2.0**-40)

    return trial


def _energy(values: np.ndarray) -> float:
    """‖values‖² in float64, without a copy of all of them."""
    return math.fsum(energy(values[start:stop].astype(np.float64)) for start, stop in spans(values.size, CHUNK))


def deviations(spectrum: Spectrum, rank: int) -> np.ndarray:
    """Root mean squares of the first factor's columns."""
    return np.asarray(spectrum.values[:rank] / math.sqrt(spectrum.width))
