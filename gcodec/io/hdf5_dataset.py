"""Numeric datasets of HDF5 files: which they are, where their bytes lie, and their values by flat C-order index.

Values move as they are in the file, without HDF5's conversions: the file's own type is also the type in memory.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import h5py
import ml_dtypes
import numpy as np
from h5py import h5a, h5d, h5f, h5p, h5s, h5t, h5z

from .. import dtypes
from ..errors import InvalidInput
from .raw import raw_dtype

DTYPE_ATTRIBUTE = "gcodec_dtype"  # names the float that raw unsigned integers stand for
LOSSLESS_FILTERS = {1, 2, 3, 4, 32000, 32001, 32004, 32008, 32015}  # deflate, shuffle, fletcher32, szip, lzf; and
# blosc, lz4, bitshuffle, zstd where they are installed. Data behind any other filter stay in the skeleton.
FREE_BYTES, RATIO = 1 << 28, 1 << 11  # what a dataset may declare, and that for each stored byte (deflate: 1032)
CACHE = 1 << 26  # bytes of decoded chunks kept for one dataset

# size, (sign, exponent at, bits, mantissa at, bits), exponent bias → dtype
_FLOATS = {
    (2, (15, 10, 5, 0, 10), 15): np.dtype(np.float16),
    (2, (15, 7, 8, 0, 7), 127): np.dtype(ml_dtypes.bfloat16),
    (4, (31, 23, 8, 0, 23), 127): np.dtype(np.float32),
    (8, (63, 52, 11, 0, 52), 1023): np.dtype(np.float64),
}


@dataclass(frozen=True)
class Dataset:
    """A dataset whose values travel as a tensor of `dtype`; `stored` is what its bytes are to numpy (same width)."""

    name: str
    stored: np.dtype
    dtype: np.dtype
    shape: tuple[int, ...]
    chunks: tuple[int, ...] | None  # of the chunked layout
    filters: int  # how many
    ranges: tuple[tuple[int, int], ...]  # (offset, length) of its bytes in the file, but not those of a compact one
    stored_bytes: int

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def filtered(self) -> bool:
        return self.filters > 0

    @property
    def nbytes(self) -> int:
        return self.size * self.stored.itemsize

    @property
    def chunk_bytes(self) -> int:
        """Of one chunk, unpacked; 0 when the layout has none."""
        return math.prod(self.chunks) * self.stored.itemsize if self.chunks is not None else 0

    @property
    def contiguous(self) -> bool:
        """Whether its values lie in the file as they are, one after the other."""
        return self.chunks is None and [n for _, n in self.ranges] == [self.nbytes]

    @property
    def one_chunk(self) -> bool:
        return self.chunks is not None and all(n <= c for n, c in zip(self.shape, self.chunks, strict=True))


def describe(name: str, dataset: h5d.DatasetID, file_size: int) -> Dataset | None:
    """The dataset as a tensor, or None when it can only be kept as it is.

    The layout comes first: HDF5 opens the files that a virtual dataset names as soon as it is asked for its extent, and those
    of external storage when it is asked for its values. Of such datasets nothing more is asked, here or elsewhere.
    Kept are also types that are not numbers or have no dtype here, null dataspaces, filters that are unknown or lose
    precision, what declares far more than is stored, and what claims to store more than the file's size.
    """
    create = dataset.get_create_plist()
    layout = create.get_layout()
    if layout not in (h5d.COMPACT, h5d.CONTIGUOUS, h5d.CHUNKED) or create.get_external_count():
        return None
    pair, space = _dtypes(dataset), dataset.get_space()
    if pair is None or space.get_simple_extent_type() == h5s.NULL:
        return None
    stored, dtype = pair
    shape, stored_bytes = space.get_simple_extent_dims(), dataset.get_storage_size()
    chunks = create.get_chunk() if layout == h5d.CHUNKED else None
    filters = [create.get_filter(i)[0] for i in range(create.get_nfilters())] if chunks else []
    declared = max(math.prod(shape), math.prod(chunks or ())) * stored.itemsize
    if stored_bytes > file_size or declared > FREE_BYTES + RATIO * stored_bytes or not all(map(_usable, filters)):
        return None
    ranges = _chunk_ranges(dataset, file_size) if chunks else _contiguous_range(dataset, stored_bytes)
    if ranges is None:
        return None
    return Dataset(name, stored, dtype, shape, chunks, len(filters), ranges, stored_bytes)


def _usable(code: int) -> bool:
    both = h5z.FILTER_CONFIG_ENCODE_ENABLED | h5z.FILTER_CONFIG_DECODE_ENABLED
    return code in LOSSLESS_FILTERS and h5z.filter_avail(code) and h5z.get_filter_info(code) & both == both


def _contiguous_range(dataset: h5d.DatasetID, stored_bytes: int) -> tuple[tuple[int, int], ...]:
    offset = dataset.get_offset()
    return () if offset is None else ((offset, stored_bytes),)


def _chunk_ranges(dataset: h5d.DatasetID, file_size: int) -> tuple[tuple[int, int], ...] | None:
    """Where the chunks lie; None when they claim more bytes than the file has, as an index may that leads in circles."""
    found: list[tuple[int, int]] = []
    left = file_size

    def take(chunk: h5d.StoreInfo) -> bool | None:
        nonlocal left
        left -= max(chunk.size, 1)
        found.append((chunk.byte_offset, chunk.size))
        return True if left < 0 else None  # anything but None ends the iteration

    return None if dataset.chunk_iter(take) else tuple(found)


def _dtypes(dataset: h5d.DatasetID) -> tuple[np.dtype, np.dtype] | None:
    """(stored, dtype) of a dataset, by its type and by the attributes that rename raw bits."""
    kind = dataset.get_type()
    if kind.get_class() == h5t.OPAQUE and kind.get_size() == 2 and _text(dataset, "dtype") == "bfloat16":
        return np.dtype("<u2"), np.dtype(ml_dtypes.bfloat16)  # as Keras writes it
    pair = _numeric(kind)
    if pair and pair[0].kind == "u" and (renamed := _text(dataset, DTYPE_ATTRIBUTE)):
        try:
            dtype = dtypes.by_name(renamed)
        except InvalidInput:
            return pair
        if dtypes.is_float(dtype) and dtype.itemsize == pair[0].itemsize:
            return pair[0], dtype
    return pair


def _text(dataset: h5d.DatasetID, attribute: str) -> str | None:
    if not h5a.exists(dataset, attribute.encode()):
        return None
    value = h5py.Dataset(dataset).attrs[attribute]
    return value if isinstance(value, str) else None


def _numeric(kind: h5t.TypeID) -> tuple[np.dtype, np.dtype] | None:
    """(stored, dtype) of an HDF5 type, None when it is no number that numpy has."""
    match kind.get_class():
        case h5t.INTEGER:
            return _integer(kind)
        case h5t.FLOAT:
            return _float(kind)
        case h5t.ENUM:
            base = _integer(kind.get_super())
            return (base[0], np.dtype(bool)) if base and _is_bool(kind) else base
        case h5t.COMPOUND:
            return _complex(kind)
    if kind.get_class() == getattr(h5t, "COMPLEX", None):
        return _twice(_float(kind.get_super()))
    return None


def _integer(kind: h5t.TypeID) -> tuple[np.dtype, np.dtype] | None:
    size = kind.get_size()
    if kind.get_class() != h5t.INTEGER or size not in (1, 2, 4, 8) or not _plain(kind):
        return None
    stored = np.dtype(f"{_order(kind)}{'i' if kind.get_sign() == h5t.SGN_2 else 'u'}{size}")
    return stored, stored.newbyteorder("=")


def _float(kind: h5t.TypeID) -> tuple[np.dtype, np.dtype] | None:
    if kind.get_class() != h5t.FLOAT or not _plain(kind) or kind.get_norm() != h5t.NORM_IMPLIED:
        return None
    dtype = _FLOATS.get((kind.get_size(), kind.get_fields(), kind.get_ebias()))
    if dtype is None:
        return None
    return np.dtype(f"{_order(kind)}{raw_dtype(dtype).str[1:]}"), dtype


def _plain(kind: h5t.TypeID) -> bool:
    known_order = kind.get_order() in (h5t.ORDER_LE, h5t.ORDER_BE)
    return known_order and kind.get_offset() == 0 and kind.get_precision() == 8 * kind.get_size()


def _order(kind: h5t.TypeID) -> str:
    return "<" if kind.get_order() == h5t.ORDER_LE else ">"


def _is_bool(kind: h5t.TypeID) -> bool:
    """h5py's way of bool: an enumeration of FALSE = 0 and TRUE = 1 in a byte."""
    if kind.get_size() != 1 or kind.get_nmembers() != 2:
        return False
    return {kind.get_member_name(i): kind.get_member_value(i) for i in range(2)} == {b"FALSE": 0, b"TRUE": 1}


def _complex(kind: h5t.TypeID) -> tuple[np.dtype, np.dtype] | None:
    """h5py's way of complex: a compound of two equal floats named r and i."""
    if kind.get_nmembers() != 2 or [kind.get_member_name(i) for i in range(2)] != [b"r", b"i"]:
        return None
    parts = [kind.get_member_type(i) for i in range(2)]
    offsets = [kind.get_member_offset(i) for i in range(2)]
    if not parts[0].equal(parts[1]) or offsets != [0, kind.get_size() // 2]:
        return None
    return _twice(_float(parts[0]))


def _twice(part: tuple[np.dtype, np.dtype] | None) -> tuple[np.dtype, np.dtype] | None:
    if part is None or part[1] not in (np.float32, np.float64):
        return None
    stored = np.dtype(f"{part[0].str[0]}c{2 * part[0].itemsize}")
    return stored, stored.newbyteorder("=")


def boxes(shape: tuple[int, ...], start: int, stop: int) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The flat C-order range start…stop-1 as hyperslabs (offset, count), in order."""
    if start >= stop:
        return
    if len(shape) < 2:
        yield ((start,), (stop - start,)) if shape else ((), ())
        return
    inner = shape[1:]
    row = math.prod(inner)
    first, last = -(-start // row), stop // row  # the whole rows are first…last-1
    if first > last:
        yield from _within(inner, last, start - last * row, stop - last * row)
        return
    yield from _within(inner, first - 1, start - (first - 1) * row, row)
    if first < last:
        yield (first, *(0 for _ in inner)), (last - first, *inner)
    yield from _within(inner, last, 0, stop - last * row)


def _within(inner: tuple[int, ...], row: int, start: int, stop: int):
    for offset, count in boxes(inner, start, stop):
        yield (row, *offset), (1, *count)


def open_dataset(file: h5f.FileID, about: Dataset) -> h5d.DatasetID:
    """Open with a cache that holds all chunks of one row of chunks, or CACHE bytes, or at least one chunk."""
    access = h5p.create(h5p.DATASET_ACCESS)
    if about.chunks:
        counts = [-(-n // c) for n, c in zip(about.shape[1:], about.chunks[1:], strict=True)]
        held = max(1, min(math.prod(counts), CACHE // about.chunk_bytes))
        access.set_chunk_cache(max(521, 10 * held) | 1, held * about.chunk_bytes, 1.0)
    return h5d.open(file, about.name.encode(), access)


def read_values(dataset: h5d.DatasetID, about: Dataset, start: int, stop: int) -> np.ndarray:
    """The values with flat indices start…stop-1, in the tensor's dtype."""
    out = np.zeros(stop - start, about.stored)
    _transfer(dataset.read, dataset, about, start, out)
    return out.astype(about.stored.newbyteorder("="), copy=False).view(about.dtype)


def write_values(dataset: h5d.DatasetID, about: Dataset, start: int, values: np.ndarray) -> None:
    """Write values, as they are stored, from flat index `start` on."""
    _transfer(dataset.write, dataset, about, start, values)


def _transfer(move, dataset: h5d.DatasetID, about: Dataset, start: int, buffer: np.ndarray) -> None:
    done, kind, space = 0, dataset.get_type(), dataset.get_space()
    for offset, count in boxes(about.shape, start, start + buffer.size):
        length = math.prod(count)
        if offset:
            space.select_hyperslab(offset, count)
        move(h5s.create_simple((length,)), space, buffer[done : done + length], kind)
        done += length


def fill_bits(dataset: h5d.DatasetID, about: Dataset) -> np.ndarray | None:
    """The value of what was never written, as one `stored` value; None when there is none."""
    create = dataset.get_create_plist()
    status = create.fill_value_defined()
    if status == h5d.FILL_VALUE_UNDEFINED or create.get_fill_time() == h5d.FILL_TIME_NEVER:
        return None
    value = np.zeros(1, about.stored)
    if status == h5d.FILL_VALUE_USER_DEFINED:
        _read_fill(create.copy(), dataset.get_type(), value)
    return value


def _read_fill(create: h5p.PropDCID, kind: h5t.TypeID, out: np.ndarray) -> None:
    """Read one value that nobody wrote, from a dataset in memory made alike."""
    rank = len(create.get_chunk()) if create.get_layout() == h5d.CHUNKED else 1
    create.set_alloc_time(h5d.ALLOC_TIME_INCR if create.get_layout() == h5d.CHUNKED else h5d.ALLOC_TIME_DEFAULT)
    space = h5s.create_simple((1,) * rank, (h5s.UNLIMITED,) * rank if create.get_layout() == h5d.CHUNKED else None)
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_fapl_core(backing_store=False)
    scratch = h5f.create(b"fill", h5f.ACC_TRUNC, fapl=access)
    try:
        h5d.create(scratch, b"fill", kind, space, create).read(h5s.ALL, h5s.ALL, out, kind)
    finally:
        scratch.close()
