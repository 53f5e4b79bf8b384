"""Why a file behind a URL is not to be had, in words that end with what to do."""

import errno
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import GcodecError, InvalidInput

_RIGHTS = "sign in to the server, or ask its owner for the right"
_STATUS = {
    400: "check the URL",
    401: _RIGHTS,
    403: _RIGHTS,
    404: "check the name",
    407: "sign in to the proxy",
    408: "try again",
    410: "check the name",
    416: "fetch the file first, and name the copy",
    429: "try again later",
}  # what to do by the status of an answer over HTTP; 500 and more are the server's own
_LATER = "the server has a fault; try again later"
_NAME = "check the name of the server, and that this machine has a network"
_KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (socket.gaierror, _NAME),
    (ssl.SSLError, "check the URL, and the clock and the certificates of this machine"),
    (ConnectionRefusedError, "check the address and the port, and that the server runs"),
    (TimeoutError, "try again, or fetch the file first and name the copy"),
    (ConnectionError, "try again"),
    (PermissionError, _RIGHTS),
    (ValueError, "check the URL"),
)  # what to do by the error's class
_WORDS = (
    ("name or service not known", _NAME),
    ("failed to resolve", _NAME),
    ("nodename nor servname", _NAME),
    ("certificate", "check the URL, and the clock and the certificates of this machine"),
    ("refused", "check the address and the port, and that the server runs"),
    ("timed out", "try again, or fetch the file first and name the copy"),
    ("credentials", _RIGHTS),
)  # what to do by words within the message of an error of another library


@contextmanager
def reporting(url: str, unable: str = "nothing can be read from URLs of this kind; check it") -> Iterator[None]:
    """Whatever fsspec and what it builds on raise, as an error that names the URL and says why.

    unable: the words where a filesystem lacks what was asked for. Raises FileNotFoundError,
    InvalidInput, and OSError for all else.
    """
    try:
        yield
    except GcodecError:
        raise
    except NotImplementedError:
        raise InvalidInput(f"{url}: {unable}") from None
    except Exception as error:
        causes = list(_causes(error))
        first = causes[-1]
        if isinstance(first, FileNotFoundError):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), url) from error
        words = " ".join(str(getattr(first, "strerror", None) or first).split())
        raise OSError(f"{url}: {type(first).__name__}{words and f': {words:.300}'}; {_remedy(causes)}") from error


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what caused it, and so on."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _remedy(causes: list[BaseException]) -> str:
    """What to do about an error: by the status of the server's answer, its class, or its words."""
    for cause in causes:
        status = getattr(cause, "status", None) or getattr(getattr(cause, "response", None), "status_code", None)
        if isinstance(status, int):
            return _LATER if status >= 500 else _STATUS.get(status, "check the URL")
    text = " ".join(map(str, causes)).lower()
    by_class = [remedy for cause in reversed(causes) for kind, remedy in _KINDS if isinstance(cause, kind)]
    by_words = [remedy for word, remedy in _WORDS if word in text]
    return next(iter(by_words + by_class), "check the URL, and try again")
