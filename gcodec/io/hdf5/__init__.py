"""HDF5 files as tensors: the skeleton, which is all but the numbers, and each numeric dataset.

How the two fit together is written in spec/interchange.md §2. A file that a stranger made is never
in the hands of the HDF5 library within this process:

    Reader, Writer ── Guarded ═ messages ═ Library ── HDF5    (in a child, which has limits)
    Reader, Writer ── Library ── HDF5                         (with trust, for one's own files)
"""

from .reader import Reader
from .writer import Writer

__all__ = ["Reader", "Writer"]
