"""What the blocks of one tensor share: the lengths, the step of the norms, the caps; its bytes.

All norms are rounded to one step Δ, so a norm's squared error is about θ = Δ²/12. The error is best
spread evenly over all degrees of freedom. So a block of length k whose norm is n steps has the cap
α = τ·(k+1)·θ/(nΔ)² = τ·(k+1)/(12·n²), since the mean squared sine over a small cap is
α·(k−1)/(k+1).

A cap thus belongs to a *class* (k, n). It is the same in every tensor, up to the factor τ ≈ 1, and
the step alone decides about rate and error. A class is used when max_draws is enough for its cap. A
block that is too loud for its length is split in halves, down to single values at worst.
"""

import math
import struct
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from ...errors import Corrupt
from ...kernels import spherical_tree as tree
from ...kernels.spherical import MAX_LENGTH
from ...theory.sphere import cap_bits, mean_cosine
from ...theory.spherical import golomb_mean_bits, golomb_parameter
from . import golomb
from .search import stream

BLOCKS = 128  # a flag in the first byte of a head with blocks
DRAWS_RATIO = 32  # the ratio of most draws to mean draws: a search fails once in e³²
MAX_CAP = 0.95
UNBIASED = 16  # another flag in that byte; its low bits are the seed's length
_CAP_UNIT = 2.0**-16
_SCALE_UNIT = 2.0**-14
_FRONT = struct.Struct("<Bhff")
_CLASS = struct.Struct("<BH")
_UNBIASED_CLASS = struct.Struct("<Bf")
MAX_EXPONENT = 1100  # values are multiplied by a power of two; no float64 tensor needs a higher one


def lengths_of(length: int) -> list[int]:
    """All lengths that splitting a block can lead to, from the longest to 1."""
    lengths, todo = {length}, [length]
    while todo:
        k = todo.pop()
        for half in {k // 2, k - k // 2} if k > 1 else ():
            if half not in lengths:
                lengths.add(half)
                todo.append(half)
    return sorted(lengths, reverse=True)


@dataclass(frozen=True)
class Classes:
    """The classes n = 1, 2, … of one length.

    caps: α of each.
    codes: the codes of the Golomb moduli.
    scales: the factors of n·Δ·v in decoding.
    """

    length: int
    caps: np.ndarray
    codes: np.ndarray
    scales: np.ndarray

    def __len__(self) -> int:
        return len(self.caps)

    def cut(self, count: int) -> "Classes":
        """The first `count` classes."""
        return Classes(self.length, self.caps[:count], self.codes[:count], self.scales[:count])

    @cached_property
    def cap_bits(self) -> np.ndarray:
        """−log2 P(α, k) of each class."""
        return np.array([cap_bits(alpha, self.length) for alpha in self.caps])

    @cached_property
    def index_bits(self) -> np.ndarray:
        """The mean length in bits of each class's Golomb code."""
        return np.array([golomb_mean_bits(bits) for bits in self.cap_bits])

    @cached_property
    def cosines(self) -> np.ndarray:
        """The mean cosine over each class's cap."""
        return np.array([mean_cosine(alpha, self.length) for alpha in self.caps])

    @cached_property
    def moduli(self) -> np.ndarray:
        return np.array([golomb.modulus(int(code)) for code in self.codes], dtype=np.int64)


def cap_of(length: int, n: int, spread: float) -> float:
    """α of class (length, n) for the factor τ = `spread`: a multiple of 2⁻¹⁶, at most MAX_CAP."""
    alpha = min(MAX_CAP, spread * (length + 1) / (12 * n * n))
    return max(math.floor(alpha / _CAP_UNIT), 1) * _CAP_UNIT


@lru_cache(maxsize=4096)
def classes_within(length: int, spread: float, max_draws: int) -> Classes:
    """The classes of a length that need at most max_draws / DRAWS_RATIO draws on average.

    Their scales are all 1.
    """
    most = math.log2(max_draws / DRAWS_RATIO)
    caps, codes = [], []
    for n in range(1, tree.MAX_CLASSES + 1):
        alpha = cap_of(length, n, spread)
        bits = cap_bits(alpha, length)
        if bits > most:
            break
        caps.append(alpha)
        codes.append(golomb.nearest_code(golomb_parameter(bits)))
    return Classes(length, np.array(caps), np.array(codes, dtype=np.uint8), np.ones(len(caps)))


@dataclass(frozen=True)
class Plan:
    """All that decoding the blocks needs.

    length: that of the longest blocks.
    step: Δ, a float32 number, for values that are to be multiplied by 2^exponent.
    spread: τ of the caps, a float32 number.
    classes: those of each length above 1, the longest first.
    """

    length: int
    step: float
    spread: float
    exponent: int
    seed: int
    unbiased: bool
    classes: tuple[Classes, ...]

    def with_scales(self, scales: dict[int, np.ndarray]) -> "Plan":
        """The plan with these scales by length, rounded to what the head can hold."""
        rounded = []
        for one in self.classes:
            if self.unbiased:
                values = scales[one.length].astype(np.float32).astype(np.float64)
            else:
                values = np.clip(np.rint(scales[one.length] / _SCALE_UNIT), 1, 0xFFFF) * _SCALE_UNIT
            rounded.append(replace(one, scales=values))
        return replace(self, classes=tuple(rounded))

    def pack(self) -> bytes:
        """The head (spec/compressors/04-spherical.md)."""
        seed = self.seed.to_bytes((self.seed.bit_length() + 7) // 8, "little")
        parts = [bytes([BLOCKS | UNBIASED * self.unbiased | len(seed)]), seed]
        parts.append(_FRONT.pack(self.length, self.exponent, self.step, self.spread))
        for one in self.classes:
            parts.append(bytes([len(one)]))
            for code, scale in zip(one.codes, one.scales, strict=True):
                unbiased = self.unbiased
                parts.append(
                    _UNBIASED_CLASS.pack(code, scale) if unbiased else _CLASS.pack(code, round(scale / _SCALE_UNIT))
                )
        return b"".join(parts)

    @staticmethod
    def unpack(head: bytes) -> "Plan":
        """The plan of a head. Raises Corrupt when the head cannot be right."""
        try:
            return _unpack(head)
        except (struct.error, IndexError):
            raise Corrupt("sc: the head is too short") from None

    @cached_property
    def counts(self) -> np.ndarray:
        """For each length the number of its classes (int64)."""
        counts = np.zeros(self.length + 1, dtype=np.int64)
        for one in self.classes:
            counts[one.length] = len(one)
        return counts

    @cached_property
    def base(self) -> np.ndarray:
        """For each length, where its classes begin in `moduli` and `scales` (int64)."""
        ends: np.ndarray = np.cumsum(self.counts)
        starts: np.ndarray = ends - self.counts
        return starts

    @cached_property
    def moduli(self) -> np.ndarray:
        return np.concatenate([one.moduli for one in self.classes[::-1]] or [np.empty(0, dtype=np.int64)])

    @cached_property
    def scales(self) -> np.ndarray:
        return np.concatenate([one.scales for one in self.classes[::-1]] or [np.empty(0)])

    @cached_property
    def largest(self) -> float:
        """An upper bound of the decoded values, in multiples of 2^exponent.

        It holds if no value that was coded is beyond 1.
        """
        blocks = (n * self.step * scale for one in self.classes for n, scale in enumerate(one.scales, 1))
        return max([1 + self.step, *map(float, blocks)])

    @cached_property
    def keys(self) -> np.ndarray:
        """For each length the key of its stream of directions (uint64)."""
        keys = np.zeros(self.length + 1, dtype=np.uint64)
        for one in self.classes:
            keys[one.length] = stream(self.seed, one.length)
        return keys


def _unpack(head: bytes) -> Plan:
    unbiased = bool(head[0] & UNBIASED)
    seed_length = head[0] & ~(BLOCKS | UNBIASED)
    seed = int.from_bytes(head[1 : 1 + seed_length], "little")
    length, exponent, step, spread = _FRONT.unpack_from(head, 1 + seed_length)
    at = 1 + seed_length + _FRONT.size
    sound = seed_length <= 8 and abs(exponent) <= MAX_EXPONENT and 0 < step < math.inf and 0 < spread < math.inf
    if not sound or not 1 <= length <= MAX_LENGTH or seed.bit_length() <= 8 * seed_length - 8:
        raise Corrupt("sc: the head has a field out of range")
    layout, unit = (_UNBIASED_CLASS, 1.0) if unbiased else (_CLASS, _SCALE_UNIT)
    classes = []
    for k in lengths_of(length)[:-1]:
        count = head[at]
        if count > tree.MAX_CLASSES:
            raise Corrupt(f"sc: {count} classes of length {k}")
        rows = [layout.unpack_from(head, at + 1 + i * layout.size) for i in range(count)]
        at += 1 + count * layout.size
        if not all(code < golomb.CODES and 0 < scale < math.inf for code, scale in rows):
            raise Corrupt(f"sc: a class of length {k} is out of range")
        caps = np.array([cap_of(k, n, spread) for n in range(1, count + 1)])
        codes = np.array([code for code, _ in rows], dtype=np.uint8)
        classes.append(Classes(k, caps, codes, np.array([scale * unit for _, scale in rows])))
    if at != len(head):
        raise Corrupt("sc: bytes left over in the head")
    return Plan(length, step, spread, exponent, seed, unbiased, tuple(classes))
