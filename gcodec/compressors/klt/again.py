"""`klt` for a tensor much like the one before: its subspace and settings are the first guess."""

from dataclasses import replace

import numpy as np

from ...source import Source
from ..common.quantiser import LARGEST_LEVEL
from ..common.scaled import Scaled
from ..common.step_search import Spending
from .attempt import Attempt, Task, trial_of
from .matrix import Matrix
from .search import FINE, FORESEEN, ROOM, roundings
from .spectrum import MARGIN, OVERSAMPLE, leading, random

_LEFT, _TRIES = 0.015, 6  # share of the target that may be left; attempts
_NEAR = 1.15  # steps whose quotient is smaller share the first factor


def fit_again(before: Attempt, source: Source, bound: float) -> Attempt | None:
    """An attempt by the settings of another one; None where they may not fit.

    One power iteration turns the vectors of before, and some random ones, to the new tensor. Rank
    and step follow from the spectrum that this gives.
    """
    matrix = Matrix.of(Scaled.of(source), before.task.matrix.view, bound)
    total = matrix.energy()
    if bound <= FINE or roundings(matrix.scaled, total) > FORESEEN * bound:
        return None
    target, vectors = bound * total * (1 - ROOM), before.task.spectrum.vectors
    rank, count = before.settings.rank, 0
    while rank > count - OVERSAMPLE and count < matrix.view.most:
        count = min(int(rank * MARGIN) + 2 * OVERSAMPLE, matrix.view.most)
        spectrum = leading(matrix, total, _widened(vectors, count), 1)
        rank, step = spectrum.plan(target)
        if rank > count - OVERSAMPLE:
            rank, vectors = spectrum.extended().plan(target)[0], spectrum.vectors
    if spectrum.values[0] > LARGEST_LEVEL / 4 * step:
        return None
    planned = before.task.spectrum.plan(before.task.target)
    rank = min(round(rank * before.settings.rank / planned[0]), spectrum.values.size)
    step *= before.settings.step / planned[1]
    task = Task(matrix, spectrum, target)
    settings = replace(before.settings, rank=rank, step=step)
    tolerance = min(_LEFT * target / task.room(rank), 0.5)
    found = Spending(trial_of(task, settings, _NEAR), 1.0).search(settings.with_step(step).step, tolerance, _TRIES)
    return found.settled() if found.error <= bound * total else None


def _widened(vectors: np.ndarray, count: int) -> np.ndarray:
    """So many vectors: the leading ones of these, and random ones."""
    known = vectors[:, : max(count - OVERSAMPLE, 1)]
    return np.concatenate([known, random(1, len(known), count - known.shape[1])], axis=1)
