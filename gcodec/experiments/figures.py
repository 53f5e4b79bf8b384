"""The pictures of the experiments."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..baselines import BASELINES
from ..comparison import pictures
from ..theory import baselines as known
from ..theory import shannon, spherical
from ..theory import sparse_dithering as sd
from ..theory.report import BASELINE
from .beside_theory import Point
from .messages import PLAIN
from .run import TARGET
from .suite import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STEPS = 120
_BLOCK = 100  # the coordinates of a block: few enough that its norm shows, too many to search for


def convergence(results: Sequence[Result]) -> "Figure":
    """The gap against rounds, and against bits sent by a worker, for all runs on one data set."""
    fig, (left, right) = pictures.figure(2, (12, 4.8))
    styles = pictures.method_styles()
    for result in results:
        coder, trace = result.job.coder, result.trace
        style: dict[str, Any]
        if coder.name == PLAIN:
            style = {"color": pictures.INK, "lw": 2.2, "zorder": 5}
        elif coder.group == BASELINE:
            style = {"color": pictures.BASE, "lw": 0.9, "ls": _dash(result), "zorder": 2}
            style |= {"marker": _marker(coder.name), "markerfacecolor": pictures.SURFACE}
        else:
            style = {**styles[coder.name], "ls": _dash(result), "zorder": 4}
        style |= {"markevery": (0.05, 0.14), "label": result.label}
        left.plot(range(len(trace.gaps)), trace.gaps, **style)
        # The axis of bits is logarithmic, so it has no place for the 0 bits of the start.
        right.plot([bits / 1000 for bits in trace.bits[1:]], trace.gaps[1:], **style)
    problem = results[0].problem
    start = results[0].trace.gaps[0]
    shortest = min(len(result.trace.gaps) for result in results)
    left.set(xlim=(0, 6 * shortest), xlabel="round", ylabel="f(x) − f*")
    right.set(xscale="log", xlabel="kbit sent by a worker")
    for axes in (left, right):
        axes.set(yscale="log", ylim=(TARGET / 2, 3 * start))
    left.set_title(f"{problem.data}: d = {problem.dimension}, {problem.workers} workers, L/μ = {problem.condition:.3g}")
    pictures.legend(right)
    return fig


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
