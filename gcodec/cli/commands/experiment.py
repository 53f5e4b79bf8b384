"""`gcodec experiment`: the paper's experiments, and theory beside measurement."""

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from ...errors import InvalidInput
from ...io.atomic import replacing
from .. import options as opt
from ..output import note, show, table
from ..targets import results_folder

ALL = "all"
_NAMES = "paper, ridge, logistic, workers, sweep, both, network, theory, resume, training, or all of them."
_OPTIONS = ("data", "methods", "workers", "rounds", "condition", "alpha", "omega", "backend")


def experiment(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help=_NAMES)],
    out: Annotated[
        str | None, typer.Option("-o", "--out", metavar="DIR", help="Write tables (CSV) and pictures here.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Data sets, with commas between (default: all); paper: a text file in LibSVM's format; resume: of "
            "zipf, transformer, momentum and federated."
        ),
    ] = None,
    methods: Annotated[
        str | None, typer.Option(help="Methods and baselines, with commas between; paper: those beside its own.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Number of workers that the data is split over.")] = None,
    rounds: Annotated[
        int | None, typer.Option(help="The most rounds of a run; resume: steps after the checkpoint.")
    ] = None,
    condition: Annotated[float | None, typer.Option(help="L/μ of each problem, set by its penalty.")] = None,
    alpha: Annotated[float | None, typer.Option(help="Bound of the biased methods.")] = None,
    omega: Annotated[float | None, typer.Option(help="Bound of the unbiased methods.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of generated data and of random choices: any whole number.")] = 0,
    backend: Annotated[str | None, typer.Option(help="threads, or gloo: processes over torch.distributed.")] = None,
    threads: opt.ThreadsOpt = None,
    force: opt.ForceOpt = False,
    json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
) -> None:
    """Descent with compressed messages: how near it comes against what is sent."""
    from ...experiments.catalogue import EXPERIMENTS, Asked, Outcome, prepare, shared_files
    from ...request.choice import choose

    if name not in (*EXPERIMENTS, ALL):
        raise InvalidInput(f"experiment {name!r} is unknown; known are {', '.join((*EXPERIMENTS, ALL))}")
    given = {option: ctx.params[option] for option in _OPTIONS if ctx.params[option] is not None}
    options = {one: EXPERIMENTS[one].options for one in (EXPERIMENTS if name == ALL else [name])}
    if name == ALL:  # there, data and methods are those of the regressions alone
        options["paper"] = tuple(one for one in options["paper"] if one not in ("data", "methods"))
        options["resume"] = tuple(one for one in options["resume"] if one != "data")
        options["training"] = ("rounds",)
        if not find_spec("torch"):
            del options["resume"], options["training"]
            note(
                "experiments resume and training are left out: they need torch (pip install 'gcodec[experiments,gloo]')"
            )
    _check_options(given, options)
    _check_folder(out, force)
    common: dict[str, Any] = {"seed": seed, "threads": choose(threads=threads).threads}
    todo = {}
    for one, own in options.items():  # this refuses what is wrong before anything is run
        todo[one] = prepare(one, Asked(**common, **{o: value for o, value in given.items() if o in own}))
    found: dict[str, Outcome] = {}
    for one, run in todo.items():
        with progress_steps(one, quiet) as progress:
            found[one] = outcome = run(progress)
        _write(outcome.files, out, one if name == ALL else "")
        for sentence in outcome.left_out:
            note(sentence)
        if not json:
            show({}, f"{chr(10) * (len(found) > 1)}{one}\n{_text(outcome.rows)}", quiet=quiet)
    _write(shared_files(found), out, "")
    if json:
        rows = {one: [asdict(row) for row in outcome.rows] for one, outcome in found.items()}
        show(rows, "", as_json=True, quiet=quiet)


def _check_options(given: dict[str, Any], options: dict[str, tuple[str, ...]]) -> None:
    """Refuse options that no experiment that was asked for takes."""
    taken = {option for own in options.values() for option in own}
    for option in given:
        if option not in taken:
            own = ", ".join(f"--{one}" for own in options.values() for one in own) or "no such option"
            raise InvalidInput(f"--{option} would change nothing: {', '.join(options)} has {own}")


def _check_folder(out: str | None, force: bool) -> None:
    """Refuse, before the work is done, a folder that cannot take the results."""
    if out is None:
        return
    from ...comparison.pictures import require

    require("experiments")
    results_folder(out, "--out", force)


@contextmanager
def progress_steps(what: str, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A function of (done, total) that draws a bar on stderr when that is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _write(files: dict[str, Any], out: str | None, folder: str) -> None:
    """Write texts and draw pictures. `files`: as in `catalogue.Outcome`."""
    if out is None or not files:
        return
    from ...comparison import pictures

    place = Path(out, folder)
    place.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        with replacing(place / name) as path:
            if isinstance(content, str):
                path.write_text(content, encoding="utf-8")
            else:
                pictures.save(content(), path, "png")


def _text(rows: Sequence[Any]) -> str:
    """Dataclasses of one kind as a table, with their fields as columns."""
    fields = list(asdict(rows[0]))
    cells = [[_cell(value) for value in asdict(row).values()] for row in rows]
    numbers = [i for i, value in enumerate(asdict(rows[0]).values()) if not isinstance(value, str)]
    return table([[name.replace("_", " ") for name in fields], *cells], right=numbers)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    return f"{value:,.0f}" if math.isfinite(value) and abs(value) >= 1e4 else f"{value:.4g}"
