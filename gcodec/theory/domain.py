"""Checks of the arguments: where the formulas hold. All modules here share them."""

import math


def check_dimension(d: int) -> None:
    """Raise ValueError unless d is a whole number of coordinates, at least 1."""
    if not (1 <= d < 2**63 and d == math.floor(d)):
        raise ValueError(f"the dimension must be a whole number from 1 to 2^63 - 1, not {d}")


def check_alpha(alpha: float) -> None:
    """Raise ValueError unless 0 < alpha <= 1 (NaN fails)."""
    if not 0 < alpha <= 1:
        raise ValueError(f"alpha must be above 0 and at most 1, not {alpha}")


def check_omega(omega: float) -> None:
    """Raise ValueError unless omega is positive and finite (NaN fails)."""
    if not 0 < omega < math.inf:
        raise ValueError(f"omega must be positive and finite, not {omega}")


def check_whole(value: float, what: str, least: int, most: int) -> None:
    """Raise ValueError unless `value` is a whole number from `least` to `most` (NaN fails)."""
    if not (least <= value <= most and value == math.floor(value)):
        raise ValueError(f"{what} must be a whole number from {least} to {most}, not {value}")
