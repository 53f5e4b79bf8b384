"""What Reader and Writer ask of one HDF5 file: of the library in this process, or of a child."""

from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from typing import IO, Any, Protocol

import numpy as np

from ...errors import GcodecError, InvalidInput
from .dataset import Dataset, Survey


class Access(Protocol):
    """One HDF5 file.

    Values are as they are stored. Only one call at a time; errors are those that `reporting` knows.
    """

    def survey(self) -> Survey:
        """Open an existing file and look what is in it."""
        ...

    def create(self) -> None:
        """Make a new file."""
        ...

    def read(self, about: Dataset, start: int, stop: int) -> np.ndarray[Any, Any]:
        """The values with flat C-order indices start…stop-1."""
        ...

    def add(self, about: Dataset) -> None:
        """Make a new contiguous dataset, and the groups of its name."""
        ...

    def chunk(self, about: Dataset, number: int) -> tuple[int, bytes]:
        """Mask and bytes of a chunk that is stored, as they are in the file."""
        ...

    def blank_value(self, about: Dataset) -> np.ndarray[Any, Any]:
        """The one value that all reads as which is not stored."""
        ...

    def put(self, about: Dataset, number: int, values: np.ndarray[Any, Any]) -> None:
        """Write a whole chunk, behind no filter."""
        ...

    def blank(self, datasets: Sequence[Dataset]) -> None:
        """Take the chunks of filtered datasets out, before any values are written.

        HDF5 then has the room of all of them for the new ones.
        """
        ...

    def begin(self, about: Dataset) -> np.ndarray[Any, Any] | None:
        """Get a dataset ready to be written.

        Where nothing is stored then: the one value that all of it reads as.
        """
        ...

    def write(self, about: Dataset, start: int, values: np.ndarray[Any, Any]) -> None:
        """Write values from flat index `start` on."""
        ...

    def fill(self, about: Dataset, stop: int, value: np.ndarray[Any, Any]) -> None:
        """Write one value at all flat indices below `stop`."""
        ...

    def end(self, about: Dataset) -> None:
        """Close a dataset that was written."""
        ...

    def stored(self, names: Set[str]) -> int:
        """The bytes that the chunks of datasets take in the file now."""
        ...

    def remove(self, names: Set[str]) -> None:
        """Take datasets out of the file, with every hard link that leads to them."""
        ...

    def close(self) -> None:
        """Complete the file and let go of it."""
        ...


@contextmanager
def reporting(what: object, error: type[GcodecError] = InvalidInput, remedy: str = "") -> Iterator[None]:
    """Errors of HDF5 as ours; those of the operating system (with an errno) pass."""
    try:
        yield
    except GcodecError:
        raise
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, OverflowError) as cause:
        if isinstance(cause, OSError) and cause.errno:
            raise
        why = " ".join(str(cause).split())
        raise error(f"{what}: HDF5 cannot read or write it: {why}{remedy and f'; {remedy}'}") from None


def access(file: IO[bytes], trust: bool) -> Access:
    """Access to an open file: through a child with limits, or with `trust` in this process."""
    if trust:
        from .library import Library

        return Library(file.fileno())
    from .process.guarded import Guarded

    return Guarded(file)
