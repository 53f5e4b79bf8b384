"""The child process of `Guarded`: answers questions about one HDF5 file until its input ends."""

import errno
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .... import dtypes
from ..dataset import Dataset, Survey, plain
from ..describe import usable_filters
from ..library import OPEN_DATASETS, Library
from ..values import CACHE
from .messages import receive, send

ROOM = 1 << 29  # bytes of memory for whatever a file holds; twice the file's size come to this, but at most 2 GiB
MOST = 1 << 62  # more than any limit


class Server:
    """Does to one file what messages ask for."""

    def __init__(self, library: Library, file_size: int) -> None:
        self._library, self._file_size = library, file_size
        self._datasets: dict[str, Dataset] = {}
        self._taken = memory()
        self._usual = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        self._allow_memory(min(2 * file_size, 1 << 31))

    def answer(self, question: dict[str, Any], data: bytes) -> tuple[Any, bytes]:
        """The answer to one message: a document, and bytes."""
        limit(resource.RLIMIT_CPU, min(int(question["cpu"]) + 1, MOST))
        limit(resource.RLIMIT_FSIZE, min(question["size"], MOST))
        action: Callable[..., tuple[Any, bytes]] = getattr(self, f"_{question['do']}")
        try:
            return action(*question["args"], **({"data": data} if data else {}))
        except Exception as error:
            number = error.errno if isinstance(error, OSError) else None
            return {
                "error": str(error) or type(error).__name__,
                "errno": None if self._is_ours(number) else number,
            }, b""

    def _is_ours(self, number: int | None) -> bool:
        """Whether the system refused what our own limits forbid."""
        return number == errno.EMFILE or (number == errno.EFBIG and self._usual == resource.RLIM_INFINITY)

    def _survey(self) -> tuple[Any, bytes]:
        found: Survey = self._library.survey()
        self._datasets = dict(found.datasets)
        largest = max((about.chunk_bytes for about in self._datasets.values()), default=0)
        self._allow_memory(min(2 * self._file_size, 1 << 31) + OPEN_DATASETS * CACHE + 6 * largest)
        return found.pack()

    def _create(self) -> tuple[Any, bytes]:
        self._library.create()
        return None, b""

    def _read(self, name: str, start: int, stop: int) -> tuple[Any, bytes]:
        return None, self._library.read(self._datasets[name], start, stop).tobytes()

    def _add(self, name: str, dtype: str, shape: list[int]) -> tuple[Any, bytes]:
        self._datasets[name] = plain(name, dtypes.by_name(dtype), tuple(shape))
        self._library.add(self._datasets[name])
        return None, b""

    def _blank(self, names: list[str]) -> tuple[Any, bytes]:
        self._library.blank([self._datasets[name] for name in names])
        return None, b""

    def _begin(self, name: str) -> tuple[Any, bytes]:
        fill = self._library.begin(self._datasets[name])
        return fill is not None, b"" if fill is None else fill.tobytes()

    def _write(self, name: str, start: int, data: bytes) -> tuple[Any, bytes]:
        about = self._datasets[name]
        self._library.write(about, start, np.frombuffer(data, about.stored))
        return None, b""

    def _fill(self, name: str, stop: int, data: bytes) -> tuple[Any, bytes]:
        about = self._datasets[name]
        self._library.fill(about, stop, np.frombuffer(data, about.stored))
        return None, b""

    def _chunk(self, name: str, number: int) -> tuple[Any, bytes]:
        return self._library.chunk(self._datasets[name], number)

    def _blank_value(self, name: str) -> tuple[Any, bytes]:
        return None, self._library.blank_value(self._datasets[name]).tobytes()

    def _put(self, name: str, number: int, data: bytes) -> tuple[Any, bytes]:
        about = self._datasets[name]
        self._library.put(about, number, np.frombuffer(data, about.stored))
        return None, b""

    def _end(self, name: str) -> tuple[Any, bytes]:
        self._library.end(self._datasets[name])
        return None, b""

    def _stored(self, names: list[str]) -> tuple[Any, bytes]:
        return self._library.stored(set(names)), b""

    def _remove(self, names: list[str]) -> tuple[Any, bytes]:
        self._library.remove(set(names))
        return None, b""

    def _close(self) -> tuple[Any, bytes]:
        self._library.close()
        return None, b""

    def _allow_memory(self, more: int) -> None:
        limit(resource.RLIMIT_AS, min(self._taken + ROOM + more, MOST))


def serve(descriptor: int, questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer until there are no more questions."""
    usable_filters()  # which loads them, while files can be opened
    leave()
    server = Server(Library(descriptor), os.fstat(descriptor).st_size)
    open_no_more()
    send(answers, "ready")
    while True:
        try:
            question, data = receive(questions, MOST)
        except EOFError:
            os._exit(0)  # without what the library does at an exit: nobody waits for it any more
        send(answers, *server.answer(question, data))


def main(descriptor: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asks decides when to stop
    serve(descriptor, sys.stdin.buffer, sys.stdout.buffer)


def leave() -> None:
    """Go to an empty folder that is gone at once: nothing can be found or made by a name there."""
    try:
        folder = tempfile.mkdtemp(prefix="gcodec-")
        os.chdir(folder)
        os.rmdir(folder)
    except OSError:
        os.chdir("/")


def open_no_more() -> None:
    """From now on, whatever the library wants to open by a name is refused."""
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 2)
    os.close(silent)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))  # files that are open stay so


def memory() -> int:
    """Bytes of address space that this process has."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return 1 << 30


def limit(which: int, most: int) -> None:
    """Lower or raise a limit as far as the user's own allows."""
    hard = resource.getrlimit(which)[1]
    resource.setrlimit(which, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
