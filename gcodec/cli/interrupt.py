"""Ctrl-C and the like as an exception that does not get lost.

Python raises it wherever it happens to be; in a callback of C code that drops errors, that is
nowhere. So it is raised again when encoding or decoding next tells how far it is.
"""

import signal
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


def _interrupt(number: int, _: FrameType | None) -> None:
    _seen.append(number)
    raise KeyboardInterrupt(number)
