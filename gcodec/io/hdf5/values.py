"""Values of HDF5 datasets by flat C-order index, read and written as they are in the file."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from h5py import h5d, h5f, h5p, h5s, h5t

from .dataset import Dataset

CACHE = 1 << 26  # bytes of decoded chunks that are kept for one dataset
BLOCK = 1 << 20  # values that are written at once where one value is repeated

Box = tuple[tuple[int, ...], tuple[int, ...]]  # (offset, count) of a hyperslab


def boxes(shape: tuple[int, ...], start: int, stop: int) -> Iterator[Box]:
    """The flat C-order range start…stop-1 as boxes, in order."""
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


def _within(inner: tuple[int, ...], row: int, start: int, stop: int) -> Iterator[Box]:
    for offset, count in boxes(inner, start, stop):
        yield (row, *offset), (1, *count)


def open_dataset(file: h5f.FileID, about: Dataset) -> h5d.DatasetID:
    """Open with a cache for a row of chunks, for CACHE bytes if they are fewer, or for a chunk."""
    access = h5p.create(h5p.DATASET_ACCESS)
    if about.chunks:
        counts = [-(-n // c) for n, c in zip(about.shape[1:], about.chunks[1:], strict=True)]
        held = max(1, min(math.prod(counts), CACHE // about.chunk_bytes))
        access.set_chunk_cache(max(521, 10 * held) | 1, held * about.chunk_bytes, 1.0)
    return h5d.open(file, about.name.encode(), access)


def read_values(dataset: h5d.DatasetID, about: Dataset, start: int, stop: int) -> np.ndarray[Any, Any]:
    """The values with flat indices start…stop-1, as they are stored."""
    out = np.zeros(stop - start, about.stored)
    _transfer(dataset.read, dataset, about, start, out)
    return out


def write_values(dataset: h5d.DatasetID, about: Dataset, start: int, values: np.ndarray[Any, Any]) -> None:
    """Write values, as they are stored, from flat index `start` on."""
    _transfer(dataset.write, dataset, about, start, values)


def write_run(dataset: h5d.DatasetID, about: Dataset, stop: int, value: np.ndarray[Any, Any]) -> None:
    """Write one value at all flat indices below `stop`."""
    for start in range(0, stop, BLOCK):
        write_values(dataset, about, start, np.full(min(BLOCK, stop - start), value, about.stored))


def _transfer(
    move: Callable[..., object], dataset: h5d.DatasetID, about: Dataset, start: int, buffer: np.ndarray[Any, Any]
) -> None:
    done, kind, space = 0, dataset.get_type(), dataset.get_space()
    for offset, count in boxes(about.shape, start, start + buffer.size):
        length = math.prod(count)
        if offset:
            space.select_hyperslab(offset, count)
        move(h5s.create_simple((length,)), space, buffer[done : done + length], kind)
        done += length


def blank(dataset: h5d.DatasetID, about: Dataset) -> None:
    """Take the compressed chunks out of a dataset, unread: what the skeleton says of their place
    and length is history.

    HDF5 does not release the only chunk of a dataset that shrinks; an uncompressed one takes its
    place instead.
    """
    if blanked(about):
        dataset.set_extent((0, *about.shape[1:]))
        dataset.set_extent(about.shape)
    else:
        fill = fill_bits(dataset, about)
        chunk = np.full(about.chunks or (), np.zeros(1, about.stored) if fill is None else fill, about.stored)
        dataset.write_direct_chunk((0,) * len(about.shape), chunk.tobytes(), 0xFFFFFFFF)


def blanked(about: Dataset) -> bool:
    """Whether `blank` leaves no chunk at all."""
    return about.filters > 0 and any(n > c for n, c in zip(about.shape, about.chunks or (), strict=True))


def fill_bits(dataset: h5d.DatasetID, about: Dataset) -> np.ndarray[Any, Any] | None:
    """The value of what was never written, as one `stored` value; None when there is none."""
    create = dataset.get_create_plist()
    status = create.fill_value_defined()
    if status == h5d.FILL_VALUE_UNDEFINED or create.get_fill_time() == h5d.FILL_TIME_NEVER:
        return None
    value = np.zeros(1, about.stored)
    if status == h5d.FILL_VALUE_USER_DEFINED:
        _read_fill(create.copy(), dataset.get_type(), value)
    return value


def _read_fill(create: h5p.PropDCID, kind: h5t.TypeID, out: np.ndarray[Any, Any]) -> None:
    """Read one value that nobody wrote, from a dataset in memory made alike."""
    rank = len(create.get_chunk()) if create.get_layout() == h5d.CHUNKED else 1
    create.set_alloc_time(h5d.ALLOC_TIME_INCR if create.get_layout() == h5d.CHUNKED else h5d.ALLOC_TIME_DEFAULT)
    create.remove_filter(0)  # all of them, of which some may not be here
    space = h5s.create_simple((1,) * rank, (h5s.UNLIMITED,) * rank if create.get_layout() == h5d.CHUNKED else None)
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_fapl_core(backing_store=False)
    scratch = h5f.create(b"fill", h5f.ACC_TRUNC, fapl=access)
    try:
        h5d.create(scratch, b"fill", kind, space, create).read(h5s.ALL, h5s.ALL, out, kind)
    finally:
        scratch.close()
