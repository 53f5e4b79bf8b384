"""One tensor through a compressor and back, with the promise kept: encode, decode what was written, measure, try again.

This is the only place that decides whether a bound holds; compressors are not trusted.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import IO, Any

import numpy as np

from . import dtypes, registry
from .compressor import Compressor, Decode, Guarantee, Payload, TensorSpec, TooFine
from .container.budget import Budget
from .container.layout import Chunk, TensorHeader
from .container.reader import Record, whole
from .distortion import Scan, scan_source, squared_error
from .errors import ChecksumMismatch, Corrupt, InvalidInput, UnsupportedFeature
from .parallel import ordered
from .source import Source, spans
from .wire import crc32

FINEST = {np.dtype(np.float64): 2.0**-100}  # bounds below are met by the tensor itself, in fewer bits than by levels
FINEST_OF_OTHERS = 2.0**-50
TRIES = 4  # with a tightened bound, before a tensor is stored exactly
SPOOL = 1 << 26  # coded bytes of one tensor kept in memory before they go to a temporary file


@dataclass(frozen=True)
class Choice:
    """How to compress: a method's name, the guarantee, options for the compressor's fields, what to do with NaN and
    infinity (`nonfinite`: "refuse" or "lossless"), and who is told the number of values just coded (auto and tightened
    bounds code a tensor more than once)."""

    method: str
    guarantee: Guarantee
    options: dict[str, Any] = field(default_factory=dict)
    nonfinite: str = "refuse"
    threads: int = 1
    told: Callable[[int], object] = field(default=lambda count: None, compare=False, repr=False)


@dataclass(frozen=True)
class Coded:
    """A compressed tensor: its header, and its body in a temporary file. Close it, or use it in a `with` statement."""

    header: TensorHeader
    body: IO[bytes]
    work: int  # of decoding it, as its compressor tells

    def pieces(self) -> Iterator[bytes]:
        """The body in pieces of at most 1 MiB."""
        self.body.seek(0)
        while piece := self.body.read(1 << 20):
            yield piece

    @property
    def size(self) -> int:
        """Bytes of header and body."""
        return len(self.header.pack()) + self.header.body_length

    @property
    def is_accepted(self) -> bool:
        """Whether a reader decodes it, in a file of its own, without being told to accept more than usual."""
        budget = Budget(length=self.size)
        budget.add(self.header, self.work)
        return not budget.exceeded

    def close(self) -> None:
        self.body.close()

    def __enter__(self) -> "Coded":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def compress(name: str, source: Source, choice: Choice) -> Coded:
    """Compress one tensor so that the guarantee holds for the bytes that come back.

    Dtypes without a bound, empty and all-zero tensors are stored exactly, as is a tensor with a bound finer than its dtype, or for
    which the compressor misses the bound even after its bound was tightened; the header then says `exact`.
    """
    dtypes.code_of(source.dtype)  # refuses what the format has no code for
    exact = choice.method == "lossless" or choice.guarantee.kind == "exact"
    if exact or not dtypes.is_float(source.dtype) or source.size == 0:
        return _exact(name, source, choice)
    scan = scan_source(name, source, choice.nonfinite)
    if scan is None or scan.norm2 == 0 or choice.guarantee.bound < FINEST.get(source.dtype, FINEST_OF_OTHERS):
        return _exact(name, source, choice)
    compressor = registry.by_name(choice.method).load()(**choice.options)
    guarantee = choice.guarantee
    for _ in range(TRIES):
        try:
            payload = compressor.encode(source, guarantee)
        except TooFine:
            break
        except InvalidInput as error:
            raise InvalidInput(f"{name}: {error}" if name else str(error)) from None
        coded = _code(name, source, choice, payload, scan)
        reached = _reached(coded.header)
        if reached <= choice.guarantee.bound:
            return coded
        coded.close()
        tighter = guarantee.bound * min(choice.guarantee.bound / reached, 1.0) * (1 - 2**-20)
        if not tighter > 0:
            break
        guarantee = Guarantee(guarantee.kind, tighter)
    return _exact(name, source, choice)


def _exact(name: str, source: Source, choice: Choice) -> Coded:
    exact = replace(choice, method="lossless", guarantee=Guarantee("exact"), options={})
    payload = registry.by_name("lossless").load()().encode(source, exact.guarantee)
    return _code(name, source, exact, payload, Scan(1.0, 1.0))


def _code(name: str, source: Source, choice: Choice, payload: Payload, scan: Scan) -> Coded:
    """Code every chunk, decode it again and measure."""
    entry = registry.by_name(choice.method)
    cls = entry.load()
    spec = TensorSpec(source.dtype, source.shape)
    decode = cls.decoder(payload.head, spec)
    exact = choice.guarantee.kind == "exact"

    def work(span: tuple[int, int]) -> tuple[bytes, int, float]:
        start, stop = span
        if spec.dtype == np.bool_:
            _check_bools(name, source.read(start, stop))
        data = payload.code(start, stop)
        decoded = dtypes.narrow(decode(data, start, stop - start), spec.dtype)
        values = source.read(start, stop)
        if exact and not np.array_equal(decoded.view(np.uint8), values.view(np.uint8)):
            raise AssertionError(f"{entry.name} did not give back {name!r} bit for bit")
        error2 = 0.0 if exact else squared_error(values, decoded, scan.scale)
        return data, crc32(as_bytes(decoded)), error2

    body: IO[bytes] = SpooledTemporaryFile(SPOOL)  # noqa: SIM115 (closed with the result)
    pieces = spans(source.size, payload.chunk)
    chunks: list[Chunk] = []
    errors: list[float] = []
    try:
        body.write(payload.head)
        for data, decoded_crc, error2 in ordered(work, pieces, choice.threads if len(pieces) > 1 else 1):
            body.write(data)
            choice.told(min(payload.chunk, source.size - len(chunks) * payload.chunk))
            chunks.append(Chunk(len(data), crc32(data), decoded_crc))
            errors.append(error2)
    except BaseException:
        body.close()
        raise
    error2 = math.fsum(errors) if all(map(math.isfinite, errors)) else math.inf
    header = TensorHeader(
        name=name,
        spec=spec,
        compressor=entry.id,
        version=cls.version,
        guarantee=choice.guarantee,
        distortion=error2 / scan.norm2,
        expected=payload.expected,
        chunk=payload.chunk,
        head_length=len(payload.head),
        head_crc=crc32(payload.head),
        chunks=tuple(chunks),
    )
    if compressor_of(header) is not cls:
        raise AssertionError(f"{entry.name} would not be read back")
    return Coded(header, body, cls.work(payload.head, spec))


def _check_bools(name: str, values: np.ndarray) -> None:
    if values.view(np.uint8).max(initial=0) > 1:
        raise InvalidInput(
            f"{name or 'the array'}: holds a bool that is neither 0 nor 1; if its bytes matter, store them as uint8"
        )


def _reached(header: TensorHeader) -> float:
    """The distortion that the bound speaks of. An unbiased compressor's is an expectation that it states.

    A single result far beyond the bound is a miss as well; no honest unbiased compressor of ours can produce one (their
    errors are bounded), so this does not condition on the seed.
    """
    if header.guarantee.kind == "alpha":
        return header.distortion
    if header.expected is None or header.distortion > 16 * header.guarantee.bound:
        return math.inf
    return header.expected


def as_bytes(values: np.ndarray) -> memoryview:
    """The bytes of contiguous values, without a copy."""
    return values.view(np.uint8).data


@dataclass(frozen=True)
class Part:
    """Consecutive values of a tensor, in its dtype; `start` is the flat index of the first."""

    header: TensorHeader
    start: int
    values: np.ndarray


def decompress(records: Iterable[Record], threads: int, budget: Budget) -> Iterator[Part]:
    """Decode records chunk by chunk, in order; an empty tensor gives one empty part. Each is spent from the budget first.

    Raises an error of the FormatError family, UnsupportedFeature or LimitExceeded, after all parts before it.
    """

    def jobs() -> Iterator[Callable[[], Part]]:
        for record in records:
            yield from _jobs(record, 0, record.header.spec.size, budget)

    return ordered(lambda job: job(), jobs(), threads)


def decompress_range(record: Record, start: int, stop: int, threads: int, budget: Budget) -> Iterator[Part]:
    """As `decompress`, of the values with flat indices from `start` to `stop`; reads only the chunks that hold them."""
    for part in ordered(lambda job: job(), _jobs(record, start, stop, budget), threads):
        skip = max(start - part.start, 0)
        yield Part(part.header, part.start + skip, part.values[skip : stop - part.start])


def _jobs(record: Record, start: int, stop: int, budget: Budget) -> Iterator[Callable[[], Part]]:
    """Functions that decode the chunks; their bytes are read here, in order."""
    header = record.header
    cls = compressor_of(header)
    for paid in _paid(record, cls.work(record.head(), header.spec), budget):
        decode = cls.decoder(paid.head(), header.spec)
        if not header.chunks:
            yield lambda: Part(header, 0, np.empty(0, header.spec.dtype))
        for i in range(start // header.chunk, min(-(-stop // header.chunk), len(header.chunks))):
            data = paid.chunk(i)
            if paid is record:
                budget.receive(len(data))
            yield partial(_decode_chunk, header, decode, i, data)


def _paid(record: Record, work: int, budget: Budget) -> Iterator[Record]:
    """The record, when the budget has room for it; raises LimitExceeded.

    A body that is only declared pays for nothing. So of a stream, a record that needs its own is first read whole.
    """
    budget.add(record.header, work)
    if budget.exceeded and budget.length is None:
        for here in whole([record]):
            budget.receive(record.header.body_length)
            budget.check(record.header.name)
            yield here
    else:
        budget.check(record.header.name)
        yield record


def _decode_chunk(header: TensorHeader, decode: Decode, i: int, data: bytes) -> Part:
    first = i * header.chunk
    count = min(header.chunk, header.spec.size - first)
    values = dtypes.narrow(decode(data, first, count), header.spec.dtype)
    if values.shape != (count,):
        raise Corrupt(f"record {header.name!r}: chunk {i} has the wrong number of values")
    if crc32(as_bytes(values)) != header.chunks[i].decoded_crc:
        raise ChecksumMismatch(f"record {header.name!r}: chunk {i} decodes to other values than it was encoded from")
    return Part(header, first, values)


def compressor_of(header: TensorHeader) -> type[Compressor]:
    """The class that decodes a record; raises UnsupportedFeature or Corrupt."""
    entry = registry.by_id(header.compressor)
    cls = entry.load()
    if header.version != cls.version:
        raise UnsupportedFeature(f"record {header.name!r}: payload version {header.version} of {entry.name} is unknown")
    if header.guarantee.kind not in cls.kinds:
        raise Corrupt(f"record {header.name!r}: {entry.name} cannot guarantee {header.guarantee.kind}")
    if cls.kinds != ("exact",) and not (dtypes.is_float(header.spec.dtype) and header.spec.size):
        raise Corrupt(
            f"record {header.name!r}: {entry.name} does not store {header.spec.dtype} of shape {header.spec.shape}"
        )
    return cls
