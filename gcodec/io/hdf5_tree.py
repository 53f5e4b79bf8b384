"""The tree of an HDF5 file: every dataset once, whatever the depth, the links and the cycles."""

from collections.abc import Iterator
from contextlib import contextmanager

import h5py
from h5py import h5d, h5g, h5l, h5o

from ..errors import GcodecError, InvalidInput
from .hdf5_dataset import Dataset, describe

MAX_PATH = 4096  # bytes; what lies deeper stays in the skeleton


@contextmanager
def reporting(what: object, error: type[GcodecError] = InvalidInput) -> Iterator[None]:
    """Errors of HDF5 as ours; those of the operating system (with an errno) pass."""
    try:
        yield
    except GcodecError:
        raise
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, OverflowError) as cause:
        if isinstance(cause, OSError) and cause.errno:
            raise
        raise error(f"{what}: HDF5 cannot read or write it: {' '.join(str(cause).split())}") from None


def survey(file: h5py.File) -> tuple[dict[str, Dataset], set[str]]:
    """The datasets that travel as tensors, by name; and the names of those that stay in the skeleton alone."""
    size = file.id.get_filesize()
    found: dict[str, Dataset] = {}
    kept: set[str] = set()
    for path, dataset in datasets(file):
        name = path.decode(errors="replace")
        about = describe(name, dataset, size) if name.encode() == path else None
        if about is None:
            kept.add(name)
        else:
            found[name] = about
    return found, kept


def datasets(file: h5py.File) -> Iterator[tuple[bytes, h5d.DatasetID]]:
    """Every dataset once, by the first path of hard links to it in the order of names.

    Not recursive, as HDF5's own visit is. Soft and external links are not followed. An object is known by the address in
    its link: so it is opened once, and not asked for all that HDF5 counts of an object, at which damaged files crash it.
    """
    root = h5o.open(file.id, b"/")
    seen = {h5g.get_objinfo(root).objno[0]}
    pending = _links(root, b"")
    while pending:
        group, path, name, address = pending.pop()
        if address in seen:
            continue
        seen.add(address)
        found = h5o.open(group, name)
        if isinstance(found, h5d.DatasetID):
            yield path, found
        elif isinstance(found, h5g.GroupID) and len(path) < MAX_PATH:
            pending.extend(_links(found, path + b"/"))


def _links(group: h5g.GroupID, prefix: bytes) -> list[tuple[h5g.GroupID, bytes, bytes, int]]:
    """The hard links of a group, last one first: (group, path, name, address of the object)."""
    found: list[tuple[h5g.GroupID, bytes, bytes, int]] = []

    def take(name: bytes, link: h5l.LinkInfo) -> None:
        if link.type == h5l.TYPE_HARD:
            found.append((group, prefix + name, name, link.u))

    group.links.iterate(take, info=True)
    return found[::-1]
