"""Levels of a uniform quantiser as bytes, and as values again: what `ecsq` sends of a chunk, and its step.

See spec/compressors/05-ecsq.md.
"""

import math
from dataclasses import dataclass

import numpy as np

from ...coding.bitstring import BitReader, BitWriter
from ...coding.rans import ROOM, decode_symbols, encode_symbols
from ...coding.shifts import choose_shifts, raw_bytes, raw_words
from ...kernels import tokens as kernels
from ...kernels.tokens import DIRECT

_MANTISSA, _EXPONENT, _BIAS = 12, 12, 2048  # fields of a step
_LARGEST_EXPONENT = 1100
# of the symbols that have no raw bits
_PLAIN_LEVELS = np.array([(s + 1) // 2 if s & 1 else -(s // 2) for s in range(2 * DIRECT - 1)])


@dataclass(frozen=True)
class Step:
    """A float with 12 bits of mantissa: (1 + mantissa/2¹²)·2^exponent."""

    mantissa: int
    exponent: int

    @classmethod
    def below(cls, value: float) -> "Step":
        """The largest one not above a positive value."""
        fraction, exponent = math.frexp(value)
        return cls(int(math.ldexp(fraction, _MANTISSA + 1)) - (1 << _MANTISSA), exponent - 1)

    def times(self, exponent: int) -> "Step":
        """This step times 2^exponent."""
        return Step(self.mantissa, self.exponent + exponent)

    def __float__(self) -> float:
        return math.ldexp((1 << _MANTISSA) + self.mantissa, self.exponent - _MANTISSA)

    def factors(self) -> tuple[float, float]:
        """(step, unit), both normal float64, whose product is the step."""
        near = min(max(self.exponent, -1000), 1000)
        return float(Step(self.mantissa, near)), math.ldexp(1.0, self.exponent - near)

    def pack(self, writer: BitWriter) -> None:
        writer.put(self.mantissa, _MANTISSA)
        writer.put(self.exponent + _BIAS, _EXPONENT)

    @classmethod
    def unpack(cls, reader: BitReader) -> "Step":
        step = cls(reader.get(_MANTISSA), reader.get(_EXPONENT) - _BIAS)
        if abs(step.exponent) > _LARGEST_EXPONENT:
            raise reader.corrupt(f"a step of about 2^{step.exponent} is out of range")
        return step


@dataclass(frozen=True)
class Reconstruction:
    """What turns levels into values: the step, and the centroids of levels 1 and 2 as offsets in 1/256 of the step."""

    step: Step
    offsets: tuple[int, int] = (0, 0)

    def pack(self, writer: BitWriter) -> None:
        self.step.pack(writer)
        writer.put(int(any(self.offsets)), 1)
        for offset in self.offsets if any(self.offsets) else ():
            writer.put(offset & 0xFF, 8)

    @classmethod
    def unpack(cls, reader: BitReader) -> "Reconstruction":
        step = Step.unpack(reader)
        if not reader.get(1):
            return cls(step)
        first, second = reader.get(8), reader.get(8)
        return cls(step, ((first ^ 0x80) - 0x80, (second ^ 0x80) - 0x80))

    def values(self, levels: np.ndarray, work: np.dtype) -> np.ndarray:
        """Work values of int64 levels."""
        out = np.empty(levels.size, work)
        kernels.values_of_levels(levels, *self.constants(work), out)
        return out

    def constants(self, work: np.dtype) -> tuple[float, ...]:
        """(offset of level 1, of level 2, step, unit, largest value), the numbers that kernels compute values with."""
        first, second = self.offsets
        return first / 256, second / 256, *self.step.factors(), float(np.finfo(work).max)


def encode_levels(levels: np.ndarray, classes: np.ndarray) -> bytes:
    """Code integer levels; classes: uint8, below MAX_CLASSES."""
    shifts = choose_shifts(levels, classes)
    symbols = np.empty(levels.size, np.uint8)
    bits = kernels.tokenise(levels, classes, shifts, symbols)
    writer = BitWriter(ROOM)
    tail = encode_symbols(writer, symbols, classes, shifts)
    return writer.to_bytes() + tail + raw_bytes(levels, classes, shifts, bits)


def decode_levels(reader: BitReader, classes: np.ndarray, reconstruction: Reconstruction, work: np.dtype) -> np.ndarray:
    """The work values of levels coded by `encode_levels`, which must end the chunk."""
    symbols, shifts, frequencies = decode_symbols(reader, classes, with_shifts=True)
    if frequencies[:, -1].any():
        raise reader.corrupt("a table has a symbol that is no token")
    out = np.empty(symbols.size, work)
    plain = reconstruction.values(_PLAIN_LEVELS, work)
    if not shifts.any() and not frequencies[:, plain.size :].any():
        reader.end()
        kernels.values_of_symbols(symbols, plain, out)
        return out
    raw = raw_words(reader)
    if not kernels.values_with_raw(symbols, classes, shifts, *raw, *reconstruction.constants(work), out):
        raise reader.corrupt("the raw bits are not those of the symbols")
    return out
