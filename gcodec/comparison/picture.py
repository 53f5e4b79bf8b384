"""The rate–distortion picture of `gcodec compare`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..theory import shannon
from ..theory import sparse_dithering as sd
from ..theory.report import METHOD
from . import pictures
from .summary import Comparison, Curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GOALS = (0.5, 0.25, 0.1, 0.03, 0.01)  # errors at which the best known operator is named
_ROOM = 1.08  # the width beside the furthest point of gcodec's methods


def rate_distortion(comparison: Comparison) -> "Figure":
    """All curves: bits per coordinate to the right, relative squared error downwards.

    The lower bound and the worst case of `sd` are drawn too. The axes are as wide as gcodec's
    methods need. Known operators are thin and grey, drawn by their running best: where one's curve
    turns back, it has fewer bits and a smaller error already. The best of them are named.
    """
    fig, (axes,) = pictures.figure(1, (9, 5.4))
    methods = [curve for curve in comparison.curves if curve.group == METHOD]
    baselines = [curve for curve in comparison.curves if curve.group != METHOD]
    points = [point for curve in methods or baselines for point in curve.points]
    floor = 0.7 * min([error for _, error in points if error > 0], default=min(comparison.alphas))
    _draw_theory(axes, floor)
    _draw_methods(axes, methods)
    for curve in baselines:
        rates, errors = zip(*curve.running_best, strict=True)
        marker = "." if len(rates) == 1 else ""  # a line of one point is not seen
        style = "--" if curve.kind == "omega" else "-"
        axes.plot(rates, errors, color=pictures.BASE, lw=0.9, ls=style, marker=marker, zorder=1)
    axes.set(yscale="log", ylim=(floor, 1.1), xlim=(0, _ROOM * max(rate for rate, _ in points)))
    ground = {"facecolor": pictures.SURFACE, "edgecolor": "none", "pad": 1}
    for name, point in _best(baselines, floor).items():
        axes.annotate(name, point, (6, 4), textcoords="offset points", fontsize=9, bbox=ground, zorder=5)
    axes.plot([], [], color=pictures.BASE, lw=0.9, label="known operators")
    axes.set(xlabel="bits per coordinate", ylabel="relative squared L2 error (unbiased: ω/(1+ω))")
    pictures.legend(axes)
    return fig


def _draw_theory(axes: "Axes", floor: float) -> None:
    bounds = [0.999 * (floor / 0.999) ** (i / 200) for i in range(201)]
    shannons, worst = [shannon.contractive_rate(a) for a in bounds], [sd.worst_rate(a) for a in bounds]
    axes.plot(shannons, bounds, color=pictures.INK, label="lower bound, ½ log2(1/α)", zorder=2)
    axes.plot(worst, bounds, color=pictures.INK, ls=":", label="sd, worst vector", zorder=2)


def _draw_methods(axes: "Axes", methods: Sequence[Curve]) -> None:
    styles = pictures.method_styles()
    for curve in methods:
        unbiased = curve.kind == "omega"
        label = f"{curve.name} (unbiased)" if unbiased else curve.name
        rates, errors = zip(*curve.points, strict=True)
        axes.plot(rates, errors, **styles[curve.name], ls="--" if unbiased else "-", label=label, zorder=4)


def _best(baselines: Sequence[Curve], floor: float) -> dict[str, tuple[float, float]]:
    """The known operators that need the fewest bits at one of the errors, and where they do."""
    found: dict[str, tuple[float, float]] = {}
    for goal in _GOALS:
        there = [(point, curve.name) for curve in baselines for point in curve.running_best if floor < point[1] <= goal]
        if there:
            point, name = min(there)
            found.setdefault(name, point)
    return found
