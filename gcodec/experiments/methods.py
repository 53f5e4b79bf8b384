"""Distributed gradient descent with compressed messages: who remembers what, and step sizes.

All schemes except EC are one method. Worker i keeps a memory h_i and sends C(∇f_i(x) − h_i). The
server's estimate of the gradient is the mean of h_i + C(∇f_i(x) − h_i). Then h_i moves by
`pace`·C(∇f_i(x) − h_i).

* GD: C is exact.
* DCGD: h_i stays 0, so noise remains at the solution unless all ∇f_i(x*) vanish.
* DIANA has an unbiased C and the pace 1/(1+ω). EF21 has a contractive C and the pace 1. In both,
  h_i learns ∇f_i(x*), and the gap falls to 0.

EC is error feedback. It sends C(e_i + γ∇f_i(x)) and keeps in e_i what was not sent. With a constant
step a gap remains.

Step sizes are those for which theory proves a linear rate for μ-strongly convex f, up to the
remaining noise. L and μ are those of f, and L_i is that of f_i. L̃² = mean L_i², M = max L_i. For a
contractive C, θ = 1 − √α and β = α/(1 − √α).
"""

import math
from dataclasses import dataclass

import numpy as np

from .messages import Coder
from .problems import Problem


@dataclass(frozen=True)
class Scheme:
    """A way to run gradient descent.

    step: γ.
    pace: by which part of what was sent h_i moves.
    feedback: whether a worker remembers errors, as in EC, in place of h_i.
    """

    name: str
    step: float
    pace: float = 0.0
    feedback: bool = False


def gd(problem: Problem) -> Scheme:
    """γ = 1/L."""
    return Scheme("GD", 1 / problem.smoothness)


def dcgd(problem: Problem, omega: float) -> Scheme:
    """γ = 1/(L + 2ωM/n).

    For it E‖g‖² ≤ 2(L + 2ωM/n)·(f − f*) + noise (Gorbunov, Hanzely, Richtárik, arXiv 1905.11261).
    """
    return Scheme("DCGD", 1 / (problem.smoothness + 2 * omega / problem.workers * _most(problem)))


def diana(problem: Problem, omega: float) -> Scheme:
    """γ = 1/(L + 6ωM/n) and the pace 1/(1+ω).

    The rate is 1 − min(γμ, 1/(2(1+ω))) (arXiv 1905.11261, with L kept apart from M).
    """
    step = 1 / (problem.smoothness + 6 * omega / problem.workers * _most(problem))
    return Scheme("DIANA", step, pace=1 / (1 + omega))


def ef21(problem: Problem, alpha: float) -> Scheme:
    """γ = min(1/(L + L̃√(2β/θ)), θ/(2μ)).

    The rate is 1 − γμ (Richtárik, Sokolov, Fatkhullin, arXiv 2106.05203, theorem 2).
    """
    theta, beta = contraction(alpha)
    spread = float(np.sqrt(np.mean(problem.local_smoothness**2)))
    step = 1 / (problem.smoothness + spread * math.sqrt(2 * beta / theta))
    return Scheme("EF21", min(step, theta / (2 * problem.convexity)), pace=1.0)


def ec(problem: Problem, alpha: float) -> Scheme:
    """γ = min(1/(4L), 1/√(96·L·M·β/θ), θ/μ).

    Let x̃ = x − mean e_i. For γ ≤ 1/(4L), ‖x̃⁺ − x*‖² ≤ (1 − γμ/2)‖x̃ − x*‖² − (γ/2)(f − f*) +
    3Lγ‖x − x̃‖² (Stich and Karimireddy, arXiv 1909.05350). Also ‖e_i⁺‖² ≤ (1 − θ)‖e_i‖² +
    βγ²‖∇f_i‖², where mean ‖∇f_i‖² ≤ 4M(f − f*) + noise. Sum these up with weights that grow by at
    most (1 − θ/2)/(1 − θ) in each round. For this γ the errors then add at most (γ/4)(f − f*).
    """
    theta, beta = contraction(alpha)
    error = 1 / math.sqrt(96 * problem.smoothness * _most(problem) * beta / theta)
    return Scheme("EC", min(1 / (4 * problem.smoothness), error, theta / problem.convexity), feedback=True)


def schemes(problem: Problem, coder: Coder) -> list[Scheme]:
    """The schemes that fit a coder's class. The one that reaches the solution comes first."""
    constant = coder.constant(problem.dimension)
    if coder.kind == "alpha":
        return [ef21(problem, constant), ec(problem, constant)]
    if coder.kind == "omega":
        return [diana(problem, constant), dcgd(problem, constant)]
    return [gd(problem)]


def contraction(alpha: float) -> tuple[float, float]:
    """(θ, β) with ‖C(v) − v‖² ≤ (1 − θ)‖v‖² in the sense of EF21's recursion."""
    root = math.sqrt(alpha)
    return 1 - root, alpha / (1 - root)


def _most(problem: Problem) -> float:
    return float(problem.local_smoothness.max())
