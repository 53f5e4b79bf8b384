"""Zstandard frames, with the checks of the specification that no library makes."""

import threading

import numpy as np
import zstandard

from ...errors import Corrupt

MAX_WINDOW, MAX_BLOCK = 1 << 27, 1 << 17


def compress(plane: bytes, level: int) -> bytes:
    """One frame that says how many bytes it holds."""
    compressor = zstandard.ZstdCompressor(level=level, write_checksum=False, write_content_size=True)
    return compressor.compress(plane)


class _Room(threading.local):
    """What a thread compresses samples with. To make it takes as long as to use it."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=1, write_checksum=False, write_content_size=True)


_room = _Room()


def least_size(sample: np.ndarray) -> int:
    """The bytes of the frame of a sample that takes the least time."""
    return len(_room.compressor.compress(sample.data))


def decompress(frame: bytes, length: int) -> bytes:
    """The content of one zstd frame.

    Raises Corrupt unless it follows spec/compressors/01-lossless.md.

    length: the bytes that the content must have.
    """
    try:
        frame_header = zstandard.get_frame_parameters(frame)
        if frame_header.content_size != length:
            raise Corrupt("lossless: a byte plane has the wrong length")
        if frame_header.has_checksum:
            raise Corrupt("lossless: a byte plane has a checksum of its own")
        if frame_header.window_size > MAX_WINDOW:  # zstd itself checks this only when it needs the window
            raise Corrupt("lossless: a byte plane has too large a window")
        _check_blocks(frame, zstandard.frame_header_size(frame), min(frame_header.window_size, MAX_BLOCK))
        return zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise Corrupt(f"lossless: {error}") from None


def _check_blocks(frame: bytes, at: int, most: int) -> None:
    """Raise Corrupt for a block of more than `most` bytes. The first block is at `at`.

    zstd itself checks only compressed blocks.
    """
    last = 0
    while not last:
        header = int.from_bytes(frame[at : at + 3], "little")
        last, repeated, size = header & 1, header >> 1 & 3 == 1, header >> 3
        if size > most:
            raise Corrupt("lossless: a block of a byte plane is too large")
        at += 3 + (1 if repeated else size)
        if at > len(frame):
            raise Corrupt("lossless: a byte plane ends within a block")
