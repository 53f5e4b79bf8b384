"""What a bound did to a tensor: measured chunk by chunk beside the certificate, and warned of.

chunk x, x̂ ── measure ──► Part ─┐
chunk x, x̂ ── measure ──► Part ─┴── combine ──► Found ──► Ruin
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .. import dtypes, ieee
from ..compressors.contract import Guarantee, TensorSpec
from ..container.effects import Effects, percent
from ..kernels import norms as kernels
from ..request.sentinels import Repeated
from ..source import matricise

_FEW = 64  # values other than 0; of fewer nothing is said
# The share of the values that a bound may cost: 0.97 at alpha 0.1, and less where alpha is smaller,
# 0.85 at 0.01 and 0.75 at 1e-3. What is ordinary costs less: 33 gradients, updates and weights from
# real models lose at most 0.84, 0.58 and 0.54. The updates and first moments of a table
# whose rows are seldom met lose 0.95, 0.79 and 0.67, and training goes on as from exact ones.
_MOST, _AT, _POWER = 0.97, 0.1, 1 / 18
_OF_ONE_SIGN = 0.25  # the share that may be lost where all values have one sign, whatever the bound
_TIMES = 5.0  # and at most so many times √α; of sizes of Gaussian values 1.4·√α are lost
# Heads and experts work side by side, so each of them counts, whatever its norm.
_LEAST, _SIDE = 256, 8  # values of a head, and of its last axis
_ACROSS = 256  # the most heads along the last axis but one; more are places of a sequence
_ERASED = 0.9  # the relative error of a head, or row, of which nothing is left
_BY_ROWS = 0.8  # among the lost values, the least share in such rows from which rows are what was lost
_FINE = 0.02  # a bound of at most that should erase none, but those of a dying layer
_MANY, _MOST_HEADS = 1 / 16, 1 / 2  # shares of erased heads that are too large, up to _FINE and above


@dataclass(frozen=True)
class Rows:
    """Rows of equal length, of which a chunk has some, the first and the last perhaps in part.

    begins: whether the chunk begins with a new row. edges: Σ(x̂ − x)² and Σx² over what the chunk
    has of its first row, and of its last row, if these are two. inner: what `_tally` says of the
    rows between them.
    """

    begins: bool
    edges: np.ndarray
    inner: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray, start: int, columns: int) -> tuple["Rows", np.ndarray]:
        """(the rows of so many columns, the sums Σ(x̂ − x)², Σx² and Σx̂² over all of them)."""
        found, sums = _sums(x, y, start, columns)
        return cls(start % columns == 0, found[[0, -1]] if len(found) > 1 else found, _tally(found[1:-1])), sums

    @staticmethod
    def joined(parts: Sequence["Rows"]) -> np.ndarray:
        """The tally of all rows; a row may go through several chunks."""
        rows: list[np.ndarray] = []
        for part in parts:
            if part.begins or not rows:
                rows.append(part.edges[0])
            else:
                rows[-1] = rows[-1] + part.edges[0]
            rows += list(part.edges[1:])
        tallies = np.array([_tally(np.array(rows).reshape(-1, 2)), *(part.inner for part in parts)])
        return np.array([tallies[:, 0].max(), *tallies[:, 1:].sum(0)])


def _sums(x: np.ndarray, y: np.ndarray, start: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """(Σ(x̂ − x)² and Σx² over what each row has here, the sums over all of them, and Σx̂²)."""
    at = start % columns
    found = np.empty(((at + x.size - 1) // columns + 1, 2))
    return found, kernels.sum_rows(x, y, columns, at, found)


def _tally(rows: np.ndarray) -> np.ndarray:
    """(the largest Σ(x̂ − x)²/Σx² of a row, how many rows are erased, how many are not zero).

    A row of zeros has no ratio; its values are counted as filled.
    """
    ratios = np.divide(rows[:, 0], rows[:, 1], out=np.zeros(len(rows)), where=rows[:, 1] > 0)
    return np.array([ratios.max(initial=0.0), (ratios >= _ERASED).sum(), (rows[:, 1] > 0).sum()])


@dataclass(frozen=True)
class Heads:
    """Where a tensor may have heads or experts: the slices of all its axes but the last two.

    inner, width: how many values lie in these two, and in the last one. across: how many heads
    there may be along the last axis but one instead; 0 for none. axes: that of the heads, if it is
    a single one, and the last one but one.
    """

    inner: int
    width: int
    across: int
    axes: tuple[int | None, int]

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> "Heads | None":
        """None for a vector, a matrix, and the kernel of a convolution."""
        long = [axis for axis, length in enumerate(shape) if length > 1]
        lengths = [shape[axis] for axis in long]
        if len(long) < 3 or lengths[-1] < _SIDE or lengths[-1] * lengths[-2] < _LEAST:
            return None
        across = lengths[-2] if lengths[-2] <= _ACROSS else 0
        return cls(lengths[-1] * lengths[-2], lengths[-1], across, (long[0] if len(long) == 3 else None, long[-2]))

    def sums_across(self, x: np.ndarray, y: np.ndarray, start: int) -> np.ndarray:
        """Σ(x̂ − x)² and Σx² of each head along the last axis but one, over a chunk."""
        found = _sums(x, y, start, self.width)[0]
        places = (start // self.width + np.arange(len(found))) % self.across
        return np.stack([np.bincount(places, column, self.across) for column in found.T], axis=1)


@dataclass(frozen=True)
class Part:
    """The measurements of one chunk.

    counts: those of `kernels.add_counts`, and the number of values. sums: Σ(x̂ − x)², Σx² and Σx̂².
    rows: those of the tensor as a matrix. heads: see `Heads`; across: the first two sums of each of
    those along the last axis but one.
    """

    counts: np.ndarray
    sums: np.ndarray
    rows: Rows
    heads: Rows | None = None
    across: np.ndarray | None = None

    def apart(self) -> "Part":
        """The part where the chunk before was not measured: its rows begin with it."""
        heads = None if self.heads is None else replace(self.heads, begins=True)
        return replace(self, rows=replace(self.rows, begins=True), heads=heads)


@ieee.arithmetic()
def measure(values: np.ndarray, decoded: np.ndarray, spec: TensorSpec, start: int, scale: float) -> Part:
    """Measure the chunk that starts at a flat index. scale: as in `distortion.Scan`."""
    x, y = dtypes.widen(values), dtypes.widen(decoded)
    counts = np.zeros(kernels.COUNTS, np.int64)
    kernels.add_counts(x, y, counts)
    counts = np.append(counts, x.size)
    if scale != 1.0:
        x, y = x.astype(np.float64) / scale, y.astype(np.float64) / scale
    columns, heads = matricise(spec.shape)[1], Heads.of(spec.shape)
    rows, sums = Rows.of(x, y, start, columns)
    if heads is None:
        return Part(counts, sums, rows)
    own = rows if heads.inner == columns else Rows.of(x, y, start, heads.inner)[0]
    return Part(counts, sums, rows, own, heads.sums_across(x, y, start) if heads.across else None)


@dataclass(frozen=True)
class Erased:
    """Heads of which nothing is left.

    count, among: how many, and of how many that are not zero. axis: along which they lie, if it is
    a single one.
    """

    count: int = 0
    among: int = 0
    axis: int | None = None

    @classmethod
    def of(cls, tally: np.ndarray, axis: int | None) -> "Erased":
        return cls(int(tally[1]), int(tally[2]), axis)

    def is_too_much(self, alpha: float) -> bool:
        return self.count > 0 and self.count >= self.among * (_MANY if alpha <= _FINE else _MOST_HEADS)


@dataclass(frozen=True)
class Found:
    """What was measured of a whole tensor.

    effects: to all digits. one_sign: whether no two values have different signs. values: how many
    are not 0. rows, erased: rows, and heads, counted in each way in which there may be some.
    repeated: a value that may stand for what is missing, and is not kept.
    """

    effects: Effects
    one_sign: bool
    values: int
    rows: Erased = Erased()
    erased: tuple[Erased, ...] = ()
    repeated: Repeated | None = None

    def ruins(self, guarantee: Guarantee) -> bool:
        """Whether the bound holds, and yet it cost more of the tensor than it should.

        A method whose errors average out may lose most values of a single tensor.
        """
        if guarantee.kind != "alpha" or self.values < _FEW:
            return False
        return self._loses_values(guarantee.bound) or any(one.is_too_much(guarantee.bound) for one in self.erased)

    def _loses_values(self, alpha: float) -> bool:
        most = _MOST * (alpha / _AT) ** _POWER
        if self.one_sign:
            most = min(_OF_ONE_SIGN, _TIMES * math.sqrt(alpha))
        return bool(self.effects.lost >= most)

    def loss(self, name: str, guarantee: Guarantee) -> str:
        """What was lost, in a sentence without its end; empty if the bound ruins nothing."""
        if not self.ruins(guarantee):
            return ""
        effects, alpha = self.effects, guarantee.bound
        if not self._loses_values(alpha):
            one = next(one for one in self.erased if one.is_too_much(alpha))
            where = "of the last two axes" if one.axis is None else f"along axis {one.axis}"
            return f"nothing is left of {one.count:,} of the {one.among:,} slices of {name} {where}"
        if effects.zeroed >= effects.lost / 2:
            return f"{percent(effects.zeroed)} of the non-zero values of {name} became 0"
        return f"{percent(effects.lost)} of the values of {name} changed by more than half of their size"

    def remedy(self, guarantee: Guarantee) -> str:
        """What keeps it."""
        if self.repeated is not None:
            fills = " ".join(f"--fill {value:g}" for value in self.repeated.values)
            return f"keep what stands for missing values by {fills} (fill= in Python)"
        by_rows = self.rows.count >= _BY_ROWS * self.effects.lost * self.rows.among > 0 and not self.one_sign
        slices = [self.rows] * by_rows + [one for one in self.erased if one.is_too_much(guarantee.bound)]
        axes = [one.axis for one in slices if one.axis is not None]
        if axes:
            return f"bound each slice by --alpha {guarantee.bound:g}@axis{axes[0]} (axis={axes[0]} in Python)"
        return "use --pointwise (pointwise= in Python), or store it exactly"


def combine(parts: Sequence[Part], spec: TensorSpec) -> Found:
    """The effects over all chunks, which are given in order."""
    counts = sum((part.counts for part in parts), np.zeros(kernels.COUNTS + 1, np.int64))
    nonzero, negative, filled, zeroed, flipped, changed, size = map(int, counts)
    error, norm, energy = (math.fsum(sums) for sums in zip(*(part.sums for part in parts), strict=True))
    cosine = (energy + norm - error) / 2 / math.sqrt(energy) / math.sqrt(norm) if energy and norm else 0.0
    axis = next((axis for axis, length in enumerate(spec.shape) if length > 1), None)
    rows = Rows.joined([part.rows for part in parts]) if matricise(spec.shape)[0] > 1 else np.zeros(3)
    effects = Effects(
        zeroed=zeroed / (nonzero or 1),
        filled=filled / (size - nonzero or 1),
        flipped=flipped / (nonzero or 1),
        lost=(changed - filled) / (nonzero or 1),
        row=float(rows[0]),
        cosine=min(max(cosine, -1.0), 1.0),
    )
    one_sign = negative in (0, nonzero)
    return Found(effects, one_sign, nonzero, Erased.of(rows, axis), _erased(parts, Heads.of(spec.shape)))


def _erased(parts: Sequence[Part], heads: Heads | None) -> tuple[Erased, ...]:
    if heads is None:
        return ()
    found = [Erased.of(Rows.joined([part.heads for part in parts if part.heads is not None]), heads.axes[0])]
    across = [part.across for part in parts if part.across is not None]
    return (*found, *([Erased.of(_tally(np.sum(across, axis=0)), heads.axes[1])] if across else []))


def warn_of_losses(name: str, found: Found | None, guarantee: Guarantee) -> None:
    """One warning when the bound holds and says little about most values."""
    if found is None or guarantee.kind != "alpha":
        return
    name, bound = name or "the array", f"alpha {guarantee.bound:g}"
    if loss := found.loss(name, guarantee):
        warnings.warn(f"{loss}, though {bound} holds; {found.remedy(guarantee)}", stacklevel=3)
    elif (repeated := found.repeated) is not None:
        warnings.warn(
            f"{percent(repeated.share)} of the values of {name} are {repeated.values[0]:g}, and these have "
            f"{percent(repeated.energy)} of its squared norm, so {bound} says little about the others; "
            f"{found.remedy(guarantee)}, or use --pointwise",
            stacklevel=3,
        )
