"""What an encoder measures of a tensor before it decides what is taken off."""

import math
from dataclasses import dataclass

import numpy as np

from ...source import Source, Span
from .form import Form

_SIGNIFICAND = 4  # bits of a scale below its leading one


@dataclass(frozen=True)
class Others:
    """The values that are not kept.

    count: how many there are. low, high: the least and the largest. mean: of all of them.
    """

    count: int
    low: float
    high: float
    mean: float

    @classmethod
    def of(cls, source: Source, form: Form, pieces: list[Span]) -> "Others":
        count, low, high, mean = 0, math.inf, -math.inf, 0.0
        for start, stop in pieces:
            values = others(source, form, start, stop)[0].astype(np.float64)
            if values.size:
                count += values.size
                low, high = min(low, float(values.min())), max(high, float(values.max()))
                mean += float((values / count - mean / count).sum())
        return cls(count, low, high, mean)


def others(source: Source, form: Form, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """(the values with flat indices start…stop-1 that are not kept, their flat indices)."""
    values = source.read(start, stop)
    if not form.kept.size:
        return values, np.arange(start, stop)
    left = np.flatnonzero(form.numbers(values) == 0)
    return values[left], left + start


def scales_of(source: Source, form: Form, pieces: list[Span]) -> np.ndarray:
    """The root mean squares of the slices, with few bits each and never below the true ones."""
    slices = form.shape[form.axis]
    peaks, sums, counts = np.zeros(slices), np.zeros(slices), np.zeros(slices, np.int64)
    for start, stop in pieces:
        values, positions = others(source, form, start, stop)
        np.maximum.at(peaks, form.slices(positions), np.abs(values.astype(np.float64)))
    safe = np.where(peaks > 0, peaks, 1.0)
    for start, stop in pieces:
        values, positions = others(source, form, start, stop)
        which = form.slices(positions)
        sums += np.bincount(which, (values.astype(np.float64) / safe[which]) ** 2, slices)
        counts += np.bincount(which, minlength=slices)
    mantissas, exponents = np.frexp(peaks * np.sqrt(sums / np.maximum(counts, 1)))
    rounded = np.ldexp(np.ceil(np.ldexp(mantissas, _SIGNIFICAND + 1)), exponents - _SIGNIFICAND - 1)
    scales: np.ndarray = np.clip(rounded, np.where(peaks > 0, 2.0**-126, 0.0), 2.0**127)
    return scales


def means_of(source: Source, form: Form, axis: int, pieces: list[Span]) -> np.ndarray:
    """The means of the slices along an axis, each rounded to the upper half of a float32."""
    sums, counts = np.zeros(form.shape[axis]), np.zeros(form.shape[axis], np.int64)
    for start, stop in pieces:
        values, positions = others(source, form, start, stop)
        which = form.slices(positions, axis)
        sums += np.bincount(which, values.astype(np.float64), sums.size)
        counts += np.bincount(which, minlength=sums.size)
    with np.errstate(over="ignore"):  # a mean that float32 cannot hold becomes infinite
        words = (sums / np.maximum(counts, 1)).astype(np.float32).view(np.uint32) >> 16 << 16
    means: np.ndarray = words.view(np.float32).astype(np.float64)
    return np.where(np.isfinite(means), means, 0.0)


def energies(source: Source, form: Form, pieces: list[Span]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(‖rests‖², ‖whole‖², number of values) of what is not kept in each piece.

    whole: the rests where there are scales, as the bound is then that of each slice; else the
    values. Both norms are in one unit, in which no square overflows.
    """
    peak = 0.0
    for start, stop in pieces:
        peak = max(peak, *(float(np.abs(part).max(initial=0.0)) for part in _pair(source, form, start, stop)))
    unit = math.ldexp(1.0, max(math.frexp(peak)[1] - 1, -1000)) if peak else 1.0
    found = np.zeros((3, len(pieces)))
    for i, (start, stop) in enumerate(pieces):
        rests, whole = _pair(source, form, start, stop)
        found[:, i] = ((rests / unit) ** 2).sum(), ((whole / unit) ** 2).sum(), rests.size
    return found[0], found[1], found[2]


def _pair(source: Source, form: Form, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """The rests and the whole of a piece, float64."""
    values, positions = others(source, form, start, stop)
    rests = form.rest(values, positions).astype(np.float64)
    return rests, rests if form.scales.size else values.astype(np.float64)


def shares(energy: np.ndarray, count: np.ndarray, budget: float) -> np.ndarray:
    """The squared error of each piece, so that all add up to the budget.

    Each value gets the same error, and no piece gets more than its energy (reverse water-filling).
    """
    error, left = np.zeros(energy.size), budget
    order = np.argsort(energy / np.maximum(count, 1))
    counts = count[order]
    for i, piece in enumerate(order):
        error[piece] = min(energy[piece], left * counts[i] / max(counts[i:].sum(), 1))
        left -= error[piece]
    return error
