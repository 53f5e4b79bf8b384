"""Files, pipes and standard streams: every byte arrives, or an error names the one at fault.

A descriptor may not block, because another program that shares it said so. Python's own files then
lose what they cannot write at once; these here wait. None of them changes how the descriptor
behaves for others.
"""

import codecs
import errno
import io
import os
import select
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from ..errors import GcodecError

_PLAIN = {"→": "->", "≤": "<=", "≥": ">=", "×": "x", "…": "...", "·": "*", "−": "-", "–": "-", "²": "^2", "‖": "||"}


class File(io.FileIO):
    """A raw file whose errors name it. `write` takes all bytes, or raises OSError.

    file: a path, or the number of an open descriptor, which stays open. label: what messages call
    it.
    """

    def __init__(self, file: str | Path | int, mode: str, label: str | None = None) -> None:
        super().__init__(file, mode, closefd=not isinstance(file, int))
        self.label = label or str(file)

    def readinto(self, buffer: Any) -> int:
        with naming(self.label):
            while (count := super().readinto(buffer)) is None:
                self._wait(select.POLLIN)
        return count

    def write(self, data: Any) -> int:
        left = memoryview(data).cast("B")
        with naming(self.label):
            while left:
                count = super().write(left)
                if count is None:
                    self._wait(select.POLLOUT)
                else:
                    left = left[count:]
        return memoryview(data).nbytes

    def _wait(self, what: int) -> None:
        poll = select.poll()
        poll.register(self.fileno(), what)
        poll.poll()


def open_input(path: str | Path) -> BinaryIO:
    """A file for reading whose errors name it."""
    return cast(BinaryIO, io.BufferedReader(File(str(path), "rb")))


def standard_input() -> BinaryIO:
    """Standard input as a binary file; raises OSError when it is closed."""
    if sys.stdin is None:
        raise OSError(errno.EBADF, "is closed", "standard input")
    return cast(BinaryIO, io.BufferedReader(File(sys.stdin.fileno(), "rb", "standard input")))


def standard_output() -> BinaryIO:
    """Standard output as a binary file without a buffer; raises OSError when it is closed."""
    if sys.stdout is None:
        raise OSError(errno.EBADF, "is closed", "standard output")
    return cast(BinaryIO, File(sys.stdout.fileno(), "wb", "standard output"))


def fill_closed() -> None:
    """Open /dev/null where a standard stream is closed, so that no other file gets its number.

    Python remembers which were closed: they stay None in `sys`.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # which takes the lowest number that is free


def is_standard_input(name: str) -> bool:
    """Whether a path is standard input, by one of its names or as the same pipe or device."""
    return name in _names_of(0, "stdin") or (sys.stdin is not None and _is_stream(name, 0))


def is_standard_output(name: str) -> bool:
    """Whether a path is standard output, by one of its names or as the same pipe or device."""
    return name in _names_of(1, "stdout") or (sys.stdout is not None and _is_stream(name, 1))


def _names_of(number: int, name: str) -> tuple[str, ...]:
    return f"/dev/{name}", f"/dev/fd/{number}", f"/proc/self/fd/{number}"


def _is_stream(path: str, number: int) -> bool:
    """Whether a path is the pipe or device that a descriptor is open for; a regular file is not."""
    if path == os.devnull:  # where nothing gets mixed, and which has a better name in messages
        return False
    try:
        about = os.stat(path)
        return not stat.S_ISREG(about.st_mode) and os.path.samestat(about, os.fstat(number))
    except (OSError, ValueError):  # such as a file that is not there yet
        return False


def read_at(file: BinaryIO, buffer: memoryview, offset: int) -> int:
    """Read some bytes from a place in a file; gives their number, which is 0 at its end."""
    with naming(file.name if isinstance(file.name, str) else tempfile.gettempdir()):
        return os.preadv(file.fileno(), [buffer], offset)


def write_text(stream: TextIO, text: str) -> None:
    """Write text as a whole; what the stream's encoding lacks is written in plain letters.

    Bytes of file names that are no text come out as they are.
    """
    try:
        number = stream.fileno()
    except (AttributeError, io.UnsupportedOperation):  # a stream within this process
        stream.write(text)
        return
    stream.flush()
    File(number, "wb", f"standard {'error' if stream is sys.stderr else 'output'}").write(
        encoded(text, stream.encoding or "utf-8")
    )


def encoded(text: str, encoding: str) -> bytes:
    """Text in an encoding, with plain letters for what it lacks."""
    return text.encode(encoding, PLAIN_LETTERS)


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """What stands for the first letter that an encoding lacks, and where to go on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letter = error.object[error.start]
    if "\udc80" <= letter <= "\udcff":  # a byte of a file name that is no text
        return bytes([ord(letter) - 0xDC00]), error.start + 1
    return _PLAIN.get(letter, letter.encode("ascii", "backslashreplace").decode()), error.start + 1


PLAIN_LETTERS = "gcodec-plain"  # the name of this way with what an encoding lacks
codecs.register_error(PLAIN_LETTERS, _plain)


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Errors of the operating system that name no file name this one."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), name) from None


@contextmanager
def speaking_of(path: Path, name: str) -> Iterator[None]:
    """Errors that speak of `path`, a temporary file's, speak of `name`."""
    try:
        yield
    except GcodecError as error:
        error.args = tuple(arg.replace(str(path), name) if isinstance(arg, str) else arg for arg in error.args)
        raise
    except OSError as error:
        if error.errno is None or str(error.filename) != str(path):
            raise
        raise OSError(error.errno, error.strerror, name) from None


@contextmanager
def about(name: str, *kinds: type[GcodecError]) -> Iterator[None]:
    """Errors of these kinds name the file that they are about."""
    try:
        yield
    except kinds as error:
        name_file(error, name)
        raise


def name_file(error: GcodecError, name: str) -> None:
    """Let an error name the file that it is about, if it names none yet."""
    if error.file is None:
        error.file = name
        error.args = (str(error) if name in str(error) else f"{name}: {error}",)
