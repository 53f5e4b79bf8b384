"""The pictures of the experiments."""

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

from ..baselines import BASELINES
from ..comparison import pictures
from ..theory import baselines as known
from ..theory import shannon, spherical
from ..theory import sparse_dithering as sd
from ..theory.report import BASELINE
from .messages import PLAIN
from .run import TARGET
from .studies.beside_theory import Point
from .studies.suite import GOALS, Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STEPS = 120
_BLOCK = 100  # the coordinates of a block: few enough that its norm shows, too many to search for


def convergence(results: Sequence[Result]) -> "Figure":
    """What a worker sends until the gap is small: a few runs in full, and the end of all runs."""
    fig, (left, right) = pictures.figure(2, (12.6, 5.2))
    problem, goal = results[0].problem, GOALS[0]
    ends = sorted(results, key=lambda result: result.trace.bits_to(goal) or float("inf"))
    known = [result for result in ends if result.job.coder.group == BASELINE]
    ours = [result for result in _first_schemes(results) if result.job.coder.group != BASELINE]
    for result in [*ours, *known[:1]]:
        trace = result.trace
        style = _style(result) | {"markevery": (0.05, 0.14), "label": result.label}
        left.plot([bits / 1000 for bits in trace.bits], trace.gaps, **style)
    plain = next(result for result in results if result.job.coder.name == PLAIN)
    reached = [
        result.trace.bits_to(goal) or result.trace.bits[-1] for result in ours if result.job.coder.kind != "exact"
    ]
    left.set_xlim(0, 1.1 * max(reached, default=plain.trace.bits[-1]) / 1000)
    left.set(yscale="log", ylim=(TARGET / 2, 3 * plain.trace.gaps[0]), xlabel="kbit sent by a worker")
    left.set_ylabel("f(x) − f*")
    left.set_title(f"{problem.data}: d = {problem.dimension}, {problem.workers} workers, L/μ = {problem.condition:.3g}")
    pictures.legend_inside(left, "upper right")
    _ranking(right, ends, goal)
    return fig


def _first_schemes(results: Sequence[Result]) -> list[Result]:
    """Of each method and guarantee the scheme that reaches the solution, which is the first."""
    found: dict[tuple[str, str], Result] = {}
    for result in results:
        found.setdefault((result.job.coder.name, result.job.coder.kind), result)
    return list(found.values())


def _ranking(axes: "Axes", ends: Sequence[Result], goal: float) -> None:
    """A bar for each run that reached the goal, the fewest bits first; the others by name."""
    reached = [result for result in ends if result.trace.bits_to(goal)]
    for place, result in enumerate(reached):
        bits = (result.trace.bits_to(goal) or 0.0) / 1000
        axes.barh(place, bits, color=_style(result)["color"], height=0.7)
        axes.annotate(f"{bits:,.1f}", (bits, place), (4, 0), textcoords="offset points", va="center", size=8)
    axes.set_yticks(range(len(reached)), [result.label for result in reached], fontsize=8)
    axes.set_xlabel(f"kbit until the gap is {goal:g}")
    axes.grid(axis="y", visible=False)
    axes.invert_yaxis()
    never = [result.label for result in ends if not result.trace.bits_to(goal)]
    if never:
        text = "never: " + ", ".join(never)
        axes.set_title(fill(text, 70), fontsize=8, loc="right", y=-0.22 if len(text) > 70 else -0.18)


def _style(result: Result) -> dict[str, Any]:
    coder = result.job.coder
    if coder.name == PLAIN:
        return {"color": pictures.INK, "lw": 2.2, "zorder": 5}
    if coder.group == BASELINE:
        return {"color": pictures.BASE, "lw": 1.6, "ls": "--", "zorder": 3}
    return {**pictures.method_styles()[coder.name], "ls": _dash(result), "zorder": 4}


def _dash(result: Result) -> str:
    return {"EC": ":", "DCGD": ":", "DIANA": "--"}.get(result.job.scheme.name, "-")


def trade_off(points: Sequence[Point]) -> "Figure":
    """Bits per coordinate against α.

    It shows the lower bound, the worst case of sparse dithering, one spherical block, and what was
    measured.
    """
    fig, (axes,) = pictures.figure(1, (9, 5.4))
    alphas = _between(0.001, 0.95)
    axes.plot(
        alphas, [shannon.contractive_rate(a) for a in alphas], color=pictures.INK, label="lower bound, ½ log2(1/α)"
    )
    axes.plot(alphas, [sd.worst_rate(a) for a in alphas], color=pictures.INK, ls=":", label="sd, worst vector")
    block = [spherical.expected_bits(a, _BLOCK) / _BLOCK for a in alphas]
    axes.plot(alphas, block, color=pictures.INK, ls="--", label=f"sc, one block of {_BLOCK} and its norm")
    _plot_points(axes, [point for point in points if point.guarantee == "alpha"], slowed=False)
    axes.plot([sd.PUBLISHED_NU], [3.35], "o", color=pictures.INK, markerfacecolor=pictures.SURFACE, zorder=6)
    axes.annotate("3.35, the paper's bound", (sd.PUBLISHED_NU, 3.35), (-6, 8), textcoords="offset points", ha="right")
    axes.set(xscale="log", ylim=(0, 8), xlabel="α, relative squared L2 error", ylabel="bits per coordinate")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.invert_xaxis()
    pictures.legend(axes)
    return fig


def slow_down(points: Sequence[Point]) -> "Figure":
    """Bits per coordinate times 1 + ω, against ω: what an unbiased method costs in training."""
    fig, (axes,) = pictures.figure(1, (9, 5.4))
    omegas = _between(0.02, 4.0)
    lower = [(1 + w) * shannon.unbiased_rate(w) for w in omegas]
    axes.plot(omegas, lower, color=pictures.INK, label="lower bound")
    bound = [(1 + w) * sd.expected_rate(w) for w in omegas]
    axes.plot(omegas, bound, color=pictures.INK, ls=":", label="rsd, the paper's bound")
    _plot_points(axes, [point for point in points if point.guarantee == "omega"], slowed=True)
    for name, label, operators in _unbiased_baselines():
        style: dict[str, Any] = {"marker": _marker(name), "color": pictures.BASE, "markerfacecolor": pictures.SURFACE}
        points_at = [(omega, (1 + omega) * rate) for omega, rate in operators]
        axes.plot(*zip(*points_at, strict=True), ls="", label=label, **style)
    _, in_all = sd.saving(0.25)
    mark = (0.25, 1.25 * sd.expected_rate(0.25))
    axes.plot(*mark, "o", color=pictures.INK, markerfacecolor=pictures.SURFACE, zorder=6)
    text = f"{in_all:.1f} times fewer bits than float32 at ω = 1/4\n(least bits at ω = {sd.best_omega():.3f})"
    axes.annotate(text, mark, (0, 28), textcoords="offset points", ha="center", arrowprops={"arrowstyle": "-"})
    axes.set(xscale="log", ylim=(0, 12), xlabel="ω", ylabel="(1 + ω) · bits per coordinate")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    pictures.legend(axes)
    return fig


def _plot_points(axes: "Axes", points: Sequence[Point], slowed: bool) -> None:
    styles = pictures.method_styles()
    for name in dict.fromkeys(point.method for point in points):
        own = [point for point in points if point.method == name]
        rates = [point.slowed_rate if slowed else point.rate for point in own]
        axes.plot([point.bound for point in own], rates, **styles[name], label=f"{name}, measured")


def _between(low: float, high: float) -> list[float]:
    """_STEPS + 1 numbers from low to high, evenly on a logarithmic axis."""
    return [low * (high / low) ** (i / _STEPS) for i in range(_STEPS + 1)]


def _unbiased_baselines() -> list[tuple[str, str, list[tuple[float, float]]]]:
    """Operators whose constants do not depend on the dimension.

    Each has a name, a label, and for each variant ω and the bits per coordinate.
    """
    return [
        ("eden", "EDEN, 3, 2 and 1 bits", [(known.rotation_omega(bits), bits) for bits in (3, 2, 1)]),
        ("natural-compression", "natural compression", [(known.NATURAL_OMEGA, known.NATURAL_BITS)]),
    ]


def _marker(baseline: str) -> str:
    return pictures.MARKERS[list(BASELINES).index(baseline)]
