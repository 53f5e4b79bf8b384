"""Where results go: for people, as JSON, or nowhere. Results on stdout, notes on stderr; binary never to a terminal."""

import errno
import json
import math
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import InvalidInput
from ..io import remote
from ..io.atomic import replacing
from . import interrupt


def show(
    result: dict[str, Any], text: str, *, as_json: bool = False, quiet: bool = False, to_stderr: bool = False
) -> None:
    """Print a result: its text for people, or the dictionary as one JSON document."""
    stream = sys.stderr if to_stderr else sys.stdout
    if quiet or stream is None:  # closed by whoever started us
        return
    try:
        print(json.dumps(_finite(result), indent=1) if as_json else text, file=stream, flush=True)
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
    """A tensor's name without anything that a terminal would act on."""
    return name.encode("unicode_escape").decode("ascii")


def plural(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"


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
def target(output: str, force: bool, source: str) -> Iterator[Path]:
    """A path to write to: renamed to `output` at the end, or removed on an error. An existing file needs `force`.

    The source itself is never written over. A URL gets the file once it is whole.
    """
    where = remote.resolved(output)
    if _is_same(where, remote.resolved(source)):
        raise InvalidInput(f"{output} is the input itself, which is kept; choose another name with -o")
    if remote.is_url(where):
        _check_new(output, remote.exists(where), force)
        with _naming(output), tempfile.TemporaryDirectory(prefix="gcodec-") as folder:
            path = Path(folder, "output")
            yield path
            remote.upload(path, where)
        return
    path = Path(where)
    _check_new(output, path.is_file(), force)
    if path.is_dir():
        raise InvalidInput(f"{output} is a directory; name a file with -o")
    if not path.parent.is_dir():
        raise InvalidInput(f"{path.parent}: there is no such directory; create it first")
    with _naming(output), replacing(path) as temporary:
        yield temporary


def _is_same(output: str, source: str) -> bool:
    if remote.is_url(output) or remote.is_url(source):
        return output == source
    return Path(output).is_file() and Path(source).is_file() and Path(output).samefile(source)


def _check_new(output: str, exists: bool, force: bool) -> None:
    if exists and not force:
        raise InvalidInput(f"{output} exists; choose another name with -o, or overwrite it with -f")


@contextmanager
def _naming(output: str) -> Iterator[None]:
    """A full disk is one of the output, which `write` does not name."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) and not error.filename:
            raise OSError(error.errno, error.strerror, output) from None
        raise


@contextmanager
def binary_target(output: str, force: bool, source: str) -> Iterator[BinaryIO]:
    """A binary file to write to, as `target`; "-" is standard output unless that is a terminal."""
    if output != "-":
        with target(output, force, source) as path, open(path, "wb") as file:
            yield file
        return
    stream = standard_output()
    yield stream
    stream.flush()


def standard_output() -> BinaryIO:
    """Standard output for binary data; raises InvalidInput when it is a terminal."""
    if sys.stdout is None:
        raise OSError(errno.EBADF, "is closed", "standard output")
    if sys.stdout.isatty():
        raise InvalidInput("binary data does not go to a terminal; name a file with -o, or use a pipe")
    return sys.stdout.buffer


@contextmanager
def progress_bar(total: int, what: str, quiet: bool) -> Iterator[Any]:
    """A function that takes the bytes just done; draws a bar on stderr when it is a terminal and the work is long.

    It raises KeyboardInterrupt when a signal came, even if that was lost.
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
