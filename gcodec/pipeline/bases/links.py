"""The links of a chain of bases: each is a tensor, or what joined tensors are coded against."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...compressors.contract import TensorSpec
from ...container.base import BaseName
from ...container.layout import TensorHeader
from ...container.records.joined import JoinHeader
from ...container.records.record import Member
from ...errors import LimitExceeded
from ...source import ArraySource, Source, Span
from ..decompress import whole_chunks
from .places import Found, Place


@dataclass(frozen=True)
class Need:
    """What a record needs: a base, as the tensors of these names, dtypes and sizes together."""

    base: BaseName
    tensors: Sequence[tuple[str, TensorSpec]]

    @property
    def key(self) -> tuple[object, ...]:
        return self.base.crc, *(name for name, _ in self.tensors)

    @classmethod
    def of(cls, header: TensorHeader | JoinHeader) -> "Need | None":
        """None for a record that stands alone."""
        if isinstance(header, TensorHeader):
            return None if header.base is None else cls(header.base, [(header.base.name, header.spec)])
        base, dtype = header.record.base, header.record.spec.dtype
        if base is None:
            return None
        specs = [TensorSpec(dtype, shape) for shape in header.shapes]
        named = replace(base, name=header.names[0], several=True)
        return cls(named, list(zip(header.names, specs, strict=True)))


@dataclass(frozen=True)
class Link:
    """Tensors of one place that are a base together."""

    tensors: Sequence[Found]

    @property
    def place(self) -> Place:
        return self.tensors[0].place

    @property
    def name(self) -> str:
        """The name of the first one."""
        return self.tensors[0].name

    @property
    def key(self) -> tuple[object, ...]:
        return id(self.place), *(found.name for found in self.tensors)

    @property
    def depth(self) -> int:
        """How many records must be decoded before them, as their records say."""
        return max((need.base.depth for need in self._needs.values()), default=0)

    @property
    def need(self) -> Need | None:
        """What must be decoded before them.

        Raises LimitExceeded where that is more than one base.
        """
        needs = self._needs
        if len(needs) > 1:
            raise LimitExceeded(
                f"{self.place.label}: {self.name!r} and others are one base together, and have several bases themselves"
            )
        return next(iter(needs.values()), None)

    def covering(self, span: Span | None) -> Span | None:
        """What must be decoded to get the values at a span; None is all, as of what is joined."""
        record = self.tensors[0].record
        if span is None or record is None or isinstance(record, Member) or len(self.tensors) > 1:
            return None
        return whole_chunks(record.header, *span)

    def repeats(self, need: Need) -> bool:
        """Whether they need what they were found for, as tensors that have not changed do."""
        return need.key in self._needs

    @property
    def _needs(self) -> dict[tuple[object, ...], Need]:
        records = [found.record.named for found in self.tensors if found.record is not None]
        return {need.key: need for need in map(Need.of, records) if need is not None}


class Part:
    """A tensor of which the values from flat index `start` on are known, and only they are read."""

    def __init__(self, spec: TensorSpec, start: int, values: np.ndarray) -> None:
        self.dtype, self.shape, self.size = spec.dtype, spec.shape, spec.size
        self._start, self._values = start, values

    def read(self, start: int, stop: int) -> np.ndarray:
        return self._values[start - self._start : stop - self._start]


def joined(sources: Sequence[Source]) -> Source:
    """The values of several tensors, one after the other."""
    if len(sources) == 1:
        return sources[0]
    return ArraySource(np.concatenate([source.read(0, source.size) for source in sources]))
