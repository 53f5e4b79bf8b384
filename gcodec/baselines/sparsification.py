"""Sparsification: some coordinates are sent as float32, and the rest become zero."""

import math
from dataclasses import dataclass

import numpy as np

from ..theory import baselines as theory
from ..theory.sparse_dithering import log2_binomial
from .baseline import Baseline


def _count(fraction: float, d: int) -> int:
    return min(d, max(1, round(fraction * d)))


@dataclass(frozen=True)
class TopK(Baseline):
    """The k = fraction·d coordinates of largest magnitude, at least one.

    It is contractive with 1 − k/d for every x.
    """

    fraction: float = 0.1
    kind = "alpha"

    def constant(self, d: int, x: np.ndarray | None = None) -> float:
        return theory.top_k_alpha(d, _count(self.fraction, d))

    def _code(self, x: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        x = x.reshape(-1)
        k = _count(self.fraction, x.size)
        kept = np.argpartition(np.abs(x), x.size - k)[x.size - k :]
        coded = np.zeros_like(x)
        coded[kept] = x[kept].astype(np.float32)
        return coded, 32 * k + _index_bits(x.size, k)


@dataclass(frozen=True)
class RandK(Baseline):
    """k = fraction·d coordinates at random, at least one, times d/k.

    It is unbiased with ω = d/k − 1. The indices come from a shared seed and cost nothing.
    """

    fraction: float = 0.1
    kind = "omega"

    def constant(self, d: int, x: np.ndarray | None = None) -> float:
        return theory.rand_k_omega(d, _count(self.fraction, d))

    def _code(self, x: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        x = x.reshape(-1)
        k = _count(self.fraction, x.size)
        kept = rng.choice(x.size, k, replace=False, shuffle=False)
        coded = np.zeros_like(x)
        coded[kept] = x[kept].astype(np.float32) * (x.size / k)
        return coded, 32 * k


@dataclass(frozen=True)
class SparseLoco(Baseline):
    """Top-k within chunks of 4096 with values of 2 bits, after SparseLoCo (arXiv 2508.15706).

    Its error feedback is not part of it. Each chunk keeps the `fraction` of largest magnitude, at
    least one. Their mean magnitude divides them into two cells. Each cell decodes to its own mean,
    which is sent as float32, with the sign of the coordinate. The operator is strictly contractive
    with 1 − 1/min(d, 4096) at worst. The message has an index within the chunk and two bits for
    each value, and 64 bits for each chunk.
    """

    fraction: float = 0.03
    kind = "alpha"

    def constant(self, d: int, x: np.ndarray | None = None) -> float:
        return theory.sparse_loco_alpha(d)

    def _code(self, x: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        x = x.reshape(-1)
        coded, kept = np.zeros_like(x), 0
        for start in range(0, x.size, theory.LOCO_CHUNK):
            piece = x[start : start + theory.LOCO_CHUNK]
            k = _count(self.fraction, piece.size)
            where = np.argpartition(np.abs(piece), piece.size - k)[piece.size - k :]
            coded[start + where] = np.copysign(_two_means(np.abs(piece[where])), piece[where])
            kept += k
        return coded, int(theory.sparse_loco_bits(x.size, kept))


def _two_means(magnitude: np.ndarray) -> np.ndarray:
    """Each magnitude replaced by the mean of those on its side of their mean."""
    large = magnitude > magnitude.mean()
    means = [float(np.float32(magnitude[side].mean())) if side.any() else 0.0 for side in (~large, large)]
    return np.where(large, means[1], means[0])


def _index_bits(d: int, k: int) -> int:
    return math.ceil(log2_binomial(d, k))
