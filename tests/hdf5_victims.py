"""HDF5 files that name other files, and a folder of such files, whose bytes and times tell whether
anyone touched them.
"""

import os
from pathlib import Path

import h5py
import numpy as np

UNLIMITED = h5py.h5s.UNLIMITED


def unlimited_virtual(path, sources):
    with h5py.File(path, "w", libver="latest") as file:
        for i, source in enumerate(sources):
            layout = h5py.VirtualLayout((100,), "f8", maxshape=(None,))
            layout[:UNLIMITED] = h5py.VirtualSource(source, "d", (100,), maxshape=(None,))[:UNLIMITED]
            file.create_virtual_dataset(f"v{i}", layout, fillvalue=0)


def virtual(path, sources):
    with h5py.File(path, "w", libver="latest") as file:
        for i, source in enumerate(sources):
            layout = h5py.VirtualLayout((100,), "f8")
            layout[:] = h5py.VirtualSource(source, "d", (100,))
            file.create_virtual_dataset(f"v{i}", layout)


def printf_virtual(path, sources):
    """The block number is in the source's name, so that HDF5 looks how many there are."""
    with h5py.File(path, "w", libver="latest") as file:
        for i, source in enumerate(sources):
            create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            space = h5py.h5s.create_simple((100,), (UNLIMITED,))
            space.select_hyperslab((0,), (UNLIMITED,), (100,), (100,))
            create.set_virtual(space, source.encode(), b"d%b", h5py.h5s.create_simple((100,)))
            extent = h5py.h5s.create_simple((100,), (UNLIMITED,))
            h5py.h5d.create(file.id, f"v{i}".encode(), h5py.h5t.IEEE_F64LE, extent, create)


def external(path, sources):
    with h5py.File(path, "w") as file:
        for i, source in enumerate(sources):
            file.create_dataset(f"e{i}", (100,), "f8", external=[(source, 0, 800)])


def linked(path, sources):
    with h5py.File(path, "w") as file:
        for i, source in enumerate(sources):
            file[f"l{i}"] = h5py.ExternalLink(source, "/d")


KINDS = (unlimited_virtual, virtual, printf_virtual, external, linked)


def make_victims(folder: Path) -> Path:
    """An empty file, HDF5 files with bytes behind their end, one that cannot be written, a pipe, a
    device.
    """
    folder.mkdir()
    (folder / "empty").touch()
    for name, libver in (("old.h5", "earliest"), ("new.h5", "latest")):
        with h5py.File(folder / name, "w", libver=libver) as file:
            file["d"] = np.arange(100.0)
        with open(folder / name, "ab") as file:
            file.write(b"appended by its owner" * 40)
    (folder / "read-only.h5").write_bytes((folder / "old.h5").read_bytes())
    (folder / "read-only.h5").chmod(0o400)
    os.mkfifo(folder / "pipe.h5")
    (folder / "device.h5").symlink_to("/dev/zero")
    return folder


def state(folder: Path) -> dict:
    """Bytes and times of a folder and of all that is in it."""
    found = {".": os.stat(folder).st_mtime_ns}
    for path in folder.iterdir():
        about = path.lstat()
        data = path.read_bytes() if path.is_file() else None
        found[path.name] = (about.st_mode, about.st_size, about.st_mtime_ns, about.st_ctime_ns, data)
    return found
