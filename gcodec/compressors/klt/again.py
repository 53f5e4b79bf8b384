"""`klt` for a tensor much like the one before: its subspace and settings are the first guess."""

from dataclasses import replace

import numpy as np

from ...source import Source
from ..common.quantiser import LARGEST_LEVEL
from ..common.scaled import Scaled
from ..common.step_search import Spending
from .matrix import Matrix
from .search import ROOM, Attempt, Task, is_rounded_finely
from .spectrum import MARGIN, OVERSAMPLE, leading

_LEFT, _TRIES = 0.015, 6  # share of the target that may be left; attempts


def fit_again(before: Attempt, source: Source, bound: float) -> Attempt | None:
    """An attempt by the settings of another one; None where they may not fit.

    One power iteration turns the vectors of before, and some random ones, to the new tensor. Rank
    and step follow from the spectrum that this gives.
    """
    if not is_rounded_finely(source.dtype, bound):
        return None
    matrix = Matrix.of(Scaled.of(source), before.task.matrix.view, bound)
    total = float(matrix.energies()[0].sum())
    target, vectors = bound * total * (1 - ROOM), before.task.spectrum.vectors
    rank, count = before.settings.rank, 0
    while rank > count - OVERSAMPLE and count < matrix.view.most:
        count = min(int(rank * MARGIN) + 2 * OVERSAMPLE, matrix.view.most)
        spectrum = leading(matrix, total, _widened(vectors, count), 1)
        rank, step = spectrum.plan(target)
        vectors = spectrum.vectors
    if spectrum.values[0] > LARGEST_LEVEL / 4 * step:
        return None
    planned = before.task.spectrum.plan(before.task.target)[0]
    rank = min(round(rank * before.settings.rank / planned), spectrum.values.size)
    task = Task(matrix, spectrum, target)
    settings = replace(before.settings, rank=rank, step=step)
    room, tail = task.room(rank), spectrum.tail(rank)

    def trial(step: float) -> tuple[Attempt, float]:
        attempt = Attempt.make(task, settings.with_step(step))
        return attempt, max(attempt.error - tail, 0.0) / room

    found = Spending(trial, 1.0).search(settings.with_step(step).step, min(_LEFT * task.target / room, 0.5), _TRIES)
    return found if found.error <= bound * total else None


def _widened(vectors: np.ndarray, count: int) -> np.ndarray:
    """So many vectors: the leading ones of these, and random ones."""
    known = vectors[:, : max(count - OVERSAMPLE, 1)]
    random = np.random.default_rng(1).standard_normal((len(known), count - known.shape[1]))
    return np.concatenate([known, random], axis=1)
