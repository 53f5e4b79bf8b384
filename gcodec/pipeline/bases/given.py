"""The bases that a caller gives: files, folders, archives, arrays by name, or one array."""

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from ...container.layout import MAGIC
from ...container.reader import RandomAccess, Record
from ...errors import InvalidInput
from ...io import containers, remote
from ...parallel import thread_count
from ...request.on_base import AlphaOf, OnBases, checked_alpha_of
from ...request.rules import Chooser
from ..archive import Archive
from .bases import Bases
from .places import Container, Folder, Place, Sources

Base = Any  # an array, a mapping of arrays, an Archive, a path, or a list of these


def chooser_on(chooser: Chooser, base: Base, alpha_of: AlphaOf | None, threads: int, stack: ExitStack) -> Chooser:
    """The chooser, which gives each tensor its base where there is one. Raises InvalidInput."""
    relative = checked_alpha_of(alpha_of, base is not None)
    if base is None:
        return chooser
    return OnBases(chooser, partial(bases_of(base, threads, stack).to_encode, alpha_of=relative))


def on_bases_of(base: Base, records: Iterable[Record], threads: int | None, stack: ExitStack) -> Iterable[Record]:
    """The records, which find their bases in what was given."""
    return records if base is None else bases_of(base, thread_count(threads), stack).on(records)


def bases_of(base: Base, threads: int, stack: ExitStack) -> Bases:
    """What finds bases in all that is given; `stack` closes the files that are opened for it.

    Raises InvalidInput for what holds no bases, and what opening a container raises.
    """
    if isinstance(base, Bases):
        return base
    several = isinstance(base, list | tuple)
    return Bases([place for one in (base if several else [base]) for place in _places(one, stack)], threads)


def _places(base: Base, stack: ExitStack) -> Sequence[Place]:
    """An archive's own bases come behind it."""
    if isinstance(base, Archive):
        behind = base.bases.places if isinstance(base.bases, Bases) else ()
        return [Container(base.access, base.size, "the archive"), *behind]
    if isinstance(base, str | os.PathLike):
        return [path_place(base, stack)]
    return [Sources.of_arrays(base if isinstance(base, Mapping) else {"": base})]


def path_place(path: str | os.PathLike[str], stack: ExitStack) -> Container | Folder:
    """A folder of containers, or a container."""
    where = remote.resolved(path) if isinstance(path, str) else os.fspath(path)
    if not remote.is_url(where) and Path(where).is_dir():
        folder = Folder(Path(where))
        stack.callback(folder.close)
        return folder
    file = stack.enter_context(containers.open_path(path))
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if file.read(len(MAGIC)) != MAGIC:
        raise InvalidInput(f"{path}: is no gcodec file; as a base in Python, give its arrays by name")
    return Container(RandomAccess(file, size), size, str(path))
