"""Which bound costs the fewest bits in training: α and ω from small to large, at one accuracy.

A fine message costs bits, a coarse one rounds. By theory an unbiased method needs (1 + ω)·rate(ω)
times d bits for each round of exact descent. For `rsd` that is least at ω = 0.243.
"""

from dataclasses import dataclass

from ..descent import Curve, descend
from ..messages import Constants, Method, Plain
from ..problems import Problem
from ..run import Progress

GOAL = 1e-4
ALPHAS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9)
OMEGAS = (0.02, 0.04, 0.08, 0.12, 0.18, 0.25, 0.35, 0.5, 0.8, 1.3, 2.0, 4.0)
METHODS = {"alpha": ("sd", "tcq"), "omega": ("rsd", "dither")}


@dataclass(frozen=True)
class Line:
    """A method at one bound, until ‖x − x*‖² is GOAL of its start.

    rate: bits per coordinate of a message, on average. plain_rounds: the rounds of exact descent.
    bits: per coordinate, of all messages together. None where the goal was not reached.
    """

    method: str
    guarantee: str
    bound: float
    rate: float
    rounds: int | None
    plain_rounds: int
    bits: float | None


def measure(problem: Problem, rounds: int, seed: int, progress: Progress) -> list[Line]:
    """Every method at every bound, on a problem with one worker."""
    plain = descend(problem, Plain(), "basic", rounds=rounds, goal=GOAL).round_at(GOAL) or rounds
    bounds = {"alpha": ALPHAS, "omega": OMEGAS}
    todo = [(name, kind, bound) for kind, names in METHODS.items() for name in names for bound in bounds[kind]]
    found = []
    for done, (name, kind, bound) in enumerate(todo):
        progress(done, len(todo))
        coder = Method(name, kind, Constants(**{kind: bound}))
        curve = descend(problem, coder, name, rounds=rounds, goal=GOAL, seed=seed)
        found.append(_line(curve, bound, problem.dimension, plain))
    progress(len(todo), len(todo))
    return found


def _line(curve: Curve, bound: float, d: int, plain: int) -> Line:
    sent = curve.bits_at(GOAL)
    return Line(
        method=curve.label,
        guarantee=curve.coder.kind,
        bound=bound,
        rate=curve.bits[-1] / (len(curve.bits) - 1) / d,
        rounds=curve.round_at(GOAL),
        plain_rounds=plain,
        bits=None if sent is None else sent / d,
    )
