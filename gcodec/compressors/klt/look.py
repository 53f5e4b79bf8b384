"""A first look at a matrix: how many bits `klt` is likely to take, and whether it suits at all."""

import math
from dataclasses import dataclass

import numpy as np

from ...errors import InvalidInput
from ..common.levels import overhead
from .matrix import Matrix
from .spectrum import ROWS, Spectrum, rank_of_rows, sketch_of

_WIDE = 512  # widths above it take long where the rank is not low
_DEAREST = 1.25  # times the bits of Gaussian values, which are about the most that `tcq` takes,
_ALLOWANCE = 0.1  # with these bits a value: more than `tcq` takes
_HIGHEST = 1 << 11  # the rank above which few factors are long enough for a decoder to trust them
_IN_MEMORY = 1 << 26  # levels of both factors: an encoder holds all of them, in several forms
# What payloads took at least and at most, as multiples of the bits that a sketch foretells, and
# the bits that heads, tables and lanes take at least. Measured over gradients, weights and moments.
_LEAST, _MOST, _FEWEST = 0.82, 1.3, 120.0


@dataclass(frozen=True)
class Look:
    """A first look at a tensor.

    sketch: the leading part of the spectrum. unevenness: about how many bits of a value the
    differing energies of rows and columns are worth to a method that has classes for them.
    """

    matrix: Matrix
    sketch: Spectrum
    bound: float
    unevenness: float

    @classmethod
    def at(cls, matrix: Matrix, bound: float) -> "Look":
        """Raises InvalidInput for a rank so high that no decoder would trust the file."""
        rows, columns = matrix.energies()
        total = math.fsum(rows)
        sketch, view = sketch_of(matrix, total, bound * total), matrix.view
        if sketch.extended().plan(bound * total)[0] > _HIGHEST:
            raise InvalidInput(
                f"klt: the rank of a matrix of {view.rows} x {view.columns} is too high; use tcq or auto"
            )
        return cls(matrix, sketch, bound, _unevenness(rows) + _unevenness(columns))

    def range(self) -> tuple[float, float]:
        """The numbers of bits between which the payload is likely to be.

        They are infinite where the factors are too large for memory, and where a wide matrix, whose
        subspace takes long to find, is sure to take more bits than with `tcq`.
        """
        view, target, expected = self.matrix.view, self.bound * self.sketch.total, self.sketch.extended()
        bits, values = expected.bits(target), view.height * view.width
        if expected.plan(target)[0] * (view.height + view.width) > _IN_MEMORY:
            return math.inf, math.inf
        if view.width > _WIDE and bits > (_DEAREST * max(-0.5 * math.log2(self.bound), 0.0) + _ALLOWANCE) * values:
            return math.inf, math.inf
        least = _LEAST * 2 ** (-self.unevenness / 2) * bits + _FEWEST
        return least, _MOST * bits + overhead(values)


def is_dear(matrix: Matrix, bound: float) -> bool:
    """Whether finding a subspace is likely to take long for what it saves.

    Some rows need more than half as many vectors as they are, or as they are wide.
    """
    return rank_of_rows(matrix, bound) > min(ROWS, matrix.view.width) // 2


def _unevenness(energies: np.ndarray) -> float:
    """Half of log2 of the mean, less the mean of half of log2; nearly zero ones count as 2⁻²⁰."""
    shares = np.maximum(energies / energies.mean(), 2.0**-20)
    return float(-np.log2(shares).mean() / 2)
