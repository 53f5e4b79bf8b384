"""A factor of `klt` on the encoder's side.

It has classes of columns, numbers of rows, and levels, in parts of whole rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...coding.rans import lanes_for, sequence_bits
from ...kernels.levels.level_tables import estimated_bits
from ...parallel import spread
from ..common.elementwise import values_of
from ..common.levels import Points, Step
from ..common.quantiser import Found, Part, Quantiser
from .factors import TOP, Columns

_BITS = 2.0  # a level, about: what lanes are chosen by
_PER_OCTAVE = 3
_COARSE = (0, 1, 2, 3, 5)  # thirds of an octave between numbers of rows
_LOWEST = 5 * _PER_OCTAVE  # scales below 2⁻⁵ of two steps are one class


@dataclass(frozen=True)
class Factor:
    """The levels of a factor, found by a quantiser.

    rows: the numbers of all rows (int16), None where they have none. parts, found: one for each
    part that is coded by itself.
    """

    columns: Columns
    rows: np.ndarray | None
    quantiser: Quantiser
    parts: tuple[Part, ...]
    found: tuple[Found, ...]

    @classmethod
    def of(
        cls,
        values: np.ndarray,
        classes: np.ndarray,
        quantiser: Quantiser,
        coarse: int,
        cuts: Sequence[int],
        rate: float = _BITS,
    ) -> "Factor":
        """The levels of a matrix of values.

        coarse: see `row_numbers`, 0 for no numbers of rows. cuts: the rows that parts begin with,
        and the number of rows. rate: of a level, in bits, by which lanes are chosen.
        """
        columns = Columns(classes, coarse > 0)
        rows = row_numbers(values, quantiser.step, coarse) if coarse else None
        parts = []
        for first, last in zip(cuts, cuts[1:], strict=False):
            inside = None if rows is None else rows[first:last]
            flat = np.ascontiguousarray(values[first:last]).reshape(-1)
            parts.append(Part(flat, columns.fill(last - first, inside), lanes_for(rate * flat.size)))
        quantiser = quantiser if quantiser.has_prices else quantiser.guessed(parts[0])
        found = tuple(spread(quantiser.find, parts))
        return cls(columns, rows, quantiser, tuple(parts), found)

    def with_step(self, step: float) -> "Factor":
        """The levels of another step, with the same classes. The factor must not be settled."""
        quantiser = self.quantiser.with_step(step)
        return replace(self, quantiser=quantiser, found=tuple(spread(quantiser.find, self.parts)))

    @property
    def error(self) -> float:
        return sum(found.error for found in self.found)

    @property
    def size(self) -> int:
        return sum(part.values.size for part in self.parts)

    def settled(self) -> "Factor":
        """The factor to be coded, but not to learn from: without its values and numbers.

        They take most of the memory.
        """
        none = self.parts[0].values.dtype.type(0)
        parts = tuple(replace(part, values=np.broadcast_to(none, part.values.size)) for part in self.parts)
        pairs = zip(self.parts, self.found, strict=True)
        found = tuple(replace(one, coded=one.coded.settled(part.classes)) for part, one in pairs)
        return replace(self, parts=parts, found=found)

    def in_steps(self) -> np.ndarray:
        """The decoded matrix in steps, float64."""
        points = Points(self.quantiser.labels, Step(0, 0), self.quantiser.points.offsets)
        return self.decoded(points, np.dtype(np.float64))

    def decoded(self, points: Points, work: np.dtype) -> np.ndarray:
        """The decoded matrix by these points, in the work dtype."""
        pairs = zip(self.parts, self.found, strict=True)
        whole = [values_of(found.coded, part.classes, points, work) for part, found in pairs]
        return np.concatenate(whole).reshape(-1, self.columns.classes.size)

    def encode(self, part: int) -> bytes:
        """The bytes of a part."""
        before = sum(one.values.size for one in self.parts[:part]) // self.columns.classes.size
        height = self.parts[part].values.size // self.columns.classes.size
        rows = None if self.rows is None else self.rows[before : before + height]
        return self.columns.encode(self.found[part].coded, rows, self.quantiser.labels, self.parts[part].lanes)

    def learned(self) -> Quantiser:
        """The quantiser that suits the first part's levels."""
        return self.quantiser.learned(self.parts[0], self.found[0])

    def bits(self) -> float:
        side = 0 if self.rows is None else sequence_bits(self.rows)
        parts = zip(self.parts, self.found, strict=True)
        return side + sum(self.quantiser.bits(part, found) for part, found in parts)

    def best_rows(self) -> int:
        """How coarse numbers of rows should be for the first part's levels to take the fewest bits.

        0: there should be none.
        """
        part, found = self.parts[0], self.found[0]
        matrix = part.values.reshape(-1, self.columns.classes.size)

        def bits(coarse: int) -> float:
            rows = row_numbers(matrix, self.quantiser.step, coarse) if coarse else None
            classes = self.columns.fill(len(matrix), rows)
            levels = float(estimated_bits(found.coded.histograms(classes), self.quantiser.widths))
            return levels + (0 if rows is None else sequence_bits(rows))

        return min(_COARSE, key=bits)


def column_classes(deviations: np.ndarray, step: float) -> np.ndarray:
    """int16 classes of columns with these root mean squares, which decrease.

    The lowest class is that of a 32nd of two steps.
    """
    thirds = np.rint(_PER_OCTAVE * np.log2(np.maximum(deviations, 1e-300) / (2 * step))).astype(np.int64)
    top = min(int(thirds[0]) + _LOWEST, TOP)
    return np.minimum.accumulate(np.clip(thirds - thirds[0] + max(top, 0), 0, TOP)).astype(np.int16)


def row_numbers(matrix: np.ndarray, step: float, coarse: int) -> np.ndarray:
    """int16 numbers of rows, rounded to every `coarse`th number.

    A row is as loud as its values are beside what their columns let expect. The loudest has 31, and
    the others have one less for each third of an octave below it.
    """
    sizes = np.abs(matrix) / (2 * step)
    expected = sizes.mean(0, dtype=np.float64)
    shares = 1 / (1 + expected)
    due = float(expected @ shares)
    if due == 0:
        return np.full(len(matrix), TOP, np.int16)
    seen = sizes @ shares.astype(sizes.dtype)
    ratios = (seen + 0.5 * due / (1 + due)) / due
    thirds = np.rint(_PER_OCTAVE * np.log2(np.maximum(ratios, 1e-9))).astype(np.int64)
    below = (thirds.max() - thirds + coarse // 2) // coarse * coarse
    classes: np.ndarray = np.maximum(TOP - below, 0).astype(np.int16)
    return classes
