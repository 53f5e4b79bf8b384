"""The memory of a command: one heap for all threads, and enough of it where there is a limit.

A shell or a batch system may set one. Without the least that is needed, the libraries below gcodec
would not raise an error when memory is short: OpenBLAS asks again for ever while it is imported,
and LLVM ends the process while a kernel is loaded.
"""

import ctypes
import os
import resource
from contextlib import suppress

from ..errors import OutOfMemory
from ..parallel import thread_count

LIMITS = (("v", resource.RLIMIT_AS), ("d", resource.RLIMIT_DATA))  # by the option of ulimit

BASE = 768 << 20  # bytes that the libraries take, LLVM at work among them
PER_THREAD = 96 << 20  # bytes of a thread: its stack, and the heap that the C library reserves
_M_ARENA_MAX = -8  # glibc's name in malloc.h for the most heaps of a process


def share_heap() -> None:
    """Let all threads take memory from one heap, unless MALLOC_ARENA_MAX says how many there are.

    By default, glibc has several, and what one thread gave back is not there for another: encoding
    took up to a fifth more memory. Other C libraries are left alone.
    """
    if "MALLOC_ARENA_MAX" not in os.environ:
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def check(threads: int | None) -> None:
    """Make sure that a command may start.

    Under a limit, OpenBLAS gets one thread, because each of its threads reserves memory too; this
    works as long as numpy has not been imported.

    Raises OutOfMemory when a limit leaves less than `threads` threads need, and InvalidInput when
    their number is wrong. None stands for one thread for each core.
    """
    for letter, number in LIMITS:
        most = resource.getrlimit(number)[0]
        if most == resource.RLIM_INFINITY:
            continue
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        count = thread_count(threads)
        least = BASE + count * PER_THREAD
        if most < least:
            fewer = ", or use fewer threads (-T)" if count > 1 else ""
            raise OutOfMemory(
                f"a limit of {most >> 10} kB of memory is too small for {count} thread{'s' * (count > 1)}: "
                f"raise it (ulimit -{letter} {least >> 10}){fewer}"
            )
