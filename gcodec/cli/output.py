"""What a command says: for people, as JSON, or nothing. Results go to stdout, notes to stderr."""

import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from ..io.streams import write_text
from . import interrupt

LONGEST_NAME = 100  # characters of a tensor's name that are shown
_FEW = 4  # kept values that are shown


def label(name: str) -> str:
    """What messages call an input."""
    return "standard input" if name == "-" else name


def way(name: str, output: str) -> str:
    """An input and what was made of it."""
    return f"{label(name)} → {'standard output' if output == '-' else output}"


class Partial(Exception):
    """A part of the work was done: its result and text, and the error that speaks of the rest."""

    def __init__(self, error: Exception, result: dict[str, Any], text: str) -> None:
        super().__init__(str(error))
        self.error, self.result, self.text = error, result, text


_notes: list[str] | None = None  # those of a command that prints JSON


@contextmanager
def notes(collected: bool) -> Iterator[None]:
    """Whether notes are collected for the JSON object, or go to standard error at once."""
    global _notes
    before, _notes = _notes, ([] if _notes is None else _notes) if collected else None
    try:
        yield
    finally:
        _notes = before


def note(text: str) -> None:
    """Say something beside the result."""
    if _notes is not None:
        _notes.append(text)
    elif sys.stderr:
        with suppress(OSError):
            write_text(sys.stderr, f"gcodec: warning: {text}\n")


def show(
    result: dict[str, Any], text: str, *, as_json: bool = False, quiet: bool = False, to_stderr: bool = False
) -> None:
    """Print a result: its text for people, or the dictionary as one JSON object.

    The object says whether all went well, under "ok", and has the warnings, if there are any.
    """
    stream = sys.stderr if to_stderr else sys.stdout
    if (quiet and not as_json) or stream is None:  # closed by whoever started us
        return
    try:
        if as_json:
            warned = {"warnings": _notes} if _notes else {}
            text = json.dumps(_finite({"ok": True} | result | warned), indent=1)
        write_text(stream, f"{text}\n")
    except BrokenPipeError:  # the reader, such as head, has seen enough; the work is done all the same
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _finite(data: Any) -> Any:
    """The data with null in the place of infinities and NaN, which JSON has no numbers for."""
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def printable(name: str) -> str:
    """A tensor's name without what a terminal would act on, and without its middle if long."""
    half = LONGEST_NAME // 2
    parts = (name,) if len(name) <= LONGEST_NAME else (name[:half], name[-half:])
    return "…".join(part.encode("unicode_escape").decode("ascii") for part in parts)


def plural(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"


def times(original: int, coded: int) -> str:
    """How many times fewer bytes, or more, the coded ones are."""
    fewer = max(original, 1) / max(coded, 1)
    return f"{fewer:.1f} times fewer" if fewer >= 1 else f"{1 / fewer:.1f} times more"


def table(rows: Iterable[Sequence[Any]], right: Sequence[int] = ()) -> str:
    """Rows as aligned columns; `right` are the columns aligned to the right."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = (
        "  ".join(
            cell.rjust(w) if i in right else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    )
    return "\n".join(line.rstrip() for line in lines)


@contextmanager
def progress_bar(total: int, what: str, quiet: bool) -> Iterator[Any]:
    """A function that takes the bytes just done.

    It draws a bar on stderr when that is a terminal and the work is long. It raises
    KeyboardInterrupt when a signal came, even if that was lost.
    """
    if quiet or total < 1 << 24 or sys.stderr is None or not sys.stderr.isatty():
        yield lambda n: interrupt.check()
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn(what), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)

        def advance(n: int) -> None:
            interrupt.check()
            progress.advance(task, n)

        yield advance


def kept_words(meta: Mapping[str, object]) -> str:
    """What of a file is not coded, in words; nothing when all of it is. meta: of its Reader."""
    from ..io.uncoded import uncoded, words

    parts, kept = uncoded(meta), meta.get("kept")
    if not parts:
        return ""
    return f"not coded, but kept bit for bit: {words(parts, kept if isinstance(kept, int) else 0)}"


def promise_words(tensor: Mapping[str, Any]) -> str:
    """The promise of a tensor, described by `container.describe`: bound, slices, kept values."""
    kind, bound = tensor["guarantee"]["class"], tensor["guarantee"]["bound"]
    slices, kept = tensor.get("slices"), tensor.get("kept")
    words = "exact" if kind == "exact" else f"{kind} ≤ {bound:g}"
    if isinstance(slices, dict):
        axis, last = slices.get("axis"), len(tensor["shape"]) - 1
        words += "@rows" if axis == 0 else "@columns" if axis == last else f"@axis{axis}"
    return f"{words}, {_kept(kept, tensor['dtype'])} kept" if isinstance(kept, list) else words


def _kept(words: list[Any], dtype: str) -> str:
    """Kept values, if they are few, or how many there are."""
    import numpy as np

    with suppress(TypeError, ValueError, OverflowError):  # what a stranger's file says may be anything
        of = np.dtype(dtype)
        values = np.array([int(word, 16) for word in words], f"u{of.itemsize}").view(of).astype(float)
        shown = dict.fromkeys(f"{value:g}" for value in np.sort(values).tolist())  # NaN goes last
        if len(shown) <= _FEW:
            return " ".join(shown)
    return f"{len(words):,}"
