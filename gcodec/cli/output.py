"""Where results go: for people, as JSON, or nowhere. Results on stdout, notes on stderr; binary never to a terminal."""

import json
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from .. import remote
from ..atomic import replacing
from ..errors import InvalidInput


def show(result: dict, text: str, *, as_json: bool = False, quiet: bool = False, to_stderr: bool = False) -> None:
    """Print a result: its text for people, or the dictionary as one JSON document."""
    if not quiet:
        stream = sys.stderr if to_stderr else sys.stdout
        print(json.dumps(result, indent=1) if as_json else text, file=stream)


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

    The source itself is never written over.

    A URL gets the file once it is whole.
    """
    if remote.is_url(output):
        with _upload(output, force) as path:
            yield path
        return
    path = Path(output)
    if path.is_file() and Path(source).is_file() and path.samefile(source):
        raise InvalidInput(f"{output} is the input itself, which is kept; choose another name with -o")
    if path.is_file() and not force:
        raise InvalidInput(f"{output} exists; choose another name with -o, or overwrite it with -f")
    if path.is_dir():
        raise InvalidInput(f"{output} is a directory; name a file with -o")
    if not path.parent.is_dir():
        raise InvalidInput(f"{path.parent}: there is no such directory; create it first")
    with replacing(path) as temporary:
        yield temporary


@contextmanager
def _upload(url: str, force: bool) -> Iterator[Path]:
    if not force and remote.exists(url):
        raise InvalidInput(f"{url} exists; choose another name with -o, or overwrite it with -f")
    with tempfile.TemporaryDirectory(prefix="gcodec-") as folder:
        path = Path(folder, "output")
        yield path
        remote.upload(path, url)


@contextmanager
def binary_target(output: str, force: bool, source: str) -> Iterator[BinaryIO]:
    """A binary file to write to, as `target`; "-" is standard output unless that is a terminal."""
    if output != "-":
        with target(output, force, source) as path, open(path, "wb") as file:
            yield file
        return
    if sys.stdout.isatty():
        raise InvalidInput("binary data does not go to a terminal; name a file with -o, or use a pipe")
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()


@contextmanager
def progress_bar(total: int, what: str, quiet: bool) -> Iterator[Any]:
    """A function that takes the bytes just done; draws a bar on stderr when it is a terminal and the work is long."""
    if quiet or total < 1 << 24 or not sys.stderr.isatty():
        yield lambda n: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn(what), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda n: progress.advance(task, n)
