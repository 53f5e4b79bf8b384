"""Levels: the multiples of a step that a trellis allows, as bytes and as values again.

All methods with a step send their values as levels. See spec/levels.md.
"""

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from ... import dtypes
from ...coding.bitstring import BitReader, BitWriter
from ...coding.rans import count_codes, decode_lanes, encode_lanes, used
from ...kernels.entropy import rans
from ...kernels.entropy import tokens as kernels
from ...kernels.entropy.tokens import BIG, MAX_CLASSES, SPARE_WORDS
from ...kernels.entropy.vectors import ENTRIES, look_up
from ...kernels.levels import level_tables, values
from ...kernels.levels.paths import TRELLISES
from ...kernels.levels.trellis import CENTROIDS

STATES = tuple(TRELLISES)  # numbers of states of trellises, by their code in a head
OFFSETS_PER_STEP = 128  # centroid offsets are multiples of 1/128 of a step
_MANTISSA_BITS, _EXPONENT_BITS, _BIAS = 12, 12, 2048  # fields of a step
_LARGEST_EXPONENT, _NORMAL = 1100, 1000
_FINITE = {np.dtype(work): float(np.finfo(work).max) for work in (np.float32, np.float64)}
_TRELLIS_BITS = 2


@dataclass(frozen=True)
class Step:
    """A float with 12 bits of mantissa: (1 + mantissa/2¹²)·2^exponent."""

    mantissa: int
    exponent: int

    @classmethod
    def below(cls, value: float) -> "Step":
        """The largest step that is not above a positive value."""
        fraction, exponent = math.frexp(value)
        return cls(int(math.ldexp(fraction, _MANTISSA_BITS + 1)) - (1 << _MANTISSA_BITS), exponent - 1)

    def times(self, exponent: int) -> "Step":
        """This step times 2^exponent."""
        return Step(self.mantissa, self.exponent + exponent)

    def __float__(self) -> float:
        return math.ldexp((1 << _MANTISSA_BITS) + self.mantissa, self.exponent - _MANTISSA_BITS)

    @cached_property
    def factors(self) -> np.ndarray:
        """Two normal float64 numbers whose product is the step."""
        if abs(self.exponent) <= _NORMAL:
            return np.array([float(self), 1.0])
        near = min(max(self.exponent, -_NORMAL), _NORMAL)
        return np.array([float(Step(self.mantissa, near)), math.ldexp(1.0, self.exponent - near)])

    def pack(self, writer: BitWriter) -> None:
        writer.put(self.mantissa, _MANTISSA_BITS)
        writer.put(self.exponent + _BIAS, _EXPONENT_BITS)

    @classmethod
    def unpack(cls, reader: BitReader) -> "Step":
        step = cls(reader.get(_MANTISSA_BITS), reader.get(_EXPONENT_BITS) - _BIAS)
        if abs(step.exponent) > _LARGEST_EXPONENT:
            raise reader.corrupt(f"a step of about 2^{step.exponent} is out of range")
        return step


@dataclass(frozen=True)
class Labels:
    """Which levels there are.

    states: of the trellis; with 1 all levels are even. zero: whether the odd book has a zero.
    """

    states: int
    zero: bool = False

    @property
    def books(self) -> int:
        return 1 if self.states == 1 else level_tables.BOOKS

    @property
    def jumps(self) -> tuple[int, int]:
        return TRELLISES[self.states][1:]

    def pack(self, writer: BitWriter) -> None:
        writer.put(STATES.index(self.states), _TRELLIS_BITS)
        if self.states > 1:
            writer.put(int(self.zero), 1)

    @classmethod
    def unpack(cls, reader: BitReader) -> "Labels":
        trellis = reader.get(_TRELLIS_BITS)
        if trellis >= len(STATES):
            raise reader.corrupt(f"trellis {trellis} is unknown")
        return cls(STATES[trellis], bool(reader.get(1)) if trellis else False)


@dataclass(frozen=True)
class Points:
    """Where levels are reconstructed.

    offsets: the centroid offsets of the levels ±1 … ±4, in 1/128 of the step, away from zero.
    """

    labels: Labels
    step: Step
    offsets: tuple[int, ...] = (0,) * CENTROIDS

    def pack(self, writer: BitWriter) -> None:
        self.labels.pack(writer)
        self.step.pack(writer)
        self.pack_offsets(writer)

    def pack_offsets(self, writer: BitWriter) -> None:
        writer.put(int(any(self.offsets)), 1)
        for offset in self.offsets[_first(self.labels) :: self._stride] if any(self.offsets) else ():
            writer.put(offset & 0xFF, 8)

    @property
    def _stride(self) -> int:
        return CENTROIDS // _count(self.labels)

    @classmethod
    def unpack(cls, reader: BitReader) -> "Points":
        labels = Labels.unpack(reader)
        return cls(labels, Step.unpack(reader), cls.unpack_offsets(reader, labels))

    @classmethod
    def unpack_offsets(cls, reader: BitReader, labels: Labels) -> tuple[int, ...]:
        offsets = [0] * CENTROIDS
        if reader.get(1):
            for level in range(_first(labels), CENTROIDS, CENTROIDS // _count(labels)):
                offsets[level] = (reader.get(8) ^ 0x80) - 0x80
        return tuple(offsets)

    @property
    def in_steps(self) -> np.ndarray:
        """The centroid offsets, float64 and in steps, of levels 0 … 4 and of all larger levels."""
        return _in_steps(self.offsets)

    def table(self, work: np.dtype) -> np.ndarray:
        """The values by code, in the work dtype, of the codes that have no raw bits."""
        by_code = np.empty(ENTRIES, work)
        values.fill_values(self.labels.zero, *self.constants(work), by_code)
        return by_code

    def decoded(self, codes: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """The values of codes that have no raw bits, rounded to this dtype."""
        words = np.dtype(f"u{dtype.itemsize}")
        by_code, out = dtypes.narrow(self.table(dtypes.work_dtype(dtype)), dtype), np.empty(codes.size, words)
        look_up(codes, by_code.view(words), out)
        return out.view(dtype)

    def values(self, numbers: np.ndarray, books: np.ndarray | None, work: np.dtype) -> np.ndarray:
        """The work values of numbers in their books. books: None if all are even."""
        out = np.empty(numbers.size, work)
        books = np.zeros(numbers.size, np.uint8) if books is None else books
        values.values_of_numbers(numbers, books, self.labels.zero, *self.constants(work), out)
        return out

    def constants(self, work: np.dtype) -> tuple[np.ndarray, np.ndarray, float]:
        """(offsets in steps, factors of the step, largest value): what values follow from."""
        return self.in_steps, self.step.factors, _FINITE[work]


@lru_cache
def _in_steps(offsets: tuple[int, ...]) -> np.ndarray:
    return np.array((0, *offsets, 0), np.float64) / OFFSETS_PER_STEP


def _count(labels: Labels) -> int:
    """How many centroid offsets are sent: without a trellis only those of the even levels."""
    return CENTROIDS // 2 if labels.states == 1 else CENTROIDS


def _first(labels: Labels) -> int:
    return 1 if labels.states == 1 else 0


@dataclass(frozen=True)
class Coded:
    """The levels of a chunk, ready for the entropy coder.

    codes: uint8, symbol + 32·book. widths: raw widths by class. raw_bits: how many raw bits the
    numbers have. numbers: kept where they have any, until `settled` makes these bits.
    """

    codes: np.ndarray
    widths: np.ndarray
    raw_bits: int = 0
    numbers: np.ndarray | None = None
    raw: bytes = b""

    @classmethod
    def of(cls, numbers: np.ndarray, books: np.ndarray | None, classes: np.ndarray, widths: np.ndarray) -> "Coded":
        """The coded form of numbers in their books.

        books: uint8, 0 (even) or 1 (odd); None if all are even. widths: raw widths by class, int64.
        """
        symbols = np.empty(numbers.size, np.uint8)
        bits = kernels.tokenise(numbers, classes, widths, symbols)
        if books is not None:
            symbols |= books << np.uint8(5)
        return cls(symbols, widths, bits, numbers if bits else None)

    @classmethod
    def with_raw(
        cls, codes: np.ndarray, widths: np.ndarray, places: np.ndarray, raw: tuple[np.ndarray, np.ndarray]
    ) -> "Coded":
        """Codes of numbers of which only those at some places have raw bits.

        The codes of these are filled in.
        raw: these numbers, and their classes.
        """
        numbers, classes = raw
        symbols = np.empty(numbers.size, np.uint8)
        bits = kernels.tokenise(numbers, classes, widths, symbols)
        codes[places] = symbols
        return cls(codes, widths, bits, raw=raw_bytes(numbers, classes, widths, bits))

    def histograms(self, classes: np.ndarray) -> np.ndarray:
        """How often each symbol occurs, by table and symbol."""
        return count_codes(self.codes, classes, rans.BOOK_BITS, level_tables.TABLES)

    def encode(self, classes: np.ndarray, labels: Labels, lanes: int) -> bytes:
        """The bytes of the levels. lanes: the number for which the trellis paths were found."""
        writer = BitWriter(level_tables.ROOM)
        histograms = self.histograms(classes)
        frequencies = np.zeros_like(histograms)
        groups = np.flatnonzero(histograms.reshape(MAX_CLASSES, -1).any(1))
        args = groups, self.widths, labels.books, labels.zero, histograms
        law = level_tables.law_of(*args)
        writer.at = level_tables.put_tables(law, *args, writer.data, writer.at, frequencies)
        tail = encode_lanes(writer, self.codes, classes, rans.BOOK_BITS, frequencies, lanes)
        return writer.to_bytes() + tail + self.settled(classes).raw

    def settled(self, classes: np.ndarray) -> "Coded":
        """With the raw bits in the place of the numbers, which take more memory."""
        if self.numbers is None:
            return self
        raw = raw_bytes(self.numbers, classes, self.widths, self.raw_bits)
        return Coded(self.codes, self.widths, self.raw_bits, raw=raw)


def overhead(size: int) -> float:
    """The bits that heads, tables and lanes of so many values take at most, about."""
    return min(800 + size / 8, 6000.0)


def decode_levels(reader: BitReader, classes: np.ndarray, points: Points, dtype: np.dtype) -> np.ndarray:
    """The values, in a floating dtype, of levels that `Coded.encode` coded; raises Corrupt.

    They are the last of a chunk. Where none has raw bits, values are rounded before the look-up.
    """
    labels = points.labels
    widths, frequencies = read_tables(reader, classes, labels)
    codes = decode_lanes(reader, classes, frequencies, labels.jumps)
    if not widths.any() and not frequencies[:, BIG:].any():
        reader.end()
        return points.decoded(codes, dtype)
    work = dtypes.work_dtype(dtype)
    raw, out = raw_words(reader), points.decoded(codes, work)
    if not values.values_with_raw(codes, classes, widths, *raw, labels.zero, *points.constants(work), out):
        raise reader.corrupt("the raw bits are not those of the symbols")
    return dtypes.narrow(out, dtype)


def read_tables(reader: BitReader, classes: np.ndarray, labels: Labels) -> tuple[np.ndarray, np.ndarray]:
    """The raw widths by class, and the frequencies by table and symbol. Raises Corrupt."""
    widths = np.zeros(MAX_CLASSES, np.int64)
    frequencies = np.zeros((level_tables.TABLES, rans.SYMBOLS), np.int64)
    args = used(classes), labels.books, labels.zero, widths, frequencies
    at = level_tables.get_tables(reader.data, reader.at, *args)
    if at < 0:
        raise reader.corrupt("a raw width or a table is not valid")
    reader.advance(at)
    return widths, frequencies


def raw_bytes(numbers: np.ndarray, classes: np.ndarray, widths: np.ndarray, bits: int) -> bytes:
    """The raw bits of numbers. bits: how many there are, as `tokenise` counts them."""
    words = np.zeros(-(-bits // 32) + 1, np.uint32)
    if bits:
        kernels.put_raw(numbers, classes, widths, words)
    return words.astype(">u4").tobytes()[: -(-bits // 8)]


def raw_words(reader: BitReader) -> tuple[np.ndarray, np.uint64]:
    """(words, bits): the rest of the bytes as words, spare words after them, and their bits."""
    rest = reader.rest()
    padded = np.zeros(4 * (-(-rest.size // 4) + SPARE_WORDS), np.uint8)
    padded[: rest.size] = rest
    return padded.view(">u4").astype(np.uint32), np.uint64(8 * rest.size)
