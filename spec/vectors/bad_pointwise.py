"""Bad payloads of the method whose guarantee is pointwise: geometric."""

from functools import partial

import numpy as np
from bad_payloads import payload
from bad_trellis import IDLE, ONE, lanes
from cases import Bad
from gcz import Record, bits, record
from good import flat


def example() -> Record:
    """The worked example of 09: head and chunk are written out there."""
    return record("", flat(3, -1, 0, 0.5), "geometric", 0.1)


def raw_bits() -> Record:
    """Four values with a raw width."""
    return record("", flat(100, -1, 0, 0.5), "geometric", 1e-4)


def doubles() -> Record:
    return record("", flat(3, -1, 0, 0.5, dtype=np.float64), "geometric", 0.1)


def head(error: str = "10011001 000011 000000", first: int = 0x3F000000, last: int = 0x40400000,
         centre: str = "000001 1 000011 100 0", mode: str = "00", width: int = 32) -> bytes:  # fmt: skip
    """The head of the worked example, with other fields."""
    return bits(f"{error} {first:0{width}b} {last:0{width}b} {centre} {mode}")


ONE_SYMBOL = "1 00 00111"  # raw width 0; the symbol 7 alone, of level 8
FIELDS = "01" + ONE_SYMBOL + IDLE
SIGNS = b"\x40"
bad = partial(payload, base=example)


def geometric(name: str, about: str, message: str, **changed: object) -> Bad:
    return bad(f"geometric-{name}", about, message, **changed)


POINTWISE = (
    geometric("head-empty", "A head of no bytes.", "geometric head", head=b""),
    geometric("head-cut", "The head ends within the last pattern.", "geometric head", head=head()[:9]),
    geometric("head-left-over", "A byte follows the head.", "left over", head=example().head + b"\0"),
    geometric("head-filling", "The last bit that fills up the head is 1.", "zeros", head=example().head[:-1] + bytes([example().head[-1] | 1])),
    geometric("exponent-63", "An error of exponent 63.", "out of their range", head=head("10011001 110110 000000")),
    geometric("doublings-53", "Runs of up to 2⁵³ intervals.", "out of their range", head=head("10011001 000011 110101")),
    geometric("first-0", "The first pattern is that of zero.", "out of their range", head=head(first=0)),
    geometric("last-below-first", "The last pattern is below the first.", "out of their range", head=head(last=0x3EFFFFFF)),
    geometric("last-infinite", "The last pattern is that of infinity.", "out of their range", head=head(last=0x7F800000)),
    geometric("last-negative", "The last pattern has a sign.", "out of their range", head=head(last=0xC0400000)),
    geometric("runs-above-2-16", "Intervals of more than 2¹⁶ runs.", "too many intervals", head=head("00000000 001110 000000", 1, 0x7F7FFFFF)),
    payload("geometric-levels-above-2-57", "Intervals of more than 2⁵⁷ levels.", "too many intervals", doubles,
            head=head("00000000 110101 110100", 1, 0x7FEFFFFFFFFFFFFF, width=64)),
    geometric("unit-of-58-bits", "A unit of 58 bits.", "too long", head=head(centre="111010" + 58 * "0" + "000000 0")),
    geometric("base-of-58-bits", "A base of 58 bits.", "too long", head=head(centre="000001 1 111010" + 58 * "0" + "0")),
    geometric("mode-3", "Classes of mode 3.", "mode 3", head=head(mode="11")),
    geometric("chunk-empty", "A chunk of no bytes.", "geometric chunk", chunks=[b""]),
    geometric("sign-mode-3", "Mode 3 of signs.", "mode 3 of signs", chunks=lanes("11" + ONE_SYMBOL + IDLE, ONE)),
    geometric("raw-width-58", "A raw width of 58.", "raw width", chunks=lanes("01" + 116 * "0" + "1 00 00111" + IDLE, ONE)),
    geometric("raw-width-negative", "A raw width of −1.", "raw width", chunks=lanes("01 01 00 00111" + IDLE, ONE)),
    geometric("law", "A table of kind 3, the law.", "table", chunks=lanes("01 1 11" + IDLE, ONE)),
    geometric("state-end", "A lane whose state does not end at 1.", "end where", chunks=lanes(FIELDS, b"\x02", SIGNS)),
    geometric("signs-cut", "A chunk without its signs.", "geometric chunk", chunks=lanes(FIELDS, ONE)),
    geometric("signs-filling", "The last bit that fills up the signs is 1.", "signs", chunks=lanes(FIELDS, ONE, b"\x41")),
    geometric("raw-bits-needless", "Eight raw bits that no level takes.", "raw bits", chunks=[example().chunks[0] + b"\0"]),
    payload("geometric-raw-bits-cut", "Fewer raw bits than the levels take.", "raw bits", raw_bits, chunks=[raw_bits().chunks[0][:-3]]),
    payload("geometric-raw-bits-left-over", "A byte of raw bits too many.", "raw bits", raw_bits, chunks=[raw_bits().chunks[0] + b"\0"]),
    geometric("raw-bits-59", "A number with 59 raw bits beside those of its length.", "raw bits",
              chunks=lanes("01 1 00 11100" + IDLE, ONE, SIGNS, raw="111011" + 84 * "0")),
    geometric("level-negative", "A level of −1.", "out of range", head=head(centre="000001 1 000010 11 0")),
    geometric("level-9", "Level 9 of nine levels.", "out of range", head=head(centre="000001 1 000011 101 0")),
    geometric("guarantee-alpha", "geometric with the guarantee alpha, which it does not give.", "cannot guarantee alpha", guarantee=b"\x01"),
)  # fmt: skip
