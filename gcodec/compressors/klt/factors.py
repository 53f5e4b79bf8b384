"""The two factors of `klt`: their shapes, how their levels are coded, and their product.

See spec/compressors/07-klt.md.
"""

from dataclasses import dataclass

import numpy as np

from ...coding.bitstring import BitReader
from ...coding.rans import decode_classes, encode_classes
from ...kernels.entropy.tokens import MAX_CLASSES
from ...kernels.levels.scales import fill_product
from ...kernels.matrices import orthonormal, products
from ...source import matricise
from ..common.anatomy import Tally, count_levels
from ..common.levels import Coded, Labels, Points, decode_levels
from ..contract import CHUNK

MAX_RANK = 1 << 12
TOP = MAX_CLASSES - 1  # the class of the loudest column, and the number of the loudest row
_THIRD, _SIXTH = (
    0.6299605249474366,
    0.7937005259840998,
)  # 2^(−2/3) and 2^(−1/3): energies a third, a sixth of an octave down


@dataclass(frozen=True)
class View:
    """A tensor as the matrix X, height × width with height ≥ width.

    X is the tensor's matrix or its transpose, and X ≈ C · Vᵀ. A plain tensor, or one with rows too
    long for a chunk, is a matrix of one column.
    """

    rows: int
    columns: int

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> "View":
        rows, columns = matricise(shape)
        if rows == 1 or columns > CHUNK:
            return cls(rows * columns, 1)
        return cls(rows, columns)

    @property
    def transposed(self) -> bool:
        return self.rows < self.columns

    @property
    def together(self) -> bool:
        """Whether every chunk needs all of C: the head then holds C, and chunks are empty."""
        return self.transposed and self.rows * self.columns > CHUNK

    @property
    def height(self) -> int:
        return max(self.rows, self.columns)

    @property
    def width(self) -> int:
        return min(self.rows, self.columns)

    @property
    def most(self) -> int:
        """The largest rank."""
        return min(self.width, MAX_RANK)

    @property
    def chunk(self) -> int:
        """Values a chunk: whole rows of the tensor."""
        return CHUNK // self.columns * self.columns

    def chunks(self) -> list[tuple[int, int]]:
        """The first and the last row, exclusive, of the tensor's matrix in each chunk."""
        step = self.chunk // self.columns
        return [(first, min(first + step, self.rows)) for first in range(0, self.rows, step)]

    def cuts(self) -> list[int]:
        """The rows that the parts of C begin with, each coded by itself, and the height."""
        firsts = [0] if self.transposed else [first for first, _ in self.chunks()]
        return [*firsts, self.height]


def product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """left · right as flat values in C order, in the dtype of both, within its finite numbers.

    left: rows × rank, right: rank × columns, both in C order.
    """
    out = np.empty((left.shape[0], right.shape[1]), left.dtype)
    products.multiply(left, False, right, out)
    largest = np.finfo(out.dtype).max
    return np.clip(out, -largest, largest, out=out).reshape(-1)


@dataclass(frozen=True)
class Columns:
    """How a factor's levels are classed.

    classes: the scale classes of its columns, int16. has_rows: whether its rows have numbers, too,
    which then belong to the code.
    """

    classes: np.ndarray
    has_rows: bool

    def fill(self, height: int, rows: np.ndarray | None) -> np.ndarray:
        """uint8 classes of all levels, row by row: max(column + row − 31, 0), or the column's."""
        out = np.empty(height * self.classes.size, np.uint8)
        rows = np.full(height, TOP, np.int16) if rows is None else rows
        fill_product(0, self.classes.size, rows, self.classes, TOP, out)
        return out

    def encode(self, coded: Coded, rows: np.ndarray | None, labels: Labels, lanes: int) -> bytes:
        """The bytes of levels. rows: int16 numbers of the rows, None if they have none."""
        classes = self.fill(coded.codes.size // self.classes.size, rows)
        return (b"" if rows is None else encode_classes(rows)) + coded.encode(classes, labels, lanes)

    def decode(self, reader: BitReader, height: int, points: Points, work: np.dtype) -> np.ndarray:
        """Work values, height × columns, of levels coded by `encode`.

        They must end the reader's data. Raises Corrupt.
        """
        rows = decode_classes(reader, height) if self.has_rows else None
        return decode_levels(reader, self.fill(height, rows), points, work).reshape(height, -1)

    def count(self, tally: Tally, reader: BitReader, height: int, labels: Labels, of: str) -> None:
        """Add the sections of such data to the tally. of: what their names begin with."""
        with tally.part(f"{of}classes", reader):
            rows = decode_classes(reader, height) if self.has_rows else None
        count_levels(tally, reader, self.fill(height, rows), labels, of)


def classes_of(energies: np.ndarray) -> np.ndarray:
    """int16 classes of columns with these energies (float64).

    The loudest has 31, and the others have one less for each third of an octave below it.
    """
    largest = max(float(energies.max()), np.finfo(np.float64).tiny)
    classes = np.full(energies.size, TOP, np.int16)
    threshold = _SIXTH
    for _ in range(TOP):
        classes -= energies < largest * threshold
        threshold *= _THIRD
    return classes


@dataclass(frozen=True)
class Basis:
    """A decoded first factor.

    vectors: float64 width × rank, orthonormal. classes: those of the second factor's columns.
    """

    vectors: np.ndarray
    classes: np.ndarray

    @classmethod
    def of(cls, factor: np.ndarray) -> "Basis":
        """From the factor in steps, float64 width × rank, which is used up."""
        classes = classes_of(orthonormal.squares(factor))
        return cls(orthonormal.orthonormalise(factor), classes)
