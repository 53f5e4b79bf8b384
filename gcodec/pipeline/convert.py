"""Files of tensors into containers and back, tensor by tensor with bounded memory."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, BinaryIO

from ..compressors.contract import CHUNK
from ..container.budget import Budget
from ..container.describe import original_bytes
from ..container.layout import ORIGINAL, TensorHeader
from ..container.reader import Record
from ..container.resume import original_crc
from ..container.writer import ContainerWriter
from ..io import formats
from ..parallel import ordered
from ..request.choice import Choice
from ..request.rules import Chooser
from ..source import Source
from .bases.encode import compress
from .coded import CodedRecord
from .decompress import decompress
from .effects.found import warn_of_losses
from .joined.runs import CodedJoin, Task, least, runs

SIDE_BY_SIDE = 2 * CHUNK  # values of the largest tensors that are compressed by one thread each
ByteProgress = Callable[[int], object]  # is called with the bytes of the original that were just done


class _Meter:
    """Calls `progress` with the bytes done of one tensor, each once."""

    def __init__(self, source: Source, progress: ByteProgress) -> None:
        self._left, self._width, self._progress = source.size * source.dtype.itemsize, source.dtype.itemsize, progress

    def count(self, values: int) -> None:
        self._advance(values * self._width)

    def finish(self) -> None:
        self._advance(self._left)

    def _advance(self, done: int) -> None:
        done = min(done, self._left)
        self._left -= done
        self._progress(done)


def encode_tensors(
    tensors: Iterable[tuple[str, Source]],
    meta: dict[str, Any],
    file: BinaryIO,
    chooser: Chooser,
    threads: int,
    progress: ByteProgress = lambda done: None,
    check: Callable[[], object] = lambda: None,
    *,
    originals: bool = False,
) -> Iterator[TensorHeader]:
    """Compress tensors into a container on `file`; yields each header once its record is written.

    chooser: gives the choice of each tensor. Tensors of a few chunks are compressed side by side by
    `threads`, larger ones by chunks; the bytes do not depend on the threads. Small exact tensors
    that are neighbours are joined. With one thread here, the tensors are asked for one by one, and
    all but small ones are written before the next. check: is called when all tensors were read, and
    raises an error if the container should not get its end.
    originals: whether records note the crc of their originals, as streams do that can go on.
    """

    writer = ContainerWriter(file, meta, formats.work_per_byte(meta))
    for header in append_tensors(writer, tensors, chooser, threads, progress, originals=originals):
        file.flush()
        yield header
    check()
    writer.close()


def append_tensors(
    writer: ContainerWriter,
    tensors: Iterable[tuple[str, Source]],
    chooser: Chooser,
    threads: int,
    progress: ByteProgress = lambda done: None,
    *,
    originals: bool = False,
) -> Iterator[TensorHeader]:
    """As `encode_tensors`, into a container that is open and stays so."""

    def work(run: list[Task]) -> list[CodedRecord | CodedJoin]:
        coded = CodedJoin.of(run) if len(run) >= least(run) else None
        if coded is None:
            return [alone(*task) for task in run]
        progress(original_bytes(coded.header.record))
        return [coded]

    def alone(name: str, source: Source, choice: Choice | None) -> CodedRecord:
        choice = chooser(name, source) if choice is None else choice
        meter = _Meter(source, progress)
        share = 1 if threads > 1 and source.size <= SIDE_BY_SIDE else choice.threads
        coded = compress(name, source, replace(choice, threads=share, progress=meter.count))
        meter.finish()
        return noting_original(coded, source) if originals else coded

    for several in ordered(work, runs(tensors, chooser), threads, _close):
        for coded in several:
            with coded:
                headers = _add(writer, coded)
            if isinstance(coded, CodedRecord):
                warn_of_losses(coded.header.name, coded.found, coded.header.guarantee, coded.sampled)
            yield from headers


def _add(writer: ContainerWriter, coded: CodedRecord | CodedJoin) -> Iterable[TensorHeader]:
    """Write what was coded; gives the headers of its tensors."""
    if isinstance(coded, CodedRecord):
        writer.add(coded.header, coded.pieces(), coded.work)
        return [coded.header]
    writer.add_joined(coded.header, coded.record.pieces(), coded.record.work)
    return map(coded.header.member, range(len(coded.header.names)))


def _close(several: Iterable[CodedRecord | CodedJoin]) -> None:
    for coded in several:
        coded.close()


def noting_original(coded: CodedRecord, source: Source) -> CodedRecord:
    """The record with the crc of its original."""
    attributes = coded.header.attributes | {ORIGINAL: original_crc(source)}
    return replace(coded, header=replace(coded.header, attributes=attributes))


def decode_tensors(
    records: Iterable[Record], writer: formats.Writer, threads: int, budget: Budget, progress: ByteProgress
) -> Iterator[TensorHeader]:
    """Decode records into a Writer of gcodec.io; yields each header once its tensor is whole."""
    for part in decompress(records, threads, budget):
        if part.start == 0:
            sink = writer.add(part.header.name, part.header.spec.dtype, part.header.spec.shape)
        if part.values.size:
            sink.write(part.start, part.values)
        progress(part.values.nbytes)
        if part.start + part.values.size == part.header.spec.size:
            yield part.header
