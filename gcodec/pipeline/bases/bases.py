"""Where records get their bases from, and tensors that are to be encoded theirs."""

from collections.abc import Iterable, Iterator, Sequence

from ...compressors.contract import TensorSpec
from ...container.base import MAX_DEPTH, BaseName, missing_base
from ...container.budget import Budget
from ...container.layout import TensorHeader
from ...container.reader import Record
from ...errors import Corrupt, LimitExceeded
from ...request.on_base import AlphaOf, OnBase
from ...source import ArraySource, Source
from ..archive import read_tensor
from .places import Found, Place


class Bases:
    """Finds the bases of records among places, in their order.

    A record's base may be a record with a base itself. The chain is followed to its end first, and
    then decoded from there, each record once; at most MAX_DEPTH of them. Two tensors of it are in
    memory at a time. threads: that decode a record.
    """

    def __init__(self, places: Sequence[Place], threads: int) -> None:
        self._places, self._threads = places, threads

    def on(self, records: Iterable[Record]) -> Iterator[Record]:
        """The records, which will ask here for their bases."""
        for record in records:
            record.bases = self
            yield record

    def source(self, header: TensorHeader, budget: Budget) -> Source:
        """The values of the base of a record; raises MissingBase, Corrupt and LimitExceeded."""
        return self._decoded(self.chain(header), budget)

    def chain(self, header: TensorHeader) -> list[Found]:
        """What must be decoded before a record, its own base first.

        Raises MissingBase, Corrupt for a cycle, and LimitExceeded for a chain that is too long.
        """
        links: list[Found] = []
        seen: set[tuple[int, str]] = set()
        at: TensorHeader | None = header
        while at is not None and at.base is not None:
            if len(links) == MAX_DEPTH or at.base.depth > MAX_DEPTH:
                raise LimitExceeded(
                    f"record {header.name!r}: more than {MAX_DEPTH:,} records would have to be decoded before it, one after the "
                    "other"
                )
            found = self._find(header.name, at.base, at.spec)
            if (id(found.place), found.name) in seen:
                raise Corrupt(f"record {header.name!r}: its bases form a cycle at {at.base.words}")
            seen.add((id(found.place), found.name))
            links.append(found)
            at = found.record.header if found.record is not None else None
        return links

    def to_encode(self, name: str, source: Source, alpha_of: AlphaOf) -> OnBase | None:
        """The base of a tensor that is to be encoded: that of its name, if dtype and size fit."""
        for place in self._places:
            found = place.tensor(name)
            if found is None or (found.spec.dtype, found.spec.size) != (source.dtype, source.size):
                continue
            if found.record is None:
                return OnBase(self._decoded([found], Budget()), found.name, 0, alpha_of)
            header = found.record.header
            values = self._decoded([found, *self.chain(header)], Budget(length=0))
            return OnBase(values, found.name, header.base.depth if header.base else 0, alpha_of)
        return None

    def _find(self, record: str, base: BaseName, spec: TensorSpec) -> Found:
        for place in self._places:
            found = place.find(base, spec)
            if found is not None:
                return found
        raise missing_base(record, base, f"it is not in {', '.join(place.label for place in self._places)}")

    def _decoded(self, links: Sequence[Found], budget: Budget) -> Source:
        """The values of the first link, decoded from the last one on."""
        for place in {id(link.place): link.place for link in links}.values():
            budget.pay(id(place), place.size)
        source: Source | None = None
        for link in reversed(links):
            if link.source is not None:
                source = link.source
            elif link.record is not None:
                link.record.bases = None if source is None else _Known(source)
                source = ArraySource(read_tensor(link.record, self._threads, budget))
        assert source is not None  # there is a link, and each is one of the two
        return source


class _Known:
    """The base of one record, decoded before."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def source(self, header: TensorHeader, budget: Budget) -> Source:
        return self._source
