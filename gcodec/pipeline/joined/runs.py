"""Runs of small tensors that are stored exactly, each coded as one vector (spec/format.md §3.7)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...compressors.contract import Guarantee
from ...compressors.registry import EXACT
from ...container.fields import crc32
from ...container.records.joined import MAX_MEMBERS, MAX_NAMES, JoinHeader
from ...dtypes import as_bytes, is_float
from ...request.choice import Choice
from ...request.rules import Chooser
from ...source import ArraySource, Source
from ..coded import CodedRecord
from ..compress import check_bools, store

LEAST = 16  # tensors of a run that is joined; fewer gain little
MOST = 256  # values of a tensor that is joined; the header of a larger one matters little
TINY = 128  # bytes of a tensor that is joined whatever its bound; a record of its own takes more
TOGETHER = 1 << 17  # values of a block, all of which are decoded for one of its tensors, and lost by damage


class Task(NamedTuple):
    """A tensor to be coded. choice: None where nobody has asked for it yet."""

    name: str
    source: Source
    choice: Choice | None


def runs(tensors: Iterable[tuple[str, Source]], chooser: Chooser) -> Iterator[list[Task]]:
    """The tensors in their order: neighbours that can be joined together, all others alone."""
    run: list[Task] = []
    values = length = 0
    for name, source in tensors:
        task = Task(name, source, chooser(name, source) if _is_small(source) else None)
        fits = _can_join(task)
        values, length = values + source.size, length + len(name.encode(errors="replace"))
        if run and not (
            fits
            and source.dtype == run[0].source.dtype
            and len(run) < MAX_MEMBERS
            and values <= TOGETHER
            and length <= MAX_NAMES
        ):
            yield run
            run = []
        if not run:
            values, length = source.size, len(name.encode(errors="replace"))
        if fits:
            run.append(task)
        else:
            yield [task]
    if run:
        yield run


def _is_small(source: Source) -> bool:
    return 0 < source.size <= MOST and (source.dtype.kind in "biuc" or is_float(source.dtype))


def _can_join(task: Task) -> bool:
    """Whether the tensor is small, and to be stored exactly without a base.

    One that may have an error is joined if it is so small that a record takes more than its values.
    """
    choice, source = task.choice, task.source
    if choice is None or choice.base is not None or choice.method not in ("auto", EXACT.name):
        return False
    if choice.guarantee.kind == "exact" or not is_float(source.dtype):
        return True
    return source.size * source.dtype.itemsize <= TINY and bool(np.isfinite(source.read(0, source.size)).all())


@dataclass(frozen=True)
class CodedJoin:
    """A run of tensors that was coded as one vector. record: that of all values."""

    header: JoinHeader
    record: CodedRecord

    @classmethod
    def of(cls, run: list[Task]) -> "CodedJoin":
        """Raises what reading the tensors raises, and InvalidInput for bools that are none."""
        values = [task.source.read(0, task.source.size) for task in run]
        for task, one in zip(run, values, strict=True):
            check_bools(task.name, one)
        crcs = tuple(crc32(as_bytes(one)) for one in values)
        record = store("", ArraySource(np.concatenate(values)), Choice(EXACT.name, Guarantee("exact")))
        names, shapes = tuple(task.name for task in run), tuple(task.source.shape for task in run)
        return cls(JoinHeader(record.header, names, shapes, crcs), record)

    def close(self) -> None:
        self.record.close()

    def __enter__(self) -> "CodedJoin":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
