"""The matrix that `klt` codes, read block by block, and its products with narrow matrices.

Products use numpy's BLAS: they belong to the encoder, whose choices need not be the same
everywhere. The compressor keeps BLAS on one thread.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from ...dtypes import widen
from ...kernels.levels.scales import BLOCK, add_energies
from ...kernels.norms import sum_squares
from ...parallel import spread
from ...source import Span, spans
from ..common.scaled import Scaled, power_of_two
from .factors import View

Result = TypeVar("Result")
_BLOCK = 1 << 20  # values that are read at a time, in whole rows
_FINE = 1e-5  # bounds below it need float64 where float32 would do
_KEPT = 1 << 23  # values of the largest tensor that is kept as it is multiplied


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

    def blocks(self, work: Callable[[slice, np.ndarray], Result], size: int = _BLOCK) -> Iterator[Result]:
        """What `work` gives for some rows of T at a time: which they are, and their values.

        Blocks are spread over threads; the results are in the order of the rows. size: values of a
        block.
        """
        columns = self.view.columns

        def one(rows: Span) -> Result:
            start, stop = rows
            return work(slice(start, stop), self._read((start * columns, stop * columns)).reshape(-1, columns))

        return spread(one, spans(self.view.rows, max(size // columns, 1)))

    def _read(self, span: Span) -> np.ndarray:
        """Values of the scaled tensor."""
        return self._whole[slice(*span)] if self.scaled.size <= _KEPT else self._scaled(span)

    @cached_property
    def _whole(self) -> np.ndarray:
        return self._scaled((0, self.scaled.size))

    def _scaled(self, span: Span) -> np.ndarray:
        first, second = power_of_two(-self.scaled.exponent).astype(self.dtype)
        values = widen(self.scaled.source.read(*span))
        block: np.ndarray = values.astype(self.dtype, copy=False) * first
        block *= second
        return block

    def energy(self) -> float:
        """‖X‖² in float64."""
        return math.fsum(self.blocks(lambda rows, block: float(sum_squares(block.reshape(-1)))))

    def energies(self) -> tuple[np.ndarray, np.ndarray]:
        """Sums of squares of T's rows and of its columns, in float64."""
        rows, columns = np.zeros(self.view.rows), np.zeros(self.view.columns)

        def squares(where: slice, block: np.ndarray) -> tuple[slice, np.ndarray, np.ndarray]:
            of_rows, of_columns = np.zeros(len(block)), np.zeros(columns.size)
            of_blocks = np.zeros(-(-block.size // BLOCK))
            add_energies(block.reshape(-1), 0, columns.size, of_rows, of_columns, of_blocks)
            return where, of_rows, of_columns

        for where, of_rows, of_columns in self.blocks(squares):
            rows[where] = of_rows
            columns += of_columns
        return rows, columns

    def times(self, right: np.ndarray, stride: int = 1) -> np.ndarray:
        """X · right, height × count; of every row whose number is a multiple of `stride`."""
        return self._columns(right, stride) if self.view.transposed else self._rows(right, stride)

    def squarer(self, count: int, rounds: int) -> Callable[[np.ndarray], np.ndarray]:
        """What gives Xᵀ · X · right for `count` columns, and is called so many times.

        Xᵀ · X is computed once where that takes less time, and is kept for later calls.
        """
        height, width = self.view.height, self.view.width
        dear = height * width + 2 * rounds * width * count >= 4 * rounds * height * count
        return self.square_times if dear and not self.knows_square else lambda right: self._square @ right

    def expect(self, count: int, rounds: int) -> None:
        """Compute Xᵀ · X now if so many products with `count` columns take less time with it."""
        if self.squarer(count, rounds) != self.square_times:
            _ = self._square

    @property
    def knows_square(self) -> bool:
        """Whether Xᵀ · X is there, and products with it take little time."""
        return "_square" in vars(self)

    def forget_square(self) -> None:
        """Free the memory of Xᵀ · X."""
        vars(self).pop("_square", None)

    def rows(self, stride: int) -> np.ndarray:
        """Every row of X whose number is a multiple of `stride`."""
        if self.view.transposed:
            return np.concatenate(list(self.blocks(lambda rows, block: block[:, ::stride].copy()))).T
        return np.concatenate(list(self.blocks(lambda rows, block: block[-rows.start % stride :: stride].copy())))

    def square_times(self, right: np.ndarray, stride: int = 1) -> np.ndarray:
        """Xᵀ · X · right, width × count; T is read once where it is X, twice where it is Xᵀ.

        stride: X has only every row whose number is a multiple of it.
        """
        if self.view.transposed:
            return self._rows(self._columns(right, stride), strided=stride)
        return self._sum(lambda rows, block: _square_times(block[-rows.start % stride :: stride], right))

    def square(self) -> np.ndarray:
        """Xᵀ · X in float64."""
        return self._square.astype(np.float64)

    @cached_property
    def _square(self) -> np.ndarray:
        """Xᵀ · X."""
        if not self.view.transposed:
            return self._sum(lambda rows, block: block.T @ block, 4 * _BLOCK)
        total = np.zeros((self.view.rows, self.view.rows), self.dtype)
        for part in spread(self._of_columns, spans(self.view.columns, max(_BLOCK // self.view.rows, 1))):
            total += part
        return total

    def _of_columns(self, span: Span) -> np.ndarray:
        """T · Tᵀ for some columns of T, of which each row is read by itself."""
        start, stop = span
        if self.scaled.size <= _KEPT:
            block = self._whole.reshape(self.view.rows, -1)[:, start:stop]
        else:
            firsts = range(0, self.view.rows * self.view.columns, self.view.columns)
            block = np.stack([self._read((first + start, first + stop)) for first in firsts])
        square: np.ndarray = block @ block.T
        return square

    def _rows(self, right: np.ndarray, stride: int = 1, strided: int = 1) -> np.ndarray:
        """T · right, of every row whose number is a multiple of `stride`.

        strided: the same of T's columns, which are as many as the rows of `right`.
        """

        def part(rows: slice, block: np.ndarray) -> np.ndarray:
            some = block[-rows.start % stride :: stride]
            found: np.ndarray = (some if strided == 1 else np.ascontiguousarray(some[:, ::strided])) @ right
            return found

        return np.concatenate(list(self.blocks(part)))

    def _columns(self, right: np.ndarray, stride: int = 1) -> np.ndarray:
        """Tᵀ · right, of every column of T whose number is a multiple of `stride`."""
        return self._sum(lambda rows, block: np.ascontiguousarray(block[:, ::stride]).T @ right[rows])

    def _sum(self, product: Callable[[slice, np.ndarray], np.ndarray], size: int = _BLOCK) -> np.ndarray:
        """The sum of a product over all blocks."""
        parts = self.blocks(product, size)
        total = next(parts)
        for part in parts:
            total += part
            del part  # it may be as large as the tensor
        return total


def _square_times(block: np.ndarray, right: np.ndarray) -> np.ndarray:
    """blockᵀ · block · right."""
    product: np.ndarray = block.T @ (block @ right)
    return product
