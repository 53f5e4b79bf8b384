"""The noise of `dither`: how far its paths are from their targets; see compressor.py."""

import math

import numpy as np

_ROUNDING = 2.0**-48  # beside the square of a value: less than (ulp / 2)²
# The distance of subnormal float32 numbers. Rounding to them adds at most a quarter of its square.
_QUANTUM = 2.0**-149

# Upper bounds of E(2^k), k = 0, 1, …, by the number of states: 1/3 and 2/3, then estimates from
# 1.2e8 (with 32 states 4e7) uniform values, plus four standard errors.
_ERRORS = {
    1: (1 / 3,),
    8: (
        1 / 3,
        2 / 3,
        1.2738,
        2.4211,
        4.5777,
        8.7512,
        17.0601,
        33.6785,
        66.9125,
        133.3796,
        266.3136,
        532.1813,
        1063.951,
    ),
    32: (
        1 / 3,
        2 / 3,
        1.3133,
        2.4875,
        4.6408,
        8.7579,
        16.8392,
        32.9834,
        65.2725,
        129.8461,
        259.009,
        517.2798,
        1033.832,
    ),
}


def error_bound(count: int, lanes: int, states: int) -> float:
    """An upper bound of the mean squared error of a chunk, in step². lanes: how many it has.

    It is Σ E(values of the lane); see the module's text.
    """
    short, longer = divmod(count, lanes)
    return (lanes - longer) * _path_error(short, states) + longer * _path_error(short + 1, states)


def _path_error(count: int, states: int) -> float:
    """An upper bound of E(count)."""
    errors = _ERRORS[states]
    top = len(errors) - 1
    parts = [(count >> top) * errors[top]]
    parts += [errors[k] for k in range(top) if count >> k & 1]
    return math.fsum(parts)


def rounding_noise(dtype: np.dtype, expected: float, size: int, energy: float) -> float:
    """What rounding x̂ at random to the dtype adds to E‖x̂ − x‖²/‖x‖², at most.

    expected: the same before, or more. energy: ‖x‖².
    """
    return _ROUNDING * (1 + expected) + size * _QUANTUM**2 / 4 / energy if dtype == np.float32 else 0.0
