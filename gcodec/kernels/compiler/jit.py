"""The one place where numba is configured.

`njit` compiles functions that run without the global interpreter lock, so that chunks can be coded
in threads. It never allows fastmath: a file must decode to the same bits, and its certificate be
the same number, everywhere. Compiled code is kept on disk (see cache.py), and is made anew when any
source of a kernel has changed. With NUMBA_DISABLE_JIT=1 the same functions run as plain Python.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numba

from .cache import keep

Result = TypeVar("Result")


def njit(function: Callable[..., Result]) -> Callable[..., Result]:
    """Compile `function` on its first call."""
    return _compiled(function)


def njit_inline(function: Callable[..., Result]) -> Callable[..., Result]:
    """As `njit`, copied into each caller.

    It is for a few instructions of an inner loop, and for parts of a single kernel: by itself, each
    would take about as long to compile as a short kernel.
    """
    return _compiled(function, inline="always")


def _compiled(function: Callable[..., Result], **options: Any) -> Callable[..., Result]:
    # Nothing calls a kernel from C, so it needs no entrance for that.
    kernel = numba.njit(nogil=True, no_cfunc_wrapper=True, **options)(function)
    if not numba.config.DISABLE_JIT:  # else it is the function itself
        keep(kernel)
    return kernel
