"""Bit strings in front of coded symbols: the small fields of heads and chunks."""

import numpy as np

from ..errors import Corrupt
from ..kernels.entropy import bits as kernels


class BitWriter:
    """Appends fields, most significant bit first; `room`: how many bits it can hold."""

    def __init__(self, room: int) -> None:
        self.data = np.zeros(room // 8 + 16, np.uint8)
        self.at = 0

    def put(self, value: int, width: int) -> None:
        """The `width` (0…62) low bits of value ≥ 0."""
        self.at = kernels.put_bits(self.data, self.at, value, width)

    def rice(self, value: int, low: int) -> None:
        """A Rice code: value >> low zeros, a one, the `low` low bits."""
        self.at = kernels.put_rice(self.data, self.at, value, low)

    def to_bytes(self) -> bytes:
        """All bits, padded with zeros to whole bytes."""
        return self.data[: -(-self.at // 8)].tobytes()


class BitReader:
    """Takes fields off the front of `data`, and whole bytes after them; raises Corrupt, naming `what`."""

    def __init__(self, data: bytes, what: str) -> None:
        self.data = np.frombuffer(data, np.uint8)
        self.at = 0
        self.what = what

    def get(self, width: int) -> int:
        value = kernels.get_bits(self.data, self.at, width)
        self.advance(self.at + width)
        return int(value)

    def rice(self, low: int, most: int) -> int:
        value, at = kernels.get_rice(self.data, self.at, low, most)
        if value < 0:
            raise self.corrupt("a number is out of its range")
        self.at = at
        return int(value)

    def advance(self, at: int) -> None:
        """Move on to bit `at`."""
        if at > 8 * self.data.size:
            raise self.corrupt("ends within a field")
        self.at = at

    def align(self) -> None:
        """Move on to the next whole byte; the bits before it must be zeros."""
        if self.get(-self.at % 8):
            raise self.corrupt("padding that is not zero")

    def take(self, count: int) -> np.ndarray:
        """`count` whole bytes, from a whole byte on."""
        first = self.at // 8
        if count > self.data.size - first:
            raise self.corrupt("ends within the coded symbols")
        self.at += 8 * count
        return self.data[first : first + count]

    def rest(self) -> np.ndarray:
        """All bytes that are left."""
        return self.take(self.data.size - self.at // 8)

    def end(self) -> None:
        """Nothing may be left but padding."""
        self.align()
        if self.at != 8 * self.data.size:
            raise self.corrupt("bytes are left over")

    def corrupt(self, why: str) -> Corrupt:
        return Corrupt(f"{self.what}: {why}")
