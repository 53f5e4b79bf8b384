"""A file of `torch.save` as a container, and back (spec/interchange.md §6)."""

from pathlib import Path
from typing import Any

from ...container.budget import Budget
from ...errors import Corrupt, InvalidInput
from .reader import FilesReader
from .writer import FilesWriter


class Reader(FilesReader):
    """The tensors of a file of torch.save, and its frame. Raises InvalidInput."""

    def __init__(self, path: Path) -> None:
        super().__init__({"": path}, "pt")


class Writer(FilesWriter):
    """Makes the file of torch.save again, with the tensors' values at their places.

    Raises Corrupt when the file is not whole.
    """

    fmt, what = "pt", "one of torch.save"

    def __init__(self, path: Path, meta: dict[str, Any], budget: Budget | None = None) -> None:
        if not meta:
            raise InvalidInput(f"these tensors do not come from a {self.fmt} file; choose another format with --to")
        self._path = path
        super().__init__(meta, budget)
        if self.formats != {"": self.fmt}:  # else nobody would look at the pickle
            raise Corrupt(f"the metadata do not say that the file is {self.what}")

    def __exit__(self, kind: object, *_: object) -> None:
        super().__exit__(kind)
        if kind is None and self.files_left_out:
            raise Corrupt("the frame of the file or a tensor is lost; decode to safetensors what is whole")

    def discard(self, place: Path) -> None:
        """Leave it: whoever opened it takes it away, on the error that follows."""

    def target(self, path: str) -> Path:
        if path:
            raise Corrupt(f"the record of the file {path[:200]!r} does not belong to a single file")
        return self._path
