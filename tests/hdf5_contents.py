"""What h5py and h5diff can tell of HDF5 files, to compare them."""

import shutil
import subprocess
from pathlib import Path

import h5py
import numpy as np


def structure(path: Path) -> dict:
    """What h5py can tell of a file, link by link."""
    found: dict = {}
    with h5py.File(path) as file:
        seen: dict = {}
        pending = [("/", file["/"])]
        while pending:
            name, item = pending.pop()
            info = h5py.h5o.get_info(item.id)
            if info.addr in seen:
                found[name] = ("same as", seen[info.addr])
                continue
            seen[info.addr] = name
            found[name] = (type(item).__name__, attributes(item), properties(item))
            if isinstance(item, h5py.Group):
                for key in item:
                    link = item.get(key, getlink=True)
                    if isinstance(link, h5py.HardLink):
                        pending.append((f"{name}{key}/", item[key]))
                    else:
                        found[f"{name}{key}"] = (type(link).__name__, vars(link))
    return found


def attributes(item) -> dict:
    return {key: repr(h5py.h5a.open(item.id, key.encode()).dtype) + repr(attribute(item, key)) for key in item.attrs}


def attribute(item, key: str) -> object:
    value = item.attrs[key]
    return item.file[value].name if isinstance(value, h5py.Reference) else value


def properties(item) -> object:
    if not isinstance(item, h5py.Dataset):
        return None
    plain = (item.dtype, item.shape, item.maxshape, item.chunks, item.compression, item.compression_opts, item.shuffle)
    values = None if item.shape is None else item[()]
    reference = h5py.check_ref_dtype(item.dtype)
    if reference is h5py.Reference:
        values = [item.file[value].name for value in values]
    elif reference is h5py.RegionReference:
        values = [(item.file[value].name, item.file[value][value].tobytes()) for value in values]
    elif item.dtype.kind == "O":
        values = repr([np.asarray(value).tolist() for value in np.ravel(values)])
    else:
        values = None if values is None else np.asarray(values).tobytes()
    return plain, item.fletcher32, item.scaleoffset, values


def check_same(first: Path, second: Path, libver: str = "earliest") -> None:
    assert structure(first) == structure(second)
    if shutil.which("h5diff") and libver != "latest":  # which h5diff may be too old to read
        twin = Path(shutil.copy(first, second.with_suffix(".twin")))
        found = h5diff(first, second)
        # What it says on empty datasets is "not comparable".
        assert found == h5diff(first, twin) and found.startswith("0 ")


def h5diff(first: Path, second: Path) -> str:
    result = subprocess.run(["h5diff", first, second], capture_output=True, text=True, timeout=60)
    return f"{result.returncode} {result.stdout}"
