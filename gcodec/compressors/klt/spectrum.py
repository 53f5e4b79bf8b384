"""The leading singular values and right vectors of a matrix, and the rank that a bound needs."""

import math
from dataclasses import dataclass, replace

import numpy as np

from .factors import MAX_RANK
from .matrix import Matrix

_SMALL = 256  # up to this width, all vectors are computed
_SKETCH = 64  # vectors of the first look
MARGIN, OVERSAMPLE = 1.15, 8  # a subspace is this much wider than the rank that it must give well
_RELIABLE = 0.55  # share of a subspace's values; the later ones are too small
_SHARE, _FULL = 0.45, 2048  # above this share of the width, up to this width, all vectors are computed
_TWICE = 1024  # from this width on, one power iteration more: spectra are flatter there
_NOISE = 0.265  # squared error of a coded value in step²
_OVERHEAD = 1.28  # bits·2·ln 2 per coded value, beside those that its variance asks for
_BITS = 0.075  # per coded value, beside ½·log2(variance/error)


@dataclass(frozen=True)
class Spectrum:
    """The leading part of a singular value decomposition.

    values: σ, not increasing. vectors: width × count, with orthonormal columns. total: ‖X‖².
    height: of X.
    """

    values: np.ndarray
    vectors: np.ndarray
    total: float
    height: int

    @property
    def width(self) -> int:
        return int(self.vectors.shape[0])

    def tail(self, rank: int) -> float:
        """The squared error of the best approximation of a rank, if the subspace is the best."""
        return max(self.total - float(np.sum(self.values[:rank] ** 2)), 0.0)

    def plan(self, target: float) -> tuple[int, float]:
        """(rank, step) at which each component is worth its bits.

        The squared error is then about the target.
        """
        squares = self.values**2
        tails = np.maximum(self.total - np.concatenate([[0.0], np.cumsum(squares)]), 0.0)
        rising, sides = squares[::-1], self.height + self.width
        least = self._least() / 3

        def rank_at(step: float) -> int:
            """The number of components that are worth their bits."""
            return int(squares.size - np.searchsorted(rising, least * step * step, "right"))

        low, high = math.sqrt(self.total) * 2.0**-40, math.sqrt(self.total)
        for _ in range(40):
            step = math.sqrt(low * high)
            rank = rank_at(step)
            error = tails[rank] + rank * sides * _NOISE * step * step
            low, high = (step, high) if error < target else (low, step)
        return max(rank_at(low), 1), low

    def bits(self, target: float) -> float:
        """About the bits of both factors at the planned rank and step."""
        rank, step = self.plan(target)
        squares = self.values[:rank] ** 2
        bits = 0.0
        for side in (self.height, self.width):
            ratios = squares / (side * _NOISE * step * step)
            bits += side * float(np.sum(np.maximum(0.5 * np.log2(np.maximum(ratios, 1.0)), 0.0) + _BITS))
        return bits

    def extended(self) -> "Spectrum":
        """With guesses of all values beyond the first ones, which are reliable.

        The squares go on as a geometric sequence that begins where the reliable ones end and has
        the energy that is left. On gradients this is far closer than a power law.
        """
        most = min(self.width, self.height)
        known = max(int(self.values.size * _RELIABLE), 1)
        left, last = self.tail(known), float(self.values[known - 1]) ** 2
        if self.values.size >= most or left <= 0 or last <= 0:
            return self
        numbers = np.arange(1, most - known + 1)
        slow, fast = 0.0, 64.0
        for _ in range(40):
            decay = (slow + fast) / 2
            slow, fast = (decay, fast) if last * np.exp(-decay * numbers).sum() > left else (slow, decay)
        shape = np.exp(-slow * numbers)
        squares = min(last, left / float(shape.sum())) * shape
        return replace(self, values=np.concatenate([self.values[:known], np.sqrt(squares)]))

    def _least(self) -> float:
        """The σ²/θ, with θ = (2·step)²/12, above which a component is worth what it costs.

        The cost is a multiple of the lengths of both vectors, and for each of them its length times
        ln(σ²/θ/length). It is below σ²/θ from one number on, which is found by iteration.
        """
        sides = self.height + self.width
        least = 2.0 * sides
        for _ in range(60):
            least = sides * _OVERHEAD + sum(side * math.log(least / side) for side in (self.height, self.width))
        return least


def sketch_of(matrix: Matrix, total: float) -> Spectrum:
    """A first look at the spectrum; its values are a little too small."""
    if matrix.view.width <= _SMALL:
        return _full(matrix, total)
    start = np.random.default_rng(0).standard_normal((matrix.view.width, _SKETCH))
    return leading(matrix, total, start, 1)


def spectrum_of(matrix: Matrix, sketch: Spectrum, target: float) -> Spectrum:
    """As much of the spectrum as suits the squared error `target`, and some more.

    sketch: what `sketch_of` gave. Randomised subspace iteration (Halko, Martinsson, Tropp 2011),
    or all vectors where that is cheaper.
    """
    width, found = matrix.view.width, sketch
    most = min(width, MAX_RANK)
    if found.values.size == width:
        return found
    random = np.random.default_rng(1)
    while True:
        rank = found.extended().plan(target)[0]
        count = min(int(rank * MARGIN) + OVERSAMPLE, most)
        if count > _SHARE * width and width <= _FULL:
            return _full(matrix, sketch.total)
        more = max(count - found.values.size, 0)
        start = np.concatenate([found.vectors[:, :count], random.standard_normal((width, more))], axis=1)
        found = leading(matrix, sketch.total, start, 2 if width >= _TWICE else 1)
        if count == most or found.plan(target)[0] + OVERSAMPLE <= count:
            return found


def leading(matrix: Matrix, total: float, start: np.ndarray, rounds: int) -> Spectrum:
    """The singular vectors within the span of (XᵀX)^rounds · start.

    The last product serves twice: it gives the values by Rayleigh and Ritz, and turns the vectors
    once more.
    """
    basis, _ = np.linalg.qr(start.astype(matrix.dtype))
    for _ in range(rounds):
        basis, _ = np.linalg.qr(matrix.square_times(basis))
    image = matrix.square_times(basis)
    squares, rotation = np.linalg.eigh((basis.T @ image).astype(np.float64))
    turned = image.astype(np.float64) @ rotation[:, ::-1]
    vectors, upper = np.linalg.qr(turned)
    vectors *= np.where(np.diag(upper) < 0, -1.0, 1.0)
    return _sorted(squares, vectors[:, ::-1], total, matrix.view.height)


def _full(matrix: Matrix, total: float) -> Spectrum:
    return _sorted(*np.linalg.eigh(matrix.square()), total, matrix.view.height)


def _sorted(squares: np.ndarray, vectors: np.ndarray, total: float, height: int) -> Spectrum:
    """From eigenvalues in increasing order."""
    values = np.sqrt(np.maximum(squares[::-1][:MAX_RANK], 0.0))
    return Spectrum(values, np.ascontiguousarray(vectors[:, ::-1][:, :MAX_RANK], np.float64), total, height)
