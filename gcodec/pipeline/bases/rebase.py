"""A container that stands alone: records without a base as they are, others with their values."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from ...compressors.contract import Guarantee
from ...compressors.registry import EXACT, by_id
from ...container.base import DELTA, KEY
from ...container.budget import Budget
from ...container.layout import TensorHeader
from ...container.reader import Record
from ...container.records.joined import JoinHeader
from ...container.records.record import Member
from ...container.writer import ContainerWriter
from ...request.choice import Choice
from ...source import ArraySource
from ..archive import read_tensor
from ..compress import store
from ..decompress import work_of


def rebase(records: Iterable[Record], writer: ContainerWriter, threads: int, budget: Budget) -> Iterator[TensorHeader]:
    """Write records without their bases; yields the header of each.

    A record with a base gets the same decoded values, bit for bit, and keeps its guarantee, bound
    and certificate. Others are copied. Raises what decoding raises.
    """
    for record in records:
        if isinstance(record, Member):
            header = _without_base(record.header)
            if record.number == 0:  # the first one stands for all
                _join(record, writer, budget)
        elif record.header.base is None:
            header = record.header
            writer.add(header, _body(record), work_of(header, record.head()))
        else:
            header = _alone(record, writer, threads, budget)
        yield header


def _join(record: Member, writer: ContainerWriter, budget: Budget) -> None:
    """Write the block of joined tensors that a member is in, without its base."""
    joined, inner = record.join.header, record.join.record
    if inner.header.base is None:
        writer.add_joined(joined, _body(inner), work_of(inner.header, inner.head()))
        return
    inner.bases = record.bases
    source = ArraySource(read_tensor(inner, 1, budget))
    with store("", source, Choice(EXACT.name, Guarantee("exact"))) as coded:
        alone = JoinHeader(coded.header, joined.names, joined.shapes, joined.crcs)
        writer.add_joined(alone, coded.pieces(), coded.work)


def _without_base(header: TensorHeader) -> TensorHeader:
    return replace(header, attributes={key: value for key, value in header.attributes.items() if key != KEY})


def _body(record: Record) -> Iterator[bytes]:
    yield record.head()
    yield from (record.chunk(i) for i in range(len(record.header.chunks)))


def _alone(record: Record, writer: ContainerWriter, threads: int, budget: Budget) -> TensorHeader:
    """Write the values of a record with a base; `delta` alone stores them exactly under a bound."""
    old = record.header
    source = ArraySource(read_tensor(record, threads, budget))
    method = EXACT.name if old.guarantee.kind == "exact" else by_id(DELTA).name
    with store(old.name, source, Choice(method, Guarantee("exact"), threads=threads)) as coded:
        attributes = {key: value for key, value in old.attributes.items() if key != KEY}
        said = replace(coded.header, guarantee=old.guarantee, distortion=old.distortion, attributes=attributes)
        writer.add(said, coded.pieces(), coded.work)
    return said
