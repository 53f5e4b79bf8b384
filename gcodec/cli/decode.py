"""`gcodec decode`: a container back to a file of tensors."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ..errors import FormatError, GcodecError, InvalidInput
from ..io import formats
from . import options as opt
from .files import container_file, decoded_name
from .output import progress_bar, show, standard_output, target

if TYPE_CHECKING:
    from ..container.reader import Record


def decode(
    file: opt.FileArg,
    output: opt.OutOpt = None,
    tensor: opt.TensorOpt = None,
    to: opt.ToOpt = None,
    salvage: opt.SalvageOpt = False,
    limit: opt.LimitOpt = None,
    threads: opt.ThreadsOpt = None,
    force: opt.ForceOpt = False,
    json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
) -> None:
    """Give back the tensors of FILE (x.npy.gcz → x.npy); FILE is kept."""
    from ..convert import decode_tensors
    from ..io.skeleton import is_skeleton
    from ..parallel import thread_count

    with container_file(file) as source, ExitStack() as stack:
        records, meta, lost = _salvaged(source, tensor) if salvage else (*_records(source, file, tensor), [])
        fmt = _format(to, output, meta)
        output = output or decoded_name(file, fmt)
        done: list[str] = []
        progress = stack.enter_context(progress_bar(meta.get("bytes", 0), "decoding", quiet))
        path = stack.enter_context(_delivered(output, force, file))
        wanted = records if fmt == "h5" else (record for record in records if not is_skeleton(record.header.name))
        with formats.writer(path, fmt, meta, limit) as writer:
            try:
                for header in decode_tensors(wanted, writer, thread_count(threads), limit, progress):
                    done.append(header.name)
            except FormatError as error:
                lost.append(error)
                if not salvage:
                    raise type(error)(f"{error}; {_arrived(done, meta)}") from None
            if lost and not done:
                raise _damage(lost, done, meta)
            if not done and (tensor is not None or fmt == "npy"):
                named = f" named {tensor!r}; gcodec info lists the names" if tensor is not None else ""
                raise InvalidInput(f"{file}: holds no tensor{named}")
    text = f"{file} → {output}: {len(done)} tensor{'s' * (len(done) != 1)}"
    result = {"input": file, "output": output, "tensors": done}
    show(result, text, as_json=json, quiet=quiet, to_stderr=output == "-")
    if lost:
        raise _damage(lost, done, meta)


def _records(file: BinaryIO, name: str, tensor: str | None) -> "tuple[Iterator[Record], dict]":
    """Records and metadata; of a seekable file, one tensor is read alone."""
    from ..container.reader import RandomAccess, Stream

    if tensor is not None and file.seekable():
        access = RandomAccess(file, file.seek(0, os.SEEK_END))
        if tensor not in access.offsets:
            raise InvalidInput(f"{name}: holds no tensor named {tensor!r}; gcodec info lists the names")
        return iter([access.record(tensor)]), access.meta
    stream = Stream(file)
    return _chosen(stream, tensor), stream.meta


def _salvaged(file: BinaryIO, tensor: str | None) -> "tuple[Iterator[Record], dict, list[GcodecError]]":
    """The intact records of a damaged container, its metadata, and a list that gets the errors of the others."""
    from ..salvage import Salvage

    salvage = Salvage(file)
    return _chosen(salvage, tensor), salvage.meta, salvage.lost


def _chosen(records: "Iterable[Record]", tensor: str | None) -> "Iterator[Record]":
    """The records that are wanted; the first one is read at once, after which a stream's metadata is known."""
    iterator = iter(records)
    first = next(iterator, None)
    found = chain([] if first is None else [first], iterator)
    return (record for record in found if tensor in (None, record.header.name))


def _damage(lost: list[GcodecError], done: list[str], meta: dict) -> GcodecError:
    """One error for all that was lost."""
    more = f" (and {len(lost) - 1} more)" if len(lost) > 1 else ""
    return type(lost[0])(f"{lost[0]}{more}; {_arrived(done, meta)}")


def _arrived(done: list[str], meta: dict) -> str:
    """Which tensors are whole, and which are known to be missing."""
    names = ", ".join(map(repr, done)) or "none"
    missing = [repr(name) for name in meta.get("names", []) if name not in done]
    text = f"whole are: {names}" + (f"; missing are: {', '.join(missing)}" if missing else "")
    return text + ("" if not done else " (decode --salvage writes the whole ones)")


def _format(to: str | None, output: str | None, meta: dict) -> str:
    """What --to says, else the output's suffix, else the format that the tensors came from."""
    if to is not None and to not in formats.MODULES:
        raise InvalidInput(f"--to {to}: unknown; known are {', '.join(formats.MODULES)}")
    by_suffix = formats.SUFFIXES.get(Path(output or "").suffix)
    came_from = meta.get("format")
    return to or by_suffix or (came_from if came_from in formats.MODULES else "npy")


@contextmanager
def _delivered(output: str, force: bool, source: str) -> Iterator[Path]:
    """A path to write to, put in place at the end; standard output gets the file once it is whole."""
    if output != "-":
        with target(output, force, source) as path:
            yield path
        return
    stream = standard_output()
    with tempfile.TemporaryDirectory(prefix="gcodec-") as folder:
        path = Path(folder, "output")
        yield path
        with open(path, "rb") as result:
            shutil.copyfileobj(result, stream)
        stream.flush()
