"""safetensors files: eight bytes of length, a JSON header, the tensors' bytes one after the other.

A file whose tensors all come back is written with its own header, so a lossless round trip gives
the same bytes. Any other set of tensors gets the layout of the safetensors library: wide dtypes
first, then by name. A header of that very layout is not kept where it would be a large part.
"""

import base64
import json
import math
import os
import shutil
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np

from ...container.budget import Budget
from ...container.spool import PIECE
from ...errors import Corrupt, InvalidInput, LimitExceeded
from ...source import Source
from ..names import UNNAMED
from ..raw import raw_dtype
from ..skeleton import RAW, is_skeleton
from ..sniff import MAX_SAFETENSORS_HEADER as MAX_HEADER
from ..streams import open_input
from ..uncoded import Uncoded, listed
from .npy import FileSource
from .safetensors_header import CODES, DTYPES, METADATA, Entry, arrange, as_metadata, metadata_of, parse_header

_BYTE = np.dtype(np.uint8)
FREE_HEADER, HEADER_RATIO = (
    1 << 20,
    1 << 6,
)  # bytes of any header, and those for each packed one (trainers' have 5 to 25)
_SHORT = 1 << 12  # the most characters of metadata that META has as they are
_LARGE = 1 / 16  # such a share of the tensors' bytes has a header that is better made again, by a copy


class Reader:
    """The tensors of a safetensors file in the order of their bytes.

    Tensors of dtypes that gcodec does not know are kept as their bytes. meta: {"format":
    "safetensors", "header": the header's bytes, deflated, in base64, "uncoded": what is kept as it
    is}; or "metadata", as the header has them, in place of a header that a Writer makes again.
    Raises InvalidInput when the header is not what the format allows.
    """

    def __init__(self, path: Path) -> None:
        self._file = open_input(path)
        try:
            header = _read_header(self._file, path)
            size = os.fstat(self._file.fileno()).st_size
            self._data = 8 + len(header)
            self._entries = parse_header(header, size - self._data, str(path))
        except BaseException:
            self._file.close()
            raise
        kept = [Uncoded(one.name, one.end - one.begin, one.why_uncoded) for one in self._entries if one.why_uncoded]
        self.meta: dict[str, object] = {"format": "safetensors", **_about(header, self._entries), **listed(kept)}

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def tensors(self) -> Iterator[tuple[str, Source]]:
        for entry in self._entries:
            offset = self._data + entry.begin
            if entry.why_uncoded:
                yield RAW + entry.name, FileSource(self._file, offset, _BYTE, _BYTE, (entry.end - entry.begin,))
            else:
                dtype = DTYPES[entry.code]
                stored = raw_dtype(dtype).newbyteorder("<")
                yield entry.name, FileSource(self._file, offset, stored, dtype, entry.shape)


def _read_header(file: IO[bytes], path: Path) -> bytes:
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(size - 8, MAX_HEADER):
        raise InvalidInput(
            f"{path}: not a safetensors file, or cut: the header's length {length} does not fit in {size} bytes; "
            "fetch or write it again"
        )
    return file.read(length)


class Writer:
    """Writes tensors to a new safetensors file; one whose values did not all arrive is left out.

    With the original's header the data go to their final place at once; without, to a temporary
    file until all names are known. meta: that of a Reader, or {}; its header may have as many bytes
    as the limit of the budget. Raises InvalidInput for equal names and for dtypes that the format
    lacks.
    """

    def __init__(self, path: Path, meta: dict[str, Any], budget: Budget | None = None) -> None:
        self._header = unpack_header(meta.get("header"), budget.limit if budget else None)
        self._metadata = metadata_of(self._header) if self._header else as_metadata(meta.get("metadata"))
        self._entries: list[Entry] = []
        self._names: set[str] = set()
        self._left: dict[str, Entry] | None = None  # what of the header is kept as bytes, once it was asked for
        self._sink: _Sink | None = None
        self._out = open(path, "w+b")  # noqa: SIM115 (closed by __exit__)
        self._data = self._out if self._header else _beside(path)
        self._base = 8 + len(self._header) if self._header else 0

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._data.close()
            self._out.close()

    def add(self, name: str, dtype: np.dtype, shape: tuple[int, ...]) -> "_Sink":
        """Begin a tensor; the result's `write(start, values)` takes its values in order."""
        self._end_tensor()
        if is_skeleton(name):
            return self._add_raw(name, dtype, tuple(shape))
        if dtype not in CODES:
            raise InvalidInput(f"{name!r}: safetensors has no dtype for {dtype}; decode to npz or h5")
        if not name and self._header is None:
            name = UNNAMED
        if name == METADATA:
            raise InvalidInput(
                f"no tensor of a safetensors file can have the name {METADATA!r}; decode to another format"
            )
        if name in self._names:
            raise InvalidInput(f"two tensors have the name {name!r}")
        return self._begin(name, CODES[dtype], dtype, tuple(shape), math.prod(shape) * dtype.itemsize)

    def _begin(self, name: str, code: str, dtype: np.dtype, shape: tuple[int, ...], nbytes: int) -> "_Sink":
        self._names.add(name)
        at = self._position
        self._sink = _Sink(self._data, self._base, Entry(name, code, shape, at, at + nbytes), dtype)
        return self._sink

    def _add_raw(self, name: str, dtype: np.dtype, shape: tuple[int, ...]) -> "_Sink":
        """Begin a tensor whose bytes were kept; the original's header says what they are."""
        entry = self._kept().pop(name, None)
        if entry is None or dtype != np.uint8 or shape != (entry.end - entry.begin,):
            raise Corrupt(f"the header in the file's metadata has no place for the record {name[:200]!r}")
        return self._begin(entry.name, entry.code, dtype, entry.shape, shape[0])

    def _kept(self) -> dict[str, Entry]:
        """The tensors of the header that are kept as their bytes and did not come yet."""
        if self._left is None:
            try:
                entries = parse_header(self._header, None, "") if self._header else []
            except InvalidInput as error:
                raise Corrupt(f"the file's metadata{error}") from None
            self._left = {RAW + entry.name: entry for entry in entries if entry.why_uncoded}
        return self._left

    @property
    def _position(self) -> int:
        return self._entries[-1].end if self._entries else 0

    def _end_tensor(self) -> None:
        sink, self._sink = self._sink, None
        if sink is not None and sink.left == 0:
            self._entries.append(sink.entry)

    def _finish(self) -> None:
        self._end_tensor()
        if self._header is None or not self._is_original(self._header):
            self._arrange()
            return
        self._out.seek(0)
        self._out.write(len(self._header).to_bytes(8, "little") + self._header)
        self._out.truncate(self._base + self._position)

    def _is_original(self, header: bytes) -> bool:
        """Whether the tensors that came are those of the original's header, in its places."""
        try:
            return parse_header(header, self._position, "") == self._entries
        except InvalidInput:
            return False

    def _arrange(self) -> None:
        """Write header and data in the library's layout, which keeps every tensor aligned."""
        if self._data is self._out:
            self._data = _beside(Path(self._out.name))
            self._out.seek(0)
            shutil.copyfileobj(self._out, self._data, PIECE)
        header, order = arrange(self._entries, self._metadata)
        self._out.seek(0)
        self._out.truncate()
        self._out.write(len(header).to_bytes(8, "little") + header)
        for entry in order:
            _copy(self._data, self._base + entry.begin, entry.end - entry.begin, self._out)


def _about(header: bytes, entries: list[Entry]) -> dict[str, object]:
    """What META has for a header: its bytes, or the metadata alone, if all else follows."""
    metadata, size = metadata_of(header), entries[-1].end if entries else 0
    plain = len(header) > _LARGE * size and all(entry.name and not entry.why_uncoded for entry in entries)
    plain = plain and len(json.dumps(metadata)) <= _SHORT
    if plain and arrange(entries, metadata) == (header, entries):
        return {"metadata": metadata} if metadata else {}
    return {"header": _pack_header(header)}


def metadata_in(meta: Mapping[str, object], limit: int | None) -> dict[str, str]:
    """The metadata of the original, out of `meta`. Raises what `unpack_header` raises."""
    header = unpack_header(meta.get("header"), limit)
    return metadata_of(header) if header else as_metadata(meta.get("metadata"))


def _pack_header(header: bytes) -> str:
    """The header for META: deflated, unless a reader would then take it for a bomb."""
    packed = zlib.compress(header, 9)
    if len(header) > FREE_HEADER + HEADER_RATIO * len(packed):
        packed = zlib.compress(header, 0)
    return base64.b64encode(packed).decode()


def unpack_header(packed: object, limit: int | None) -> bytes | None:
    """The original's header out of `meta`, or None when there is none.

    Parsing takes a lot more time and memory than the header's bytes, so LimitExceeded when it is
    out of proportion.
    """
    if packed is None:
        return None
    unpack = zlib.decompressobj()
    try:
        data = base64.b64decode(str(packed), validate=True)
        allowed = min(MAX_HEADER, FREE_HEADER + HEADER_RATIO * len(data) if limit is None else limit)
        header = unpack.decompress(data, allowed + 1)
    except (ValueError, zlib.error) as error:
        raise Corrupt(f"the safetensors header in the file's metadata is damaged: {error}") from None
    if len(header) > allowed:
        raise LimitExceeded(
            f"the safetensors header in the file's metadata unpacks to more than {allowed:,} bytes from {len(data):,}. "
            "If you trust the file, accept more by limit= in Python, or --limit"
        )
    if not unpack.eof:
        raise Corrupt("the safetensors header in the file's metadata is damaged: it is cut")
    return header


def _beside(path: Path) -> IO[bytes]:
    """A temporary file in the folder of an output, which may itself have no name."""
    return TemporaryFile(dir=path.resolve().parent)


def _copy(source: IO[bytes], offset: int, length: int, target: IO[bytes]) -> None:
    source.seek(offset)
    while length:
        piece = source.read(min(length, PIECE))
        target.write(piece)
        length -= len(piece)


class _Sink:
    """Takes a tensor's values in order."""

    def __init__(self, file: IO[bytes], base: int, entry: Entry, dtype: np.dtype) -> None:
        self.entry, self._dtype = entry, dtype
        self.left = entry.end - entry.begin
        self._file, self._offset = file, base + entry.begin

    def write(self, start: int, values: np.ndarray) -> None:
        raw = raw_dtype(self._dtype)
        data = np.ascontiguousarray(values).view(raw).astype(raw.newbyteorder("<"), copy=False)
        self._file.seek(self._offset + start * raw.itemsize)
        self._file.write(data.tobytes())
        self.left -= data.nbytes
