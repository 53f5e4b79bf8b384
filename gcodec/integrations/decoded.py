"""What this process decoded lately, so that it is not coded a second time with a loss.

A chunk that comes back as it was decoded, as in a copy, gets the container that it was decoded
from. What comes back in part is known by a few blocks:

HDF5 and zarr v2 decode a chunk, change a part of it and code all of it, and show a codec no more
than the whole chunk. A chunk that holds, at the same place, what was decoded before is such a one.
What a write to a box leaves behind has whole rows, or whole columns, of a chunk's last axis; so a
few blocks of each row and of each column are enough to know it again. Where the last axis is
shorter than a block, all of the chunk is cut into blocks, in the order of memory and along the axis
before each short one, and some short rows are blocks as well. Single values other than 0 show what
is left between the values that a mask replaced.
"""

import math
from collections import OrderedDict
from functools import lru_cache
from threading import Lock

import numpy as np

BLOCK, MOST = 16, 4  # values of a block, blocks of a row or a column
LINE = BLOCK * MOST  # values of a row, where the last axis is too short for blocks
ROWS = 1 << 12  # short rows of a chunk that are blocks of their own
SINGLE, SOME = 1 << 10, 3  # single values of a chunk, and how many of them tell that it was decoded
PLACES = 20  # bits
_TAGS = np.zeros(1 << PLACES, np.uint32)  # tags of the last blocks; a new one takes the place of an old one
_NOISE = np.zeros(1 << PLACES, np.float32)  # the mean squared error of the chunks that had them
_FACTORS = np.random.default_rng(BLOCK).integers(1, 1 << 63, BLOCK, np.uint64) * np.uint64(2) + np.uint64(1)
_MIXER = np.uint64(0x9E3779B97F4A7C15)
CAPACITY = 1 << 26  # bytes of containers that are kept
_SAMPLE = 64  # values that tell chunks apart; whoever asks compares all of them
Key = tuple[object, ...]


class Containers:
    """The containers of chunks that were decoded lately, by what tells these chunks apart."""

    def __init__(self) -> None:
        self._found: OrderedDict[Key, bytes] = OrderedDict()
        self._size, self._lock = 0, Lock()

    def get(self, key: Key) -> bytes | None:
        with self._lock:
            return self._found.get(key)

    def put(self, key: Key, container: bytes) -> None:
        """Keep a container in the place of the oldest ones, unless it is larger than all."""
        with self._lock:
            self._size += len(container) - len(self._found.pop(key, b""))
            self._found[key] = container
            while self._size > CAPACITY:
                self._size -= len(self._found.popitem(last=False)[1])

    def clear(self) -> None:
        with self._lock:
            self._found.clear()
            self._size = 0


_CONTAINERS = Containers()


def keep(values: np.ndarray, container: bytes) -> None:
    """Keep the container that these values are all of."""
    _CONTAINERS.put(_key(values), container)


def container_of(values: np.ndarray) -> bytes | None:
    """The container that such values were decoded from lately; it may be that of similar ones."""
    return _CONTAINERS.get(_key(values))


def _key(values: np.ndarray) -> Key:
    """Shape, dtype and a few values of a chunk: what differs between chunks."""
    native = values.dtype.newbyteorder("=")
    flat = values.reshape(-1) if values.flags.c_contiguous else values.flat
    sample = np.asarray(flat[:: max(values.size // _SAMPLE, 1)], native)
    return values.shape, native, sample.tobytes()


def remember(values: np.ndarray, noise: float) -> None:
    """Remember values that were decoded: about a million blocks, of all chunks together.

    noise: the mean squared error that they have. What was known before keeps its own, since exact
    chunks do not say how much their values had lost before.
    """
    blocks = _Blocks(values)
    is_known = blocks.known()
    _NOISE[blocks.places] = _NOISE[blocks.places[is_known]].max() if blocks.suffice(is_known) else noise
    _TAGS[blocks.places] = blocks.tags


def lost_before(values: np.ndarray) -> float | None:
    """The squared error of the decoded chunk of which values are left; None where none are seen.

    They are seen by a block that stands again at its place, bit for bit, or by some single values.
    About one of 2³¹ blocks is taken for another one.
    """
    blocks = _Blocks(values)
    is_known = blocks.known()
    if not blocks.suffice(is_known):
        return None
    return float(_NOISE[blocks.places[is_known]].max()) * values.size


def forget() -> None:
    """Remember nothing, so that what is coded from now on does not depend on what was decoded."""
    _TAGS[:] = _NOISE[:] = 0
    _CONTAINERS.clear()


class _Blocks:
    """Place and tag of each block of a chunk, and of its single values, which come after them."""

    def __init__(self, values: np.ndarray) -> None:
        words = np.ascontiguousarray(values).reshape(-1).view(f"u{min(values.dtype.itemsize, 8)}")
        self._minus = np.array([-0.0]).astype(values.dtype).view(words.dtype)[0]  # which counts as 0
        self._parts = [part for lines in _lines(words, values) for part in _cut(lines)] if values.size else []
        sums = [part.astype(np.uint64) @ _FACTORS[: part.shape[1]] for part in self._parts]
        self.count = sum(map(len, sums))
        where = _places(len(words)) if len(words) > 2 else np.zeros(0, np.int64)
        where = where[(words[where] != 0) & (words[where] != self._minus)]
        sums.append(words[where] * _FACTORS[0])
        at = np.concatenate([np.arange(self.count), where + len(words)]).astype(np.uint64)
        digests = (np.concatenate(sums) + at * _FACTORS[1]) * _MIXER
        self.places: np.ndarray = (digests >> np.uint64(64 - PLACES)).astype(np.intp)
        self.tags: np.ndarray = (digests >> np.uint64(8)).astype(np.uint32) | np.uint32(1)  # 0 stands for no block

    def known(self) -> np.ndarray:
        """Which of them were decoded lately.

        Blocks with fewer than two changes from a value to the next are not, such as those of a
        constant background and of its edges: unrelated chunks have them as well.
        """
        is_known, start = np.asarray(_TAGS[self.places] == self.tags), 0
        for part in self._parts:
            found = np.flatnonzero(is_known[start : start + len(part)])
            is_known[start + found] = _varies(part[found] * (part[found] != self._minus))
            start += len(part)
        return is_known

    def suffice(self, is_known: np.ndarray) -> bool:
        """Whether a block is known, or some single values are."""
        return bool(is_known[: self.count].any() or np.count_nonzero(is_known[self.count :]) >= SOME)


@lru_cache(64)
def _places(size: int) -> np.ndarray:
    """The places of single values, which are the same for all chunks of a size."""
    if size <= SINGLE:
        return np.arange(1, size - 1, dtype=np.int64)
    return np.random.default_rng(size).integers(1, size - 1, SINGLE)


def _varies(blocks: np.ndarray) -> np.ndarray:
    """Which blocks have at least two changes from a value to the next, or as many as they can."""
    changes = np.count_nonzero(blocks[:, 1:] != blocks[:, :-1], axis=1)
    varies: np.ndarray = (changes >= min(2, blocks.shape[1] - 1)) & (blocks != 0).any(axis=1)
    return varies


def _lines(words: np.ndarray, values: np.ndarray) -> list[np.ndarray]:
    """Matrices whose rows are the lines of values that have blocks; words: as whole numbers."""
    scale = len(words) // values.size  # words of a value
    length = values.shape[-1] if values.ndim else 0
    if length >= BLOCK and values.size >= MOST * length:
        matrix = words.reshape(-1, scale * length)
        return [matrix, matrix.T]
    columns = [part for width in _widths(values.shape) for part in _pieces(words.reshape(-1, scale * width).T)]
    rows = words.reshape(-1, scale * length) if 3 <= length < BLOCK else words[:0].reshape(0, 1)
    some = np.random.default_rng(BLOCK).integers(0, max(len(rows), 1), min(ROWS, len(rows)))
    return [*_pieces(words[None]), *columns, rows[some]]


def _widths(shape: tuple[int, ...]) -> list[int]:
    """How many values lie side by side before an index of a short axis comes again.

    A write to a part of that axis leaves such columns behind, where what lies within it is shorter
    than two blocks. The first axis has no columns, and those of a large chunk have MOST values.
    """
    sides = [n for n in shape if n > 1]
    inner = [math.prod(sides[axis:]) for axis in range(1, len(sides) + 1)]  # values within an index of each axis
    least = 1 if math.prod(shape) <= ROWS else MOST
    pairs = zip(inner, inner[1:], strict=False)
    return [width for width, within in pairs if within < 2 * BLOCK and math.prod(shape) >= least * width]


def _pieces(lines: np.ndarray) -> list[np.ndarray]:
    """All of some lines, each cut into pieces of LINE values, if it is as long as that."""
    length = lines.shape[1]
    if length <= LINE:
        return [lines]
    return [lines[:, : length // LINE * LINE].reshape(-1, LINE), lines[:, -LINE:]]


def _cut(lines: np.ndarray) -> list[np.ndarray]:
    """A few blocks of each row, as the rows of matrices."""
    length = min(BLOCK, lines.shape[1])
    starts = np.linspace(0, lines.shape[1] - length, MOST).astype(int)
    return [lines[:, at : at + length] for at in sorted(set(starts.tolist()))]
