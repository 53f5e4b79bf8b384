"""The errors of gcodec, each with a stable code and the exit code of the command line.

    GcodecError
    ├── InvalidInput            2  an argument or an array that is not taken (also a ValueError)
    │   └── NonFinite           2  NaN or infinity where a bound was asked for
    ├── MissingTensor           2  a container has no tensor of this name (also a KeyError)
    ├── MissingBase             2  a record is coded against a base that is not at hand
    ├── Closed                  2  an archive or a writer that was closed before (also a ValueError)
    ├── FormatError             3  the bytes are not what the format allows (also a ValueError)
    │   ├── NotGcodec           3  the magic is missing
    │   ├── Truncated           3  the bytes end too early
    │   ├── ChecksumMismatch    3  a CRC-32 does not agree
    │   └── Corrupt             3  checksums agree, the structure does not
    ├── UnsupportedVersion      4  written by a later major version
    ├── UnsupportedFeature      4  needs a compressor, dtype or flag that this version does not know
    ├── LimitExceeded           5  declares more than the reader's limits allow
    ├── OutOfMemory             5  the system gives too little memory (also a MemoryError)
    └── PluginError            70  a compressor of another package has a fault

    InternalError              70  what cannot happen unless gcodec itself has a fault

InternalError stands apart, so that a program which catches GcodecError to pass over a bad file does
not pass over a fault of gcodec. Exit code 1 means that `gcodec verify` found a broken promise, and
nothing else. A failing operating system call stays an OSError; the command line turns it into exit
code 5 as well.
"""


class GcodecError(Exception):
    """The base of all errors that gcodec raises on purpose."""

    code = "error"
    exit_code = 2
    file: str | None = None  # the file that it is about, where the command line knows it


class InvalidInput(GcodecError, ValueError):
    code = "invalid-input"


class NonFinite(InvalidInput):
    code = "non-finite"


class MissingTensor(GcodecError, KeyError):
    code = "missing-tensor"

    def __str__(self) -> str:
        """The message itself; a KeyError would put quotes around it."""
        return str(self.args[0]) if self.args else ""


class MissingBase(GcodecError):
    code = "missing-base"


class Closed(GcodecError, ValueError):
    code = "closed"


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


class OutOfMemory(GcodecError, MemoryError):
    code = "memory"
    exit_code = 5


class PluginError(GcodecError):
    """A compressor of another package has a fault, which its authors can mend."""

    code = "plug-in"
    exit_code = 70


class InternalError(Exception):
    """gcodec has a fault: a check of its own work failed. Please report it."""

    code = "internal"
    exit_code = 70
