"""HDF5 files as tensors: a skeleton, which is the file without its numbers, and each numeric dataset.

How the two fit together is written in spec/interchange.md §2. A file that a stranger made is never in the hands of the HDF5
library within this process:

    Reader, Writer ── Guarded ═ messages ═ child: Library ── HDF5      (the child has limits and can open no other file)
    Reader, Writer ── Library ── HDF5                                  (with trust, for one's own files)
"""

from .reader import Reader
from .writer import Writer

__all__ = ["Reader", "Writer"]
