"""Bad payloads of the methods with a step: ecsq, tcq, klt, dither, and structured around them."""

from dataclasses import replace
from functools import partial

import numpy as np
from bad_payloads import payload
from cases import Bad
from gcz import Record, bits, f32, f64, record, u32
from good import flat
from good_trellis import LAYER

from gcodec.container.fields import pack_varint

START = u32(1 << 16)  # a lane's state where decoding must end, of several lanes
ONE = b"\x01"  # and of a single one


def ecsq() -> Record:
    """The first worked example of 05: mantissa, exponent, no offsets, mode 0; a chunk of a law and
    one lane without words.
    """
    return record("", flat(3, -1, 0, 0.5), "ecsq", 0.1)


def raw_bits() -> Record:
    """The second worked example of 05, with raw bits."""
    return record("", flat(100, -1, 0, 0.5), "ecsq", 1e-4)


STEP = "00 101111010000 011111111111"  # trellis 0 and the step
LAW = "100111 00 11 0010"
STATE = bytes.fromhex("FD4D")
ALL_ONE = LAW + "1 00 00011"  # raw width 0; a single symbol, which costs no bits
IDLE = "000 00 00000"  # one lane with a state of one byte, and no words


def lanes(fields: str, states: bytes, words: bytes = b"", raw: str = "") -> list[bytes]:
    """A chunk: fields up to the lanes, the number of lanes and words, states, words, raw bits."""
    return [bits(fields) + states + words + bits(raw)]


def weights(text: str) -> list[bytes]:
    """A chunk whose table is full and has these weights."""
    return lanes(f"{LAW} 1 10 {text} {IDLE}", ONE)


def columns() -> Record:
    """A matrix of 2 rows and 2 columns with classes of both: the columns are 0, 0, the rows too."""
    base = record("", np.array([[3, -1], [0, 0.5]], np.float32), "ecsq", 0.1)
    return base.holding(bits(STEP + "0 01 00000") + ZEROS, [ZEROS + lanes(ALL_ONE + IDLE, ONE)[0]])


def wide() -> Record:
    """`columns` as 2²⁰ + 1 columns."""
    base, width = columns(), pack_varint(2**20 + 1)
    base = replace(base, decoded=base.decoded * 3).holding(chunks=base.chunks * 3)
    return base.but(dims=b"\x02" + width, chunk=pack_varint(2**20))


ZEROS = bits("0 00 00000" + IDLE) + ONE  # a coded sequence of zeros, however many
ecsq_bad = partial(payload, base=ecsq)
ECSQ = (
    ecsq_bad("ecsq-head-empty", "A head of no bytes.", "ecsq head", head=b""),
    ecsq_bad("ecsq-head-cut", "The head ends within the second offset.", "ecsq head", head=bits(STEP + "1 11000001")[:4]),
    ecsq_bad("ecsq-head-left-over", "A byte follows the head.", "left over", head=bits(STEP + "0 00") + b"\0"),
    ecsq_bad("ecsq-head-filling", "The head's last filling bit is 1.", "fill up", head=bits(STEP + "0 00 001")),
    ecsq_bad("ecsq-exponent-1101", "A step of exponent 1101.", "out of range", head=bits("00 101111010000 110001001101 0 00")),
    ecsq_bad("ecsq-exponent-low", "A step of exponent −1101.", "out of range", head=bits("00 101111010000 001110110011 0 00")),
    ecsq_bad("ecsq-trellis-1", "A trellis of 8 states.", "states", head=bits("01 0 101111010000 011111111111 0 00")),
    ecsq_bad("ecsq-mode-3", "Classes of mode 3.", "mode 3", head=bits(STEP + "0 11")),
    payload("ecsq-columns-missing", "Classes of rows and columns, without the columns.", "ecsq head", columns, head=bits(STEP + "0 01 00000")),
    payload("ecsq-columns-left-over", "A byte follows the columns.", "left over", columns, head=columns().head + b"\0"),
    payload("ecsq-columns-above-2-20", "Classes of 2²⁰ + 1 columns.", "columns", wide),
    payload("ecsq-columns-by-law", "A coded sequence whose table is of kind 3, the law.", "table", columns, head=bits(STEP + "0 01 00000") + bits("0 11" + IDLE) + ONE),
    payload("ecsq-rows-missing", "A chunk without the classes of its rows.", "ecsq chunk", columns, chunks=[b""]),
    ecsq_bad("ecsq-chunk-empty", "A chunk of no bytes.", "ecsq chunk", chunks=[b""]),
    ecsq_bad("ecsq-raw-width-58", "A raw width of 58.", "raw width", chunks=lanes(LAW + 116 * "0" + "1 00 00011" + IDLE, ONE)),
    ecsq_bad("ecsq-raw-width-negative", "A raw width of −1.", "raw width", chunks=lanes(LAW + "01 00 00011" + IDLE, ONE)),
    ecsq_bad("ecsq-table-paired-21", "A table of pairs whose last entry is 21.", "table", chunks=lanes(LAW + "1 01 10101" + 22 * "10 011" + IDLE, ONE)),
    ecsq_bad("ecsq-table-all-0", "A table whose weights are all 0.", "table", chunks=weights("00000" + 12 * "0" + "10")),
    ecsq_bad("ecsq-weight-above-13-bits", "A weight of 14 bits.", "table", chunks=weights("00000 011 000")),
    ecsq_bad("ecsq-weight-below-0-bits", "A weight of −1 bits.", "table", chunks=weights("00000" + 13 * "0" + "10")),
    ecsq_bad("ecsq-weight-change-27", "A change of 27 between weights.", "table", chunks=weights("00001 10 000" + 13 * "0" + "11")),
    ecsq_bad("ecsq-law-cut", "The chunk ends within the law.", "ecsq chunk", chunks=[bits(LAW)[:1]]),
    ecsq_bad("ecsq-symbol-31", "A table that has symbol 31.", "table", chunks=lanes(LAW + "1 00 11111" + IDLE, ONE)),
    ecsq_bad("ecsq-lanes-128", "128 lanes.", "lanes", chunks=lanes(ALL_ONE + "111 00000", 128 * START)),
    ecsq_bad("ecsq-filling", "A bit of the filling before the states is 1.", "fill up", chunks=lanes(LAW + "1 11 000 01 00000 001", STATE)),
    ecsq_bad("ecsq-state-0", "A single lane with the state 0.", "state", chunks=lanes(ALL_ONE + IDLE, b"\0")),
    ecsq_bad("ecsq-state-small", "A state below 2¹⁶, of two lanes.", "state", chunks=lanes(ALL_ONE + "001 00000", START + u32(0xFFFF))),
    ecsq_bad("ecsq-state-end", "A single lane whose state does not end at 1.", "end where", chunks=lanes(ALL_ONE + IDLE, b"\x02")),
    ecsq_bad("ecsq-state-of-idle-lane", "A lane that had no symbol and does not end at 2¹⁶.", "end where", chunks=lanes(ALL_ONE + "011 00000", 7 * START + u32(0x10001))),
    ecsq_bad("ecsq-states-cut", "The chunk ends within a state.", "ecsq chunk", chunks=lanes(LAW + "1 11 000 01 00000", STATE[:1])),
    ecsq_bad("ecsq-words-missing", "Fewer words than the states of two lanes take.", "end where", chunks=lanes(LAW + "1 11 001 00000", 2 * START)),
    ecsq_bad("ecsq-word-left-over", "A word that no state takes.", "end where", chunks=lanes(ALL_ONE + "001 00001 1", 2 * START, b"\0\0")),
    ecsq_bad("ecsq-words-cut", "More words are declared than there are.", "ecsq chunk", chunks=lanes(ALL_ONE + "001 00010 10", 2 * START, b"\0\0")),
    ecsq_bad("ecsq-raw-bits-needless", "Eight raw bits that no level takes.", "ecsq", chunks=[ecsq().chunks[0] + b"\0"]),
    ecsq_bad("ecsq-raw-bits-59", "A number with 59 raw bits beside those of its length.", "raw bits",
             chunks=lanes(LAW + "1 00 11100" + IDLE, ONE, raw="111011" + 84 * "0")),
    payload("ecsq-raw-bits-cut", "Fewer raw bits than the levels take.", "raw bits", raw_bits, chunks=[raw_bits().chunks[0][:-2]]),
    payload("ecsq-raw-bits-left-over", "A byte of raw bits too many.", "raw bits", raw_bits, chunks=[raw_bits().chunks[0] + b"\0"]),
    payload("ecsq-raw-bits-filling", "The last bit that fills up the raw bits is 1.", "raw bits", raw_bits,
            chunks=[raw_bits().chunks[0][:-1] + bytes([raw_bits().chunks[0][-1] | 1])]),
)  # fmt: skip


def tcq() -> Record:
    """The worked example of 06."""
    return record("", np.array([[4, -3, 1], [0.5, 0, 0.1], [2, -2, 1]], "f4"), "tcq", 0.01)


TCQ_STEP = "001101100110 011111111110"
TCQ_LAW = "101000 00 00 0111"
tcq_bad = partial(payload, base=tcq)
TCQ = (
    tcq_bad("tcq-head-empty", "A head of no bytes.", "tcq head", head=b""),
    tcq_bad("tcq-head-cut", "The head ends within the fourth offset.", "tcq head", head=bits("10 0" + TCQ_STEP + "1" + 31 * "0")[:7]),
    tcq_bad("tcq-head-left-over", "A byte follows the head.", "left over", head=tcq().head + b"\0"),
    tcq_bad("tcq-head-filling", "The last bit that fills up the head is 1.", "fill up", head=bits("10 0" + TCQ_STEP + "0 00 01")),
    tcq_bad("tcq-trellis-0", "A trellis of one state.", "states", head=bits("00" + TCQ_STEP + "0 00")),
    tcq_bad("tcq-trellis-3", "Trellis 3.", "trellis 3", head=bits("11 0" + TCQ_STEP + "0 00")),
    tcq_bad("tcq-exponent-1101", "A step of exponent 1101.", "out of range", head=bits("10 0 001101100110 110001001101 0 00")),
    tcq_bad("tcq-exponent-low", "A step of exponent −1101.", "out of range", head=bits("10 0 001101100110 001110110011 0 00")),
    tcq_bad("tcq-chunk-cut", "The chunk ends before its word does.", "tcq chunk", chunks=[tcq().chunks[0][:-1]]),
    tcq_bad("tcq-chunk-long", "A byte follows the words, which no level takes.", "tcq chunk", chunks=[tcq().chunks[0] + b"\0"]),
    tcq_bad("tcq-odd-table-missing", "The chunk ends after the table of the even book.", "tcq chunk", chunks=[bits(TCQ_LAW + "1 11")[:2]]),
    tcq_bad("tcq-symbol-31", "A table of the odd book that has symbol 31.", "table", chunks=lanes(TCQ_LAW + "1 11 00 11111" + IDLE, ONE)),
    tcq_bad("tcq-state-end", "A state that does not end at 1.", "end where", chunks=[tcq().chunks[0][:4] + bytes([tcq().chunks[0][4] ^ 1]) + tcq().chunks[0][5:]]),
)  # fmt: skip


def klt() -> Record:
    """The worked example of 07: 4 rows, 3 columns, rank 1."""
    return record("", LAYER, "klt", 0.01)


def two_chunks() -> Record:
    """A chunk of 5 values, which is no whole row, and another of 7."""
    base = record("", LAYER, "klt", 0.01)
    return Record(base.fields | {"chunk": pack_varint(7)}, base.head, base.chunks * 2, base.decoded * 2).holding()


def transposed() -> Record:
    """A wide matrix in two chunks of one row each."""
    base = record("", np.array([[1, 2, 3], [2, 4, 6.5]], "f4"), "klt", 0.01)
    return Record(base.fields | {"chunk": pack_varint(3)}, base.head, base.chunks * 2, base.decoded * 2).holding()


def unpaid(rank: int, width: int) -> Record:
    """A matrix of `rank` rows and `width` columns.

    Its factors, of full rank, are a code of a few bytes.
    """
    chunk = 2**20 // width * width
    chunks = -(-rank * width // chunk)
    head = bits(f"{FRONT} {rank - 1:012b} 10101" + "1" * (rank - 1)) + CODE
    base = replace(klt(), decoded=klt().decoded * chunks).holding(head, klt().chunks * chunks)
    return base.but(dims=pack_varint(rank) + pack_varint(width), chunk=pack_varint(chunk))


def large(length: int | None = None, cut: int = 0, chunk: bytes = b"") -> Record:
    """A transpose of more than 2²⁰ values, whose head holds both factors.

    length: another one of its first factor. cut: bytes that its head lacks. chunk: its first one.
    """
    array = np.zeros((2, 2**19 + 1), np.float32)
    array[:, 0] = 1, 2
    base = record("", array, "klt", 0.01)
    front, rest = base.head[:6], base.head[10:]
    length = int.from_bytes(base.head[6:10], "little") if length is None else length
    head = front + u32(length) + rest[: len(rest) - cut]
    return base.holding(head, [chunk, *base.chunks[1:]])


klt_bad = partial(payload, base=klt)
FRONT, CODE = "10 0 001110101001 100000000000 0 0 0 0 ", bytes.fromhex("8D1BE200FC140A")
KLT = (
    klt_bad("klt-head-empty", "A head of no bytes.", "klt head", head=b""),
    klt_bad("klt-head-cut", "The head ends within the rank.", "klt head", head=bits(FRONT)),
    klt_bad("klt-head-filling", "The last filling bit before the first factor is 1.", "fill up", head=bits(FRONT + "000000000001 10101 1 0000001") + CODE),
    klt_bad("klt-trellis-3", "Trellis 3.", "trellis 3", head=bits(FRONT.replace("10", "11", 1) + "000000000000 10101") + CODE),
    klt_bad("klt-exponent-1101", "A step of exponent 1101.", "out of range", head=bits("10 0 001110101001 110001001101 0 0 0 0 000000000000 10101") + CODE),
    klt_bad("klt-rank-4", "A rank above the width.", "rank 4", head=bits(FRONT + "000000000011 10101 111") + CODE),
    klt_bad("klt-class-below-0", "A class below 0.", "klt head", head=bits(FRONT + "000000000001 00001 001") + CODE),
    klt_bad("klt-first-factor-cut", "The first factor ends within its state.", "klt first factor", head=klt().head[:-1]),
    klt_bad("klt-first-factor-long", "A byte follows the first factor.", "klt first factor", head=klt().head + b"\0"),
    klt_bad("klt-first-factor-rows", "Numbers of rows that are not there.", "klt first factor", head=bits(FRONT[:-4] + "1 0 000000000000 10101")),
    klt_bad("klt-chunk-long", "A byte follows the second factor.", "klt chunk", chunks=[klt().chunks[0] + b"\0"]),
    payload("klt-levels-unpaid", "Both factors of a wide matrix, 17250 rows and 250 columns, in some 40 bytes.", "rank 250 and width 250", partial(unpaid, 250, 17000)),
    payload("klt-products-unpaid", "A first factor of 1025 rows and columns in some 140 bytes.", "rank 1025 and width 1025", partial(unpaid, 1025, 1025)),
    payload("klt-chunk-of-part-of-a-row", "A chunk that is not of whole rows.", "whole rows", two_chunks),
    payload("klt-transpose-in-two-chunks", "A transpose in two chunks.", "more than one chunk", transposed),
    payload("klt-together-chunk", "A chunk with a byte, though the head of a large transpose holds both factors.", "not empty", partial(large, chunk=b"\0")),
    payload("klt-together-first-factor-long", "A first factor longer than the head of a large transpose.", "klt head", partial(large, length=2**32 - 1)),
    payload("klt-together-second-factor-cut", "The second factor of a large transpose ends within its state.", "klt second factor", partial(large, cut=1)),
)  # fmt: skip


def dither() -> Record:
    """The worked example of 08.

    The head has trellis 1, seed 7 and mode 0. The chunk has a density of one node, and one lane
    without words.
    """
    return record("", flat(3, -1, 0, 0.5), "dither", 0.25, seed=7, states=8)


DITHERED, DITHER_STATE = "1 011 00000 11 000 0001", b"\x01\x2f"
dither_bad = partial(payload, base=dither)
DITHER = (
    dither_bad("dither-head-empty", "A head of no bytes.", "dither head", head=b""),
    dither_bad("dither-head-left-over", "A byte follows the head.", "left over", head=dither().head + b"\0"),
    dither_bad("dither-head-filling", "A bit that fills up the head is 1.", "fill up", head=bits("01 0000 011010110001 100000000000 01 00000 001") + ZEROS),
    dither_bad("dither-trellis-3", "Trellis 3.", "trellis", head=bits("11 0001 00000111 011010110001 100000000000 00")),
    dither_bad("dither-seed-of-9", "A seed of nine bytes.", "seed", head=bits("01 1001" + 9 * "00000111" + "011010110001 100000000000 00")),
    dither_bad("dither-exponent-1101", "A step of exponent 1101.", "out of range", head=bits("01 0001 00000111 011010110001 110001001101 00")),
    dither_bad("dither-mode-3", "Classes of mode 3.", "mode 3", head=bits("01 0001 00000111 011010110001 100000000000 11")),
    dither_bad("dither-bfloat16", "A tensor of bfloat16.", "bfloat16", dtype=b"\x02"),
    dither_bad("dither-chunk-empty", "A chunk of no bytes.", "dither chunk", chunks=[b""]),
    dither_bad("dither-node-above-13-bits", "A node of 14 bits.", "table", chunks=lanes("1 011 00000 011 000 0001 000 01 00000", DITHER_STATE)),
    dither_bad("dither-density-cut", "The chunk ends within a density.", "dither chunk", chunks=[bits(DITHERED)[:1]]),
    dither_bad("dither-state-end", "A state that does not end at 1.", "end where", chunks=lanes(DITHERED + "000 01 00000 0000", b"\x02\x2f")),
    dither_bad("dither-raw-bits-needless", "Eight raw bits that no level takes.", "end where", chunks=[dither().chunks[0] + b"\0"]),
    dither_bad("dither-raw-width-negative", "A raw width of −1.", "raw width", chunks=lanes("01 011 00000 11 000 0001 000 01 00000", DITHER_STATE)),
    dither_bad("dither-law", "A class with a raw width whose table is of kind 3, the law.", "table", chunks=lanes("001 11 000 01 00000", DITHER_STATE)),
)  # fmt: skip

ZERO = b"\1\0\0\0\0"  # one kept word, 0
MAP = b"\0\0\1\0\1\1\0"  # a plane that is stored as it is: the values number 1, 3 and 4 are kept


def structured() -> Record:
    """The worked example of 10: 0 is kept, and ecsq has what is left."""
    return record("", flat(3, 0, -1, 0, 0, 0.5), "structured", 0.1, other="ecsq", kept=(0,))


def ranged() -> Record:
    return record("", flat(3, 1, 2, 0.5), "structured", 0.1, other="ecsq", clamp=True)


def scaled() -> Record:
    return record("", np.array([[3, 1, 2], [0.5, 0.1, 0.2]], "f4"), "structured", 0.1, other="ecsq", axis=0)


def scales(first: int, second: int) -> bytes:
    """A head with these upper halves of float32 numbers as scales, and no method's head."""
    return bytes([8, 5, 1, 0, 0, first & 255, second & 255, 0, first >> 8, second >> 8])


STRUCTURED = (
    payload("structured-head-empty", "A head of no bytes.", "ends within a field", structured, head=b""),
    payload("structured-flags-32", "A flag that is unknown.", "flags 0x21 are unknown", structured, head=b"\x21\5\1" + ZERO),
    payload("structured-means-infinite", "An infinite mean of a row.", "a mean that is not finite", scaled, head=b"\x10" + scales(0x3F80, 0x7F80)[1:]),
    payload("structured-means-axis-2", "Means along axis 2 of a matrix.", "an axis that", scaled, head=b"\x10\5\1\2"),
    payload("structured-method-8", "dither as the other method.", "method 8 of payload version 1", structured, head=b"\1\x08\1" + ZERO),
    payload("structured-method-10", "structured within structured.", "method 10 of payload version 1", ranged, head=b"\0\x0a\1"),
    payload("structured-kept-klt", "klt where values are kept.", "method 7 of payload version 1", structured, head=b"\1\7\1" + ZERO),
    payload("structured-range-geometric", "geometric beside a range.", "method 9 of payload version 1", ranged, head=b"\2\x09\1" + f32(0) + f32(1)),
    payload("structured-version-2", "Payload version 2 of the other method.", "method 5 of payload version 2", structured, head=b"\1\5\2" + ZERO),
    payload("structured-kept-none", "No kept words, though the flag says so.", "ascending ones", structured, head=b"\1\5\1\0"),
    payload("structured-kept-255", "255 kept words.", "ascending ones", structured, head=b"\1\5\1\xff" + b"".join(map(u32, range(255)))),
    payload("structured-kept-cut", "The kept word is cut.", "ends within", structured, head=b"\1\5\1\1\0\0\0"),
    payload("structured-kept-not-ascending", "The words 1 and 0, in this order.", "ascending ones", structured, head=b"\1\5\1\2" + u32(1) + u32(0)),
    payload("structured-head-left-over", "A byte follows the kept word.", "bytes after the head", structured, head=b"\1\5\1" + ZERO + b"\0"),
    payload("structured-number-2", "Number 2 of the only kept word.", "the head lacks", structured, chunks=[b"\0\0\2\0\1\1\0"]),
    payload("structured-map-cut", "A map that reaches beyond the chunk.", "cut short", structured, chunks=[MAP[:-1]]),
    payload("structured-inner-head-cut", "The other method's head reaches beyond the chunk.", "ends within", structured, chunks=[MAP + u32(9) + bytes(8)]),
    payload("structured-inner-length-cut", "The length of the other method's head is cut.", "ends within", structured, chunks=[MAP + b"\0\0\0"]),
    payload("structured-nothing-left", "A byte follows a map that keeps all values.", "ends within", structured, chunks=[b"\0\1\1\1\1\1\1\0"]),
    payload("structured-all-kept-and-more", "A head of no bytes follows a map that keeps all values.", "where all are kept", structured, chunks=[b"\0\1\1\1\1\1\1" + u32(0)]),
    payload("structured-range-reversed", "A range from 2 to 1.", "a range that is none", ranged, head=b"\2\5\1" + f32(2) + f32(1)),
    payload("structured-range-nan", "A range whose end is NaN.", "a range that is none", ranged, head=b"\2\5\1" + f32(0) + f32(float("nan"))),
    payload("structured-range-infinite", "A range without an end.", "a range that is none", ranged, head=b"\2\5\1" + f32(0) + f32(float("inf"))),
    payload("structured-range-cut", "A range that is cut.", "ends within", ranged, head=b"\2\5\1" + f32(0)),
    payload("structured-mean-0", "A mean of 0.", "a mean that is 0", ranged, head=b"\4\5\1" + f64(0)),
    payload("structured-mean-infinite", "An infinite mean.", "a mean that is 0 or not finite", ranged, head=b"\4\5\1" + f64(float("inf"))),
    payload("structured-mean-cut", "A mean that is cut.", "ends within", ranged, head=b"\4\5\1" + f32(1)),
    payload("structured-rests-without-method", "A chunk with a byte, though the other method has no head.", "no method's head", ranged, head=b"\4\5\1" + f64(1), chunks=[b"\0"]),
    payload("structured-axis-missing", "The head ends before the axis.", "an axis that", scaled, head=b"\x08\5\1"),
    payload("structured-axis-2", "Scales along axis 2 of a matrix.", "an axis that", scaled, head=b"\x08\5\1\2"),
    payload("structured-scales-cut", "Scales of which the upper bytes are missing.", "cut short", scaled, head=scales(0x3F80, 0x3F80)[:-3]),
    payload("structured-scale-negative", "A scale of −1.", "negative or not finite", scaled, head=scales(0x3F80, 0xBF80)),
    payload("structured-scale-negative-zero", "A scale of −0.", "negative or not finite", scaled, head=scales(0x3F80, 0x8000)),
    payload("structured-scale-infinite", "An infinite scale.", "negative or not finite", scaled, head=scales(0x3F80, 0x7F80)),
)  # fmt: skip

BAD_TRELLIS: tuple[Bad, ...] = ECSQ + TCQ + KLT + DITHER + STRUCTURED
