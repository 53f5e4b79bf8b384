"""Pictures by matplotlib (the extra `gcodec[plot]`), which is imported only when one is drawn.

A picture is drawn once and saved in any format. `svg` gives it for a web page. Its colours are then
the page's CSS variables, so that it follows a light or dark scheme.
"""

import re
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..compressors import registry
from ..errors import InvalidInput

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")
INK, SURFACE, GRID, BASE = "#1c1e21", "#ffffff", "#e3e5e8", "#868c95"
SERIES = ("#2a6fd6", "#d1600a", "#16835a", "#c4304a", "#7748c6", "#0c8794", "#8a6a24", "#bb3f94")
# These are the same colours for a dark scheme.
_DARK = ("#e8eaed", "#17191c", "#33373d", "#8f959e")
_DARK_SERIES = ("#6aa8f7", "#f39a4a", "#45bf8c", "#f27d8c", "#b294f0", "#45c3d0", "#cbab63", "#e98fca")
_VARIABLES = dict(zip((INK, SURFACE, GRID, BASE), ("ink", "surface", "grid", "base"), strict=True)) | {
    colour: f"series-{i}" for i, colour in enumerate(SERIES)
}
MARKERS = "os^vDPX<>*hp"
Corner = Literal["upper right", "upper left", "lower right", "lower left"]
_SETTINGS: Any = {
    "font.size": 10,
    "font.family": "sans-serif",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.facecolor": SURFACE,
    "axes.facecolor": SURFACE,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "savefig.dpi": 130,
    "svg.fonttype": "none",
    "svg.hashsalt": "gcodec",
}


def require(extra: str = "plot") -> None:
    """Raise InvalidInput when matplotlib is not installed, which `extra` brings."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise InvalidInput(f"pictures need matplotlib: pip install 'gcodec[{extra}]'") from None


def figure(columns: int, size: tuple[float, float]) -> "tuple[Figure, list[Axes]]":
    """An empty picture of `columns` axes side by side, in the house style. `size` is in inches."""
    require()
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_SETTINGS):
        fig = Figure(figsize=size, layout="constrained")
        return fig, list(fig.subplots(1, columns, squeeze=False)[0])


def save(fig: "Figure", file: Path, fmt: str) -> None:
    """Write a picture. The same picture gives the same bytes in every run."""
    file.write_bytes(_render(fig, fmt))


def _render(fig: "Figure", fmt: str) -> bytes:
    from matplotlib import rc_context

    metadata = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}, "pdf": {"CreationDate": None}}
    buffer = BytesIO()
    with rc_context(_SETTINGS):
        fig.savefig(buffer, format=fmt, metadata=metadata[fmt])
    return _with_palette(buffer) if fmt == "png" else buffer.getvalue()


def _with_palette(png: BytesIO) -> bytes:
    """The picture with 128 colours, in about a third of the bytes."""
    from PIL import Image  # matplotlib needs it too

    smaller = BytesIO()
    with Image.open(png) as image:
        image.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(smaller, "PNG", optimize=True)
    return smaller.getvalue()


def svg(fig: "Figure", title: str) -> str:
    """The picture as an <svg> element for a page that has `css`.

    Screen readers read `title` out.
    """
    text = _render(fig, "svg").decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"#[0-9a-f]{6}\b", lambda found: _variable(found[0]), text)
    return re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', f'role="img" aria-label="{title}"', text, count=1)


def css(dark: bool) -> str:
    """Declarations of the colours that `svg` uses."""
    colours = zip(_VARIABLES.values(), (*_DARK, *_DARK_SERIES) if dark else _VARIABLES, strict=True)
    return " ".join(f"--{name}: {colour};" for name, colour in colours)


def _variable(colour: str) -> str:
    return f"var(--{_VARIABLES[colour]})" if colour in _VARIABLES else colour


def method_styles() -> dict[str, dict[str, Any]]:
    """Colour and marker of each method, the same in all pictures."""
    return {
        entry.name: {"color": SERIES[i % len(SERIES)], "marker": MARKERS[i % len(MARKERS)]}
        for i, entry in enumerate(registry.entries())
    } | {"auto": {"color": INK, "marker": "."}}


def legend(axes: "Axes") -> None:
    """A legend to the right of the axes."""
    from matplotlib import rc_context

    with rc_context(_SETTINGS):
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0)


def legend_inside(axes: "Axes", place: Corner) -> None:
    """A legend within the axes, on a ground that hides what is behind it."""
    from matplotlib import rc_context

    with rc_context(_SETTINGS):
        axes.legend(loc=place, frameon=True, framealpha=0.9, edgecolor=GRID, facecolor=SURFACE)
