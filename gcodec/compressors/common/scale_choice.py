"""How encoders choose scale classes: by estimates of what each mode would cost.

The estimates follow from the energies of rows, columns and blocks. A class is the logarithm of a
root mean square, and two neighbouring classes are a third of an octave apart.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ... import dtypes
from ...coding.rans import sequence_bits
from ...kernels.entropy.tokens import MAX_CLASSES
from ...kernels.levels import scales as kernels
from ...kernels.levels.scales import BLOCK
from ...parallel import spread
from ...source import Source, Span, spans
from .scale_classes import BLOCKS, PRODUCT, WIDEST, ScaleClasses, Tiling

_EXTREME = 100  # decimal exponents beyond which squares could leave the range of float64
_PER_OCTAVE = 3  # classes
_LOWEST = -5 * _PER_OCTAVE  # all scales below 2⁻⁵ steps are one class
_NOTHING = 1e-300  # stands for an energy of 0, which has no logarithm
_COARSE = (2, 3, 5)  # distances of coarser classes, in thirds of an octave
_SHORT = 64  # up to this length of rows, coarser classes may be worth it where others are not
_TOGETHER = 1 << 24  # values whose blocks are looked at together
_TABLE_BITS, _ENTRY_BITS = 12.0, 3.5  # about what a table and each of its entries cost,
_ENTRIES = 16  # and the most entries that are counted


@dataclass(frozen=True)
class Energies:
    """Sums of squares of rows, columns, blocks of 64 values, and of the whole tensor.

    columns: empty if the matrix has only one row.
    """

    rows: np.ndarray
    columns: np.ndarray
    blocks: np.ndarray
    total: float


@dataclass(frozen=True)
class SampledLevels:
    """Levels of the values in some spans, by the grades of their magnitudes.

    top: the highest grade. more: how many times as many bits the tensor has.
    """

    spans: Sequence[Span]
    grades: np.ndarray
    top: int
    more: float

    @classmethod
    def of(cls, spans: Sequence[Span], levels: np.ndarray, more: float) -> "SampledLevels":
        grades = np.empty(levels.size, np.uint16)
        return cls(spans, grades, kernels.fill_grades(levels, grades), more)


def scan(source: Source, tiling: Tiling, scale: float) -> Energies:
    """The energies of the values of a source, multiplied by `scale`."""
    rows = np.zeros(-(-tiling.size // tiling.width))
    columns = np.zeros(tiling.width if rows.size > 1 else 0)
    blocks = np.zeros(tiling.blocks(tiling.size - 1, tiling.size, BLOCK).stop)

    def add(span: Span) -> tuple[slice, np.ndarray, np.ndarray]:
        start, stop = span
        where = tiling.rows(start, stop)
        of_rows, of_columns = np.zeros(where.stop - where.start), np.zeros(columns.size)
        of_blocks = blocks[tiling.blocks(start, stop, BLOCK)]
        values = dtypes.for_kernels(source.read(start, stop)) if scale == 1.0 else read(source, start, stop, scale)
        kernels.add_energies(values, start, tiling.width, of_rows, of_columns, of_blocks)
        return where, of_rows, of_columns

    for where, of_rows, of_columns in spread(add, tiling.spans()):
        rows[where] += of_rows
        columns += of_columns
    return Energies(rows, columns, blocks, float(kernels.total(blocks)))


def read(source: Source, start: int, stop: int, scale: float) -> np.ndarray:
    """The values start…stop-1 in the work dtype, multiplied by `scale`, a power of two."""
    values = dtypes.widen(source.read(start, stop))
    return values if scale == 1.0 else values * scale


def exponent_of(source: Source) -> int:
    """The exponent of the power of two by which extreme float64 values are divided; else 0."""
    if source.dtype != np.float64:
        return 0
    tiling = Tiling.of(source.shape, source.size)
    largest = max(float(np.abs(source.read(*span)).max()) for span in tiling.spans())
    if abs(math.log10(largest)) < _EXTREME:
        return 0
    return min(max(math.frexp(largest)[1], -1000), 1000)


def candidates(energies: Energies, tiling: Tiling, step: float) -> Iterator[ScaleClasses]:
    """The classes of every mode that may suit this tensor, for a quantiser with about this step."""
    yield ScaleClasses(tiling)
    height = energies.rows.size
    for size in (4 * BLOCK, BLOCK) if tiling.size > 4 * BLOCK else ():
        if not (height > 1 and tiling.width == size):
            yield _of_blocks(energies, tiling, step, size)
    if height == 1 or tiling.width > WIDEST:
        return
    yield _of_rows(energies, tiling, step)
    yield _of_columns(energies, tiling, step)
    both = _of_both(energies, tiling, step)
    yield both
    if tiling.width <= _SHORT and both.rows is not None:
        yield replace(both, rows=_rounded(both.rows, _COARSE[-1]))


def neighbours(classes: ScaleClasses, energies: Energies, step: float) -> Iterator[ScaleClasses]:
    """The same mode with coarser classes, which take fewer bits themselves, or larger blocks."""
    sizes = [classes]
    if classes.mode == BLOCKS:
        sizes = [_of_blocks(energies, classes.tiling, step, size) for size in (classes.block, 2 * classes.block)]
        yield sizes[1]
    for coarse in _COARSE:
        for same in sizes:
            if same.rows is not None and same.rows.any():
                yield replace(same, rows=_rounded(same.rows, coarse))
            if same.blocks is not None:
                yield replace(same, blocks=_rounded(same.blocks, coarse))


def renewed(classes: ScaleClasses, energies: Energies, step: float) -> ScaleClasses:
    """Classes of the same kind, and as coarse, for another tensor of the same tiling."""
    tiling = classes.tiling
    if classes.mode == BLOCKS and classes.blocks is not None:
        fresh = _of_blocks(energies, tiling, step, classes.block)
        assert fresh.blocks is not None
        return replace(fresh, blocks=_rounded(fresh.blocks, _coarseness(classes.blocks)))
    if classes.rows is None or classes.columns is None:
        return ScaleClasses(tiling)
    fresh = _of_both(energies, tiling, step)
    if not classes.columns.any():
        fresh = _of_rows(energies, tiling, step)
    elif not classes.rows.any():
        return _of_columns(energies, tiling, step)
    assert fresh.rows is not None
    return replace(fresh, rows=_rounded(fresh.rows, _coarseness(classes.rows)))


def _of_rows(energies: Energies, tiling: Tiling, step: float) -> ScaleClasses:
    rows = _window(_logarithms(energies.rows / tiling.width, step * step))
    return ScaleClasses(tiling, PRODUCT, rows=rows, columns=np.zeros(tiling.width, np.int16))


def _of_columns(energies: Energies, tiling: Tiling, step: float) -> ScaleClasses:
    height = energies.rows.size
    columns = _window(_logarithms(energies.columns / height, step * step))
    return ScaleClasses(tiling, PRODUCT, rows=np.zeros(height, np.int16), columns=columns)


def _of_both(energies: Energies, tiling: Tiling, step: float) -> ScaleClasses:
    rows = _logarithms(energies.rows / tiling.width, step * step)
    columns = _logarithms(energies.columns / energies.rows.size, energies.total / tiling.size)
    range_ = min(max(int(rows.max() + columns.max()) - _LOWEST, 0), MAX_CLASSES - 1)
    rows = np.maximum(rows - rows.max() + range_, 0).astype(np.int16)
    columns = np.maximum(columns - columns.max() + range_, 0).astype(np.int16)
    return ScaleClasses(tiling, PRODUCT, rows=rows, columns=columns, offset=range_)


def _coarseness(numbers: np.ndarray) -> int:
    """The distance of neighbouring classes, in thirds of an octave."""
    return max(int(np.gcd.reduce(numbers.max() - numbers)), 1)


def _rounded(numbers: np.ndarray, coarse: int) -> np.ndarray:
    """Numbers, each rounded to the highest one less a multiple of `coarse`, but not below 0."""
    top = numbers.max()
    rounded: np.ndarray = np.maximum(top - (top - numbers + coarse // 2) // coarse * coarse, 0)
    return rounded


def _of_blocks(energies: Energies, tiling: Tiling, step: float, size: int) -> ScaleClasses:
    """Classes of blocks, of some chunks at a time, as a large tensor has many."""
    together = tiling.chunk * max(_TOGETHER // tiling.chunk, 1) if tiling.chunk % size == 0 else tiling.chunk
    parts = []
    for start, stop in spans(tiling.size, together):
        found = _in_groups(energies.blocks[tiling.blocks(start, stop, BLOCK)], size // BLOCK)
        found /= size
        found[-1] *= size / ((stop - start - 1) % size // BLOCK * BLOCK + BLOCK)  # the last one may be shorter
        parts.append(_logarithms(found, step * step).astype(np.int16))
    return ScaleClasses(tiling, BLOCKS, blocks=_window(np.concatenate(parts)), block=size)


def _in_groups(terms: np.ndarray, size: int) -> np.ndarray:
    """The sums of groups of so many terms; the last group may be shorter."""
    whole = terms.size // size * size
    sums = terms[:whole:size].copy()
    for i in range(1, size):
        sums += terms[i:whole:size]
    return sums if whole == terms.size else np.append(sums, terms[whole:].sum())


def _logarithms(energies: np.ndarray, reference: float) -> np.ndarray:
    """How many classes the root of each mean energy lies above the root of the reference, int64."""
    exact = _PER_OCTAVE / 2 * np.log2(np.maximum(energies / reference, _NOTHING))
    logarithms: np.ndarray = np.rint(exact).astype(np.int64)
    return logarithms


def _window(logarithms: np.ndarray) -> np.ndarray:
    """Class numbers, int16: 0 is the lowest class that matters, or the one 31 below the highest."""
    lowest = max(int(logarithms.max()) - MAX_CLASSES + 1, _LOWEST)
    classes: np.ndarray = np.minimum(np.maximum(logarithms - lowest, 0), MAX_CLASSES - 1).astype(np.int16)
    return classes


def choose_classes(
    energies: Energies, tiling: Tiling, step: float, levels: SampledLevels
) -> tuple[ScaleClasses, float, float]:
    """The classes with which a quantiser of about this step needs the fewest bits.

    The two numbers are these bits, by `estimate_bits`, and those without classes.
    """
    rated = [(estimate_bits(classes, levels), classes) for classes in candidates(energies, tiling, step)]
    best = min(rated, key=_bits_of)
    others = [(estimate_bits(classes, levels), classes) for classes in neighbours(best[1], energies, step)]
    bits, classes = min([best, *others], key=_bits_of)
    return classes, bits, rated[0][0]


def _bits_of(rated: tuple[float, ScaleClasses]) -> float:
    return rated[0]


def estimate_bits(classes: ScaleClasses, sampled: SampledLevels) -> float:
    """What the tensor costs with these classes, in bits that can be compared with other classes."""
    filled = classes.fill_all(sampled.spans)
    bits, tables = kernels.estimate(sampled.grades, sampled.top, filled, _TABLE_BITS, _ENTRY_BITS, _ENTRIES)
    chunks = math.ceil(classes.tiling.size / classes.tiling.chunk)
    own = classes.rows if classes.rows is not None else classes.blocks
    side = sum(sequence_bits(numbers) for numbers in (own, classes.columns) if numbers is not None)
    return bits * sampled.more + tables * chunks + side
