"""Where bases are looked for: arrays in memory, tensors of other files, and containers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ...compressors.contract import TensorSpec
from ...container.base import BaseName, joined_crc
from ...container.layout import TensorHeader
from ...container.reader import RandomAccess, Record
from ...errors import FormatError, InvalidInput
from ...request.arrays import array_of
from ...source import ArraySource, Source, spans
from .pair import crc_of

MOST_FILES = 4096  # the most files of a folder that are looked at


@dataclass(frozen=True)
class Found:
    """A tensor that may be a base: in a place, a record or else a source of its values."""

    place: "Place"
    name: str
    source: Source | None = None
    record: Record | None = None

    @property
    def spec(self) -> TensorSpec:
        if self.record is not None:
            return self.record.header.spec
        assert self.source is not None
        return TensorSpec(self.source.dtype, self.source.shape)


class Place(Protocol):
    """Something that has tensors by name. label: what messages call it. size: its bytes."""

    label: str
    size: int

    def tensor(self, name: str) -> Found | None:
        """The tensor of this name; a lone tensor has any name."""

    def find(self, base: BaseName, tensors: Sequence[tuple[str, TensorSpec]]) -> Iterator[Sequence[Found]]:
        """All that is this base: tensors of these names, dtypes and sizes, with its values."""


class _ByName:
    """A place whose tensors can be found by their names."""

    def __init__(self) -> None:
        self._crcs: dict[str, int] = {}

    def tensor(self, name: str) -> Found | None:
        raise NotImplementedError

    def crc_of(self, found: Found) -> int:
        """The CRC of a tensor's values."""
        raise NotImplementedError

    def find(self, base: BaseName, tensors: Sequence[tuple[str, TensorSpec]]) -> Iterator[Sequence[Found]]:
        links = []
        for name, spec in tensors:
            found = self.tensor(name)
            if found is None or not _alike(found.spec, spec):
                return
            links.append(found)
        for found in links:
            if found.name not in self._crcs:
                self._crcs[found.name] = self.crc_of(found)
        parts = ((self._crcs[found.name], found.spec.size * found.spec.dtype.itemsize) for found in links)
        if joined_crc(parts) == base.crc:
            yield links


class Sources(_ByName):
    """Tensors that can be read: arrays, or those of a file that the caller keeps open."""

    def __init__(self, tensors: Mapping[str, Source], label: str = "the arrays") -> None:
        super().__init__()
        self.label, self.size = label, 0
        self._tensors = dict(tensors)

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Any]) -> "Sources":
        """Raises InvalidInput for what is no array."""
        return cls({name: ArraySource(array_of(name, array)) for name, array in arrays.items()})

    def tensor(self, name: str) -> Found | None:
        name = _name_in(self._tensors, name)
        return Found(self, name, self._tensors[name]) if name in self._tensors else None

    def crc_of(self, found: Found) -> int:
        return crc_of(self._tensors[found.name])


class Container(_ByName):
    """The tensors of a container in a seekable file."""

    def __init__(self, access: RandomAccess, size: int, label: str) -> None:
        super().__init__()
        self.label, self.size, self._access = label, size, access

    def tensor(self, name: str) -> Found | None:
        name = _name_in(self._access.offsets, name)
        return Found(self, name, record=self._access.record(name)) if name in self._access.offsets else None

    def crc_of(self, found: Found) -> int:
        assert found.record is not None  # as `tensor` found it
        return decoded_crc(found.record.header)


class Folder:
    """The containers of a folder, opened as they are needed."""

    def __init__(self, folder: Path) -> None:
        self.label, self.size, self._folder = f"the folder {str(folder)!r}", 0, folder
        self._places: dict[Path, Container] = {}
        self._files: list[Any] = []

    def tensor(self, name: str) -> Found | None:
        """No tensor: a folder has bases for records alone."""
        return None

    def find(self, base: BaseName, tensors: Sequence[tuple[str, TensorSpec]]) -> Iterator[Sequence[Found]]:
        for place in self.places():
            yield from place.find(base, tensors)

    def places(self) -> Iterator[Container]:
        """Raises InvalidInput for a folder of too many files; passes over what is no container."""
        paths = sorted(self._folder.glob("*.gcz"))
        if len(paths) > MOST_FILES:
            raise InvalidInput(f"{self.label}: has {len(paths):,} gcodec files; name the needed ones, each with --base")
        for path in paths:
            if path not in self._places:
                file = open(path, "rb")  # noqa: SIM115  # `close` closes it
                self._files.append(file)
                size = path.stat().st_size
                try:
                    self._places[path] = Container(RandomAccess(file, size), size, str(path))
                except FormatError:
                    continue
            yield self._places[path]

    def close(self) -> None:
        for file in self._files:
            file.close()


def decoded_crc(header: TensorHeader) -> int:
    """The CRC-32 of a record's decoded values, from those of its chunks."""
    width = header.spec.dtype.itemsize
    sizes = [(stop - start) * width for start, stop in spans(header.spec.size, header.chunk)]
    return joined_crc(zip((chunk.decoded_crc for chunk in header.chunks), sizes, strict=True))


def _name_in(names: Mapping[str, Any], name: str) -> str:
    """The name, or that of a lone tensor."""
    return next(iter(names)) if len(names) == 1 and name not in names and ("" in names or name == "") else name


def _alike(one: TensorSpec, other: TensorSpec) -> bool:
    return one.dtype == other.dtype and one.size == other.size
