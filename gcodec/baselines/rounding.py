"""Rounding of single values: natural compression and the scaled sign."""

from dataclasses import dataclass

import numpy as np

from ..theory import baselines as theory
from ..theory.sparse_dithering import NORM_BITS
from .baseline import Baseline

_SMALLEST = 2.0**-126  # the least normal float32


def round_to_power(magnitude: np.ndarray, smallest: float, rng: np.random.Generator) -> np.ndarray:
    """Each value ≥ 0 rounded at random, without bias, to one of the powers of two around it.

    A value below `smallest` becomes 0 or `smallest`.
    """
    exponent = np.frexp(magnitude)[1]
    below = np.ldexp(1.0, exponent - 1)  # the power of two with below ≤ magnitude < 2·below
    step = np.where(magnitude < smallest, smallest, below)
    below = np.where(magnitude < smallest, 0.0, below)
    rounded: np.ndarray = below + step * (rng.random(magnitude.shape) * step < magnitude - below)
    return rounded


@dataclass(frozen=True)
class NaturalCompression(Baseline):
    """Natural compression: each value is rounded at random to a power of two.

    The message has its sign and exponent. It is unbiased with ω = 1/8, for |x_i| < 2^127.
    """

    kind = "omega"

    def constant(self, d: int, x: np.ndarray | None = None) -> float:
        return theory.NATURAL_OMEGA

    def _code(self, x: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        return np.copysign(round_to_power(np.abs(x), _SMALLEST, rng), x), theory.NATURAL_BITS * x.size


@dataclass(frozen=True)
class ScaledSign(Baseline):
    """‖x‖₁/d·sign(x), which is contractive with 1 − ‖x‖₁²/(d·‖x‖²), for every x."""

    kind = "alpha"

    def constant(self, d: int, x: np.ndarray | None = None) -> float:
        if x is None or not np.any(x):
            return theory.sign_alpha(d)
        x = x.astype(np.float64)
        return float(1 - np.sum(np.abs(x)) ** 2 / (d * np.sum(x**2)))

    def _code(self, x: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        scale = float(np.float32(np.mean(np.abs(x))))
        return np.where(x < 0, -scale, scale), NORM_BITS + x.size
