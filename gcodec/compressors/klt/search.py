"""How the encoder of `klt` chooses: the subspace, the rank, and the step that spends the bound.

The distortion of an attempt needs no decoded tensor: with orthonormal V̂ it is ‖X‖² − ‖C‖² + ‖C − Ĉ‖². Only at the end is
what the decoder gives measured, for its roundings.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from ... import dtypes
from ...source import ArraySource
from ..common.levels import Labels, Points, Step
from ..common.quantiser import LARGEST_LEVEL, Quantiser
from ..common.scaled import Scaled, energy
from ..common.step_search import Spending
from ..contract import TooFine
from .factors import Basis, Frame
from .levels import Factor, column_classes
from .spectrum import Spectrum, spectrum_of

_THOROUGH = 1 << 20  # values up to which several ranks are tried
_STRIDE, _MOVES = 0.08, 4  # between the ranks tried, as a share of the rank; how many in one direction
_TOLERANCE, _ROOM = 0.002, 1e-4  # of the distortion; of the bound, left for roundings that were not foreseen
_ROUNDS = 3  # of settling prices and step at a rank
_ZERO_RATE = 1.5  # bits a level; below it, an odd book with a zero is tried as well
_CHECKS = 3  # of what the decoder gives, each followed by a smaller target
_FEW_STATES, _STATES = 8, 32  # of the trellis, while settings are chosen, and of the thorough choice at last
_FINE = 1e-5  # bounds below it need float64 where float32 would do


@dataclass(frozen=True)
class Matrix:
    """What all attempts share. values: height × width; target: the squared error allowed."""

    scaled: Scaled
    frame: Frame
    values: np.ndarray
    spectrum: Spectrum
    target: float

    def room(self, rank: int) -> float:
        """The part of the target that quantisation may take at a rank; hardly anything where the rank is too low."""
        return max(self.target - self.spectrum.tail(rank), self.target * 2.0**-40)


@dataclass(frozen=True)
class Settings:
    """How the two factors are quantised. rows: how coarse the numbers of their rows are, 0 where they have none."""

    rank: int
    step: float
    first: Quantiser
    second: Quantiser
    rows: tuple[int, int] = (0, 0)

    def with_states(self, states: int) -> "Settings":
        return replace(self, first=self.first.with_states(states), second=self.second.with_states(states))


@dataclass(frozen=True)
class Attempt:
    """Both factors coded with a step (of the scaled tensor). error: ‖x̂ − x‖² of the scaled tensor."""

    matrix: Matrix
    settings: Settings
    first: Factor
    basis: Basis
    second: Factor
    error: float

    @classmethod
    def make(cls, matrix: Matrix, settings: Settings) -> "Attempt":
        frame, rank, spectrum = matrix.frame, settings.rank, matrix.spectrum
        size = float(Step.below(max(settings.step, 1 / LARGEST_LEVEL)))
        deviations = spectrum.values[:rank] / math.sqrt(frame.width)
        values = (spectrum.vectors[:, :rank] * spectrum.values[:rank]).astype(matrix.values.dtype)
        classes = column_classes(deviations, size)
        first = Factor.of(values, classes, settings.first.with_step(size), settings.rows[0], (0, frame.width))
        basis = Basis.of(first.in_steps())
        values = matrix.values @ basis.vectors.astype(matrix.values.dtype)
        cuts = [*(frame.span(start, stop)[0] for start, stop in frame.chunks()), frame.height]
        second = Factor.of(values, basis.classes, settings.second.with_step(size), settings.rows[1], cuts)
        error = spectrum.total - energy(values.reshape(-1).astype(np.float64)) + second.error
        return cls(matrix, replace(settings, step=size), first, basis, second, error)

    def points(self) -> Points:
        """The decoder's side of the second factor, for the tensor as it is."""
        points = self.second.quantiser.points
        return replace(points, step=points.step.times(self.matrix.scaled.exponent))

    def code(self, start: int, stop: int) -> bytes:
        """The bytes of a chunk of the tensor."""
        return self.second.encode(start // self.matrix.frame.chunk)

    def trained(self) -> tuple[Settings, float]:
        """Settings whose prices and centroids suit these levels, and about how many bits they take at the target.

        The settings' step is the one at which the target is expected.
        """
        settings, count = self.settings, self.first.size + self.second.size
        room = self.matrix.room(settings.rank)
        excess = max(self.error - self.matrix.target + room, room * 2.0**-20) / room
        bits = self.first.bits() + self.second.bits()
        bits += 0.5 * math.log2(excess) * min(bits, count)
        step = settings.step / math.sqrt(min(max(excess, 0.25), 4.0))
        return replace(settings, step=step, first=self.first.learned(), second=self.second.learned()), bits

    def with_rows(self) -> Settings:
        """The settings, with numbers of rows where they save bits."""
        return replace(self.settings, rows=(self.first.best_rows(), self.second.best_rows()))

    def measure(self) -> float:
        """‖x̂ − x‖² of the scaled tensor as it is decoded and rounded to its dtype."""
        scaled, frame = self.matrix.scaled, self.matrix.frame
        work = dtypes.work_dtype(scaled.source.dtype)
        errors = []
        for (start, stop), found in zip(frame.chunks(), self.second.found, strict=True):
            first, last = frame.span(start, stop)
            coefficients = self.points().values(found.numbers, found.books, work).reshape(last - first, -1)
            decoded = dtypes.narrow(frame.product(coefficients, self.basis.vectors), scaled.source.dtype)
            back = Scaled(ArraySource(decoded), scaled.exponent)
            errors.append(energy(back.read(0, stop - start) - scaled.read(start, stop)))
        return math.fsum(errors)


def fit(scaled: Scaled, frame: Frame, bound: float, thorough: bool) -> Attempt:
    """The attempt whose distortion is at most `bound`, close to it, with the fewest bits among the ranks tried."""
    exact = scaled.source.dtype == np.float64 or bound < _FINE
    values = np.empty(scaled.size, np.float64 if exact else np.float32)
    total = 0.0
    for start, piece in scaled.pieces():
        values[start : start + piece.size] = piece
        total += energy(piece)
    values = frame.of_values(values)
    matrix = Matrix(scaled, frame, values, spectrum_of(values, total, bound * total), bound * total)
    settings = _choose(matrix, thorough and scaled.size <= _THOROUGH)
    for _ in range(_CHECKS):
        attempt = _solve(matrix, settings)
        error = attempt.measure()
        if matrix.spectrum.values[0] > LARGEST_LEVEL / 4 * attempt.settings.step:
            raise TooFine
        if error <= bound * total:
            break
        matrix = replace(matrix, target=matrix.target * (bound * total / error) * (1 - _ROOM))
    return attempt


def _solve(matrix: Matrix, settings: Settings) -> Attempt:
    """The attempt with the step that spends the target."""
    room, tail = matrix.room(settings.rank), matrix.spectrum.tail(settings.rank)

    def trial(step: float) -> tuple[Attempt, float]:
        attempt = Attempt.make(matrix, replace(settings, step=step))
        return attempt, max(attempt.error - tail, 0.0) / room

    tolerance = min(_TOLERANCE * matrix.target / room, 0.5)
    return Spending(trial, 1.0).search(max(settings.step, 1 / LARGEST_LEVEL), tolerance)


def _choose(matrix: Matrix, thorough: bool) -> Settings:
    """Rank, labels, prices and centroids."""
    rank, step = matrix.spectrum.plan(matrix.target)
    best = _train(matrix, _fresh(matrix, rank, step, False))
    rows = Attempt.make(matrix, best[0]).with_rows()
    if any(rows.rows):
        best = min(best, _train(matrix, rows), key=_bits_of)
    count = rank * (matrix.frame.height + matrix.frame.width)
    if thorough or best[1] < _ZERO_RATE * count:
        with_zero = replace(_fresh(matrix, rank, best[0].step, True), rows=best[0].rows)
        best = min(best, _train(matrix, with_zero), key=_bits_of)
    if not thorough:
        return best[0]
    for direction in (1, -1):
        stride = direction * max(round(_STRIDE * rank), 1)
        for _ in range(_MOVES):
            other = best[0].rank + stride
            if not 0 < other <= matrix.spectrum.values.size or matrix.spectrum.tail(other) >= matrix.target:
                break
            found = _train(matrix, replace(best[0], rank=other))
            if found[1] >= best[1]:
                break
            best = found
    return _train(matrix, best[0].with_states(_STATES), 1)[0]


def _bits_of(trained: tuple[Settings, float]) -> float:
    return trained[1]


def _fresh(matrix: Matrix, rank: int, step: float, zero: bool) -> Settings:
    quantiser = Quantiser.fresh(Labels(_FEW_STATES, zero), matrix.values.dtype, step)
    return Settings(rank, step, quantiser, quantiser)


def _train(matrix: Matrix, settings: Settings, rounds: int = _ROUNDS) -> tuple[Settings, float]:
    """Settings that suit a rank, and about how many bits they take."""
    for _ in range(rounds):
        settings, bits = Attempt.make(matrix, settings).trained()
    return settings, bits
