"""Measures one method, or one operator of the literature, on one tensor: bits, distortion, time."""

import math
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np

from ..baselines import FAMILIES
from ..baselines.baseline import Baseline
from ..compressors import registry
from ..container.budget import Budget
from ..container.describe import method_name
from ..container.reader import Record
from ..distortion import Scan, relative_error, squared_error
from ..errors import InvalidInput
from ..pipeline import auto
from ..pipeline.decompress import decompress
from ..request.choice import choose
from ..source import ArraySource
from ..theory import shannon, sphere
from ..theory.report import BASELINE, METHOD

SEED = 0  # the seed of the baselines' random choices
_UNLIMITED = 1 << 62


@dataclass(frozen=True)
class Subject:
    """A tensor to be measured: finite, floating and not all zero.

    scan: what `distortion.scan_source` gives for it.
    """

    name: str
    array: np.ndarray
    scan: Scan


@dataclass(frozen=True)
class Task:
    """What to measure.

    alpha: the bound that a method is asked for; an unbiased method is asked for omega = α/(1−α),
    and one of kind pointwise for this bound of each value. It is None for an exact method, and for
    a baseline, which has parameters instead.
    """

    group: str
    name: str
    kind: str
    alpha: float | None = None
    baseline: Baseline | None = None

    @property
    def parameters(self) -> str:
        """The baseline's parameters, as text."""
        if self.baseline is None:
            return ""
        return ", ".join(f"{f.name} {getattr(self.baseline, f.name):g}" for f in fields(self.baseline))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Measurement:
    """What was measured.

    bits: those of the payload (head and chunks), or of a baseline's message. distortion: ‖x̂ −
    x‖²/‖x‖², or the largest relative error for kind pointwise. For an unbiased method it is the
        expectation over the seed, where the compressor states it.
    energy, scale: ‖x‖² = scale²·energy. encode_seconds, decode_seconds: processor time on one core.
    For a baseline, encode_seconds is the
        time of both ways and decode_seconds is None.
    """

    tensor: str
    task: Task
    size: int
    original_bytes: int
    bits: int
    distortion: float
    energy: float
    scale: float
    encode_seconds: float
    decode_seconds: float | None
    note: str = ""

    @property
    def reached(self) -> float:
        """The distortion as an α.

        An unbiased operator's ω counts as ω/(1+ω), since that is its α after scaling by 1/(1+ω).
        """
        if self.task.kind != "omega" or not math.isfinite(self.distortion):
            return self.distortion
        return shannon.alpha_of_omega(self.distortion) if self.distortion > 0 else 0.0

    @property
    def least_bits(self) -> dict[str, float] | None:
        """The lower bounds of the bits at this distortion, for a vector that nothing is known of.

        It is None at distortion 0 and from 1 on, and for kind pointwise. "cap" holds for methods
        that keep their bound for every input, and counts the direction alone.
        """
        if self.task.kind == "pointwise" or not 0 < self.reached < 1:
            return None
        return {
            "uncertainty": sphere.uncertainty_bits(self.reached, self.size),
            "cap": sphere.cap_bits(self.reached, self.size),
        }


def known_names() -> list[str]:
    """All names that `tasks` takes: `auto`, the methods and the baselines."""
    names = [entry.name for entry in registry.entries()]
    for name in FAMILIES.keys() & names:
        warnings.warn(f"the compressor {name!r} cannot be compared: a known operator has its name", stacklevel=1)
    return ["auto", *(name for name in names if name not in FAMILIES), *FAMILIES]


def tasks(names: list[str] | None, alphas: list[float], pointwises: Sequence[float] = ()) -> list[Task]:
    """What to measure for these names and bounds. None stands for all methods and baselines.

    Methods that bound each value are measured at `pointwises`. Raises InvalidInput for an unknown
    name, and for such a method without a bound.
    """
    known = known_names()
    for name in names or ():
        if name not in known:
            raise InvalidInput(f"method {name!r} is unknown; known are {', '.join(known)}")
    wanted = known[1:] if names is None else list(dict.fromkeys(names))
    found = {name: list(_tasks(name, alphas, pointwises)) for name in wanted}
    for name in names or ():
        if not found[name]:
            raise InvalidInput(f"method {name} bounds the error of each value; give a bound with --pointwise")
    return [task for tasks in found.values() for task in tasks]


def _tasks(name: str, alphas: list[float], pointwises: Sequence[float]) -> Iterator[Task]:
    if name in FAMILIES:
        yield from (Task(BASELINE, name, member.kind, baseline=member) for member in FAMILIES[name])
        return
    kinds = ("alpha", "pointwise") if name == "auto" else registry.by_name(name).load().kinds
    if "exact" in kinds:  # it has the same bits and error for every bound
        kinds = ("exact",)
    bounds: dict[str, Sequence[float | None]] = {"exact": [None], "pointwise": pointwises}
    for kind in kinds:
        yield from (Task(METHOD, name, kind, bound) for bound in bounds.get(kind, alphas))


def measure(subject: Subject, task: Task) -> Measurement:
    """Run a task on one core. Raises InvalidInput when the method refuses the tensor."""
    return _baseline(subject, task) if task.baseline else _method(subject, task)


def _method(subject: Subject, task: Task) -> Measurement:
    bounds = {"omega": {"omega": _omega(task)}, "exact": {"lossless": True}}.get(task.kind, {task.kind: task.alpha})
    seed = {"seed": SEED} if task.kind == "omega" else {}
    choice = choose(task.name, threads=1, **bounds, **seed)  # type: ignore[arg-type]
    start = time.thread_time()
    coded = auto.compress(subject.name, ArraySource(subject.array), choice)
    encoded = time.thread_time()
    header = coded.header
    with coded:
        body = b"".join(coded.pieces())
    begin = time.thread_time()
    record = Record(header, lambda offset, length: body[offset : offset + length])
    for _ in decompress([record], 1, Budget(_UNLIMITED)):
        pass
    stop = time.thread_time()
    gave_up = header.guarantee.kind != task.kind
    note = "stored exactly, as the bound is out of reach" if gave_up else ""
    note = method_name(header) if task.name == "auto" else note
    distortion = header.distortion if header.expected is None else header.expected
    return _result(subject, task, 8 * header.body_length, distortion, (encoded - start, stop - begin), note)


def _baseline(subject: Subject, task: Task) -> Measurement:
    assert task.baseline is not None
    start = time.thread_time()
    # A norm beyond float32 makes the baseline useless, not wrong.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        decoded, bits = task.baseline.compress(subject.array, np.random.default_rng(SEED))
    seconds = time.thread_time() - start
    error2 = squared_error(subject.array.reshape(-1), decoded.reshape(-1), subject.scan.scale)
    distortion = relative_error([error2], subject.scan)
    return _result(subject, task, bits, distortion, (seconds, None), "")


def _omega(task: Task) -> float | None:
    return None if task.alpha is None else shannon.omega_of_alpha(task.alpha)


def _result(
    subject: Subject, task: Task, bits: int, distortion: float, seconds: tuple[float, float | None], note: str
) -> Measurement:
    array, scan = subject.array, subject.scan
    return Measurement(
        subject.name, task, array.size, array.nbytes, bits, distortion, scan.norm2, scan.scale, *seconds, note
    )
