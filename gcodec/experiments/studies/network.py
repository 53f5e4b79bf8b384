"""A small neural network by error feedback: its loss against what each worker sends.

64 → 64 → 10 units on the shipped digits, 4 workers, each with its own minibatch in each round. With
feedback a worker sends C(e + γ·gradient), tensor by tensor, and keeps in e what was not sent. This
is not convex and no theorem gives the step: all methods have the same, tuned for none of them.
"""

from dataclasses import dataclass

import numpy as np

from ...compressors import registry
from ..messages import Coder, Constants, Method, Operator, Plain
from ..problems import shipped
from ..run import Progress

HIDDEN, CLASSES, WORKERS, BATCH, STEP = 64, 10, 4, 64, 0.2
EVERY = 5  # rounds between two measurements
TESTED = 360  # rows at the end that no worker trains on
METHODS = ("sd", "tcq", "klt")  # each runs at the α that was asked for
COARSE_METHODS, COARSE = ("tcq", "klt"), 0.7  # error feedback bears large errors
KNOWN = ("sparseloco", "scaled-sign", "powersgd")
Tensors = list[np.ndarray]


@dataclass(frozen=True)
class Run:
    """A run.

    alpha: None for exact messages and known operators. losses: on the rows trained on. kilobytes:
    sent by a worker until then, in 1000 bytes. Both are given every EVERY rounds. accuracy: at the
    end, on rows that were not trained on.
    """

    method: str
    alpha: float | None
    losses: tuple[float, ...]
    kilobytes: tuple[float, ...]
    accuracy: float


@dataclass(frozen=True)
class Line:
    """A run as a line of the table. fewer: how many times fewer bytes than exact messages."""

    method: str
    alpha: float | None
    kilobytes: float
    fewer: float
    loss: float
    accuracy: float


def measure(alpha: float, rounds: int, seed: int, progress: Progress) -> list[Run]:
    """Every method: gcodec's at α, known operators with their usual parameters."""
    features, labels = shipped("digits")
    classes = np.unique(labels, return_inverse=True)[1]
    order = np.random.default_rng(seed).permutation(len(classes))
    data = features[order], classes[order]
    asked = [(name, alpha) for name in METHODS] + [(name, COARSE) for name in COARSE_METHODS]
    coders: list[tuple[str, float | None, Coder]] = [("basic", None, Plain())]
    coders += [(name, bound, Method(name, "alpha", Constants(alpha=bound))) for name, bound in asked]
    coders += [(name, None, Operator(name)) for name in KNOWN]
    found = []
    for done, (name, bound, coder) in enumerate(coders):
        progress(done, len(coders))
        found.append(Run(name, bound, *_train(coder, data, rounds, seed)))
    progress(len(coders), len(coders))
    return found


def label(run: Run) -> str:
    """The method and its α, as text."""
    return run.method if run.alpha is None else f"{run.method}, α = {run.alpha:g}"


def lines(runs: list[Run]) -> list[Line]:
    whole = runs[0].kilobytes[-1]
    return [
        Line(run.method, run.alpha, run.kilobytes[-1], whole / run.kilobytes[-1], run.losses[-1], run.accuracy)
        for run in runs
    ]


def _train(
    coder: Coder, data: tuple[np.ndarray, np.ndarray], rounds: int, seed: int
) -> tuple[tuple[float, ...], tuple[float, ...], float]:
    """The losses, kilobytes and accuracy of a Run."""
    features, classes = data
    train = slice(None, -TESTED)
    rng = np.random.default_rng(seed)
    weights = _start(features.shape[1], rng)
    memory = [[np.zeros_like(tensor) for tensor in weights] for _ in range(WORKERS)]
    losses, kilobytes, bits = [_loss(weights, features[train], classes[train])], [0.0], 0.0
    for number in range(rounds):
        total = [np.zeros_like(tensor) for tensor in weights]
        for worker in range(WORKERS):
            rows = rng.integers(0, len(classes) - TESTED, BATCH)
            gradient = _gradient(weights, features[rows], classes[rows])
            for t, part in enumerate(gradient):
                wanted = memory[worker][t] + STEP * part
                sent, cost = _send(coder, wanted, (seed, worker, number, t))
                memory[worker][t] = wanted - sent
                total[t] += sent / WORKERS
                bits += cost / WORKERS
        weights = [tensor - change for tensor, change in zip(weights, total, strict=True)]
        if (number + 1) % EVERY == 0:
            losses.append(_loss(weights, features[train], classes[train]))
            kilobytes.append(bits / 8000)
    guess = _scores(weights, features[-TESTED:])[1].argmax(axis=1)
    return tuple(losses), tuple(kilobytes), float((guess == classes[-TESTED:]).mean())


def _send(coder: Coder, wanted: np.ndarray, stamp: tuple[int, ...]) -> tuple[np.ndarray, float]:
    """What arrives of a tensor, and its bits. Vectors go exactly if the method is for matrices."""
    values = wanted.astype(np.float32)
    if values.ndim < 2 and isinstance(coder, Method) and registry.by_name(coder.name).matrix:
        return values.astype(float), 32.0 * values.size
    message = coder.encode(values, stamp)
    return coder.decode(message.data).reshape(values.shape).astype(float), float(message.bits)


def _start(inputs: int, rng: np.random.Generator) -> Tensors:
    first = rng.standard_normal((HIDDEN, inputs)) / np.sqrt(inputs)
    second = rng.standard_normal((CLASSES, HIDDEN)) / np.sqrt(HIDDEN)
    return [first, np.zeros(HIDDEN), second, np.zeros(CLASSES)]


def _scores(weights: Tensors, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The hidden units, and the scores of the classes."""
    first, offset, second, last = weights
    hidden = np.maximum(rows @ first.T + offset, 0)
    return hidden, hidden @ second.T + last


def _loss(weights: Tensors, rows: np.ndarray, classes: np.ndarray) -> float:
    """The mean cross-entropy, in nats."""
    scores = _scores(weights, rows)[1]
    top = scores.max(axis=1, keepdims=True)
    logs = np.log(np.exp(scores - top).sum(axis=1)) + top[:, 0]
    return float((logs - scores[np.arange(len(classes)), classes]).mean())


def _gradient(weights: Tensors, rows: np.ndarray, classes: np.ndarray) -> Tensors:
    """The gradient of the mean cross-entropy, as tensors like the weights."""
    hidden, scores = _scores(weights, rows)
    chances = np.exp(scores - scores.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    chances[np.arange(len(classes)), classes] -= 1
    chances /= len(classes)
    back = (chances @ weights[2]) * (hidden > 0)
    return [back.T @ rows, back.sum(axis=0), chances.T @ hidden, chances.sum(axis=0)]
