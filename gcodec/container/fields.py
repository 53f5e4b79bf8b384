"""The primitive fields of the format (spec/format.md §1)."""

import struct

from ..errors import Corrupt

try:
    from isal.isal_zlib import crc32  # several times as fast
except ImportError:  # isal is not made for all processors
    from zlib import crc32

__all__ = ["Cursor", "crc32", "pack_text", "pack_varint"]


def pack_varint(value: int) -> bytes:
    """An integer 0 ≤ value < 2⁶⁴ in groups of 7 bits, least significant first."""
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def pack_text(text: str) -> bytes:
    data = text.encode()
    return pack_varint(len(data)) + data


class Cursor:
    """Takes fields off the front of `data`.

    What cannot be a field raises Corrupt, which names `what`.
    """

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._at = 0
        self._what = what

    def take(self, n: int) -> bytes:
        if n > len(self._data) - self._at:
            raise Corrupt(f"{self._what}: a field of {n} bytes reaches beyond the end")
        self._at += n
        return self._data[self._at - n : self._at]

    @property
    def left(self) -> int:
        """How many bytes are left."""
        return len(self._data) - self._at

    def u8(self) -> int:
        return self.take(1)[0]

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "little")

    def f64(self) -> float:
        return float(struct.unpack("<d", self.take(8))[0])

    def varint(self, most: int = 2**64 - 1) -> int:
        """A varint of at most `most`."""
        if self._at < len(self._data) and self._data[self._at] < min(0x80, most + 1):  # most are a single byte
            self._at += 1
            return self._data[self._at - 1]
        value = 0
        for shift in range(0, 70, 7):
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if (byte == 0 and shift > 0) or value > most:
                    break
                return value
        raise Corrupt(f"{self._what}: a number is longer than it needs to be or above its limit {most}")

    def text(self, most: int) -> str:
        data = self.take(self.varint(most))
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise Corrupt(f"{self._what}: a text is not valid UTF-8") from None

    def end(self) -> None:
        """Raise Corrupt when bytes are left."""
        if self._at != len(self._data):
            raise Corrupt(f"{self._what}: {len(self._data) - self._at} bytes left over")
