"""Dithering: magnitudes relative to a norm, rounded at random to a grid. All are unbiased."""

import math
from dataclasses import dataclass

import numpy as np

from ..theory import baselines as theory
from ..theory.sparse_dithering import NORM_BITS
from .baseline import Baseline, float32_above
from .rounding import round_to_power


def _relative(x: np.ndarray, norm: float) -> np.ndarray:
    """|x|/norm, for a norm from `float32_above`. It is zero for the zero vector."""
    return np.abs(x) / norm if norm > 0 else np.zeros_like(x)


@dataclass(frozen=True)
class Qsgd(Baseline):
    """QSGD, also known as standard dithering: |x_i|/‖x‖ becomes a multiple of 1/s.

    s = ⌈resolution·√d⌉ and ω = min(d/s², √d/s). The message has the norm as float32, a flag, and
    the levels in one of two ways. A dense message has a level and its sign for each coordinate. A
    sparse one has the number of levels that are not zero, and for each of them its distance to the
    one before, its sign and its level. Numbers are in the Elias gamma code.
    """

    resolution: float = 1.0
    kind = "omega"

    def levels(self, d: int) -> int:
        return math.ceil(self.resolution * math.sqrt(d))

    def constant(self, d: int, x: np.ndarray | None = None) -> float:
        return theory.dithering_omega(d, self.levels(d))

    def _code(self, x: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        x = x.reshape(-1)
        s = self.levels(x.size)
        norm = float32_above(float(np.linalg.norm(x)))
        level = np.floor(_relative(x, norm) * s + rng.random(x.size))
        return np.copysign(norm / s * level, x), 33 + min(_dense_bits(level), _sparse_bits(level))


def _gamma_bits(number: np.ndarray) -> int:
    """The bits of the Elias gamma codes of all these whole numbers n ≥ 1, each 2⌊log2 n⌋ + 1."""
    return int(np.sum(2 * (np.frexp(number)[1] - 1) + 1))


def _dense_bits(level: np.ndarray) -> int:
    return _gamma_bits(level + 1) + int(np.count_nonzero(level))


def _sparse_bits(level: np.ndarray) -> int:
    index = np.flatnonzero(level)
    gaps = np.diff(index, prepend=-1).astype(np.float64)
    return _gamma_bits(np.array([index.size + 1.0])) + _gamma_bits(gaps) + index.size + _gamma_bits(level[index])


@dataclass(frozen=True)
class NaturalDithering(Baseline):
    """Natural dithering: |x_i|/‖x‖ becomes 0, 2^(1−s), …, ½ or 1, where s is the number of levels.

    ω = 1/8 + min(√d·2^(1−s), d·2^(2−2s)). The message has the norm and d digits of base 2s + 1.
    """

    levels: int = 8
    kind = "omega"

    def constant(self, d: int, x: np.ndarray | None = None) -> float:
        return theory.natural_dithering_omega(d, self.levels)

    def _code(self, x: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        norm = float32_above(float(np.linalg.norm(x)))
        rounded = round_to_power(_relative(x, norm), 2.0 ** (1 - self.levels), rng)
        return np.copysign(norm * rounded, x), math.ceil(theory.natural_dithering_bits(x.size, self.levels))


@dataclass(frozen=True)
class TernGrad(Baseline):
    """TernGrad: x_i becomes ±M with probability |x_i|/M, else 0, where M is the largest |x_i|.

    ω = (√d − 1)/2. The message has M and d digits of base 3.
    """

    kind = "omega"

    def constant(self, d: int, x: np.ndarray | None = None) -> float:
        return theory.terngrad_omega(d)

    def _code(self, x: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        largest = float32_above(float(np.max(np.abs(x))))
        chosen = rng.random(x.shape) < _relative(x, largest)
        return np.copysign(largest * chosen, x), NORM_BITS + math.ceil(x.size * math.log2(3))
