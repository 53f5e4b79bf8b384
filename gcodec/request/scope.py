"""One bound over all floating tensors of a file as one vector, shared out by a common step.

The least bits for a total error are spent when every tensor is quantised with the same step
(reverse water-filling). With step s, an element |x| < s/2 costs x² and any other about s²/12; a
histogram of magnitudes gives that sum for every s. Each tensor then gets its share of the total as
a bound of its own, so the sum always holds.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from .. import ieee
from ..compressors.contract import CHUNK, Guarantee
from ..distortion import scan_source
from ..dtypes import is_float
from ..errors import InvalidInput
from ..source import Source, spans
from .choice import Choice

BINS_PER_OCTAVE = 8
LOOSEST = 1 - 2.0**-20  # the loosest bound of one tensor
LARGEST_NORM2 = 1e300
SLACK = 1e-9  # relative; more than all roundings of what tensors take together


@dataclass(frozen=True)
class Histogram:
    """A tensor's magnitudes in bins of 1/8 octave.

    lowest: the number of the first bin, ⌊8·log2|x|⌋. counts, squares: for each bin, and once more
    at the end, how many magnitudes are in all bins before it, and the sum of their squares.
    """

    lowest: int
    counts: np.ndarray
    squares: np.ndarray

    def error(self, step: float) -> float:
        """About ‖x − s·round(x/s)‖²."""
        edge = math.floor(math.log2(step / 2) * BINS_PER_OCTAVE) - self.lowest
        below = min(max(edge, 0), self.counts.size - 1)
        return float(self.squares[below] + (self.counts[-1] - self.counts[below]) * step * step / 12)


@ieee.arithmetic()
def histogram(source: Source) -> Histogram:
    """One pass over a tensor with finite values, not all zero."""
    counts: dict[int, float] = {}
    squares: dict[int, float] = {}
    for start, stop in spans(source.size, CHUNK):
        values = np.abs(source.read(start, stop).astype(np.float64))
        values = values[values > 0]
        bins = np.floor(np.log2(values) * BINS_PER_OCTAVE).astype(np.int64)
        base = int(bins.min(initial=0))
        number, square = np.bincount(bins - base), np.bincount(bins - base, weights=values * values)
        for i in np.flatnonzero(number):
            counts[base + int(i)] = counts.get(base + int(i), 0) + int(number[i])
            squares[base + int(i)] = squares.get(base + int(i), 0) + float(square[i])
    lowest, highest = min(counts), max(counts)
    bins_there = range(lowest, highest + 1)
    count = np.cumsum([0.0, *(counts.get(i, 0) for i in bins_there)])
    return Histogram(lowest, count, np.cumsum([0.0, *(squares.get(i, 0) for i in bins_there)]))


def norms(tensors: Iterable[tuple[str, Source]]) -> dict[str, float]:
    """‖x‖² of every floating tensor with finite values, not all zero.

    Raises InvalidInput for one beyond 1e±300, whose sums of squares float64 has no room for.
    """
    found = {}
    for name, source in tensors:
        scan = scan_source(name, source, "lossless") if is_float(source.dtype) and source.size else None
        if scan and scan.norm2:
            found[name] = scan.scale * scan.scale * scan.norm2
            if not 1 / LARGEST_NORM2 < found[name] < LARGEST_NORM2:
                raise InvalidInput(
                    f"{name}: a squared norm beyond 1e±300 does not fit the scope file; use the scope tensor"
                )
    return found


def shared_out(
    tensors: Mapping[str, Source],
    choices: Mapping[str, Choice],
    own: Collection[str],
    alpha: float,
    norm2: Mapping[str, float],
    lossless: Choice,
) -> dict[str, Choice]:
    """The choices with shares of alpha in the place of bounds alpha.

    own: the tensors whose bounds stay. norm2: as `norms` gives it. lossless: the choice of tensors
    whose values are bounded one by one, if these bounds would take more than a tenth of alpha.
    Raises InvalidInput where bounds that stay take all of it.
    """
    made = dict(choices)
    bounds = {name: one.guarantee.bound for name, one in made.items() if one.guarantee.kind == "pointwise"}
    spent = taken({name: bound**2 for name, bound in bounds.items()}, norm2)
    if spent > alpha / 10:
        made.update(dict.fromkeys(bounds, lossless))
        spent = 0.0
    bounded = {name: one.guarantee.bound for name, one in made.items() if one.guarantee.kind == "alpha"}
    shared = {name: tensors[name] for name in bounded if name not in own}
    bounded = {name: bound for name, bound in bounded.items() if name not in shared}
    left = alpha - spent - taken(bounded, norm2)
    if left < -SLACK * alpha or (shared and left <= 0):
        raise InvalidInput(
            f'the scope "file": the bounds of their own that some tensors have (such as {min(bounded)!r}) take all of '
            f"alpha {alpha:g}; give these tensors smaller ones"
        )
    for name, share in shares(shared, norm2, left).items():
        made[name] = replace(made[name], guarantee=Guarantee("alpha", share))
    return made


def taken(bounds: Mapping[str, float], norm2: Mapping[str, float]) -> float:
    """What of a bound over all tensors those may take that have bounds of their own."""
    return math.fsum(bound * norm2.get(name, 0.0) for name, bound in bounds.items()) / (
        math.fsum(norm2.values()) or 1.0
    )


def shares(lossy: Mapping[str, Source], norm2: Mapping[str, float], alpha: float) -> dict[str, float]:
    """Bounds of the lossy tensors, so that their squared errors add up to at most alpha·Σ norm2."""
    coded = {name: histogram(source) for name, source in lossy.items() if name in norm2}
    if not coded:
        return {}
    budget = alpha * math.fsum(norm2.values())
    low, high = 1e-150, 1e150
    while high / low > 1 + 1e-9:
        step = math.sqrt(low) * math.sqrt(high)
        total = math.fsum(h.error(step) for h in coded.values())
        low, high = (step, high) if total < budget else (low, step)
    errors = {name: h.error(low) for name, h in coded.items()}
    scale = min(1.0, budget / math.fsum(errors.values()))
    return {name: min(LOOSEST, error * scale / norm2[name]) for name, error in errors.items()}
