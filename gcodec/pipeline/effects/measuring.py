"""Measure what a bound did to a tensor, chunk by chunk."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ... import dtypes, ieee
from ...compressors.contract import TensorSpec
from ...container.effects import Effects
from ...kernels import norms as kernels
from ...source import matricise
from .found import Erased, Found
from .rows import Heads, Rows, blocks_of_rows, room_for_rows, tally


@dataclass(frozen=True)
class Part:
    """The measurements of one chunk.

    counts: those of `kernels.add_counts`, and the number of values. sums: Σ(x̂ − x)², Σx² and Σx̂².
    rows: those of the tensor as a matrix. heads: see `Heads`; across: the first two sums of each of
    those along the last axis but one. error: ‖x̂ − x‖² as `distortion.squared_error` sums it, where
    it was found on the way.
    """

    counts: np.ndarray
    sums: np.ndarray
    rows: Rows
    error: float | None = None
    heads: Rows | None = None
    across: np.ndarray | None = None

    def apart(self) -> "Part":
        """The part where the chunk before was not measured: its rows begin with it."""
        heads = None if self.heads is None else replace(self.heads, begins=True)
        return replace(self, rows=replace(self.rows, begins=True), heads=heads)


@ieee.arithmetic()
def measure(values: np.ndarray, decoded: np.ndarray, spec: TensorSpec, start: int, scale: float) -> Part:
    """Measure the chunk that starts at a flat index. scale: as in `distortion.Scan`."""
    columns, heads = matricise(spec.shape)[1], Heads.of(spec.shape)
    counts = np.zeros(kernels.COUNTS, np.int64)
    in_strips = not any(size % kernels.STRIP for size in (values.size, start, columns))
    if in_strips and heads is None and scale == 1.0:
        found, pair = room_for_rows(values.size, start, columns), map(dtypes.for_kernels, (values, decoded))
        *sums, error = kernels.compare(*pair, columns, start % columns, found, counts)
        counts = np.append(counts, values.size)
        return Part(counts, np.array(sums), Rows.summed(found, start, columns), error)
    x, y = dtypes.widen(values), dtypes.widen(decoded)
    kernels.add_counts(x, y, counts)
    counts = np.append(counts, x.size)
    if scale != 1.0:
        x, y = x.astype(np.float64) / scale, y.astype(np.float64) / scale
    rows, totals = Rows.of(x, y, start, columns)
    if heads is None:
        return Part(counts, totals, rows)
    own = rows if heads.inner == columns else Rows.of(x, y, start, heads.inner)[0]
    return Part(counts, totals, rows, None, own, heads.sums_across(x, y, start) if heads.across else None)


def combine(parts: Sequence[Part], spec: TensorSpec) -> Found:
    """The effects over all chunks, which are given in order."""
    counts = sum((part.counts for part in parts), np.zeros(kernels.COUNTS + 1, np.int64))
    nonzero, negative, filled, zeroed, flipped, changed, size = map(int, counts)
    error, norm, energy = (math.fsum(sums) for sums in zip(*(part.sums for part in parts), strict=True))
    cosine = (energy + norm - error) / 2 / math.sqrt(energy) / math.sqrt(norm) if energy and norm else 0.0
    axis = next((axis for axis, length in enumerate(spec.shape) if length > 1), None)
    rows, little = Rows.joined([part.rows for part in parts])
    if matricise(spec.shape)[0] == 1:
        rows = np.zeros(3)
    effects = Effects(
        zeroed=zeroed / (nonzero or 1),
        filled=filled / (size - nonzero or 1),
        flipped=flipped / (nonzero or 1),
        lost=(changed - filled) / (nonzero or 1),
        row=float(rows[0]),
        cosine=min(max(cosine, -1.0), 1.0),
    )
    one_sign = negative in (0, nonzero)
    erased = _erased(parts, Heads.of(spec.shape))
    if sum(length > 1 for length in spec.shape) == 2:
        count, among, length = blocks_of_rows(little, matricise(spec.shape)[1])
        erased = (Erased(count, among, axis, length),) if count else ()
    return Found(effects, one_sign, nonzero, Erased.of(rows, axis), erased)


def _erased(parts: Sequence[Part], heads: Heads | None) -> tuple[Erased, ...]:
    if heads is None:
        return ()
    found = [Erased.of(Rows.joined([part.heads for part in parts if part.heads is not None])[0], heads.axes[0])]
    across = [part.across for part in parts if part.across is not None]
    return (*found, *([Erased.of(tally(np.sum(across, axis=0)), heads.axes[1])] if across else []))
