"""Bad files whose container is right, with all checksums, and whose payload breaks one rule."""

import struct
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import zstandard
from cases import Bad
from gcz import Record, bits, container, f32, f64, record, u32
from good import flat, normal

from gcodec.coding.bitstring import BitWriter
from gcodec.coding.rans import encode_numbers
from gcodec.compressors.lossless.tuples import pack_symbols
from gcodec.container.fields import pack_varint


def payload(
    name: str, about: str, message: str, base: Callable[[], Record], head: bytes | None = None,
    chunks: Sequence[bytes] | None = None, **fields: bytes,
) -> Bad:  # fmt: skip
    """The record of `base` with another head, other chunks or other fields."""
    return Bad(name, about, message, lambda: container(base().holding(head, chunks).but(**fields)))


def stored(array: np.ndarray) -> Callable[[], Record]:
    return lambda: record("", array, "lossless")


def planes(*parts: bytes) -> list[bytes]:
    """One chunk of planes that are stored as they are, or are frames already with their length."""
    return [b"".join(parts)]


def frame(data: bytes) -> bytes:
    """A plane as a frame of `data`."""
    return b"\x01" + u32(len(data)) + data


def plane_of(coding: int, content: bytes) -> bytes:
    return bytes([coding]) + u32(len(content)) + content


def listed(*values: int, rest: bytes) -> bytes:
    """A plane as symbols of these values."""
    return plane_of(2, bytes([len(values), *values]) + rest)


def as_numbers(values: bytes, length: int, *numbers: int, rest: bytes = b"") -> bytes:
    """A plane as numbers below 32 that stand for `length` bytes each, of these values."""
    symbols, writer = np.array(numbers, np.uint8), BitWriter(2048)
    writer.put(length, 4)
    counts = np.bincount(symbols, minlength=32)[None]
    parts = pack_symbols(writer, symbols, np.zeros_like(symbols), counts)
    return plane_of(3, bytes([len(values)]) + values + b"".join(parts) + rest)


def coded(*symbols: int) -> bytes:
    """A coded sequence."""
    return encode_numbers(np.array(symbols, np.uint8), np.bincount(symbols, minlength=32))


def block(kind: int, size: int, data: bytes) -> bytes:
    """A frame's last block."""
    return struct.pack("<I", 1 | kind << 1 | size << 3)[:3] + data


BYTES = stored(np.array([7, 8], np.uint8))
WORDS, PALETTE = stored(np.array([7, 8], np.uint16)), b"\0\x02\x07\0\x08\0"
ZSTD = b"\x28\xb5\x2f\xfd"
RAW = struct.pack("<I", 1 | 2 << 3)[:3] + b"\x07\x08"  # the last block: raw, two bytes
# Four literals of the first of three symbols, whose code is 00. The parts are the section's header,
# two weights, and the stream with its mark. There are no sequences.
LITERALS = struct.pack("<I", 2 | 4 << 4 | 4 << 14)[:3] + b"\x81\x55" + b"\x00\x01" + b"\0"
LOSSLESS: tuple[Bad, ...] = (
    payload("lossless-head", "A palette of bytes.", "a head of 3 bytes for 1 words of 1 bytes", BYTES, head=b"\0\x01\x07"),
    payload("lossless-head-of-empty", "A palette that is cut, and no chunk needs it.", "a head of 2 bytes", stored(np.empty(0, np.uint16)), head=b"\0\x01"),
    payload("lossless-palette-cut", "A palette of two words that ends within the second.", "a head of 5 bytes", WORDS, head=b"\0\x02\x07\0\x08"),
    payload("lossless-palette-left-over", "A byte follows the palette.", "a head of 7 bytes", WORDS, head=PALETTE + b"\0"),
    payload("lossless-palette-not-ascending", "A palette of the words 8 and 7, in this order.", "do not ascend", WORDS, head=b"\0\x02\x08\0\x07\0"),
    payload("lossless-palette-twice", "A palette with a word that stands twice.", "do not ascend", WORDS, head=b"\0\x02\x07\0\x07\0"),
    payload("lossless-index-without-word", "Index 2 where the palette has two words.", "an index that is not below", WORDS, head=PALETTE, chunks=[b"\0\0\x02"]),
    payload("lossless-indices-left-over", "A byte follows the indices.", "after the indices", WORDS, head=PALETTE, chunks=[b"\0\0\x01\0"]),
    payload("lossless-indices-cut", "The indices reach beyond the chunk.", "cut short", WORDS, head=PALETTE, chunks=[b"\0\0"]),
    payload("lossless-numbers-empty", "A plane as numbers of no bytes.", "1 to 256 ascending bytes", BYTES, chunks=[b"\x03" + u32(0)]),
    payload("lossless-numbers-list-cut", "A plane as numbers that ends within its list.", "1 to 256 ascending bytes", BYTES, chunks=[as_numbers(b"", 2)[:1] + u32(2) + b"\x02\x07"]),
    payload("lossless-numbers-not-ascending", "The values 8 and 7, in this order.", "1 to 256 ascending bytes", BYTES, chunks=[as_numbers(b"\x08\x07", 2, 1)]),
    payload("lossless-numbers-of-none", "Numbers that stand for no bytes each.", "0 bytes for each number", BYTES, chunks=[as_numbers(b"\x07\x08", 0, 1)]),
    payload("lossless-numbers-of-11", "Numbers that stand for eleven bytes each.", "11 bytes for each number", BYTES, chunks=[as_numbers(b"\x07", 11, 0)]),
    payload("lossless-numbers-too-large", "Numbers of three bytes of eleven values, 1331 in all.", "3 bytes for each number", BYTES, chunks=[as_numbers(bytes(range(11)), 3, 0)]),
    payload("lossless-number-without-bytes", "The number 4 where two bytes of two values have four numbers.", "stands for no bytes", BYTES, chunks=[as_numbers(b"\x07\x08", 2, 4)]),
    payload("lossless-number-not-filled", "The last number says a third byte, and the plane has two.", "fill up the last number", BYTES, chunks=[as_numbers(b"\x07\x08", 3, 6)]),
    payload("lossless-numbers-table", "A table of kind 3, the law.", "a table of frequencies is not valid", BYTES, chunks=[plane_of(3, b"\x02\x07\x08\x2c\0\0\0")]),
    payload("lossless-numbers-left-over", "A byte follows the last word.", "left over", BYTES, chunks=[as_numbers(b"\x07\x08", 2, 2, rest=b"\0")]),
    payload("lossless-plane-cut", "The plane reaches beyond the chunk.", "cut short", BYTES, chunks=[b"\0\x07"]),
    payload("lossless-length-cut", "The chunk ends within a length field.", "cut short", stored(np.array([1], np.uint16)), chunks=[b"\0\x01\x01\0\0\0"]),
    payload("lossless-plane-missing", "The chunk lacks its last plane.", "cut short", stored(np.array([1], np.uint16)), chunks=[b"\0\x01"]),
    payload("lossless-chunk-empty", "A chunk of no bytes.", "cut short", BYTES, chunks=[b""]),
    payload("lossless-plane-left-over", "A byte follows the last plane.", "after the last plane", BYTES, chunks=[b"\0\x07\x08\x09"]),
    payload("lossless-frame-beyond-chunk", "A frame's length reaches beyond the chunk.", "cut short", BYTES, chunks=[b"\x01" + u32(12) + ZSTD + b"\x20\x02" + RAW]),
    payload("lossless-frame-not-zstd", "A frame with another magic.", "lossless: ", BYTES, chunks=[frame(b"\x29\xb5\x2f\xfd\x20\x02" + RAW)]),
    payload("lossless-frame-cut", "A frame that ends within its block.", "lossless: ", BYTES, chunks=[frame(ZSTD + b"\x20\x02" + RAW[:-1])]),
    payload("lossless-frame-without-size", "A frame that does not declare its content's size.", "wrong length", BYTES, chunks=[frame(ZSTD + b"\x00\x00" + RAW)]),
    payload("lossless-frame-of-other-size", "A frame that declares and holds three bytes where the plane has two.", "wrong length", BYTES,
            chunks=[frame(ZSTD + b"\x20\x03" + struct.pack("<I", 1 | 3 << 3)[:3] + b"\x07\x08\x09")]),
    payload("lossless-frame-shorter-than-declared", "A frame that declares two bytes and holds one.", "lossless: ", BYTES,
            chunks=[frame(ZSTD + b"\x20\x02" + struct.pack("<I", 1 | 1 << 3)[:3] + b"\x07")]),
    payload("lossless-frame-followed", "A byte follows the frame within its length.", "lossless: ", BYTES, chunks=[frame(ZSTD + b"\x20\x02" + RAW + b"\0")]),
    payload("lossless-two-frames", "Two frames of a byte each within one length.", "wrong length", BYTES,
            chunks=[frame(2 * (ZSTD + b"\x20\x01" + struct.pack("<I", 1 | 1 << 3)[:3] + b"\x07"))]),
    payload("lossless-frame-skippable", "A skippable frame.", "lossless: ", BYTES, chunks=[frame(b"\x50\x2a\x4d\x18" + u32(2) + b"\x07\x08")]),
    payload("lossless-frame-dictionary", "A frame that asks for dictionary 7.", "lossless: ", BYTES, chunks=[frame(ZSTD + b"\x21\x07\x02" + RAW)]),
    payload("lossless-frame-window", "A frame with a window of 2²⁸ bytes.", "lossless: ", BYTES, chunks=[frame(ZSTD + b"\x80\x90" + u32(2) + RAW)]),
    payload("lossless-frame-checksum", "A frame with a content checksum.", "checksum of its own", BYTES,
            chunks=[frame(zstandard.ZstdCompressor(write_checksum=True).compress(b"\x07\x08"))]),
    payload("lossless-frame-reserved-bit", "A frame with the reserved bit of its descriptor set.", "lossless: ", BYTES, chunks=[frame(ZSTD + b"\x28\x02" + RAW)]),
    payload("lossless-frame-block-reserved", "A frame with a block of the reserved type.", "lossless: ", BYTES,
            chunks=[frame(ZSTD + b"\x20\x02" + struct.pack("<I", 1 | 3 << 1 | 2 << 3)[:3] + b"\x07\x08")]),
    payload("lossless-frame-block-repeats", "A block of 131073 repeated bytes, one more than a block may have.", "block of a byte plane is too large",
            stored(np.zeros((1 << 17) + 1, np.uint8)), chunks=[frame(ZSTD + b"\xa0" + u32((1 << 17) + 1) + block(1, (1 << 17) + 1, b"\0"))]),
    payload("lossless-frame-block-above-window", "A block of 1025 raw bytes in a window of 1024.", "block of a byte plane is too large",
            stored(np.zeros(1025, np.uint8)), chunks=[frame(ZSTD + b"\x80\0" + u32(1025) + block(0, 1025, bytes(1025)))]),
    payload("lossless-frame-weights", "A Huffman code of the weights 5, 5 and 6, none of which is 1.", "decompression error", stored(np.zeros(4, np.uint8)),
            chunks=[frame(ZSTD + b"\x80\0" + u32(4) + block(2, len(LITERALS), LITERALS))]),
    payload("lossless-coding-4", "A plane of coding 4.", "coding 4 of a byte plane is unknown", BYTES, chunks=[b"\x04" + u32(2) + b"\x07\x08"]),
    payload("lossless-symbols-beyond-chunk", "The length of a plane as symbols reaches beyond the chunk.", "cut short", BYTES,
            chunks=[listed(7, 8, rest=coded(0, 1))[:-1]]),
    payload("lossless-symbols-none-listed", "A plane as symbols that lists no value.", "1 to 31 ascending bytes", BYTES, chunks=[listed(rest=coded(31, 31) + b"\x07\x08")]),
    payload("lossless-symbols-32-listed", "A plane as symbols that lists 32 values.", "1 to 31 ascending bytes", BYTES, chunks=[listed(*range(32), rest=coded(7, 8))]),
    payload("lossless-symbols-not-ascending", "The values 8 and 7, in this order.", "1 to 31 ascending bytes", BYTES, chunks=[listed(8, 7, rest=coded(1, 0))]),
    payload("lossless-symbols-twice", "The value 7 is listed twice.", "1 to 31 ascending bytes", stored(np.array([7, 7], np.uint8)), chunks=[listed(7, 7, rest=coded(0, 1))]),
    payload("lossless-symbols-empty", "A plane as symbols of no bytes.", "1 to 31 ascending bytes", BYTES, chunks=[b"\x02" + u32(0)]),
    payload("lossless-symbols-list-cut", "A plane as symbols that ends within its list.", "1 to 31 ascending bytes", BYTES, chunks=[b"\x02" + u32(2) + b"\x02\x07"]),
    payload("lossless-symbols-without-value", "Symbol 1 where one value is listed.", "symbol without a value", BYTES, chunks=[listed(7, rest=coded(0, 1))]),
    payload("lossless-symbols-apart-missing", "Two bytes of symbol 31, of which one follows.", "more or fewer bytes apart", BYTES, chunks=[listed(9, rest=coded(31, 31) + b"\x07")]),
    payload("lossless-symbols-apart-left-over", "A byte follows, and no symbol is 31.", "more or fewer bytes apart", BYTES, chunks=[listed(7, 8, rest=coded(0, 1) + b"\x07")]),
    payload("lossless-bool-2", "A bool that is neither 0 nor 1.", "neither 0 nor 1", stored(np.array([True, False])), chunks=[b"\0\x01\x02"]),
)  # fmt: skip


def example() -> Record:
    """The worked example of 02: levels 3, −1, 0, 0; chunk 8427."""
    return record("", flat(3, -1, 0, 0.5), "sd", 0.1)


def unbiased() -> Record:
    return record("", normal(30), "rsd", 0.25, seed=5)


def number(*choices: tuple[Fraction, bool]) -> bytes:
    """A number that choices of 02 narrow down to, after two zeros among four values.

    choices: the share of the first part, and whether the number is above it.
    """
    low, width = Fraction(2, 5), Fraction(1, 5)
    for share, above in choices:
        low, width = (low + width * share, width * (1 - share)) if above else (low, width * share)
    return int((low + width / 2) * 2**128).to_bytes(16, "big")


def halves(digits: str) -> list[tuple[Fraction, bool]]:
    return [(Fraction(1, 2), digit == "1") for digit in digits]


NOT_UNARY, NOT_ZERO = (Fraction(15, 16), True), (Fraction(1, 2), True)
NOT_SD = "sparse dithering: "
CODE = NOT_SD + "the bytes"
SPARSE_DITHERING = (
    payload("sd-head-empty", "A head of no bytes.", NOT_SD + "a head of 0", example, head=b""),
    payload("sd-head-of-5", "A head of five bytes.", NOT_SD + "a head of 5", example, head=f32(1) + b"\0"),
    payload("sd-scale-0", "A scale of 0.", NOT_SD + "the scale", example, head=f32(0)),
    payload("sd-scale-infinite", "An infinite scale.", NOT_SD + "the scale", example, head=f32(float("-inf"))),
    payload("sd-scale-nan", "A scale that is NaN.", NOT_SD + "the scale", example, head=f64(float("nan"))),
    payload("sd-scale-subnormal", "A scale that is a subnormal binary32.", NOT_SD + "the scale", example, head=u32(0x807FFFFF)),
    payload("sd-chunk-empty", "A chunk of no bytes: no zeros, and a level that no byte ends.", CODE, example, chunks=[b""]),
    payload("sd-level-without-end", "The last level has no end: the number is the lower end of its interval.", CODE, example,
            chunks=[(4 * (2 * (2**62 // 5))).to_bytes(8, "big")]),
    payload("sd-zeros-above-values", "More zeros than values.", CODE, example, chunks=[b"\xff" * 9]),
    payload("sd-number-not-smallest", "Another number of the interval, of as many bytes but larger.", CODE, example, chunks=[b"\x84\x28"]),
    payload("sd-number-not-shortest", "Another number of the interval, smaller but of one byte more.", CODE, example, chunks=[b"\x84\x26\xf0"]),
    payload("sd-rice-parameter-54", "A Rice parameter of 54.", CODE, example, chunks=[number(NOT_UNARY, *halves("110101"))]),
    payload("sd-level-above-2-53", "A level of 2⁵³ + 1.", CODE, example,
            chunks=[number(NOT_UNARY, *halves("110100"), NOT_ZERO, *halves("01" + 53 * "0"))]),
    payload("sd-zero-at-the-end", "A byte of 0 at the end.", CODE, example, chunks=[b"\x84\x27\x00"]),
    payload("sd-byte-left-over", "A byte follows the number.", CODE, example, chunks=[b"\x84\x27" + bytes(6) + b"\1"]),
    payload("rsd-head-of-3", "A head of three bytes.", NOT_SD + "a head of 3", unbiased, head=bytes(3)),
    payload("rsd-zero-at-the-end", "A byte of 0 at the end.", CODE, unbiased, chunks=[unbiased().chunks[0] + b"\0"]),
    payload("rsd-byte-left-over", "Bytes follow the number.", CODE, unbiased, chunks=[unbiased().chunks[0] + b"\1\1"]),
    payload("rsd-guarantee-alpha", "rsd with the guarantee alpha, which it does not give.", "cannot guarantee alpha", unbiased, guarantee=b"\x01", expected=b""),
)  # fmt: skip


def one_block() -> Record:
    """The worked example of 04 for one block.

    Its parts are the index 110 0000, the exponent 177 and the mantissa 10000101. The modulus is 28,
    spare is 4.
    """
    return record("", flat(3, -1, 0.5), "sc", 0.1)


def one_block_f64() -> Record:
    return record("", flat(3, -1, 0.5, dtype=np.float64), "sc", 0.1)


def many_values() -> Record:
    """A shape that one block cannot have, in one chunk."""
    return one_block().but(dims=pack_varint(65537), chunk=pack_varint(65537))


def two_chunks() -> Record:
    base = record("", flat(3, -1, 0.5), "sd", 0.1, chunk=2)
    return base.but(compressor=b"\x04").holding(b"\x13", [bits("110 0000 010110001 10000101")] * 2)


def blocks() -> Record:
    return record("", normal(24, 20), "sc", 0.2)


def single_values() -> Record:
    """200 values in blocks of one."""
    return record("", normal(200), "sc", 0.1, block=1)


def unbiased_blocks() -> Record:
    return record("", normal(200), "sc:omega", 0.5, seed=10)


def plan(
    start: int = 0x80, seed: bytes = b"", length: int = 4, exponent: int = 2, step: float = 0.5, spread: float = 0.7,
    classes: bytes = b"\x01\x11\xf4\x2d\x00",
) -> bytes:  # fmt: skip
    """The head of blocks of 4 values, with one class, and of 2 values, with none."""
    return bytes([start]) + seed + struct.pack("<Bhff", length, exponent, step, spread) + classes


RANGE, TOO_SHORT = "out of range", "too short"
SPHERICAL = (
    payload("sc-head-empty", "A head of no bytes.", "head is empty", one_block, head=b""),
    payload("sc-head-121", "A first byte that no payload has.", "head cannot be right", one_block, head=b"\x79"),
    payload("sc-head-left-over", "A byte after the modulus of one block without a seed.", "head cannot be right", one_block, head=b"\x13\x00"),
    payload("sc-seed-missing", "One block with a seed of no bytes.", "head cannot be right", one_block, head=b"\x78\x13"),
    payload("sc-seed-ends-in-0", "One block whose seed ends with a byte of 0.", "head cannot be right", one_block, head=b"\x78\x13\x05\x00"),
    payload("sc-seed-of-9", "One block with a seed of nine bytes.", "head cannot be right", one_block, head=b"\x78\x13" + 9 * b"\x01"),
    payload("sc-modulus-120", "A modulus of code 120.", "head cannot be right", one_block, head=b"\x78\x78\x01"),
    payload("sc-one-block-too-large", "One block of 65537 values.", "of this size", many_values),
    payload("sc-one-block-two-chunks", "One block in a tensor of two chunks.", "of this size", two_chunks),
    payload("sc-one-block-empty", "A chunk of no bytes.", "index", one_block, chunks=[b""]),
    payload("sc-one-block-cut-in-index", "The bits end within the quotient.", "index", one_block, chunks=[b"\xff"]),
    payload("sc-one-block-mantissa-short", "A mantissa of 7 bits.", "wrong length", one_block, chunks=[bits("1110 0000 010110001 1000010")]),
    payload("sc-one-block-mantissa-long", "A mantissa of 53 bits.", "wrong length", one_block, chunks=[bits("111110 0000 010110001" + 53 * "1")]),
    payload("sc-one-block-quotient-256", "A quotient of 256.", "index", one_block, chunks=[bits(256 * "1" + "0 0000 010110001 10000101")]),
    payload("sc-one-block-too-long", "A chunk of 65 bytes.", "of this size", one_block, chunks=[bits("0" * 520)]),
    payload("sc-one-block-exponent", "An exponent of 1101.", "", one_block_f64, chunks=[bits("110 0000 100010101101 " + 13 * "0")]),
    payload("sc-blocks-seed-of-9", "A seed of nine bytes.", RANGE, blocks, head=plan(0x89, 9 * b"\x01")),
    payload("sc-blocks-seed-ends-in-0", "A seed that ends with a byte of 0.", RANGE, blocks, head=plan(0x82, b"\x01\x00")),
    payload("sc-blocks-length-0", "Blocks of no values.", RANGE, blocks, head=plan(length=0)),
    payload("sc-blocks-length-129", "Blocks of 129 values.", RANGE, blocks, head=plan(length=129, classes=bytes(10))),
    payload("sc-blocks-exponent", "An exponent of −1101.", RANGE, blocks, head=plan(exponent=-1101)),
    payload("sc-blocks-step-0", "A step of 0.", RANGE, blocks, head=plan(step=0)),
    payload("sc-blocks-spread-nan", "A spread that is NaN.", RANGE, blocks, head=plan(spread=float("nan"))),
    payload("sc-blocks-classes-16", "16 classes of a length.", "16 classes", blocks, head=plan(classes=b"\x10" + 16 * b"\x11\xf4\x2d" + b"\0")),
    payload("sc-blocks-class-modulus", "A class whose modulus has the code 120.", RANGE, blocks, head=plan(classes=b"\x01\x78\xf4\x2d\0")),
    payload("sc-blocks-class-scale-0", "A class of scale 0.", RANGE, blocks, head=plan(classes=b"\x01\x11\0\0\0")),
    payload("sc-blocks-class-scale-infinite", "A class of infinite scale.", RANGE, unbiased_blocks,
            head=plan(0x90, classes=b"\x01\x11" + f32(float("inf")) + b"\0")),
    payload("sc-blocks-head-cut", "The head ends before its last length's classes.", TOO_SHORT, blocks, head=plan()[:-1]),
    payload("sc-blocks-head-left-over", "A byte follows the classes.", "left over", blocks, head=plan() + b"\0"),
    payload("sc-blocks-chunk-dropped", "A chunk whose missing zeros are more than 64 bytes.", "chunk's data", single_values, chunks=[b""]),
    payload("sc-blocks-chunk-long", "A chunk with more bytes than the range coder takes.", "chunk's data", blocks, chunks=[blocks().chunks[0] + bytes(40)]),
)  # fmt: skip

BAD_PAYLOADS: tuple[Bad, ...] = LOSSLESS + SPARSE_DITHERING + SPHERICAL
