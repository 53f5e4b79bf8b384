"""What a container gives: its records, which of them are whole, and words for the others."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import (
    Corrupt,
    FormatError,
    GcodecError,
    InvalidInput,
    MissingTensor,
    Truncated,
    UnsupportedFeature,
    UnsupportedVersion,
)
from ..io.remote import is_url
from ..io.streams import about, naming, open_input
from .files import WITH_SKELETON, container_file
from .output import label, note

if TYPE_CHECKING:
    from ..container.layout import TensorHeader
    from ..container.reader import Record
    from ..container.resume import Part


@dataclass
class Contents:
    """The records that are wanted, and the file's metadata.

    tensor: the name of the only one that is wanted; None for all. named: whether tensors have
    names, as all have but the only array of a file. salvage: whether damage is passed over. lost:
    the errors of records that did not come out whole. done: the names of those that did. size: the
    decoded bytes, as far as they are known beforehand; else 0.
    """

    records: "Iterator[Record]"
    meta: dict[str, Any]
    tensor: str | None
    named: bool
    salvage: bool
    lost: list[GcodecError] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    size: int = 0

    @property
    def tensors(self) -> list[str]:
        """The names of the tensors that are whole, without the records that only gcodec knows."""
        return _tensors(self.done)

    @property
    def missing(self) -> list[str]:
        """The names of wanted tensors that the metadata name, and that did not come out whole."""
        names = self.meta.get("names") if self.tensor is None else [self.tensor]
        wanted = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
        done = set(self.done)
        return [name for name in _tensors(wanted) if name not in done]

    @property
    def lacks_skeleton(self) -> bool:
        """Whether the frame of a file that has one is not among what came out whole."""
        from ..io.skeleton import is_skeleton

        has_one = self.meta.get("format") in WITH_SKELETON and self.tensor is None
        return has_one and not any(map(is_skeleton, self.done))

    def check_names(self, frames: bool) -> None:
        """Note that tensors are lost which the metadata name, though no record was damaged.

        frames: whether the records of files in a folder are wanted too.
        """
        if self.tensor is not None or self.lost:
            return
        if self.missing:
            self.lost.append(Corrupt("there is no record of some tensors that the metadata name"))
        elif frames and self._missing_files:
            self.lost.append(Corrupt(f"there is no record of the file {self._missing_files[0]!r:.200}"))

    @property
    def _missing_files(self) -> list[str]:
        """Paths of the files whose frames did not come out whole."""
        from ..io.skeleton import FILE

        names, done = self.meta.get("names"), set(self.done)
        lost = [name for name in names if name not in done] if isinstance(names, list) else []
        return [name.removeprefix(FILE) for name in lost if isinstance(name, str) and name.startswith(FILE)]

    def damage(self) -> GcodecError:
        """One error for all that was lost, which says what arrived."""
        more = f" (and {len(self.lost) - 1} more)" if len(self.lost) > 1 else ""
        text = f"{self.lost[0]}{more}; whole are: {', '.join(map(_quoted, self.tensors)) or 'none'}"
        text += f"; missing are: {', '.join(map(_quoted, self.missing))}" if self.missing else ""
        return type(self.lost[0])(text + self._hint())

    def _hint(self) -> str:
        """What --salvage would do; without it, reading stops at the first damage."""
        if self.salvage or self.tensor is not None:
            return ""
        if self.tensors:
            return " (decode --salvage writes the whole ones)"
        behind = self.named and not isinstance(self.lost[0], Truncated)
        return " (decode --salvage also looks behind the damage)" if behind else ""


def contents(file: BinaryIO, name: str, tensor: str | None, salvage: bool) -> Contents:
    """The contents of an open container; `name` is the file's for errors."""
    try:
        return _salvaged(file, tensor) if salvage else _sound(file, name, tensor)
    except Truncated as error:
        raise Truncated(f"{error}; whole are: none") from None


def _sound(file: BinaryIO, name: str, tensor: str | None) -> Contents:
    """The contents of a file that should be whole; one tensor of a seekable file is read alone."""
    from ..container.describe import original_bytes
    from ..container.reader import RandomAccess, Stream

    if tensor is not None and file.seekable():
        access = RandomAccess(file, file.seek(0, os.SEEK_END))
        if tensor not in access.offsets:
            raise missing_tensor(name, tensor, access.meta)
        record = access.record(tensor)
        size = original_bytes(record.header)
        return Contents(iter([record]), access.meta, tensor, bool(tensor), salvage=False, size=size)
    stream = Stream(file)
    records, first = _chosen(stream, tensor)
    return Contents(records, stream.meta, tensor, bool(first and first.name), False, size=_size(stream.meta, first))


@contextmanager
def resumed(stream: BinaryIO, name: str) -> Iterator[BinaryIO]:
    """The container that comes on a stream, in the file `name`, which vanishes after the work.

    When the stream is cut, the file stays with what arrived; the error says what to do. Raises
    InvalidInput for a file that cannot be the stream's part.
    """
    from ..container.resume import Part

    path = Path(name)
    if not name or is_url(name) or (path.exists() and not path.is_file()):
        raise InvalidInput(f"--resume-from {name}: is no file; name one of this machine")
    with naming(name), open(path, "r+b" if path.exists() else "x+b") as file:
        with about(name, FormatError, UnsupportedVersion, UnsupportedFeature):
            part = Part(file)
        if part.whole:
            raise InvalidInput(f"{name} is whole already: gcodec decode {name} gives its tensors")
        try:
            part.receive(stream)
        except (FormatError, OSError, KeyboardInterrupt) as error:
            kept = _kept(part, name)
            if not part.names:
                path.unlink()
            if not isinstance(error, FormatError):
                note(kept)
                raise
            raise type(error)(f"{str(error).removesuffix(', fetch it again')}; {kept}") from None
        file.seek(0)
        yield file
    path.unlink()


def _kept(part: "Part", name: str) -> str:
    """What was kept of a stream that was cut, and how it goes on."""
    if not part.names:
        return "no tensor arrived whole, so nothing is kept: repeat both commands"
    if part.mark is None:
        return f"{name} keeps what arrived, but the sender cannot go on, as its stream does not come from encode -o -"
    known, arrived = part.meta.get("names"), len(_tensors(part.names))
    among = f" of {len(_tensors(known))}" if isinstance(known, list) else ""
    kept = f"{arrived}{among} tensors" if arrived else "what came before the first tensor"
    return f"{name} keeps {kept}: repeat both commands, the sender's with --skip {part.mark}"


def missing_tensor(file: str, tensor: str, meta: dict[str, Any]) -> MissingTensor:
    """The error for a name that no record of a file has."""
    from ..io.folder.tied import tied_names

    of = tied_names(meta).get(tensor)
    hint = "gcodec info lists the names" if of is None else f"it equals {of!r}: ask for that"
    return MissingTensor(f"{label(file)}: holds no tensor named {tensor!r}; {hint}")


def _salvaged(file: BinaryIO, tensor: str | None) -> Contents:
    """The intact records of a damaged container."""
    from ..pipeline.salvage import Salvage

    salvage = Salvage(file)
    records, first = _chosen(salvage, tensor)
    size = _size(salvage.meta, first)
    return Contents(records, salvage.meta, tensor, bool(first and first.name), True, salvage.lost, size=size)


def _chosen(records: "Iterable[Record]", tensor: str | None) -> "tuple[Iterator[Record], TensorHeader | None]":
    """The records that are wanted, and the header of the first record, if there is one.

    That one is read at once; the metadata of a stream is known after it.
    """
    iterator = iter(records)
    first = next(iterator, None)
    found = chain([] if first is None else [first], iterator)
    wanted = (record for record in found if tensor in (None, record.header.name))
    return wanted, None if first is None else first.header


def _size(meta: dict[str, Any], first: "TensorHeader | None") -> int:
    """The decoded bytes of all records: what the metadata say, or those of a lone record."""
    from ..container.describe import original_bytes

    alone = 0 if first is None or first.name else original_bytes(first)
    return int(meta.get("bytes", alone))


def _quoted(name: str) -> str:
    """A tensor's name in a message; the only array of a file has none."""
    return repr(name) if name else "the array"


def _tensors(names: Iterable[str]) -> list[str]:
    from ..io.skeleton import is_skeleton

    return [name for name in names if not is_skeleton(name)]


@contextmanager
def coded_file(name: str, specs: str | None) -> Iterator[BinaryIO]:
    """A gcodec file; with the specs of a channel, the container of its message."""
    with container_file(name) as file:
        if specs is None:
            yield file
            return
        from ..channel.channel import Channel

        with about(specs, InvalidInput):
            channel = Channel(_text_of(specs))
        yield BytesIO(channel.container(file.read()))


def _text_of(specs: str) -> str:
    with open_input(specs) as file:
        try:
            return file.read().decode()
        except UnicodeDecodeError:
            raise InvalidInput("this is no text, but specs are JSON, as `Channel.specs` writes it") from None
