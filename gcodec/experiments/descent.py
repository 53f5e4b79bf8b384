"""Compressed gradient descent on one machine: x⁺ = x − γ·C(∇f(x)), the setting of the paper.

The step is the one for which theory proves the rate. A contractive C has γ = 1/L and gains
(1 − α)·γ/2·‖∇f‖² in each round, so it may take 1/(1 − α) times the rounds of exact descent. An
unbiased C has γ = 1/((1 + ω)L) and may take 1 + ω times as many (Beznosikov, Horváth, Richtárik,
Safaryan, arXiv 2002.12410).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..theory import shannon
from .messages import Coder
from .problems import Problem

DIVERGED = 1e6  # a run ends when its distance is so many times that of the start


@dataclass(frozen=True)
class Curve:
    """A run: what was sent, and how near it came.

    distances: ‖x_t − x*‖²/‖x_0 − x*‖² for t = 0, 1, …. bits: the bits sent by then. constant: α, ω
    or 0. slow_down: how many times the rounds of exact descent theory allows.
    """

    label: str
    coder: Coder
    constant: float
    distances: tuple[float, ...]
    bits: tuple[float, ...]

    @property
    def slow_down(self) -> float:
        return shannon.slow_down(self.coder.kind, self.constant)

    def round_at(self, goal: float) -> int | None:
        """The first round after which the distance was at most `goal`. None if there was none."""
        return next((t for t, distance in enumerate(self.distances) if distance <= goal), None)

    def bits_at(self, goal: float) -> float | None:
        """The bits that were sent until then."""
        reached = self.round_at(goal)
        return None if reached is None else self.bits[reached]


def descend(problem: Problem, coder: Coder, label: str, *, rounds: int, goal: float, seed: int = 0) -> Curve:
    """A run from x = 0 on, until the distance is below `goal`, or for at most `rounds` rounds.

    problem: with one worker. Messages are float32 vectors. Random choices follow from the seed.
    """
    constant = coder.constant(problem.dimension)
    step = 1 / problem.smoothness / (1 + constant if coder.kind == "omega" else 1.0)
    x, sent = np.zeros(problem.dimension), 0.0
    start = float(problem.solution @ problem.solution)
    distances, bits = [1.0], [0.0]
    for number in range(rounds):
        message = coder.encode(problem.gradient(0, x).astype(np.float32), (seed, number))
        x = x - step * coder.decode(message.data)
        sent += message.bits
        away = x - problem.solution
        distances.append(float(away @ away) / start)
        bits.append(sent)
        if not goal < distances[-1] < DIVERGED:
            break
    return Curve(label, coder, constant, tuple(distances), tuple(bits))


def best(curves: Iterator[Curve], goal: float) -> Curve:
    """The curve that reached the goal with the fewest bits; else the one that came nearest."""
    return min(curves, key=lambda curve: (curve.bits_at(goal) or np.inf, curve.distances[-1]))
