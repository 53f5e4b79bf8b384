"""Where compiled kernels are kept: a folder for each state of the sources and of the compiler.

The folder's name is a digest of all sources of kernels and of the versions of numba, LLVM, numpy
and Python. It lies in the first of these places that can be written to:

1. NUMBA_CACHE_DIR; when it is set, no other place is tried, and it may be one that was filled
   before and can only be read;
2. the user's cache: $XDG_CACHE_HOME/gcodec or ~/.cache/gcodec (macOS: ~/Library/Caches/gcodec);
3. __pycache__ beside the kernels;
4. gcodec-UID in the folder for temporary files, with a warning when it is made.

What is loaded from there is run as code. So places 2 and 4 must belong to this user, and nobody
else may write to them. In each place the folders of the `KEPT` states that were used last are kept,
and older ones are deleted.
"""

import hashlib
import os
import shutil
import stat
import sys
import tempfile
import warnings
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import llvmlite
import numba
import numpy as np
from llvmlite import binding

KEPT = 8
KERNELS = __package__.rpartition(".")[0]
HEX_DIGITS = 16  # hexadecimal digits of the digest in a folder's name


@cache
def folder() -> Path | None:
    """The folder for this state; None, after a warning, when there is no place for it."""
    name = f"kernels-{digest()}"
    if numba.config.CACHE_DIR:
        place = Path(numba.config.CACHE_DIR).absolute()
        _made(place / name)
        return place / name
    for place in _lasting_places():
        if _made(place / name) is not None:
            return place / name
    place = _temporary_place()
    made = _made(place / name) if place else None
    if made is not None:
        if made:
            _say(f"compiled kernels are kept in {place} until it is emptied")
        return place / name
    _say("kernels are compiled by each process anew")
    return None


@cache
def digest() -> str:
    """Names what compiled kernels are made of."""
    found = hashlib.sha256()
    for name, source in sorted(_sources(files(KERNELS), "")):
        data = source.read_bytes()
        found.update(f"{name} {len(data)}\n".encode() + data)
    versions = (numba.__version__, llvmlite.__version__, binding.llvm_version_info, np.__version__)
    found.update(repr((KERNELS, versions, sys.implementation.cache_tag)).encode())
    return found.hexdigest()[:HEX_DIGITS]


def _sources(folder: Traversable, inside: str) -> Iterator[tuple[str, Traversable]]:
    """All sources in a folder and in the folders in it, by their paths in `inside`."""
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name != "__pycache__":
            yield from _sources(entry, f"{inside}{entry.name}/")
        elif entry.name.endswith((".py", ".pyc")):
            yield inside + entry.name, entry


def _lasting_places() -> Iterator[Path]:
    user = _user_cache()
    if user is not None and _is_private(user):
        yield user
    yield Path(__file__).parents[1] / "__pycache__"


def _temporary_place() -> Path | None:
    try:
        place = Path(tempfile.gettempdir(), f"gcodec-{os.geteuid()}")
    except FileNotFoundError:  # there is no folder for temporary files
        return None
    return place if _is_private(place) else None


def _user_cache() -> Path | None:
    """The user's own place; None for a user without a home."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if base.is_absolute():
        return base / "gcodec"
    home = Path(os.path.expanduser("~"))
    if not home.is_absolute() or not home.is_dir():
        return None
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "gcodec"


def _is_private(place: Path) -> bool:
    """Make a folder, if it is missing; whether it is this user's and safe from all others."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.mkdir(mode=0o700, exist_ok=True)
        about = place.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(about.st_mode) and about.st_uid == os.geteuid() and not about.st_mode & 0o022


def _made(where: Path) -> bool | None:
    """Make a folder, and note that it was used.

    Returns whether it is new, or None when it cannot be written to.
    """
    new = not where.exists()
    try:
        where.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=where).close()
        os.utime(where)
    except OSError:
        return None
    if new:
        _drop_old(where.parent)
    return new


def _drop_old(place: Path) -> None:
    """Delete the folders of states that were not used for long."""
    states = sorted(place.glob("kernels-" + HEX_DIGITS * "[0-9a-f]"), key=_last_use, reverse=True)
    for old in states[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)  # another process may be deleting it


def _last_use(state: Path) -> float:
    try:
        return state.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _say(what: str) -> None:
    warnings.warn(
        f"neither the user's cache folder nor gcodec's own folder can be written to: {what}; "
        "set NUMBA_CACHE_DIR to a folder that can",
        RuntimeWarning,
        stacklevel=2,
    )
