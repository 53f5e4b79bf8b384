"""Theory beside measurement: what the methods need on Gaussian data at many errors.

Gaussian data is the hardest of its variance. For methods with the guarantee alpha, this is the
trade-off of bits and error. For unbiased methods it is what counts in training: bits times the
slow-down 1 + ω.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ...comparison.measure import Subject, Task, measure
from ...compressors import registry
from ...distortion import scan_source
from ...source import ArraySource
from ...theory import shannon
from ...theory.report import METHOD

SIZE = 1 << 15
ALPHAS = (0.7, 0.5, 0.35, 0.25, 0.15, 0.1, 0.05, 0.03, 0.01, 0.003, 0.001)
OMEGAS = (0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True)
class Point:
    """A measurement.

    guarantee, bound: the class and the bound that were asked for.
    rate, distortion: the bits per coordinate, and the distortion that was reached.
    """

    method: str
    guarantee: str
    bound: float
    rate: float
    distortion: float

    @property
    def slowed_rate(self) -> float:
        """(1 + ω)·rate, for a bound ω."""
        return (1 + self.bound) * self.rate


def measure_all(seed: int = 0, progress: Callable[[int, int], None] = lambda done, total: None) -> list[Point]:
    """Every method at every bound on one vector of SIZE Gaussian numbers."""
    values = np.random.default_rng(seed).standard_normal(SIZE).astype(np.float32)
    scan = scan_source("", ArraySource(values), "refuse")
    assert scan is not None
    subject = Subject("", values, scan)
    points: list[Point] = []
    todo = list(_tasks())
    for task, bound in todo:
        progress(len(points), len(todo))
        found = measure(subject, task)
        points.append(Point(task.name, task.kind, bound, found.bits / SIZE, found.distortion))
    progress(len(todo), len(todo))
    return points


def _tasks() -> Iterator[tuple[Task, float]]:
    for entry in registry.entries():
        if entry.matrix:  # what is measured is a vector
            continue
        for kind in entry.load().kinds:
            bounds = {"alpha": ALPHAS, "omega": OMEGAS}.get(kind, ())
            for bound in bounds:
                alpha = bound if kind == "alpha" else shannon.alpha_of_omega(bound)
                yield Task(METHOD, entry.name, kind, alpha), bound
