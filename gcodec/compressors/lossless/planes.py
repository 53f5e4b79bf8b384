"""One byte plane: the coding that suits it, and back. See spec/compressors/01-lossless.md.

Most planes are noise. Most of the others, the exponents, follow one distribution without memory: a
static entropy code makes them smaller than Zstandard does, and in a fraction of the time. Planes of
few values, or of more values than that code lists, are numbers (tuples.py). Zstandard is for planes
that repeat themselves.
"""

import numpy as np

from ...coding.bitstring import BitReader
from ...coding.rans import decode_numbers, encode_numbers, used
from ...errors import Corrupt
from ...kernels import planes as kernels
from ...kernels.entropy.vectors import BYTES, translate
from . import frames, tuples

Parts = list[bytes | memoryview]
RAW, ZSTANDARD, SYMBOLS, TUPLES = range(4)
CONTEXTS, PACKED = 4, 8  # codings of indices alone (indices.py); PACKED + b has b < 8 bits for each
ESCAPE = 31  # the symbol of all bytes that are not listed
_LEVEL, LEVEL_OF_MAPS = 9, 17  # Zstandard's; the latter finds what repeats itself far apart
_SMALL = 1 << 16  # planes up to this many bytes are tried with every coding
_PIECES, _PIECE = 4, 1 << 14  # a longer plane is judged by so many pieces of so many bytes
_WORDS = 1 << 10  # how many words of 64 bytes are looked at
_REPEATED = 0.98  # with a smaller share of different words, the plane is taken to repeat itself
_MIX = np.arange(1, 16, 2, dtype=np.uint64) * np.uint64(0x9E37_79B9_7F4A_7C15)  # weights of a word's parts
_LONG = 64  # bytes; numbers save nothing worth their time in a shorter plane
_FEW = 0.3  # planes with a smaller entropy, as a share of their bytes, may have few values
_SHORT = 16  # bytes; no frame is shorter
_PLAIN = 0.02  # planes that need a smaller share of their bytes are left to Zstandard
_MUCH = 0.95  # numbers take two symbols for each byte of many values, and are worth that below this share
_WORTH = 0.985  # a coding is worth its time below this share of another's bytes


def encode_plane(plane: np.ndarray, few: bool = False, level: int = _LEVEL) -> Parts:
    """The shortest coding of a uint8 plane, of those that may suit it, as parts to be joined.

    A part may be the plane itself, which must stay as it is until then.

    few: whether its bytes are the indices of few values, which are worth more time. level: that of
    Zstandard.
    """
    sample = _sample(plane)
    best: Parts = [bytes([RAW]), plane.data]
    entropy, by_symbols = _estimates(sample)
    if _PLAIN < by_symbols < _WORTH:
        best = min(best, _with_length(SYMBOLS, _pack_symbols(plane)), key=_size)
    if plane.size >= _LONG and entropy < max(_FEW, (_WORTH if few else _MUCH) * min(by_symbols, 1.0)):
        length, bits = tuples.plan(sample, plane.size)
        if bits < 8 * _WORTH * _size(best):
            best = min(best, _with_length(TUPLES, tuples.pack(plane, length)), key=_size)
    if _size(best) > _SHORT and _may_repeat(plane, sample, _size(best)):
        best = min(best, _with_length(ZSTANDARD, frames.compress(plane.tobytes(), level)), key=_size)
    return best


def decode_plane(data: bytes, at: int, plane: np.ndarray) -> int:
    """Fill the uint8 plane from the coding that begins at `at`, and say where it ends.

    Raises Corrupt.
    """
    start, stop = extent(data, at, plane.size)
    coding = data[at]
    if coding == RAW:
        plane[:] = np.frombuffer(data, np.uint8, plane.size, start)
    elif coding == ZSTANDARD:
        plane[:] = np.frombuffer(frames.decompress(data[start:stop], plane.size), np.uint8)
    elif coding == SYMBOLS:
        _unpack_symbols(memoryview(data)[start:stop], plane)
    elif coding == TUPLES:
        tuples.unpack(data[start:stop], plane)
    else:
        raise Corrupt(f"lossless: coding {coding} of a byte plane is unknown")
    return stop


def extent(data: bytes, at: int, size: int) -> tuple[int, int]:
    """Where the content of a plane of so many bytes begins and ends, whose coding stands at `at`.

    Raises Corrupt.
    """
    coding = data[at] if at < len(data) else RAW
    bits = 8 if coding == RAW else coding - PACKED
    fixed = coding == RAW or 0 < bits < 8
    start = at + 1 if fixed else at + 5
    stop = start + (-(-bits * size // 8) if fixed else int.from_bytes(data[at + 1 : start], "little"))
    if stop > len(data) or start > len(data):
        raise Corrupt("lossless: a byte plane is cut short")
    return start, stop


def _with_length(coding: int, content: bytes) -> Parts:
    return [bytes([coding]) + len(content).to_bytes(4, "little"), content]


def _size(parts: Parts) -> int:
    return sum(map(len, parts))


def _sample(plane: np.ndarray) -> np.ndarray:
    """Pieces spread evenly over a long plane; all of a small one."""
    if plane.size <= _SMALL:
        return plane
    firsts = np.linspace(0, plane.size - _PIECE, _PIECES).astype(np.int64)
    return np.concatenate([plane[first : first + _PIECE] for first in firsts])


def _counts(plane: np.ndarray) -> np.ndarray:
    """How often each of the 256 bytes occurs, int64."""
    table = np.zeros((4, 256), np.int64)
    kernels.histogram(plane, table)
    counts: np.ndarray = table.sum(0)
    return counts


def _listed(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(values to list, ascending; how often each symbol occurs, that of all other values too)."""
    listed = np.sort(np.argsort(-counts, kind="stable")[: min(ESCAPE, np.count_nonzero(counts))])
    histogram = np.zeros(ESCAPE + 1, np.int64)
    histogram[: listed.size] = counts[listed]
    histogram[ESCAPE] = counts.sum() - histogram.sum()
    return listed, histogram


def _estimates(sample: np.ndarray) -> tuple[float, float]:
    """The entropy of a plane, and what it takes as symbols, as shares of its bytes."""
    counts = _counts(sample)
    _, histogram = _listed(counts)
    return _entropy(counts), _entropy(histogram) + float(histogram[ESCAPE]) / max(sample.size, 1)


def _entropy(counts: np.ndarray) -> float:
    """The bytes that an ideal code without memory takes for each of what is counted."""
    met = counts[counts > 0]
    total = max(int(met.sum()), 1)
    return float((met * np.log2(total / met)).sum()) / (8 * total)


def _pack_symbols(plane: np.ndarray) -> bytes:
    """The values that are listed, the coded symbols, and the bytes that are not listed."""
    listed, histogram = _listed(_counts(plane))
    symbol_of = np.full(BYTES, ESCAPE, np.uint8)
    symbol_of[listed] = np.arange(listed.size)
    symbols = np.empty(plane.size, np.uint8)
    translate(plane, symbol_of, symbols)
    apart = np.empty(histogram[ESCAPE], np.uint8)
    if apart.size:
        kernels.take_out(plane, symbols, ESCAPE, apart)
    return bytes([listed.size, *listed.tolist()]) + encode_numbers(symbols, histogram) + apart.tobytes()


def _unpack_symbols(data: memoryview, plane: np.ndarray) -> None:
    count = data[0] if data else 0
    listed = np.frombuffer(data[1 : 1 + count], np.uint8)
    if not 0 < count <= ESCAPE or listed.size != count or (np.diff(listed.astype(np.int16)) <= 0).any():
        raise Corrupt("lossless: the values listed for a byte plane are not 1 to 31 ascending bytes")
    value_of = np.zeros(BYTES, np.uint8)
    value_of[:count] = listed
    reader = BitReader(data[1 + count :], "lossless: symbols of a byte plane")
    symbols = decode_numbers(reader, plane.size)
    met = used(symbols)
    if ((met >= count) & (met < ESCAPE)).any():
        raise Corrupt("lossless: a byte plane has a symbol without a value")
    translate(symbols, value_of, plane)
    apart = reader.rest()
    needed = kernels.put_in(apart, symbols, ESCAPE, plane) if met[-1:] == ESCAPE else 0
    if needed != apart.size:
        raise Corrupt("lossless: a byte plane has more or fewer bytes apart than it needs")


def _may_repeat(plane: np.ndarray, sample: np.ndarray, size: int) -> bool:
    """Whether Zstandard is likely to need less than `size` bytes.

    The pieces of the sample tell of repetitions near each other, equal words of those far apart.
    """
    if sample.size == plane.size:
        return True
    if frames.least_size(sample) < _WORTH * sample.size * size / plane.size:
        return True
    words = plane[: plane.size // 64 * 64].view(np.uint64).reshape(-1, 8)[:: plane.size // (64 * _WORDS)]
    marks = np.sort(words @ _MIX)
    return bool(1 + np.count_nonzero(marks[1:] != marks[:-1]) < _REPEATED * marks.size)
