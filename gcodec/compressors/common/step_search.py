"""The search, by trial and measurement, for the step that spends the whole of a bound."""

import math
from collections.abc import Callable
from typing import Generic, TypeVar

# The width, in logarithms of steps, of a bracket that is not worth dividing again: it has a few of
# the steps that a file can hold, and the error jumps between them.
_NARROW = 2.0**-10
_STRIDE = math.log(4.0)  # the longest move while only one side of the target is known
_FURTHER = 4.0  # times the last move, where that has not changed the error
# The error grows like a power of the step; this power is taken to lie between these two while only
# one side of the target is known.
FLATTEST, STEEPEST = 0.25, 2.0
TRIES = 24  # how many steps are tried at most
_TINY = 1e-300  # stands for an error of 0, which has no logarithm

_Point = tuple[float, float]  # logarithms of a step and of its distortion
Trial = TypeVar("Trial")


def solve_step(
    distortion: Callable[[float], float],
    target: float,
    start: float,
    tolerance: float = 0.002,
    tries: int = TRIES,
    slope: float = STEEPEST,
) -> float:
    """A step whose distortion lies in [(1 − tolerance)·target, target]; or 0.

    distortion: gives the measured error of a step, about a power of it. It may jump (where values
    are few) and need not be monotone. slope: that power, as far as it is known. start: a positive
    first guess. tries: how many steps are tried at most. If none falls into the interval, the
    result is the tried step with the largest distortion not above the target. If no step met the
    target, which may be below what rounding allows, the result is 0, and the caller decides what
    that means.

    The next step to try is where a line, in logarithms, meets the middle of the interval. The line
    goes through the nearest measurements on both sides of the target, or through the last two
    measurements if only one side is known; if these two are equal, the next move is longer. If one
    side has not moved twice in a row, the bracket is halved. So the number of tries stays small for
    functions that jump.
    """
    aim = math.log(target * (1 - tolerance / 2))
    best, best_distortion = 0.0, -1.0
    ends: list[_Point | None] = [None, None]  # below and above the target
    step, side, repeats = start, -1, 0
    before: _Point | None = None
    for _ in range(tries):
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
            step = math.exp(_beyond(before, point, aim, slope))
        before = point
    return best


class Spending(Generic[Trial]):
    """A search over steps that keeps only the trial that may be its result."""

    def __init__(self, trial: Callable[[float], tuple[Trial, float]], target: float) -> None:
        """trial: gives, for a step, what was tried and its error. target: the error to be spent."""
        self._trial = trial
        self._target = target
        self._most = -1.0  # the largest error within the target
        self._finest = float("inf")
        self._result: Trial | None = None

    def search(self, start: float, tolerance: float, tries: int = TRIES, slope: float = STEEPEST) -> Trial:
        """The trial whose error spends the target; the finest one if none meets it.

        tries, slope: as in `solve_step`.
        """
        solve_step(self._error, self._target, start, tolerance, tries, slope)
        assert self._result is not None  # the first trial is the finest one so far
        return self._result

    def _error(self, step: float) -> float:
        found, error = self._trial(step)
        if self._most < error <= self._target:
            self._most, self._result = error, found
        elif self._most < 0 and step < self._finest:
            self._finest, self._result = step, found
        return error


def _between(below: _Point, above: _Point, aim: float) -> float:
    (x0, y0), (x1, y1) = below, above
    return x0 + (x1 - x0) * (aim - y0) / (y1 - y0)


def _beyond(before: _Point | None, point: _Point, aim: float, slope: float) -> float:
    x, y = point
    if before and before[0] != x:
        if y == before[1]:  # all levels may be zero at both steps
            return x + min(max(_FURTHER * (x - before[0]), -_STRIDE), _STRIDE)
        slope = min(max((y - before[1]) / (x - before[0]), FLATTEST), STEEPEST)
    return x + min(max((aim - y) / slope, -_STRIDE), _STRIDE)
