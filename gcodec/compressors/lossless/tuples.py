"""A byte plane of few values, coded as numbers that stand for several bytes each.

With K values in all, m consecutive bytes are the number Σ index·Kʲ below Kᵐ ≤ 1024. A number is two
symbols of an rANS code: its upper five bits, and its lower five bits, whose table depends on the
upper ones. So planes of up to 256 values take about their entropy, bytes that follow each other are
coded together, and bytes that are nearly always the same take a small part of a bit each. See
spec/compressors/01-lossless.md.
"""

import numpy as np

from ...coding.bitstring import BitReader, BitWriter
from ...coding.rans import NO_LAW, decode_lanes, encode_lanes, lanes_for, used
from ...errors import Corrupt
from ...kernels import planes as kernels
from ...kernels.entropy import rans, rans_tables
from ...kernels.entropy.vectors import BYTES, translate

NUMBERS = 1 << 10  # no number is as large
LONGEST = 10  # the most bytes of a number
_LENGTH_BITS = 4
_TABLE_BITS = 60.0  # about what a table takes, and a share of that for each symbol that occurs
_SYMBOL_BITS = 4.0
_WHAT = "lossless: numbers of a byte plane"


def longest(values: int) -> int:
    """How many bytes a number can stand for at most, of a plane with so many values."""
    return next(length for length in range(LONGEST, 0, -1) if values**length <= NUMBERS)


def plan(sample: np.ndarray, size: int) -> tuple[int, float]:
    """(bytes for each number, about how many bits a plane of `size` such bytes takes).

    sample: bytes of the plane, with pieces of it that are not cut.
    """
    listed, indices = _indices(sample)
    most = longest(listed.size)
    found = ((length, _bits(indices, listed.size, length, size)) for length in {-(-most // 2), most})
    return min(found, key=lambda one: one[1])


def pack(plane: np.ndarray, length: int) -> bytes:
    """The content of a plane. length: bytes for each number; fewer where there are many values."""
    listed, indices = _indices(plane)
    length = min(length, longest(listed.size))
    numbers = _numbers(indices, listed.size, length)
    counts = np.bincount(numbers, minlength=NUMBERS).reshape(rans.SYMBOLS, rans.SYMBOLS)
    upper, lower = (numbers >> 5).astype(np.uint8), (numbers & 31).astype(np.uint8)
    parts = [bytes([listed.size & 0xFF]) + listed.tobytes()]
    writer = BitWriter((rans.SYMBOLS + 1) * rans_tables.MAX_BITS)
    writer.put(length, _LENGTH_BITS)
    if listed.size**length > rans.SYMBOLS:
        parts += pack_symbols(writer, upper, np.zeros(upper.size, np.uint8), counts.sum(1, keepdims=True).T)
        writer = BitWriter(rans.SYMBOLS * rans_tables.MAX_BITS)
    parts += pack_symbols(writer, lower, upper, counts)
    return b"".join(parts)


def unpack(data: bytes, plane: np.ndarray) -> None:
    """Fill the plane from its content; raises Corrupt."""
    values = (data[0] or 256) if data else 0
    listed = np.frombuffer(data[1 : 1 + values], np.uint8)
    if not values or listed.size != values or (np.diff(listed.astype(np.int16)) <= 0).any():
        raise Corrupt("lossless: the values listed for numbers are not 1 to 256 ascending bytes")
    reader = BitReader(data[1 + values :], _WHAT)
    length = reader.get(_LENGTH_BITS)
    if not 0 < length <= longest(values):
        raise reader.corrupt(f"{length} bytes for each number of {values} values")
    count = -(-plane.size // length)
    upper = np.zeros(count, np.uint8)
    if values**length > rans.SYMBOLS:
        upper = _unpack_symbols(reader, upper)
    lower = _unpack_symbols(reader, upper)
    reader.end()
    numbers = upper.astype(np.int64) << 5 | lower
    if numbers.max(initial=0) >= values**length:
        raise reader.corrupt("a number that stands for no bytes")
    digits = (np.arange(values**length)[:, None] // values ** np.arange(length) % values).astype(np.uint8)
    indices = digits.take(numbers, 0).reshape(-1)
    if indices[plane.size :].any():
        raise reader.corrupt("the bytes that fill up the last number are not the first value")
    plane[:] = listed[indices[: plane.size]]


def _indices(plane: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(the values of a plane, ascending; the index of each byte's value among them)."""
    table = np.zeros((4, 256), np.int64)
    kernels.histogram(plane, table)
    listed = np.flatnonzero(table.sum(0)).astype(np.uint8)
    index_of = np.zeros(BYTES, np.uint8)
    index_of[listed] = np.arange(listed.size)
    indices = np.empty(plane.size, np.uint8)
    translate(plane, index_of, indices)
    return listed, indices


def _numbers(indices: np.ndarray, values: int, length: int) -> np.ndarray:
    """The numbers of consecutive indices, uint16; the last indices are filled up with zeros."""
    filled = np.zeros(-(-indices.size // length) * length, np.uint8)
    filled[: indices.size] = indices
    numbers = np.zeros(filled.size // length, np.uint16)
    for j in range(length):
        numbers += filled[j::length] * np.uint16(values**j)
    return numbers


def _bits(indices: np.ndarray, values: int, length: int, size: int) -> float:
    """About how many bits a plane of `size` bytes takes, of which these are a sample."""
    counts = np.bincount(_numbers(indices, values, length), minlength=NUMBERS).reshape(rans.SYMBOLS, rans.SYMBOLS)
    upper = counts.sum(1)
    tables = _TABLE_BITS * (1 + np.count_nonzero(upper)) + _SYMBOL_BITS * np.count_nonzero(counts)
    met = counts[counts > 0]
    return 8.0 * values + tables + float((met * np.log2(met.sum() / met)).sum()) * size / max(indices.size, 1)


def pack_symbols(writer: BitWriter, symbols: np.ndarray, classes: np.ndarray, counts: np.ndarray) -> list[bytes]:
    """A table for each class that occurs, and the symbols. counts: by class and symbol."""
    frequencies, bits = np.zeros((2 * counts.shape[0], rans.SYMBOLS), np.int64), 0.0
    for c in np.flatnonzero(counts.any(1)):
        table = frequencies[2 * c]
        writer.at = rans_tables.choose_table(counts[c], rans_tables.EVEN, NO_LAW, writer.data, writer.at, table)
        bits += rans_tables.code_length(counts[c], table)
    tail = encode_lanes(writer, symbols, classes, rans.BOOK_BITS, frequencies, lanes_for(bits))
    return [writer.to_bytes(), tail]


def _unpack_symbols(reader: BitReader, classes: np.ndarray) -> np.ndarray:
    """The inverse of `pack_symbols`; raises Corrupt."""
    frequencies = np.zeros((2 * rans.SYMBOLS, rans.SYMBOLS), np.int64)
    for c in used(classes):
        at = rans_tables.get_table(reader.data, reader.at, rans_tables.EVEN, frequencies[2 * c])
        if at < 0:
            raise reader.corrupt("a table of frequencies is not valid")
        reader.advance(at)
    return decode_lanes(reader, classes, frequencies)
