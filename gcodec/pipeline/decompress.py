"""Records back to values, chunk by chunk; every chunk's values are held against their checksum."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from .. import dtypes, ieee
from ..compressors import registry
from ..compressors.contract import Compressor, Decode, Entry
from ..compressors.on_base import BesideBase
from ..container.base import DELTA
from ..container.budget import WORK_PER_MEMBER, Budget
from ..container.fields import crc32
from ..container.layout import TensorHeader
from ..container.reader import Record, whole
from ..container.records.record import Member
from ..dtypes import as_bytes
from ..errors import ChecksumMismatch, Corrupt, UnsupportedFeature
from ..parallel import ordered
from ..source import Source, Span

BASE_WORK = 8  # nanoseconds for each value of a base


@dataclass(frozen=True)
class Piece:
    """Consecutive values of a tensor, in its dtype; `start` is the flat index of the first."""

    header: TensorHeader
    start: int
    values: np.ndarray


def decompress(records: Iterable[Record], threads: int, budget: Budget) -> Iterator[Piece]:
    """Decode records chunk by chunk, in order; an empty tensor gives one empty part.

    What a record asks for is first taken from the budget. Raises an error of the FormatError
    family, UnsupportedFeature or LimitExceeded, after all parts before it.
    """
    jobs = (job for record in records for job in _jobs(record, 0, record.header.spec.size, budget))
    return ordered(lambda job: job(), jobs, threads, is_done=lambda job: isinstance(job, _Done))


@dataclass(frozen=True)
class _Done:
    """A job of which nothing is left to do."""

    piece: Piece

    def __call__(self) -> Piece:
        return self.piece


def decompress_range(record: Record, start: int, stop: int, threads: int, budget: Budget) -> Iterator[Piece]:
    """As `decompress`, of the values with flat indices from `start` to `stop` alone."""
    for part in ordered(lambda job: job(), _jobs(record, start, stop, budget), threads):
        skip = max(start - part.start, 0)
        yield Piece(part.header, part.start + skip, part.values[skip : stop - part.start])


def _jobs(record: Record, start: int, stop: int, budget: Budget) -> Iterator[Callable[[], Piece]]:
    """Functions that decode one chunk each; the bytes of the chunks are read here, in order."""
    header = record.header
    if isinstance(record, Member):
        yield _Done(Piece(header, 0, values_of(record, budget)))
        return
    cls = compressor_of(header)
    for paid in _paid(record, work_of(header, record.head()), budget):
        with ieee.arithmetic():
            decode = decoder_of(cls, paid, budget, whole_chunks(header, start, stop))
        if not header.chunks:
            yield lambda: Piece(header, 0, np.empty(0, header.spec.dtype))
        for i in range(start // header.chunk, min(-(-stop // header.chunk), len(header.chunks))):
            data = paid.chunk(i)
            if paid is record:
                budget.receive(len(data))
            yield partial(_decode_chunk, header, decode, i, data)


def values_of(record: Member, budget: Budget) -> np.ndarray:
    """The values of a joined tensor; those of the whole block are decoded once, and then kept."""
    join, header = record.join, record.header
    vector = join.vector
    if vector is None:
        join.record.bases = record.bases
        (part,) = decompress([join.record], 1, budget)
        join.vector = vector = part.values
    budget.arrive(record.arrived)
    budget.spend(header.name, WORK_PER_MEMBER)
    values = vector[slice(*record.span)].copy()
    if crc32(as_bytes(values)) != header.chunks[0].decoded_crc:
        raise ChecksumMismatch(f"record {header.name!r}: decodes to other values than it was encoded from")
    return values


def _paid(record: Record, work: int, budget: Budget) -> Iterator[Record]:
    """The record, when the budget has room for it; raises LimitExceeded.

    A body that is only declared pays for nothing. So a record of a stream that needs its own body
    to pay is first read whole.
    """
    budget.arrive(record.arrived)
    budget.add(record.header, work)
    if budget.exceeded and budget.length is None:
        for here in whole([record]):
            budget.receive(record.header.body_length)
            budget.check(record.header.name)
            yield here
    else:
        budget.check(record.header.name)
        yield record


def work_of(header: TensorHeader, head: bytes) -> int:
    """About how many nanoseconds decoding a record takes: its payload, and adding the base."""
    work = compressor_of(header).work(head, header.coded_spec)
    return work if header.base is None else work + BASE_WORK * header.spec.size


def whole_chunks(header: TensorHeader, start: int, stop: int) -> Span:
    """The span of the chunks in which the values from `start` to `stop` lie."""
    return start // header.chunk * header.chunk, min(-(-stop // header.chunk) * header.chunk, header.spec.size)


def decoder_of(cls: type[Compressor], record: Record, budget: Budget, span: Span) -> Decode:
    """The decoder of a record's chunks, which adds what they code to the base, if there is one.

    span: that of the chunks that will be decoded.
    """
    header = record.header
    if header.base is None:
        return cls.decoder(record.head(), header.spec)
    base = record.base(budget, span)
    if issubclass(cls, BesideBase):
        return cls.decoder_on(record.head(), header.spec, base)
    return sum_decoder(header.compressor, cls.decoder(record.head(), header.coded_spec), header.coded_spec.dtype, base)


def sum_decoder(compressor: int, decode: Decode, work: np.dtype, base: Source) -> Decode:
    """A decoder of base + change in the work dtype, put between its largest finite numbers.

    decode: that of the change. It raises Corrupt for a base that is not finite.
    """
    entry, largest = registry.by_id(compressor), float(np.finfo(work).max)

    def decode_sum(data: bytes, start: int, count: int) -> np.ndarray:
        change = decoded(entry, work, decode, data, (start, start + count))
        below = dtypes.widen(base.read(start, start + count))
        if not np.isfinite(below).all():
            raise Corrupt("a change under a bound has a base with NaN or infinity")
        found: np.ndarray = np.clip(below + change, -largest, largest)
        return found

    return decode_sum


@ieee.arithmetic()
def _decode_chunk(header: TensorHeader, decode: Decode, i: int, data: bytes) -> Piece:
    first = i * header.chunk
    count = min(header.chunk, header.spec.size - first)
    changed = "" if header.base is None else "; or its base has changed since it was found"
    try:
        values = decoded(registry.by_id(header.compressor), header.spec.dtype, decode, data, (first, first + count))
    except Corrupt as error:
        raise Corrupt(f"{error}{changed}") from None
    if crc32(as_bytes(values)) != header.chunks[i].decoded_crc:
        words = "decodes to other values than it was encoded from"
        raise ChecksumMismatch(f"record {header.name!r}: chunk {i} {words}{changed}")
    return Piece(header, first, values)


def decoded(entry: Entry, dtype: np.dtype, decode: Decode, data: bytes, span: Span) -> np.ndarray:
    """The values of a chunk in the tensor's dtype, contiguous and as many as asked for.

    Decoders are not trusted, as measuring their values reads memory. Raises what `decode` raises,
    and the error for a fault of the compressor.
    """
    start, stop = span
    values = decode(data, start, stop - start)
    if not isinstance(values, np.ndarray):
        raise entry.fault(f"its decoder gives {type(values).__name__}, not a numpy array")
    work = dtypes.work_dtype(dtype) if dtypes.is_float(dtype) else dtype
    if values.shape != (stop - start,) or values.dtype not in (dtype, work):
        words = f"its decoder gives {values.dtype} of shape {values.shape}"
        raise entry.fault(f"{words}, where {work} of shape {(stop - start,)} is wanted")
    return np.ascontiguousarray(dtypes.narrow(values, dtype))


def compressor_of(header: TensorHeader) -> type[Compressor]:
    """The class that decodes a record; raises UnsupportedFeature or Corrupt."""
    entry = registry.by_id(header.compressor)
    cls = entry.load()
    if header.version != cls.version:
        raise UnsupportedFeature(f"record {header.name!r}: payload version {header.version} of {entry.name} is unknown")
    if header.guarantee.kind not in cls.kinds:
        raise Corrupt(f"record {header.name!r}: {entry.name} cannot guarantee {header.guarantee.kind}")
    with_base = ("exact", "alpha") if entry.id == DELTA else ("alpha",)
    if header.base is not None and header.guarantee.kind not in with_base:
        raise Corrupt(f"record {header.name!r}: {entry.name} has no base under the guarantee {header.guarantee.kind}")
    if header.guarantee.kind != "exact" and not (dtypes.is_float(header.spec.dtype) and header.spec.size):
        raise Corrupt(
            f"record {header.name!r}: {entry.name} does not store {header.spec.dtype} of shape {header.spec.shape}"
        )
    return cls
