"""The members of the zip archives that `torch.save` writes: stored side by side, without a gap in
what is said about them.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from ...errors import InvalidInput
from ..names import archive_problem
from ..places import Pay, read_whole

ENTRY_WORK, ENTRY_BYTES = 30_000, 1_000  # nanoseconds and bytes that a member takes
_END, _END64, _LOCATOR = struct.Struct("<4s4H2IH"), struct.Struct("<4s28xQQQ"), struct.Struct("<4sIQI")
_ENTRY, _LOCAL = struct.Struct("<4s4x2H4x3I3H8xI"), struct.Struct("<4s22xHH")
_FULL = 0xFFFFFFFF  # stands for a number that the zip64 field has


@dataclass(frozen=True)
class Member:
    """A member's data in the archive, and where its CRC-32 is written."""

    name: str
    start: int  # where its local header is
    offset: int
    size: int
    crc: int
    crc_offsets: tuple[int, ...]


def members(file: BinaryIO, size: int, pay: Pay) -> dict[str, Member]:
    """All members by name. Raises InvalidInput unless they are as torch.save writes them.

    They are then stored, not packed, and neither overlap nor lie beyond the directory. No name
    leads out of a folder, which would harm whoever unzips the archive that comes back. The message
    has no remedy, which the caller knows.
    """
    count, length, directory = _directory(file, size)
    if directory + length > size or count > length // _ENTRY.size:
        raise InvalidInput("its directory lies beyond its end; the file was cut")
    pay(ENTRY_WORK * count, ENTRY_BYTES * count)
    data = read_whole(file, directory, length)
    found = list(_entries(file, data, directory, count))
    by_name = {member.name: member for member in found}
    if len(by_name) != len(found):
        raise InvalidInput("two members have one name")
    for name in by_name:
        if wrong := archive_problem(name):
            raise InvalidInput(f"the name of the member {name!r:.100} {wrong}")
    end = 0
    for member in sorted(found, key=lambda member: member.start):
        if member.start < end:
            raise InvalidInput(f"the member {member.name!r:.100} overlaps the one before")
        end = max(member.offset + member.size, *(offset + 4 for offset in member.crc_offsets[:-1]))
    if end > directory:
        raise InvalidInput("its members reach into its directory")
    return by_name


def _directory(file: BinaryIO, size: int) -> tuple[int, int, int]:
    """Number of members, length and offset of the directory, from the end of the archive."""
    if size < _END.size:
        raise InvalidInput("it has no directory; the file was cut")
    sign, _, _, _, count, length, offset, comment = _END.unpack(read_whole(file, size - _END.size, _END.size))
    if sign != b"PK\x05\x06" or comment:
        raise InvalidInput("it does not end in a directory; the file was cut, or other data stand behind it")
    if _FULL not in (length, offset) and count != 0xFFFF:
        return count, length, offset
    at = size - _END.size - _LOCATOR.size
    sign, _, end64, _ = _LOCATOR.unpack(read_whole(file, at, _LOCATOR.size)) if at >= 0 else (b"", 0, 0, 0)
    if sign != b"PK\x06\x07" or end64 + _END64.size > size:
        raise InvalidInput("its long directory is not where it should be")
    sign, count, length, offset = _END64.unpack(read_whole(file, end64, _END64.size))
    if sign != b"PK\x06\x06":
        raise InvalidInput("its long directory is not where it should be")
    return count, length, offset


def _entries(file: BinaryIO, data: bytes, directory: int, count: int) -> Iterator[Member]:
    at = 0
    for _ in range(count):
        if at + _ENTRY.size > len(data):
            raise InvalidInput("its directory is cut")
        sign, flags, method, crc, packed, size, names, extras, comments, start = _ENTRY.unpack_from(data, at)
        behind = at + _ENTRY.size
        name = data[behind : behind + names].decode("utf-8", "replace")
        extra = data[behind + names : behind + names + extras]
        size, packed, start = _long(extra, [size, packed, start])
        if sign != b"PK\x01\x02" or flags & 0x41 or method or packed != size:
            raise InvalidInput(f"the member {name!r:.100} is packed or encrypted, which torch.save never does")
        yield _member(file, name, (start, size, crc, flags), (directory, at + 16))
        at = behind + names + extras + comments


def _member(file: BinaryIO, name: str, about: tuple[int, int, int, int], entry: tuple[int, int]) -> Member:
    """A member with the place of its data, which its local header gives.

    about: its start, size, CRC-32 and flags. entry: the directory's offset, and that of the CRC-32
    within it.
    """
    start, size, crc, flags = about
    directory, within = entry
    if start + _LOCAL.size > directory:
        raise InvalidInput(f"the member {name!r:.100} begins behind the directory")
    sign, names, extras = _LOCAL.unpack(read_whole(file, start, _LOCAL.size))
    offset = start + _LOCAL.size + names + extras
    if sign != b"PK\x03\x04" or offset + size > directory:
        raise InvalidInput(f"the member {name!r:.100} lies beyond the end of the file")
    crcs = [start + 14]
    if flags & 8:  # the CRC-32 stands behind the data
        if offset + size + 8 > directory or read_whole(file, offset + size, 4) != b"PK\x07\x08":
            raise InvalidInput(f"the member {name!r:.100} has no checksum behind it")
        crcs = [offset + size + 4]
    return Member(name, start, offset, size, crc, (*crcs, directory + within))


def _long(extra: bytes, numbers: list[int]) -> list[int]:
    """Size, packed size and start, of which those that are full stand in the zip64 field."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            field = iter(struct.unpack_from(f"<{min(length, len(extra) - at - 4) // 8}Q", extra, at + 4))
            return [next(field, number) if number == _FULL else number for number in numbers]
        at += 4 + length
    return numbers
