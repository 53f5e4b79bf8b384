"""Pictures of the paper's experiment and of those that go on from it.

A line is named where it ends, and no two lines share both colour and marker. Bytes are on a linear
axis, as on the poster.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..comparison import pictures
from ..theory import sparse_dithering as sd
from .descent import Curve
from .problems import Problem, Ridge
from .studies import both_ways, network, resume, sweep, training
from .studies import paper as poster
from .studies import workers as averaging

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BASIC: dict[str, Any] = {"color": pictures.INK, "lw": 2.2, "zorder": 3}
_TOP: dict[str, Any] = {"color": pictures.BASE, "lw": 2.0, "ls": "--", "zorder": 3}
_OTHERS: dict[str, Any] = {"color": pictures.BASE, "lw": 1.4, "zorder": 3}


def paper(curves: Sequence[tuple[Problem, list[Curve]]]) -> "Figure":
    """The distance to the solution against the bytes sent: a panel for each problem."""
    fig, panels = pictures.figure(len(curves), (6.4 * len(curves), 4.8))
    for axes, (problem, own) in zip(panels, curves, strict=True):
        for curve in own:
            style = _style(curve.coder.name) | {"markevery": (0.05, 0.16)}
            kilobytes = [bits / 8000 for bits in curve.bits]
            axes.plot(kilobytes, curve.distances, label=_named(curve), **style)
        axes.set(yscale="log", ylim=(poster.GOAL, 1.3), xlabel="kB sent", ylabel="‖x − x*‖² / ‖x₀ − x*‖²")
        furthest = max((curve.bits_at(poster.GOAL) or curve.bits[-1]) for curve in own) / 8000
        axes.set_xlim(0, 1.04 * furthest)
        kind = "ridge" if isinstance(problem, Ridge) else "logistic"
        axes.set_title(f"{kind} regression, {problem.data}: d = {problem.dimension}")
        pictures.legend_inside(axes, "upper right")
    return fig


def workers(rows: Sequence[averaging.Line]) -> "Figure":
    """Rounds against the number of workers, beside theory; and what a worker sends."""
    fig, (left, right) = pictures.figure(2, (11, 4.4))
    omega = rows[0].omega
    counts = sorted({row.workers for row in rows})
    left.plot(counts, [1 + omega / n for n in counts], color=pictures.INK, ls=":", label="1 + ω/n, theory")
    left.axhline(1, color=pictures.BASE, lw=1)
    left.annotate("exact messages", (counts[-1], 1), (0, -4), textcoords="offset points", ha="right", va="top")
    for name in dict.fromkeys(row.method for row in rows):
        own = [row for row in rows if row.method == name and row.measured is not None]
        left.plot([r.workers for r in own], [r.measured or 0.0 for r in own], label=name, **_style(name))
        right.plot([r.workers for r in own], [r.kilobytes or 0.0 for r in own], label=name, **_style(name))
    for axes, label in ((left, "rounds, in those of exact messages"), (right, "kB that a worker sends")):
        axes.set(xscale="log", xticks=counts, xticklabels=counts, xlabel="workers n", ylabel=label)
        axes.minorticks_off()
        axes.set_ylim(0, None)
        pictures.legend_inside(axes, "upper right")
    left.set_title(f"ω = {omega:g}, until ‖x − x*‖² is {averaging.GOAL:g} of its start")
    return fig


def sweep_panel(axes: "Axes", rows: Sequence[sweep.Line], kind: str) -> None:
    """Bits per coordinate in all against one kind's bound; the least of each line is marked."""
    for name in sweep.METHODS[kind]:
        own = [row for row in rows if row.method == name and row.bits is not None]
        axes.plot([r.bound for r in own], [r.bits or 0.0 for r in own], label=name, **_style(name))
        least = min(own, key=lambda row: row.bits or 0.0)
        axes.annotate(
            f"{least.bits:.0f} bits at {least.bound:g}",
            (least.bound, least.bits),
            (0, -14),
            textcoords="offset points",
            ha="center",
            va="top",
        )
    axes.set(xscale="log", ylabel="bits per coordinate, all messages")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")


def sweep_picture(rows: Sequence[sweep.Line]) -> "Figure":
    """What training costs in all, against ω and against α."""
    fig, (left, right) = pictures.figure(2, (12, 4.8))
    sweep_panel(left, rows, "omega")
    sweep_panel(right, rows, "alpha")
    plain = rows[0].plain_rounds
    omegas = [sweep.OMEGAS[0] * (sweep.OMEGAS[-1] / sweep.OMEGAS[0]) ** (i / 100) for i in range(101)]
    left.plot(
        omegas,
        [plain * (1 + w) * sd.expected_rate(w) for w in omegas],
        color=pictures.INK,
        ls=":",
        label="rsd, the paper's bound",
    )
    best = sd.best_omega()
    left.axvline(best, color=pictures.INK, lw=1)
    left.annotate(
        f"ω = {best:.3f}, least by theory", (best, 0.97), (-6, 0), xycoords=("data", "axes fraction"),
        textcoords="offset points", va="top", ha="right",
    )  # fmt: skip
    top = 1.1 * plain * (1 + best) * sd.expected_rate(best) * 1.6
    for axes, label, title in (
        (left, "ω", "unbiased messages"),
        (right, "α, relative squared L2 error", "biased messages"),
    ):
        axes.set(xlabel=label, ylim=(0, top))
        axes.set_title(title)
        pictures.legend_inside(axes, "lower left")
    return fig


def both(runs: Sequence[both_ways.Run]) -> "Figure":
    """The gap against all bytes of a worker, and how they divide into the two directions."""
    fig, (left, right) = pictures.figure(2, (12, 4.6))
    found = both_ways.lines(list(runs))
    names = [f"{run.workers} up, {run.server} down" for run in runs]
    styles = [_both_style(run) for run in runs]
    for run, name, style in zip(runs, names, styles, strict=True):
        total = [(up + down) / 8000 for up, down in zip(run.up, run.down, strict=True)]
        left.plot(total, run.gaps, label=name, markevery=(0.05, 0.16), **style)
    left.set(yscale="log", ylim=(both_ways.GOAL, 1.3), xlabel="kB of a worker, both ways", ylabel="gap / gap at start")
    left.set_xlim(0, 1.04 * max(line.total or 0.0 for line in found))
    pictures.legend_inside(left, "upper right")
    places = range(len(found))
    ups, downs = [line.up or 0.0 for line in found], [line.down or 0.0 for line in found]
    right.barh(places, ups, color=pictures.SERIES[0], label="sent", height=0.6)  # no method here has this colour
    right.barh(places, downs, left=ups, color=pictures.BASE, label="got", height=0.6, hatch="//", edgecolor="w")
    for place, line in enumerate(found):
        text = "never" if line.total is None else f"{line.total:.0f} kB"
        right.annotate(text, (line.total or 0.0, place), (5, 0), textcoords="offset points", va="center")
    right.set(yticks=list(places), yticklabels=names, xlabel=f"kB of a worker until the gap is {both_ways.GOAL:g}")
    right.set_xlim(0, 1.18 * max(line.total or 0.0 for line in found))
    right.invert_yaxis()
    right.grid(axis="y", visible=False)
    pictures.legend_inside(right, "lower right")
    return fig


def network_picture(runs: Sequence[network.Run]) -> "Figure":
    """The loss against the bytes that a worker sends."""
    fig, (axes,) = pictures.figure(1, (8.5, 4.8))
    for run in sorted(runs, key=lambda run: run.kilobytes[-1]):
        style = _style(run.method) | ({"ls": "--"} if run.alpha == network.COARSE else {})
        label = f"{network.label(run)}: {run.kilobytes[-1]:,.0f} kB"
        axes.plot(run.kilobytes, run.losses, label=label, markevery=(0.1, 0.2), **style)
    sent = sorted(run.kilobytes[-1] for run in runs)
    axes.set(yscale="log", xlabel="kB sent by a worker", ylabel="training loss", xlim=(0, 1.1 * sent[-2]))
    axes.annotate(f"basic goes on to {sent[-1]:,.0f} kB", (0.99, 0.72), xycoords="axes fraction", ha="right", va="top")
    pictures.legend(axes)
    return fig


def resumed(runs: Sequence[resume.Run], apart: bool) -> "Figure":
    """The losses after each checkpoint: a panel for each task, with the share of the bytes.

    apart: how far they are from the losses of the exact run instead, in per cent of these.
    """
    names = list(dict.fromkeys(run.task for run in runs))
    fig, panels = pictures.figure(len(names), (6.4 * len(names), 4.8))
    for axes, name in zip(panels, names, strict=True):
        own = [run for run in runs if run.task == name]
        exact = own[0].losses
        for place, run in enumerate(own[apart:]):
            style = dict(_BASIC) if run.setting == resume.EXACT else _resumed_style(place)
            end = "" if math.isfinite(run.losses[-1]) else ", ends in NaN"
            shown = [100 * abs(loss / own - 1) for loss, own in zip(run.losses, exact, strict=True)]
            label = f"{run.setting}: {100 * run.share:.1f} %{end}"
            axes.plot(shown if apart else run.losses, label=label, markevery=(0.05, 0.16), **style)
        axes.set(xlabel="steps after the checkpoint", title=name)
        if apart:
            axes.set(ylabel="distance from the exact run's loss, in % of it", yscale="log")
        else:
            room = max(exact) - min(exact) or 1.0
            axes.set(ylabel="loss", ylim=(min(exact) - 0.1 * room, max(exact) + 1.2 * room))
        pictures.legend_inside(axes, "upper right")
    return fig


def _resumed_style(place: int) -> dict[str, Any]:
    colour = pictures.SERIES[place % len(pictures.SERIES)]
    return {"color": colour, "lw": 1.4, "marker": pictures.MARKERS[place % len(pictures.MARKERS)], "zorder": 4}


def _style(name: str) -> dict[str, Any]:
    if name in ("basic", "uncompressed"):
        return dict(_BASIC)
    if name in ("top-k", "best Top-k"):
        return dict(_TOP)
    styles = pictures.method_styles()
    if name in styles:
        return {**styles[name], "zorder": 4}
    return {**_OTHERS, "marker": pictures.MARKERS[sum(map(ord, name)) % len(pictures.MARKERS)]}


def _both_style(run: both_ways.Run) -> dict[str, Any]:
    style = _style(run.workers)
    return style if run.server == run.workers else style | {"ls": "--"}


def _named(curve: Curve) -> str:
    sent = curve.bits_at(poster.GOAL)
    return curve.label if sent is None else f"{curve.label}: {sent / 8000:.1f} kB"


def training_picture(rows: Sequence[training.Line]) -> "Figure":
    """How far the loss is above that of plain gradients: a panel for each number of workers."""
    ticks, others = (0.1, 0.2, 0.5, 1, 2, 4, 8), {"PowerSGD": "s", "Top-k + 2 bits": "^", "int8": "o"}
    counts = list(dict.fromkeys(row.workers for row in rows))
    fig, panels = pictures.figure(len(counts), (5.8 * len(counts), 4.6))
    for axes, count in zip(panels, counts, strict=True):
        for name in training.SETTINGS:
            own = [row for row in rows if row.workers == count and row.method == name]
            if own:
                style = _style(name) | ({"marker": others[name]} if name in others else {})
                axes.plot([row.bits for row in own], [row.above for row in own], label=name, **style)
        axes.axhline(0, color=pictures.BASE, lw=1)
        axes.set(xscale="log", xticks=ticks, xticklabels=ticks, xlabel="bits for each parameter and step")
        axes.set_ylabel("loss above plain gradients")
        axes.minorticks_off()
        axes.set_title("1 worker" if count == 1 else f"{count} workers")
        pictures.legend_inside(axes, "upper right")
    return fig
