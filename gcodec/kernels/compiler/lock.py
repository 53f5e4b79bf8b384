"""One process at a time compiles a kernel."""

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

PATIENCE = 120.0  # seconds; a kernel takes about 5 to compile, on a busy machine a multiple of it
_EVERY = 0.05  # seconds between two tries
_patient = True


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file that is about to be made, after waiting for whoever holds it.

    The lock is a byte of the file "lock" beside it, and the system frees it when a process ends,
    however it ends. A process that keeps it (because it was stopped, for instance) is waited for
    only once, for `PATIENCE` seconds. This process then goes on without locks, as it does where
    files cannot be locked.
    """
    file = _lock_file(path.parent)
    start = int.from_bytes(hashlib.sha256(path.name.encode()).digest()[:7], "big")
    held = file is not None and _acquire(file, start)
    try:
        yield
    finally:
        if held:
            fcntl.lockf(file, fcntl.LOCK_UN, 1, start)


@cache
def _lock_file(folder: Path) -> int | None:
    """The open file whose bytes are locks. It is never closed: that would free all locks."""
    try:
        return os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError:
        return None


def _acquire(file: int, start: int) -> bool:
    global _patient
    deadline = time.monotonic() + PATIENCE
    while _patient:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, start)
            return True
        except (BlockingIOError, PermissionError):  # another process holds it
            _patient = time.monotonic() < deadline
            time.sleep(_EVERY)
        except OSError:  # this file system has no locks
            _patient = False
    return False
