"""HDF5 files changed on purpose, with the checksums of their newer structures mended."""

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass

import numba
import numpy as np

SIGNATURES = (
    b"OHDR", b"OCHK", b"BTHD", b"BTIN", b"BTLF", b"FRHP", b"FHIB", b"FHDB", b"FSHD", b"FSSE", b"EAHD", b"EAIB",
    b"EASB", b"EADB", b"FAHD", b"FADB", b"SMTB", b"SMLI", b"\x89HDF",
)  # fmt: skip
LONGEST = 1 << 13  # bytes of a structure that has a checksum
NUMBERS = (0, 1, 2, 7, 8, 255, 1 << 16, 1 << 26, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 48, 1 << 63, (1 << 64) - 1)


@numba.njit
def _rotated(x, k):
    return ((x << k) | (x >> (32 - k))) & 0xFFFFFFFF


@numba.njit
def lookup3(data):
    """Bob Jenkins' hash of some bytes, the checksum of HDF5."""
    mask = 0xFFFFFFFF
    a = b = c = (0xDEADBEEF + len(data)) & mask
    words = np.zeros(3, np.int64)
    at = 0
    while True:
        words[:] = 0
        count = min(12, len(data) - at)
        for i in range(count):
            words[i >> 2] |= np.int64(data[at + i]) << (8 * (i & 3))
        if count == 0 and at == 0:
            return c
        a, b, c = (a + words[0]) & mask, (b + words[1]) & mask, (c + words[2]) & mask
        at += 12
        if at >= len(data):
            break
        a = ((a - c) & mask) ^ _rotated(c, 4)
        c = (c + b) & mask
        b = ((b - a) & mask) ^ _rotated(a, 6)
        a = (a + c) & mask
        c = ((c - b) & mask) ^ _rotated(b, 8)
        b = (b + a) & mask
        a = ((a - c) & mask) ^ _rotated(c, 16)
        c = (c + b) & mask
        b = ((b - a) & mask) ^ _rotated(a, 19)
        a = (a + c) & mask
        c = ((c - b) & mask) ^ _rotated(b, 4)
        b = (b + a) & mask
    c = ((c ^ b) - _rotated(b, 14)) & mask
    a = ((a ^ c) - _rotated(c, 11)) & mask
    b = ((b ^ a) - _rotated(a, 25)) & mask
    c = ((c ^ b) - _rotated(b, 16)) & mask
    a = ((a ^ c) - _rotated(c, 4)) & mask
    b = ((b ^ a) - _rotated(a, 14)) & mask
    return ((c ^ b) - _rotated(b, 24)) & mask


@numba.njit
def _checksum_at(data, start, stop):
    """The first place after `start` where the checksum of the bytes before it stands, or -1."""
    for at in range(start + 8, stop - 3):
        stored = data[at] | data[at + 1] << 8 | data[at + 2] << 16 | np.int64(data[at + 3]) << 24
        if lookup3(data[start:at]) == stored:
            return at
    return -1


@dataclass(frozen=True)
class Seed:
    """An HDF5 file, and where its structures with a checksum and its other metadata are."""

    name: str
    data: bytes
    checked: tuple[tuple[int, int], ...]
    places: tuple[tuple[int, int], ...]  # (start, stop) of what changes are made in

    @classmethod
    def of(cls, name: str, data: bytes, holes: tuple[tuple[int, int], ...] = ()) -> "Seed":
        """holes: (offset, length) of values, in which nothing is changed."""
        array, checked = np.frombuffer(data, np.uint8), []
        for signature in SIGNATURES:
            start = data.find(signature)
            while start >= 0:
                end = _checksum_at(array, start, min(len(data), start + LONGEST))
                if end >= 0:
                    checked.append((start, end))
                start = data.find(signature, start + 4)
        starts = [0, *(offset + length for offset, length in holes)]
        stops = [*(offset for offset, _ in holes), len(data)]
        return cls(name, data, tuple(sorted(checked)), tuple(zip(starts, stops, strict=True)))

    def mended(self, data: bytearray) -> bytes:
        """Changed bytes of the same length with every checksum made good."""
        for start, end in self.checked:
            struct.pack_into("<I", data, end, lookup3(np.frombuffer(bytes(data[start:end]), np.uint8)))
        return bytes(data)

    def with_number(self, old: int, new: int) -> bytes:
        """Every aligned or unaligned 8-byte number `old` in a checked structure made `new`."""
        data = bytearray(self.data)
        for start, end in self.checked:
            at = data.find(struct.pack("<Q", old), start, end)
            while at >= 0:
                struct.pack_into("<Q", data, at, new)
                at = data.find(struct.pack("<Q", old), at + 8, end)
        return self.mended(data)

    def damaged(self, rng: random.Random) -> bytes:
        """A few changes in the metadata."""
        data = bytearray(self.data)
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            rng.choice(CHANGES)(rng, data, self._place(rng))
        if rng.random() < 0.03:
            return bytes(data[: rng.randrange(len(data))])
        return self.mended(data) if rng.random() < 0.95 else bytes(data)

    def _place(self, rng: random.Random) -> int:
        """Within a structure with a checksum, or anywhere in the metadata."""
        among = self.checked if self.checked and rng.random() < 0.7 else self.places
        start, stop = rng.choices(among, [max(stop - start, 1) for start, stop in among])[0]
        return min(rng.randrange(start, max(stop, start + 1)), len(self.data) - 1)


def _bit(rng: random.Random, data: bytearray, at: int) -> None:
    data[at] ^= 1 << rng.randrange(8)


def _byte(rng: random.Random, data: bytearray, at: int) -> None:
    data[at] = rng.choice((0, 1, 2, 3, 255, rng.randrange(256)))


def _number(rng: random.Random, data: bytearray, at: int) -> None:
    width = rng.choice((1, 2, 4, 8))
    new = (rng.choice(NUMBERS) % (1 << 8 * width)).to_bytes(width, "little")
    data[at : at + width] = new[: len(data) - at]


def _address(rng: random.Random, data: bytearray, at: int) -> None:
    """Eight bytes that lead somewhere in the file, or just beyond."""
    new = rng.choice((rng.randrange(len(data) + 64), data.find(rng.choice(SIGNATURES)), at)) % (1 << 64)
    data[at : at + 8] = new.to_bytes(8, "little")[: len(data) - at]


def _copied(rng: random.Random, data: bytearray, at: int) -> None:
    """Bytes from another place in the file."""
    width, other = rng.choice((2, 8, 24)), rng.randrange(len(data))
    width = min(width, len(data) - at, len(data) - other)
    data[at : at + width] = data[other : other + width]


CHANGES: tuple[Callable[[random.Random, bytearray, int], None], ...] = (
    _bit, _bit, _byte, _byte, _number, _number, _number, _address, _address, _copied,
)  # fmt: skip
