"""Measurements as a comparison: one row for each α and method, on each tensor and on all together.

A baseline cannot be asked for a bound. So the member of its family is taken that has the fewest
bits and reaches α on the tensor. If none reaches it, the most exact member is taken, and marked.
Unbiased operators are compared at ω = α/(1−α): scaled by 1/(1+ω), they are contractive with α.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..theory.report import METHOD
from .break_even import break_even, speed_words
from .measure import Measurement, Task

ALL = "all tensors"


@dataclass(frozen=True)
class Row:
    """What a method or baseline gives for one α, on a tensor or on ALL.

    Of kind pointwise, `alpha` is the bound, and both `distortion` and `reached` are the largest
    relative error of a value.

    rate: bits per coordinate. distortion, reached: ‖x̂ − x‖²/‖x‖² (see Measurement), and the same
    as an α. reaches: whether reached ≤ alpha. bounds: the lower bounds in bits per coordinate at
    `reached`, for a vector about which nothing is known. gap: the rate less the lower bound of the
    uncertainty principle; it is negative if the data is compressible.
    encode_speed, decode_speed: MB of the original per second, on one core. original_rate: bits per
    coordinate of the original. break_even: bits per second of the link below which encoding,
    sending and decoding takes less time than sending the original; None if it never does.
    """

    tensor: str
    alpha: float
    group: str
    name: str
    parameters: str
    kind: str
    rate: float
    distortion: float
    reached: float
    reaches: bool
    bounds: dict[str, float] | None
    gap: float | None
    encode_speed: float
    decode_speed: float | None
    original_rate: float
    break_even: float | None
    note: str

    @property
    def cap_gap(self) -> float | None:
        """Bits per coordinate above the cap bound.

        The cap bound holds for methods that keep their bound for every input. It is None for all
        others.
        """
        strict = self.group == METHOD and self.kind == "alpha"
        return self.rate - self.bounds["cap"] if strict and self.bounds else None

    @property
    def error(self) -> str:
        """The distortion as a table shows it. A dash stands for an infinite one."""
        return f"{self.distortion:.4g}" if math.isfinite(self.distortion) else "–"

    def figures(self, digits: int) -> tuple[str, ...]:
        """What a table shows of rate, gap, cap_gap, error, speeds and break_even.

        digits: of the rate.
        """
        return (
            f"{self.rate:.{digits}f}",
            "" if self.gap is None else f"{self.gap:+.3f}",
            "" if self.cap_gap is None else f"{self.cap_gap:+.3f}",
            self.error,
            f"{self.encode_speed:.3g}",
            "" if self.decode_speed is None else f"{self.decode_speed:.3g}",
            speed_words(self.break_even),
        )

    @property
    def remarks(self) -> str:
        """What a table says about the row besides its numbers."""
        kind = {"omega": "unbiased", "exact": "bit for bit"}.get(self.kind, "")
        return "; ".join(filter(None, (kind, self.parameters, "" if self.reaches else "misses alpha", self.note)))


@dataclass(frozen=True)
class Curve:
    """A method's or baseline family's points (rate, α) over all tensors, from few bits to many."""

    name: str
    group: str
    kind: str
    points: tuple[tuple[float, float], ...]

    @property
    def running_best(self) -> tuple[tuple[float, float], ...]:
        """The points that no point with fewer bits is at least as exact as.

        More bits need not help: on data with a few large values, some operators become worse.
        """
        best: list[tuple[float, float]] = []
        for rate, error in self.points:
            if not best or error < best[-1][1]:
                best.append((rate, error))
        return tuple(best)


@dataclass(frozen=True)
class Comparison:
    """The result of `compare`.

    tensors: the name, dtype and shape of each tensor that was measured.
    left_out: what was left out, and why.
    pointwises, pointwise: bounds of each value, and the rows for them on all tensors.
    """

    alphas: tuple[float, ...]
    tensors: tuple[tuple[str, str, tuple[int, ...]], ...]
    left_out: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]
    totals: tuple[Row, ...]
    curves: tuple[Curve, ...]
    pointwises: tuple[float, ...] = ()
    pointwise: tuple[Row, ...] = ()

    @property
    def size(self) -> int:
        """The number of values in all tensors."""
        return sum(math.prod(shape) for _, _, shape in self.tensors)

    def as_dict(self) -> dict[str, Any]:
        """The comparison as plain data, for JSON."""
        return asdict(self)


def evaluated(
    alphas: Sequence[float],
    tensors: Sequence[tuple[str, str, tuple[int, ...]]],
    left_out: Sequence[tuple[str, str]],
    measured: Sequence[Measurement],
    pointwises: Sequence[float] = (),
) -> Comparison:
    """The comparison that measurements amount to.

    A method that was not measured on all tensors has no total.
    """
    rows, totals = [], []
    in_norm = [one for one in measured if one.task.kind != "pointwise"]
    for alpha in alphas:
        chosen = _answers(alpha, in_norm)
        rows += [_row(alpha, [one], one.tensor) for found in chosen.values() for one in found]
        totals += _totals(alpha, chosen, len(tensors))
    each = [one for one in measured if one.task.kind in ("pointwise", "exact")]
    of_each = [row for bound in pointwises for row in _totals(bound, _answers(bound, each), len(tensors))]
    rows.sort(key=lambda row: _order(row))
    places = {name: i for i, (name, _, _) in enumerate(tensors)}
    rows.sort(key=lambda row: places[row.tensor])
    curves = _curves(in_norm, len(tensors))
    found = tuple(alphas), tuple(tensors), tuple(left_out), tuple(rows), tuple(totals), curves
    return Comparison(*found, tuple(pointwises), tuple(of_each))


def _totals(alpha: float, chosen: dict[tuple[str, str], list[Measurement]], tensors: int) -> list[Row]:
    """The rows of what was measured on all tensors."""
    return sorted((_row(alpha, found, ALL) for found in chosen.values() if len(found) == tensors), key=_order)


def fewest(rows: Iterable[Row], group: str, kind: str) -> Row | None:
    """The row of fewest bits among those of a group and class that reach their α."""
    fitting = (row for row in rows if (row.group, row.kind) == (group, kind) and row.reaches)
    return min(fitting, key=lambda row: row.rate, default=None)


def _order(row: Row) -> tuple[float, bool, bool, bool, float]:
    """The sort key: α, methods before baselines, rows that reach α first, then fewest bits."""
    return -row.alpha, row.group != METHOD, row.kind == "omega", not row.reaches, row.rate


def _answers(alpha: float, measured: Iterable[Measurement]) -> dict[tuple[str, str], list[Measurement]]:
    """For each (name, kind), the measurement of each tensor that answers for α."""
    families: dict[tuple[str, str, str], list[Measurement]] = defaultdict(list)
    for one in measured:
        if one.task.alpha in (None, alpha):
            families[one.task.name, one.task.kind, one.tensor].append(one)
    answers: dict[tuple[str, str], list[Measurement]] = defaultdict(list)
    for (name, kind, _), members in families.items():
        reaching = [one for one in members if one.reached <= alpha]
        best = min(reaching, key=lambda one: one.bits) if reaching else min(members, key=lambda one: one.reached)
        answers[name, kind].append(best)
    return answers


def _row(alpha: float, found: Sequence[Measurement], tensor: str) -> Row:
    """One row for measurements of a method on one or several tensors."""
    task, size = found[0].task, sum(one.size for one in found)
    rate = sum(one.bits for one in found) / size
    distortion, reached = _together(found)
    bounds = _bounds(found, size)
    parameters = list(dict.fromkeys(one.task.parameters for one in found))
    notes = list(dict.fromkeys(filter(None, (one.note for one in found))))
    encodes = [one.encode_seconds for one in found]
    decodes = [one.decode_seconds for one in found if one.decode_seconds is not None]
    original = 8 * sum(one.original_bytes for one in found)
    return Row(
        tensor=tensor,
        alpha=alpha,
        group=task.group,
        name=task.name,
        parameters=parameters[0] if len(parameters) == 1 else "varies",
        kind=task.kind,
        rate=rate,
        distortion=distortion,
        reached=reached,
        reaches=all(one.reached <= alpha for one in found),
        bounds=bounds,
        gap=rate - bounds["uncertainty"] if bounds else None,
        encode_speed=_speed(found, math.fsum(encodes)),
        decode_speed=_speed(found, math.fsum(decodes)) if decodes else None,
        original_rate=original / size,
        break_even=break_even(original, rate * size, math.fsum([*encodes, *decodes])),
        note=", ".join(notes),
    )


def _together(found: Sequence[Measurement]) -> tuple[float, float]:
    """The distortion of tensors taken as one vector, and the same as an α.

    Of kind pointwise it is the largest one.
    """
    if found[0].task.kind == "pointwise":
        worst = max(one.distortion for one in found)
        return worst, worst
    largest = max(one.scale for one in found)
    energies = [one.energy * (one.scale / largest) ** 2 for one in found]
    total = math.fsum(energies)

    def mean(values: Iterable[float]) -> float:
        return math.fsum(energy * value for energy, value in zip(energies, values, strict=True)) / total

    return mean(one.distortion for one in found), mean(one.reached for one in found)


def _bounds(found: Sequence[Measurement], size: int) -> dict[str, float] | None:
    """The lower bounds per coordinate, each tensor at its own distortion.

    None when one has none.
    """
    bounds = [one.least_bits for one in found]
    if any(bound is None for bound in bounds):
        return None
    return {name: math.fsum(bound[name] for bound in bounds if bound) / size for name in ("uncertainty", "cap")}


def _speed(found: Sequence[Measurement], seconds: float) -> float:
    return sum(one.original_bytes for one in found) / max(seconds, 1e-9) / 1e6


def _curves(measured: Iterable[Measurement], tensors: int) -> tuple[Curve, ...]:
    points: dict[Task, list[Measurement]] = defaultdict(list)
    for one in measured:
        points[one.task].append(one)
    families: dict[tuple[str, str, str], list[tuple[float, float]]] = defaultdict(list)
    for task, found in points.items():
        if len(found) == tensors and task.kind != "exact":
            rate = sum(one.bits for one in found) / sum(one.size for one in found)
            families[task.name, task.group, task.kind].append((rate, _together(found)[1]))
    return tuple(Curve(*key, tuple(sorted(found))) for key, found in families.items())
