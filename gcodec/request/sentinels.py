"""Sentinels: values that stand for what is missing, and repeat, far from all others.

A sentinel such as -9999 or 1e20 has most of a tensor's norm, so a bound on the norm would let all
other values vanish. Those that are far from the others are kept without being asked for. So are
those of a usual size at an end of the range, such as -9999 among heights or 0 among degrees Kelvin,
behind a gap. What is nearer to them, or was not met in a sample, is named in a warning.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .. import dtypes
from ..kernels import norms
from ..source import Source, spans
from . import looks

_PIECES, _PIECE = 64, 256  # pieces of a tensor that are looked at first, and values of each
_RARE = 8  # values of the largest magnitudes in the pieces, which may all be sentinels
_REPEATS = 4  # how often a sentinel is met, at least; other values as large are met once or twice
_APART, _NEAR = 2.0, 1.25  # how many times every other magnitude it is; from the latter it is doubtful
_OFTEN = 16  # how often an end of the range is met in the pieces that is a sentinel behind a gap
_GAP, _TAIL = 0.25, 0.1  # how wide that gap is beside the range of the others without their tails
_MOST = 8  # sentinels of a tensor
_KINDS = 64  # different other values, so that one that repeats is something else
_ENERGY = 0.5  # the share of the norm² of a value from which a bound says little about the others
_CHUNK = 1 << 20
_QUICK = 1 << 12  # so few values that sorting them all takes less than the looks at them


@dataclass(frozen=True)
class Repeated:
    """values: those that repeat and are larger than all others, the largest first. share, energy:
    the shares of the tensor's values and of its norm² that the first of them has.
    """

    values: tuple[float, ...]
    share: float
    energy: float


def sentinels(source: Source) -> tuple[float, ...]:
    """The sentinels: those that are large beside the others first, by their size."""
    values = _sample(source)
    if source.size <= _QUICK and _all_differ(values):
        return ()
    large = _larger(source, values)
    return large + _behind_gaps(source, values[~np.isin(values, large)], large)


def _all_differ(values: np.ndarray) -> bool:
    """Whether no value repeats."""
    ascending = np.sort(values)
    return not (ascending[1:] == ascending[:-1]).any()


def _larger(source: Source, values: np.ndarray) -> tuple[float, ...]:
    """The sentinels that are at least twice as large as all others. values: a sample.

    The whole tensor is looked at only where the sample has values that are far from the others, or
    where the largest magnitude of all repeats and is far from those of the sample.
    """
    sizes = np.abs(values)
    largest = float(sizes.max(initial=0.0))
    if (sizes == largest).all():
        return ()
    near = sizes[sizes > largest / _APART]
    apart = near.size < sizes.size and np.unique(near).size <= _RARE
    if not apart and not _repeats_from(source, _APART * largest):
        return ()
    found: list[_Extreme] = []
    extreme = _Extreme.of(source)
    while extreme.count >= _REPEATS and len(found) < _MOST:
        found.append(extreme)
        extreme = _Extreme.of(source, tuple(one.value for one in found))
    ends = [abs(one.value) for one in (*found, extreme)]
    most = max((i + 1 for i in range(len(found)) if ends[i] >= _APART * ends[i + 1] > 0), default=0)
    return tuple(one.value for one in found[:most])


def _behind_gaps(source: Source, values: np.ndarray, besides: tuple[float, ...]) -> tuple[float, ...]:
    """The ends of the range that repeat, and are apart from all other values; but not `besides`.

    values: a sample without these. The whole tensor is looked at only where the sample has some.
    """
    ends: list[float] = []
    rest, behind = values, 0
    while rest.size and len(ends) < _MOST - len(besides):
        often = [end for end in (float(rest.min()), float(rest.max())) if np.count_nonzero(rest == end) >= _OFTEN]
        if not often:
            break
        middle = float(np.median(rest))
        ends.append(max(often, key=lambda end: abs(end - middle)))
        rest = rest[rest != ends[-1]]
        behind = len(ends) if rest.size and _are_apart(ends, rest, float(rest.min()), float(rest.max())) else behind
    found = tuple(ends[:behind])
    rest = values[~np.isin(values, found)]
    if not found or np.unique(rest).size < _KINDS:
        return ()
    return found if _are_apart(found, rest, *_range(source, (*besides, *found))) else ()


def _are_apart(ends: Sequence[float], others: np.ndarray, low: float, high: float) -> bool:
    """Whether they are beyond gaps at the sides of a range. others: a sample of what lies in it."""
    least, most = np.quantile(others, [_TAIL, 1 - _TAIL])
    return bool(all(max(low - end, end - high) >= _GAP * (most - least) > 0 for end in ends))


def _range(source: Source, besides: tuple[float, ...]) -> tuple[float, float]:
    """The least and the largest of all finite values of a tensor but these."""
    low, high = math.inf, -math.inf
    for start, stop in spans(source.size, _CHUNK):
        values = source.read(start, stop).astype(np.float64)
        values = values[np.isfinite(values) & ~np.isin(values, besides)]
        low, high = float(values.min(initial=low)), float(values.max(initial=high))
    return low, high


def heaviest(source: Source, *, thorough: bool) -> Repeated | None:
    """The value of the largest magnitude, if it repeats and has most of the norm, and its like.

    thorough: whether to look at all values, and not at a sample.
    """
    values = _sample(source)
    extreme = _Extreme.of(source) if thorough else _Extreme.within(values, _Extreme())
    value, size = extreme.value, source.size if thorough else values.size
    if extreme.count < _REPEATS * (1 if thorough else 2):
        return None
    rest = values[values != value]
    if np.unique(rest).size < _KINDS or abs(float(value)) < _NEAR * float(np.abs(rest).max()):
        return None
    share = extreme.count / size
    energy = share / (share + float(((rest / value) ** 2).sum()) / values.size)
    return Repeated(sentinels(source) or (value,), share, energy) if energy >= _ENERGY else None


def _repeats_from(source: Source, size: float) -> bool:
    """Whether the largest magnitude is at least `size`, and repeats."""
    largest, count = size, 0
    for start, stop in spans(source.size, _CHUNK):
        values = dtypes.widen(source.read(start, stop))
        top = float(norms.scan(values)[2])
        if top > largest:
            largest, count = top, 0
        if top == largest:
            count += int(np.count_nonzero(np.abs(values) == values.dtype.type(top)))
    return count >= _REPEATS


@dataclass(frozen=True)
class _Extreme:
    """A value of the largest magnitude, and how often it is met."""

    value: float = 0.0
    count: int = 0

    @classmethod
    def of(cls, source: Source, besides: tuple[float, ...] = ()) -> "_Extreme":
        """That of all finite values of a tensor but these."""
        found = cls()
        for start, stop in spans(source.size, _CHUNK):
            values = source.read(start, stop).astype(np.float64)
            left = np.isfinite(values) & ~np.isin(values, besides)
            found = cls.within(values if left.all() else values[left], found)
        return found

    @classmethod
    def within(cls, values: np.ndarray, found: "_Extreme") -> "_Extreme":
        """That of an array, and of values met before."""
        if not values.size:
            return found
        low, high = float(values.min()), float(values.max())
        value = low if -low > high else high
        if abs(value) < abs(found.value):
            return found
        value = value if abs(value) > abs(found.value) else found.value
        count = int((values == value).sum())
        return cls(value, count + (found.count if value == found.value else 0))


def _sample(source: Source) -> np.ndarray:
    values = looks.sample(source, _PIECES, _PIECE).astype(np.float64)
    return values[np.isfinite(values)]
