"""How encoders choose scale classes: energies of rows, columns and blocks, and estimates of what each mode would cost.

A class is the logarithm of a root mean square, a third of an octave each.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ... import dtypes
from ...coding.rans import sequence_bits
from ...kernels.entropy.tokens import MAX_CLASSES
from ...kernels.levels import scales as kernels
from ...kernels.levels.scales import BLOCK, GRADES
from ...source import Source
from .scale_classes import BLOCKS, PRODUCT, WIDEST, Grid, ScaleClasses

_EXTREME = 100  # decimal exponents beyond which squares could leave the range of float64
_PER_OCTAVE = 3
_LOWEST = -5 * _PER_OCTAVE  # scales below 2⁻⁵ steps are one class
_NOTHING = -10_000  # the logarithm of zero
_COARSE = (2, 3, 5)  # thirds of an octave, of coarser classes
_SHORT = 64  # rows up to which coarser classes may be worth it where others are not
_TABLE_BITS, _ENTRY_BITS = 12, 3.5  # what tables cost about, for estimates


@dataclass(frozen=True)
class Energies:
    """Sums of squares: by row and by column (of a matrix with several rows), by block, and of all values."""

    rows: np.ndarray
    columns: np.ndarray
    blocks: np.ndarray
    total: float


@dataclass(frozen=True)
class Sample:
    """Values that stand for a tensor, and the spans in which they lie.

    part, whole: the tensor has whole / part times as many bits and as large an error.
    """

    spans: Sequence[tuple[int, int]]
    values: np.ndarray
    part: int
    whole: int


def scan(source: Source, grid: Grid, unit: float) -> Energies:
    """Energies of source·unit."""
    rows = np.zeros(-(-grid.size // grid.width))
    columns = np.zeros(grid.width if rows.size > 1 else 0)
    blocks = np.zeros(grid.blocks(grid.size - 1, grid.size, BLOCK).stop)
    for start, stop in grid.spans():
        values = read(source, start, stop, unit)
        of_blocks = blocks[grid.blocks(start, stop, BLOCK)]
        kernels.add_energies(values, start, grid.width, rows[grid.rows(start, stop)], columns, of_blocks)
    return Energies(rows, columns, blocks, math.fsum(blocks))


def read(source: Source, start: int, stop: int, unit: float) -> np.ndarray:
    """Work values times a power of two."""
    values = dtypes.widen(source.read(start, stop))
    return values if unit == 1.0 else values * unit


def exponent_of(source: Source) -> int:
    """Of the power of two that a float64 tensor with extreme values is divided by; else 0."""
    if source.dtype != np.float64:
        return 0
    grid = Grid.of(source.shape, source.size)
    largest = max(float(np.abs(source.read(*span)).max()) for span in grid.spans())
    if abs(math.log10(largest)) < _EXTREME:
        return 0
    return min(max(math.frexp(largest)[1], -1000), 1000)


def candidates(energies: Energies, grid: Grid, step: float) -> Iterator[ScaleClasses]:
    """Classes of every mode that makes sense for this tensor, for a quantiser with about this step."""
    yield ScaleClasses(grid)
    mean = energies.total / grid.size
    height = energies.rows.size
    for size in (4 * BLOCK, BLOCK) if grid.size > 4 * BLOCK else ():
        if not (height > 1 and grid.width == size):
            yield _of_blocks(energies, grid, step, size)
    if height == 1 or grid.width > WIDEST:
        return
    rows = _logarithms(energies.rows / grid.width, step * step)
    columns = _logarithms(energies.columns / height, mean)
    alone = _window(_logarithms(energies.columns / height, step * step))
    yield ScaleClasses(grid, PRODUCT, rows=_window(rows), columns=np.zeros(grid.width, np.int16))
    yield ScaleClasses(grid, PRODUCT, rows=np.zeros(height, np.int16), columns=alone)
    top = int(rows.max() + columns.max())
    range_ = min(max(top - _LOWEST, 0), MAX_CLASSES - 1)
    rows = np.maximum(rows - rows.max() + range_, 0).astype(np.int16)
    columns = np.maximum(columns - columns.max() + range_, 0).astype(np.int16)
    yield ScaleClasses(grid, PRODUCT, rows=rows, columns=columns, offset=range_)
    if grid.width <= _SHORT:
        yield ScaleClasses(grid, PRODUCT, rows=_rounded(rows, _COARSE[-1]), columns=columns, offset=range_)


def neighbours(classes: ScaleClasses, energies: Energies, step: float) -> Iterator[ScaleClasses]:
    """The same mode with coarser classes of rows or blocks, which take fewer bits themselves, and with other blocks."""
    sizes = [classes]
    if classes.mode == BLOCKS:
        sizes = [_of_blocks(energies, classes.grid, step, size) for size in (classes.block, 2 * classes.block)]
        yield sizes[1]
    for coarse in _COARSE:
        for same in sizes:
            if same.rows is not None and same.rows.any():
                yield replace(same, rows=_rounded(same.rows, coarse))
            if same.blocks is not None:
                yield replace(same, blocks=_rounded(same.blocks, coarse))


def _rounded(numbers: np.ndarray, coarse: int) -> np.ndarray:
    """Numbers rounded to every so manyth below the highest."""
    top = numbers.max()
    return np.maximum(top - (top - numbers + coarse // 2) // coarse * coarse, 0)


def _of_blocks(energies: Energies, grid: Grid, step: float, size: int) -> ScaleClasses:
    """Classes of blocks. They are computed chunk by chunk, as there are many in a large tensor."""
    parts = []
    for start, stop in grid.spans():
        found = energies.blocks[grid.blocks(start, stop, BLOCK)]
        starts = np.arange(0, found.size, size // BLOCK)
        counts = np.diff(starts, append=found.size) * BLOCK  # the last block of a chunk may be shorter
        means = np.add.reduceat(found, starts) / counts
        parts.append(_logarithms(means, step * step).astype(np.int16))
    return ScaleClasses(grid, BLOCKS, blocks=_window(np.concatenate(parts)), block=size)


def _logarithms(energies: np.ndarray, unit: float) -> np.ndarray:
    """Root mean squares in classes above √unit."""
    with np.errstate(divide="ignore"):
        return np.maximum(np.rint(_PER_OCTAVE / 2 * np.log2(energies / unit)), _NOTHING).astype(np.int64)


def _window(logarithms: np.ndarray) -> np.ndarray:
    """The highest class that occurs, and as many below it as there are, down to the lowest scale of interest."""
    lowest = max(int(logarithms.max()) - MAX_CLASSES + 1, _LOWEST)
    return np.clip(logarithms - lowest, 0, MAX_CLASSES - 1).astype(np.int16)


def choose_classes(energies: Energies, grid: Grid, step: float, sample: Sample, levels: np.ndarray) -> ScaleClasses:
    """The classes with which a quantiser of about this step needs the fewest bits; levels: of the sample."""

    def bits(classes: ScaleClasses) -> float:
        return estimate_bits(classes, sample, levels)

    best = min(candidates(energies, grid, step), key=bits)
    return min([best, *neighbours(best, energies, step)], key=bits)


def estimate_bits(classes: ScaleClasses, sample: Sample, levels: np.ndarray) -> float:
    """About how many bits more or less the tensor needs with these classes; levels: of the sample."""
    grades = np.zeros((MAX_CLASSES, GRADES), np.int64)
    kernels.grade_levels(levels, classes.fill_all(sample.spans), grades)
    sizes = grades.sum(1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = np.nansum(grades * np.log2(sizes / grades))
    entries = np.count_nonzero(grades, axis=1)
    tables = np.sum(_TABLE_BITS + _ENTRY_BITS * np.minimum(entries, 16), where=entries > 1)
    parts = math.ceil(classes.grid.size / classes.grid.chunk)
    own = classes.rows if classes.rows is not None else classes.blocks
    side = sum(sequence_bits(numbers) for numbers in (own, classes.columns) if numbers is not None)
    return bits * sample.whole / sample.part + tables * parts + side
