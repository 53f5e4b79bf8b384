"""Paths of files within a folder: none leads out of it, on any system."""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from ...errors import InvalidInput
from ..names import path_problem

MAX_PART = 255  # bytes of a path's component
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])\s*(\..*)?", re.IGNORECASE)
_UNSAFE = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]')


def problem(path: str) -> str | None:
    """Why a path cannot be that of a file in a folder, or None when it can."""
    if not path:
        return "is empty"
    found = path_problem(path)
    if found:
        return found
    if letter := _UNSAFE.search(path):
        return f"holds {letter[0]!r}"
    for part in path.split("/"):
        if len(part.encode()) > MAX_PART:
            return f"has a component of more than {MAX_PART} bytes"
        if _DEVICE.fullmatch(part):
            return f"has a component {part!r}, which is a device on some systems"
        if part.endswith((" ", ".")):
            return f"has a component {part!r}, whose last letter some systems drop"
    return None


def files_in(folder: Path, label: str) -> tuple[dict[str, Path], list[str]]:
    """The files of a folder by their paths, sorted, and the paths that were passed over.

    Those of folders in it are among them. Links to files count as files. A repository's `.git` is
    passed over. Raises InvalidInput for what is neither a file nor a folder, for links to folders,
    and for paths that cannot come back.
    """
    found: dict[str, Path] = {}
    passed: list[str] = []
    for path, entry in _walk(folder, ""):
        if path.rpartition("/")[2] == ".git":
            passed.append(path)
            continue
        wrong = problem(path)
        if wrong:
            raise InvalidInput(f"{label}: the path {path[:200]!r} {wrong}; rename it")
        if not stat.S_ISREG(entry.stat().st_mode):
            kind = "a link to a folder" if entry.is_dir() else "neither a file nor a folder"
            raise InvalidInput(f"{label}: {path} is {kind}; take it out of the folder")
        found[path] = entry
    return dict(sorted(found.items())), passed


def _walk(folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    """Paths within a folder, in no order; folders that are none of Git's are gone into."""
    with os.scandir(folder) as entries:
        for entry in entries:
            path = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=False) and entry.name != ".git":
                yield from _walk(Path(entry.path), f"{path}/")
            else:
                yield path, Path(entry.path)
