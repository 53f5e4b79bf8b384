"""How the encoder of `klt` chooses: the subspace, the rank, and the step that spends the bound.

The distortion of an attempt needs no decoded tensor: with orthonormal V̂ it is ‖X‖² − ‖C‖² + ‖C − Ĉ‖². Only at the end is
what the decoder gives measured, for its roundings.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from ... import dtypes
from ...source import ArraySource
from ..common.levels import Step
from ..common.scaled import Scaled, energy
from ..common.trellis import Labels, Points, code_of_mean
from ..common.trellis_search import LARGEST_LEVEL, Quantiser, Spending
from ..contract import TooFine
from .factors import MEAN_PER_DEVIATION, Basis, Frame, basis_contexts
from .spectrum import Spectrum, spectrum_of

_THOROUGH = 1 << 20  # values up to which several ranks are tried
_STRIDE, _MOVES = 0.08, 4  # between the ranks tried, as a share of the rank; how many in one direction
_TOLERANCE, _ROOM = 0.002, 1e-4  # of the distortion; of the bound, left for roundings that were not foreseen
_ROUNDS = 3  # of settling prices and step at a rank
_CHECKS = 3  # of what the decoder gives, each followed by a smaller target
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
    """How the two factors are quantised."""

    rank: int
    step: float
    first: Quantiser
    second: Quantiser


@dataclass(frozen=True)
class Attempt:
    """Both factors coded with a step (of the scaled tensor). error: ‖x̂ − x‖² of the scaled tensor."""

    matrix: Matrix
    settings: Settings
    means: np.ndarray
    basis: Basis
    factors: tuple[np.ndarray, np.ndarray]  # float64 values: width × rank, height × rank
    levels: tuple[np.ndarray, np.ndarray]
    error: float

    @classmethod
    def make(cls, matrix: Matrix, settings: Settings) -> "Attempt":
        frame, rank = matrix.frame, settings.rank
        step = Step.below(max(settings.step, 1 / LARGEST_LEVEL))
        size, spectrum = float(step), matrix.spectrum
        deviations = spectrum.values[:rank] / math.sqrt(frame.width)
        means = np.minimum.accumulate(code_of_mean(MEAN_PER_DEVIATION * deviations / size))
        first = (spectrum.vectors[:, :rank] * spectrum.values[:rank]).reshape(-1)
        first_levels = settings.first.levels(first, size, basis_contexts(means))
        basis = Basis.of(first_levels, settings.first.shifts, frame)
        second = (matrix.values @ basis.vectors.astype(matrix.values.dtype)).astype(np.float64)
        second_levels = np.concatenate(
            [
                settings.second.levels(second[slice(*frame.span(start, stop))].reshape(-1), size, basis.contexts)
                for start, stop in frame.chunks()
            ]
        )
        decoded = Points(step, settings.second.shifts).values(second_levels, np.dtype(np.float64))
        flat = second.reshape(-1)
        error = spectrum.total - energy(flat) + energy(decoded - flat)
        settings = replace(settings, step=size)
        return cls(matrix, settings, means, basis, (first, flat), (first_levels, second_levels), error)

    @property
    def labels(self) -> Labels:
        return self.settings.first.labels

    def points(self) -> Points:
        """The decoder's side of the second factor, for the tensor as it is."""
        step = Step.below(self.settings.step).times(self.matrix.scaled.exponent)
        return Points(step, self.settings.second.shifts)

    def basis_code(self) -> bytes:
        """The first factor's bytes."""
        return self.labels.encode(self.levels[0], basis_contexts(self.means))[0]

    def code(self, start: int, stop: int) -> bytes:
        """The bytes of a chunk of the tensor."""
        frame, rank = self.matrix.frame, self.settings.rank
        first, last = frame.span(start, stop)
        return self.labels.encode(self.levels[1][first * rank : last * rank], self.basis.contexts)[0]

    def trained(self) -> tuple[Settings, float]:
        """Settings whose prices and centroids suit these levels, and about how many bits they take at the target.

        The settings' step is the one at which the target is expected.
        """
        settings, count = self.settings, sum(levels.size for levels in self.levels)
        contexts = basis_contexts(self.means), self.basis.contexts
        quantisers, sizes = zip(
            *(
                quantiser.trained(values, levels, settings.step, context)
                for quantiser, values, levels, context in zip(
                    (settings.first, settings.second), self.factors, self.levels, contexts, strict=True
                )
            ),
            strict=True,
        )
        room = self.matrix.room(settings.rank)
        excess = max(self.error - self.matrix.target + room, room * 2.0**-20) / room
        bits = 8.0 * sum(sizes)
        bits += 0.5 * math.log2(excess) * min(bits, count)
        step = settings.step / math.sqrt(min(max(excess, 0.25), 4.0))
        return replace(settings, step=step, first=quantisers[0], second=quantisers[1]), bits

    def measure(self) -> float:
        """‖x̂ − x‖² of the scaled tensor as it is decoded and rounded to its dtype."""
        scaled, frame = self.matrix.scaled, self.matrix.frame
        work = dtypes.work_dtype(scaled.source.dtype)
        errors = []
        for start, stop in frame.chunks():
            first, last = frame.span(start, stop)
            levels = self.levels[1][first * self.settings.rank : last * self.settings.rank]
            coefficients = self.points().values(levels, work).reshape(last - first, -1)
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
    return Spending(trial, 1.0).search(settings.step, tolerance)


def _choose(matrix: Matrix, thorough: bool) -> Settings:
    """Rank, labels, prices and centroids."""
    rank, step = matrix.spectrum.plan(matrix.target)
    best = _train(matrix, _fresh(rank, step, False))
    if not thorough:
        return best[0]
    best = min(best, _train(matrix, _fresh(rank, step, True)), key=lambda found: found[1])
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
    return best[0]


def _fresh(rank: int, step: float, zero: bool) -> Settings:
    quantiser = Quantiser.fresh(Labels(zero, 1))
    return Settings(rank, step, quantiser, quantiser)


def _train(matrix: Matrix, settings: Settings) -> tuple[Settings, float]:
    """Settings that suit a rank, and about how many bits they take."""
    for _ in range(_ROUNDS):
        settings, bits = Attempt.make(matrix, settings).trained()
    return settings, bits
