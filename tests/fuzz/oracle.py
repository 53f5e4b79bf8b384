"""What must hold for any input, however damaged.

It gives an error of gcodec, or the right values, in bounded time and memory.
"""

from contextlib import suppress
from functools import cache
from io import BytesIO
from zlib import crc32

from vectors import tensors

from gcodec.compressors.contract import Compressor
from gcodec.container.budget import Budget
from gcodec.container.reader import Record, Stream
from gcodec.container.records.record import Member
from gcodec.dtypes import narrow
from gcodec.errors import GcodecError
from gcodec.pipeline.archive import Archive, read_tensor
from gcodec.pipeline.decompress import compressor_of
from gcodec.pipeline.salvage import Salvage
from gcodec.verification.verify import verify

from .engine import Mutant, seeds

MOST_VALUES = 4096  # in a chunk that `decoded` tries: plain Python is slow


def decoded(data: bytes) -> str:
    """What the first chunk of each record decodes to, whatever it should decode to.

    It is the crc of its bytes, or the code of the error.
    """
    found = []
    try:
        for record in Stream(BytesIO(data)):
            own = record.join.record if isinstance(record, Member) else record  # joined ones share a chunk
            try:
                found.append(_first_chunk(compressor_of(own.header), own))
            except GcodecError as error:
                found.append(error.code)
    except GcodecError as error:
        found.append(error.code)
    return " ".join(found)


def _first_chunk(cls: type[Compressor], record: Record) -> str:
    spec, count = record.header.spec, min(record.header.chunk, record.header.spec.size)
    decode = cls.decoder(record.head(), spec)
    if not 0 < count <= MOST_VALUES:
        return f"{count} values"
    return hex(crc32(narrow(decode(record.chunk(0), 0, count), spec.dtype).tobytes()))


def check(mutant: Mutant, every_way: bool = True) -> bool:
    """Whether the input is accepted. Raises AssertionError when wrong values are taken for right.

    every_way: read it not only as a stream, but also by index, by salvage and by `verify`.
    """
    if every_way:
        by_index(mutant.data)
        by_salvage(mutant.data)
    try:
        as_stream(mutant.data)
    except GcodecError:
        return False
    if not mutant.mended:
        assert tuple(tensors(mutant.data)) in good_tensors(), "damaged bytes were taken for right ones"
    if every_way:
        verify(mutant.data, threads=1)
    return True


def as_stream(data: bytes) -> None:
    """Reads from the start to the end; each chunk that decodes must be one of a good vector."""
    budget = Budget(length=len(data))
    for record in Stream(BytesIO(data)):
        header = record.header
        values = read_tensor(record, 1, budget).tobytes()
        step = header.chunk * header.spec.dtype.itemsize
        for i in range(len(header.chunks)):
            chunk = values[i * step : (i + 1) * step]
            assert chunk in good_chunks(), "values that were never encoded have the right checksum"


def by_index(data: bytes) -> None:
    """Reads every tensor and a row of it, as far as there is an index."""
    try:
        archive = Archive(BytesIO(data), threads=1)
    except GcodecError:
        return
    for name in archive:
        with suppress(GcodecError):
            _ = archive[name]
            _ = archive.rows(name, 1, 2)


def by_salvage(data: bytes) -> None:
    """Reads what is intact."""
    try:
        salvage = Salvage(BytesIO(data))
    except GcodecError:
        return
    for record in salvage:
        with suppress(GcodecError):
            read_tensor(record, 1)
    assert all(isinstance(error, GcodecError) for error in salvage.lost)


@cache
def good_tensors() -> frozenset[tuple]:
    """What the good vectors hold; a splice of two may be one of them whole."""
    return frozenset(seed.tensors for seed in seeds())


@cache
def good_chunks() -> frozenset[bytes]:
    """The little-endian bytes of every chunk of every good vector."""
    found = set()
    for seed in seeds():
        for record in Stream(BytesIO(seed.data)):
            header, values = record.header, read_tensor(record, 1).tobytes()
            step = header.chunk * header.spec.dtype.itemsize
            found.update(values[i * step : (i + 1) * step] for i in range(len(header.chunks)))
    return frozenset(found)
