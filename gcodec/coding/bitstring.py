"""Bit strings: the small fields of heads and chunks, which come before coded symbols."""

import numpy as np

from ..errors import Corrupt
from ..kernels.entropy import bits as kernels


class BitWriter:
    """Appends fields, each with its most significant bit first. room: how many bits it can hold."""

    def __init__(self, room: int) -> None:
        self.data = np.zeros(room // 8 + 16, np.uint8)
        self.at = 0

    def put(self, value: int, width: int) -> None:
        """Append the `width` (0…62) low bits of value ≥ 0."""
        self.at = kernels.put_bits(self.data, self.at, value, width)

    def rice(self, value: int, low: int) -> None:
        """Append a Rice code: (value >> low) zeros, a one, and the `low` low bits of value."""
        self.at = kernels.put_rice(self.data, self.at, value, low)

    def to_bytes(self) -> bytes:
        """All bits, filled up with zeros to whole bytes."""
        return self.data[: -(-self.at // 8)].tobytes()


class BitReader:
    """Reads fields, and the whole bytes after them, from the front of `data`.

    what: the name of the data in errors. Every method raises Corrupt where the data is damaged.
    """

    def __init__(self, data: bytes | memoryview, what: str) -> None:
        self.data = np.frombuffer(data, np.uint8)
        self._bytes = self.data.data
        self.at = 0
        self.what = what

    def get(self, width: int) -> int:
        """A field of `width` bits."""
        first, end = self.at, self.at + width
        self.advance(end)
        # A kernel would take longer to call, and give up Python's lock for a moment.
        return int.from_bytes(self._bytes[first // 8 : -(-end // 8)], "big") >> -end % 8 & ((1 << width) - 1)

    def rice(self, low: int, most: int) -> int:
        """The value, at most `most`, of a Rice code with the parameter `low`."""
        value, at = kernels.get_rice(self.data, self.at, low, most)
        if value < 0:
            raise self.corrupt("a number is out of its range")
        self.at = at
        return int(value)

    def advance(self, at: int) -> None:
        """Move on to the bit with the number `at`."""
        if at > 8 * self.data.size:
            raise self.corrupt("ends within a field")
        self.at = at

    def align(self) -> None:
        """Move on to the next whole byte; the bits before it must be zeros."""
        if self.get(-self.at % 8):
            raise self.corrupt("the bits that fill up a byte are not zeros")

    def take(self, count: int) -> np.ndarray:
        """The next `count` bytes. The reader must stand at the start of a byte."""
        first = self.at // 8
        if count > self.data.size - first:
            raise self.corrupt("ends within the coded symbols")
        self.at += 8 * count
        return self.data[first : first + count]

    def rest(self) -> np.ndarray:
        """All bytes that are left."""
        return self.take(self.data.size - self.at // 8)

    def end(self) -> None:
        """Nothing may be left except the zeros that fill up the last byte."""
        self.align()
        if self.at != 8 * self.data.size:
            raise self.corrupt("bytes are left over")

    def corrupt(self, why: str) -> Corrupt:
        """The error, to be raised, that says what is wrong with the data."""
        return Corrupt(f"{self.what}: {why}")
