"""Names of tensors in new files: they must be distinct, and must not lead out of the file."""

import re

from ..errors import InvalidInput

UNNAMED = "arr_0"  # what an array without a name (of a .npy file) is called, as numpy.savez does
MAX_NAME = 4096  # bytes in UTF-8
MAX_DEPTH = 100  # components


class Names:
    """The names given so far in one file; `add` refuses what is no plain relative path or collides.

    Components separated by "/" are groups, so a name cannot lie below another one.
    """

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._groups: dict[str, str] = {}  # each group and the first tensor in it

    def add(self, name: str) -> str:
        """The name to use in the file; raises InvalidInput, with both names when two collide."""
        name = name or UNNAMED
        problem = path_problem(name)
        if problem:
            raise InvalidInput(f"the tensor name {name[:80]!r} {problem}; rename it, or decode to another format")
        if name in self._names:
            raise InvalidInput(f"two tensors have the name {name!r}")
        self._enter(name)
        self._names.add(name)
        return name

    def _enter(self, name: str) -> None:
        if name in self._groups:
            raise InvalidInput(f"{self._groups[name]!r} would lie below {name!r}, which is a tensor itself")
        parts = name.split("/")
        groups = ["/".join(parts[:n]) for n in range(1, len(parts))]
        for group in groups:
            if group in self._names:
                raise InvalidInput(f"{name!r} would lie below {group!r}, which is a tensor itself")
        for group in groups:
            self._groups.setdefault(group, name)


class ArchiveNames:
    """The names of members given so far in one archive, whose names are keys rather than paths.

    unnamed: the key of an array without a name.
    """

    def __init__(self, unnamed: str) -> None:
        self._unnamed = unnamed
        self._names: set[str] = set()

    def add(self, key: str, suffix: str = ".npy") -> str:
        """The name of the member; raises InvalidInput when it collides or leads out of a folder."""
        name = (key or self._unnamed) + suffix
        problem = archive_problem(key or self._unnamed)
        if problem:
            raise InvalidInput(f"the tensor name {key[:80]!r} {problem}; rename it, or decode to another format")
        if name in self._names:
            raise InvalidInput(f"two tensors have the name {key or self._unnamed!r}")
        self._names.add(name)
        return name


def archive_problem(name: str) -> str | None:
    """Why a name cannot be that of a member of an archive, or None when it can."""
    if ".." in re.split(r"[/\\]", name):
        return 'has a component ".."'
    return _problem(name)


def path_problem(name: str) -> str | None:
    """Why a name cannot be a path inside a file, or None when it can."""
    problem = _problem(name)
    if problem:
        return problem
    parts = name.split("/")
    if name.startswith("/"):
        return "is an absolute path"
    if ".." in parts or "." in parts:
        return 'has a component "." or ".."'
    if "" in parts:
        return "has an empty component"
    if len(parts) > MAX_DEPTH:
        return f"has more than {MAX_DEPTH} components"
    return None


def _problem(name: str) -> str | None:
    """What is wrong with a name, whatever it names."""
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        return "is not valid Unicode"
    if "\0" in name:
        return "holds a NUL"
    return f"is longer than {MAX_NAME} bytes" if length > MAX_NAME else None
