"""The two factors of `klt`: their shapes, what their coder knows of them, and their product. See spec/compressors/07-klt.md."""

from dataclasses import dataclass

import numpy as np

from ...kernels import klt as kernels
from ...kernels.contexts import EXPECT_MIN
from ..common.matricise import matricise
from ..common.trellis import Contexts, Points, mean_of_code
from ..contract import CHUNK

MAX_RANK = 1 << 12
_CONFIDENCE = 5.0  # of the columns' expected magnitudes
MEAN_PER_DEVIATION = 0.4  # of magnitudes: about √(2/π)/2, that of Gaussian values


@dataclass(frozen=True)
class Frame:
    """A tensor as the matrix X or, if `transposed`, its transpose: height × width ≈ coefficients · vectorsᵀ.

    A plain tensor, or one with rows too long for a chunk, is a matrix of one column.
    """

    rows: int
    columns: int

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> "Frame":
        rows, columns = matricise(shape)
        if rows == 1 or columns > CHUNK:
            return cls(rows * columns, 1)
        return cls(rows, columns)

    @property
    def transposed(self) -> bool:
        """The longer side is the height, as far as it is not cut into chunks."""
        return self.rows < self.columns and self.rows * self.columns <= CHUNK

    @property
    def height(self) -> int:
        return self.columns if self.transposed else self.rows

    @property
    def width(self) -> int:
        return self.rows if self.transposed else self.columns

    @property
    def most(self) -> int:
        """The largest rank."""
        return min(self.width, self.height, MAX_RANK)

    @property
    def chunk(self) -> int:
        """Values a chunk: whole rows of the tensor."""
        return CHUNK // self.columns * self.columns

    def chunks(self) -> list[tuple[int, int]]:
        """(start, stop) of every chunk of the tensor's values."""
        size = self.rows * self.columns
        return [(start, min(start + self.chunk, size)) for start in range(0, size, self.chunk)]

    def of_values(self, values: np.ndarray) -> np.ndarray:
        """Flat values of whole rows as rows of the matrix X or, of a transposed one, of its transpose."""
        matrix = values.reshape(-1, self.columns)
        return matrix.T if self.transposed else matrix

    def span(self, start: int, stop: int) -> tuple[int, int]:
        """The rows of the second factor that the tensor's values start…stop-1, a chunk, need."""
        return (0, self.height) if self.transposed else (start // self.columns, stop // self.columns)

    def product(self, coefficients: np.ndarray, vectors: np.ndarray) -> np.ndarray:
        """coefficients · vectorsᵀ as flat values of the tensor, in the dtype of the coefficients; within its finite numbers."""
        vectors = vectors.astype(coefficients.dtype, copy=False)
        left, right = (vectors, coefficients) if self.transposed else (coefficients, vectors)
        out = np.empty((left.shape[0], right.shape[0]), coefficients.dtype)
        kernels.multiply(left, np.ascontiguousarray(right.T), out)
        largest = np.finfo(out.dtype).max
        return np.clip(out, -largest, largest, out=out).reshape(-1)


def basis_contexts(means: np.ndarray) -> Contexts:
    """For the first factor's levels; means: codes of the columns' expected magnitudes."""
    return Contexts(mean_of_code(means), _CONFIDENCE)


@dataclass(frozen=True)
class Basis:
    """A decoded first factor. vectors: float64 width × rank, orthonormal; contexts: for the second factor's levels."""

    vectors: np.ndarray
    contexts: Contexts

    @classmethod
    def of(cls, levels: np.ndarray, shifts: tuple[int, ...], frame: Frame) -> "Basis":
        """From the levels, width × rank; shifts: those of `Points`."""
        sizes = np.abs(levels)
        offsets = Points.offsets_of(shifts)
        steps = np.where(sizes < offsets.size, sizes + offsets[np.minimum(sizes, offsets.size - 1)], sizes)
        factor = np.where(levels < 0, -steps, steps).reshape(frame.width, -1)
        means = np.sqrt(kernels.squares(factor) / frame.height) * MEAN_PER_DEVIATION
        contexts = Contexts(np.maximum(means, EXPECT_MIN), _CONFIDENCE)
        return cls(kernels.orthonormalise(factor), contexts)
