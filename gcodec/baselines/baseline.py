"""The contract of a baseline: an operator from the literature, to compare with."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np


class Baseline(ABC):
    """An operator x → C(x) and the bits that its message takes.

    kind "alpha" means E‖C(x) − x‖² ≤ constant·‖x‖² for all x. kind "omega" means that, and E C(x) =
    x.

    Baselines are frozen dataclasses whose fields are their parameters. Random choices come from
    `rng` alone. What the decoder can draw from a shared seed costs no bits. Norms and factors are
    sent as float32 and must lie in its range.
    """

    kind: ClassVar[str]

    def compress(self, x: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        """C(x), with the shape and dtype of the floating-point array x, and its message's bits."""
        coded, bits = self._code(x.astype(np.float64), rng)
        return coded.reshape(x.shape).astype(x.dtype), bits

    @abstractmethod
    def constant(self, d: int, x: np.ndarray | None = None) -> float:
        """The constant of the theorem for d coordinates.

        For a given x it may be smaller, where the theorem says so. It is inf where no theorem
        holds.
        """

    @abstractmethod
    def _code(self, x: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        """`compress` in float64. The result may have any shape."""


def float32_above(value: float) -> float:
    """The least float32 that is not below a value ≥ 0.

    A number up to the value, divided by it, is ≤ 1.
    """
    rounded = np.float32(value)
    return float(rounded if float(rounded) >= value else np.nextafter(rounded, np.float32(np.inf)))
