"""An HDF5 file copied without the room in it that nothing uses any more.

The library reuses such room while a file is open, and then forgets it: a file whose chunks were
written anew may be twice as large as it need be. The copy is made by a child with limits, as all
that the library does with a stranger's bytes.
"""

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import IO

import h5py
from h5py import h5, h5d, h5f, h5fd, h5g, h5l, h5o, h5p, h5t
from h5py._objects import ObjectID

from ....container.spool import PIECE, temporary_file
from ..handle import Handle
from ..tree import walk
from .attributes import attributes_of, copy_attribute, equal_attributes

FREE_CPU, SPEED = 4.0, 1 << 23  # seconds; bytes a second that the slowest machine reaches
_START = "import sys; sys.path[:] = sys.argv[3:]; from gcodec.io.hdf5.process.packing import main; main(*map(int, sys.argv[1:3]))"


def shrink(file: IO[bytes]) -> None:
    """Write a file anew without the room that nothing uses, where `pack` can copy it."""
    file.flush()
    with temporary_file() as spare:
        if pack(file, spare):
            file.seek(0)
            shutil.copyfileobj(spare, file, PIECE)
            file.truncate()


def pack(file: IO[bytes], spare: IO[bytes]) -> bool:
    """Copy an HDF5 file to an empty one; whether that is a copy that nothing was left out of.

    It is not where objects refer to others by their addresses, or have several names.
    """
    child = subprocess.run(
        [sys.executable, "-I", "-c", _START, str(file.fileno()), str(spare.fileno()),
         str(Path(__file__).parents[4]), *map(os.path.abspath, sys.path)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        pass_fds=(file.fileno(), spare.fileno()), check=False,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return child.returncode == 0


def main(source: int, target: int) -> None:
    """The child. It ends with 0 if the file was copied."""
    from .child import ROOM, leave, limit, memory, open_no_more

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    size = os.fstat(source).st_size
    leave()
    open_no_more()
    limit(resource.RLIMIT_CPU, int(FREE_CPU + size / SPEED) + 1)
    limit(resource.RLIMIT_FSIZE, size)  # a copy that is larger is of no use
    limit(resource.RLIMIT_AS, memory() + ROOM + min(2 * size, 1 << 31))
    os._exit(0 if copied(source, target) else 1)


def copied(source: int, target: int) -> bool:
    """Copy the file of one descriptor to that of another, unless something would be lost.

    The copy counts only where every object in it has the attributes of the original, bit for bit.
    """
    out = Handle(target)
    with h5py.File(Handle(source), "r") as old:
        if old.userblock_size or not _is_plain(old):
            return False
        create, access = old.id.get_create_plist(), h5p.create(h5p.FILE_ACCESS)
        root = h5o.open(old.id, b"/")
        create.set_obj_track_times(False)
        create.set_link_creation_order(root.get_create_plist().get_link_creation_order())
        create.set_attr_creation_order(root.get_create_plist().get_attr_creation_order())
        access.set_fclose_degree(h5f.CLOSE_STRONG)
        access.set_fileobj_driver(h5fd.fileobj_driver, out)
        new = h5f.create(b"packed", h5f.ACC_TRUNC, create, access)
        _copy_root(root, h5o.open(new, b"/"))
        same = _has_the_attributes(new, old.id)
        new.close()
    out.check()
    return same


def _is_plain(file: h5py.File) -> bool:
    """Whether each object has one name, and nothing refers to another by its address."""
    return all(item is not None and _stands_alone(item) for _, item in _objects(file.id))


def _objects(file: h5f.FileID) -> Iterator[tuple[bytes, ObjectID | None]]:
    """The root group and all below it, by their paths."""
    yield b"", h5o.open(file, b"/")
    yield from ((link.raw_path, item) for link, item in walk(file))


def _has_the_attributes(new: h5f.FileID, old: h5f.FileID) -> bool:
    """Whether the objects of two files have the same paths and equal attributes."""
    pairs = zip_longest(_objects(new), _objects(old), fillvalue=(b"", None))
    return all(
        path == other and mine is not None and theirs is not None and equal_attributes(mine, theirs)
        for (path, mine), (other, theirs) in pairs
    )


def _stands_alone(item: ObjectID) -> bool:
    if not isinstance(item, h5g.GroupID | h5d.DatasetID):
        return False
    kinds = [attribute.get_type() for attribute in attributes_of(item)]
    if isinstance(item, h5d.DatasetID):
        layout = item.get_create_plist()
        if layout.get_layout() == h5d.VIRTUAL or layout.get_external_count():
            return False
        kinds.append(item.get_type())
    return not any(kind.committed() or kind.detect_class(h5t.REFERENCE) for kind in kinds)


def _copy_root(old: h5g.GroupID, new: h5g.GroupID) -> None:
    """Copy all that a root group has; raises ValueError for links of unknown kinds."""
    create = old.get_create_plist()
    links: list[tuple[bytes, int, int]] = []
    tracked = create.get_link_creation_order() & h5p.CRT_ORDER_TRACKED
    order = h5.INDEX_CRT_ORDER if tracked else h5.INDEX_NAME
    old.links.iterate(lambda name, info: links.append((name, info.type, info.cset)), idx_type=order, info=True)
    for name, kind, encoding in links:
        of_link = h5p.create(h5p.LINK_CREATE)
        of_link.set_char_encoding(encoding)
        if kind == h5l.TYPE_HARD:
            h5o.copy(old, name, new, name, lcpl=of_link)
        elif kind == h5l.TYPE_SOFT:
            new.links.create_soft(name, old.links.get_val(name), lcpl=of_link)
        elif kind == h5l.TYPE_EXTERNAL:
            new.links.create_external(name, *old.links.get_val(name), lcpl=of_link)
        else:
            raise ValueError(f"a link of the kind {kind}")
    for attribute in attributes_of(old):
        copy_attribute(attribute, new)
