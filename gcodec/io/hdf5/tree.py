"""The tree of an HDF5 file: every dataset once, whatever the depth, the links and the cycles."""

from collections.abc import Iterator, Set
from dataclasses import dataclass

import h5py
from h5py import h5d, h5f, h5g, h5l, h5o
from h5py._objects import ObjectID

from ..uncoded import Uncoded
from .dataset import Dataset, Survey
from .describe import describe

MAX_PATH = 4096  # bytes; what lies deeper stays in the skeleton


def survey(file: h5py.File, file_size: int) -> Survey:
    """What is in a file; every dataset has the name of the first path to it."""
    found: dict[str, Dataset] = {}
    kept: dict[str, Uncoded] = {}
    for link, item in walk(file.id):
        if isinstance(item, h5d.DatasetID):
            nameless = None if link.is_text else Uncoded(link.path, 0, "a dataset whose name is not UTF-8")
            about = nameless or describe(link.path, item, file_size)
            if isinstance(about, Uncoded):
                kept[link.path] = about
            else:
                found[link.path] = about
    return Survey(found, kept)


def remove(file: h5py.File, names: Set[str]) -> None:
    """Take datasets out of a file, with every hard link to them; `names` are their first paths."""
    links: dict[int, list[Link]] = {}
    gone: list[int] = []
    for link, item in walk(file.id):
        if isinstance(item, h5d.DatasetID):
            links[link.address] = []
            gone += [link.address] if link.path in names else []
        if link.address in links:
            links[link.address].append(link)
    for link in (link for address in gone for link in links[address]):
        link.group.unlink(link.name)


@dataclass(frozen=True)
class Link:
    """A hard link: where it is, its path from the root, and the address of the object."""

    group: h5g.GroupID
    raw_path: bytes
    name: bytes
    address: int

    @property
    def path(self) -> str:
        return self.raw_path.decode(errors="replace")

    @property
    def is_text(self) -> bool:
        """Whether the path is UTF-8, so that a name can stand for it."""
        return self.path.encode() == self.raw_path


def walk(file: h5f.FileID) -> Iterator[tuple[Link, ObjectID | None]]:
    """Every hard link in the order of names, depth first; and the object, when it is new.

    Not recursive, as HDF5's own visit is. Soft and external links are not followed. An object is
    known by the address in its link: so it is opened once, and not asked for all that HDF5 counts
    of an object, at which damaged files crash it.
    """
    root = h5o.open(file, b"/")
    seen = {h5g.get_objinfo(root).objno[0]}
    pending = _links(root, b"")
    while pending:
        link = pending.pop()
        if link.address in seen:
            yield link, None
            continue
        seen.add(link.address)
        found = h5o.open(link.group, link.name)
        yield link, found
        if isinstance(found, h5g.GroupID) and len(link.raw_path) < MAX_PATH:
            pending.extend(_links(found, link.raw_path + b"/"))


def _links(group: h5g.GroupID, prefix: bytes) -> list[Link]:
    """The hard links of a group, last one first."""
    found: list[Link] = []

    def take(name: bytes, link: h5l.LinkInfo) -> None:
        if link.type == h5l.TYPE_HARD:
            found.append(Link(group, prefix + name, name, link.u))

    group.links.iterate(take, info=True)
    return found[::-1]
