"""Every experiment by name: what it takes, what it measures, and the files that it gives.

`prepare` checks what was asked before anything is run, and returns the run itself.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ..compressors import registry
from ..errors import InvalidInput
from ..request.choice import DEFAULT_ALPHA, DEFAULT_OMEGA, choose
from .messages import Constants
from .problems import DATA, Problem, Setting, make
from .run import Backend, Progress, Threads
from .studies import both_ways, network, paper, resume, sweep, training, workers
from .studies.suite import Plan, curves_csv, execute, lines, plan_runs, table_csv, table_markdown
from .training import pytorch

if TYPE_CHECKING:
    pass

Value = TypeVar("Value")
File = "str | Callable[[], Figure]"  # a text, or a function that draws a picture


@dataclass(frozen=True)
class Asked:
    """What a user gave; None: not given. The meaning of each is that of the option of its name."""

    data: str | None = None
    methods: str | None = None
    workers: int | None = None
    rounds: int | None = None
    condition: float | None = None
    alpha: float | None = None
    omega: float | None = None
    backend: str | None = None
    seed: int = 0
    threads: int = 1


@dataclass(frozen=True)
class Outcome:
    """What an experiment found: dataclasses of one kind as rows, and its files by name.

    left_out: what it did not run, and why, a sentence each.
    """

    rows: Sequence[Any]
    files: dict[str, Any]  # each a File
    left_out: tuple[str, ...] = ()


Run = Callable[[Progress], Outcome]


@dataclass(frozen=True)
class Experiment:
    """options: those that it takes, beside the seed. prepare: checks them; raises InvalidInput."""

    summary: str
    options: tuple[str, ...]
    prepare: Callable[[Asked], Run]


def _descent(kind: str, asked: Asked) -> Run:
    plan = Plan(
        kind,
        _names(asked.data),
        _names(asked.methods),
        workers=_given(asked.workers, 8),
        rounds=_given(asked.rounds, 1000),
        condition=_given(asked.condition, 20.0),
        seed=asked.seed,
        constants=Constants(_alpha(asked), _omega(asked)),
    )
    todo, place = plan_runs(plan), _backend(asked, plan.workers)  # no worker is started yet

    def run(progress: Progress) -> Outcome:
        from . import figures
        from .studies.suite import by_data

        with place() as backend:
            results = execute(todo, plan.rounds, backend, progress)
        rows = lines(results)
        pictures = {f"{data}.png": partial(figures.convergence, own) for data, own in by_data(results).items()}
        return Outcome(rows, {"curves.csv": curves_csv(results), "table.csv": table_csv(rows)} | pictures)

    return run


def _theory(asked: Asked) -> Run:
    def run(progress: Progress) -> Outcome:
        from . import figures
        from .studies import beside_theory

        points = beside_theory.measure_all(asked.seed, progress)
        pictures = {
            "trade_off.png": partial(figures.trade_off, points),
            "slow_down.png": partial(figures.slow_down, points),
        }
        return Outcome(points, {"table.csv": table_csv(points)} | pictures)

    return run


def _paper(asked: Asked) -> Run:
    ours = tuple(_names(asked.methods) or paper.OURS)
    known = [entry.name for entry in registry.entries()]
    if unknown := [name for name in ours if name not in known]:
        raise InvalidInput(f"method {unknown[0]!r} is unknown here; known are {', '.join(known)}")
    found = paper.problems(asked.data, asked.condition)
    rounds = _rounds(asked, 20_000)

    def run(progress: Progress) -> Outcome:
        from . import panels

        curves = [(problem, paper.run(problem, rounds, asked.seed, ours, progress)) for problem in found]
        rows = [line for problem, own in curves for line in paper.lines(problem, own)]
        files = {"table.csv": table_csv(rows), "paper.png": partial(panels.paper, curves)}
        return Outcome(rows, files, tuple(filter(None, map(paper.left_out, found))))

    return run


def _workers(asked: Asked) -> Run:
    omega, rounds = choose(omega=_given(asked.omega, workers.OMEGA)).guarantee.bound, _rounds(asked, 3000)
    problem = _generated(asked, 1)

    def run(progress: Progress) -> Outcome:
        from . import panels

        rows = workers.measure(problem, omega, rounds, asked.seed, progress)
        return Outcome(rows, {"table.csv": table_csv(rows), "workers.png": partial(panels.workers, rows)})

    return run


def _sweep(asked: Asked) -> Run:
    problem, rounds = _generated(asked, 1), _rounds(asked, 5000)

    def run(progress: Progress) -> Outcome:
        from . import panels

        rows = sweep.measure(problem, rounds, asked.seed, progress)
        return Outcome(rows, {"table.csv": table_csv(rows), "sweep.png": partial(panels.sweep_picture, rows)})

    return run


def _both(asked: Asked) -> Run:
    problem, alpha, rounds = _generated(asked, _given(asked.workers, 8)), _alpha(asked), _rounds(asked, 3000)

    def run(progress: Progress) -> Outcome:
        from . import panels

        runs = both_ways.measure(problem, alpha, rounds, asked.seed, progress)
        rows = both_ways.lines(runs)
        return Outcome(rows, {"table.csv": table_csv(rows), "both.png": partial(panels.both, runs)})

    return run


def _network(asked: Asked) -> Run:
    alpha, rounds = _alpha(asked), _rounds(asked, 150)

    def run(progress: Progress) -> Outcome:
        from . import panels

        runs = network.measure(alpha, rounds, asked.seed, progress)
        rows = network.lines(runs)
        return Outcome(rows, {"table.csv": table_csv(rows), "network.png": partial(panels.network_picture, runs)})

    return run


def _resume(asked: Asked) -> Run:
    pytorch()  # refuses to go on without it
    chosen, steps = resume.tasks(_names(asked.data)), _rounds(asked, 50)

    def run(progress: Progress) -> Outcome:
        from . import panels

        runs = resume.measure(chosen, steps, asked.seed, progress)
        rows = resume.lines(runs)
        pictures = {f"{name}.png": partial(panels.resumed, runs, apart) for name, apart in _RESUMED.items()}
        return Outcome(rows, {"table.csv": table_csv(rows)} | pictures)

    return run


def _training(asked: Asked) -> Run:
    pytorch("training")  # refuses to go on without it
    settings, steps = training.chosen(_names(asked.methods)), _rounds(asked, 60)
    counts = training.COUNTS if asked.workers is None else (asked.workers,)
    if min(counts) < 1:
        raise InvalidInput(f"the number of workers must be at least 1, not {min(counts)}")

    def run(progress: Progress) -> Outcome:
        from . import panels

        rows = training.measure(settings, counts, steps, asked.seed, progress)
        return Outcome(rows, {"table.csv": table_csv(rows), "training.png": partial(panels.training_picture, rows)})

    return run


_RESUMED = {"losses": False, "apart": True}
_DESCENT = ("data", "methods", "workers", "rounds", "condition", "alpha", "omega", "backend")
EXPERIMENTS: dict[str, Experiment] = {
    **{kind: Experiment(f"{kind} regression over workers", _DESCENT, partial(_descent, kind)) for kind in DATA},
    "theory": Experiment("bits against error, beside theory", (), _theory),
    "paper": Experiment("the paper's own experiment", ("data", "methods", "rounds", "condition"), _paper),
    "workers": Experiment("noise that averages out", ("rounds", "condition", "omega"), _workers),
    "sweep": Experiment("which α and ω cost least", ("rounds", "condition"), _sweep),
    "both": Experiment("both directions compressed", ("workers", "rounds", "condition", "alpha"), _both),
    "network": Experiment("a small network with error feedback", ("rounds", "alpha"), _network),
    "resume": Experiment("training that goes on from a coded checkpoint", ("data", "rounds"), _resume),
    "training": Experiment("loss against the bits of gradients", ("methods", "workers", "rounds"), _training),
}


def prepare(name: str, asked: Asked) -> Run:
    """The run of an experiment, once all that was asked is checked. Raises InvalidInput."""
    return EXPERIMENTS[name].prepare(replace(asked, seed=asked.seed % (1 << 63)))  # as numpy's seeds are not negative


def shared_files(found: dict[str, Outcome]) -> dict[str, Any]:
    """Files about several experiments: the table of all regressions."""
    regressions = {name: outcome.rows for name, outcome in found.items() if name in DATA}
    return {"table.md": table_markdown(regressions)} if regressions else {}


def _generated(asked: Asked, count: int) -> Problem:
    return make(Setting("ridge", "generated", count, _given(asked.condition, 20.0), asked.seed))


def _alpha(asked: Asked) -> float:
    return choose(alpha=_given(asked.alpha, DEFAULT_ALPHA)).guarantee.bound


def _omega(asked: Asked) -> float:
    return choose(omega=_given(asked.omega, DEFAULT_OMEGA)).guarantee.bound


def _rounds(asked: Asked, default: int) -> int:
    rounds = _given(asked.rounds, default)
    if rounds < 1:
        raise InvalidInput(f"the number of rounds must be at least 1, not {rounds}")
    return rounds


def _given(value: Value | None, default: Value) -> Value:
    return default if value is None else value


def _names(text: str | None) -> list[str] | None:
    """The names with commas between, each once."""
    return list(dict.fromkeys(name.strip() for name in text.split(","))) if text is not None else None


def _backend(asked: Asked, count: int) -> Callable[[], AbstractContextManager[Backend]]:
    """What starts the workers."""
    if asked.backend in (None, "threads"):
        return lambda: nullcontext(Threads(asked.threads))
    if asked.backend != "gloo":
        raise InvalidInput(f"--backend {asked.backend}: unknown; it is threads or gloo")
    from .gloo import Gloo

    return lambda: Gloo(count)
