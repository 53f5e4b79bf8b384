"""Says to whoever asked that kernels are being compiled. It does not import numba itself."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_listener: Callable[[], object] | None = None
_left = 0.0  # seconds of compiling until the listener is called
_inside = False


def call(listener: Callable[[], object] | None, after: float) -> None:
    """Call `listener` once, when compiling has taken `after` seconds in all. None: call nobody."""
    global _listener, _left
    _listener, _left = listener, after


@contextmanager
def noticed() -> Iterator[None]:
    """Around the compilation of a kernel, or the wait for another process that compiles it.

    Whoever calls it holds numba's compiler lock.
    """
    global _left, _inside
    if _inside or _listener is None:
        yield
        return
    timer = threading.Timer(max(_left, 0.0), _call)
    timer.daemon = True
    start, _inside = time.monotonic(), True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        _inside = False
        _left -= time.monotonic() - start


def _call() -> None:
    global _listener
    listener, _listener = _listener, None
    if listener is not None:
        listener()
