"""One run of a problem, a coder and a scheme: rounds on some backend, until the gap is small.

In each round the server sends x, every worker answers with a message, and the server makes a step.
Only the workers' messages are counted, since a broadcast is cheap and the many-to-one direction is
the bottleneck. A run depends on its Job alone, not on the backend.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .messages import Coder, Message
from .methods import Scheme
from .problems import Problem, Setting

TARGET = 1e-9  # the gap at which a run is over
Progress = Callable[[int, int], None]  # is called with how much is done, and how much there is

# An Exchange takes x and the number of the round, and gives the workers' messages in order.
Exchange = Callable[[np.ndarray, int], list[Message]]


@dataclass(frozen=True)
class Job:
    """All that a worker process needs to know."""

    setting: Setting
    coder: Coder
    scheme: Scheme


@dataclass(frozen=True)
class Trace:
    """What happened in the rounds k = 0, 1, ….

    gaps: f(x_k) − f*.
    bits: the bits that a worker had sent by then, as a mean over workers.
    """

    gaps: tuple[float, ...]
    bits: tuple[float, ...]

    def bits_to(self, gap: float) -> float | None:
        """The bits that a worker sent until the gap first was this small. None if it never was."""
        return next((sent for found, sent in zip(self.gaps, self.bits, strict=True) if found <= gap), None)


class Backend(Protocol):
    """The place where workers live. `session` sets them up for a job."""

    def session(self, job: Job, problem: Problem) -> AbstractContextManager[Exchange]: ...


class Threads:
    """Workers as threads of this process."""

    def __init__(self, threads: int) -> None:
        self._threads = threads

    @contextmanager
    def session(self, job: Job, problem: Problem) -> Iterator[Exchange]:
        workers = [Worker(problem, i, job) for i in range(problem.workers)]
        with ThreadPoolExecutor(self._threads) as pool:
            yield lambda x, number: list(pool.map(lambda worker: worker.message(x, number), workers))


class Worker:
    """Worker `index`: its part of the data, and what it remembers."""

    def __init__(self, problem: Problem, index: int, job: Job) -> None:
        self._problem, self._index, self._job = problem, index, job
        self._memory = np.zeros(problem.dimension)  # h_i, or e_i with feedback

    def message(self, x: np.ndarray, number: int) -> Message:
        scheme, coder = self._job.scheme, self._job.coder
        gradient = self._problem.gradient(self._index, x)
        wanted = self._memory + scheme.step * gradient if scheme.feedback else gradient - self._memory
        message = coder.encode(wanted.astype(np.float32), (self._job.setting.seed, self._index, number))
        sent = coder.decode(message.data)
        self._memory = wanted - sent if scheme.feedback else self._memory + scheme.pace * sent
        return message


def run(job: Job, problem: Problem, backend: Backend, rounds: int) -> Trace:
    """Do at most `rounds` rounds from x = 0 on.

    A run ends earlier at TARGET, or when it diverges.
    """
    scheme = job.scheme
    x, memory, sent = np.zeros(problem.dimension), np.zeros(problem.dimension), 0.0
    gaps, bits = [problem.gap(x)], [0.0]
    with backend.session(job, problem) as exchange:
        for number in range(rounds):
            messages = exchange(x, number)
            mean = sum(job.coder.decode(message.data).astype(np.float64) for message in messages) / len(messages)
            x = x - mean if scheme.feedback else x - scheme.step * (memory + mean)
            memory = memory + scheme.pace * mean
            sent += sum(message.bits for message in messages) / len(messages)
            gaps.append(problem.gap(x))
            bits.append(sent)
            if not TARGET < gaps[-1] < 1e6 * gaps[0]:
                break
    return Trace(tuple(gaps), tuple(bits))
