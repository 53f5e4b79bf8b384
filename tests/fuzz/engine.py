"""Mutations of the good vectors: of raw bytes, and of single fields.

Every checksum around a mutated field is mended. `mutant(rng)` is a pure function of the generator's
state, so an input is known by its number: see `mutate.py`.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

from vectors import gcz, stated, vectors

from gcodec.container.fields import pack_varint
from gcodec.container.layout import FileHeader, Footer, Frame, pack_block

EDGES = (0, 1, 2, 3, 7, 8, 15, 16, 63, 64, 127, 128, 255, 256, 2**14, 2**16, 2**20, 2**20 + 1, 2**24, 2**25, 2**26, 2**31, 2**32, 2**47, 2**48, 2**63, 2**64 - 1)  # fmt: skip
VARINTS = ("dtype", "ndim", "compressor", "version", "chunk", "head_length")


@dataclass(frozen=True)
class Mutant:
    """An input.

    mended: its checksums are right, so it may decode to something else than `origin`, a good
    vector.
    """

    data: bytes
    origin: str
    mended: bool


@dataclass(frozen=True)
class Seed:
    name: str
    data: bytes
    blocks: tuple[gcz.Record | bytes, ...]
    tensors: tuple

    @property
    def records(self) -> list[gcz.Record]:
        return [block for block in self.blocks if isinstance(block, gcz.Record)]


@cache
def seeds(method: str = "") -> tuple[Seed, ...]:
    """The good vectors; those of a method alone if one is given."""
    found = []
    for vector in vectors("good"):
        if not method or any(tensor["method"] == method for tensor in vector.about["tensors"]):
            data = vector.data
            found.append(Seed(str(vector), data, tuple(gcz.split(data)), tuple(stated(vector.about))))
    return tuple(found)


def mutant(rng: random.Random, method: str = "") -> Mutant:
    """A mutation of a good vector, with the emphasis on payloads behind right checksums."""
    seed = rng.choice(seeds(method))
    if seed.data[FileHeader.SIZE :].startswith(b"JOIN") and rng.random() < 0.9:
        return Mutant(joined(rng, seed.data), seed.name, mended=True)
    if not seed.records or rng.random() < 0.1:
        return Mutant(raw(rng, seed.data), seed.name, mended=False)
    blocks = list(seed.blocks)
    at = rng.choice([i for i, block in enumerate(blocks) if isinstance(block, gcz.Record)])
    change = rng.choices((payload, fields, order), (0.75, 0.2, 0.05))[0]
    change(rng, blocks, at)
    return Mutant(gcz.container(*blocks), seed.name, mended=True)


def joined(rng: random.Random, data: bytes) -> bytes:
    """Another header or body of the block of joined tensors that the file begins with."""
    start = FileHeader.SIZE + Frame.SIZE
    frame = Frame.unpack(data[FileHeader.SIZE : start])
    end = start + frame.header_length + 4 + frame.body_length
    header, body = data[start:][: frame.header_length], data[end - frame.body_length : end]
    if rng.random() < 0.8:
        header = bytes_like(rng, header, rng.randbytes(8))
    else:
        body = bytes_like(rng, body, rng.randbytes(8))
    block = pack_block(b"JOIN", header, len(body)) + body
    after = data[end : -Footer.SIZE] if rng.random() < 0.9 else bytes_like(rng, data[end : -Footer.SIZE], header)
    place = FileHeader.SIZE + len(block) + (Footer.unpack(data[-Footer.SIZE :]).offset - end)
    return data[: FileHeader.SIZE] + block + after + Footer(place).pack()


def payload(rng: random.Random, blocks: list, at: int) -> None:
    """Another head or other coded bytes; sometimes parts of another record's."""
    record = blocks[at]
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        part = rng.randrange(len(record.chunks) + 1) if rng.random() < 0.7 else 0
        donor = rng.choice(rng.choice([seed for seed in seeds() if seed.records]).records)
        if part == 0:
            record = record.holding(head=bytes_like(rng, record.head, donor.head))
        else:
            chunks, other = list(record.chunks), rng.choice(donor.chunks or (b"",))
            chunks[part - 1] = bytes_like(rng, chunks[part - 1], other)
            record = record.holding(chunks=chunks)
    if rng.random() < 0.1:
        record = other_shape(rng, record)
    blocks[at] = record


def other_shape(rng: random.Random, record: gcz.Record) -> gcz.Record:
    """The same payload for another number of values in one chunk.

    So the counts of values are not those of the encoder.
    """
    if rng.random() < 0.1:
        dims = rng.choice(((0,), (0, 3), (3, 0), (2, 0, 2)))
        empty = replace(record, decoded=()).holding(chunks=())
        return empty.but(ndim=pack_varint(len(dims)), dims=bytes(dims))
    size = rng.choice((1, 2, 5, 64, 1000, 4096, rng.randrange(1, 1 << 20) if rng.random() < 0.05 else 100))
    split = rng.choice([n for n in range(1, 9) if size % n == 0])
    dims = rng.choice(((size,), (split, size // split), (size // split, split)))
    shape = {"ndim": pack_varint(len(dims)), "dims": b"".join(map(pack_varint, dims)), "chunk": pack_varint(size)}
    if len(record.chunks) != 1:
        decoded, chunks = record.decoded[:1] or (0,), record.chunks[:1] or (b"",)
        record = replace(record, decoded=decoded).holding(chunks=chunks)
    return record.but(**shape)


def fields(rng: random.Random, blocks: list, at: int) -> None:
    """Other header fields of a record."""
    record = blocks[at]
    for _ in range(rng.choice((1, 1, 2))):
        name = rng.choice(list(record.fields))
        if name in VARINTS and rng.random() < 0.7:
            value = pack_varint(rng.choice(EDGES + (rng.randrange(300),)))
        elif name == "dims" and rng.random() < 0.7:
            count = max((1, *record.fields["ndim"])) if rng.random() < 0.8 else rng.randrange(65)
            value = b"".join(pack_varint(rng.choice(EDGES + (1, 1, 1, 2, 3))) for _ in range(count))
        else:
            value = bytes_like(rng, record.fields[name], rng.randbytes(8))
        record = record.but(**{name: value})
    blocks[at] = record


def order(rng: random.Random, blocks: list, at: int) -> None:
    """Blocks missing, repeated, or in another order."""
    match rng.randrange(3):
        case 0:
            del blocks[at]
        case 1:
            blocks.insert(rng.randrange(len(blocks) + 1), blocks[at])
        case 2:
            rng.shuffle(blocks)


def raw(rng: random.Random, data: bytes) -> bytes:
    """Bytes changed, with no checksum made good."""
    for _ in range(rng.choice((1, 1, 2, 8))):
        data = bytes_like(rng, data, rng.choice(seeds()).data)
    return data


def bytes_like(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """One change of a string of bytes; `other` lends its own."""
    return rng.choice(CHANGES)(rng, data, other)


def _flip(rng: random.Random, data: bytes, other: bytes) -> bytes:
    at = rng.randrange(len(data) or 1)
    return data[:at] + bytes(byte ^ 1 << rng.randrange(8) for byte in data[at : at + 1]) + data[at + 1 :]


def _set(rng: random.Random, data: bytes, other: bytes) -> bytes:
    at, length = rng.randrange(len(data) + 1), rng.choice((1, 1, 2, 4, 8))
    filled = rng.choice((b"\0" * length, b"\xff" * length, rng.randbytes(length)))
    return data[:at] + filled[: len(data) - at] + data[at + length :]


def _number(rng: random.Random, data: bytes, other: bytes) -> bytes:
    width = rng.choice((1, 2, 4, 8))
    at = rng.randrange(len(data) + 1)
    return data[:at] + (rng.choice(EDGES) % (1 << 8 * width)).to_bytes(width, "little") + data[at + width :]


def _insert(rng: random.Random, data: bytes, other: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.choice((1, 2, 16))) + data[at:]


def _delete(rng: random.Random, data: bytes, other: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at + rng.choice((1, 1, 2, 16)) :]


def _cut(rng: random.Random, data: bytes, other: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _lengthen(rng: random.Random, data: bytes, other: bytes) -> bytes:
    return data + rng.choice((b"\0", b"\xff", bytes(9), rng.randbytes(40), data))


def _splice(rng: random.Random, data: bytes, other: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


def _noise(rng: random.Random, data: bytes, other: bytes) -> bytes:
    return rng.randbytes(rng.randrange(2 * len(data) + 2))


CHANGES: tuple[Callable[[random.Random, bytes, bytes], bytes], ...] = (
    _flip, _flip, _flip, _set, _set, _number, _insert, _delete, _cut, _lengthen, _splice, _noise,
)  # fmt: skip
