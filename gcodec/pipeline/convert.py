"""Files of tensors into containers and back, tensor by tensor with bounded memory."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import BinaryIO

from ..compressors.contract import CHUNK
from ..container.budget import Budget
from ..container.layout import TensorHeader
from ..container.reader import Record
from ..container.writer import Writer
from ..io import formats
from ..parallel import ordered
from ..request.choice import Choice
from ..source import Source
from . import auto
from .compress import Coded
from .decompress import decompress

SIDE_BY_SIDE = 2 * CHUNK  # values of the largest tensors that are compressed by one thread each
Progress = Callable[[int], None]  # told the bytes of the original that were just done


class _Meter:
    """Tells `progress` the bytes done of one tensor, each byte once however often the tensor is coded."""

    def __init__(self, source: Source, choice: Choice, progress: Progress) -> None:
        self._left, self._width, self._progress = source.size * source.dtype.itemsize, source.dtype.itemsize, progress
        self._passes = len(auto.candidates(source, choice))

    def tell(self, values: int) -> None:
        self._advance(values * self._width // self._passes)

    def finish(self) -> None:
        self._advance(self._left)

    def _advance(self, done: int) -> None:
        done = min(done, self._left)
        self._left -= done
        self._progress(done)


def encode_tensors(
    tensors: Iterable[tuple[str, Source]],
    meta: dict,
    file: BinaryIO,
    choices: Mapping[str, Choice],
    threads: int,
    progress: Progress,
) -> Iterator[TensorHeader]:
    """Compress tensors into a container on `file`; each record is sent as soon as it is ready, then its header is yielded.

    choices: of each tensor, by name. Tensors of a few chunks are compressed side by side, larger ones by chunks; the bytes
    do not depend on the threads.
    """

    def work(item: tuple[str, Source]) -> Coded:
        name, source = item
        choice = choices[name]
        meter = _Meter(source, choice, progress)
        alone = 1 if source.size <= SIDE_BY_SIDE else choice.threads
        coded = auto.compress(name, source, replace(choice, threads=alone, told=meter.tell))
        meter.finish()
        return coded

    writer = Writer(file, meta)
    for coded in ordered(work, tensors, threads, Coded.close):
        with coded:
            writer.add(coded.header, coded.pieces(), coded.work)
        file.flush()
        yield coded.header
    writer.close()


def decode_tensors(
    records: Iterable[Record], writer: formats.Writer, threads: int, budget: Budget, progress: Progress
) -> Iterator[TensorHeader]:
    """Decode records into a Writer of gcodec.io, chunk by chunk; yields each header once its tensor is whole."""
    for part in decompress(records, threads, budget):
        if part.start == 0:
            sink = writer.add(part.header.name, part.header.spec.dtype, part.header.spec.shape)
        if part.values.size:
            sink.write(part.start, part.values)
        progress(part.values.nbytes)
        if part.start + part.values.size == part.header.spec.size:
            yield part.header
