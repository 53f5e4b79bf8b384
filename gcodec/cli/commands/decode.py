"""`gcodec decode`: a container back to a file of tensors."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import FormatError, InvalidInput, MissingTensor
from ...io import formats
from ...io.streams import name_file
from .. import options as opt
from ..contents import Contents, contents
from ..files import SUFFIX, container_file, decoded_name, label
from ..output import Partial, plural, progress_bar, show
from ..targets import whole_target

if TYPE_CHECKING:
    from ...container.budget import Budget
    from ...pipeline.convert import ByteProgress


def decode(
    file: opt.FileArg,
    output: opt.OutOpt = None,
    tensor: opt.TensorOpt = None,
    to: opt.ToOpt = None,
    salvage: opt.SalvageOpt = False,
    limit: opt.LimitOpt = None,
    trust: opt.TrustOpt = False,
    threads: opt.ThreadsOpt = None,
    force: opt.ForceOpt = False,
    json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
) -> None:
    """Give back the tensors of FILE (x.npy.gcz → x.npy); FILE is kept."""
    from ...container.budget import Budget
    from ...parallel import thread_count

    count = thread_count(threads)
    with container_file(file) as source, ExitStack() as stack:
        budget = Budget.of(source, limit)
        found = contents(source, file, tensor, salvage)
        fmt = _format(to, output, found)
        output = output or decoded_name(file, fmt)
        progress = stack.enter_context(progress_bar(found.size, "decoding", quiet))
        path = stack.enter_context(whole_target(output, force, file))
        if Path(output).suffix == SUFFIX:
            known = ", ".join(formats.SUFFIXES)
            raise InvalidInput(f"{output}: decode writes no gcodec files; name one that ends in {known}")
        with formats.writer(path, fmt, found.meta, budget, trust) as writer:
            _write(found, writer, fmt, count, budget, progress)
            if not found.tensors and tensor is not None:
                raise MissingTensor(f"{file}: holds no tensor named {tensor!r}; gcodec info lists the names")
            if not found.tensors and fmt == "npy":
                raise InvalidInput(f"{file}: holds no tensor")
    what = "" if formats.SUFFIXES.get(Path(output).suffix) == fmt else f" ({fmt})"
    text = f"{file} → {output}{what}: {plural(len(found.tensors), 'tensor')}"
    result: dict[str, Any] = {"input": file, "output": output, "format": fmt, "tensors": found.tensors}
    if found.lacks_skeleton:
        kept = found.meta.get("kept", 0) if isinstance(found.meta.get("kept"), int) else 0
        result["left_out"] = {"datasets": kept, "attributes": True, "links": True}
        others = f"{plural(kept, 'dataset')} of text and the like, " if kept else ""
        why = "which are lost" if fmt == "h5" else "--to h5 keeps them"
        text += f"; left out: {others}all attributes and links ({why})"
    if found.lost:
        error = found.damage()
        name_file(error, label(file))
        raise Partial(error, result | {"missing": found.missing}, text)
    show(result, text, as_json=json, quiet=quiet, to_stderr=output == "-")


def _write(
    found: Contents, writer: formats.Writer, fmt: str, threads: int, budget: "Budget", progress: "ByteProgress"
) -> None:
    """Decode the records. Raises the error of lost ones, unless others are to be salvaged."""
    from ...io.skeleton import is_skeleton
    from ...pipeline.convert import decode_tensors

    wanted = (record for record in found.records if fmt == "h5" or not is_skeleton(record.header.name))
    try:
        for header in decode_tensors(wanted, writer, threads, budget, progress):
            found.done.append(header.name)
    except FormatError as error:
        found.lost.append(error)
    if found.tensor in found.done:  # then what is lost is not wanted
        found.lost.clear()
    found.check_names()
    if found.lost and not (found.salvage and found.done):
        raise found.damage()


def _format(to: str | None, output: str | None, found: Contents) -> str:
    """What --to says, else the output's suffix, else the format that the tensors came from."""
    if to is not None and to not in formats.MODULES:
        raise InvalidInput(f"--to {to}: unknown; known are {', '.join(formats.MODULES)}")
    suffix = Path(output or "").suffix
    came_from = found.meta.get("format")
    if came_from not in formats.MODULES:
        named = found.tensor is None and (found.named or any(found.meta.get("names", [])))
        came_from = "npz" if named else "npy"
    return to or formats.SUFFIXES.get(suffix) or came_from
