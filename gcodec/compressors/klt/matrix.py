"""The matrix that `klt` codes, read block by block, and its products with narrow matrices.

Products use numpy's BLAS: they belong to the encoder, whose choices need not be the same
everywhere. The compressor keeps BLAS on one thread.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ...dtypes import widen
from ..common.scaled import Scaled, power_of_two
from .factors import View

_BLOCK = 1 << 20  # values that are read at a time, in whole rows
_FINE = 1e-5  # bounds below it need float64 where float32 would do


@dataclass(frozen=True)
class Matrix:
    """X, height × width with height ≥ width.

    It is the tensor's matrix T, or Tᵀ where the view is transposed. Values are multiplied by
    2^−scaled.exponent. dtype: that of all products, float32 or float64.
    """

    scaled: Scaled
    view: View
    dtype: np.dtype

    @classmethod
    def of(cls, scaled: Scaled, view: View, bound: float) -> "Matrix":
        wide = scaled.source.dtype == np.float64 or bound < _FINE
        return cls(scaled, view, np.dtype(np.float64 if wide else np.float32))

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Rows of T, some at a time: which, and their values."""
        columns = self.view.columns
        height = max(_BLOCK // columns, 1)
        first, second = power_of_two(-self.scaled.exponent).astype(self.dtype)
        for start in range(0, self.view.rows, height):
            stop = min(start + height, self.view.rows)
            values = widen(self.scaled.source.read(start * columns, stop * columns))
            block = values.astype(self.dtype, copy=False) * first
            block *= second
            yield slice(start, stop), block.reshape(stop - start, columns)

    def energies(self) -> tuple[np.ndarray, np.ndarray]:
        """Sums of squares of T's rows and of its columns, in float64."""
        rows, columns = np.zeros(self.view.rows), np.zeros(self.view.columns)
        for where, block in self.blocks():
            squares = np.square(block, dtype=np.float64)
            rows[where], columns = squares.sum(1), columns + squares.sum(0)
        return rows, columns

    def times(self, right: np.ndarray) -> np.ndarray:
        """X · right, height × count."""
        return self._columns(right) if self.view.transposed else self._rows(right)

    def square_times(self, right: np.ndarray) -> np.ndarray:
        """Xᵀ · X · right, width × count; T is read once where it is X, twice where it is Xᵀ."""
        if self.view.transposed:
            return self._rows(self._columns(right))
        return self._sum(right.shape[1], lambda rows, block: block.T @ (block @ right))

    def square(self) -> np.ndarray:
        """Xᵀ · X in float64."""
        if not self.view.transposed:
            return self._sum(self.view.width, lambda rows, block: block.T @ block).astype(np.float64)
        whole = np.concatenate([block for _, block in self.blocks()])
        square: np.ndarray = (whole @ whole.T).astype(np.float64)
        return square

    def _rows(self, right: np.ndarray) -> np.ndarray:
        """T · right."""
        return np.concatenate([block @ right for _, block in self.blocks()])

    def _columns(self, right: np.ndarray) -> np.ndarray:
        """Tᵀ · right."""
        return self._sum(right.shape[1], lambda rows, block: block.T @ right[rows])

    def _sum(self, count: int, product: Callable[[slice, np.ndarray], np.ndarray]) -> np.ndarray:
        total = np.zeros((self.view.columns, count), self.dtype)
        for rows, block in self.blocks():
            total += product(rows, block)
        return total
