"""The noise of unbiased messages averages out over workers: rounds and bits for 1 to 64 of them.

All workers have the same data, so only their noise differs. The mean of n independent messages has
the constant ω/n, hence γ = 1/((1 + ω/n)L), and theory allows 1 + ω/n times the rounds of exact
descent. With one seed for all workers there would be nothing to average.
"""

from dataclasses import dataclass

import numpy as np

from ..descent import DIVERGED, descend
from ..messages import Coder, Constants, Method, Plain
from ..problems import Problem
from ..run import Progress

GOAL = 1e-4
COUNTS = (1, 2, 4, 8, 16, 32, 64)
METHODS = ("rsd", "dither")
OMEGA = 4.0  # large, so that the noise is felt


@dataclass(frozen=True)
class Line:
    """A run: n workers until ‖x − x*‖² is GOAL of its start.

    predicted, measured: how many times the rounds of exact descent, by theory and in fact.
    kilobytes: what a worker sent, in 1000 bytes. None where the goal was not reached.
    """

    method: str
    omega: float
    workers: int
    rounds: int | None
    predicted: float
    measured: float | None
    kilobytes: float | None


def measure(problem: Problem, omega: float, rounds: int, seed: int, progress: Progress) -> list[Line]:
    """Every method with every number of workers. `problem` has one worker, whose data all share."""
    plain = descend(problem, Plain(), "basic", rounds=rounds, goal=GOAL).round_at(GOAL)
    todo = [(name, count) for name in METHODS for count in COUNTS]
    found = []
    for done, (name, count) in enumerate(todo):
        progress(done, len(todo))
        coder = Method(name, "omega", Constants(omega=omega))
        taken, bits = _run(problem, coder, count, rounds, seed)
        found.append(
            Line(
                method=name,
                omega=omega,
                workers=count,
                rounds=taken,
                predicted=1 + omega / count,
                measured=taken / plain if taken and plain else None,
                kilobytes=bits / 8000 if taken else None,
            )
        )
    progress(len(todo), len(todo))
    return found


def _run(problem: Problem, coder: Coder, workers: int, rounds: int, seed: int) -> tuple[int | None, float]:
    """The rounds until the goal, None if it was missed, and the bits that a worker sent by then."""
    step = 1 / problem.smoothness / (1 + coder.constant(problem.dimension) / workers)
    x, sent = np.zeros(problem.dimension), 0.0
    start = float(problem.solution @ problem.solution)
    for number in range(rounds):
        gradient = problem.gradient(0, x).astype(np.float32)
        messages = [coder.encode(gradient, (seed, worker, number)) for worker in range(workers)]
        x = x - step * np.mean([coder.decode(message.data) for message in messages], axis=0, dtype=np.float64)
        sent += float(np.mean([message.bits for message in messages]))
        distance = float((x - problem.solution) @ (x - problem.solution)) / start
        if not GOAL < distance < DIVERGED:
            return (number + 1 if distance <= GOAL else None), sent
    return None, sent
