"""`gcodec decode`: a container back to a file of tensors."""

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InvalidInput
from ..io import formats
from . import options as opt
from .files import container_file, decoded_name
from .output import progress_bar, show, target

if TYPE_CHECKING:
    from ..container.reader import Record, Stream


def decode(
    file: opt.FileArg,
    output: opt.OutOpt = None,
    tensor: opt.TensorOpt = None,
    to: opt.ToOpt = None,
    limit: opt.LimitOpt = None,
    threads: opt.ThreadsOpt = None,
    force: opt.ForceOpt = False,
    json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
) -> None:
    """Give back the tensors of FILE (x.npy.gcz → x.npy); FILE is kept."""
    from ..container.reader import Stream
    from ..convert import decode_record
    from ..describe import original_bytes
    from ..parallel import thread_count

    with container_file(file) as source:
        stream = Stream(source)
        records = _with_meta(stream)
        fmt = _format(to, output, stream.meta)
        output = output or decoded_name(file, fmt)
        decoded: list[dict] = []

        def run(path: Path) -> None:
            with formats.writer(path, fmt, stream.meta) as writer:
                for record in records:
                    header = record.header
                    if tensor is not None and header.name != tensor:
                        continue
                    with progress_bar(original_bytes(header), f"decoding {header.name}", quiet) as progress:
                        decode_record(record, writer, thread_count(threads), limit, progress)
                    decoded.append({"name": header.name, "dtype": str(header.spec.dtype), "shape": header.spec.shape})
            if tensor is not None and not decoded:
                raise InvalidInput(f"{file}: holds no tensor named {tensor!r}; gcodec info lists the names")

        _deliver(run, output, force)
    text = f"{file} → {output}: {len(decoded)} tensor{'s' * (len(decoded) != 1)}"
    show(
        {"input": file, "output": output, "tensors": decoded}, text, as_json=json, quiet=quiet, to_stderr=output == "-"
    )


def _with_meta(stream: "Stream") -> "Iterable[Record]":
    """The stream's records, with the first one read already, so that `stream.meta` is known."""
    records = iter(stream)
    first = next(records, None)
    return records if first is None else chain([first], records)


def _format(to: str | None, output: str | None, meta: dict) -> str:
    """What --to says, else the output's suffix, else the format that the tensors came from."""
    if to is not None and to not in formats.MODULES:
        raise InvalidInput(f"--to {to}: unknown; known are {', '.join(formats.MODULES)}")
    by_suffix = formats.SUFFIXES.get(Path(output or "").suffix)
    came_from = meta.get("format")
    return to or by_suffix or (came_from if came_from in formats.MODULES else "npy")


def _deliver(run: Callable[[Path], None], output: str, force: bool) -> None:
    """Let `run` write a file and put it in place; standard output gets it once it is whole."""
    if output != "-":
        with target(output, force) as path:
            run(path)
        return
    if sys.stdout.isatty():
        raise InvalidInput("binary data does not go to a terminal; name a file with -o, or use a pipe")
    with tempfile.TemporaryDirectory(prefix="gcodec-") as folder:
        path = Path(folder, "output")
        run(path)
        with open(path, "rb") as result:
            shutil.copyfileobj(result, sys.stdout.buffer)
        sys.stdout.buffer.flush()
