"""The arithmetic that the format stands on: rounding to nearest, and subnormal numbers.

A library can change both for the thread that loads it, and some do: built with `-ffast-math`, it
makes the processor flush subnormal numbers to zero. Then norms and errors of small values are
wrong, so a bound could be broken unseen, and decoded values would differ from what other machines
decode.
"""

import ctypes
import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from .errors import InvalidInput

Given = ParamSpec("Given")
Result = TypeVar("Result")
_ONE, _HALF, _LEAST_NORMAL, _ULP = 1.0, 0.5, sys.float_info.min, 2.0**-52
_ROOM = 1024  # bytes, more than any system's state of the floating-point unit takes
_DEFAULT_SYMBOLS = ("_FE_DFL_ENV", "__fe_dfl_env")  # macOS and BSD; elsewhere it is the address −1


class arithmetic:
    """Within it, this thread and the threads that it starts compute by the rules.

    What was set before is set again at the end. Raises InvalidInput where the rules are not kept
    and cannot be set. As a decorator, it is around every call of a function.
    """

    def __init__(self) -> None:
        self._saved: ctypes.Array[ctypes.c_char] | None = None

    def __enter__(self) -> None:
        if _is_right():
            return
        self._saved = _set_default()
        if not _is_right():
            self.__exit__()
            raise InvalidInput(
                "another library has made this thread flush subnormal numbers to zero, or round otherwise than to "
                "nearest, so no bound could be checked; use gcodec in another process, or load it first"
            )

    def __exit__(self, *_: object) -> None:
        if self._saved is not None:
            _library().fesetenv(self._saved)

    def __call__(self, function: Callable[Given, Result]) -> Callable[Given, Result]:
        @wraps(function)
        def within(*given: Given.args, **named: Given.kwargs) -> Result:
            if _is_right():
                return function(*given, **named)
            with arithmetic():
                return function(*given, **named)

        return within


def _is_right() -> bool:
    """Whether subnormal numbers are kept, and results are rounded to nearest, ties to even.

    The operands are variables, so that Python does not compute the results beforehand.
    """
    subnormal = _LEAST_NORMAL * _HALF
    to_nearest = _ONE + _ULP * _HALF == _ONE and -_ONE - _ULP * _HALF == -_ONE and _ONE + _ULP * 0.75 > _ONE
    return subnormal > 0 and to_nearest


def _set_default() -> ctypes.Array[ctypes.c_char] | None:
    """Set the defaults of the C library; the state before, or None where that is not possible."""
    if sys.platform == "win32":  # its library does not say where the default state is
        return None
    try:
        library, saved = _library(), ctypes.create_string_buffer(_ROOM)
        if library.fegetenv(saved) or library.fesetenv(_default_of(library)):
            return None
    except (OSError, AttributeError):  # there is no such library or function
        return None
    return saved


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def _default_of(library: ctypes.CDLL) -> object:
    for symbol in _DEFAULT_SYMBOLS:
        try:
            return ctypes.byref(ctypes.c_char.in_dll(library, symbol))
        except ValueError:
            continue
    return ctypes.c_void_p(-1)
