"""Ordered work on a pool of threads, and BLAS on one thread.

Kernels run without the interpreter lock, so a pool of threads uses all cores.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from numbers import Integral
from threading import Lock
from typing import Any, TypeVar

from .errors import InvalidInput, OutOfMemory

Item = TypeVar("Item")
Result = TypeVar("Result")
_allowed = ContextVar("the threads that spread uses", default=1)


def thread_count(asked: int | None) -> int:
    """The number that was asked for.

    None stands for one thread for each core that the process may use.

    Raises InvalidInput for less than one.
    """
    if asked is not None:
        if not isinstance(asked, Integral) or isinstance(asked, bool) or asked < 1:
            raise InvalidInput(f"the number of threads must be a whole number, at least 1, not {asked!r}")
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    threads: int,
    discard: Callable[[Result], object] = lambda result: None,
    is_done: Callable[[Item], bool] = lambda item: False,
) -> Iterator[Result]:
    """The results of `function`, in the order of the items.

    is_done: says of what items the result is at hand, so that no thread is asked for it.

    At most `threads` + 1 results are held at a time, so memory stays bounded. When `items` raises,
    the results of the items before come first. `discard` gets the results that nobody took, when
    the caller stops early or a function raises.

    Raises OutOfMemory when the system starts no further thread.
    """
    if threads == 1:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(threads)
    waiting: deque[Future[Result]] = deque()
    iterator = iter(items)
    failure: Exception | None = None
    try:
        while failure is None:
            try:
                item = next(iterator)
                waiting.append(_finished(function(item)) if is_done(item) else _submitted(pool, function, item))
            except StopIteration:
                break
            except Exception as error:
                failure = error
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
        if failure is not None:
            raise failure
    except KeyboardInterrupt:
        waiting.clear()  # nobody wants to wait for them after an interrupt
        raise
    finally:
        for future in waiting:
            if not future.cancel() and future.exception() is None:
                discard(future.result())
        pool.shutdown(wait=False, cancel_futures=True)


def _finished(result: Result) -> "Future[Result]":
    future = Future[Result]()
    future.set_result(result)
    return future


def _submitted(pool: ThreadPoolExecutor, function: Callable[[Item], Result], item: Item) -> Future[Result]:
    try:
        return pool.submit(function, item)
    except RuntimeError as error:  # which Python raises when a thread does not start
        raise OutOfMemory(
            "the system starts no further thread: use fewer (threads= in Python, or --threads)"
        ) from error


class on_threads:
    """Within it, `spread` uses so many threads. Its own threads have one each."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __enter__(self) -> None:
        self._token = _allowed.set(self._count)

    def __exit__(self, *_: object) -> None:
        _allowed.reset(self._token)


def spread(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """The results of `function`, in the order of the items, on as many threads as are allowed."""
    threads = _allowed.get() if len(items) > 1 else 1
    return map(function, items) if threads == 1 else ordered(function, items, threads)


@contextmanager
def blas_on_one_thread() -> Iterator[None]:
    """Within it, each call of BLAS or LAPACK works on the thread that makes it, and on no other.

    So several threads that are within it do not start threads for all cores each, and what BLAS
    gives does not depend on how many there are. Most libraries have one setting for the process:
    the first one who comes changes it, and the last one who leaves sets it back. With OpenMP each
    thread has its own.
    """
    own = [library for library in _blas_libraries() if _is_by_thread(library)]
    before = _set_to_one(own)
    _process.enter()
    try:
        yield
    finally:
        _process.leave()
        _set_back(before)


class _Process:
    """How many are within, and the settings of the process before the first one of them."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._before: list[tuple[Any, int]] = []

    def enter(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._before = _set_to_one([each for each in _blas_libraries() if not _is_by_thread(each)])

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                _set_back(self._before)


_process = _Process()


@cache
def _blas_libraries() -> list[Any]:
    """The libraries of BLAS that are loaded; numpy loads its own when it is imported."""
    from threadpoolctl import ThreadpoolController

    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


def _is_by_thread(library: Any) -> bool:
    return getattr(library, "threading_layer", None) == "openmp"


def _set_to_one(libraries: list[Any]) -> list[tuple[Any, int]]:
    """Set libraries to one thread; returns those that had more, and how many."""
    counts = [(library, library.get_num_threads()) for library in libraries]
    before = [(library, count) for library, count in counts if count != 1]
    _set_back([(library, 1) for library, _ in before])
    return before


def _set_back(counts: list[tuple[Any, int]]) -> None:
    for library, count in counts:
        # Where threadpoolctl lets one thread alone change a library, that must not be one who left.
        free = getattr(library, "clear_controlling_thread", lambda force: None)
        free(force=True)
        library.set_num_threads(count)
        free(force=True)
