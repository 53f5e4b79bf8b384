"""Both directions compressed: workers send changes of gradients, the server those of its model.

The workers know a model w. Each round the server sends C_s(x − w), which all add to w. Worker i
sends C(∇f_i(w) − g_i) and adds it to g_i, and the server steps: x⁺ = x − γ·mean g_i.

The step is proven to converge at the rate 1 − γμ. Let Δ = x⁺ − x, e = ‖w − x‖², G = mean
‖g_i − ∇f_i(w)‖². Let θ, β be those of `methods._contraction` for C, and θs, βs those for C_s. Then

    f(x⁺) ≤ f(x) − (γ/2)‖∇f(x)‖² − (1/(2γ) − L/2)‖Δ‖² + γG + γL²e
    e⁺ ≤ (1 − θs)e + βs‖Δ‖²
    G⁺ ≤ (1 − θ)G + K(e + ‖Δ‖²),    K = 2βL̃²(1 + √αs)²

since w moves by C_s(x⁺ − w), no longer than (1 + √αs)(‖Δ‖ + √e). With γμ ≤ min(θ, θs)/2 the sum
f − f* + aG + ce shrinks for a = 2γ/θ and c = 2γ(L² + 2K/θ)/θs, if 1 ≥ Lγ + Aγ² with
A = 4K/θ + 4βs(L² + 2K/θ)/θs. So γ = min(1/(L + √A), min(θ, θs)/(2μ)).
"""

import math
from dataclasses import dataclass

import numpy as np

from ..messages import Coder, Constants, Method, Plain
from ..methods import contraction
from ..problems import Problem
from ..run import Progress

GOAL = 1e-6  # a run is over when the gap f(x) − f* is so many times that of the start
PAIRS = (("basic", "basic"), ("sd", "basic"), ("sd", "sd"), ("tcq", "tcq"))  # (workers, server)


@dataclass(frozen=True)
class Run:
    """A run, round by round.

    gaps: (f(x_t) − f*)/(f(x_0) − f*). up, down: the bits that a worker sent and got by then.
    """

    workers: str
    server: str
    step: float
    gaps: tuple[float, ...]
    up: tuple[float, ...]
    down: tuple[float, ...]


@dataclass(frozen=True)
class Line:
    """A run as a line of the table, in kilobytes of 1000 bytes for each worker until GOAL."""

    workers: str
    server: str
    step: float
    rounds: int | None
    up: float | None
    down: float | None
    total: float | None


def measure(problem: Problem, alpha: float, rounds: int, seed: int, progress: Progress) -> list[Run]:
    """Every pair of methods, at one α for both directions."""
    found = []
    for done, (workers, server) in enumerate(PAIRS):
        progress(done, len(PAIRS))
        found.append(_run(problem, (workers, _coder(workers, alpha)), (server, _coder(server, alpha)), rounds, seed))
    progress(len(PAIRS), len(PAIRS))
    return found


def lines(runs: list[Run]) -> list[Line]:
    found = []
    for run in runs:
        at = next((t for t, gap in enumerate(run.gaps) if gap <= GOAL), None)
        up, down = (None, None) if at is None else (run.up[at] / 8000, run.down[at] / 8000)
        total = None if up is None or down is None else up + down
        found.append(Line(run.workers, run.server, run.step, at, up, down, total))
    return found


def step_of(problem: Problem, workers: float, server: float) -> float:
    """γ for the constants α of the workers' messages and of the server's."""
    (theta, beta), (theta_s, beta_s) = contraction(workers), contraction(server)
    smooth, local2 = problem.smoothness, float(np.mean(problem.local_smoothness**2))
    moved = 2 * beta * local2 * (1 + math.sqrt(server)) ** 2
    square = 4 * moved / theta + 4 * beta_s * (smooth**2 + 2 * moved / theta) / theta_s
    return min(1 / (smooth + math.sqrt(square)), min(theta, theta_s) / (2 * problem.convexity))


def _coder(name: str, alpha: float) -> Coder:
    return Plain() if name == "basic" else Method(name, "alpha", Constants(alpha=alpha))


def _run(problem: Problem, workers: tuple[str, Coder], server: tuple[str, Coder], rounds: int, seed: int) -> Run:
    n, d, up_coder, down_coder = problem.workers, problem.dimension, workers[1], server[1]
    step = step_of(problem, up_coder.constant(d), down_coder.constant(d))
    x, known, memory = np.zeros(d), np.zeros(d), np.zeros((n, d))
    start = problem.gap(x)
    gaps, up, down = [1.0], [0.0], [0.0]
    for number in range(rounds):
        message = down_coder.encode((x - known).astype(np.float32), (seed, n, number))
        known = known + down_coder.decode(message.data)
        down.append(down[-1] + message.bits)
        sent = 0.0
        for i in range(n):
            reply = up_coder.encode((problem.gradient(i, known) - memory[i]).astype(np.float32), (seed, i, number))
            memory[i] += up_coder.decode(reply.data)
            sent += reply.bits / n
        up.append(up[-1] + sent)
        x = x - step * memory.mean(axis=0)
        gaps.append(problem.gap(x) / start)
        if not GOAL / 10 < gaps[-1] < 1e6:
            break
    return Run(workers[0], server[0], step, tuple(gaps), tuple(up), tuple(down))
