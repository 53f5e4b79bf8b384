"""Two pictures of a table of bench/run.py: `python bench/pictures.py TABLE.csv`.

bits.svg has error against bits of one tensor. links.svg has, for each coder, the speed of a link
below which it makes a transfer of that tensor faster: (bits saved) / (time to encode and decode).
"""

import csv
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

TENSOR, BOUND = "lm_up", "0.1"
INK, GREY = "#263238", "#90a4ae"
STYLE = {"svg.fonttype": "none", "svg.hashsalt": "gcodec", "text.color": INK, "font.size": 10}
STYLE |= {"axes.spines.top": False, "axes.spines.right": False}


def draw(table: Path, folder: Path) -> None:
    with table.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["tensor"] == TENSOR]
    if not rows:
        print(f"no pictures: {table} has no tensor {TENSOR}")
        return
    mpl.use("svg")
    with mpl.rc_context(STYLE):
        for name, picture in (("bits", bits), ("links", links)):
            figure = picture(rows)
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})
            plt.close(figure)


def bits(rows: list[dict[str, str]]) -> plt.Figure:
    """A line for each coder that was measured at more errors than one."""
    figure, axes = plt.subplots(figsize=(7.5, 4.6), layout="constrained")
    curves: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if float(row["error"]) > 0 and not row["promise"].startswith(("omega", "pointwise")):
            curves.setdefault(row["coder"].split(",")[0], []).append((float(row["bits"]), float(row["error"])))
    curves.pop("gcodec auto", None)  # it is one of the others here
    markers = iter("sD^v<>")
    for name, points in curves.items():
        style = {"lw": 2, "marker": "o"} if name.startswith("gcodec") else {"color": GREY, "marker": next(markers)}
        axes.plot(*zip(*sorted(points), strict=True), ms=5, label=name, **style)
    axes.legend(frameon=False)
    axes.set(yscale="log", xlabel="bits per value of all that is stored", ylabel="relative squared L2 error")
    axes.set(xlim=(0, 8), title="A gradient of a language model, 1024 × 256, float32")
    return figure


def links(rows: list[dict[str, str]]) -> plt.Figure:
    """A bar for each coder, at one bound."""
    shown = [row for row in rows if row["promise"] == "exact" or row["promise"].endswith(f" {BOUND}")]
    width = 32
    speeds = []
    for row in shown:
        megabytes = width / 8 * int(row["values"]) / 1e6
        time = sum(megabytes / float(row[way]) for way in ("encode", "decode") if row[way])
        saved = (width - float(row["bits"])) * int(row["values"])
        promise = "exact" if row["promise"] == "exact" else f"error ≤ {BOUND}"
        speeds.append((saved / time / 1e9, f"{row['coder']} ({promise})", row["coder"].startswith("gcodec")))
    speeds.sort()
    figure, axes = plt.subplots(figsize=(7.5, 0.32 * len(speeds) + 1), layout="constrained")
    values, names, ours = zip(*speeds, strict=True)
    bars = axes.barh(names, values, color=["#00897b" if mine else GREY for mine in ours])
    axes.bar_label(bars, [f"{value:.2f}" for value in values], padding=3, fontsize=9)
    axes.set(xscale="log", xlabel="Gbit/s: on slower links, coding makes the transfer faster (one core)")
    return figure


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[1]).parent)
