"""Ordered work on a pool of threads.

Kernels run without the interpreter lock, so it uses all cores.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from numbers import Integral
from typing import TypeVar

from .errors import InvalidInput, OutOfMemory

Item = TypeVar("Item")
Result = TypeVar("Result")


def thread_count(asked: int | None) -> int:
    """The number that was asked for.

    None stands for one thread for each core that the process may use.

    Raises InvalidInput for less than one.
    """
    if asked is not None:
        if not isinstance(asked, Integral) or asked < 1:
            raise InvalidInput(f"the number of threads must be a whole number, at least 1, not {asked!r}")
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    threads: int,
    discard: Callable[[Result], object] = lambda result: None,
) -> Iterator[Result]:
    """The results of `function`, in the order of the items.

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
                waiting.append(_submitted(pool, function, next(iterator)))
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


def _submitted(pool: ThreadPoolExecutor, function: Callable[[Item], Result], item: Item) -> Future[Result]:
    try:
        return pool.submit(function, item)
    except RuntimeError as error:  # which Python raises when a thread does not start
        raise OutOfMemory(
            "the system starts no further thread: use fewer (threads= in Python, or --threads)"
        ) from error
