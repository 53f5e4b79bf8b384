"""What can be read of a damaged container: every tensor whose bytes are all there and intact."""

from collections.abc import Iterator
from typing import Any, BinaryIO

from ..container.reader import RandomAccess, Record, Stream, whole
from ..errors import FormatError, GcodecError, Truncated, UnsupportedFeature
from .decompress import compressor_of


class Salvage:
    """Iterates over the intact records of a container; `lost` gets the error of each of the others.

    A file that has its index is read by it, so that damage in one record costs that one alone. A
    stream, or a file without index, is read up to the first damage after which no later record can
    be found. Each record is given once all of its bytes were read and checked, and can be read
    until the next one is asked for.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.lost: list[GcodecError] = []
        self._records: RandomAccess | Stream = _random_access(file) or Stream(file)

    @property
    def meta(self) -> dict[str, Any]:
        """The file's metadata; of a stream, it is known once the first record is."""
        return self._records.meta

    def __iter__(self) -> Iterator[Record]:
        for record in self._found():
            try:
                compressor_of(record.header)
                yield from whole([record])
            except (FormatError, UnsupportedFeature) as error:
                self.lost.append(error)
                if isinstance(error, Truncated):
                    return

    def _found(self) -> Iterator[Record]:
        if isinstance(self._records, Stream):
            try:
                yield from self._records
            except (FormatError, UnsupportedFeature) as error:
                self.lost.append(error)
            return
        for name in self._records.offsets:
            try:
                record = self._records.record(name)
            except (FormatError, UnsupportedFeature) as error:
                self.lost.append(error)
                continue
            yield record


def _random_access(file: BinaryIO) -> RandomAccess | None:
    """None when the file cannot be read by its index."""
    if not file.seekable():
        return None
    try:
        return RandomAccess(file, file.seek(0, 2))
    except FormatError:
        file.seek(0)
        return None
