"""How far an unbiased code of real numbers stays unbiased when they are rounded to a dtype."""

import math

import numpy as np

from ..common.scaled import Scaled


def expected_in_dtype(expected: float, largest: float, norm: float, values: Scaled) -> float:
    """An upper bound of E‖x̂ − x‖²/‖x‖² after rounding to the dtype.

    expected: the same before rounding.
    largest, norm: no decoded value is beyond `largest`, and ‖x‖ is `norm`, both of the scaled
    values.

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
