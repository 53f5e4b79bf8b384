"""The one place where numba is configured.

`njit` compiles without the global interpreter lock, so chunks run in threads, and never with
fastmath: a file must decode to the same bits, and its certificate be the same number, everywhere.
Compiled code is cached on disk; where no cache folder can be written, it is compiled anew.
NUMBA_DISABLE_JIT=1 runs the same functions as plain Python.
"""

import numba


def njit(function):
    """Compile `function` on its first call."""
    return _compiled(function)


def njit_inline(function):
    """As `njit`, copied into each caller: for a few instructions of an inner loop."""
    return _compiled(function, inline="always")


def _compiled(function, **options):
    try:
        return numba.njit(nogil=True, cache=True, **options)(function)
    except RuntimeError:  # numba found no folder for its cache
        return numba.njit(nogil=True, **options)(function)
