"""A Keras archive as a container, and back (spec/interchange.md §7).

It is a zip archive of stored members, of which those of HDF5 have the weights.
"""

from pathlib import Path
from typing import BinaryIO

from ...container.spool import PIECE, temporary_file
from ...errors import InvalidInput
from ..hdf5.access import access, reporting
from ..hdf5.dataset import Dataset
from ..places import Pay, Place, Survey
from ..streams import read_at
from ..torch_file.zipped import Member, members
from ..uncoded import Uncoded
from . import single
from .reader import FilesReader

_WORK = 20  # nanoseconds that a byte of a member takes, which is copied and looked at
_REMEDY = "fetch or write it again, or unzip it, and encode its member model.weights.h5"


class Reader(FilesReader):
    """The weights of a Keras archive, and its frame. Raises InvalidInput."""

    def __init__(self, path: Path) -> None:
        super().__init__({"": path}, "keras")


class Writer(single.Writer):
    """Makes the archive again, with the weights at their places."""

    fmt, what = "keras", "a Keras archive"


def survey(file: BinaryIO, size: int, what: str, pay: Pay) -> Survey:
    """Where the weights are; datasets that are packed within the archive are kept."""
    try:
        found = members(file, size, pay)
    except InvalidInput as error:
        raise InvalidInput(f"{what}: is a Keras archive, but {error}; {_REMEDY}") from None
    weights = [member for member in found.values() if member.name.endswith(".h5")]
    if not weights:
        raise InvalidInput(
            f"{what}: is a Keras archive without a member of weights (.h5); save the model again, with its weights"
        )
    result = Survey()
    for member in weights:
        pay(_WORK * member.size, 0)
        prefix = f"{member.name}/" if len(weights) > 1 else ""
        places = _datasets(file, member, f"{what}: {member.name}")
        for about in places:
            if about.contiguous and about.coded is None:
                offset = member.offset + about.ranges[0][0]
                result.places.append(Place(prefix + about.name, about.dtype, about.stored, about.shape, offset))
            elif about.size:
                result.keep(Uncoded(prefix + about.name, about.nbytes, "a dataset in chunks"))
        result.checked.append((member.offset, member.size, member.crc_offsets))
    return result


def _datasets(file: BinaryIO, member: Member, what: str) -> list[Dataset]:
    """The datasets of a member, which is copied: HDF5 does not begin at any place of a file."""
    with temporary_file() as copy:
        for start in range(0, member.size, PIECE):
            piece = bytearray(min(PIECE, member.size - start))
            read_at(file, memoryview(piece), member.offset + start)
            copy.write(piece)
        copy.flush()
        with reporting(what, remedy="fetch the archive or write it again"):
            opened = access(copy, False)
            try:
                return list(opened.survey().datasets.values())
            finally:
                opened.close()
