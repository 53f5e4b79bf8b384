"""The pictures of the architecture: the rooms of the package, and the path of one array."""

from drawing import GREEN, PALE, RED, arrow, box, frame, panels
from matplotlib.figure import Figure

LAYERS = (
    ("cli", "integrations"),
    ("experiments", "comparison"),
    ("api.py", "channel", "verification", "baselines"),
    ("pipeline",),
    ("request",),
    ("io", "distortion.py"),
    ("container",),
    ("compressors",),
    ("coding",),
    ("kernels", "theory"),
)
SAYS = (
    "the command; zarr, HDF5, PyTorch",
    "the paper's runs; what each method costs",
    "the public names",
    "one tensor in and out, its bound enforced",
    "what was asked for, checked",
    "files; norms and errors",
    "the format, without payloads",
    "a room for each method, and the contract",
    "entropy coders, bit strings",
    "all loops over values; formulas alone",
)


def rooms() -> Figure:
    """A layer a line; each imports only from those below it."""
    figure, (axis,) = panels(1, 8.5, 5.6)
    frame(axis, 17, len(LAYERS) * 1.1 + 0.2)
    for row, (names, says) in enumerate(zip(LAYERS, SAYS, strict=True)):
        y, width = 1.1 * (len(LAYERS) - 1 - row) + 0.2, (10 - 0.2 * (len(names) - 1)) / len(names)
        for place, name in enumerate(names):
            outside = name in ("integrations", "theory", "baselines")
            box(axis, (width + 0.2) * place, y, width, name, "#eceff1" if outside else PALE)
        axis.text(10.9, y + 0.4, says, va="center")
    arrow(axis, (10.45, len(LAYERS) * 1.1), (10.45, 0.2))
    return figure


def path() -> Figure:
    """An array on its way into a file and back."""
    figure, (axis,) = panels(1, 9, 3)
    frame(axis, 18, 5.6)
    there = (
        "array",
        "request:\nwhat is asked",
        "auto: which\nmethod wins",
        "compressor:\nlevels, bits",
        "decode,\nmeasure",
    )
    for i, text in enumerate(there):
        box(axis, 3.6 * i, 3.9, 3, text, "#eceff1" if i == 0 else PALE, 1.4)
        if i:
            arrow(axis, (3.6 * i - 0.6, 4.6), (3.6 * i, 4.6))
    axis.plot([15.2, 15.2, 12.3], [3.9, 3.5, 3.5], color=RED, lw=1)
    arrow(axis, (12.3, 3.5), (12.3, 3.9), RED)
    axis.text(13.75, 3.1, "too far: a finer step", color=RED, ha="center", va="center")
    back = (
        "array",
        "work values\nto its dtype",
        "decoder of\nthe method",
        "checksums,\nlimits",
        "record in\na container",
    )
    for i, text in enumerate(back):
        box(axis, 3.6 * i, 0.6, 3, text, "#eceff1" if i == 0 else PALE, 1.4)
        if i:
            arrow(axis, (3.6 * i, 1.3), (3.6 * i - 0.6, 1.3))
    arrow(axis, (16.6, 3.9), (16.6, 2))
    axis.text(17.5, 2.95, "within\nthe bound", color=GREEN, ha="center", va="center")
    return figure
