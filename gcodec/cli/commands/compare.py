"""`gcodec compare`: what each method, and each known operator, would cost on a file's tensors."""

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import InvalidInput
from .. import options as opt
from ..files import tensor_file
from ..output import label, progress_bar, show, table
from ..targets import target

if TYPE_CHECKING:
    from ...comparison.links import Transfer
    from ...comparison.summary import Comparison, Row

COLUMNS = """gap: bits/coord above ½·log2(1/error), the least for a vector of which nothing is known; below 0,
the data is compressible. above cap: the same above the least of what keeps alpha for every input.
pays below: on slower links, coding and sending takes less time than sending the original."""

_KINDS = {"omega": "unbiased", "exact": "bit for bit"}


def compare(
    input: opt.InputArg,
    alpha: Annotated[
        list[float] | None, typer.Option(help="Relative squared L2 errors to compare at; default: 0.5, 0.1 and 0.01.")
    ] = None,
    pointwise: Annotated[
        list[float] | None, typer.Option(help="Largest relative errors of every value to compare at; default: none.")
    ] = None,
    methods: Annotated[
        str | None, typer.Option(help="Names of methods and baselines, with commas between; default: all.")
    ] = None,
    small: Annotated[
        int | None, typer.Option(min=0, help="Leave out tensors of fewer values; default: as encode.")
    ] = None,
    plot: Annotated[
        str | None,
        typer.Option(callback=opt.standard_output, help="Draw bits against error into this file (.png, .svg, .pdf)."),
    ] = None,
    html: Annotated[
        str | None, typer.Option(callback=opt.standard_output, help="Write a report as one self-contained page.")
    ] = None,
    link: Annotated[
        str | None, typer.Option(help="Print how long all tensors take over a link of this speed, such as 1Gbit.")
    ] = None,
    tensors: Annotated[bool, typer.Option("--tensors", help="Print the tables of the tensors too.")] = False,
    dtype: opt.DtypeOpt = None,
    threads: opt.ThreadsOpt = None,
    force: opt.ForceOpt = False,
    json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
) -> None:
    """Measure bits, error and speed of all methods and known operators on INPUT, beside theory."""
    from ...comparison.advice import HEADINGS, advice, footnote
    from ...comparison.compare import ALPHAS, compare, runs
    from ...comparison.links import link_speed, transfers
    from ...io.skeleton import is_skeleton
    from ...request.policy import SMALL

    names = [name.strip() for name in methods.split(",")] if methods is not None else None
    alphas = alpha or list(ALPHAS)
    speed = None if link is None else link_speed(link)
    each = pointwise or []
    count = runs(names, alphas, each)  # refuses unknown names before anything is opened
    _check_outputs(plot, html, force)
    with ExitStack() as stack:
        plot_file, html_file = (
            stack.enter_context(target(path, force, input)) if path else None for path in (plot, html)
        )
        reader = stack.enter_context(tensor_file(input, opt.by_glob(dtype, "--dtype")))
        sources = [(name, source) for name, source in reader.tensors() if not is_skeleton(name)]
        few = (0 if reader.meta["format"] == "npy" else SMALL) if small is None else small
        total = sum(source.size * source.dtype.itemsize for _, source in sources if source.size >= few)
        with progress_bar(total * count, "measuring", quiet) as progress:
            result = compare(sources, alphas, names, pointwises=each, small=few, threads=threads, progress=progress)
        if plot_file:
            _draw(result, plot_file, Path(str(plot)).suffix[1:].lower())
        if html_file:
            _write_page(result, html_file, input)
    text = "\n\n".join(_sections(result, input, tensors))
    lines = advice(result, input)
    found = {"input": input, **result.as_dict(), "recommendation": [asdict(line) for line in lines]}
    if speed:
        sent = transfers(result.totals, result.size, speed)
        text += "\n\n" + _transfers(sent, speed)
        found["link"] = {"speed": speed, "transfers": [one.as_dict() for one in sent]}
    shown = table([HEADINGS, *(line.cells for line in lines)], right=(2,)) if lines else ""
    show(found, "\n\n".join(filter(None, (text, shown, footnote(lines)))), as_json=json, quiet=quiet)


def _check_outputs(plot: str | None, html: str | None, force: bool) -> None:
    if plot is None and html is None:
        return
    from ...comparison.pictures import FORMATS, require

    require()
    if plot and Path(plot).suffix[1:].lower() not in FORMATS:
        raise InvalidInput(f"--plot {plot}: the name must end in one of .{', .'.join(FORMATS)}")
    if html and Path(html).suffix.lower() != ".html":
        raise InvalidInput(f"--html {html}: the name must end in .html")
    for option, path in (("--plot", plot), ("--html", html)):
        if path and Path(path).is_file() and not force:
            raise InvalidInput(f"{path} exists; choose another name with {option}, or overwrite it with -f")


def _draw(result: "Comparison", path: Path, fmt: str) -> None:
    from ...comparison.picture import rate_distortion
    from ...comparison.pictures import save

    save(rate_distortion(result), path, fmt)


def _write_page(result: "Comparison", path: Path, source: str) -> None:
    from ...comparison.page import page

    errors = "backslashreplace"  # the name of a file may be no text
    path.write_text(page(result, source), encoding="utf-8", errors=errors)


def _sections(result: "Comparison", input: str, tensors: bool) -> list[str]:
    sections = [
        f"{label(input)}: {len(result.tensors)} tensor{'s' * (len(result.tensors) != 1)}, {result.size:,} values"
    ]
    if result.left_out:
        sections.append("left out:\n" + "\n".join(f"  {name}: {why}" for name, why in result.left_out))
    for alpha in result.alphas:
        rows = [row for row in result.totals if row.alpha == alpha]
        sections.append(f"alpha = {alpha:g}\n{_table(rows)}")
    for bound in result.pointwises:
        rows = [row for row in result.pointwise if row.alpha == bound]
        sections.append(f"pointwise = {bound:g}\n{_table(rows)}")
    for name, _, shape in result.tensors if tensors else ():
        rows = [row for row in result.rows if row.tensor == name]
        for alpha in result.alphas:
            title = f"{name or 'the array'} ({'×'.join(map(str, shape))}), alpha = {alpha:g}"
            sections.append(f"{title}\n{_table([row for row in rows if row.alpha == alpha])}")
    return [*sections, COLUMNS]


def _transfers(sent: "list[Transfer]", speed: float) -> str:
    """A table for each error: seconds plain and compressed, and how many times faster that is."""
    from ...comparison.break_even import speed_words

    tables = [f"all tensors over a link of {speed_words(speed)}, on one core"]
    for alpha in dict.fromkeys(one.alpha for one in sent):
        rows = [("", "name", "plain s", "compressed s", "times faster", "")]
        rows += [
            (one.group, one.name, f"{one.plain:.3g}", f"{one.compressed:.3g}", f"{one.faster:.3g}",
             "; ".join(filter(None, (_KINDS.get(one.kind), "" if one.reaches else "misses alpha"))))
            for one in sent if one.alpha == alpha
        ]  # fmt: skip
        tables.append(f"alpha = {alpha:g}\n{table(rows, right=(2, 3, 4))}")
    return "\n\n".join(tables)


def _table(rows: "list[Row]") -> str:
    cells: list[tuple[str, ...]] = [
        ("", "name", "bits/coord", "gap", "above cap", "error or ω", "encode MB/s", "decode MB/s", "pays below", "")
    ]
    cells += [(row.group, row.name, *row.figures(4), row.remarks) for row in rows]
    return table(cells, right=(2, 3, 4, 5, 6, 7, 8))
