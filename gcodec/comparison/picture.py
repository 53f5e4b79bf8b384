"""The rate–distortion picture of `gcodec compare`."""

from typing import TYPE_CHECKING, Any

from ..theory import shannon
from ..theory import sparse_dithering as sd
from ..theory.report import METHOD
from . import pictures
from .summary import Comparison

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_RATE = 10.0  # the most bits per coordinate that the picture shows


def rate_distortion(comparison: Comparison) -> "Figure":
    """All curves: bits per coordinate to the right, relative squared error downwards.

    The lower bound and the worst case of `sd` are drawn too. Known operators are drawn by their
    running best: where one's curve turns back, it has fewer bits and a smaller error already.
    """
    fig, (axes,) = pictures.figure(1, (9, 5.4))
    floor = min(comparison.alphas) / 4
    bounds = [0.999 * (floor / 0.999) ** (i / 200) for i in range(201)]
    axes.plot(
        [shannon.contractive_rate(a) for a in bounds],
        bounds,
        color=pictures.INK,
        label="Shannon, ½ log2(1/α)",
        zorder=2,
    )
    axes.plot(
        [sd.worst_rate(a) for a in bounds], bounds, color=pictures.INK, ls=":", label="sd, worst vector", zorder=2
    )
    methods = [curve for curve in comparison.curves if curve.group == METHOD]
    styles = pictures.method_styles()
    for curve in methods:
        unbiased = curve.kind == "omega"
        label = f"{curve.name} (unbiased)" if unbiased else curve.name
        rates, errors = zip(*curve.points, strict=True)
        axes.plot(rates, errors, **styles[curve.name], ls="--" if unbiased else "-", label=label, zorder=4)
    baselines = [curve for curve in comparison.curves if curve.group != METHOD]
    for curve, marker in zip(baselines, pictures.MARKERS * (1 + len(baselines) // len(pictures.MARKERS)), strict=False):
        rates, errors = zip(*curve.running_best, strict=True)
        style: dict[str, Any] = {
            "color": pictures.BASE,
            "marker": marker,
            "markerfacecolor": pictures.SURFACE,
            "lw": 1.0,
        }
        axes.plot(rates, errors, **style, ls="--" if curve.kind == "omega" else "-", label=curve.name, zorder=3)
    axes.set(yscale="log", ylim=(floor, 1.1), xlim=(0, _MOST_RATE))
    axes.set(xlabel="bits per coordinate", ylabel="relative squared L2 error (unbiased: ω/(1+ω))")
    pictures.legend(axes)
    return fig
