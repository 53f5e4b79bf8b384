"""Tensors of small whole numbers times scales: what was quantised to integers, and is floats again.

Each value is an integer of a span of 256 times the scale of its group, and the groups are the whole
tensor, rows, columns, or pieces of these. See spec/compressors/01-lossless.md.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from ... import dtypes
from ...coding.bitstring import BitReader, BitWriter
from ...source import Source, spans
from ..contract import CHUNK
from .planes import Parts, decode_plane, encode_plane
from .scales import MOST, looks_like_one, may_be_solved, products, solved

FORM = 1  # the first byte of a head
_LENGTHS = (32, 64, 128, 256, 512, 1024)  # how long groups may be that go on across rows
_SHORTEST, _MANY = 16, 1 << 21  # values of a group, and groups
_ALL = 1 << 24  # the most values of a tensor with scales of columns
_PLACES, _SEEN = 16, 256  # groups that are looked at first, and values of each
_ENOUGH = 4  # groups that look like multiples are enough
_TRIES = 3  # times that all values are looked at
_FEWEST = 8  # a reader accepts no more scales than one for so many values
_HEAD_BITS, _LENGTH_BITS = 128, 6


@dataclass(frozen=True)
class Groups:
    """The tensor as outer × length × inner; the values along `length` have one scale."""

    size: int
    length: int
    inner: int

    @property
    def count(self) -> int:
        return -(-self.size // (self.length * self.inner)) * self.inner

    def of(self, start: int, stop: int) -> np.ndarray:
        """The group of each value with flat indices start…stop-1."""
        positions = np.arange(start, stop)
        found: np.ndarray = positions // (self.length * self.inner) * self.inner + positions % self.inner
        return found


@dataclass(frozen=True)
class Multiples:
    """What the integers low … low + span − 1 are times.

    An index is the integer − low, or `span` for −0. counts: how often each occurs.
    """

    dtype: np.dtype
    groups: Groups
    low: int
    span: int
    scales: np.ndarray
    counts: np.ndarray | None = None

    @classmethod
    def of(cls, source: Source, words: np.ndarray | None) -> "Multiples | None":
        """The integers and scales of a tensor that has some. words: all that it has, if few."""
        if not dtypes.is_float(source.dtype) or source.dtype.itemsize == 1 or source.size < _SHORTEST:
            return None
        if words is not None:
            of_words = solved(words.view(source.dtype)[None, :])
            if of_words and of_words[2] - of_words[1] <= MOST:
                return _checked(source, Groups(source.size, source.size, 1), *of_words)
        tries, candidates = 0, _candidates(source.shape, source.size)
        begun = _begun(source, sorted({groups.inner for groups in candidates}))
        for groups in candidates:
            if tries < _TRIES and groups.inner in begun and _may_be(source, groups):
                tries += 1
                scaled = _solve(source, groups)
                if scaled:
                    return _checked(source, groups, *scaled)
        return None

    @property
    def indices_below(self) -> int:
        """How many indices there are, that of −0 included."""
        return min(self.span + 1, MOST + 1)

    @property
    def entropy(self) -> float:
        """The bits that an ideal code without memory takes for all integers."""
        assert self.counts is not None
        met = self.counts[self.counts > 0]
        return float((met * np.log2(met.sum() / met)).sum())

    def indices(self, values: np.ndarray, start: int) -> np.ndarray:
        """The index of each value, uint8, of those from flat index `start` on."""
        scales = self.scales[self.groups.of(start, start + values.size)]
        wide = values.astype(np.float64)
        ratios = np.divide(wide, scales, out=np.zeros_like(wide), where=scales > 0)
        numbers = np.rint(ratios).astype(np.int64) - self.low
        numbers[(wide == 0) & np.signbit(wide)] = self.span
        indices: np.ndarray = numbers.astype(np.uint8)
        return indices

    def values(self, indices: np.ndarray, start: int) -> np.ndarray:
        """The inverse of `indices`."""
        scales = self.scales[self.groups.of(start, start + indices.size)]
        values = products(indices.astype(np.int64) + self.low, scales, self.dtype)
        values[indices == self.span] = -0.0
        return values

    def head(self) -> bytes:
        with np.errstate(over="ignore"):  # a scale that float32 cannot hold becomes infinite, and differs
            narrow = self.scales.astype(np.float32)
        single = np.array_equal(narrow, self.scales)
        words = narrow.view(np.uint32) if single else self.scales.view(np.uint64)
        writer = BitWriter(_HEAD_BITS)
        writer.put(-self.low, 8)
        writer.put(self.span - 1, 8)
        for number in (self.groups.length, self.groups.inner):
            writer.put(number.bit_length(), _LENGTH_BITS)
            writer.put(number, number.bit_length())
        writer.put(int(not single), 1)
        parts: Parts = [bytes([FORM]), writer.to_bytes()]
        for shift in range(0, 8 * words.itemsize, 8):
            parts += encode_plane((words >> words.dtype.type(shift) & words.dtype.type(255)).astype(np.uint8))
        return b"".join(parts)

    @classmethod
    def unpack(cls, head: bytes, dtype: np.dtype, size: int) -> "Multiples":
        """What a head says that `head` made; raises Corrupt."""
        reader = BitReader(head[1:], "lossless: multiples")
        low, span = -reader.get(8), reader.get(8) + 1
        length, inner = (reader.get(reader.get(_LENGTH_BITS)) for _ in range(2))
        own = np.dtype(np.float64 if reader.get(1) else np.float32)
        reader.align()
        if not dtypes.is_float(dtype) or dtype.itemsize == 1 or not 0 < length * inner <= max(size, 1):
            raise reader.corrupt("groups that the tensor cannot have")
        groups = Groups(size, length, inner)
        data, at = reader.rest().tobytes(), 0
        if groups.count > max(size // _FEWEST, 1):
            raise reader.corrupt("too many scales")
        words = np.zeros(groups.count, f"u{own.itemsize}")
        for shift in range(0, 8 * own.itemsize, 8):
            plane = np.empty(groups.count, np.uint8)
            at = decode_plane(data, at, plane)
            words |= plane.astype(words.dtype) << words.dtype.type(shift)
        with np.errstate(invalid="ignore"):
            scales = words.view(own).astype(np.float64)
        if at != len(data) or not (np.isfinite(scales) & ~np.signbit(scales)).all():
            raise reader.corrupt("a scale that is negative or not finite, or bytes after the scales")
        return cls(dtype, groups, low, span, scales)


@lru_cache
def _candidates(shape: tuple[int, ...], size: int) -> list[Groups]:
    """The groups that a tensor may have, the fewest first."""
    axes = [n for n in shape if n > 1]
    found = {(size // 2, 2)}
    for i, n in enumerate(axes):
        before, after = math.prod(axes[:i]), math.prod(axes[i + 1 :])
        found.update([(n * after, 1), (before * n, after), (n, after)])
        if i in (0, len(axes) - 1):
            found.update((length, after) for length in _divisors(n) if _SHORTEST <= length <= n // 2)
    found.update((length, 1) for length in _LENGTHS)
    some = []
    for length, inner in sorted(found, key=lambda one: (-one[0], one[1])):
        groups = Groups(size, length, inner)
        whole = size % (length * inner) == 0 and _SHORTEST <= length < size
        if whole and groups.count <= _MANY and (inner == 1 or size <= _ALL) and (inner > 1 or length <= CHUNK):
            some.append(groups)
    return some


def _divisors(n: int) -> set[int]:
    """All divisors of a number, found in about √n steps."""
    small = [d for d in range(1, math.isqrt(n) + 1) if n % d == 0]
    return {*small, *(n // d for d in small)}


def _begun(source: Source, inners: list[int]) -> set[int]:
    """The inner lengths of which the first values of some groups may be multiples."""
    parts = [source.read(0, _SHORTEST * n).reshape(_SHORTEST, n)[:, :: -(-n // _ENOUGH)].T for n in inners]
    return {inner for inner, may in zip(inners, may_be_solved(parts), strict=True) if may}


def _may_be(source: Source, groups: Groups) -> bool:
    """Whether some groups that are not nearly zero look like multiples, and none does not."""
    found, span = 0, groups.length * groups.inner
    places = range(0, groups.count, -(-groups.count // _PLACES))
    length = min(groups.length, _SEEN)
    part = source.read(0, length * groups.inner).reshape(length, -1) if groups.inner > 1 else None
    for place in places:
        if part is None:
            values = source.read(place * span, place * span + length)
        else:
            values = np.ascontiguousarray(part[:, place % groups.inner])
        if np.count_nonzero(values) >= _SHORTEST // 2:
            if not looks_like_one(values):
                return False
            found += 1
        if found == _ENOUGH:
            break
    return found > 0


def _solve(source: Source, groups: Groups) -> tuple[np.ndarray, int, int] | None:
    """(scales, the least and the largest integer), if all groups have scales."""
    scales, low, high = np.zeros(groups.count), 0, 0
    span = groups.length * groups.inner
    whole = source.read(0, source.size) if groups.inner > 1 else None
    for first, last in spans(groups.count, max(CHUNK // groups.length, 1)):
        if whole is not None:
            columns = whole.reshape(-1, groups.length, groups.inner).transpose(0, 2, 1).reshape(-1, groups.length)
            values = columns[first:last]
        else:
            values = source.read(first * span, last * span).reshape(last - first, -1)
        found = solved(np.ascontiguousarray(values))
        if found is None:
            return None
        scales[first:last], low, high = found[0], min(low, found[1]), max(high, found[2])
        if high - low > MOST:
            return None
    return scales, low, high


def _checked(source: Source, groups: Groups, scales: np.ndarray, low: int, high: int) -> "Multiples | None":
    """The multiples with their counts, if all values of the tensor come back."""
    if high - low > MOST:
        return None
    found = Multiples(source.dtype, groups, low, high - low + 1, scales)
    counts = np.zeros(MOST + 1, np.int64)
    for start, stop in spans(source.size, CHUNK):
        values = source.read(start, stop)
        indices = found.indices(values, start)
        if found.values(indices, start).tobytes() != values.tobytes():
            return None
        counts += np.bincount(indices, minlength=MOST + 1)
    return replace(found, counts=counts)
