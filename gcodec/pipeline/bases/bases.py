"""Where records get their bases from, and tensors that are to be encoded theirs."""

from collections.abc import Iterable, Iterator, Sequence

from ...container.base import MAX_DEPTH, missing_base
from ...container.budget import Budget
from ...container.layout import TensorHeader
from ...container.reader import Record
from ...container.records.joined import JoinHeader
from ...errors import Corrupt, LimitExceeded
from ...request.on_base import AlphaOf, OnBase
from ...source import ArraySource, Source, Span
from ..archive import read_tensor, read_values
from .links import Link, Need, Part, joined
from .places import Found, Place

MOST_TENSORS = 1 << 19  # tensors of a chain


class Bases:
    """Finds the bases of records among places, in their order.

    A record's base may be a record with a base itself. The chain is followed to its end first, and
    then decoded from there, each record once; at most MAX_DEPTH of them. Two tensors of it are in
    memory at a time. threads: that decode a record.
    """

    def __init__(self, places: Sequence[Place], threads: int) -> None:
        self.places, self._threads = places, threads

    def on(self, records: Iterable[Record]) -> Iterator[Record]:
        """The records, which will ask here for their bases."""
        for record in records:
            record.bases = self
            yield record

    def source(self, header: TensorHeader | JoinHeader, budget: Budget, span: Span | None = None) -> Source:
        """The values of the base of a record; raises MissingBase, Corrupt and LimitExceeded.

        span: those that will be read; None is all. Of each record of the chain, the chunks are
        decoded that hold them.
        """
        return self._decoded(self.chain(header), budget, span)

    def chain(self, header: TensorHeader | JoinHeader) -> list[Link]:
        """What must be decoded before a record, its own base first.

        Raises MissingBase, Corrupt for a cycle, and LimitExceeded for a chain that is too long.
        """
        links: list[Link] = []
        seen: set[tuple[object, ...]] = set()
        left, at = MOST_TENSORS, Need.of(header)
        name = at.tensors[0][0] if at else ""
        while at is not None:
            left -= len(at.tensors)
            if len(links) == MAX_DEPTH or at.base.depth > MAX_DEPTH or left < 0:
                raise LimitExceeded(
                    f"record {name!r}: more than {MAX_DEPTH:,} records would have to be decoded before it, one after the "
                    f"other, or more than {MOST_TENSORS:,} tensors"
                )
            link = self._find(name, at)
            if link.key in seen:
                raise Corrupt(f"record {name!r}: its bases form a cycle at {at.base.words}")
            seen.add(link.key)
            links.append(link)
            at = link.need
        return links

    def to_encode(self, name: str, source: Source, alpha_of: AlphaOf) -> OnBase | None:
        """The base of a tensor that is to be encoded: that of its name, if dtype and size fit."""
        found = self.fitting(name, source)
        if found is None:
            return None
        link = Link([found])
        if found.record is None:
            return OnBase(self._decoded([link], Budget()), found.name, 0, alpha_of)
        header, need = found.record.header, link.need
        values = self._decoded([link, *self.chain(found.record.named)], Budget(length=0))
        block = (id(link.place), need.tensors[0][0]) if need is not None and need.base.several else None
        return OnBase(values, found.name, header.base.depth if header.base else 0, alpha_of, block)

    def fitting(self, name: str, source: Source) -> Found | None:
        """The tensor of this name, if it has the same dtype and size."""
        for place in self.places:
            found = place.tensor(name)
            if found is not None and (found.spec.dtype, found.spec.size) == (source.dtype, source.size):
                return found
        return None

    def _find(self, record: str, need: Need) -> Link:
        """The base, from where no more records lie below it than the record says, if it can be.

        Tensors that have not changed have the values of their base, but are of no use to find it.
        """
        deeper: Link | None = None
        for link in (Link(found) for place in self.places for found in place.find(need.base, need.tensors)):
            if link.depth < need.base.depth:
                return link
            if deeper is None and not link.repeats(need):
                deeper = link
        if deeper is not None:
            return deeper
        raise missing_base(record, need.base, f"it is not in {', '.join(place.label for place in self.places)}")

    def _decoded(self, links: Sequence[Link], budget: Budget, span: Span | None = None) -> Source:
        """The values of the first link, or those at the span, decoded from the last one on."""
        for place in {id(link.place): link.place for link in links}.values():
            budget.pay(id(place), place.size)
        needed = []
        for link in links:
            needed.append(span := link.covering(span))
        source: Source | None = None
        for link, part in zip(reversed(links), reversed(needed), strict=True):
            source = joined([self._values(found, source, budget, part) for found in link.tensors])
        assert source is not None  # there is a link
        return source

    def _values(self, found: Found, base: Source | None, budget: Budget, span: Span | None) -> Source:
        """The values of a tensor, all or those at the span. base: those of its base, if any."""
        if found.source is not None:
            return found.source
        assert found.record is not None
        found.record.bases = None if base is None else _Known(base)
        if span is None:
            return ArraySource(read_tensor(found.record, self._threads, budget))
        return Part(found.spec, span[0], read_values(found.record, *span, self._threads, budget))


class _Known:
    """The base of one record, decoded before."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def source(self, header: TensorHeader | JoinHeader, budget: Budget, span: Span | None) -> Source:
        return self._source
