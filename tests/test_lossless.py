"""`lossless` takes real frames of zstd of any level, and refuses blocks that are too large."""

import numpy as np
import pytest
from reference_files import reference

import gcodec
from gcodec.compressors.lossless.frames import decompress
from gcodec.errors import Corrupt

zstandard = pytest.importorskip("zstandard")

SIZE = 300_000  # three blocks
MOST = 1 << 17  # bytes of a block
RNG = np.random.default_rng(3)
PERIOD_36 = np.repeat([0, 1, 1, 0, 1, 0, 1, 0, 0, 1, 0, 1], 3)  # thousands of sequences that take no bits
CONTENTS = {
    "zeros": np.zeros(SIZE),
    "period 36": np.resize(PERIOD_36, SIZE),
    "runs of five": np.arange(SIZE) // 5 % 2,
    "runs": np.arange(SIZE) // 700,
    "alternating": np.arange(SIZE) % 2,
    "rare breaks": RNG.random(SIZE) < 1e-3,
    "frequent breaks": RNG.random(SIZE) < 0.1,
    "words of three": RNG.integers(0, 256, (2000, 3))[RNG.integers(0, 2000, SIZE // 3)].ravel(),
    "skewed": RNG.geometric(0.2, SIZE),
    "noise": RNG.integers(0, 256, SIZE),
    "one value": np.zeros(1),
}


@pytest.mark.parametrize("level", [-7, -1, *range(1, 23)])
def test_real_frames_are_taken(level):
    for values in CONTENTS.values():
        content = values.astype(np.uint8).tobytes()
        assert decompress(zstandard.ZstdCompressor(level=level).compress(content), len(content)) == content


@pytest.mark.parametrize("window", range(10, 19))
def test_real_frames_of_small_windows_are_taken(window):
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=window)
    for values in CONTENTS.values():
        content = values.astype(np.uint8).tobytes()
        frame = zstandard.ZstdCompressor(compression_params=parameters).compress(content)
        assert decompress(frame, len(content)) == content


@pytest.mark.parametrize("dtype", ["uint8", "float32", "complex128"])
@pytest.mark.parametrize("content", CONTENTS)
def test_what_gcodec_writes_is_taken(content, dtype):
    x = CONTENTS[content].astype(dtype)
    assert gcodec.decode(gcodec.encode(x, lossless=True)).tobytes() == x.tobytes()


def frame(content: int, *blocks: tuple[int, int, bytes], window: int | None = None) -> bytes:
    """Blocks of a type and a size in one frame.

    window: a byte that describes the window, if it is not the content.
    """
    flags = b"\xa0" if window is None else bytes([0x80, window])
    out = b"\x28\xb5\x2f\xfd" + flags + content.to_bytes(4, "little")
    for i, (kind, size, data) in enumerate(blocks):
        out += (size << 3 | kind << 1 | (i == len(blocks) - 1)).to_bytes(3, "little") + data
    return out


def judged(data: bytes, size: int) -> list[bytes | None]:
    """By gcodec and by the reference, None for a corrupt frame."""
    out: list[bytes | None] = []
    for decode in (decompress, lambda data, size: bytes(reference.Zstandard(data, size).content)):
        try:
            out.append(decode(data, size))
        except (Corrupt, reference.FormatError):
            out.append(None)
    return out


@pytest.mark.parametrize("kind", ["raw", "repeated"])
@pytest.mark.parametrize(("window", "most"), [(None, MOST), (0, 1 << 10), (1, (1 << 10) + 128), (80, MOST)])
def test_blocks_have_a_largest_size(kind, window, most):
    for size, taken in ((most, True), (most + 1, False)):
        block = (0, size, bytes(size)) if kind == "raw" else (1, size, b"\0")
        data = frame(size + 5, block, (0, 5, bytes(5)), window=window)
        assert judged(data, size + 5) == [bytes(size + 5) if taken else None] * 2


def test_blocks_that_are_cut():
    whole = frame(9, (0, 4, bytes(4)), (1, 5, b"\0"))
    assert judged(whole, 9) == [bytes(9)] * 2
    for cut in range(len(whole)):
        assert judged(whole[:cut], 9) == [None] * 2
    assert judged(whole + b"\0", 9) == [None] * 2


def test_a_compressed_block_above_the_largest_size_is_the_decoders_choice():
    """One literal and one match of 131074: no size in a header is too large."""
    match = bytes([1 << 3 | 1, 0, 1, 0x54, 1, 0, 52]) + (1 << 16 | 0xFFFF).to_bytes(3, "little")
    by_gcodec, by_reference = judged(frame(MOST + 3, (2, len(match), match)), MOST + 3)
    assert by_gcodec in (None, bytes(MOST + 3)) and by_reference is None
