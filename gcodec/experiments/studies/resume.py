"""Training that goes on from a coded checkpoint, beside training that goes on from an exact one.

A model is trained, and its weights and its optimizer's state are saved with each setting. From each
file training goes on with the same batches. In federated averaging it is the clients' updates that
are coded, in each round.
"""

import math
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ... import api
from ...errors import InvalidInput
from ...request.policy import Policy
from ..run import Progress
from ..training import Arrays, Model, Training, embedding_model, transformer

BEFORE = 5  # times as many steps before the checkpoint as after it
CLIENTS, LOCAL = 4, 5  # in federated averaging, and the steps that each takes in a round
EXACT = "exact"
Settings = dict[str, Policy]
CHECKPOINTS: Settings = {
    "weights exact, --alpha 0.01": Policy(alpha=0.01, exact=["model.*"]),
    "--alpha 1e-5": Policy(alpha=1e-5),
    "--alpha 1e-4": Policy(alpha=1e-4),
    "--alpha 1e-3": Policy(alpha=1e-3),
    "--alpha 1e-3, moments exact": Policy(alpha=1e-3, exact=["optimizer.*"]),
}
RUINOUS: Settings = {
    "--alpha '*=1e-4'": Policy(alphas={"*": 1e-4}, lossless=True),
    "--alpha '*=1e-2'": Policy(alphas={"*": 1e-2}, lossless=True),
}
UPDATES: Settings = {f"--alpha {alpha:g}": Policy(alpha=alpha) for alpha in (1e-3, 1e-2, 1e-1)}


@dataclass(frozen=True)
class Task:
    """What is trained, how, and with which settings."""

    model: Callable[[], Model]
    optimizer: str
    rate: float
    settings: Settings
    federated: bool = False


TASKS = {
    "zipf": Task(embedding_model, "adamw", 3e-3, CHECKPOINTS | RUINOUS),
    "transformer": Task(transformer, "adamw", 1e-3, CHECKPOINTS | RUINOUS),
    "momentum": Task(embedding_model, "momentum", 0.3, CHECKPOINTS),
    "federated": Task(embedding_model, "sgd", 1.0, UPDATES, federated=True),
}


@dataclass(frozen=True)
class Run:
    """A run that went on. share: of the bytes, beside uncoded ones. losses: at each step.

    warnings: how many tensors were warned of when the file was made.
    """

    task: str
    setting: str
    share: float
    losses: tuple[float, ...]
    warnings: int = 0


@dataclass(frozen=True)
class Line:
    """A run as a line of the table.

    share: the bytes, in per cent of the uncoded ones. loss: at the end. first, furthest: how far
    the loss is from the exact run's, in per cent of that: at the first step, and where it is
    furthest.
    """

    task: str
    setting: str
    share: float
    loss: float
    first: float
    furthest: float
    warnings: int


def tasks(names: Sequence[str] | None) -> dict[str, Task]:
    """The tasks of these names, or all. Raises InvalidInput."""
    for name in names or ():
        if name not in TASKS:
            raise InvalidInput(f"the task {name!r} is unknown; known are {', '.join(TASKS)}")
    return {name: TASKS[name] for name in names or TASKS}


def measure(chosen: dict[str, Task], steps: int, seed: int, progress: Progress) -> list[Run]:
    """Every task with every setting. steps: after the checkpoint."""
    found: list[Run] = []
    total = sum(len(task.settings) + 1 for task in chosen.values())
    for name, task in chosen.items():
        progress(len(found), total)
        model = task.model()
        first = {f"model.{key}": array for key, array in model.start(np.random.default_rng(seed)).items()}
        training = Training(model, task.optimizer, task.rate, first)
        for number in range(BEFORE * steps):
            training.step(model.tokens(seed, number))
        saved = training.checkpoint()
        go_on = _federate if task.federated else _resume
        for setting, policy in {EXACT: Policy(lossless=True), **task.settings}.items():
            found.append(go_on(name, task, saved, (setting, policy), (steps, seed)))
            progress(len(found), total)
    return found


def lines(runs: Sequence[Run]) -> list[Line]:
    exact = {run.task: run.losses for run in runs if run.setting == EXACT}
    found = []
    for run in runs:
        away = [100 * (loss / own - 1) for loss, own in zip(run.losses, exact[run.task], strict=True)]
        furthest = max(away, key=lambda one: abs(one) if math.isfinite(one) else math.inf)
        found.append(Line(run.task, run.setting, 100 * run.share, run.losses[-1], away[0], furthest, run.warnings))
    return found


def _resume(name: str, task: Task, saved: Arrays, setting: tuple[str, Policy], extent: tuple[int, int]) -> Run:
    """Code the checkpoint, and train from what comes back. extent: (steps, seed)."""
    model, (steps, seed) = task.model(), extent
    back, share, warned = _coded(saved, setting[1])
    training = Training(model, task.optimizer, task.rate, back)
    losses = [training.step(model.tokens(seed, BEFORE * steps + number)) for number in range(steps)]
    return Run(name, setting[0], share, tuple(losses), warned)


def _federate(name: str, task: Task, saved: Arrays, setting: tuple[str, Policy], extent: tuple[int, int]) -> Run:
    """Clients train in rounds from what the server has, and it gets their coded updates.

    The loss is that of a batch that nobody trains on, after each round.
    """
    model, (steps, seed) = task.model(), extent
    server, shares, losses, warned = saved, [], [], 0
    for turn in range(max(steps // LOCAL, 1)):
        total = {key: np.zeros_like(array) for key, array in server.items()}
        for client in range(CLIENTS):
            training = Training(model, task.optimizer, task.rate, server)
            first = BEFORE * steps + (turn * CLIENTS + client) * LOCAL
            for number in range(first, first + LOCAL):
                training.step(model.tokens(seed, number))
            update = {key: array - server[key] for key, array in training.checkpoint().items()}
            back, share, ruined = _coded(update, setting[1])
            total = {key: array + back[key] for key, array in total.items()}
            shares.append(share)
            warned += ruined
        server = {key: array + total[key] / np.float32(CLIENTS) for key, array in server.items()}
        losses.append(Training(model, task.optimizer, task.rate, server).loss(model.tokens(seed + 1, 0)))
    return Run(name, setting[0], math.fsum(shares) / len(shares), tuple(losses), warned)


def _coded(arrays: Arrays, policy: Policy) -> tuple[Arrays, float, int]:
    """What comes back of arrays, the share of their bytes that the file has, and the warnings."""
    with tempfile.TemporaryDirectory(prefix="gcodec-") as folder, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        path = Path(folder, "checkpoint.gcz")
        api.save(path, arrays, policy=policy, threads=1)
        size = path.stat().st_size
        return api.load(path, threads=1), size / sum(array.nbytes for array in arrays.values()), len(told)
