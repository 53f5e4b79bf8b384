"""`klt` for a tensor much like the one before: its subspace and settings are the first guess."""

import math
from dataclasses import dataclass, replace

import numpy as np

from ...source import Source
from ..common.quantiser import LARGEST_LEVEL
from ..common.scaled import Scaled
from ..common.step_search import Spending
from .attempt import Attempt, Begun, Settings, Task, trial_of
from .factors import View
from .matrix import Matrix
from .search import FINE, FORESEEN, ROOM, roundings
from .spectrum import OVERSAMPLE, followed

_WIDER = 1.15  # the first subspace is so many times as wide as the last rank
_LEFT, _TRIES = 0.03, 6  # share of what the target leaves for the second factor that may be left; attempts
_NEAR = 1.4  # the quotient of the steps of both factors is smaller, if it was foretold
_SAMPLE, _AIM = 1 << 13, 0.985  # levels that foretell an error, and what is aimed at


@dataclass(frozen=True)
class Start:
    """What the next tensor begins with.

    vectors: of the subspace. higher, coarser: what rank and step were, divided by what the spectrum
    had them planned as.
    """

    view: View
    vectors: np.ndarray
    settings: Settings
    higher: float
    coarser: float

    @classmethod
    def of(cls, attempt: Attempt) -> "Start":
        spectrum, settings = attempt.task.spectrum, attempt.settings
        rank, step = spectrum.plan(attempt.task.target)
        quotients = settings.rank / rank, settings.step / step
        return cls(attempt.task.matrix.view, spectrum.vectors, settings, *quotients)


def fit_again(before: Start, source: Source, bound: float) -> tuple[Attempt, Start] | None:
    """(an attempt by the settings of another one, the next start); None where they may not fit.

    Power iterations turn the vectors of before to the new tensor. Rank and step follow from the
    spectrum that this gives. Some rows of the second factor foretell its step.
    """
    matrix = Matrix.of(Scaled.of(source), before.view, bound)
    total = matrix.energy()
    if bound <= FINE or roundings(matrix.scaled, total) > FORESEEN * bound:
        return None
    target = bound * total * (1 - ROOM)
    count = int(before.settings.rank * _WIDER) + OVERSAMPLE
    spectrum = followed(matrix, total, before.vectors[:, :count], target)
    rank, planned = spectrum.plan(target)
    if spectrum.values[0] > LARGEST_LEVEL / 4 * planned:
        return None
    rank = min(round(rank * min(before.higher, 1.0)), spectrum.values.size)
    task, settings = Task(matrix, spectrum, target), replace(before.settings, rank=rank)
    step = planned * before.coarser
    for _ in range(2):
        begun = Begun.of(task, settings.with_step(step))
        step = begun.foretold(_SAMPLE, _AIM)
        if 1 / _NEAR < step / begun.settings.step < _NEAR:
            break
    trial = trial_of(task, begun.settings, math.inf, begun)
    found = Spending(trial, 1.0).search(step, _LEFT, _TRIES).settled()
    if found.error > bound * total:
        return None
    coarser = found.settings.step / planned
    return found, replace(before, vectors=spectrum.vectors, settings=found.settings, coarser=coarser)
