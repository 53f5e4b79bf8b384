"""The leading singular values and right vectors of a matrix, for the encoder of `klt`."""

import math
from dataclasses import dataclass

import numpy as np

from ...errors import InvalidInput
from .factors import MAX_RANK

_SIDE = 512  # up to this length of the shorter side, all singular vectors are computed; above, that takes long and gains nothing
_FIRST, _OVERSAMPLE = 96, 8  # vectors that a random subspace begins with; those of them that are not relied on
_NOISE = 0.265  # squared error of a coded value in step²
_OVERHEAD = 1.28  # bits·2·ln 2 per coded value, beside those that its variance asks for


@dataclass(frozen=True)
class Spectrum:
    """values: the singular values σ, not increasing; vectors: width × count, orthonormal columns; total: ‖X‖²."""

    values: np.ndarray
    vectors: np.ndarray
    total: float
    height: int

    @property
    def width(self) -> int:
        return self.vectors.shape[0]

    def tail(self, rank: int) -> float:
        """The squared error of the best approximation of a rank, as far as the subspace is the best."""
        return max(self.total - float(np.sum(self.values[:rank] ** 2)), 0.0)

    def plan(self, target: float) -> tuple[int, float]:
        """(rank, step) at which the squared error is about the target and each component is worth its bits."""
        low, high = math.sqrt(self.total) * 2.0**-40, math.sqrt(self.total)
        for _ in range(60):
            step = math.sqrt(low * high)
            rank = self._rank(step)
            error = self.tail(rank) + rank * (self.height + self.width) * _NOISE * step * step
            low, high = (step, high) if error < target else (low, step)
        return max(self._rank(low), 1), low

    def _rank(self, step: float) -> int:
        """Components k, from the first on, with σ_k²/θ above what their coding costs; θ = (2·step)²/12."""
        theta = step * step / 3
        squares = np.maximum(self.values**2 / theta, 1e-300)
        cost = np.full(squares.shape, (self.height + self.width) * _OVERHEAD)
        for side in (self.height, self.width):
            cost += side * np.maximum(np.log(squares / side), 0)
        worth = squares > cost
        return int(np.argmin(worth)) if not worth.all() else worth.size


def spectrum_of(matrix: np.ndarray, total: float, target: float) -> Spectrum:
    """All of the spectrum, or as much as the rank that suits the squared error `target` needs and some more.

    Raises InvalidInput for a large matrix that needs more than a third of its rank.
    """
    short = min(matrix.shape)
    count = _FIRST
    while short > _SIDE and 2 * count <= short:
        found = _random_subspace(matrix, total, count)
        if found.tail(count) < target and found.plan(target)[0] * 1.2 + _OVERSAMPLE < count:
            return found
        if 2 * (found.tail(count) - target) > (short / 3 - count) * found.values[-1] ** 2 > 0:
            break  # if the next components have half of this one's energy on average, too many are needed
        count *= 2
    if short > _SIDE:
        raise InvalidInput(
            f"klt: a matrix of {matrix.shape[0]} x {matrix.shape[1]} whose rank is not low; use tcq or auto"
        )
    return _full(matrix, total)


def _full(matrix: np.ndarray, total: float) -> Spectrum:
    height, width = matrix.shape
    if width <= height:
        return _sorted(*np.linalg.eigh((matrix.T @ matrix).astype(np.float64)), total, height)
    squares, left = np.linalg.eigh((matrix @ matrix.T).astype(np.float64))
    scales = np.sqrt(np.maximum(squares, squares[-1] * 2.0**-80))
    return _sorted(squares, (matrix.T @ left.astype(matrix.dtype)) / scales, total, height)


def _random_subspace(matrix: np.ndarray, total: float, count: int) -> Spectrum:
    """Randomised subspace iteration with one power iteration (Halko, Martinsson, Tropp 2011)."""
    start = np.random.default_rng(0).standard_normal((matrix.shape[1], count)).astype(matrix.dtype)
    right, _ = np.linalg.qr(matrix.T @ (matrix @ start))
    image = matrix @ right
    squares, rotation = np.linalg.eigh((image.T @ image).astype(np.float64))
    return _sorted(squares, right.astype(np.float64) @ rotation, total, matrix.shape[0])


def _sorted(squares: np.ndarray, vectors: np.ndarray, total: float, height: int) -> Spectrum:
    """From eigenvalues in increasing order."""
    values = np.sqrt(np.maximum(squares[::-1][:MAX_RANK], 0.0))
    return Spectrum(values, np.ascontiguousarray(vectors[:, ::-1][:, :MAX_RANK], np.float64), total, height)
