"""The leading singular values and right vectors of a matrix, and the rank that a bound needs."""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from .factors import MAX_RANK
from .matrix import Matrix

_SMALL = 128  # up to this width, all vectors are computed,
_NARROW = 256  # and up to this one where the sketch is too small
_SKETCH = 64  # vectors of the first look
MARGIN, OVERSAMPLE = 1.15, 8  # a subspace is this much wider than the rank that it must give well
# How many rows are glanced at first. Where these need more than _LOW vectors, all rows are expected
# to need _MORE times as many.
ROWS, _LOW, _MORE = 128, 32, 3
_RELIABLE = 0.55  # share of a subspace's values; the later ones are too small
_SHARE, _FULL = 0.6, 2048  # above this share of the width, up to this width, all vectors are computed
_ENOUGH = 0.8  # share of a bound that a subspace may leave out where it follows another one
_ROWS = 3  # times as many rows as vectors tell about what these are
_TWICE = 1024  # from this width on, one power iteration more: spectra are flatter there
_DEPENDENT = {"f": 1e-2, "d": 1e-4}  # the sine of an angle between vectors that is small, by their dtype
_NOISE = 0.265  # squared error of a coded value in step²
_OVERHEAD = 1.28  # bits·2·ln 2 per coded value, beside those that its variance asks for
_BITS = 0.075  # per coded value, beside ½·log2(variance/error)


@dataclass(frozen=True)
class Spectrum:
    """The leading part of a singular value decomposition.

    values: σ, not increasing. vectors: width × count, with orthonormal columns, in the matrix's
    dtype. total: ‖X‖². height: of X.
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

    def harm(self, rank: int) -> float:
        """The share of a squared error of the first factor that the product of both has.

        Errors within the subspace do no harm, as the second factor is made for the first one. One
        outside of it, at a vector with the value σ, is worth t²/σ² less, where t² is the mean of
        the squares of the values that are left out: so much of them it brings in.
        """
        outside = self.width - rank
        if outside <= 0:
            return 0.0
        left, squares = self.tail(rank) / outside, self.values[:rank] ** 2
        kept = np.divide(left, squares, out=np.ones_like(squares), where=squares > left)
        return outside / self.width * float(np.mean(1 - kept))

    def plan(self, target: float) -> tuple[int, float]:
        """(rank, step) at which each component is worth its bits.

        The squared error is then about the target.
        """
        squares = self.values**2
        tails = np.maximum(self.total - np.concatenate([[0.0], np.cumsum(squares)]), 0.0)
        least, noise = _least(self.height, self.width) / 3, (self.height + self.width) * _NOISE
        finest = np.append(squares[1:], 0.0) / least  # the squared step from which on each rank from 1 on is enough
        enough = tails[1:] + np.arange(1, squares.size + 1) * noise * finest < target
        if not enough.any():
            return squares.size, math.sqrt(self.total) * 2.0**-40
        rank = int(np.argmax(enough)) + 1
        return rank, math.sqrt(min((target - tails[rank]) / (rank * noise), squares[rank - 1] / least))

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


@lru_cache
def _least(height: int, width: int) -> float:
    """The σ²/θ, with θ = (2·step)²/12, above which a component is worth what it costs.

    The cost is a multiple of the lengths of both vectors, and for each of them its length times
    ln(σ²/θ/length). It is below σ²/θ from one number on, which is found by iteration.
    """
    sides = height + width
    least = 2.0 * sides
    for _ in range(60):
        least = sides * _OVERHEAD + sum(side * math.log(least / side) for side in (height, width))
    return least


def sketch_of(matrix: Matrix, total: float, target: float) -> Spectrum:
    """A first look at the spectrum; its values are a little too small.

    target: the squared error that is allowed. All vectors of a narrow matrix are computed where
    that error asks for many.
    """
    width = matrix.view.width
    if width <= _SMALL:
        return _full(matrix, total)
    rank = rank_of_rows(matrix, target / total)
    if rank > _LOW:
        matrix.expect(_MORE * rank, 3)
    found = leading(matrix, total, random(0, width, _SKETCH), 1)
    return _full(matrix, total) if width <= _NARROW and _wanted(found, target) > _SKETCH else found


def rank_of_rows(matrix: Matrix, bound: float) -> int:
    """The rank that some rows, up to ROWS, need by themselves for a bound. All rows need more.

    It tells low ranks from others in a hundredth of the time that a subspace takes.
    """
    rows = matrix.rows(max(matrix.view.height // ROWS, 1))[:ROWS].astype(np.float64)
    squares = np.linalg.eigvalsh(rows @ rows.T)[::-1]
    return int(np.count_nonzero(np.cumsum(squares) < (1 - bound) * squares.sum()))


def _wanted(spectrum: Spectrum, target: float) -> int:
    """How many vectors a subspace should have."""
    return int(spectrum.extended().plan(target)[0] * MARGIN) + OVERSAMPLE


def spectrum_of(matrix: Matrix, sketch: Spectrum, target: float) -> Spectrum:
    """As much of the spectrum as suits the squared error `target`, and some more.

    sketch: what `sketch_of` gave. Randomised subspace iteration (Halko, Martinsson, Tropp 2011),
    or all vectors where that is cheaper.
    """
    width, found = matrix.view.width, sketch
    most = min(width, MAX_RANK)
    if found.values.size == width:
        return found
    while True:
        count = min(_wanted(found, target), most)
        if count > _SHARE * width and width <= _FULL:
            return _full(matrix, sketch.total)
        if count <= _RELIABLE * found.values.size:
            return found
        more = max(count - found.values.size, 0)
        fresh = _beside(found.vectors, random(1, width, more).astype(matrix.dtype))
        start = np.concatenate([found.vectors[:, :count], fresh], axis=1)
        found = leading(matrix, sketch.total, start, 2 if more and width >= _TWICE else 1)
        if count == most or found.plan(target)[0] + OVERSAMPLE <= count:
            return found


def random(seed: int, width: int, count: int) -> np.ndarray:
    """So many random vectors of about the length 1."""
    return np.random.default_rng(seed).standard_normal((width, count)) / math.sqrt(width)


def leading(matrix: Matrix, total: float, start: np.ndarray, rounds: int) -> Spectrum:
    """The singular vectors within the span of (XᵀX)^rounds · start.

    start: vectors of about the length 1, which are far from dependent. rounds: at least 1.

    The last product serves twice: it gives the values by Rayleigh and Ritz, and turns the vectors
    once more.
    """
    square_times = matrix.squarer(start.shape[1], rounds + 1)
    basis = start.astype(matrix.dtype)
    for _ in range(rounds):
        basis = _orthonormal(square_times(basis))
    image = square_times(basis)
    squares, rotation = np.linalg.eigh((basis.T @ image).astype(np.float64))
    turned = (image @ rotation[:, ::-1].astype(matrix.dtype)).astype(np.float64)
    del basis, image
    return _sorted(squares, _orthonormal(turned)[:, ::-1].astype(matrix.dtype), total, matrix.view.height)


def followed(matrix: Matrix, total: float, start: np.ndarray, target: float) -> Spectrum:
    """About the singular vectors, from those of a matrix much like it.

    A power iteration on some rows, which tell nearly as much of the right vectors as all, is
    followed by one on all rows. There are as many vectors as `start` has, and more where they leave
    out more than most of the squared error `target`. start: about orthonormal vectors. The vectors
    that it gives are of the length 1, and only about orthogonal, in the matrix's dtype.
    """
    count, most = start.shape[1], matrix.view.most
    stride = max(matrix.view.height // max(_ROWS * count, matrix.view.width), 1)
    square_times = matrix.squarer(count, 1)
    basis = _orthonormal(matrix.square_times(start.astype(matrix.dtype), stride))
    image = square_times(basis)
    while total - float(np.vdot(basis, image)) > _ENOUGH * target and basis.shape[1] < most:
        more = random(1, matrix.view.width, min(basis.shape[1] // 3 + OVERSAMPLE, most - basis.shape[1]))
        more = matrix.square_times(_beside(basis, more.astype(matrix.dtype)), stride)
        more = _orthonormal(_beside(basis, _of_length_1(_beside(basis, more))))
        basis, image = np.hstack([basis, more]), np.hstack([image, square_times(more)])
    squares, rotation = np.linalg.eigh((basis.T @ image).astype(np.float64))
    turned = _of_length_1(image @ rotation[:, ::-1].astype(matrix.dtype))
    return Spectrum(np.sqrt(np.maximum(squares[::-1], 0.0)), turned, total, matrix.view.height)


def _beside(basis: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """The parts of vectors that are orthogonal to a basis."""
    return np.asarray(vectors - basis @ (basis.T @ vectors))


def _orthonormal(columns: np.ndarray) -> np.ndarray:
    """Orthonormal columns, the first few of which span what the first few of these do.

    These may be overwritten. By the Cholesky factor of their products, or slowly where they are
    nearly dependent.
    """
    columns = _of_length_1(columns)
    try:
        factor = np.linalg.cholesky((columns.T @ columns).astype(np.float64))
    except np.linalg.LinAlgError:
        factor = np.zeros((1, 1))
    if factor.diagonal().min() > _DEPENDENT[columns.dtype.char]:
        return np.asarray(columns @ _inverse(factor).T.astype(columns.dtype))
    if columns.dtype == np.float32:
        return _orthonormal(columns.astype(np.float64)).astype(np.float32)
    basis, upper = np.linalg.qr(columns)
    return np.asarray(basis * np.where(upper.diagonal() < 0, -1.0, 1.0))


def _inverse(lower: np.ndarray) -> np.ndarray:
    """The inverse of a lower triangular matrix."""
    half = len(lower) // 2
    if half < _SMALL // 2:
        return np.asarray(np.linalg.inv(lower))
    first, last = _inverse(lower[:half, :half]), _inverse(lower[half:, half:])
    whole = np.zeros_like(lower)
    whole[:half, :half], whole[half:, half:] = first, last
    whole[half:, :half] = -last @ (lower[half:, :half] @ first)
    return whole


def _of_length_1(columns: np.ndarray) -> np.ndarray:
    """The columns, overwritten by columns of the length 1."""
    lengths = np.sqrt(np.einsum("ij,ij->j", columns, columns))
    columns /= np.maximum(lengths, np.finfo(columns.dtype).tiny)
    return columns


def _full(matrix: Matrix, total: float) -> Spectrum:
    squares, vectors = np.linalg.eigh(matrix.square())
    return _sorted(squares, vectors.astype(matrix.dtype), total, matrix.view.height)


def _sorted(squares: np.ndarray, vectors: np.ndarray, total: float, height: int) -> Spectrum:
    """From eigenvalues in increasing order."""
    values = np.sqrt(np.maximum(squares[::-1][:MAX_RANK], 0.0))
    return Spectrum(values, np.ascontiguousarray(vectors[:, ::-1][:, :MAX_RANK]), total, height)
