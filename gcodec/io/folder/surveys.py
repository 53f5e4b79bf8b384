"""Which files of a folder hold tensors, and where."""

from collections.abc import Callable
from typing import BinaryIO

from ...errors import InvalidInput
from ..arrays.safetensors_header import DTYPES, parse_header
from ..places import Pay, Place, Survey, read_whole
from ..raw import raw_dtype
from ..sniff import MAX_SAFETENSORS_HEADER
from ..torch_file.survey import survey as survey_torch
from ..uncoded import Uncoded

HEADER_WORK, HEADER_BYTES = 100, 32  # nanoseconds and bytes that a byte of a JSON header takes, at most


def _safetensors(file: BinaryIO, size: int, what: str, pay: Pay) -> Survey:
    """Tensors of dtypes that gcodec does not know are kept."""
    length = int.from_bytes(read_whole(file, 0, 8), "little") if size >= 8 else size
    if length > min(size - 8, MAX_SAFETENSORS_HEADER):
        raise InvalidInput(
            f"{what}: the header's length {length} does not fit in {size} bytes; the file was cut: fetch it again"
        )
    pay(HEADER_WORK * length, HEADER_BYTES * length)
    entries = parse_header(read_whole(file, 8, length), size - 8 - length, what)
    found = Survey()
    for entry in entries:
        if entry.why_uncoded:
            found.keep(Uncoded(entry.name, entry.end - entry.begin, entry.why_uncoded))
        else:
            dtype = DTYPES[entry.code]
            stored = raw_dtype(dtype).newbyteorder("<")
            found.places.append(Place(entry.name, dtype, stored, entry.shape, 8 + length + entry.begin))
    return found


def _keras(file: BinaryIO, size: int, what: str, pay: Pay) -> Survey:
    from .keras import survey  # which needs h5py

    return survey(file, size, what, pay)


# What finds the places in an open file, by its format; it takes the size, the name for errors, and
# what pays.
SURVEYS: dict[str, Callable[[BinaryIO, int, str, Pay], Survey]] = {
    "safetensors": _safetensors,
    "pt": survey_torch,
    "keras": _keras,
}
