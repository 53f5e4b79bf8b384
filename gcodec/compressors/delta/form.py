"""What is known of words before their changes are decoded: their exponents, rows and classes."""

import math
from dataclasses import dataclass

import numpy as np

from ... import dtypes
from ...coding.bitstring import BitReader
from ...kernels.entropy import changes as kernels
from ...source import Source
from ..common.scale_classes import Tiling
from ..contract import TensorSpec

HEAD_BYTES = 3
_BY_ROWS = 1
_EXPONENTS = {2: 5, 4: 8, 8: 11}  # bits of the exponent field by the bytes of a word


@dataclass(frozen=True)
class Words:
    """The words of a dtype.

    word: the signed integer for the bits of one. parts: words of a value. floating: whether they
    are floating numbers. shift, mask: (word >> shift) & mask is the exponent field; 0 of others.
    """

    word: np.dtype
    parts: int
    floating: bool
    shift: int
    mask: int

    @classmethod
    def of(cls, dtype: np.dtype) -> "Words":
        parts = 2 if dtype.kind == "c" else 1
        floating = dtypes.is_float(dtype) or dtype.kind == "c"
        size = dtype.itemsize // parts
        field = _EXPONENTS.get(size, 0)
        if dtypes.is_float(dtype) and dtype.name in _FIELDS:
            field = _FIELDS[dtype.name]
        if not floating:
            return cls(np.dtype(f"i{size}"), parts, False, 0, 0)
        return cls(np.dtype(f"i{size}"), parts, True, 8 * size - 1 - field, (1 << field) - 1)

    @property
    def bits(self) -> int:
        return 8 * self.word.itemsize

    def read(self, source: Source, start: int, stop: int) -> np.ndarray:
        """The words of the values start…stop-1."""
        return np.ascontiguousarray(source.read(start, stop)).view(self.word)


_FIELDS = {"bfloat16": 8, "float8_e4m3fn": 4, "float8_e5m2": 5}


@dataclass(frozen=True)
class Form:
    """The head: the exponent field `top` of class 0, and whether rows have numbers."""

    spec: TensorSpec
    top: int
    by_rows: bool

    def pack(self) -> bytes:
        return self.top.to_bytes(2, "little") + bytes([_BY_ROWS if self.by_rows else 0])

    @classmethod
    def unpack(cls, head: bytes, spec: TensorSpec) -> "Form":
        """Raises Corrupt."""
        reader = BitReader(head, "delta head")
        top, flags = int.from_bytes(reader.take(2).tobytes(), "little"), reader.get(8)
        reader.end()
        form = cls(spec, top, flags == _BY_ROWS)
        if flags > _BY_ROWS or top > form.words.mask:
            raise reader.corrupt("an exponent that the dtype lacks, or unknown flags")
        return form

    @property
    def words(self) -> Words:
        return Words.of(self.spec.dtype)

    @property
    def tiling(self) -> Tiling:
        return Tiling.of(self.spec.shape, self.spec.size)

    def rows(self, start: int, stop: int) -> int:
        """How many rows the values start…stop-1 lie in."""
        found = self.tiling.rows(start, stop)
        return int(found.stop - found.start)

    def classes(self, base: np.ndarray, start: int, rows: np.ndarray) -> np.ndarray:
        """The class of each word, uint8.

        base: its words. rows: the numbers of the rows, or none.
        """
        words, classes = self.words, np.empty(base.size, np.uint8)
        width = self.tiling.width * words.parts
        first = start * words.parts % width
        kernels.fill_classes(base, words.shift, words.mask, self.top, first, width, rows.astype(np.int64), classes)
        return classes

    def moved(
        self, above: np.ndarray, base: np.ndarray, bits: int, floating: bool, start: int, stop: int
    ) -> np.ndarray:
        """Σ|change| of each row, where a change counts in units of the exponent `top`."""
        words, sums = self.words, np.zeros(self.rows(start, stop))
        powers = np.array([math.ldexp(1.0, min(max(field - self.top, -200), 200)) for field in range(words.mask + 1)])
        width = self.tiling.width * words.parts
        first = start * words.parts % width
        kernels.add_rows(above, base, bits, floating, words.shift, words.mask, powers, first, width, sums)
        return sums
