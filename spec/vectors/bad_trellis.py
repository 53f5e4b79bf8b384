"""Bad payloads of the methods with a step: ecsq, tcq, klt, dither."""

from dataclasses import replace
from functools import partial

import numpy as np
from bad_payloads import payload
from cases import Bad
from gcz import Record, bits, record, u32
from good import flat, normal
from good_trellis import LAYER

from gcodec.container.fields import pack_varint

START = u32(1 << 16)  # a lane's state where decoding must end


def ecsq() -> Record:
    """The worked example of 05.

    The head has a mantissa, an exponent, two offsets and mode 0. The chunk has one table and one
    lane without words.
    """
    return record("", flat(3, -1, 0, 0.5), "ecsq", 0.1)


def raw_bits() -> Record:
    """The worked example of 05 with raw bits."""
    return record("", flat(100, -1, 0, 0.5), "ecsq", 1e-4)


STEP = "111100100110 100000000000"
TABLE = "1 01 00010  10 011 0010 011 10 011"  # raw width 0; symmetric, last 2; three weights
STATE = u32(0x1005C00)
ALL_ONE = "1 00 00011"  # raw width 0; a single symbol, which costs no bits


def lanes(fields: str, states: bytes, words: bytes = b"", raw: str = "") -> list[bytes]:
    """A chunk: fields up to the lanes, the number of lanes and words, states, words, raw bits."""
    return [bits(fields) + states + words + bits(raw)]


def weights(text: str) -> list[bytes]:
    """A chunk whose table is full and has these weights."""
    return lanes(f"1 10 {text} 000 00000", START)


def columns() -> Record:
    """A matrix of 2 rows and 2 columns with classes of both: the columns are 0, 0, the rows too."""
    base = record("", np.array([[3, -1], [0, 0.5]], np.float32), "ecsq", 0.1)
    return base.holding(bits(STEP + "0 01 00000") + ZEROS, [ZEROS + lanes(ALL_ONE + "000 00000", START)[0]])


def wide() -> Record:
    """`columns` as 2²⁰ + 1 columns."""
    base, width = columns(), pack_varint(2**20 + 1)
    base = replace(base, decoded=base.decoded * 3).holding(chunks=base.chunks * 3)
    return base.but(dims=b"\x02" + width, chunk=pack_varint(2**20))


ZEROS = bits("00 00000 000 00000") + START  # a coded sequence of zeros, however many
ecsq_bad = partial(payload, base=ecsq)
ECSQ = (
    ecsq_bad("ecsq-head-empty", "A head of no bytes.", "ecsq head", head=b""),
    ecsq_bad("ecsq-head-cut", "The head ends within the second offset.", "ecsq head", head=bits(STEP + "1 11000001")[:4]),
    ecsq_bad("ecsq-head-left-over", "A byte follows the head.", "left over", head=bits(STEP + "0 00") + b"\0"),
    ecsq_bad("ecsq-head-filling", "The head's last filling bit is 1.", "padding", head=bits(STEP + "0 00 00001")),
    ecsq_bad("ecsq-exponent-1101", "A step of exponent 1101.", "out of range", head=bits("111100100110 110001001101 0 00")),
    ecsq_bad("ecsq-exponent-low", "A step of exponent −1101.", "out of range", head=bits("111100100110 001110110011 0 00")),
    ecsq_bad("ecsq-mode-3", "Classes of mode 3.", "mode 3", head=bits(STEP + "0 11")),
    payload("ecsq-columns-missing", "Classes of rows and columns, without the columns.", "ecsq head", columns, head=bits(STEP + "0 01 00000")),
    payload("ecsq-columns-left-over", "A byte follows the columns.", "left over", columns, head=columns().head + b"\0"),
    payload("ecsq-columns-above-2-20", "Classes of 2²⁰ + 1 columns.", "columns", wide),
    payload("ecsq-rows-missing", "A chunk without the classes of its rows.", "ecsq chunk", columns, chunks=[b""]),
    ecsq_bad("ecsq-chunk-empty", "A chunk of no bytes.", "ecsq chunk", chunks=[b""]),
    ecsq_bad("ecsq-raw-width-61", "A raw width of 61.", "shift", chunks=lanes(122 * "0" + ALL_ONE + "000 00000", START)),
    ecsq_bad("ecsq-raw-width-negative", "A raw width of −1.", "shift", chunks=lanes("0" + ALL_ONE + "000 00000", START)),
    ecsq_bad("ecsq-table-kind-3", "A table of kind 3.", "table", chunks=lanes("1 11 00011 000 00000", START)),
    ecsq_bad("ecsq-table-symmetric-16", "A symmetric table whose last token is 16.", "table", chunks=lanes("1 01 10000" + 17 * "10 011" + "000 00000", START)),
    ecsq_bad("ecsq-table-all-0", "A table whose weights are all 0.", "table", chunks=weights("00000" + 12 * "0" + "10")),
    ecsq_bad("ecsq-weight-above-13-bits", "A weight of 14 bits.", "table", chunks=weights("00000 011 000")),
    ecsq_bad("ecsq-weight-below-0-bits", "A weight of −1 bits.", "table", chunks=weights("00000" + 13 * "0" + "10")),
    ecsq_bad("ecsq-weight-change-27", "A change of 27 between weights.", "table", chunks=weights("00001 10 000" + 13 * "0" + "11")),
    ecsq_bad("ecsq-table-cut", "The chunk ends within a table.", "ecsq chunk", chunks=[bits(TABLE)[:2]]),
    ecsq_bad("ecsq-symbol-31", "A table that has symbol 31.", "no token", chunks=lanes("1 00 11111 000 00000", START)),
    ecsq_bad("ecsq-lanes-128", "128 lanes.", "lanes", chunks=lanes(ALL_ONE + "111 00000", 128 * START)),
    ecsq_bad("ecsq-filling", "A bit of the filling before the states is 1.", "padding", chunks=lanes(TABLE + "000 00000 0000001", STATE)),
    ecsq_bad("ecsq-state-small", "A state below 2¹⁶.", "state", chunks=lanes(ALL_ONE + "000 00000", u32(0xFFFF))),
    ecsq_bad("ecsq-state-end", "A state that does not end at 2¹⁶.", "end where", chunks=lanes(ALL_ONE + "000 00000", u32(0x10001))),
    ecsq_bad("ecsq-state-of-idle-lane", "A lane that had no symbol and does not end at 2¹⁶.", "end where", chunks=lanes(ALL_ONE + "011 00000", 7 * START + u32(0x10001))),
    ecsq_bad("ecsq-states-cut", "The chunk ends within a state.", "ecsq chunk", chunks=lanes(TABLE + "000 00000", STATE[:3])),
    ecsq_bad("ecsq-words-missing", "Fewer words than the states take.", "end where", chunks=lanes(TABLE + "000 00000", u32(0x10000))),
    ecsq_bad("ecsq-word-left-over", "A word that no state takes.", "end where", chunks=lanes(TABLE + "000 00001 1", STATE, b"\0\0")),
    ecsq_bad("ecsq-words-cut", "More words are declared than there are.", "ecsq chunk", chunks=lanes(TABLE + "000 00010 10", STATE, b"\0\0")),
    ecsq_bad("ecsq-raw-bits-needless", "Eight raw bits that no level takes.", "ecsq", chunks=[ecsq().chunks[0] + b"\0"]),
    ecsq_bad("ecsq-raw-bits-61", "A level with 61 raw bits beside the token's.", "raw bits", chunks=lanes("1 00 11101 000 00000", START, raw="111101" + 84 * "0")),
    payload("ecsq-raw-bits-cut", "Fewer raw bits than the levels take.", "raw bits", raw_bits, chunks=[raw_bits().chunks[0][:-1]]),
    payload("ecsq-raw-bits-left-over", "A byte of raw bits too many.", "raw bits", raw_bits, chunks=[raw_bits().chunks[0] + b"\0"]),
    payload("ecsq-raw-bits-filling", "The last bit that fills up the raw bits is 1.", "raw bits", raw_bits,
            chunks=[raw_bits().chunks[0][:-1] + bytes([raw_bits().chunks[0][-1] | 1])]),
)  # fmt: skip


def tcq() -> Record:
    """The worked example of 06."""
    return record("", np.array([[4, -3, 1], [0.5, 0, 0.1], [2, -2, 1]], "f4"), "tcq", 0.01)


def wide() -> Record:
    """Two rows of 300 columns."""
    return record("", normal(2, 300), "tcq", 0.1)


tcq_bad = partial(payload, base=tcq)
TCQ = (
    tcq_bad("tcq-head-empty", "A head of no bytes.", "tcq head", head=b""),
    tcq_bad("tcq-head-cut", "The head ends within the code of the mean.", "tcq head", head=bits("0 001 011000101101 011111111110 0 010")),
    tcq_bad("tcq-head-left-over", "A byte follows the head.", "left over", head=tcq().head + b"\0"),
    tcq_bad("tcq-head-filling", "The last bit that fills up the head is 1.", "padding", head=bits("0 001 011000101101 011111111110 0 0100100 0001")),
    tcq_bad("tcq-trellis-2", "Trellis 2.", "trellis 2", head=bits("0 010 011000101101 011111111110 0 0100100")),
    tcq_bad("tcq-exponent-1101", "A step of exponent 1101.", "out of range", head=bits("0 001 011000101101 110001001101 0 0100100")),
    tcq_bad("tcq-exponent-low", "A step of exponent −1101.", "out of range", head=bits("0 001 011000101101 001110110011 0 0100100")),
    tcq_bad("tcq-chunk-long", "A chunk with more bytes than the range coder takes.", "coded levels", chunks=[tcq().chunks[0] + bytes(40)]),
    payload("tcq-chunk-dropped", "A chunk whose missing zeros are more than 64 bytes.", "coded levels", wide, chunks=[b""],
            head=bits("0 001 011000101101 011111111110 0 1111111")),
    tcq_bad("tcq-escape-29", "A level whose escape has a unary part of 29 or more.", "coded levels", chunks=[b"\xff" * 60]),
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
    """A matrix of `rank` rows whose first factor, of full rank, is a code of two bytes."""
    chunk = 2**20 // width * width
    chunks = -(-rank * width // chunk)
    head = bits(f"{FRONT} {rank - 1:012b} 0100111" + "1" * (rank - 1)) + CODE
    base = replace(klt(), decoded=klt().decoded * chunks).holding(head, klt().chunks * chunks)
    return base.but(dims=pack_varint(rank) + pack_varint(width), chunk=pack_varint(chunk))


klt_bad = partial(payload, base=klt)
FRONT, CODE = "1 001 001110101001 100000000000 0 0 ", b"\x4e\x88"
KLT = (
    klt_bad("klt-head-empty", "A head of no bytes.", "klt head", head=b""),
    klt_bad("klt-head-cut", "The head ends within the rank.", "klt head", head=bits(FRONT)),
    klt_bad("klt-head-filling", "The last filling bit before the first factor is 1.", "padding", head=bits(FRONT + "000000000000 0100111 0000001") + CODE),
    klt_bad("klt-trellis-2", "Trellis 2.", "trellis 2", head=bits(FRONT.replace("001", "010", 1) + "000000000000 0100111") + CODE),
    klt_bad("klt-exponent-1101", "A step of exponent 1101.", "out of range", head=bits("1 001 001110101001 110001001101 0 0 000000000000 0100111") + CODE),
    klt_bad("klt-rank-4", "A rank above the width.", "rank 4", head=bits(FRONT + "000000000011 0100111 111") + CODE),
    klt_bad("klt-mean-below-0", "A mean whose code is below 0.", "klt head", head=bits(FRONT + "000000000001 0000001 001") + CODE),
    klt_bad("klt-first-factor-long", "More bytes of the first factor than the range coder takes.", "coded levels", head=klt().head + bytes(40)),
    klt_bad("klt-first-factor-escape", "A level of the first factor whose escape has a unary part of 29 or more.", "coded levels",
            head=bits(FRONT + "000000000000 0100111") + b"\xff" * 60),
    klt_bad("klt-chunk-long", "A chunk with more bytes than the range coder takes.", "coded levels", chunks=[klt().chunks[0] + bytes(40)]),
    payload("klt-levels-unpaid", "A first factor of 17000 rows and 250 columns in 40 bytes.", "17000 x 250", partial(unpaid, 250, 17000)),
    payload("klt-products-unpaid", "A first factor of 3000 rows and 700 columns in 96 bytes.", "3000 x 700", partial(unpaid, 700, 3000)),
    payload("klt-chunk-of-part-of-a-row", "A chunk that is not of whole rows.", "whole rows", two_chunks),
    payload("klt-transpose-in-two-chunks", "A transpose in two chunks.", "whole rows", transposed),
)  # fmt: skip


def dither() -> Record:
    """The worked example of 08.

    The head has trellis 1, seed 7 and mode 0. The chunk has a density of one node, and one lane
    without words.
    """
    return record("", flat(3, -1, 0, 0.5), "dither", 0.25, seed=7, states=8)


DITHERED = "1 011 00000 11 000 0001"
dither_bad = partial(payload, base=dither)
DITHER = (
    dither_bad("dither-head-empty", "A head of no bytes.", "dither head", head=b""),
    dither_bad("dither-head-left-over", "A byte follows the head.", "left over", head=dither().head + b"\0"),
    dither_bad("dither-head-filling", "A bit that fills up the head is 1.", "padding", head=bits("01 0000 011010110001 100000000000 01 00000 001") + ZEROS),
    dither_bad("dither-trellis-3", "Trellis 3.", "trellis", head=bits("11 0001 00000111 011010110001 100000000000 00")),
    dither_bad("dither-seed-of-9", "A seed of nine bytes.", "seed", head=bits("01 1001" + 9 * "00000111" + "011010110001 100000000000 00")),
    dither_bad("dither-exponent-1101", "A step of exponent 1101.", "out of range", head=bits("01 0001 00000111 011010110001 110001001101 00")),
    dither_bad("dither-mode-3", "Classes of mode 3.", "mode 3", head=bits("01 0001 00000111 011010110001 100000000000 11")),
    dither_bad("dither-bfloat16", "A tensor of bfloat16.", "bfloat16", dtype=b"\x02"),
    dither_bad("dither-chunk-empty", "A chunk of no bytes.", "dither chunk", chunks=[b""]),
    dither_bad("dither-two-lanes", "Two lanes.", "lane", chunks=lanes(DITHERED + "001 00000", u32(0x16DF27) + START)),
    dither_bad("dither-node-above-13-bits", "A node of 14 bits.", "table", chunks=lanes("1 011 00000 011 000 0001 000 00000", u32(0x16DF27))),
    dither_bad("dither-density-cut", "The chunk ends within a density.", "dither chunk", chunks=[bits(DITHERED)[:1]]),
    dither_bad("dither-state-end", "A state that does not end at 2¹⁶.", "end where", chunks=lanes(DITHERED + "000 00000 000000", u32(0x16DF28))),
    dither_bad("dither-raw-bits-needless", "Eight raw bits that no level takes.", "end where", chunks=[dither().chunks[0] + b"\0"]),
    dither_bad("dither-raw-width-negative", "A raw width of −1.", "shift", chunks=lanes("0 1 011 00000 11 000 0001 000 00000", u32(0x16DF27))),
)  # fmt: skip

BAD_TRELLIS: tuple[Bad, ...] = ECSQ + TCQ + KLT + DITHER
