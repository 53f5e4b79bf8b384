"""`gcodec experiment`: the paper's experiments, and theory beside measurement."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InvalidInput
from ..io.atomic import replacing
from . import options as opt
from .output import show, table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..experiments.problems import Problem
    from ..experiments.run import Backend, Job
    from ..experiments.suite import Line, Plan

THEORY, ALL = "theory", "all"
_TRAINING = (
    "data",
    "methods",
    "workers",
    "rounds",
    "condition",
    "alpha",
    "omega",
    "backend",
)  # options of descent alone
Files = dict[str, "str | Figure"]  # by the name of the file


def experiment(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="ridge, logistic, theory, or all of them.")],
    out: Annotated[
        str | None,
        typer.Option("-o", "--out", metavar="DIR", help="Write curves.csv, table.csv, table.md and pictures here."),
    ] = None,
    data: Annotated[str | None, typer.Option(help="Data sets, with commas between; default: all.")] = None,
    methods: Annotated[
        str | None, typer.Option(help="Methods and baselines, with commas between; default: all.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Number of workers that the data is split over.")] = 8,
    rounds: Annotated[int, typer.Option(help="The most rounds of a run.")] = 1000,
    condition: Annotated[float, typer.Option(help="L/μ of each problem, set by its penalty.")] = 20.0,
    alpha: Annotated[float, typer.Option(help="Bound of the biased methods.")] = 0.1,
    omega: Annotated[float, typer.Option(help="Bound of the unbiased methods.")] = 0.25,
    seed: Annotated[int, typer.Option(help="Seed of generated data and of random choices.")] = 0,
    backend: Annotated[str, typer.Option(help="threads, or gloo: processes over torch.distributed.")] = "threads",
    threads: opt.ThreadsOpt = None,
    force: opt.ForceOpt = False,
    json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
) -> None:
    """Distributed descent with compressed messages: the gap to the optimum against the bits."""
    from ..experiments import suite
    from ..experiments.messages import Constants
    from ..experiments.problems import DATA
    from ..experiments.suite import Line, Plan
    from ..request.choice import choose

    if name not in (*DATA, THEORY, ALL):
        raise InvalidInput(f"experiment {name!r} is unknown; known are {', '.join((*DATA, THEORY, ALL))}")
    if backend not in ("threads", "gloo"):
        raise InvalidInput(f"--backend {backend}: unknown; it is threads or gloo")
    if name == THEORY:
        _refuse(ctx, _TRAINING)
    _check_folder(out, force)
    cores = choose(threads=threads).threads
    constants = Constants(choose(alpha=alpha).guarantee.bound, choose(omega=omega).guarantee.bound)
    numbers = dict(workers=workers, rounds=rounds, condition=condition, seed=seed)
    kinds = list(DATA) if name == ALL else [name] if name != THEORY else []
    plans = [Plan(kind, _names(data), _names(methods), constants=constants, **numbers) for kind in kinds]  # type: ignore[arg-type]
    todo = [(plan, suite.plan_runs(plan)) for plan in plans]  # refuses what is wrong before anything is run
    result: dict[str, list[dict[str, Any]]] = {}
    tables: dict[str, list[Line]] = {}

    def done(part: str, rows: list[dict[str, Any]], text: str, files: Files) -> None:
        _write(files, out, part if name == ALL else "")
        if not json:
            show({}, f"{chr(10) * bool(result)}{part}\n{text}", quiet=quiet)
        result[part] = rows

    for plan, runs in todo:
        place = _backend(backend, workers, cores)
        tables[plan.kind], files = _train(plan, runs, place, bool(out), quiet)
        done(plan.kind, [asdict(line) for line in tables[plan.kind]], _table(tables[plan.kind]), files)
    if tables:
        _write({"table.md": suite.table_markdown(tables)}, out, "")
    if name in (THEORY, ALL):
        points, files = _theory(seed, bool(out), quiet)
        done(THEORY, points, _points(points), files)
    if json:
        show(result, "", as_json=True, quiet=quiet)


def _refuse(ctx: typer.Context, names: Iterable[str]) -> None:
    """Refuse options that would do nothing."""
    for name in names:
        source = ctx.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise InvalidInput(f"--{name} is for ridge and logistic; {THEORY} has none")


def _check_folder(out: str | None, force: bool) -> None:
    """Refuse, before the work is done, a folder that cannot take the results."""
    if out is None:
        return
    from ..comparison.pictures import require

    require()
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise InvalidInput(f"{out} is a file; name a folder with --out")
    if not folder.absolute().parent.is_dir():
        raise InvalidInput(f"{folder.absolute().parent}: there is no such directory; create it first")
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise InvalidInput(f"{out} is not empty; choose another folder with --out, or overwrite its files with -f")


def _train(
    plan: "Plan",
    runs: "Sequence[tuple[Problem, Job]]",
    backend: "AbstractContextManager[Backend]",
    draw: bool,
    quiet: bool,
) -> "tuple[list[Line], Files]":
    """Run a plan: its table, and the files that it gives."""
    from ..experiments import figures, suite

    with backend as place, progress_steps(plan.kind, quiet) as progress:
        results = suite.execute(runs, plan.rounds, place, progress)
    found = suite.lines(results)
    files: Files = {}
    if draw:
        files = {"curves.csv": suite.curves_csv(results), "table.csv": suite.table_csv(found)}
        files |= {f"{data}.png": figures.convergence(own) for data, own in suite.by_data(results).items()}
    return found, files


def _theory(seed: int, draw: bool, quiet: bool) -> tuple[list[dict[str, Any]], Files]:
    from ..experiments import beside_theory, figures, suite

    with progress_steps(THEORY, quiet) as progress:
        points = beside_theory.measure_all(seed, progress)
    files: Files = {}
    if draw:
        files = {"table.csv": suite.table_csv(points), "trade_off.png": figures.trade_off(points)}
        files["slow_down.png"] = figures.slow_down(points)
    return [asdict(point) for point in points], files


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


@contextmanager
def _backend(name: str, workers: int, threads: int) -> "Iterator[Backend]":
    if name == "threads":
        from ..experiments.run import Threads

        yield Threads(threads)
        return
    from ..experiments.gloo import Gloo

    with Gloo(workers) as gloo:
        yield gloo


def _names(text: str | None) -> list[str] | None:
    return [name.strip() for name in text.split(",")] if text is not None else None


def _write(files: Files, out: str | None, folder: str) -> None:
    from ..comparison import pictures

    if out is None:
        return
    place = Path(out, folder)
    place.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        with replacing(place / name) as path:
            if isinstance(content, str):
                path.write_text(content, encoding="utf-8")
            else:
                pictures.save(content, path, "png")


def _table(found: "list[Line]") -> str:
    cells = [
        ("data", "d", "method", "scheme", "constant", "rounds", "bits/coord", "bits to 1e-6", "fewer", "1e-8", "gap")
    ]
    for line in found:
        cells.append(
            (
                line.data,
                f"{line.dimension}",
                line.method,
                line.scheme,
                f"{line.constant:.4g}",
                f"{line.rounds:,}",
                f"{line.rate:.3f}",
                _bits(line.bits_1e_6),
                f"{line.fewer:.2f}×" if line.fewer else "",
                _bits(line.bits_1e_8),
                f"{line.gap:.1e}",
            )
        )
    return table(cells, right=(1, 4, 5, 6, 7, 8, 9, 10))


def _bits(bits: float | None) -> str:
    return "never" if bits is None else f"{bits:,.0f}"


def _points(points: list[dict[str, Any]]) -> str:
    cells = [("method", "guarantee", "bound", "bits/coord", "error")]
    for point in points:
        bound, rate, error = (f"{point[key]:.4g}" for key in ("bound", "rate", "distortion"))
        cells.append((point["method"], point["guarantee"], bound, rate, error))
    return table(cells, right=(2, 3, 4))
