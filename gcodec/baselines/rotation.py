"""Random rotation and the Lloyd–Max quantiser: DRIVE, EDEN and TurboQuant.

After the rotation the coordinates of any vector are nearly normal, so one scalar quantiser serves
all vectors. The papers' programs rotate by random signs and a Hadamard transform. That needs a
power of two as dimension, and padding would cost up to twice the bits. Here two rounds of random
signs and the Hartley transform do the same in any dimension. One round is not enough: it would
spread a vector with a single value other than zero evenly, not normally. The signs come from a
shared seed.

Such a rotation is not uniform, and in few dimensions uniform ones give no normal coordinates
either. The constants are those of the papers for large d. They hold here, within 2 %, from
LEAST_DIMENSION on. Below it no constant is claimed.
"""

import math
from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from ..theory import baselines as theory
from ..theory.lloyd_max import lloyd_max
from .baseline import Baseline

LEAST_DIMENSION = theory.ROTATED_FROM


@dataclass(frozen=True)
class Rotated(Baseline):
    """What the three have in common.

    They rotate, quantise each coordinate to `bits` bits, and send a scale as float32.
    """

    bits: int = 1

    def constant(self, d: int, x: np.ndarray | None = None) -> float:
        return self._large_constant() if d >= LEAST_DIMENSION else math.inf

    def _code(self, x: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        x = x.reshape(-1)
        signs = rng.choice([-1.0, 1.0], size=(2, x.size))
        rotated = hartley(signs[1] * hartley(signs[0] * x))
        norm = np.linalg.norm(rotated)
        quantised = nearest_centroids(rotated * (np.sqrt(x.size) / norm), self.bits) if norm > 0 else rotated
        scale = float(np.float32(self._scale(rotated, quantised))) if norm > 0 else 0.0
        return scale * signs[0] * hartley(signs[1] * hartley(quantised)), 32 + self.bits * x.size

    @abstractmethod
    def _large_constant(self) -> float:
        """The constant for large d."""

    @abstractmethod
    def _scale(self, rotated: np.ndarray, quantised: np.ndarray) -> float:
        """What the quantised vector is multiplied by."""


@dataclass(frozen=True)
class Drive(Rotated):
    """DRIVE, and EDEN with its biased scale, which has the least error.

    α = 1 − 2/π for 1 bit and large d.
    """

    kind = "alpha"

    def _large_constant(self) -> float:
        return theory.rotation_alpha(self.bits)

    def _scale(self, rotated: np.ndarray, quantised: np.ndarray) -> float:
        return float(np.sum(rotated * quantised) / np.sum(quantised**2))


@dataclass(frozen=True)
class Eden(Rotated):
    """EDEN with the scale that makes it unbiased: ω = π/2 − 1 for 1 bit and large d."""

    kind = "omega"

    def _large_constant(self) -> float:
        return theory.rotation_omega(self.bits)

    def _scale(self, rotated: np.ndarray, quantised: np.ndarray) -> float:
        return float(np.sum(rotated**2) / np.sum(rotated * quantised))


@dataclass(frozen=True)
class TurboQuant(Rotated):
    """TurboQuant for squared error: the norm is the scale, α = (√3·π/2)·4^(−bits) for large d."""

    kind = "alpha"

    def _large_constant(self) -> float:
        return theory.turboquant_alpha(self.bits)

    def _scale(self, rotated: np.ndarray, quantised: np.ndarray) -> float:
        return float(np.linalg.norm(rotated) / np.sqrt(rotated.size))


def hartley(x: np.ndarray) -> np.ndarray:
    """Σ_j x_j·(cos + sin)(2πjk/d)/√d for k = 0 … d−1.

    The transform is orthogonal and its own inverse, for any d.
    """
    half = np.fft.rfft(x)
    mirrored = (half.real + half.imag)[1 : x.size - half.size + 1][::-1]
    transformed: np.ndarray = np.concatenate([half.real - half.imag, mirrored]) / np.sqrt(x.size)
    return transformed


def nearest_centroids(x: np.ndarray, bits: int) -> np.ndarray:
    """For each value the nearest of the 2^bits Lloyd–Max centroids of a standard normal number."""
    positive = np.array(lloyd_max(bits)[0])
    cell = np.searchsorted((positive[1:] + positive[:-1]) / 2, np.abs(x))
    nearest: np.ndarray = np.copysign(positive[cell], x)
    return nearest
