"""What a bound did to a tensor: measured chunk by chunk beside the certificate, and warned of.

chunk x, x̂ ── measure ──► Part ─┐
chunk x, x̂ ── measure ──► Part ─┴── effects ──► Effects, Ruin
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .. import dtypes, ieee
from ..compressors.contract import Guarantee, TensorSpec
from ..container.effects import Effects, percent
from ..kernels import norms as kernels
from ..source import matricise

_FINE = 0.02  # a bound of at most that should not cost most values of a tensor
_MOST = 0.9  # the share of the values that may be lost to such a bound
_OF_ONE_SIGN = 0.25  # the share that may be lost where all values have one sign, whatever the bound
_TIMES = 5.0  # and at most so many times √α; of sizes of Gaussian values 1.4·√α are lost
_FEW = 64  # values other than 0; of fewer nothing is said


@dataclass(frozen=True)
class Part:
    """The measurements of one chunk.

    counts: those of `kernels.add_counts`, and the number of values.
    sums: Σ(x̂ − x)², Σx² and Σx̂².
    begins: whether the chunk begins with a new row.
    edges: the first two of these sums over what the chunk has of its first row, and of its last
        row, if these are two.
    worst: the largest relative error of the rows between them.
    """

    counts: np.ndarray
    sums: np.ndarray
    begins: bool
    edges: np.ndarray
    worst: float


@ieee.arithmetic()
def measure(values: np.ndarray, decoded: np.ndarray, spec: TensorSpec, start: int, scale: float) -> Part:
    """Measure the chunk that starts at a flat index. scale: as in `distortion.Scan`."""
    x, y = dtypes.widen(values), dtypes.widen(decoded)
    counts = np.zeros(kernels.COUNTS, np.int64)
    kernels.add_counts(x, y, counts)
    if scale != 1.0:
        x, y = x.astype(np.float64) / scale, y.astype(np.float64) / scale
    columns = matricise(spec.shape)[1]
    at = start % columns
    rows = np.empty(((at + x.size - 1) // columns + 1, 2))
    sums = kernels.sum_rows(x, y, columns, at, rows)
    edges = rows[[0, -1]] if len(rows) > 1 else rows
    worst = float(_ratios(rows[1:-1]).max(initial=0.0))
    return Part(np.append(counts, x.size), sums, at == 0, edges, worst)


def _ratios(rows: np.ndarray) -> np.ndarray:
    """Σ(x̂ − x)²/Σx² of rows; 0 of those that are zero, whose values are counted as filled."""
    ratios: np.ndarray = np.divide(rows[:, 0], rows[:, 1], out=np.zeros(len(rows)), where=rows[:, 1] > 0)
    return ratios


@dataclass(frozen=True)
class Found:
    """What was measured of a whole tensor.

    effects: to all digits. one_sign: whether no two values have different signs. values: how many
    are not 0.
    """

    effects: Effects
    one_sign: bool
    values: int

    def ruins(self, guarantee: Guarantee) -> bool:
        """Whether the bound holds and yet most of what the values say is gone.

        A method whose errors average out may lose most values of a single tensor.
        """
        if guarantee.kind != "alpha" or self.values < _FEW:
            return False
        lost, alpha = self.effects.lost, guarantee.bound
        if self.one_sign:
            return lost >= min(_OF_ONE_SIGN, _TIMES * math.sqrt(alpha))
        return lost >= _MOST and alpha <= _FINE


def combine(parts: Sequence[Part], spec: TensorSpec) -> Found:
    """The effects over all chunks, which are given in order."""
    counts = sum((part.counts for part in parts), np.zeros(kernels.COUNTS + 1, np.int64))
    nonzero, negative, filled, zeroed, flipped, changed, size = map(int, counts)
    error, norm, energy = (math.fsum(sums) for sums in zip(*(part.sums for part in parts), strict=True))
    cosine = (energy + norm - error) / 2 / math.sqrt(energy) / math.sqrt(norm) if energy and norm else 0.0
    effects = Effects(
        zeroed=zeroed / (nonzero or 1),
        filled=filled / (size - nonzero or 1),
        flipped=flipped / (nonzero or 1),
        lost=(changed - filled) / (nonzero or 1),
        row=_worst_row(parts) if matricise(spec.shape)[0] > 1 else 0.0,
        cosine=min(max(cosine, -1.0), 1.0),
    )
    return Found(effects, negative in (0, nonzero), nonzero)


def _worst_row(parts: Sequence[Part]) -> float:
    """The largest relative error of a row; a row may go through several chunks."""
    worst = max((part.worst for part in parts), default=0.0)
    rows: list[np.ndarray] = []
    for part in parts:
        if part.begins or not rows:
            rows.append(part.edges[0])
        else:
            rows[-1] = rows[-1] + part.edges[0]
        rows += list(part.edges[1:])
    return max(worst, float(_ratios(np.array(rows)).max(initial=0.0)))


def warn_if_ruined(name: str, found: Found | None, guarantee: Guarantee) -> None:
    """One warning when the bound holds and the tensor is of little use."""
    if found is None or not found.ruins(guarantee):
        return
    effects = found.effects
    most = effects.zeroed >= effects.lost / 2
    what = (
        f"{percent(effects.zeroed)} of the non-zero values of" if most else f"{percent(effects.lost)} of the values of"
    )
    became = "became 0" if most else "changed by more than half of their size"
    warnings.warn(
        f"{what} {name or 'the array'} {became}, though alpha {guarantee.bound:g} holds; use --pointwise "
        "(pointwise= in Python), or store it exactly",
        stacklevel=3,
    )
