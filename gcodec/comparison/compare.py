"""What each method and each operator of the literature costs on a user's own tensors: measures every one on every tensor."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import numpy as np

from .. import dtypes
from ..choice import choose
from ..distortion import scan_source
from ..errors import GcodecError, InvalidInput, NonFinite
from ..parallel import ordered
from ..policy import SMALL
from ..source import ArraySource, Source
from .measure import Measurement, Subject, Task, measure, tasks
from .summary import Comparison, evaluated

ALPHAS = (0.5, 0.1, 0.01)
_WARM = 32, 64  # shape of the tensor that each task is tried on first, so that no time to compile is counted


def compare(
    tensors: Iterable[tuple[str, Source]],
    alphas: Sequence[float] = ALPHAS,
    methods: list[str] | None = None,
    *,
    small: int = SMALL,
    threads: int | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Comparison:
    """Measure all `methods` (names of `measure.known_names`; None: all) on all tensors for each α.

    Left out, and named in the result: tensors of fewer than `small` values, of a dtype that is always stored exactly, with
    NaN or infinite values, or zero throughout; and methods that refuse a tensor. progress: told the original's bytes per
    measurement. Raises InvalidInput for an unknown method, an α outside (0, 1), threads < 1, or when nothing is left.
    """
    alphas = tuple(sorted({choose("auto", alpha=alpha).guarantee.bound for alpha in alphas}, reverse=True))
    cores = choose("auto", threads=threads).threads
    wanted = tasks(methods, list(alphas))
    left_out: list[tuple[str, str]] = []
    measured: list[Measurement] = []
    subjects: list[tuple[str, str, tuple[int, ...]]] = []
    warm: set[np.dtype] = set()

    def jobs() -> Iterator[Callable[[], Measurement | tuple[str, str]]]:
        for name, source in tensors:
            subject = _subject(name, source, small)
            if isinstance(subject, str):
                left_out.append((name or "the array", subject))
                continue
            if subject.array.dtype not in warm:
                warm.add(subject.array.dtype)
                _warm_up(subject.array.dtype, wanted)
            subjects.append((name, str(subject.array.dtype), subject.array.shape))
            yield from (partial(_attempt, subject, task) for task in wanted)

    for result in ordered(lambda job: job(), jobs(), cores):
        if isinstance(result, Measurement):
            measured.append(result)
            progress(result.original_bytes)
        else:
            left_out.append(result)
    if not measured:
        reasons = "; ".join(f"{name}: {why}" for name, why in left_out)
        raise InvalidInput(f"nothing is left to compare: {reasons or 'the file holds no tensor'}")
    return evaluated(alphas, tuple(subjects), tuple(left_out), measured)


def runs(methods: list[str] | None, alphas: Sequence[float]) -> int:
    """How often `compare` measures each tensor."""
    return len(tasks(methods, list(dict.fromkeys(alphas))))


def _subject(name: str, source: Source, small: int) -> Subject | str:
    """The tensor, or why it is left out."""
    if not dtypes.is_float(source.dtype):
        return f"{source.dtype} is always stored exactly"
    if source.size < max(small, 1):
        return f"fewer than {small} values" if source.size else "no values"
    try:
        scan = scan_source(name, source, "refuse")
    except NonFinite:
        return "has NaN or infinite values"
    if scan is None or scan.norm2 == 0:
        return "all zero"
    return Subject(name, source.read(0, source.size).reshape(source.shape), scan)


def _warm_up(dtype: np.dtype, wanted: list[Task]) -> None:
    array = np.random.default_rng(0).standard_normal(_WARM).astype(dtype)
    subject = _subject("", ArraySource(array), 0)
    assert isinstance(subject, Subject)
    for task in wanted:
        _attempt(subject, task)


def _attempt(subject: Subject, task: Task) -> Measurement | tuple[str, str]:
    try:
        return measure(subject, task)
    except GcodecError as error:
        return f"{task.name} ({task.kind}) on {subject.name or 'the array'}", str(error)
