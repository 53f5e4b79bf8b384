"""Files of later versions. They are refused by name, and what is known of them can be read."""

from bad_container import plain, start
from cases import Bad
from gcz import container, record
from good import flat, normal

from gcodec.container.fields import pack_varint
from gcodec.container.layout import pack_block

FEATURE = "unsupported-feature"


def later(name: str, about: str, message: str, make, error: str = FEATURE, readable: tuple[str, ...] = ()) -> Bad:
    return Bad(name, about, message, make, error, "unsupported", readable)


def between(**fields: bytes):
    """A record of a later version between two that this version knows."""
    return lambda: container(
        record("first", flat(1, 2), "lossless"), plain().but(**fields), record("last", normal(5), "sd", 0.1)
    )


KNOWN = ("first", "last")
UNSUPPORTED = (
    later("major-2", "Major version 2.", "2.0", lambda: container(plain(), start=start(major=2)), "unsupported-version"),
    later("major-255-without-crc", "Major version 255, with a header whose rest is laid out otherwise: the crc is not looked at.", "255.",
          lambda: start(major=255)[:12] + b"\0\0\0\0" + b"something else", "unsupported-version"),
    later("required-flag", "A required flag.", "required flags", lambda: container(plain(), start=start(required=1))),
    later("required-flag-last", "The last required flag, in a later minor version.", "required flags", lambda: container(plain(), start=start(minor=3, required=128))),
    later("block-upper-case", "A block of an unknown type that begins with an upper-case letter.", "NEWS",
          lambda: container(record("first", flat(1, 2), "lossless"), pack_block(b"NEWS", b"x", 3) + b"abc", record("last", normal(5), "sd", 0.1)), readable=KNOWN),
    later("block-upper-case-first-only", "Only the first letter of a block's type decides.", "Tens", lambda: container(pack_block(b"Tens", b""))),
    later("dtype-15", "A record of the unknown dtype 15.", "dtype code 15", between(dtype=b"\x0F"), readable=KNOWN),
    later("dtype-300", "A record of the unknown dtype 300, a varint of two bytes.", "dtype code 300", between(dtype=pack_varint(300)), readable=KNOWN),
    later("compressor-99", "A record of the unknown compressor 99.", "compressor 99", between(compressor=b"\x63"), readable=KNOWN),
    later("compressor-private", "A record of compressor 200, of the ids for private use.", "compressor 200", between(compressor=pack_varint(200)), readable=KNOWN),
    later("payload-version-2", "A record of sd with payload version 2.", "payload version 2", between(version=b"\x02"), readable=KNOWN),
    later("payload-version-0", "A record of sd with payload version 0.", "payload version 0", between(version=b"\x00"), readable=KNOWN),
)  # fmt: skip
