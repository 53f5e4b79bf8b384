"""An HDF5 file in the hands of a child, which alone calls the library on bytes of a stranger.

The child has limits of processor time, memory and file size that grow with what it is asked for,
and can open no file by a name. When it dies, the file is corrupt.
"""

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Sequence, Set
from pathlib import Path
from typing import IO, Any

import numpy as np

from ....errors import Corrupt
from ..dataset import Dataset, Survey
from .messages import receive, send

FREE_CPU = 2.0  # seconds, with the child's start
SURVEY_SPEED, READ_SPEED, WRITE_SPEED = 1 << 22, 1 << 25, 1 << 23  # bytes a second that the slowest machine reaches
PER_CHUNK = 1e-4  # seconds
ENTRY, GROUPS = 1 << 9, 1 << 18  # bytes of the file: for each chunk in an index, and for the groups above a new dataset
FREE_MESSAGE = 1 << 26  # bytes of an answer
MESSAGE = 1 << 23  # the most bytes of values in one message
START = "import sys, json; sys.path[:] = json.loads(sys.argv[2]); from gcodec.io.hdf5.process.child import main; main(int(sys.argv[1]))"


class Guarded:
    """An Access through a child, which gets the descriptor of the open `file`."""

    def __init__(self, file: IO[bytes]) -> None:
        self._name = str(file.name)
        self._file_size = os.fstat(file.fileno()).st_size
        self._allowed = {"cpu": FREE_CPU, "size": self._file_size + (1 << 20)}
        self._child = start(file.fileno())
        self._busy = False

    def survey(self) -> Survey:
        packed, ranges = self._call("survey", cpu=self._file_size / SURVEY_SPEED)
        return Survey.unpack(packed, ranges, self._file_size)

    def create(self) -> None:
        self._call("create")

    def read(self, about: Dataset, start: int, stop: int) -> np.ndarray[Any, Any]:
        step = max(1, MESSAGE // about.stored.itemsize)
        parts = [self._read(about, first, min(first + step, stop)) for first in range(start, stop, step)]
        return np.concatenate([np.empty(0, about.stored), *parts]) if len(parts) != 1 else parts[0]

    def _read(self, about: Dataset, start: int, stop: int) -> np.ndarray[Any, Any]:
        _, data = self._call("read", about.name, start, stop, cpu=_seconds(about, start, stop, READ_SPEED))
        if len(data) != (stop - start) * about.stored.itemsize:
            raise self._corrupt("the library gave too few values")
        return np.frombuffer(data, about.stored)

    def add(self, about: Dataset) -> None:
        self._call("add", about.name, about.dtype.name, about.shape, size=about.nbytes + GROUPS)

    def blank(self, datasets: Sequence[Dataset]) -> None:
        count, names = sum(about.chunk_count for about in datasets), [about.name for about in datasets]
        room = sum(about.chunk_bytes + ENTRY for about in datasets)
        self._call("blank", names, cpu=count * PER_CHUNK + self._file_size / SURVEY_SPEED, size=room)

    def begin(self, about: Dataset) -> np.ndarray[Any, Any] | None:
        room = about.chunk_count * (about.chunk_bytes + about.chunk_bytes // 8 + ENTRY)
        blank, fill = self._call("begin", about.name, cpu=about.chunk_count * PER_CHUNK, size=room)
        return np.frombuffer(fill, about.stored) if blank else None

    def write(self, about: Dataset, start: int, values: np.ndarray[Any, Any]) -> None:
        step = max(1, MESSAGE // about.stored.itemsize)
        for first in range(0, values.size, step):
            piece = np.ascontiguousarray(values[first : first + step])
            cpu = _seconds(about, start + first, start + first + piece.size, WRITE_SPEED)
            self._call("write", about.name, start + first, data=piece.view(np.uint8).data, cpu=cpu)

    def fill(self, about: Dataset, stop: int, value: np.ndarray[Any, Any]) -> None:
        self._call("fill", about.name, stop, data=value.tobytes(), cpu=_seconds(about, 0, stop, WRITE_SPEED))

    def chunk(self, about: Dataset, number: int) -> tuple[int, bytes]:
        usual = about.stored_bytes // max(len(about.coded.numbers) if about.coded else 0, 1)
        mask, data = self._call("chunk", about.name, number, cpu=PER_CHUNK + usual / READ_SPEED)
        return int(mask), data

    def blank_value(self, about: Dataset) -> np.ndarray[Any, Any]:
        _, data = self._call("blank_value", about.name, cpu=PER_CHUNK)
        if len(data) != about.stored.itemsize:
            raise self._corrupt("the library gave no value")
        return np.frombuffer(data, about.stored)

    def put(self, about: Dataset, number: int, values: np.ndarray[Any, Any]) -> None:
        cpu = PER_CHUNK + about.chunk_bytes / WRITE_SPEED
        room = about.chunk_bytes + ENTRY
        self._call("put", about.name, number, data=values.reshape(-1).view(np.uint8).data, cpu=cpu, size=room)

    def end(self, about: Dataset) -> None:
        self._call("end", about.name)

    def stored(self, names: Set[str]) -> int:
        answer, _ = self._call("stored", sorted(names), cpu=self._file_size / SURVEY_SPEED)
        return int(answer)

    def remove(self, names: Set[str]) -> None:
        self._call("remove", sorted(names), cpu=self._file_size / SURVEY_SPEED)

    def close(self) -> None:
        """Complete the file, unless a question was left without its answer."""
        try:
            if self._child.poll() is None and not self._busy:
                self._call("close")
        finally:
            stop(self._child)

    def _call(
        self, operation: str, *args: object, data: bytes | memoryview = b"", cpu: float = 0.0, size: int = 0
    ) -> tuple[Any, bytes]:
        """Ask the child.

        It may use `cpu` seconds for this, and the file may grow by `size` bytes.
        """
        if self._busy:
            raise self._corrupt(_death(self._child))
        self._allowed["cpu"] += cpu
        self._allowed["size"] += size
        assert self._child.stdin and self._child.stdout
        self._busy = True
        try:
            send(self._child.stdin, {"do": operation, "args": args, **self._allowed}, data)
            answer, found = receive(self._child.stdout, FREE_MESSAGE + 4 * self._file_size)
        except (BrokenPipeError, EOFError):
            raise self._corrupt(_death(self._child)) from None
        except (ValueError, RecursionError) as error:
            raise self._corrupt(str(error)) from None
        self._busy = False
        if not isinstance(answer, dict) or "error" not in answer:
            return answer, found
        if answer.get("errno"):
            raise OSError(int(answer["errno"]), os.strerror(int(answer["errno"])))
        raise RuntimeError(str(answer["error"]))

    def _corrupt(self, why: str) -> Corrupt:
        return Corrupt(f"{self._name}: HDF5 cannot read or write it: {why}")


def start(descriptor: int) -> "subprocess.Popen[bytes]":
    """A child that waits for messages about an open file; raises OSError when it does not start."""
    path = [str(Path(__file__).parents[4]), *map(os.path.abspath, sys.path)]
    child = subprocess.Popen(
        [sys.executable, "-I", "-c", START, str(descriptor), json.dumps(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=(descriptor,),
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert child.stdout and child.stderr
    with child.stderr as errors:
        try:
            receive(child.stdout, 64)
        except (EOFError, ValueError):
            words = errors.read().decode(errors="replace").strip().splitlines() or [_death(child)]
            stop(child)
            raise OSError(f"the process that reads HDF5 files did not start: {words[-1]}") from None
        except BaseException:
            stop(child)
            raise
    return child


def stop(child: "subprocess.Popen[bytes]") -> None:
    """End a child that has nothing more to do."""
    assert child.stdin and child.stdout
    child.kill()
    child.wait()
    child.stdout.close()
    try:
        child.stdin.close()
    except BrokenPipeError:  # what was left to be sent
        pass


def _death(child: "subprocess.Popen[bytes]") -> str:
    """Why a child is no longer there, in words."""
    try:
        status = child.wait(10)
    except subprocess.TimeoutExpired:
        return "the library stopped answering"
    if status == -signal.SIGXCPU:
        return "the library needs far more time than a file of this size should take"
    if status < 0:
        return f"the library crashed ({signal.Signals(-status).name})"
    return f"the library ended its process ({status})"


def _seconds(about: Dataset, start: int, stop: int, speed: int) -> float:
    """What reading or writing a range may take; whole chunks go through the filters."""
    chunks = about.chunks_within(start, stop)
    touched = max((stop - start) * about.stored.itemsize, chunks * about.chunk_bytes)
    return PER_CHUNK * chunks + touched * max(1, about.filters) / speed if math.isfinite(touched) else 0.0
