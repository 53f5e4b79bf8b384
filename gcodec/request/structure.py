"""What a tensor has beside its values that a bound says nothing about, and how `auto` keeps it.

A few thousand values of a tensor tell whether zeros are frequent, all values have one sign, a mean
carries much of the norm, or sentinels stand for what is missing. The norms of heads or experts tell
whether the bound would erase some of them. A tensor without any of that is coded as it always was.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..compressors import registry
from ..dtypes import is_float
from ..errors import InvalidInput
from ..source import Source, spans
from . import looks
from .arrays import ONE
from .choice import Choice
from .sentinels import sentinels
from .terms import MOST_KEPT, Others, Terms

_PIECES, _PIECE = 16, 512  # pieces of a tensor that are looked at, and values of each
_ZEROS = 1 / 16  # a larger share of zeros is frequent
_MANY_ZEROS = 1 / 4  # a larger share is that of a tensor of which a part was taken away on purpose
_WORTH, _WORTH_OF_MANY = 1.02, 1.05  # times the bits of another payload: what one that keeps zeros is worth
# Above, the other values are coded so coarsely that a map of scattered zeros does not pay.
_FINE = 2e-3
_FEW = 16  # fewer zeros are those of any tensor
# About how many bits a zero takes that no map tells of: so many in a row or column of zeros, and
# elsewhere about the bits of any other value without so many.
_IN_A_ROW, _LESS = 0.5, 1.5
_AT_AN_END = 16  # so many of the values that are looked at, where others are met once or twice
_MEANS, _BLOCK = 0.5, 1 << 16  # the share of the norm that means of rows or columns must have, in so many values
_MEAN = 0.1  # a mean with a larger share of the norm is worth a try
_MOST_HEADS, _LEAST_HEAD = 64, 1024  # the most slices that are heads or experts, and values of the smallest
_ERASED = 2.0  # a slice is erased whose norm² is less than so many times the error that falls to it
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Structure:
    """zeros: whether zeros are to be kept. mapped: whether a map of them is worth a try. worth:
    times the bits of another payload: what one that keeps them is worth. marks: the words of
    sentinels. bounded: whether no value has another sign, or many values are the least or the
    largest one. mean: whether a mean is worth a try. means: the axis of slices whose means are.
    axis: that of heads or experts of which the bound would erase some.
    """

    zeros: bool = False
    mapped: bool = False
    worth: float = 1.0
    marks: tuple[int, ...] = ()
    bounded: bool = False
    mean: bool = False
    means: int | None = None
    axis: int | None = None

    @classmethod
    def of(cls, source: Source, choice: Choice) -> "Structure":
        """What pieces of the tensor show; heads and experts are looked for in all of it."""
        terms = choice.terms
        values = looks.sample(source, _PIECES, _PIECE)
        zeros, mapped, worth = _zeros(source, choice.guarantee.bound)
        others = _widened(values[~terms.mask(values)] if terms.kept else values)
        if not others.size or not np.isfinite(others).all():
            return cls(zeros, mapped, worth)
        own = Others(source, terms) if terms.kept else source
        found = np.array(sentinels(own), source.dtype)
        if terms.kept or choice.keep_zeros is False:
            found = found[found != 0]  # zeros stand in the places of kept values, or nobody cares
        if found.size:
            others = others[~np.isin(others, found.astype(np.float64))]
        peak = float(np.abs(others).max(initial=0.0)) or 1.0
        scaled = others / peak
        square = float((scaled**2).mean()) if others.size else 0.0
        mean = others.size > 0 and float(scaled.mean()) ** 2 > _MEAN * square > 0
        axis = None if terms or found.size else _axis_of_erased(source, choice.guarantee.bound)
        marks = tuple(map(int, found.view(f"u{found.itemsize}")))
        means = None if found.size else _axis_of_means(own)
        return cls(zeros, mapped, worth, marks, _is_bounded(others), mean, means, axis)


def _widened(values: np.ndarray) -> np.ndarray:
    """The values as float64, without numpy's warning of a NaN that signals."""
    with np.errstate(invalid="ignore"):
        return values.astype(np.float64)


def _zeros(source: Source, bound: float) -> tuple[bool, bool, float]:
    """(whether zeros are to be kept, whether a map is worth a try, what keeping them is worth)."""
    count, bits = looks.zeros(source)
    if count < _FEW:
        return False, False, 1.0
    share = count / source.size
    pays = bits < count * max(_IN_A_ROW, math.log2(1 / bound) / 2 - _LESS)
    frequent = share > _ZEROS
    return frequent or pays, pays or (frequent and bound < _FINE), _WORTH_OF_MANY if share > _MANY_ZEROS else _WORTH


def _axis_of_means(source: Source) -> int | None:
    """The axis of slices whose means carry much of the norm, which the mean of all does not."""
    long = [axis for axis, length in enumerate(source.shape) if length > 1]
    columns = source.shape[long[-1]] if len(long) > 1 else source.size
    rows = min(source.size, _BLOCK) // columns
    if rows < 2:
        return None
    block = source.read(0, rows * columns).astype(np.float64).reshape(rows, columns)
    largest = float(np.abs(block).max(initial=0.0))
    if not 0 < largest < math.inf:
        return None
    block /= largest
    energy, mean = float((block**2).mean()), float(block.mean())
    by_axis = ((0, long[0]), (1, long[-1]))[len(long) > 2 :]  # rows of more axes have no single index
    chance = (energy / columns, energy / rows)
    shares = {axis: float((block.mean(1 - i) ** 2).mean() - mean**2 - chance[i]) for i, axis in by_axis}
    axis = max(shares, key=lambda axis: shares[axis])
    return axis if shares[axis] > _MEANS * energy else None


def _is_bounded(values: np.ndarray) -> bool:
    """Whether the range means something: all values have one sign, or many are an end of it."""
    if not values.size:
        return False
    low, high = values.min(), values.max()
    return bool(low >= 0 or high <= 0 or max((values == low).sum(), (values == high).sum()) >= _AT_AN_END)


def _axis_of_erased(source: Source, bound: float) -> int | None:
    """The axis of heads or experts, if a bound over the whole tensor would erase some of them."""
    axes = [axis for axis, length in enumerate(source.shape) if length > 1]
    heads = source.shape[axes[0]] if len(axes) == 3 else 0
    if not 0 < heads <= _MOST_HEADS or source.size < heads * _LEAST_HEAD:
        return None
    size, norm2 = source.size // heads, np.zeros(heads)
    for head in range(heads):
        for start, stop in spans(size, _CHUNK):
            values = source.read(head * size + start, head * size + stop).astype(np.float64)
            norm2[head] += float((values**2).sum())
    erased = (norm2 > 0) & (norm2 < _ERASED * bound * norm2.mean())
    return axes[0] if erased.any() else None


def resolved(name: str, source: Source, choice: Choice) -> Choice:
    """The choice with the terms that it asks for, of those that this tensor can have.

    A tensor of fewer than two axes is one slice. Raises InvalidInput, which names the tensor, for
    another one without the axis, and for more kept values than the format has room for.
    """
    kind, takes_zeros = choice.guarantee.kind, choice.guarantee.kind == "alpha" and choice.method != "auto"
    zeros = choice.keep_zeros is True and takes_zeros and choice.method not in registry.KEEP_ZEROS
    asked = zeros or choice.fill or choice.axis is not None
    if not asked or kind not in registry.WRAPPED_WITH_KEPT or not is_float(source.dtype) or not source.size:
        return choice
    kept = _words_met(source, choice.fill + ((0.0,) if zeros else ()))
    if len(kept) > MOST_KEPT:
        raise InvalidInput(
            f"{name or ONE}: the values to be kept have {len(kept)} bit patterns; at most {MOST_KEPT} can be kept"
        )
    return replace(choice, terms=Terms(tuple(sorted(kept)), _axis_of_slices(name, source, choice.axis)))


def _axis_of_slices(name: str, source: Source, axis: int | None) -> int | None:
    """The axis, counted from 0; None if the bound is that of the whole tensor."""
    axes = len(source.shape)
    if axis is None or axes < 2:
        return None
    if not -axes <= axis < axes:
        raise InvalidInput(
            f"{name or ONE}: its shape {source.shape} has no axis {axis}; give it a rule of its own, such as "
            f'--alpha \'{name or "*"}=1e-2@rows\' on the command line, axis="rows" or axes={{{name or "*"!r}: "rows"}} in Python'
        )
    return axis % axes


def _words_met(source: Source, values: Sequence[float]) -> set[int]:
    """The words of these values that occur in the tensor; of NaN all that there are."""
    met: set[int] = set()
    with np.errstate(over="ignore", invalid="ignore"):  # beyond the dtype's range they are infinite
        wanted = np.array([value for value in values if value == value]).astype(source.dtype)
    words = np.unique(wanted.view(f"u{source.dtype.itemsize}"))
    for start, stop in spans(source.size, _CHUNK) if values else ():
        found = np.ascontiguousarray(source.read(start, stop))
        here = found.view(words.dtype)
        met.update(int(word) for word in words if (here == word).any())
        if wanted.size < len(values):
            met.update(np.unique(here[np.isnan(found)]).tolist())
    return met


def settled(name: str, source: Source, choice: Choice) -> Choice:
    """The choice of a method that was asked for by name.

    It is inside `structured` if there are terms, or a range that no value may leave.
    """
    if not choice.terms:
        if choice.guarantee.kind != "alpha" or choice.method not in registry.LEAVE_RANGE or not is_float(source.dtype):
            return choice
        bounded = _is_bounded(_widened(looks.sample(source, _PIECES, _PIECE))) if source.size else False
        return inside(choice, choice.method, clamp=True) if bounded else choice
    able = (registry.WRAPPED_WITH_KEPT if choice.terms.kept else registry.WRAPPED)[choice.guarantee.kind]
    if choice.method not in able:
        raise InvalidInput(
            f"{name or ONE}: method {choice.method} cannot keep values or hold a bound for each slice; "
            f"{', '.join(('auto', *able[:-1]))} and {able[-1]} can"
        )
    return inside(choice, choice.method, kept=choice.terms.kept, axis=choice.terms.axis)


def inside(choice: Choice, method: str, **said: object) -> Choice:
    """The choice of `structured` around a method."""
    effort = choice.options.get("effort", registry.EFFORTS[0])
    return replace(choice, method=registry.STRUCTURED, options={"other": method, "effort": effort, **said})


def with_found(choice: Choice, found: Structure) -> Choice:
    """The choice with the terms that this structure asks for, whatever the method."""
    kept = {*choice.terms.kept, *found.marks}
    if choice.keep_zeros is True or (kept and found.zeros and choice.keep_zeros is None):
        kept.update((0,) if kept or choice.terms.axis is not None else ())
    axis = found.axis if choice.terms.axis is None else choice.terms.axis
    terms = Terms(tuple(sorted(kept)), axis)
    return choice if terms == choice.terms else replace(choice, terms=terms)


def variants(
    source: Source, choice: Choice, found: Structure, methods: Sequence[str]
) -> Iterator[tuple[Choice, float]]:
    """The choices to try, each with what its payload is worth beside another's.

    methods: those that would be tried without structure. With terms, only those are tried that keep
    to them. Where zeros are to be kept, what does not keep them is left out later.
    """
    small = next((one for one in (registry.FINEST, registry.QUICKEST) if one in methods), methods[0])
    if choice.terms:
        yield inside(choice, small, kept=choice.terms.kept, axis=choice.terms.axis, clamp=found.bounded), 1.0
        return
    asked = choice.keep_zeros is True and choice.guarantee.kind == "alpha"
    zeros, worth = asked or (found.zeros and choice.keep_zeros is None), 1.0 if asked else found.worth
    for method in methods:
        if method == registry.QUICKEST and zeros:
            continue  # it follows, for what it is worth where it keeps zeros
        clamped = found.bounded and method in registry.LEAVE_RANGE
        yield (inside(choice, method, clamp=True) if clamped else replace(choice, method=method)), 1.0
    if zeros:
        quickest = registry.QUICKEST
        yield (inside(choice, quickest, clamp=True) if found.bounded else replace(choice, method=quickest)), worth
    if asked or (zeros and found.mapped):
        kept = replace(choice, terms=Terms((0,)))
        yield inside(kept, small, kept=(0,), clamp=found.bounded), worth
    if choice.moment:
        return  # with a mean, small values come back as that, and not as 0
    if found.means is not None:
        yield inside(choice, small, means=found.means, clamp=found.bounded), 1.0
    if found.mean:
        yield inside(choice, small, mean=True, clamp=found.bounded), 1.0
