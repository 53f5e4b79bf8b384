"""Classes of values by local scale, sent to the decoder ahead of the levels (spec/levels.md).

The tensor is seen as a matrix (matricise.py). A class is a number below 32: none (always 0), of row and column together
(clip(row + column − offset, 0, 31), where one of the two may be constant), or of each block of 64 to 512 values. Numbers of
columns belong to the tensor's head, those of rows and blocks to each chunk. A decoder knows nothing else about classes.
The encoder chooses in scale_choice.py.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...coding.bitstring import BitReader, BitWriter
from ...coding.rans import decode_classes, encode_classes
from ...kernels.levels import scales as kernels
from ..contract import TensorSpec
from .matricise import matricise

CHUNK = 1 << 19
MODE_BITS, OFFSET_BITS, BLOCK_BITS = 2, 5, 2
SMALLEST_BLOCK, LARGEST_BLOCK = 64, 512
WIDEST = 1 << 20  # columns that have classes
NONE, PRODUCT, BLOCKS = range(3)


@dataclass(frozen=True)
class Grid:
    """How a tensor is cut: `size` values, `width` columns, chunks of `chunk` values (whole rows where rows are short)."""

    size: int
    width: int
    chunk: int

    @classmethod
    def of(cls, shape: tuple[int, ...], size: int) -> "Grid":
        _, width = matricise(shape)
        return cls(size, width, min(size, CHUNK // width * width or CHUNK))

    def spans(self) -> Iterator[tuple[int, int]]:
        for start in range(0, self.size, self.chunk):
            yield start, min(start + self.chunk, self.size)

    def rows(self, start: int, stop: int) -> slice:
        """Rows that have values with flat indices start…stop-1."""
        return slice(start // self.width, (stop - 1) // self.width + 1)

    def blocks(self, start: int, stop: int, size: int) -> slice:
        """Numbers, over the tensor, of the blocks of start…stop-1 in one chunk; the last block of a chunk may be short."""
        chunk, at = divmod(start, self.chunk)
        first = chunk * -(-self.chunk // size) + at // size
        return slice(first, first + -(-(stop - start + at % size) // size))


@dataclass(frozen=True)
class ScaleClasses:
    """The class of every value; arrays that the mode has no use for are None. Numbers are int16, below 32."""

    grid: Grid
    mode: int = NONE
    rows: np.ndarray | None = None
    columns: np.ndarray | None = None
    blocks: np.ndarray | None = None
    offset: int = 0
    block: int = SMALLEST_BLOCK

    def fill(self, start: int, stop: int) -> np.ndarray:
        """uint8 classes of start…stop-1, a range within one chunk that begins at a block's first value."""
        own = self._own(start, stop)
        return _fill(self, start, stop - start, own)

    def fill_all(self, spans: Sequence[tuple[int, int]]) -> np.ndarray:
        """Classes of several such ranges, one after the other."""
        if self.mode == NONE:
            return np.zeros(sum(stop - start for start, stop in spans), np.uint8)
        return np.concatenate([self.fill(*span) for span in spans])

    def pack_head(self, writer: BitWriter) -> bytes:
        """Mode and offset, or the size of blocks, go to `writer`; the rest is returned."""
        writer.put(self.mode, MODE_BITS)
        if self.mode == PRODUCT:
            writer.put(self.offset, OFFSET_BITS)
        elif self.mode == BLOCKS:
            writer.put((self.block // SMALLEST_BLOCK).bit_length() - 1, BLOCK_BITS)
        return b"" if self.columns is None else encode_classes(self.columns)

    def pack_chunk(self, start: int, stop: int) -> bytes:
        """The classes that belong to the chunk start…stop-1."""
        own = self._own(start, stop)
        return b"" if own is None else encode_classes(own)

    @classmethod
    def unpack_head(cls, reader: BitReader, spec: TensorSpec) -> "ScaleClasses":
        """Reads mode and offset or size of blocks; `unpack_columns` must follow when the reader is at the first byte after the fields."""
        mode = reader.get(MODE_BITS)
        if mode > BLOCKS:
            raise reader.corrupt(f"mode {mode} of scale classes is not defined")
        grid = Grid.of(spec.shape, spec.size)
        if mode == PRODUCT and grid.width > WIDEST:
            raise reader.corrupt(f"classes of {grid.width} columns")
        offset = reader.get(OFFSET_BITS) if mode == PRODUCT else 0
        return cls(grid, mode, offset=offset, block=SMALLEST_BLOCK << (reader.get(BLOCK_BITS) if mode == BLOCKS else 0))

    def unpack_columns(self, reader: BitReader) -> "ScaleClasses":
        if self.mode != PRODUCT:
            return self
        return replace(self, columns=decode_classes(reader, self.grid.width))

    def unpack_chunk(self, reader: BitReader, start: int, count: int) -> np.ndarray:
        """The inverse of `pack_chunk` and `fill`: uint8 classes of the chunk's values."""
        own = None
        if self.mode == PRODUCT:
            rows = self.grid.rows(start, start + count)
            own = decode_classes(reader, rows.stop - rows.start)
        elif self.mode == BLOCKS:
            own = decode_classes(reader, -(-count // self.block))
        return _fill(self, start, count, own)

    def _own(self, start: int, stop: int) -> np.ndarray | None:
        if self.rows is not None:
            return self.rows[self.grid.rows(start, stop)]
        return None if self.blocks is None else self.blocks[self.grid.blocks(start, stop, self.block)]


def _fill(shared: ScaleClasses, start: int, count: int, own: np.ndarray | None) -> np.ndarray:
    classes = np.zeros(count, np.uint8)
    if shared.mode == PRODUCT:
        kernels.fill_product(start, shared.grid.width, own, shared.columns, shared.offset, classes)
    elif shared.mode == BLOCKS:
        kernels.fill_blocks(own, shared.block, classes)
    return classes
