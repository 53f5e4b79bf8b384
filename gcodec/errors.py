"""The errors of gcodec: one tree, each class with a stable code and the exit code of the command line.

    GcodecError
    ├── InvalidInput            2  an argument or an array that cannot be encoded (also a ValueError)
    │   └── NonFinite           2  NaN or infinity where a bound was asked for
    ├── FormatError             3  the bytes are not what the format allows (also a ValueError)
    │   ├── NotGcodec           3  the magic is missing
    │   ├── Truncated           3  the bytes end too early
    │   ├── ChecksumMismatch    3  a CRC-32 does not agree
    │   └── Corrupt             3  checksums agree, the structure does not
    ├── UnsupportedVersion      4  written by a later major version
    ├── UnsupportedFeature      4  needs a compressor, dtype or flag that this version does not know
    └── LimitExceeded           5  declares more than the reader's limits allow

Exit code 1 is that of `gcodec verify` when a promise is broken. A failing operating system call stays an OSError; the command line turns it into exit code 5 as well.
"""


class GcodecError(Exception):
    """Base of all errors that gcodec raises on purpose."""

    code = "error"
    exit_code = 2


class InvalidInput(GcodecError, ValueError):
    code = "invalid-input"


class NonFinite(InvalidInput):
    code = "non-finite"


class FormatError(GcodecError, ValueError):
    code = "format"
    exit_code = 3


class NotGcodec(FormatError):
    code = "not-gcodec"


class Truncated(FormatError):
    code = "truncated"


class ChecksumMismatch(FormatError):
    code = "checksum"


class Corrupt(FormatError):
    code = "corrupt"


class UnsupportedVersion(GcodecError):
    code = "unsupported-version"
    exit_code = 4


class UnsupportedFeature(GcodecError):
    code = "unsupported-feature"
    exit_code = 4


class LimitExceeded(GcodecError):
    code = "limit"
    exit_code = 5
