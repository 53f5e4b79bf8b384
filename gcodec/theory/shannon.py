"""The lowest rates for a vector about which nothing is known, and what simple codes lose to them.

Scaling ties the two classes of guarantee together: if C is unbiased with constant ω, then C/(1+ω)
is contractive with constant ω/(1+ω). So each rate is given for both classes.
"""

import math

from .domain import check_alpha, check_omega

# ½·log2(2πe/12): the bits per coordinate that a uniform scalar quantiser with an ideal entropy code
# loses at fine steps, because its cells are cubes.
CUBIC_LOSS = 0.5 * math.log2(2 * math.pi * math.e / 12)


def alpha_of_omega(omega: float) -> float:
    """ω/(1+ω), the contraction constant of C/(1+ω) for an unbiased C with constant ω.

    Raises ValueError unless ω is positive and finite.
    """
    check_omega(omega)
    return omega / (1 + omega)


def omega_of_alpha(alpha: float) -> float:
    """α/(1−α), the inverse of `alpha_of_omega`. It is infinite for α = 1.

    Raises ValueError unless 0 < α ≤ 1.
    """
    check_alpha(alpha)
    return alpha / (1 - alpha) if alpha < 1 else math.inf


def slow_down(kind: str, constant: float) -> float:
    """1/(1−α), or 1 + ω: how many times the rounds of gradient descent with exact messages.

    kind: "alpha" or "omega"; any other kind, of an exact message, has the constant 0. It is
    infinite for α = 1. Source: Beznosikov, Horváth, Richtárik, Safaryan, arXiv 2002.12410.
    """
    if kind != "alpha":
        return 1 + constant
    return 1 / (1 - constant) if constant < 1 else math.inf


def contractive_rate(alpha: float) -> float:
    """½·log2(1/α) bits per coordinate: Shannon's rate of a Gaussian source at distortion α.

    It is also the uncertainty principle of Safaryan, Shulgin and Richtárik (arXiv 2002.08958):
    α·4^(b/d) ≥ 1 for any operator of b bits with E‖C(x) − x‖² ≤ α‖x‖² for all x.
    Raises ValueError unless 0 < α ≤ 1.
    """
    check_alpha(alpha)
    return max(0.0, -0.5 * math.log2(alpha))  # no −0


def unbiased_rate(omega: float) -> float:
    """½·log2((1+ω)/ω) bits per coordinate: the `contractive_rate` of C/(1+ω) for an unbiased C.

    Raises ValueError unless ω is positive and finite.
    """
    check_omega(omega)
    return 0.5 * math.log1p(1 / omega) / math.log(2)


def scalar_rate(alpha: float) -> float:
    """Bits per coordinate of a uniform scalar quantiser with an ideal entropy code on Gaussian
    data.

    The value is ½·log2(1/α) + ½·log2(2πe/12), what the rate tends to as α → 0. At coarse steps the
    loss is smaller. Raises ValueError unless 0 < α ≤ 1.
    """
    return contractive_rate(alpha) + CUBIC_LOSS
