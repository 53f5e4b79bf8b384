"""What the pictures share: colours, panels without axes, boxes and arrows."""

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

INK, GREEN, RED, BLUE, PALE = "#263238", "#00897b", "#c62828", "#1565c0", "#b2dfdb"
STYLE = {
    "svg.fonttype": "none", "svg.hashsalt": "gcodec", "font.family": "sans-serif", "font.size": 10,
    "text.color": INK, "axes.edgecolor": INK, "axes.spines.top": False, "axes.spines.right": False,
}  # fmt: skip


def panels(count: int, width: float, height: float, bare: bool = True) -> tuple[Figure, list[Axes]]:
    """A row of panels; bare ones have no axes."""
    figure, axes = plt.subplots(1, count, figsize=(width, height), layout="constrained")
    row = [axes] if count == 1 else list(axes)
    for axis in row if bare else ():
        axis.axis("off")
    return figure, row


def arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float], color: str = INK) -> None:
    axis.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=12, color=color, shrinkA=0, shrinkB=0))


def box(axis: Axes, x: float, y: float, width: float, text: str, color: str = PALE, height: float = 0.8) -> None:
    shape = FancyBboxPatch((x, y), width, height, boxstyle="round,pad=0,rounding_size=0.12", fc=color, ec=INK, lw=0.8)
    axis.add_patch(shape)
    axis.text(x + width / 2, y + height / 2, text, ha="center", va="center", linespacing=1.3)


def frame(axis: Axes, width: float, height: float) -> None:
    axis.set(xlim=(0, width), ylim=(0, height), aspect="equal")
