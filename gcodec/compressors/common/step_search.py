"""Closed-loop search for the quantiser step that spends the whole of a bound on distortion."""

import math
from collections.abc import Callable
from typing import Generic, TypeVar

_NARROW = 1e-6  # log width of a bracket that is not worth dividing again
_STRIDE = math.log(4.0)  # the longest move until both sides of the target are known
_FLATTEST, _STEEPEST = 0.25, 2.0  # of the error as a power of the step, while only one side is known
_TINY = 1e-300  # stands for an error of 0, which has no logarithm

Point = tuple[float, float]  # logarithms of a step and of its distortion
Trial = TypeVar("Trial")


def solve_step(
    distortion: Callable[[float], float],
    target: float,
    start: float,
    tolerance: float = 0.002,
    limit: int = 24,
) -> float:
    """A step whose distortion lies in [(1 − tolerance)·target, target]; 0 when no step met the target.

    `distortion` maps a step to the measured relative squared error. At small steps it grows like step²; it may jump
    (few distinct values) and need not be exactly monotone. `start` is a positive first guess. At most `limit` steps
    are tried; when none falls in the interval, the tried step with the largest distortion not above the
    target is returned. What a result of 0 means (a target below what rounding allows) is for the caller to decide.

    The next try is where a line, in logarithms, meets the middle of the interval: the line through the nearest
    measurements on both sides of the target, or through the last two on the only side that is known. When one side
    has not moved twice in a row the bracket is halved, which bounds the number of tries for functions with jumps.
    """
    aim = math.log(target * (1 - tolerance / 2))
    best, best_distortion = 0.0, -1.0
    ends: list[Point | None] = [None, None]  # below and above the target
    step, side, repeats = start, -1, 0
    before: Point | None = None
    for _ in range(limit):
        measured = distortion(step)
        if best_distortion < measured <= target:
            best, best_distortion = step, measured
            if measured >= target * (1 - tolerance):
                break
        last, side = side, int(measured > target)
        repeats = repeats + 1 if side == last else 0
        point = math.log(step), math.log(max(measured, _TINY))
        ends[side] = point
        below, above = ends
        if below and above:
            if abs(above[0] - below[0]) < _NARROW:
                break
            step = math.exp(_between(below, above, aim) if repeats < 2 else (below[0] + above[0]) / 2)
        else:
            step = math.exp(_beyond(before, point, aim))
        before = point
    return best


class Spending(Generic[Trial]):
    """A closed loop over steps; of all trials only the one that may be its result is kept."""

    def __init__(self, trial: Callable[[float], tuple[Trial, float]], target: float) -> None:
        """trial: step → what was tried, and its error."""
        self._trial = trial
        self._target = target
        self._most = -1.0  # the largest error within the target
        self._finest = float("inf")
        self._result: Trial | None = None

    def search(self, start: float, tolerance: float) -> Trial:
        """The trial whose error spends the target; the finest one where none meets it."""
        solve_step(self._error, self._target, start, tolerance)
        assert self._result is not None  # the first trial is the finest one so far
        return self._result

    def _error(self, step: float) -> float:
        found, error = self._trial(step)
        if self._most < error <= self._target:
            self._most, self._result = error, found
        elif self._most < 0 and step < self._finest:
            self._finest, self._result = step, found
        return error


def _between(below: Point, above: Point, aim: float) -> float:
    (x0, y0), (x1, y1) = below, above
    return x0 + (x1 - x0) * (aim - y0) / (y1 - y0)


def _beyond(before: Point | None, point: Point, aim: float) -> float:
    x, y = point
    slope = _STEEPEST
    if before and before[0] != x:
        slope = min(max((y - before[1]) / (x - before[0]), _FLATTEST), _STEEPEST)
    return x + min(max((aim - y) / slope, -_STRIDE), _STRIDE)
