"""Runs of small tensors that are stored exactly, each coded as one vector (spec/format.md §3.7)."""

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ...compressors.contract import Guarantee
from ...compressors.registry import EXACT
from ...container.fields import crc32
from ...container.records.joined import MAX_MEMBERS, MAX_NAMES, JoinHeader
from ...dtypes import as_bytes, is_float
from ...request.choice import Choice
from ...request.on_base import OnBase, OnBases
from ...request.rules import Chooser
from ...source import ArraySource, Source
from ..bases.encode import compress
from ..bases.links import joined
from ..coded import CodedRecord
from ..compress import check_bools

LEAST = 16  # tensors of a run that is joined; fewer gain little
MOST = 256  # values of a tensor that is joined; the header of a larger one matters little
TINY = 128  # bytes of a tensor that is joined whatever its bound; a record of its own takes more
TOGETHER = 1 << 17  # values of a block, all of which are decoded for one of its tensors, and lost by damage
MOST_ON_BASE = 1 << 18  # the same of tensors that their bases leave little of
TOGETHER_ON_BASE = 1 << 19


class Task(NamedTuple):
    """A tensor to be coded. choice: None where nobody has asked for it yet."""

    name: str
    source: Source
    choice: Choice | None


def runs(tensors: Iterable[tuple[str, Source]], chooser: Chooser) -> Iterator[list[Task]]:
    """The tensors in their order: neighbours that can be joined together, all others alone."""
    most = MOST_ON_BASE if isinstance(chooser, OnBases) else MOST
    run = _Run(None)
    for name, source in tensors:
        task = Task(name, source, chooser(name, source) if _is_small(source, most) else None)
        kind = _kind(task)
        if not run.takes(task, kind):
            if run.tasks:
                yield run.tasks
            run = _Run(kind)
        if run.kind is None:
            yield [task]
        else:
            run.add(task)
    if run.tasks:
        yield run.tasks


@dataclass
class _Run:
    """Tensors of one kind that are joined. values, length: how many values and bytes of names."""

    kind: tuple[Hashable, ...] | None
    tasks: list[Task] = field(default_factory=list)
    values: int = 0
    length: int = 0

    def takes(self, task: Task, kind: tuple[Hashable, ...] | None) -> bool:
        if kind is None or kind != self.kind:
            return False
        length = self.length + len(task.name.encode(errors="replace"))
        most = TOGETHER_ON_BASE if kind[1] else TOGETHER
        return len(self.tasks) < MAX_MEMBERS and self.values + task.source.size <= most and length <= MAX_NAMES

    def add(self, task: Task) -> None:
        self.tasks.append(task)
        self.values += task.source.size
        self.length += len(task.name.encode(errors="replace"))


def least(run: list[Task]) -> int:
    """How many tensors a run has at least that is joined."""
    return 2 if run[0].choice is not None and run[0].choice.base is not None else LEAST


def _is_small(source: Source, most: int) -> bool:
    return 0 < source.size <= most and (source.dtype.kind in "biuc" or is_float(source.dtype))


def _kind(task: Task) -> tuple[Hashable, ...] | None:
    """What joined tensors have in common; None for one that is not to be joined.

    It is to be stored exactly. Either it is small and has no base, or most of its values are those
    of a base of the same name. The bases stand alone, or are joined in one block themselves. A
    tensor that may have an error is joined if it is so small that a record takes more than its
    values.
    """
    choice, source = task.choice, task.source
    if choice is None or choice.method not in ("auto", EXACT.name):
        return None
    base, exact = choice.base, choice.guarantee.kind == "exact" or not is_float(source.dtype)
    if base is None:
        return (source.dtype, False) if source.size <= MOST and (exact or _is_tiny(source)) else None
    if not exact:
        return None
    if base.name != task.name or (base.depth > 0 and base.block is None) or not _is_close(source, base.source):
        return None
    return source.dtype, True, base.block


def _is_tiny(source: Source) -> bool:
    return source.size * source.dtype.itemsize <= TINY and bool(np.isfinite(source.read(0, source.size)).all())


def _is_close(source: Source, base: Source) -> bool:
    """Whether at least half of all words are those of the base, bit for bit."""
    word = f"u{min(source.dtype.itemsize, 8)}"
    above, below = (np.ascontiguousarray(one.read(0, source.size)).view(word) for one in (source, base))
    return 2 * int(np.count_nonzero(above == below)) >= above.size


@dataclass(frozen=True)
class CodedJoin:
    """A run of tensors that was coded as one vector. record: that of all values."""

    header: JoinHeader
    record: CodedRecord

    @classmethod
    def of(cls, run: list[Task]) -> "CodedJoin | None":
        """The run as one vector. None where its bases are of no use.

        Raises what reading the tensors raises, and InvalidInput for bools that are none.
        """
        values = [task.source.read(0, task.source.size) for task in run]
        for task, one in zip(run, values, strict=True):
            check_bools(task.name, one)
        crcs = tuple(crc32(as_bytes(one)) for one in values)
        choice = Choice(EXACT.name, Guarantee("exact"), base=_joined_base(run))
        record = compress("", ArraySource(np.concatenate(values)), choice)
        if choice.base is not None and record.header.base is None:
            record.close()
            return None
        names, shapes = tuple(task.name for task in run), tuple(task.source.shape for task in run)
        return cls(JoinHeader(record.header, names, shapes, crcs), record)

    def close(self) -> None:
        self.record.close()

    def __enter__(self) -> "CodedJoin":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _joined_base(run: list[Task]) -> OnBase | None:
    """The bases of a run as one."""
    bases = [task.choice.base for task in run if task.choice is not None and task.choice.base is not None]
    if not bases:
        return None
    return OnBase(joined([base.source for base in bases]), "", max(base.depth for base in bases))
