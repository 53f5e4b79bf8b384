"""A folder of files as one container, and back (spec/interchange.md §5)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...container.budget import Budget
from ...errors import Corrupt, InvalidInput
from ..names import Names
from .paths import files_in, problem
from .reader import FilesReader
from .writer import FilesWriter


class Reader(FilesReader):
    """The files of a folder, or those that are given by their paths in one.

    passed: what of the folder is left out. Raises InvalidInput.
    """

    def __init__(self, path: Path, files: Mapping[str, Path] | None = None) -> None:
        self.passed: list[str] = []
        if files is None:
            files, self.passed = files_in(path, str(path))
        try:
            super().__init__(files, "folder")
        except InvalidInput as error:
            raise InvalidInput(str(error) if str(path) in str(error) else f"{path}: {error}") from None


class Writer(FilesWriter):
    """Makes the files of a folder, which is there and empty. Their paths cannot lead out of it."""

    def __init__(self, path: Path, meta: dict[str, Any], budget: Budget | None = None) -> None:
        if not meta:
            raise InvalidInput("these tensors do not come from a folder; choose another format with --to")
        self._root = path
        self._names = Names()
        super().__init__(meta, budget)

    def target(self, path: str) -> Path:
        wrong = problem(path)
        if wrong:
            raise Corrupt(f"the path {path[:200]!r} of a file {wrong}")
        try:
            self._names.add(path)
        except InvalidInput as error:
            raise Corrupt(f"of the paths of files, {error}") from None
        target = self._root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        return target
