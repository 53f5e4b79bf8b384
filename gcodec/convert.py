"""Files of tensors into containers and back, tensor by tensor with bounded memory."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, BinaryIO

from . import auto
from .compressor import CHUNK
from .container.layout import TensorHeader
from .container.reader import Record
from .container.writer import Writer
from .parallel import ordered
from .pipeline import Coded, decompress
from .policy import Policy
from .source import Source

Progress = Callable[[int], None]  # told the bytes of the original that were just done


def encode_tensors(
    tensors: Iterable[tuple[str, Source]], meta: dict, file: BinaryIO, policy: Policy, progress: Progress
) -> Iterator[TensorHeader]:
    """Compress tensors into a container on `file`; each record is sent as soon as it is ready, then its header is yielded.

    Tensors of a few chunks are compressed side by side, larger ones by chunks; the bytes do not depend on the threads.
    """

    def work(item: tuple[str, Source]) -> Coded:
        name, source = item
        choice = policy.choice_for(name, source)
        if source.size <= 2 * CHUNK:
            choice = replace(choice, threads=1)
        return auto.compress(name, source, choice)

    writer = Writer(file, meta)
    for coded in ordered(work, tensors, policy.default.threads, Coded.close):
        with coded:
            writer.add(coded.header, coded.pieces())
        file.flush()
        progress(coded.header.spec.size * coded.header.spec.dtype.itemsize)
        yield coded.header
    writer.close()


def decode_tensors(
    records: Iterable[Record], writer: Any, threads: int, limit: int | None, progress: Progress
) -> Iterator[TensorHeader]:
    """Decode records into a Writer of gcodec.io, chunk by chunk; yields each header once its tensor is whole."""
    for part in decompress(records, threads, limit):
        if part.start == 0:
            sink = writer.add(part.header.name, part.header.spec.dtype, part.header.spec.shape)
        if part.values.size:
            sink.write(part.start, part.values)
        progress(part.values.nbytes)
        if part.start + part.values.size == part.header.spec.size:
            yield part.header
