"""`.npz` archives: a zip file with one `.npy` member an array, and whatever else lies in it.

What gcodec does not code, such as text, pickled objects or a README, is kept as the bytes of its
member. Pickles are never loaded (spec/interchange.md §4).
"""

from .members import DTYPES_MEMBER
from .reader import Reader
from .writer import Writer

__all__ = ["DTYPES_MEMBER", "Reader", "Writer"]
