"""Ctrl-C and the like as an exception that does not get lost.

Python raises it wherever it happens to be; in a callback of C code that drops errors, that is
nowhere. So it is raised again when encoding or decoding next tells how far it is.
"""

import os
import signal
import sys
from contextlib import suppress
from types import FrameType

_seen: list[int] = []


def install() -> None:
    """Also for the signals that would end the process without removing temporary files."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _interrupt)


def check() -> None:
    """Raise KeyboardInterrupt if a signal came."""
    if _seen:
        raise KeyboardInterrupt(_seen[0])


def cause(error: BaseException) -> BaseException:
    """What an error comes from: the signal, if one came.

    A library may have turned that into an error of its own.
    """
    return KeyboardInterrupt(_seen[0]) if _seen else error


def end(error: BaseException) -> None:
    """End the process as a signal wants it, where one came before the command could say so itself.

    error: what the process ends by otherwise. Nothing happens if all was done before.
    """
    if not _seen or (isinstance(error, SystemExit) and not error.code):
        return
    import json

    from .failure import failure_of

    failure = failure_of(cause(error))
    with suppress(OSError):
        if "--json" in sys.argv:
            print(json.dumps(failure.to_json(), indent=1), flush=True)
        print(f"gcodec: {failure.message}", file=sys.stderr, flush=True)
    os._exit(failure.exit_code)


def _interrupt(number: int, _: FrameType | None) -> None:
    _seen.append(number)
    raise KeyboardInterrupt(number)
