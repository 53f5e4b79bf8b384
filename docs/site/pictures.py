"""The pictures of the pages: `python docs/site/pictures.py` draws all of them into docs/pictures/.

Each function draws one picture, which has its name. The same matplotlib gives the same bytes.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
from drawing import BLUE, GREEN, INK, PALE, RED, STYLE, arrow, box, frame, panels
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Wedge
from rooms import path, rooms

FOLDER = Path(__file__).parents[1] / "pictures"


def guarantees() -> Figure:
    """alpha: in a ball. omega: a cloud around x. pointwise: each value in its own interval."""
    figure, (alpha, omega, points) = panels(3, 9, 3)
    x, rng = np.array([3.0, 2.0]), np.random.default_rng(3)
    for axis in (alpha, omega):
        axis.set(xlim=(-0.3, 4.6), ylim=(-0.3, 3.8), aspect="equal")
        arrow(axis, (0, 0), (3, 2))
        axis.text(1.25, 1.1, "x", fontsize=13)
    alpha.add_patch(Circle(tuple(x), 1.14, fc=PALE, ec=GREEN))
    arrow(alpha, (0, 0), (3, 2))
    alpha.plot(3.55, 1.35, "o", color=GREEN)
    alpha.text(3.6, 0.98, "x̂", fontsize=13)
    alpha.plot([3, 3 + 1.14 * 0.6], [2, 2 + 1.14 * 0.8], color=GREEN, lw=1)
    alpha.text(2.2, 3.3, "radius √α · ‖x‖", color=GREEN)
    alpha.set_title("alpha: always in the ball")
    cloud = x + 0.55 * rng.normal(size=(60, 2))
    omega.plot(*(cloud - cloud.mean(axis=0) + x).T, "o", color=BLUE, ms=3, alpha=0.6)
    omega.plot(*x, "+", color=RED, ms=16, mew=2.5)
    omega.text(2.2, 3.5, "many seeds: the mean is x", color=BLUE)
    omega.set_title("omega: unbiased over the seed")
    values = np.array([8, -3, 1.2, 0.3, 0, -0.05])
    points.set(xlim=(-0.7, 6), ylim=(-3.3, 4.2))
    heights = np.sign(values) * np.log2(1 + 8 * np.abs(values)) / 2
    points.axhline(0, color=INK, lw=0.8)
    points.errorbar(range(6), heights, yerr=0.12 * np.abs(heights) + 0.02, fmt="none", ecolor=GREEN, lw=9, alpha=0.35)
    points.plot(range(6), heights, "o", color=INK, ms=4)
    for i, value in enumerate(values):
        points.text(i, heights[i] + 0.6 * (1 if value >= 0 else -1), f"{value:g}", ha="center", va="center")
    points.set_box_aspect(4.1 / 4.9)
    points.set_title("pointwise: each value by itself")
    return figure


def lossless() -> Figure:
    """Four numbers, whose bytes of one place are coded together."""
    figure, (axis,) = panels(1, 7.5, 2.4)
    frame(axis, 15, 4.6)
    words = np.array([0.0131, 0.0127, -0.0119, 0.0135], "<f4").view(np.uint8).reshape(4, 4)[:, ::-1]
    colors = ("#80cbc4", "#b2dfdb", "#e0f2f1", "#ffffff")
    for row, word in enumerate(words):
        for place, byte in enumerate(word):
            box(axis, 1.3 * place, 3.4 - 0.95 * row, 1.2, f"{byte:02x}", colors[place])
    for place, says in enumerate(("sign and exponent: few symbols", "", "noise: as it is", "noise: as it is")):
        arrow(axis, (5.4, 2.1), (6.9, 3.8 - 0.95 * place))
        for i in range(4):
            box(axis, 7 + 0.85 * i, 3.4 - 0.95 * place, 0.8, f"{words[i, place]:02x}", colors[place])
        axis.text(10.6, 3.8 - 0.95 * place, says, va="center")
    return figure


def sparse_dithering() -> Figure:
    """The stairs of sd, and the two levels that rsd draws from."""
    figure, (stairs, draw) = panels(2, 8, 2.8, bare=False)
    u = np.linspace(-2.6, 2.6, 1001)
    stairs.plot(u, u, color="#b0bec5", lw=1)
    stairs.plot(u, np.sign(u) * np.floor(np.abs(u) + 0.5), color=GREEN, lw=2)
    stairs.set(title="sd: the nearest level", xlabel="value / 2h", ylabel="level", xticks=range(-2, 3))
    stairs.set_yticks(range(-2, 3))
    value = 1.3
    draw.hlines(0, -0.2, 3.2, color=INK, lw=0.8)
    draw.plot(range(4), [0] * 4, "|", color=INK, ms=14)
    draw.plot(value, 0, "o", color=BLUE)
    for level, chance in ((1, "70 %"), (2, "30 %")):
        draw.annotate(
            "", (level, 0.05), (value, 0.05), arrowprops={"arrowstyle": "-|>", "connectionstyle": "arc3,rad=0.5"}
        )
        draw.text(level, -0.25, f"level {level}\n{chance}", ha="center", va="top")
    draw.set(title="rsd: up or down by chance, right on average", ylim=(-0.8, 0.7), xlim=(-0.3, 3.3))
    draw.axis("off")
    return figure


def spherical() -> Figure:
    """Directions from a seed; the first one in the cap of x is the message."""
    figure, (axis,) = panels(1, 4.2, 3.4)
    axis.set(xlim=(-1.3, 1.7), ylim=(-1.15, 1.25), aspect="equal")
    axis.add_patch(Circle((0, 0), 1, fc="none", ec="#b0bec5"))
    axis.add_patch(Wedge((0, 0), 1, 40 - 18.4, 40 + 18.4, fc=PALE, ec=GREEN))
    turn = np.deg2rad(40)
    arrow(axis, (0, 0), (np.cos(turn), np.sin(turn)))
    axis.text(0.82, 0.76, "x", fontsize=13)
    for number, angle in enumerate((130, 250, 340, 205, 52)):
        at = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
        color = RED if number == 4 else "#78909c"
        axis.plot(*at, "o", color=color, ms=5)
        axis.text(1.16 * at[0], 1.16 * at[1], f"v{number}", ha="center", va="center", color=color)
    axis.text(0.95, 0.25, "the cap:\nwithin √α", color=GREEN)
    axis.set_title("The message is 4, and the norm")
    return figure


def quantisers() -> Figure:
    """The levels of ecsq, and those that a trellis allows in each of its states."""
    figure, (plain, trellis) = panels(2, 8.5, 2.7)
    values = np.array([0.4, 1.7, -0.9, 2.2, 0.1])
    for axis in (plain, trellis):
        axis.set(xlim=(-0.6, 4.9), ylim=(-3.4, 3.7))
        axis.plot(range(5), values, "_", color=BLUE, ms=22, mew=2)
    for i, value in enumerate(values):
        plain.plot([i] * 5, range(-2, 3), "o", color="#b0bec5", ms=4)
        plain.plot(i, np.rint(value), "o", color=GREEN, ms=8)
    plain.set_title("ecsq: the nearest multiple of a step")
    books = (0, 1, 1, 0, 1)
    for i, odd in enumerate(books):
        levels = np.arange(-3 if odd else -2, 4, 2) if odd else np.arange(-2, 3, 2)
        trellis.plot([i] * len(levels), levels, "s" if odd else "o", color="#b0bec5", ms=4)
    path = [0, 1, -1, 2, 1]
    trellis.plot(range(5), path, "-o", color=GREEN, ms=7, lw=1)
    trellis.set_title("tcq: half of the multiples, by a path of states")
    return figure


def klt() -> Figure:
    """A matrix as a tall and a wide factor."""
    figure, (axis,) = panels(1, 7, 2.4)
    frame(axis, 14, 4.6)
    box(axis, 0, 0.3, 3.6, "gradient\n1024 × 256", "#eceff1", 4)
    axis.text(4.3, 2.2, "≈", fontsize=20, ha="center", va="center")
    box(axis, 5, 0.3, 0.8, "C", PALE, 4)
    axis.text(6.3, 2.2, "·", fontsize=20, ha="center", va="center")
    box(axis, 6.8, 1.9, 3.6, "Vᵀ", PALE, 0.8)
    axis.text(10.8, 2.3, "both factors are levels\nof one step, coded\nas ecsq and tcq do", va="center")
    return figure


def dither() -> Figure:
    """The error of plain rounding follows the value; that of subtractive dither does not."""
    figure, axes = panels(2, 8, 2.6, bare=False)
    x = np.linspace(0, 3, 150)
    noise = np.random.default_rng(1).random(150) - 0.5
    for axis, shift, title in zip(axes, (0, noise), ("rounding", "subtractive dither"), strict=True):
        axis.plot(x, np.rint(x + shift) - shift - x, ".", ms=4, color=RED if title == "rounding" else GREEN)
        axis.set(title=f"{title}: error against value", xlabel="value, in steps", yticks=(-0.5, 0, 0.5))
        axis.set_xticks(range(4))
    return figure


def geometric() -> Figure:
    """Intervals of one width on a logarithmic axis."""
    figure, (axis,) = panels(1, 7.5, 1.7)
    edges = np.geomspace(1e-3, 1, 13)
    axis.set(xscale="log", xlim=(8e-4, 1.3), ylim=(-1.7, 1.6))
    for i, (low, high) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        axis.fill_between([low, high], -0.4, 0.4, color=PALE if i % 2 else "#e0f2f1", lw=0)
        axis.plot(np.sqrt(low * high), 0, "o", color=GREEN, ms=5)
        axis.text(np.sqrt(low * high), 0.8, str(i), ha="center")
    for power in range(-3, 1):
        axis.text(10.0**power, -1.4, f"1e{power}", ha="center")
    axis.set_title("One number stands for all magnitudes of an interval, within ε of each")
    return figure


def structured() -> Figure:
    """Marks and zeros are kept beside what another method codes."""
    figure, (axis,) = panels(1, 7.5, 2.3)
    frame(axis, 15, 4.4)
    values = ("0.31", "0", "−9999", "0.29", "0", "0.33", "−9999", "0.30")
    names = {"0": "#cfd8dc", "−9999": "#ffcdd2"}
    for i, text in enumerate(values):
        box(axis, 1.3 * i + 1.8, 3.4, 1.2, text, names.get(text, PALE))
        box(axis, 1.3 * i + 1.8, 1.9, 1.2, {"0": "1", "−9999": "2"}.get(text, "0"), names.get(text, "#ffffff"))
    for i, text in enumerate(text for text in values if text not in names):
        box(axis, 1.3 * i + 1.8, 0.4, 1.2, text, PALE)
    for y, says in ((3.8, "tensor"), (2.3, "map"), (0.8, "the rest")):
        axis.text(0, y, says, va="center")
    axis.text(7.3, 0.8, "→  ecsq, tcq or klt, within the bound of these", va="center", color=GREEN)
    return figure


def delta() -> Figure:
    """What has changed since the base, in units in the last place."""
    figure, (axis,) = panels(1, 7.5, 2.3)
    frame(axis, 15, 4.4)
    rows = (
        ("base", ("1.289", "0.0140", "−0.672", "0.0031", "2.016", "−0.0099")),
        ("tensor", ("1.289", "0.0141", "−0.672", "0.0029", "2.016", "−0.0098")),
        ("change", ("0", "+2", "0", "−13", "0", "+1")),
    )
    for y, (says, texts) in zip((3.4, 1.9, 0.4), rows, strict=True):
        axis.text(0, y + 0.4, says, va="center")
        for i, text in enumerate(texts):
            box(axis, 1.7 * i + 1.8, y, 1.6, text, "#ffffff" if text == "0" or y > 1 else PALE)
    axis.text(12.2, 0.8, "→  zeros and small numbers", va="center", color=GREEN)
    return figure


def all_of_them() -> dict[str, Callable[[], Figure]]:
    ours = (guarantees, lossless, sparse_dithering, spherical, quantisers, klt, dither, geometric)
    return {draw.__name__.replace("_", "-"): draw for draw in (*ours, structured, delta, rooms, path)}


def draw(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        for name, picture in all_of_them().items():
            figure = picture()
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})
            plt.close(figure)


if __name__ == "__main__":
    mpl.use("svg")
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
