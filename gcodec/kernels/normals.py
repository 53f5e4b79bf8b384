"""Normal random numbers from integers, by + − × ÷ √ alone.

They are part of the format (spec/arithmetic.md, "Normals").

A 32-bit integer w stands for the probability (w + ½)/2³². The number is the normal distribution's
quantile there, within 10⁻⁹. It is never 0, and at most 6.34 in size.

The middle 85 % use a rational function of the distance from ½. The tails use a rational function of
√(−2 ln m), where m is the probability of the smaller tail. The plan is Wichura's ("Algorithm AS
241", Applied Statistics 37, 1988), the coefficients are our own. The logarithm is the series of
2·artanh.
"""

import numpy as np

from . import rng
from .compiler.jit import njit

MIDDLE = 0.425
LN2 = 0.6931471805599453
# C and D: numerator and denominator of the middle's function of q², the constant term first.
C0, C1, C2, C3, C4 = 2.506628281636, -21.81398043341, 62.00673272975, -61.28943128016, 11.89622159793
D1, D2, D3, D4 = -9.749716102595, 32.64404625926, -42.43263473128, 16.16930722793
# T and U: numerator and denominator of the tails' function of √(−2 ln m).
T0, T1, T2, T3, T4 = -3.032546004172, -5.191146174379, 3.023658871182, 2.714907006056, 0.2716239251117
U1, U2, U3 = 4.197100188284, 2.724524474878, 0.2715191138533


@njit
def quantile(w: int) -> float:
    """The normal number of a 32-bit integer w."""
    q = (float(w) + 0.5) * 2.0**-32 - 0.5
    if -MIDDLE <= q <= MIDDLE:
        t = q * q
        above = C0 + t * (C1 + t * (C2 + t * (C3 + t * C4)))
        below = 1.0 + t * (D1 + t * (D2 + t * (D3 + t * D4)))
        return q * above / below
    m = 0.5 - abs(q)
    halvings = 0
    while m < 0.75:  # at the end m was f / 2^halvings, with f in [0.75, 1.5)
        m *= 2.0
        halvings += 1
    s = (m - 1.0) / (m + 1.0)
    t = s * s
    series = 1.0 + t * (1.0 / 3.0 + t * (0.2 + t * (1.0 / 7.0 + t * (1.0 / 9.0 + t * (1.0 / 11.0 + t * (1.0 / 13.0))))))
    r = np.sqrt(2.0 * (halvings * LN2 - 2.0 * s * series))
    above = T0 + r * (T1 + r * (T2 + r * (T3 + r * T4)))
    below = 1.0 + r * (U1 + r * (U2 + r * U3))
    return above / below if q > 0.0 else -above / below


@njit
def normal_at(key: int, index: int) -> float:
    """Normal number `index` of the stream with this key.

    It comes from half of a random word: the low half for an even index, the high half for an odd
    one.
    """
    word = rng.random_at(key, index >> 1)
    return quantile((word >> (32 * int(index & 1))) & 0xFFFF_FFFF)


@njit
def fill_normals(key: int, index: int, out: np.ndarray) -> float:
    """out[i] = normal_at(key, index + i) for a float64 array.

    Returns Σ out[i]², added in this order.
    """
    total = 0.0
    word = rng.random_at(key, index >> 1)
    for i in range(out.size):
        j = index + i
        if i > 0 and j & 1 == 0:
            word = rng.random_at(key, j >> 1)
        z = quantile((word >> (32 * int(j & 1))) & 0xFFFF_FFFF)
        out[i] = z
        total += z * z
    return total
