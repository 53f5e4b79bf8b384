"""A tensor as float64 values near 1, so that their squares neither overflow nor underflow."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...dtypes import narrow, widen
from ...source import Source, spans
from ..contract import CHUNK, TensorSpec


def power_of_two(exponent: int) -> np.ndarray:
    """Two factors whose product is 2^exponent, which need not be a float64 itself."""
    half = exponent // 2
    return np.array([2.0**half, 2.0 ** (exponent - half)])


def energy(values: np.ndarray) -> float:
    """‖values‖², summed in an order that does not depend on the number of threads."""
    return float(np.einsum("i,i->", values, values))


@dataclass(frozen=True)
class Scaled:
    """A source's values times 2^−exponent, where the largest is in [½, 1)."""

    source: Source
    exponent: int

    @staticmethod
    def of(source: Source) -> "Scaled":
        """The scaled form of a tensor that has a value other than zero."""
        largest = max(float(np.abs(widen(source.read(*span))).max()) for span in spans(source.size, CHUNK))
        return Scaled(source, math.frexp(largest)[1])

    @property
    def size(self) -> int:
        return self.source.size

    @property
    def spec(self) -> TensorSpec:
        return TensorSpec(self.source.dtype, self.source.shape)

    def read(self, start: int, stop: int) -> np.ndarray:
        """The values start…stop-1 as float64: exact, except for values that become subnormal."""
        return self._scale(self.source.read(start, stop))

    def pieces(self) -> Iterator[tuple[int, np.ndarray]]:
        """(flat index, values) of consecutive pieces of at most CHUNK values."""
        for start, stop in spans(self.size, CHUNK):
            yield start, self.read(start, stop)

    def error(self, decoded: np.ndarray) -> float:
        """‖x̂ − x‖²/‖x‖² of the whole tensor, with x̂ the work values rounded to its dtype."""
        rounded = self._scale(narrow(decoded, self.source.dtype))
        values = self.read(0, self.size)
        return energy(rounded - values) / energy(values)

    def _scale(self, values: np.ndarray) -> np.ndarray:
        first, second = power_of_two(-self.exponent)
        scaled: np.ndarray = widen(values).astype(np.float64) * first * second
        return scaled


def expected_in_dtype(expected: float, largest: float, norm: float, values: Scaled) -> float:
    """An upper bound of E‖x̂ − x‖²/‖x‖² of an unbiased code after rounding to the dtype.

    expected: the same before rounding. largest, norm: no decoded value is beyond `largest`, and ‖x‖
    is `norm`, both of the scaled values.

    Rounding moves a value by ε/2 of it, or by half of the smallest subnormal number s. The rounding
    error of d values has at most the norm ε/2·‖x̂‖ + √d·s/2. With √d·s ≤ ε‖x‖ that is no more than
    ε·√(1 + expected)·‖x‖. The result is infinite when that is not so, or when a value might be cut
    at the dtype's largest number: then the mean is not x.
    """
    info = np.finfo(values.source.dtype)
    least = float(info.minexp) + math.log2(values.size) / 2  # this is log2 of √d·s/ε
    if math.log2(norm) + values.exponent < least or math.log2(largest) + values.exponent > math.log2(float(info.max)):
        return math.inf
    return (math.sqrt(max(expected, 0.0)) + float(info.eps) * math.sqrt(1 + max(expected, 0.0))) ** 2


def expected_before_rounding(bound: float, dtype: np.dtype) -> float:
    """The largest `expected` for which `expected_in_dtype` is at most `bound`; 0 if there is none.

    It solves √e + ε·√(1 + e) = √bound, and is rounded down.
    """
    eps, root = float(np.finfo(dtype).eps), math.sqrt(bound)
    return max(root - eps * math.sqrt(1 + bound - eps * eps), 0.0) ** 2 / (1 - eps * eps) ** 2 * (1 - 2.0**-40)
