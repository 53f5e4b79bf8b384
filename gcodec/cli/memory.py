"""The least memory that a command starts with, where the shell or a batch system sets a limit.

Without it, the libraries below gcodec would not raise an error when memory is short: OpenBLAS
asks again for ever while it is imported, and LLVM ends the process while a kernel is loaded.
"""

import os
import resource

from ..errors import OutOfMemory
from ..parallel import thread_count

LIMITS = (("v", resource.RLIMIT_AS), ("d", resource.RLIMIT_DATA))  # by the option of ulimit

BASE = 768 << 20  # bytes that the libraries take, LLVM at work among them
PER_THREAD = 96 << 20  # bytes of a thread: its stack, and the heap that the C library reserves


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
