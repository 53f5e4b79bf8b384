"""Bad payloads of lossless that have indices: into a palette, or of integers times scales."""

import struct

import numpy as np
from bad_payloads import BYTES, PALETTE, WORDS, payload, plane_of, stored
from cases import Bad
from gcz import u32

from gcodec.coding.bitstring import BitWriter

FLOATS = stored(np.array([7, 8], np.float32))
OF_17, PALETTE_OF_17 = stored(np.arange(2, dtype=np.uint16)), b"\0\x11" + np.arange(17, dtype="<u2").tobytes()

IN_CONTEXTS = b"\x02"  # the form of a palette whose indices may be coded in contexts


def contexts(content: bytes) -> bytes:
    return plane_of(4, content)


def multiples(length: int, inner: int, scale: float = 1.0) -> bytes:
    """A head of the integers −1, 0 and 1 and one float32 scale."""
    writer = BitWriter(64)
    for value, width in ((1, 8), (2, 8), (2, 6), (length, 2), (2, 6), (inner, 2), (0, 1)):
        writer.put(value, width)
    return b"\x01" + writer.to_bytes() + b"".join(b"\0" + bytes([byte]) for byte in struct.pack("<f", scale))


INDICES: tuple[Bad, ...] = (
    payload("lossless-form-4", "A head of form 4.", "a head of the form 4", WORDS, head=b"\x04" + PALETTE[1:]),
    payload("lossless-palette-missing", "A head that is a form alone.", "a head of 1 bytes", WORDS, head=b"\0"),
    payload("lossless-packed-filling", "Packed indices that are filled up with a 1.", "not filled up with zeros", WORDS, head=PALETTE, chunks=[b"\x09\x60"]),
    payload("lossless-packed-wide", "Packed indices of two bits each where one is enough.", "coding 10 of a byte plane", WORDS, head=PALETTE, chunks=[b"\x0a\x10"]),
    payload("lossless-packed-plane", "Packed bits in a plane that is none of indices.", "coding 9 of a byte plane", BYTES, chunks=[b"\x09\x40"]),
    payload("lossless-contexts-of-17", "Contexts where the palette has 17 words.", "coding 4 of a byte plane", OF_17, head=IN_CONTEXTS + PALETTE_OF_17[1:], chunks=[contexts(b"\0")]),
    payload("lossless-contexts-not-said", "Contexts that the form of the head does not allow.", "coding 4 of a byte plane", WORDS, head=PALETTE, chunks=[contexts(b"\0")]),
    payload("lossless-contexts-of-three", "Contexts of three neighbours.", "3 neighbours", WORDS, head=IN_CONTEXTS + PALETTE[1:], chunks=[contexts(b"\x03" + u32(2))]),
    payload("lossless-contexts-too-many", "Contexts of four neighbours, of 16 words.", "4 neighbours", OF_17, head=b"\x02\x10" + PALETTE_OF_17[2:-2], chunks=[contexts(b"\x04" + u32(2))]),
    payload("lossless-contexts-column", "Contexts of the neighbours in one column.", "2 neighbours in rows of 1", WORDS, head=IN_CONTEXTS + PALETTE[1:], chunks=[contexts(b"\x02" + u32(1))]),
    payload("lossless-contexts-cut", "Contexts without a number of neighbours.", "ends within", WORDS, head=IN_CONTEXTS + PALETTE[1:], chunks=[contexts(b"")]),
    payload("lossless-contexts-left-over", "Seven bytes, where the code has six.", "does not end as it must", WORDS, head=IN_CONTEXTS + PALETTE[1:], chunks=[contexts(b"\0" + b"\xff" * 7)]),
    payload("lossless-contexts-index", "Index 3 where the palette has three words.", "an index that is none", WORDS, head=b"\x02\x03\x07\0\x08\0\x09\0", chunks=[contexts(b"\0")]),
    payload("lossless-multiples-of-integers", "Multiples that are no floats.", "groups that the tensor cannot have", WORDS, head=multiples(2, 1)),
    payload("lossless-multiples-cut", "Multiples whose head ends within its fields.", "ends within", FLOATS, head=multiples(2, 1)[:4]),
    payload("lossless-multiples-length-0", "Groups of no values.", "groups that the tensor cannot have", FLOATS, head=multiples(0, 1)),
    payload("lossless-multiples-too-long", "A group of three values, of which the tensor has two.", "groups that the tensor cannot have", FLOATS, head=multiples(3, 1)),
    payload("lossless-multiples-many", "Two scales of one value each.", "too many scales", FLOATS, head=multiples(1, 1)),
    payload("lossless-multiples-negative", "A scale of −1.", "negative or not finite", FLOATS, head=multiples(2, 1, -1)),
    payload("lossless-multiples-infinite", "An infinite scale.", "negative or not finite", FLOATS, head=multiples(2, 1, float("inf"))),
    payload("lossless-multiples-left-over", "A byte follows the scales.", "bytes after the scales", FLOATS, head=multiples(2, 1) + b"\0"),
    payload("lossless-multiples-scales-cut", "The scales end within a plane.", "cut short", FLOATS, head=multiples(2, 1)[:-1]),
    payload("lossless-multiples-index", "Index 4 of three integers and −0.", "an index that is not below", FLOATS, head=multiples(2, 1), chunks=[b"\0\0\x04"]),
)  # fmt: skip
