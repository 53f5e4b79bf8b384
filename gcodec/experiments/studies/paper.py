"""The paper's experiment as its poster shows it: one problem each, bytes sent against the distance.

Ridge and logistic regression by compressed gradient descent on one machine: exact messages, Top-k
with the best of all k, spherical compression (α = 0.15 and 0.2), sparse dithering (α = 0.1) and its
unbiased kind (ω = 1/4). The poster's data sets are not shipped with scikit-learn, and it does not
name step sizes or condition numbers. So the data are the shipped ones nearest in dimension, steps
are those of theory, and the penalty sets a condition number at which exact descent takes about as
many bytes as on the poster.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...baselines.sparsification import TopK
from ...compressors import registry
from ...compressors.spherical.plan import DRAWS_RATIO
from ...errors import InvalidInput
from ...theory import sphere
from ..descent import Curve, best, descend
from ..messages import Coder, Constants, Method, Operator, Plain
from ..problems import Logistic, Problem, Ridge, shipped, standard
from ..run import Progress

GOAL = 1e-4  # the distance at which the poster's axis ends
SPHERICAL = {"ridge": 0.15, "logistic": 0.2}
CONDITION = {"ridge": 285.0, "logistic": 150.0}
OURS = ("tcq",)  # methods of gcodec beside those of the paper
_MOST_VALUES = 1 << 26  # a file's data is held as one dense matrix of at most so many values
_SEARCHABLE = 21  # log2 of the draws on average for a message of `sc` in one block: a second or less
_COUNTS = 48  # values of k that are tried, at most


@dataclass(frozen=True)
class Line:
    """A run as a line of the table.

    constant: α, ω or 0. predicted, measured: the rounds in those of exact descent, by
    theory and in fact. bits: of a message, on average. kilobytes: sent until the distance was GOAL,
    in 1000 bytes. fewer: how many times fewer bytes than exact messages. None where the goal was
    not reached.
    """

    data: str
    dimension: int
    method: str
    guarantee: str
    constant: float
    rounds: int | None
    predicted: float
    measured: float | None
    bits: float
    kilobytes: float | None
    fewer: float | None


def problems(file: str | None, condition: float | None) -> list[Problem]:
    """The poster's two problems on shipped data; or one on a file in LibSVM's format.

    A file with two labels is for logistic regression, any other for ridge regression. Raises
    InvalidInput for what cannot be read.
    """
    if file is not None:
        return [from_file(file, condition)]
    made = {
        "ridge": Ridge("diabetes", *shipped("diabetes"), 1, _condition(condition, "ridge")),
        "logistic": Logistic("breast cancer (means)", *_means(), 1, _condition(condition, "logistic")),
    }
    return [made["ridge"], made["logistic"]]


def from_file(file: str, condition: float | None) -> Problem:
    """The problem of a LibSVM file: `label index:value …` in each line."""
    try:
        from sklearn.datasets import load_svmlight_file
    except ImportError:
        raise InvalidInput("--data FILE needs scikit-learn: pip install 'gcodec[experiments]'") from None
    if not Path(file).is_file():
        raise InvalidInput(f"{file}: there is no such file; --data takes a text file in LibSVM's format")
    try:
        rows, labels = load_svmlight_file(file)
    except (ValueError, UnicodeDecodeError, OverflowError) as error:
        raise InvalidInput(f"{file}: not in LibSVM's format, lines of `label index:value …` ({error})") from None
    if rows.shape[0] == 0:
        raise InvalidInput(f"{file}: is empty; --data takes lines of `label index:value …`")
    if rows.shape[0] < 2 or not 0 < rows.shape[0] * rows.shape[1] <= _MOST_VALUES:
        raise InvalidInput(f"{file}: has {rows.shape[0]} rows of {rows.shape[1]} features; this needs 2 to 2^26 values")
    dense = rows.toarray()
    if not (np.isfinite(dense).all() and np.isfinite(labels).all()):
        raise InvalidInput(f"{file}: has NaN or infinite values")
    features = standard(dense[:, dense.max(axis=0) > dense.min(axis=0)])
    if not features.size or labels.max() == labels.min():
        raise InvalidInput(f"{file}: its features or its labels are all equal")
    name = Path(file).stem
    if len(np.unique(labels)) == 2:
        signs = np.where(labels == labels.max(), 1.0, -1.0)
        return Logistic(name, features, signs, 1, _condition(condition, "logistic"))
    return Ridge(name, features, standard(labels), 1, _condition(condition, "ridge"))


def run(problem: Problem, rounds: int, seed: int, ours: tuple[str, ...], progress: Progress) -> list[Curve]:
    """All curves of one problem: exact descent first, then the best Top-k."""
    d = problem.dimension
    todo = list(_coders(d, SPHERICAL[_kind(problem)], ours))
    curves: list[Curve] = []

    def descent(label: str, coder: Coder) -> Curve:
        return descend(problem, coder, label, rounds=rounds, goal=GOAL, seed=seed)

    progress(0, len(todo) + 1)
    for label, coder in todo:
        curves.append(descent(label, coder))
        progress(len(curves), len(todo) + 1)
    top = best((descent(f"best Top-k (k = {k})", Operator("top-k", TopK(k / d))) for k in _counts(d)), GOAL)
    return [curves[0], top, *curves[1:]]


def left_out(problem: Problem) -> str:
    """Which of the paper's methods a problem is too large for, and why. Empty if there is none."""
    spherical, d = SPHERICAL[_kind(problem)], problem.dimension
    if (bits := _draws_bits(d, spherical)) <= _SEARCHABLE:
        return ""
    return (
        f"{problem.data}: sc at α = {spherical:g} is left out: a message of {d} values as one block takes 2^{bits:.1f} "
        f"draws on average, and more than 2^{_SEARCHABLE} would take too long"
    )


def lines(problem: Problem, curves: list[Curve]) -> list[Line]:
    """The table of one problem's curves, the first of which has exact messages."""
    plain, reference = curves[0].round_at(GOAL), curves[0].bits_at(GOAL)
    return [_line(problem, curve, plain, reference) for curve in curves]


def _line(problem: Problem, curve: Curve, plain: int | None, reference: float | None) -> Line:
    rounds, sent = curve.round_at(GOAL), curve.bits_at(GOAL)
    return Line(
        data=problem.data,
        dimension=problem.dimension,
        method=curve.label,
        guarantee=curve.coder.kind,
        constant=curve.constant,
        rounds=rounds,
        predicted=curve.slow_down,
        measured=rounds / plain if rounds and plain else None,
        bits=curve.bits[-1] / (len(curve.bits) - 1),
        kilobytes=None if sent is None else sent / 8000,
        fewer=reference / sent if reference and sent else None,
    )


def _condition(asked: float | None, kind: str) -> float:
    return CONDITION[kind] if asked is None else asked


def _kind(problem: Problem) -> str:
    return "ridge" if isinstance(problem, Ridge) else "logistic"


def _draws_bits(d: int, alpha: float) -> float:
    """log2 of the draws that one block of `sc` takes on average."""
    return sphere.cap_bits(alpha, d)


def _coders(d: int, spherical: float, ours: tuple[str, ...]) -> Iterator[tuple[str, Coder]]:
    yield "basic", Plain()
    if _draws_bits(d, spherical) <= _SEARCHABLE:
        options = {"max_draws": DRAWS_RATIO << _SEARCHABLE + 1}
        yield f"sc, α = {spherical:g}", Method("sc", "alpha", Constants(alpha=spherical), options=options)
    yield "sd, α = 0.1", Method("sd", "alpha", Constants(alpha=0.1))
    yield "rsd, ω = 0.25", Method("rsd", "omega", Constants(omega=0.25))
    for name in ours:
        kind = registry.by_name(name).load().kinds[0]
        sign = {"alpha": "α = 0.1", "omega": "ω = 0.25"}.get(kind, "exact")
        yield f"{name}, {sign}", Method(name, kind, Constants(alpha=0.1, omega=0.25))


def _counts(d: int) -> list[int]:
    """Every k for a short vector; for a long one, some that grow by equal factors."""
    if d <= _COUNTS:
        return list(range(1, d + 1))
    return sorted({round(d ** (i / (_COUNTS - 1))) for i in range(_COUNTS)})


def _means() -> tuple[np.ndarray, np.ndarray]:
    """The first ten features of the shipped breast cancer data: the means of ten measures."""
    features, labels = shipped("breast_cancer")
    return features[:, :10], np.where(labels > 0, 1.0, -1.0)
