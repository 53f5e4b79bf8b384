"""PowerSGD: a matrix as the product of two thin ones."""

from dataclasses import dataclass

import numpy as np

from .baseline import Baseline


@dataclass(frozen=True)
class PowerSgd(Baseline):
    """PowerSGD: X ≈ P·(XᵀP)ᵀ, where X is an m×n matrix: the first axis × all others.

    P is an orthonormal basis of X·Q, where Q is random and Gaussian and has `rank` columns. Both
    factors are sent as float32 in 32·rank·(m + n) bits; X itself is sent when that is less. This is
    one step of the power method from a random start, as in the first round of PowerSGD (arXiv
    1905.13727). There is no earlier round to start from.
    """

    rank: int = 4
    kind = "alpha"

    def constant(self, d: int, x: np.ndarray | None = None) -> float:
        """1 in general, as a projection never adds error, and less for a given x.

        For singular values σ and each j ≤ r − 2, E‖X − PPᵀX‖² ≤ (1 + j/(r−j−1))·Σ_{i>j} σ_i²
        (Halko, Martinsson, Tropp, SIAM Review 53 (2011), theorem 10.5).
        """
        if x is None or not np.any(x):
            return 1.0
        energy = np.linalg.svd(_matrix(x.astype(np.float64)), compute_uv=False) ** 2
        ranks = range(min(self.rank - 1, energy.size))
        bounds = [(1 + j / (self.rank - j - 1)) * np.sum(energy[j:]) / np.sum(energy) for j in ranks]
        return float(min([1.0, *bounds]))

    def _code(self, x: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        matrix = _matrix(x)
        m, n = matrix.shape
        if self.rank * (m + n) >= m * n:
            return x.astype(np.float32), 32 * x.size
        basis = np.linalg.qr(matrix @ rng.standard_normal((n, self.rank)))[0].astype(np.float32).astype(np.float64)
        factor = (matrix.T @ basis).astype(np.float32).astype(np.float64)
        return basis @ factor.T, 32 * self.rank * (m + n)


def _matrix(x: np.ndarray) -> np.ndarray:
    return x.reshape(x.shape[0], -1) if x.ndim else x.reshape(1, 1)
