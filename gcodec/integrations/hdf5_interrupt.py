"""Interrupts of the keyboard that come while HDF5 waits for a chunk, which it cannot give up."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

RETRY = 0.1  # seconds until an interrupt is raised again


class Interrupt:
    """An interrupt that came while a chunk was coded; it is raised again when none is."""

    def __init__(self) -> None:
        self._lock, self._waits, self._depth = threading.Lock(), False, 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within it, the interrupt waits."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    def raise_later(self) -> None:
        """Raise it soon, once for all that have come meanwhile."""
        with self._lock:
            if not self._waits:
                self._waits = True
                self._wait()

    def _wait(self) -> None:
        timer = threading.Timer(RETRY, self._raise)
        timer.daemon = True
        timer.start()

    def _raise(self) -> None:
        if self._depth:
            self._wait()
            return
        with self._lock:
            self._waits = False
        os.kill(os.getpid(), signal.SIGINT)


interrupt = Interrupt()
