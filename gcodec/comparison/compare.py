"""Measures each method and each operator of the literature on each of a user's own tensors."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import partial

from .. import dtypes
from ..compressors.contract import CHUNK
from ..distortion import scan_source
from ..errors import GcodecError, InvalidInput, NonFinite
from ..parallel import blas_on_one_thread, ordered
from ..request.choice import choose
from ..request.policy import SMALL
from ..source import ArraySource, Source
from .measure import Measurement, Subject, Task, measure, tasks
from .summary import Comparison, evaluated

ALPHAS = (0.5, 0.1, 0.01)


def compare(
    tensors: Iterable[tuple[str, Source]],
    alphas: Sequence[float] = ALPHAS,
    methods: list[str] | None = None,
    *,
    pointwises: Sequence[float] = (),
    small: int = SMALL,
    threads: int | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Comparison:
    """Measure all `methods` on all tensors for each α.

    pointwises: bounds of the error of each value, for methods that promise one.
    methods: names of `measure.known_names`; None stands for all.
    small: tensors of fewer values are left out.
    progress: after each measurement it gets the bytes of the original.

    Tensors are also left out when their dtype is always stored exactly, when they have NaN or
    infinite values, and when they are zero throughout. A method is left out for a tensor that it
    refuses. The result names all that was left out. Raises InvalidInput for an unknown method, a
    bound outside (0, 1), threads < 1, and when nothing is left.
    """
    alphas = tuple(sorted({choose("auto", alpha=alpha).guarantee.bound for alpha in alphas}, reverse=True))
    pointwises = tuple(sorted({choose("auto", pointwise=each).guarantee.bound for each in pointwises}, reverse=True))
    cores = choose("auto", threads=threads).threads
    wanted = tasks(methods, list(alphas), pointwises)
    left_out: list[tuple[str, str]] = []
    measured: list[Measurement] = []
    subjects: list[tuple[str, str, tuple[int, ...]]] = []
    warm: set[Hashable] = set()

    def jobs() -> Iterator[Callable[[], Measurement | tuple[str, str]]]:
        for name, source in tensors:
            subject = _subject(name, source, small)
            if isinstance(subject, str):
                left_out.append((name or "the array", subject))
                continue
            subjects.append((name, str(subject.array.dtype), subject.array.shape))
            new = _kind(subject) not in warm
            warm.add(_kind(subject))
            yield from (partial(_attempt, subject, task, new) for task in wanted)

    with blas_on_one_thread():
        for result in ordered(lambda job: job(), jobs(), cores):
            if isinstance(result, Measurement):
                measured.append(result)
                progress(result.original_bytes)
            else:
                left_out.append(result)
    if not measured:
        reasons = "; ".join(f"{name}: {why}" for name, why in left_out)
        raise InvalidInput(f"nothing is left to compare: {reasons or 'the file holds no tensor'}")
    return evaluated(alphas, tuple(subjects), tuple(left_out), measured, pointwises)


def runs(methods: list[str] | None, alphas: Sequence[float], pointwises: Sequence[float] = ()) -> int:
    """How often `compare` measures each tensor."""
    return len(tasks(methods, list(dict.fromkeys(alphas)), list(dict.fromkeys(pointwises))))


def _subject(name: str, source: Source, small: int) -> Subject | str:
    """The tensor, or the reason why it is left out."""
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


def _attempt(subject: Subject, task: Task, warm_up: bool) -> Measurement | tuple[str, str]:
    try:
        if warm_up:
            measure(_piece(subject), task)
        return measure(subject, task)
    except GcodecError as error:
        return f"{task.name} ({task.kind}) on {subject.name or 'the array'}", str(error)


def _kind(subject: Subject) -> Hashable:
    """A key that is equal for tensors that take the same compiled code.

    The first tensor of a kind is measured twice, so that no compilation is timed.
    """
    array = subject.array
    return array.dtype, array.ndim, min(array.size, CHUNK).bit_length()


def _piece(subject: Subject) -> Subject:
    """The tensor, or the first rows of a large one, about a chunk.

    All chunks take the same code.
    """
    array = subject.array
    if array.size <= CHUNK:
        return subject
    piece = array[: max(1, CHUNK * len(array) // array.size)]
    found = _subject("", ArraySource(piece), 0)
    return subject if isinstance(found, str) else found
