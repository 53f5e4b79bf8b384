"""Files of tensors into containers and back, tensor by tensor with bounded memory."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

from . import auto
from .container.layout import TensorHeader
from .container.reader import Record
from .container.writer import Writer
from .pipeline import Choice, decompress
from .source import Source

Progress = Callable[[int], None]  # told the bytes of the original that were just done


def encode_tensors(
    tensors: Iterable[tuple[str, Source]], meta: dict, file: BinaryIO, choice: Choice, progress: Progress
) -> Iterator[TensorHeader]:
    """Compress tensors into a container on `file`, record by record; yields each record's header once it is written."""
    writer = Writer(file, meta)
    for name, source in tensors:
        with auto.compress(name, source, choice) as coded:
            writer.add(coded.header, coded.pieces())
        progress(source.size * source.dtype.itemsize)
        yield coded.header
    writer.close()


def decode_record(record: Record, writer: Any, threads: int, limit: int | None, progress: Progress) -> None:
    """Decode one record into a Writer of gcodec.io, chunk by chunk."""
    spec = record.header.spec
    parts = decompress(record, threads, limit=limit)
    sink = writer.add(record.header.name, spec.dtype, spec.shape)
    for start, values in parts:
        sink.write(start, values)
        progress(values.nbytes)
