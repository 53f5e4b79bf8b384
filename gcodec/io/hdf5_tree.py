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
    found: dict[str, Dataset] = {}
    kept: set[str] = set()
    for path, dataset in datasets(file):
        name = path.decode(errors="replace")
        about = describe(name, dataset) if name.encode() == path else None
        if about is None:
            kept.add(name)
        else:
            found[name] = about
    return found, kept


def datasets(file: h5py.File) -> Iterator[tuple[bytes, h5d.DatasetID]]:
    """Every dataset once, by the first path of hard links to it in the order of names.

    Not recursive, as HDF5's own visit is. Soft and external links are not followed.
    """
    root = h5o.open(file.id, b"/")
    seen = {_address(root)}
    pending = _links(root, b"")
    while pending:
        group, prefix, name = pending.pop()
        found, path = h5o.open(group, name), prefix + name
        if _address(found) in seen:
            continue
        seen.add(_address(found))
        if isinstance(found, h5d.DatasetID):
            yield path, found
        elif isinstance(found, h5g.GroupID) and len(path) < MAX_PATH:
            pending.extend(_links(found, path + b"/"))


def _links(group: h5g.GroupID, prefix: bytes) -> list[tuple[h5g.GroupID, bytes, bytes]]:
    """The hard links of a group, last one first."""
    names: list[bytes] = []
    group.links.iterate(lambda name, info: names.append(name) if info.type == h5l.TYPE_HARD else None, info=True)
    return [(group, prefix, name) for name in reversed(names)]


def _address(found: object) -> tuple[int, int]:
    info = h5o.get_info(found)
    return info.fileno, info.addr
