"""`sd` and `rsd`: sparse dithering of arXiv 2010.03246, deterministic and randomised, with the paper's code.

Both send levels k of a uniform quantiser whose one step for the whole tensor is 2h·‖x‖, and a scale; the decoder computes
±k·scale. They differ in how levels are chosen, so they share the decoder. See spec/compressors/02-sparse-dithering.md.
"""

import math
import struct
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ... import dtypes
from ...errors import Corrupt
from ...kernels import sparse_dithering as kernels
from ...source import Source
from ..contract import CHUNK, Compressor, Decode, Guarantee, Payload, TensorSpec
from .code import OVERHEAD_BITS, pack_levels, unpack_levels

FINE = 1e-12  # bounds below which a float32 scale would be felt
SMALLEST, LARGEST = math.ldexp(1.0, -1074), float(np.finfo(np.float64).max)
NORMAL32 = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
MOST_STEPS = 1 << 52  # ‖x‖ / step; keeps levels exact in float64 and sums of a chunk's levels within int64
SHRINKS = 40


class _Magnitude(NamedTuple):
    """‖x‖ = norm / unit, where unit is a power of two."""

    unit: float
    norm: float


class Counts(NamedTuple):
    """Of a chunk: the number of zero levels, and the sum of the levels' magnitudes."""

    zeros: int
    level_sum: int


class _Dithering(Compressor):
    """What `sd` and `rsd` have in common: the payload."""

    @classmethod
    def decoder(cls, head: bytes, spec: TensorSpec) -> Decode:
        """Decodes to float64(k)·scale rounded to the work dtype, saturating at its largest finite number."""
        work = dtypes.work_dtype(spec.dtype)
        scale = _unpack_scale(head)
        return lambda data, start, count: unpack_levels(data, count, scale, work)


@dataclass(frozen=True)
class SparseDithering(_Dithering):
    """Deterministic sparse dithering: ‖x̂ − x‖² ≤ ν‖x‖², surely, with ν the bound, before rounding to the dtype.

    h = √(ν/d), k = ⌊|x|/(2h‖x‖) + ½⌋, scale = Σ|x|k / Σk² (the best one: γ‖x‖2h in the paper's words).
    """

    kinds = ("alpha",)
    work_per_value = 8

    def encode(self, source: Source, guarantee: Guarantee) -> Payload:
        size = _measure(source)
        step = _step(size.norm, guarantee.bound, source.size)
        moments = [kernels.level_moments(values, size.unit, step) for _, values in _pieces(source)]
        products, squares = zip(*moments, strict=True)
        scale = max(math.fsum(products) / max(math.fsum(squares), 1.0) / size.unit, SMALLEST)

        def code(start: int, stop: int) -> bytes:
            values = dtypes.widen(source.read(start, stop))
            levels = np.empty(values.size, np.int64)
            kernels.quantise(values, size.unit, step, levels)
            return pack_levels(levels)

        return Payload(_pack_scale(scale, guarantee.bound), min(source.size, CHUNK), code)


@dataclass(frozen=True)
class RandomSparseDithering(_Dithering):
    """Randomised sparse dithering: E x̂ = x and E‖x̂ − x‖² ≤ ω‖x‖² over the seed, with ω the bound, in the decoded dtype.

    scale = 2h‖x‖ with h = √(ω/d), rounded down. Every |x| lies between what two neighbouring levels decode to (after
    the rounding to the dtype) and becomes one of them, with the probabilities whose expectation is |x|.
    seed: any integer, taken modulo 2⁶⁴; the decoder does not need it.
    """

    seed: int = 0

    kinds = ("omega",)
    work_per_value = 8

    def encode(self, source: Source, guarantee: Guarantee) -> Payload:
        head, expected = self._choose_scale(source, guarantee.bound)
        scale = _unpack_scale(head)

        def code(start: int, stop: int) -> bytes:
            values, levels, lows, highs = _bracket(source, scale, start, stop)
            kernels.draw_levels(values, lows, highs, np.uint64(self.seed % 2**64), start, levels)
            return pack_levels(levels)

        return Payload(head, min(source.size, CHUNK), code, expected)

    @staticmethod
    def _choose_scale(source: Source, bound: float) -> tuple[bytes, float]:
        """The head and E‖x̂ − x‖² / ‖x‖², which is within the bound unless levels would become too large."""
        size = _measure(source)
        step, finest = _step(size.norm, bound, source.size), size.norm / MOST_STEPS
        for attempt in range(SHRINKS):
            head = _pack_scale(min(max(step / size.unit, SMALLEST), LARGEST), bound, down=True)
            expected = _expected_error(source, _unpack_scale(head), size)
            if expected <= bound or step == finest:
                break
            # Rounding to a narrow dtype adds variance; tiny shrinks come first, as a rounding error needs no more.
            shrink = math.sqrt(bound / expected) * (1 - math.ldexp(1.0, min(2 * attempt - 20, -1)))
            step = max(step * shrink, finest)
        return head, expected


def chunk_counts(data: bytes, count: int) -> Counts:
    """What `paper_bits` needs to know of a chunk of `count` values; raises Corrupt."""
    levels = unpack_levels(data, count)
    return Counts(count - int(np.count_nonzero(levels)), int(math.fsum(np.abs(levels))))


def paper_bits(size: int, zeros: int, level_sum: int) -> float:
    """31 + log2 d + log2 C(d, zeros) + (d − zeros) + Σ|k|: the paper's code length of a tensor of d values."""
    nonzeros = size - zeros
    ways = math.lgamma(size + 1) - math.lgamma(zeros + 1) - math.lgamma(nonzeros + 1)
    return 31 + math.log2(size) + ways / math.log(2) + nonzeros + level_sum


def overhead_bits(size: int, chunk: int, head_length: int) -> float:
    """The coder's constant: bits by which a payload (head and chunks) may exceed `paper_bits`, 19 for up to 2²⁰ values.

    The scale's sign and, with 8 bytes, its double precision; one for a level that a rounded division pushed over its
    threshold, which matters only to bounds on Σ|k|; for each chunk OVERHEAD_BITS. Of several chunks each has a number of
    zeros (log2 of its length), while Σ log2 C(lengthᵢ, zerosᵢ) ≤ log2 C(d, zeros).
    """
    lengths = [min(chunk, size - start) for start in range(0, size, chunk)]
    numbers = math.fsum(math.log2(length) for length in lengths) - math.log2(size)
    return 8 * head_length - 31 + 1 + len(lengths) * OVERHEAD_BITS + numbers


def _pieces(source: Source):
    """(start, work values) of all chunks."""
    for start in range(0, source.size, CHUNK):
        yield start, dtypes.widen(source.read(start, min(start + CHUNK, source.size)))


def _measure(source: Source) -> _Magnitude:
    """‖x‖, free of over- and underflow."""
    largest = max(kernels.largest_magnitude(values) for _, values in _pieces(source))
    exponent = min(max(math.frexp(largest)[1], -1000), 1000)  # so that 2^±exponent is a normal number
    unit = math.ldexp(1.0, -exponent)
    return _Magnitude(unit, math.sqrt(math.fsum(kernels.sum_squares(values, unit) for _, values in _pieces(source))))


def _step(norm: float, bound: float, size: int) -> float:
    """2h‖x‖ with h = √(bound/d), unless that makes levels too large (the bound is then missed)."""
    return norm * max(2 * math.sqrt(bound / size), 1 / MOST_STEPS)


def _expected_error(source: Source, scale: float, size: _Magnitude) -> float:
    """E‖x̂ − x‖² / ‖x‖² of randomised rounding with this scale."""
    errors = []
    for start in range(0, source.size, CHUNK):
        values, _, lows, highs = _bracket(source, scale, start, min(start + CHUNK, source.size))
        errors.append(kernels.rounding_error(values, lows, highs, size.unit))
    return math.fsum(errors) / size.norm**2


def _bracket(source: Source, scale: float, start: int, stop: int) -> tuple[np.ndarray, ...]:
    """(values, levels, lows, highs): lows and highs are what levels and levels + 1 decode to, in the source's dtype."""
    values = dtypes.widen(source.read(start, stop))
    levels = np.empty(values.size, np.int64)
    lows, highs = np.empty_like(values), np.empty_like(values)
    kernels.bracket(values, scale, float(np.finfo(values.dtype).max), levels, lows, highs)
    return values, levels, *(dtypes.widen(dtypes.narrow(ends, source.dtype)) for ends in (lows, highs))


def _pack_scale(scale: float, bound: float, down: bool = False) -> bytes:
    """The head: float32 where that is precise enough, else float64; rounded to nearest or down."""
    if bound < FINE or not NORMAL32[0] <= scale <= NORMAL32[1]:
        return struct.pack("<d", scale)
    short = np.float32(scale)
    if down and float(short) > scale:
        short = np.nextafter(short, np.float32(0))
    return struct.pack("<f", short)


def _unpack_scale(head: bytes) -> float:
    if len(head) not in (4, 8):
        raise Corrupt(f"sparse dithering: a head of {len(head)} bytes")
    scale = struct.unpack("<f" if len(head) == 4 else "<d", head)[0]
    if not 0 < scale < math.inf or (len(head) == 4 and scale < NORMAL32[0]):
        raise Corrupt("sparse dithering: the scale is not a positive number")
    return scale
