"""Scale classes: values of about the same size share a table (spec/levels.md §2).

The decoder knows the classes before it reads levels. A class is a number below 32. There are three
modes. In mode none it is always 0. In mode product it follows from the numbers of the value's row
and column in the tensor seen as a matrix (matricise.py): clip(row + column − offset, 0, 31), where
all rows or all columns may have the same number. In mode blocks each block of 64 to 512 values has
a class.

The numbers of columns are in the head of the tensor, and those of rows and blocks in each chunk.
The encoder chooses them in scale_choice.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...coding.bitstring import BitReader, BitWriter
from ...coding.rans import decode_classes, encode_classes
from ...kernels.levels import scales as kernels
from ...source import Span, matricise, spans
from ..contract import TensorSpec

CHUNK = 1 << 19
MODE_BITS, OFFSET_BITS, BLOCK_BITS = 2, 5, 2
SMALLEST_BLOCK, LARGEST_BLOCK = 64, 512
WIDEST = 1 << 20  # the most columns that may have classes
NONE, PRODUCT, BLOCKS = range(3)


@dataclass(frozen=True)
class Tiling:
    """How a tensor is seen as a matrix and cut into chunks.

    size: how many values there are. width: the columns of the matrix. chunk: values of a chunk,
    which is whole rows where rows are short. The last chunk may be shorter.
    """

    size: int
    width: int
    chunk: int

    @classmethod
    def of(cls, shape: tuple[int, ...], size: int) -> "Tiling":
        _, width = matricise(shape)
        return cls(size, width, min(size, CHUNK // width * width or CHUNK))

    def spans(self) -> list[Span]:
        """The span of every chunk."""
        return spans(self.size, self.chunk)

    def rows(self, start: int, stop: int) -> slice:
        """The rows that have values with flat indices start…stop-1."""
        return slice(start // self.width, (stop - 1) // self.width + 1)

    def blocks(self, start: int, stop: int, size: int) -> slice:
        """The blocks of start…stop-1, which lie in one chunk, numbered over the whole tensor.

        The last block of each chunk may be shorter than `size`.
        """
        chunk, at = divmod(start, self.chunk)
        first = chunk * -(-self.chunk // size) + at // size
        return slice(first, first + -(-(stop - start + at % size) // size))


@dataclass(frozen=True)
class ScaleClasses:
    """The class of every value.

    rows, columns, blocks: the numbers that the classes follow from, int16 and below 32; None if the
    mode does not use them. offset: the class offset of mode product. block: values of a block.
    """

    tiling: Tiling
    mode: int = NONE
    rows: np.ndarray | None = None
    columns: np.ndarray | None = None
    blocks: np.ndarray | None = None
    offset: int = 0
    block: int = SMALLEST_BLOCK

    def fill(self, start: int, stop: int) -> np.ndarray:
        """The classes, uint8, of start…stop-1: a part of one chunk that begins with a block."""
        own = self._own(start, stop)
        return _fill(self, start, stop - start, own)

    def fill_all(self, spans: Sequence[Span]) -> np.ndarray:
        """The classes of several such spans, one after the other. There is at least one."""
        classes, limits = _room(self.mode, sum(stop - start for start, stop in spans)), np.array(spans, np.int64)
        if self.mode == PRODUCT:
            kernels.fill_products(limits, self.tiling.width, self.rows, self.columns, self.offset, classes)
        elif self.mode == BLOCKS:
            kernels.fill_blocks_of(limits, self.tiling.chunk, self.block, self.blocks, classes)
        return classes

    def pack_head(self, writer: BitWriter) -> bytes:
        """Put the mode and its parameters into `writer`; return the coded numbers of columns."""
        writer.put(self.mode, MODE_BITS)
        if self.mode == PRODUCT:
            writer.put(self.offset, OFFSET_BITS)
        elif self.mode == BLOCKS:
            writer.put((self.block // SMALLEST_BLOCK).bit_length() - 1, BLOCK_BITS)
        return b"" if self.columns is None else encode_classes(self.columns)

    def pack_chunk(self, start: int, stop: int) -> bytes:
        """The coded numbers of rows or blocks of the chunk start…stop-1."""
        own = self._own(start, stop)
        return b"" if own is None else encode_classes(own)

    @classmethod
    def unpack_head(cls, reader: BitReader, spec: TensorSpec) -> "ScaleClasses":
        """Read the mode and its parameters; raises Corrupt.

        `unpack_columns` must follow, once the reader is at the first byte after these fields.
        """
        mode = reader.get(MODE_BITS)
        if mode > BLOCKS:
            raise reader.corrupt(f"mode {mode} of scale classes is not defined")
        tiling = Tiling.of(spec.shape, spec.size)
        if mode == PRODUCT and tiling.width > WIDEST:
            raise reader.corrupt(f"{tiling.width} columns are too many to have classes")
        offset = reader.get(OFFSET_BITS) if mode == PRODUCT else 0
        doublings = reader.get(BLOCK_BITS) if mode == BLOCKS else 0
        return cls(tiling, mode, offset=offset, block=SMALLEST_BLOCK << doublings)

    def unpack_columns(self, reader: BitReader) -> "ScaleClasses":
        """These classes with the numbers of columns, where the mode has them; raises Corrupt."""
        if self.mode != PRODUCT:
            return self
        return replace(self, columns=decode_classes(reader, self.tiling.width))

    def unpack_chunk(self, reader: BitReader, start: int, count: int) -> np.ndarray:
        """The classes, uint8, of the values of a chunk that `pack_chunk` wrote; raises Corrupt."""
        own = None
        if self.mode == PRODUCT:
            rows = self.tiling.rows(start, start + count)
            own = decode_classes(reader, rows.stop - rows.start)
        elif self.mode == BLOCKS:
            own = decode_classes(reader, -(-count // self.block))
        return _fill(self, start, count, own)

    def _own(self, start: int, stop: int) -> np.ndarray | None:
        """The numbers of rows or blocks of the values start…stop-1."""
        if self.rows is not None:
            return self.rows[self.tiling.rows(start, stop)]
        return None if self.blocks is None else self.blocks[self.tiling.blocks(start, stop, self.block)]


def _room(mode: int, count: int) -> np.ndarray:
    """Room for so many classes, which are all 0 in a mode without any."""
    return np.zeros(count, np.uint8) if mode == NONE else np.empty(count, np.uint8)


def _fill(shared: ScaleClasses, start: int, count: int, own: np.ndarray | None) -> np.ndarray:
    classes = _room(shared.mode, count)
    if shared.mode == PRODUCT:
        kernels.fill_product(start, shared.tiling.width, own, shared.columns, shared.offset, classes)
    elif shared.mode == BLOCKS:
        kernels.fill_blocks(own, shared.block, classes)
    return classes
