"""What went wrong, as one line, a stable code and an exit code."""

import errno
import signal
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import GcodecError, InternalError

USAGE, SYSTEM = 2, 5  # exit codes
_OF_FILES = "; the limit of this process is too low, raise it (ulimit -n)"
_HINTS = {errno.ENAMETOOLONG: "; choose a shorter name with -o", errno.EMFILE: _OF_FILES}


@dataclass(frozen=True)
class Failure:
    """One error. code: a name for programs. file: the one that it is about, if known."""

    code: str
    message: str
    exit_code: int
    file: str | None = None

    def to_json(self) -> dict[str, Any]:
        error: dict[str, Any] = {"code": self.code, "message": self.message, "exit_code": self.exit_code}
        return {"ok": False, "error": error | ({"file": self.file} if self.file is not None else {})}


def failure_of(error: BaseException) -> Failure:
    """The failure that an exception stands for; whatever is not foreseen is a fault of gcodec."""
    if isinstance(error, GcodecError):
        return Failure(error.code, str(error), error.exit_code, error.file)
    if isinstance(error, BrokenPipeError):
        return Failure("io", "the reader of the output closed the pipe", SYSTEM)
    if isinstance(error, OSError):
        return _of_system(error)
    if isinstance(error, MemoryError):
        return Failure("memory", "not enough memory for this tensor", SYSTEM)
    if isinstance(error, KeyboardInterrupt):
        number = error.args[0] if error.args else signal.SIGINT
        return Failure("interrupted", "interrupted; nothing was left behind", 128 + number)
    return Failure(InternalError.code, _fault(error), InternalError.exit_code)


def _of_system(error: OSError) -> Failure:
    file = None if error.filename is None else str(error.filename)
    where = f"{file}: " if file else ""
    hint = "; check the name" if error.strerror == "No such file or directory" else _HINTS.get(error.errno or 0, "")
    return Failure("io", f"{where}{error.strerror or error}{hint}", SYSTEM, file)


def _fault(error: BaseException) -> str:
    """One line on an error that should not happen, with what someone who mends it needs to know."""
    words = " ".join(f"{type(error).__name__}: {error}".split())
    for place in traceback.extract_tb(error.__traceback__)[-1:]:
        words += f" ({Path(place.filename).name}, line {place.lineno})"
    return f"this is a fault of gcodec {__version__}, please report it with this line and the command: {words}"
