"""What the values of a tensor tell of what it is, where its name says nothing.

Each look ends at the first value that decides.
"""

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from ..compressors.contract import CHUNK
from ..dtypes import is_float
from ..source import Source, matricise, spans

_FIRST = 1 << 12  # values of the first look
_PIECES, _PIECE = 64, 256  # pieces here and there, and values of each
_FEW = 16  # values; fewer may be in order, or have one sign, by chance
_TAIL = 0.1  # the share of the values above, and of those below, which a range leaves out
_GLIMPSE = 32  # values of each piece, where a sample of a tensor stays in memory
# Of m²/v, which β₁ = 0.9 and β₂ = 0.999 keep below 53: the share that may be larger, and the limit.
_RARE, _MOST = 0.01, 100.0
_ALIKE = 0.1  # the least correlation of ranks of first and second moments
WIDE_BESIDE = 10.0  # a range that is enough beside a first moment
_WIDE = 100.0  # a range: squares of Gaussian values have 171, their magnitudes 13


def none_is_negative(source: Source) -> bool:
    """Whether all values are at least 0, and not all 0. Of few values nothing is said."""
    if source.size < _FEW:
        return False
    some = False
    for values in _read(source):
        if not (values >= 0).all():
            return False
        some = some or bool(values.any())
    return some


def is_sorted(source: Source) -> bool:
    """Whether each value is above the one before, or each is below. Of few nothing is said."""
    first = source.read(0, min(source.size, _FIRST)).astype(np.float64)
    if first.size < _FEW or not (_rises(first) or _rises(-first)):
        return False
    values = source.read(0, source.size).astype(np.float64)
    return _rises(values) or _rises(-values)


def are_like_squares(source: Source, wide: float = _WIDE) -> bool:
    """Whether no value is negative, and the values that are not 0 have sizes of all kinds.

    wide: a tenth of them is so many times as large as another tenth.
    """
    return _look_like_squares(sample(source, _PIECES, _PIECE), wide) and none_is_negative(source)


def _look_like_squares(values: np.ndarray, wide: float) -> bool:
    if not (values >= 0).all():
        return False
    values = values[values > 0].astype(np.float64)
    if values.size < _FEW:
        return False
    low, high = np.quantile(values, [_TAIL, 1 - _TAIL])
    return bool(high >= wide * low)


class Glimpse:
    """Some values of a tensor, which are read at once or when they are first asked for."""

    def __init__(self, source: Source, *, at_once: bool) -> None:
        self._source: Source | None = source
        if at_once:
            self.values  # noqa: B018  # reads them, so that the tensor need not stay in memory

    @cached_property
    def values(self) -> np.ndarray:
        assert self._source is not None
        values, self._source = sample(self._source, _PIECES, _GLIMPSE).copy(), None
        return values

    @cached_property
    def may_be_squares(self) -> bool:
        """Whether they look like means of squares beside a first moment."""
        return _look_like_squares(self.values, WIDE_BESIDE)


class Alike:
    """Glimpses of the floating tensors of a file that have at least so many values."""

    def __init__(self, least: int) -> None:
        self._least, self._seen = least, dict[tuple[int, ...], dict[str, Glimpse]]()

    def note(self, name: str, source: Source, *, at_once: bool) -> None:
        known = self._seen.setdefault(source.shape, {})
        if name not in known and is_float(source.dtype) and source.size >= self._least:
            known[name] = Glimpse(source, at_once=at_once)

    def of(self, name: str, source: Source) -> Iterator[Glimpse]:
        """Those of the shape of a tensor, without itself."""
        return (seen for other, seen in self._seen.get(source.shape, {}).items() if other != name)


def are_moments(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether these may be means of the same gradients and of their squares, at the same places.

    The square of a mean is at most a few times the mean of the squares, and both are large where
    gradients are large.
    """
    with np.errstate(all="ignore"):
        squares, second = first.astype(np.float64) ** 2, second.astype(np.float64)
        both = (squares > 0) & (second > 0) & np.isfinite(squares / second)
        squares, second = squares[both], second[both]
        if squares.size < _FEW or not (first < 0).any() or np.quantile(squares / second, 1 - _RARE) > _MOST:
            return False
    ranks = np.array([squares, second]).argsort(1).argsort(1) - (squares.size - 1) / 2
    return bool(ranks[0] @ ranks[1] > _ALIKE * (ranks[0] @ ranks[0]))


def has_any(source: Source, wanted: np.ndarray) -> bool:
    """Whether one of these values occurs; NaN is every NaN."""
    with np.errstate(over="ignore"):
        words, missing = wanted.astype(source.dtype), bool(np.isnan(wanted).any())
    found = (np.isin(values, words).any() or (missing and np.isnan(values).any()) for values in _read(source))
    return any(found)


def sample(source: Source, pieces: int, length: int) -> np.ndarray:
    """At most pieces + 1 pieces of the tensor, of at most so many values, at equal distances."""
    step = max(source.size // pieces, length)
    if step == length:  # the pieces are all that there is
        return source.read(0, source.size)
    starts = range(0, source.size, step)
    return np.concatenate([source.read(start, min(start + length, source.size)) for start in starts])


def zeros(source: Source) -> tuple[int, float]:
    """(how many values are 0, about how many bits a map of them takes).

    The map is coded in the context of the value before, or of the one above in the matrix that the
    tensor is, so that one of whole rows or columns takes next to nothing.
    """
    count, pairs = 0, {reach: np.zeros(4, np.int64) for reach in {1, matricise(source.shape)[1]}}
    for start, stop in spans(source.size, CHUNK):
        words = np.ascontiguousarray(source.read(start, stop)).view(f"u{source.dtype.itemsize}")
        words = words + words  # the sign is gone
        here = words.size - int(np.count_nonzero(words))
        mask = (words == 0).view(np.uint8) if here else np.empty(0, np.uint8)
        for reach, found in pairs.items():
            if here:
                found += np.bincount(2 * mask[:-reach] + mask[reach:], minlength=4)
            else:
                found[0] += max(words.size - reach, 0)
        count += here
    return (0, 0.0) if not count else (count, min(_entropy(found.reshape(2, 2)) for found in pairs.values()))


def _entropy(counts: np.ndarray) -> float:
    """The bits of the columns' numbers where the rows' are known."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.nansum(counts * np.log2(counts.sum(1, keepdims=True) / counts)))


def _read(source: Source) -> Iterator[np.ndarray]:
    """All values, the first few by themselves."""
    first = min(source.size, _FIRST)
    yield source.read(0, first)
    for start, stop in spans(source.size - first, CHUNK):
        yield source.read(first + start, first + stop)


def _rises(values: np.ndarray) -> bool:
    return bool((values[1:] > values[:-1]).all())
