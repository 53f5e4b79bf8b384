"""What a vector is, before it is written."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Good:
    """A file that must decode.

    path: folder and name without suffix.
    about: a sentence.
    options: those of the encoder.
    """

    name: str
    about: str
    data: Callable[[], bytes]
    options: dict = field(default_factory=dict)

    @property
    def path(self) -> str:
        return f"good/{self.name}"


@dataclass(frozen=True)
class Bad:
    """A file that must be refused, with the code `error`.

    message: what this project's own message says about the cause, to be sure that it is that one.
    readable: the names of records that can be read all the same.
    """

    name: str
    about: str
    message: str
    data: Callable[[], bytes]
    error: str = "corrupt"
    folder: str = "bad"
    readable: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        return f"{self.folder}/{self.name}"
