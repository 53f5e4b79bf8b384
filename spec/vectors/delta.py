"""Good and bad files of delta; the good ones name no base, so all bits of the base are 0."""

import json
from functools import partial

import numpy as np
from bad_payloads import payload
from bad_trellis import IDLE, ONE, lanes
from cases import Bad
from gcz import Record, record
from good import BF16, E4M3, E5M2, SPECIALS, case, flat, normal, sparse

from gcodec.container.fields import pack_text

NEAR_ZERO = np.array([1, 0, 0x80000000, 2], np.uint32).view(np.float32)
ROWS = (np.random.default_rng(3).integers(-3, 4, (24, 20)) * (np.arange(24) % 3 == 0)[:, None]).astype(np.int16)
FAR = np.array([2**62, -(2**62), 5, 2**56, 2**56 - 1, -(2**56)])

GOOD_DELTA = (
    case("delta-example", "The worked example of 11-delta.", NEAR_ZERO, "delta"),
    case("delta-zeros", "A chunk of no bytes: all is as the base.", np.zeros(9, np.float32), "delta"),
    case("delta-float32", "float32: wide raw bits.", normal(40), "delta"),
    case("delta-specials", "float32: zeros, infinities, NaNs and subnormal numbers of both signs.", SPECIALS.view(np.float32), "delta"),
    case("delta-float16", "float16 with many zeros.", sparse(300, dtype="f2"), "delta"),
    case("delta-bfloat16", "A bfloat16 matrix.", normal(9, 11, dtype=BF16), "delta"),
    case("delta-float8-e4m3", "Values of float8_e4m3fn.", normal(100, dtype=E4M3), "delta"),
    case("delta-float8-e5m2", "Values of float8_e5m2.", normal(100, dtype=E5M2), "delta"),
    case("delta-float64", "float64: words apart.", normal(20, dtype="f8"), "delta"),
    case("delta-rows", "int16: numbers of rows, of which two in three are as the base.", ROWS, "delta"),
    case("delta-rows-chunks", "The same in chunks of five rows.", ROWS, "delta", chunk=100),
    case("delta-far", "int64: changes from 2⁵⁶ units on, whose words are apart.", FAR, "delta"),
    case("delta-bool", "Values of bool.", normal(60) > 0, "delta"),
    case("delta-complex", "complex64: two words a value.", (normal(30) + 1j * normal(30, seed=5)).astype("c8"), "delta"),
    case("delta-64-lanes", "64 lanes, the last row of which is not full.", sparse(1100, dtype="f2"), "delta", lane_bytes=4),
)  # fmt: skip


def example() -> Record:
    return record("", NEAR_ZERO, "delta")


def same() -> Record:
    return record("", np.zeros(4, np.float32), "delta").holding(b"", [b""])


def bools() -> Record:
    return record("", np.ones(4, bool), "delta")


def doubles() -> Record:
    return record("", flat(1e300, dtype=np.float64), "delta")


def named(**base: object) -> bytes:
    """Attributes that name a base."""
    found = {"crc": 1, "name": "", "depth": 1} | base
    return pack_text(json.dumps({"base": {key: value for key, value in found.items() if value is not None}}))


bad = partial(payload, base=example)


def delta(name: str, about: str, message: str, **changed: object) -> Bad:
    return bad(f"delta-{name}", about, message, **changed)


def based(what: str, about: str, **base: object) -> Bad:
    return bad(f"record-base-{what}", about, "the attribute base", attributes=named(**base))


BAD_DELTA = (
    delta("head-cut", "A head of two bytes.", "delta head", head=b"\0\0"),
    delta("head-left-over", "A byte follows the head.", "left over", head=b"\0\0\0\0"),
    delta("flags-2", "An unknown flag.", "unknown flags", head=b"\0\0\2"),
    delta("top-256", "An exponent that float32 lacks.", "an exponent", head=b"\0\1\0"),
    payload("delta-bytes-after-no-head", "A chunk with bytes, and an empty head.", "nothing has changed", same, chunks=[b"\0"]),
    payload("delta-bool-2", "A bool that is 2.", "neither 0 nor 1", bools, chunks=lanes("1 00 00011" + IDLE, ONE)),
    delta("raw-width-58", "A raw width of 58.", "raw width", chunks=lanes(116 * "0" + "1 00 00001" + IDLE, ONE)),
    delta("law", "A table of kind 3, the law.", "table", chunks=lanes("1 11" + IDLE, ONE)),
    delta("state-end", "A lane whose state does not end at 1.", "end where", chunks=lanes("1 00 00001" + IDLE, b"\x02")),
    delta("raw-bits-needless", "Eight raw bits that no change takes.", "raw bits", chunks=[example().chunks[0] + b"\0"]),
    payload("delta-apart-cut", "A word apart of seven bytes.", "delta chunk", doubles, chunks=[doubles().chunks[0][:-1]]),
    based("crc-negative", "The crc of a base is negative.", crc=-1),
    based("crc-2-32", "The crc of a base is 2³².", crc=1 << 32),
    based("crc-missing", "A base without its crc.", crc=None),
    based("name-number", "The name of a base is a number.", name=1),
    based("depth-0", "A base of depth 0.", depth=0),
    based("alpha-1", "A bound of the change that is not below 1.", alpha=1.0),
    bad("record-base-string", "The attribute base is a string.", "the attribute base", attributes=pack_text('{"base":"x"}')),
    payload("record-base-of-lossless", "A base of a record of lossless.", "has no base", lambda: record("", flat(1, 2), "lossless"), attributes=named()),
)  # fmt: skip
