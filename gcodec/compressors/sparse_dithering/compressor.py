"""`sd` and `rsd`: the sparse dithering of arXiv 2010.03246 with the paper's code.

Both send a scale, and the levels k of a uniform quantiser with one step, 2h·‖x‖, for the whole
tensor. The decoder computes ±k·|scale|. The sign of the scale stands for that of the first level of
the first chunk that is not zero. `sd` is deterministic and `rsd` is randomised: they choose levels
in different ways and share the decoder. See spec/compressors/02-sparse-dithering.md.
"""

import math
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ... import dtypes
from ...errors import Corrupt
from ...kernels import norms
from ...kernels import sparse_dithering as kernels
from ...source import Source, spans
from ...theory import sparse_dithering as theory
from ..common.noise import noise_check
from ..contract import (
    CHUNK,
    Check,
    CodedTensor,
    Compressor,
    Decode,
    Guarantee,
    Payload,
    Plan,
    Section,
    TensorSpec,
    UpperBound,
)
from . import anatomy, checks
from .code import OVERHEAD_BITS, Levels, pack_levels, starts_negative, unpack_levels

FINE = 1e-12  # below this bound the rounding of a float32 scale would matter
SMALLEST, LARGEST = math.ldexp(1.0, -1074), float(np.finfo(np.float64).max)
NORMAL32 = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
MOST_STEPS = 1 << 52  # the largest ‖x‖ / step: levels stay exact, their sums within int64
SHRINKS = 40  # how often the step of `rsd` is tried
SLACK = 2.0**-30  # relative; more than all roundings of two sums over chunks of 2²⁰ values


class _Magnitude(NamedTuple):
    """‖x‖ = norm / unit, where `unit` is a power of two."""

    unit: float
    norm: float


class _Dithering(Compressor):
    """The payload, which `sd` and `rsd` have in common."""

    @classmethod
    def decoder(cls, head: bytes, spec: TensorSpec) -> Decode:
        """A value is float64(k)·|scale|, at most the largest finite number, in the work dtype."""
        work = dtypes.work_dtype(spec.dtype)
        scale = _unpack_scale(head)
        return lambda data, start, count: unpack_levels(data, count, scale, work, sign_known=start == 0)

    @classmethod
    def sections(cls, coded: CodedTensor) -> Sequence[Section]:
        return anatomy.sections(coded)

    @classmethod
    def arrays(cls, coded: CodedTensor) -> Mapping[str, np.ndarray]:
        return anatomy.arrays(coded, _unpack_scale(coded.payload.head))


@dataclass(frozen=True)
class SparseDithering(_Dithering):
    """Deterministic sparse dithering: ‖x̂ − x‖² ≤ ν‖x‖² for every input, with ν the bound.

    This holds before the values are rounded to the tensor's dtype. The encoder takes h = √(ν/d), k
    = ⌊|x|/(2h‖x‖) + ½⌋ and scale = Σ|x|k / Σk². This scale has the least error for these levels; in
    the paper's words it is γ‖x‖2h.
    """

    kinds = ("alpha",)
    work_per_value = 8

    def encode(self, source: Source, guarantee: Guarantee) -> Payload:
        return self.plan(source, guarantee).payload()

    def plan(self, source: Source, guarantee: Guarantee) -> Plan:
        """No payload is shorter than which levels are zero, a sign and a bit for each other one."""
        size = _measure(source)
        step = _step(size.norm, guarantee.bound, source.size)

        def levels_of(start: int, stop: int) -> np.ndarray:
            values = dtypes.widen(source.read(start, stop))
            levels = np.empty(values.size, np.int64)
            kernels.quantise(values, size.unit, step, levels)
            return levels

        def payload() -> Payload:
            moments = [kernels.level_moments(values, size.unit, step) for values in _chunks(source)]
            products, squares = zip(*moments, strict=True)
            scale = max(math.fsum(products) / max(math.fsum(squares), 1.0) / size.unit, SMALLEST)
            return _payload(source.size, _pack_scale(scale, guarantee.bound), levels_of)

        found = [(b - a, int(np.count_nonzero(levels_of(a, b)))) for a, b in spans(source.size, CHUNK)]
        least = math.fsum(theory.log2_binomial(count, others) + 2 * others for count, others in found) - 2
        return Plan(least, math.inf, payload)

    @classmethod
    def upper_bound(cls, coded: CodedTensor) -> UpperBound:
        """The exact count for the vector that takes the most bits."""
        bits, own = theory.exact_bits(coded.guarantee.bound, coded.spec.size), _overhead_of(coded)
        return UpperBound(bits + own, "the paper's count of the worst vector", overhead=own)

    @classmethod
    def yardsticks(cls, coded: CodedTensor) -> Sequence[tuple[str, float]]:
        return [*anatomy.own_count(coded), *anatomy.for_every_vector(coded)]


@dataclass(frozen=True)
class RandomSparseDithering(_Dithering):
    """Randomised sparse dithering: E x̂ = x and E‖x̂ − x‖² ≤ ω‖x‖² over the seed, with ω the bound.

    This holds in the decoded dtype. The scale is 2h‖x‖ with h = √(ω/d), rounded down. Every |x|
    lies between what two neighbouring levels decode to, after the rounding to the dtype. It becomes
    one of these two, with the probabilities whose expectation is |x|.

    seed: any integer, taken modulo 2⁶⁴. The decoder does not need it.
    """

    seed: int = 0

    kinds = ("omega",)
    work_per_value = 8

    def encode(self, source: Source, guarantee: Guarantee) -> Payload:
        return self._encode(source, *self._choose_scale(source, guarantee.bound))

    def _encode(self, source: Source, head: bytes, expected: float) -> Payload:
        """The payload with the scale that the head has."""
        scale = _unpack_scale(head)

        def levels_of(start: int, stop: int) -> np.ndarray:
            values, levels, lows, highs = _bracket(source, scale, start, stop)
            kernels.draw_levels(values, lows, highs, np.uint64(self.seed % 2**64), start, levels)
            return levels

        return _payload(source.size, head, levels_of, expected)

    @classmethod
    def upper_bound(cls, coded: CodedTensor) -> UpperBound:
        """The paper's bound of the mean over the seed, and the 1 bit of norm that it leaves out."""
        bits = theory.published_expected_bits(coded.guarantee.bound, coded.spec.size)
        own = 1 + _overhead_of(coded)
        return UpperBound(bits + own, "the paper's bound of the mean", False, own)

    @classmethod
    def yardsticks(cls, coded: CodedTensor) -> Sequence[tuple[str, float]]:
        return [*anatomy.own_count(coded), *anatomy.on_average(coded)]

    @classmethod
    def checks(cls, coded: CodedTensor, original: Source | None, trials: int) -> Iterable[Check]:
        """With the original: the noise that the scale gives, and the roundings one by one."""
        if original is None:
            return
        scale = _unpack_scale(coded.payload.head)
        yield noise_check(_expected_error(original, abs(scale), _measure(original)), coded, "scale")
        yield from checks.roundings_of(coded, original, scale, _bracket).checks()

    @classmethod
    def encode_again(cls, coded: CodedTensor, source: Source, seed: int) -> Payload:
        """The same encoding with another seed, by the record's own scale.

        A record may be forged, so a scale that no encoder chooses is made larger.
        """
        size, scale = _measure(source), abs(_unpack_scale(coded.payload.head))
        least = size.norm / MOST_STEPS / size.unit
        head = _pack_scale(max(scale, least), coded.guarantee.bound)
        return cls(seed)._encode(source, head, coded.payload.expected or 0.0)

    @staticmethod
    def _choose_scale(source: Source, bound: float) -> tuple[bytes, float]:
        """The head, and E‖x̂ − x‖² / ‖x‖² with it.

        The error is within the bound unless levels would become too large.
        """
        size = _measure(source)
        step, finest = _step(size.norm, bound, source.size), size.norm / MOST_STEPS
        for attempt in range(SHRINKS):
            head = _pack_scale(min(max(step / size.unit, SMALLEST), LARGEST), bound, down=True)
            expected = _expected_error(source, _unpack_scale(head), size)
            if expected <= bound or step == finest:
                break
            # Rounding to a narrow dtype adds variance. The first shrinks are tiny, as a rounding
            # error needs no more.
            shrink = math.sqrt(bound / expected) * (1 - math.ldexp(1.0, min(2 * attempt - 20, -1)))
            step = max(step * shrink, finest)
        return head, expected


def overhead_bits(size: int, chunk: int, head_length: int) -> float:
    """An upper bound in bits of what a payload (head and chunks) takes beyond `paper_bits`.

    It is 11.2 bits for up to 2²⁰ values and a head of 4 bytes. On average such a payload takes some
    3 bits more than the count. The parts are

    - the head's bits beyond 31: the sign of the scale, which stands for that of a level, and, with
      8 bytes, its double precision;
    - 1 bit for a level that a rounded division pushed over its threshold, which matters only where
      Σ|k| is bounded;
    - OVERHEAD_BITS for each chunk;
    - the chunks' numbers of zeros beyond the one of the whole tensor: log2 of each length, less
      log2 d.

    The zero bitmaps of several chunks need no more: Σ log2 C(lengthᵢ, zerosᵢ) ≤ log2 C(d, zeros).
    """
    lengths = [stop - start for start, stop in spans(size, chunk)]
    numbers = math.fsum(math.log2(length) for length in lengths) - math.log2(size)
    return 8 * head_length - theory.NORM_BITS + 1 + len(lengths) * OVERHEAD_BITS + numbers


def _overhead_of(coded: CodedTensor) -> float:
    return overhead_bits(coded.spec.size, coded.payload.chunk, len(coded.payload.head))


def _payload(size: int, head: bytes, levels_of: Levels, expected: float | None = None) -> Payload:
    """The payload of levels whose scale, still positive, is in the head."""

    def code(start: int, stop: int) -> bytes:
        return pack_levels(levels_of(start, stop), sign_known=start == 0)

    if starts_negative(min(size, CHUNK), levels_of):
        head = head[:-1] + bytes([head[-1] | 0x80])
    return Payload(head, min(size, CHUNK), code, expected)


def _chunks(source: Source) -> Iterator[np.ndarray]:
    """The values of each chunk in the work dtype."""
    for start, stop in spans(source.size, CHUNK):
        yield dtypes.widen(source.read(start, stop))


def _measure(source: Source) -> _Magnitude:
    """‖x‖, computed so that nothing over- or underflows."""
    largest = max(map(norms.largest_magnitude, _chunks(source)))
    exponent = min(max(math.frexp(largest)[1], -1000), 1000)  # 2^±exponent is normal
    unit = math.ldexp(1.0, -exponent)
    return _Magnitude(unit, math.sqrt(math.fsum(kernels.sum_unit_squares(values, unit) for values in _chunks(source))))


def _step(norm: float, bound: float, size: int) -> float:
    """2h‖x‖ with h = √(bound/d), or more where levels would grow too large.

    A larger step misses the bound.
    """
    return norm * max(2 * math.sqrt(bound / size), 1 / MOST_STEPS)


def _expected_error(source: Source, scale: float, size: _Magnitude) -> float:
    """E‖x̂ − x‖² / ‖x‖² of randomised rounding with this scale, rounded up."""
    errors = []
    for start, stop in spans(source.size, CHUNK):
        values, _, lows, highs = _bracket(source, scale, start, stop)
        errors.append(kernels.rounding_error(values, lows, highs, size.unit))
    return math.fsum(errors) / size.norm**2 * (1 + SLACK)


def _bracket(source: Source, scale: float, start: int, stop: int) -> tuple[np.ndarray, ...]:
    """(values, levels, lows, highs) of a range of the source.

    `lows` and `highs` are what `levels` and `levels` + 1 decode to, rounded to the source's dtype.
    """
    values = dtypes.widen(source.read(start, stop))
    levels = np.empty(values.size, np.int64)
    lows, highs = np.empty_like(values), np.empty_like(values)
    kernels.bracket(values, scale, float(np.finfo(values.dtype).max), levels, lows, highs)
    return values, levels, *(dtypes.widen(dtypes.narrow(ends, source.dtype)) for ends in (lows, highs))


def _pack_scale(scale: float, bound: float, down: bool = False) -> bytes:
    """The head without the sign: a float32 where that is precise enough, else a float64.

    It is rounded to nearest, or down if `down`.
    """
    if bound < FINE or not NORMAL32[0] <= scale <= NORMAL32[1]:
        return struct.pack("<d", scale)
    short = np.float32(scale)
    if down and float(short) > scale:
        short = np.nextafter(short, np.float32(0))
    return struct.pack("<f", short)


def _unpack_scale(head: bytes) -> float:
    if len(head) not in (4, 8):
        raise Corrupt(f"sparse dithering: a head of {len(head)} bytes")
    scale: float = struct.unpack("<f" if len(head) == 4 else "<d", head)[0]
    if not 0 < abs(scale) < math.inf or (len(head) == 4 and abs(scale) < NORMAL32[0]):
        raise Corrupt("sparse dithering: the scale is not a finite number other than zero")
    return scale
