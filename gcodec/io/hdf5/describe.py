"""Which datasets of an HDF5 file travel as tensors, and where their bytes are."""

import math
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from importlib import import_module

from h5py import h5d, h5s, h5t, h5z

from ..uncoded import Uncoded
from .coded.filter import Coded, coded_as
from .dataset import Dataset, Range
from .marks import marks_of
from .types import dtypes_of

LOSSLESS_FILTERS = (1, 2, 3, 4, 307, 32000, 32001, 32004, 32008, 32015)  # deflate, shuffle, fletcher32, szip, bzip2,
# LZF; and Blosc, LZ4, bitshuffle, Zstandard. Some are there only where hdf5plugin or another
# package brings them. Data behind any other filter stay in the skeleton.
FILTERS = {
    4: "szip", 5: "n-bit", 6: "scale-offset", 307: "bzip2", 32000: "LZF", 32001: "Blosc", 32004: "LZ4",
    32008: "bitshuffle", 32013: "ZFP", 32015: "Zstandard", 32017: "SZ", 32018: "FCIDECOMP", 32024: "SZ3",
    32026: "Blosc2", 32028: "SPERR",
}  # fmt: skip
FREE_BYTES, RATIO = 1 << 28, 1 << 11  # what a dataset may declare, and that for each stored byte (deflate: 1032)
_KINDS = {
    h5t.STRING: "text",
    h5t.COMPOUND: "structures, that is a table",
    h5t.VLEN: "ragged arrays or text",
    h5t.REFERENCE: "references",
    h5t.OPAQUE: "opaque bytes",
    h5t.ARRAY: "arrays as values",
}


def describe(name: str, dataset: h5d.DatasetID, file_size: int) -> Dataset | Uncoded:
    """The dataset as a tensor, or why it can only be kept as it is.

    The layout comes first: HDF5 opens the files that a virtual dataset names as soon as it is asked
    for its extent, and those of external storage when it is asked for its values. Of such datasets
    nothing more is asked, here or elsewhere. Kept are also types that are not numbers or have no
    dtype here, null dataspaces, filters that are unknown or lose precision, what declares far more
    than is stored, and what claims to store more than the file's size.
    """
    create = dataset.get_create_plist()
    layout = create.get_layout()
    if layout not in (h5d.COMPACT, h5d.CONTIGUOUS, h5d.CHUNKED) or create.get_external_count():
        return Uncoded(name, 0, "values that lie in other files or datasets")
    stored_bytes, space = dataset.get_storage_size(), dataset.get_space()
    kept = partial(Uncoded, name, stored_bytes)
    pair = dtypes_of(dataset)
    if pair is None:
        return kept(_KINDS.get(dataset.get_type().get_class(), "numbers of an unusual type"))
    if space.get_simple_extent_type() == h5s.NULL:
        return kept("no values at all")
    stored, dtype = pair
    shape = space.get_simple_extent_dims()
    chunks = create.get_chunk() if layout == h5d.CHUNKED else None
    filters = [create.get_filter(i)[:3:2] for i in range(create.get_nfilters())] if chunks else []
    coded = coded_as(filters)
    declared = max(math.prod(shape), math.prod(chunks or ())) * stored.itemsize
    if stored_bytes > file_size or declared > FREE_BYTES + RATIO * stored_bytes:
        return kept(f"a shape of {declared:,} bytes, of which hardly any are stored")
    unusable = [] if coded else [code for code, _ in filters if code not in usable_filters()]
    if unusable:
        return kept(_packed_by(unusable[0]))
    found = _stored_chunks(dataset, file_size) if chunks else []
    if found is None:
        return kept("chunks that claim more bytes than the file has")
    ranges = (
        tuple((chunk.byte_offset, chunk.size) for chunk in found)
        if chunks
        else _contiguous_range(dataset, stored_bytes)
    )
    about = Dataset(
        name, stored, dtype, shape, chunks, len(filters), stored_bytes, ranges, marks_of(dataset, dtype), coded
    )
    return replace(about, coded=_numbered(coded, about, found)) if coded else about


def _packed_by(code: int) -> str:
    what = f"{FILTERS[code]} (HDF5 filter {code})" if code in FILTERS else f"the HDF5 filter {code}"
    if code in LOSSLESS_FILTERS:
        return f"packed by {what}, which is not here; install hdf5plugin to code it"
    return f"packed by {what}, which may lose digits"


@cache
def usable_filters() -> frozenset[int]:
    """The filters that lose nothing and that HDF5 here can both apply and undo; it loads them."""
    with suppress(ImportError):
        import_module("hdf5plugin")  # which brings filters, where it is installed
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
