"""Where binary results go: a file that appears as a whole, a URL, a pipe, or standard output."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from ..container.spool import PIECE
from ..errors import InvalidInput
from ..io import remote, streams
from ..io.atomic import replacing, replacing_folder, scratch


class Counted:
    """A binary file that counts the bytes that are written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.size = file, 0

    def write(self, data: bytes) -> int | None:
        count: int | None = self._file.write(data)
        self.size += count or 0
        return count

    def flush(self) -> None:
        self._file.flush()


class Nowhere:
    """A binary file that forgets what is written to it."""

    def write(self, data: bytes) -> int:
        return len(data)

    def flush(self) -> None:
        pass


@contextmanager
def target(output: str, force: bool, *sources: str) -> Iterator[Path]:
    """A path to write to: it becomes `output` at the end, or vanishes on an error.

    An existing file needs `force`, one that appears meanwhile too. A source itself is never written
    over, nor is anything put in a source that is a folder; a new file has the permissions of the
    first. A URL gets the file once it is whole.
    """
    where, origin = remote.resolved(output), remote.resolved(sources[0])
    if any(_is_same(where, remote.resolved(source)) for source in sources):
        raise InvalidInput(f"{output} is the input itself, which is kept; choose another name with -o")
    if not remote.is_url(where) and any(map(partial(_is_within, Path(where)), sources)):
        raise InvalidInput(
            f"{output} lies in the folder that is encoded, and would become a part of what is encoded next; "
            "choose a place outside with -o"
        )
    if remote.is_url(where):
        _check_new(output, remote.exists(where), force)
        with scratch() as path, streams.naming(output):
            yield path
            remote.upload(path, where)
        return
    path = Path(where)
    _check_new(output, path.is_file(), force)
    if path.is_dir():
        raise InvalidInput(f"{output} is a directory; name a file with -o")
    if not path.parent.is_dir():
        raise InvalidInput(f"{path.parent}: there is no such directory; create it first")
    like = None if sources[0] == "-" or remote.is_url(origin) or not Path(origin).is_file() else Path(origin)
    try:
        with streams.naming(output), replacing(path, keep=not force, like=like) as temporary:
            yield temporary
    except FileExistsError:
        _check_new(output, True, force)


@contextmanager
def binary_target(output: str, force: bool, *sources: str) -> Iterator[BinaryIO]:
    """A binary file to write to, as `target`; "-" is standard output unless that is a terminal."""
    if output == "-":
        yield _standard_output()
        return
    with target(output, force, *sources) as path, open(path, "wb") as file:
        yield file


@contextmanager
def whole_target(output: str, force: bool, source: str) -> Iterator[Path]:
    """As `target`, also for a pipe or standard output, which get the file at the end."""
    if output != "-" and not _is_special(output):
        with target(output, force, source) as path:
            yield path
        return
    stream = _standard_output() if output == "-" else _opened(output)
    with stream, scratch() as path:
        yield path
        with open(path, "rb") as whole:
            shutil.copyfileobj(whole, stream, PIECE)


def results_folder(name: str, option: str, force: bool) -> Path:
    """A folder for results: a new or an empty one, or with `force` any. `option` names it.

    Raises InvalidInput for others before any work is done.
    """
    if not name:
        raise InvalidInput(f"the name of the folder is empty; name one with {option}")
    place = Path(name)
    if place.exists() and not place.is_dir():
        raise InvalidInput(f"{name} is a file; name a folder with {option}")
    if not place.absolute().parent.is_dir():
        raise InvalidInput(f"{place.absolute().parent}: there is no such directory; create it first")
    if place.is_dir() and any(place.iterdir()) and not force:
        raise InvalidInput(f"{name} is not empty; choose another folder with {option}, or overwrite its files with -f")
    return place


@contextmanager
def folder_target(output: str, force: bool, source: str) -> Iterator[Path]:
    """An empty folder to write to: it becomes `output` at the end, or vanishes on an error.

    An existing folder needs `force`, and is kept if it holds files that the new one lacks.
    """
    where = remote.resolved(output)
    if output == "-" or remote.is_url(where) or _is_special(where):
        raise InvalidInput(
            f"a folder cannot go to {output}; name one with -o, or choose a format of one file with --to"
        )
    path = Path(where)
    _check_new(output, os.path.lexists(path), force)
    if path.is_file():
        raise InvalidInput(f"{output} is a file; name a folder with -o")
    if not path.parent.is_dir():
        raise InvalidInput(f"{path.parent}: there is no such directory; create it first")
    try:
        with streams.naming(output), replacing_folder(path, keep=not force) as temporary:
            yield temporary
    except FileExistsError as error:
        _check_new(output, True, force)
        raise InvalidInput(f"{output}: {error.strerror}; remove it, or choose another folder with -o") from None


def _standard_output() -> BinaryIO:
    """Standard output for binary data; raises InvalidInput when it is a terminal."""
    stream = streams.standard_output()
    if sys.stdout.isatty():
        raise InvalidInput("binary data does not go to a terminal; name a file with -o, or use a pipe")
    return stream


def _opened(output: str) -> BinaryIO:
    return cast(BinaryIO, streams.File(output, "wb"))


def _is_special(output: str) -> bool:
    """Whether it is there already and no regular file, as a device or a pipe."""
    path = Path(output)
    return not remote.is_url(output) and path.exists() and not path.is_file() and not path.is_dir()


def _is_same(output: str, source: str) -> bool:
    if remote.is_url(output) or remote.is_url(source):
        return output == source
    return Path(output).is_file() and Path(source).is_file() and Path(output).samefile(source)


def _is_within(path: Path, source: str) -> bool:
    """Whether a path, or what it links to, lies in the folder `source`."""
    folder = Path(source).resolve()
    return folder.is_dir() and any(
        place.is_relative_to(folder) for place in (path.resolve(), path.parent.resolve() / path.name)
    )


def _check_new(output: str, exists: bool, force: bool) -> None:
    if exists and not force:
        raise InvalidInput(f"{output} exists; choose another name with -o, or overwrite it with -f")
