"""Passes of sparse dithering over values (float32 or float64), in float64.

`unit` is a power of two: the largest magnitude of the tensor times `unit` is near 1, so no square
over- or underflows. Steps and norms are those of the values times `unit`. A `scale` is that of the
values themselves.
"""

import numpy as np

from .compiler.jit import njit
from .rng import random_at, stream_key, uniform


@njit
def sum_unit_squares(values: np.ndarray, unit: float) -> float:
    """Σ (unit·x)²."""
    total = 0.0
    for i in range(values.size):
        total += (unit * np.float64(values[i])) ** 2
    return total


@njit
def level_moments(values: np.ndarray, unit: float, step: float) -> tuple[float, float]:
    """(Σ |unit·x|·k, Σ k²) with the levels k that `quantise` gives."""
    product, square = 0.0, 0.0
    for i in range(values.size):
        magnitude = unit * abs(np.float64(values[i]))
        level = np.floor(magnitude / step + 0.5)
        product += magnitude * level
        square += level * level
    return product, square


@njit
def quantise(values: np.ndarray, unit: float, step: float, levels: np.ndarray) -> None:
    """levels[i] = sign(x)·⌊|unit·x|/step + ½⌋ (int64)."""
    for i in range(values.size):
        value = unit * np.float64(values[i])
        level = np.int64(abs(value) / step + 0.5)
        levels[i] = -level if value < 0 else level


@njit
def bracket(
    values: np.ndarray, scale: float, largest: float, levels: np.ndarray, lows: np.ndarray, highs: np.ndarray
) -> None:
    """levels[i] = k with lows[i] ≤ |x| ≤ highs[i].

    lows[i] and highs[i] are what levels k and k + 1 decode to in the work dtype. |x|/scale must be
    below 2⁵³. The floor of the rounded quotient is at most one off. Both conditions hold at the
    true floor, since rounding is monotone and leaves |x| as it is.
    """
    for i in range(values.size):
        magnitude = abs(np.float64(values[i]))
        level = float(np.floor(magnitude / scale)) + 1.0
        for _ in range(3):
            lows[i] = min(level * scale, largest)
            if lows[i] <= magnitude:
                break
            level -= 1.0
        highs[i] = min((level + 1.0) * scale, largest)
        levels[i] = np.int64(level)


@njit
def rounding_error(values: np.ndarray, lows: np.ndarray, highs: np.ndarray, unit: float) -> float:
    """Σ (|x| − low)(high − |x|)·unit², the expected squared error of `draw_levels` times unit²."""
    total = 0.0
    for i in range(values.size):
        magnitude = unit * abs(np.float64(values[i]))
        total += (magnitude - unit * np.float64(lows[i])) * (unit * np.float64(highs[i]) - magnitude)
    return total


@njit
def draw_levels(
    values: np.ndarray, lows: np.ndarray, highs: np.ndarray, seed: int, start: int, levels: np.ndarray
) -> None:
    """Add 1 to levels[i] with probability (|x| − low)/(high − low), then give it the sign of x.

    The random number of values[i] is number start + i of stream 0 of the seed. A probability has 53
    bits, so the expectation is |x| up to 2⁻⁵³·(high − low).
    """
    key = stream_key(seed, 0)
    for i in range(values.size):
        low, high = np.float64(lows[i]), np.float64(highs[i])
        part = abs(np.float64(values[i])) - low
        if uniform(random_at(key, start + i)) * (high - low) < part:
            levels[i] += 1
        if values[i] < 0:
            levels[i] = -levels[i]
