"""Whole experiments: every coder on every data set of a kind, as tables and files."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from ...errors import InvalidInput
from ...theory.report import BASELINE
from ..messages import PLAIN, Coder, Constants, coders
from ..methods import schemes
from ..problems import DATA, Problem, Setting, make
from ..run import Backend, Job, Trace, run

GOALS = (1e-6, 1e-8)


@dataclass(frozen=True)
class Plan:
    """What to run. `data` and `methods` are names, or None for all."""

    kind: str
    data: Sequence[str] | None = None
    methods: Sequence[str] | None = None
    workers: int = 8
    rounds: int = 1000
    condition: float = 20.0
    seed: int = 0
    constants: Constants = Constants()


@dataclass(frozen=True)
class Result:
    """A run that is over."""

    problem: Problem
    job: Job
    trace: Trace

    @property
    def label(self) -> str:
        """The method and the scheme, as text."""
        coder, scheme = self.job.coder, self.job.scheme
        return f"{coder.name} ({scheme.name})" if coder.name != PLAIN else PLAIN


@dataclass(frozen=True)
class Line:
    """A run as a line of a table.

    constant: α or ω. step: γ. rate: the mean bits per coordinate of a message. bits_1e_6,
    bits_1e_8: the bits that a worker sent until the gap was as small. None if it never was. fewer:
    how many times fewer bits than uncompressed it took to 1e-6. gap: the gap at the end.
    """

    data: str
    dimension: int
    method: str
    guarantee: str
    constant: float
    scheme: str
    step: float
    rounds: int
    rate: float
    bits_1e_6: float | None
    bits_1e_8: float | None
    fewer: float | None
    gap: float


def plan_runs(plan: Plan) -> list[tuple[Problem, Job]]:
    """All runs of a plan, in order.

    Raises InvalidInput for unknown names and numbers out of range.
    """
    if plan.kind not in DATA:
        raise InvalidInput(f"experiment {plan.kind!r} is unknown; known are {', '.join(DATA)}")
    if plan.rounds < 1:
        raise InvalidInput(f"the number of rounds must be at least 1, not {plan.rounds}")
    return [pair for data in dict.fromkeys(plan.data or DATA[plan.kind]) for pair in _runs_on(plan, data)]


def execute(
    todo: Sequence[tuple[Problem, Job]],
    rounds: int,
    backend: Backend,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Result]:
    """Do the runs of a plan. `progress` gets how many runs are done, and how many there are."""
    results: list[Result] = []
    for problem, job in todo:
        progress(len(results), len(todo))
        results.append(Result(problem, job, run(job, problem, backend, rounds)))
    progress(len(todo), len(todo))
    return results


def lines(results: Iterable[Result]) -> list[Line]:
    """The table of bits to reach each goal."""
    results = list(results)
    plain = {result.problem.data: result.trace for result in results if result.job.coder.name == PLAIN}
    return [_line(result, plain[result.problem.data]) for result in results]


def table_csv(rows: Sequence[Any]) -> str:
    """Dataclasses of one kind as CSV. A None becomes an empty field."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([field.name for field in fields(rows[0])])
    writer.writerows(asdict(row).values() for row in rows)
    return out.getvalue()


def table_markdown(experiments: Mapping[str, Sequence[Line]]) -> str:
    """A table with a row for each method and scheme, and a column for each data set.

    A cell has the kbit (1000 bits) to the first goal, and how many times fewer that is than
    uncompressed.
    """
    columns = list(
        dict.fromkeys((kind, line.data, line.dimension) for kind, own in experiments.items() for line in own)
    )
    cells = {(line.method, line.scheme, kind, line.data): line for kind, own in experiments.items() for line in own}
    titles = (f"{kind}: {data}, d = {dimension}" for kind, data, dimension in columns)
    rows = [("method", "scheme", *titles), ("---", "---", *("--:" for _ in columns))]
    for method, scheme in dict.fromkeys(key[:2] for key in cells):
        own = (cells.get((method, scheme, kind, data)) for kind, data, _ in columns)
        rows.append((method, scheme, *map(_cell, own)))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cell(line: Line | None) -> str:
    if line is None or line.bits_1e_6 is None:
        return "–" if line is None else "never"
    return f"{line.bits_1e_6 / 1000:,.1f}" + (f" · {line.fewer:.2f}×" if line.fewer else "")


def curves_csv(results: Iterable[Result]) -> str:
    """Every round of every run as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("data", "method", "guarantee", "scheme", "round", "bits_per_worker", "gap"))
    for result in results:
        coder, trace = result.job.coder, result.trace
        name = result.problem.data, coder.name, coder.kind, result.job.scheme.name
        for k, (bits, gap) in enumerate(zip(trace.bits, trace.gaps, strict=True)):
            writer.writerow((*name, k, bits, f"{gap:.6g}"))
    return out.getvalue()


def by_data(results: Iterable[Result]) -> dict[str, list[Result]]:
    """The results on each data set."""
    found: dict[str, list[Result]] = {}
    for result in results:
        found.setdefault(result.problem.data, []).append(result)
    return found


def _runs_on(plan: Plan, data: str) -> Iterator[tuple[Problem, Job]]:
    setting = Setting(plan.kind, data, plan.workers, plan.condition, plan.seed)
    problem = make(setting)
    seen: set[str] = set()
    for coder in coders(problem.dimension, plan.methods, plan.constants):
        fitting = schemes(problem, coder)
        for scheme in fitting if coder.kind not in seen and not _is_baseline(coder) else fitting[:1]:
            yield problem, Job(setting, coder, scheme)
        seen.add(coder.kind)


def _is_baseline(coder: Coder) -> bool:
    return coder.group == BASELINE


def _line(result: Result, plain: Trace) -> Line:
    problem, job, trace = result.problem, result.job, result.trace
    rounds = len(trace.gaps) - 1
    to_goal = [trace.bits_to(goal) for goal in GOALS]
    reference = plain.bits_to(GOALS[0])
    return Line(
        data=problem.data,
        dimension=problem.dimension,
        method=job.coder.name,
        guarantee=job.coder.kind,
        constant=job.coder.constant(problem.dimension),
        scheme=job.scheme.name,
        step=job.scheme.step,
        rounds=rounds,
        rate=trace.bits[-1] / rounds / problem.dimension,
        bits_1e_6=to_goal[0],
        bits_1e_8=to_goal[1],
        fewer=reference / to_goal[0] if reference and to_goal[0] else None,
        gap=trace.gaps[-1],
    )
