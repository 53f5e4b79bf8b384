"""Which datasets of an HDF5 file travel as tensors, and where their bytes are."""

import math
from dataclasses import replace
from functools import cache

from h5py import h5d, h5s, h5z

from .coded.filter import Coded, coded_as
from .dataset import Dataset, Range
from .marks import marks_of
from .types import dtypes_of

LOSSLESS_FILTERS = (1, 2, 3, 4, 32000, 32001, 32004, 32008, 32015)  # deflate, shuffle, fletcher32, szip, lzf; and
# blosc, lz4, bitshuffle, zstd where they are installed. Data behind any other filter stay in the
# skeleton.
FREE_BYTES, RATIO = 1 << 28, 1 << 11  # what a dataset may declare, and that for each stored byte (deflate: 1032)


def describe(name: str, dataset: h5d.DatasetID, file_size: int) -> Dataset | None:
    """The dataset as a tensor, or None when it can only be kept as it is.

    The layout comes first: HDF5 opens the files that a virtual dataset names as soon as it is asked
    for its extent, and those of external storage when it is asked for its values. Of such datasets
    nothing more is asked, here or elsewhere. Kept are also types that are not numbers or have no
    dtype here, null dataspaces, filters that are unknown or lose precision, what declares far more
    than is stored, and what claims to store more than the file's size.
    """
    create = dataset.get_create_plist()
    layout = create.get_layout()
    if layout not in (h5d.COMPACT, h5d.CONTIGUOUS, h5d.CHUNKED) or create.get_external_count():
        return None
    pair, space = dtypes_of(dataset), dataset.get_space()
    if pair is None or space.get_simple_extent_type() == h5s.NULL:
        return None
    stored, dtype = pair
    shape, stored_bytes = space.get_simple_extent_dims(), dataset.get_storage_size()
    chunks = create.get_chunk() if layout == h5d.CHUNKED else None
    filters = [create.get_filter(i)[:3:2] for i in range(create.get_nfilters())] if chunks else []
    coded = coded_as(filters)
    declared = max(math.prod(shape), math.prod(chunks or ())) * stored.itemsize
    if (
        stored_bytes > file_size
        or declared > FREE_BYTES + RATIO * stored_bytes
        or not (coded or usable_filters() >= {code for code, _ in filters})
    ):
        return None
    found = _stored_chunks(dataset, file_size) if chunks else []
    if found is None:
        return None
    ranges = (
        tuple((chunk.byte_offset, chunk.size) for chunk in found)
        if chunks
        else _contiguous_range(dataset, stored_bytes)
    )
    about = Dataset(
        name, stored, dtype, shape, chunks, len(filters), stored_bytes, ranges, marks_of(dataset, dtype), coded
    )
    return replace(about, coded=_numbered(coded, about, found)) if coded else about


@cache
def usable_filters() -> frozenset[int]:
    """The filters that lose nothing and that HDF5 here can both apply and undo; it loads them."""
    both = h5z.FILTER_CONFIG_ENCODE_ENABLED | h5z.FILTER_CONFIG_DECODE_ENABLED
    available = [code for code in LOSSLESS_FILTERS if h5z.filter_avail(code)]
    return frozenset(code for code in available if h5z.get_filter_info(code) & both == both)


def _contiguous_range(dataset: h5d.DatasetID, stored_bytes: int) -> tuple[Range, ...]:
    offset = dataset.get_offset()
    return () if offset is None else ((offset, stored_bytes),)


def _stored_chunks(dataset: h5d.DatasetID, file_size: int) -> list[h5d.StoreInfo] | None:
    """The chunks that are stored; None when they claim more bytes than the file has.

    An index may lead in circles.
    """
    found: list[h5d.StoreInfo] = []
    left = file_size

    def take(chunk: h5d.StoreInfo) -> bool | None:
        nonlocal left
        left -= max(chunk.size, 1)
        found.append(chunk)
        return True if left < 0 else None  # anything but None ends the iteration

    return None if dataset.chunk_iter(take) else found


def _numbered(coded: Coded, about: Dataset, found: list[h5d.StoreInfo]) -> Coded:
    """With the numbers of the stored chunks."""
    assert about.chunks
    sides = [(n, side) for n, side in zip(about.shape, about.chunks, strict=True)]
    numbers = set()
    for chunk in found:
        number = 0
        for at, (n, side) in zip(chunk.chunk_offset, sides, strict=True):
            number = number * -(-n // side) + at // side
        if all(at < n for at, (n, _) in zip(chunk.chunk_offset, sides, strict=True)):
            numbers.add(number)
    return replace(coded, numbers=tuple(sorted(numbers)))
