"""`gcodec decode`: a container back to a file of tensors."""

from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import FormatError, InvalidInput
from ...io import formats
from ...io.streams import name_file
from ...io.uncoded import uncoded, words
from .. import options as opt
from ..contents import Contents, coded_file, contents, missing_tensor, resumed
from ..files import SUFFIX, decoded_name
from ..output import Partial, label, plural, progress_bar, show, way
from ..targets import folder_target, whole_target
from . import datasets
from .bases import open_bases

if TYPE_CHECKING:
    from ...container.budget import Budget
    from ...pipeline.convert import ByteProgress


def decode(
    file: opt.FileArg,
    output: opt.OutOpt = None,
    tensor: opt.TensorOpt = None,
    specs: opt.SpecsOpt = None,
    to: opt.ToOpt = None,
    salvage: opt.SalvageOpt = False,
    resume_from: opt.ResumeOpt = None,
    base: opt.BasesOpt = None,
    base_dir: opt.BaseDirOpt = None,
    limit: opt.LimitOpt = None,
    trust: opt.TrustOpt = False,
    threads: opt.ThreadsOpt = None,
    force: opt.ForceOpt = False,
    json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
) -> None:
    """Give back the tensors of FILE (x.npy.gcz → x.npy); FILE is kept.

    With --specs, FILE is a message of a channel. Of an HDF5 file, the datasets that gcodec's filter
    coded become plain ones.
    """
    if datasets.is_hdf5(file):
        datasets.refuse(file, {"--salvage": salvage, "--specs": specs, "--resume-from": resume_from})
        datasets.expand(file, output, tensor, to, limit, trust, force, as_json=json, quiet=quiet)
        return
    from ...container.budget import Budget
    from ...io.folder.tied import Tied
    from ...parallel import thread_count

    count = thread_count(threads)
    if resume_from is not None and salvage:
        raise InvalidInput(f"--resume-from keeps what arrives: gcodec decode --salvage {resume_from} gives its tensors")
    with coded_file(file, specs) as source, ExitStack() as stack:
        if resume_from is not None:
            source = stack.enter_context(resumed(source, resume_from))
        budget = Budget.of(source, limit)
        found = contents(source, file, tensor, salvage)
        bases = stack.enter_context(open_bases(base, base_dir, count))
        found.records = found.records if bases is None else bases.on(found.records)
        fmt = _format(to, output, found)
        output = output or decoded_name(file, fmt, None if tensor is not None else found.meta.get("format"))
        progress = stack.enter_context(progress_bar(found.size, "decoding", quiet))
        path = stack.enter_context((folder_target if fmt == "folder" else whole_target)(output, force, file))
        if Path(output).suffix == SUFFIX:
            known = ", ".join(formats.SUFFIXES)
            raise InvalidInput(f"{output}: decode writes no gcodec files; name one that ends in {known}")
        meta = found.meta if tensor is None or found.meta.get("format") not in ("pt", "keras", "folder") else {}
        with (
            formats.writer(path, fmt, meta, budget, trust) as writer,
            Tied(writer, found.meta, budget)
            if fmt != found.meta.get("format") and tensor is None
            else nullcontext(writer) as target,
        ):
            _write(found, target, fmt, count, budget, progress)
            if not found.tensors and tensor is not None:
                raise missing_tensor(file, tensor, found.meta)
            if not found.tensors and fmt == "npy":
                raise InvalidInput(f"{label(file)}: holds no tensor")
    what = "" if formats.SUFFIXES.get(Path(output).suffix.lower(), "folder") == fmt else f" ({fmt})"
    text = f"{way(file, output)}{what}: {plural(len(found.tensors), 'tensor')}"
    result: dict[str, Any] = {"input": file, "output": output, "format": fmt, "tensors": found.tensors}
    left_out, words = _left_out(found, fmt, formats.files_left_out(writer))
    if left_out:
        result["left_out"] = left_out
        text += f"; left out: {words}"
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

    same = fmt == found.meta.get("format")  # else frames are not wanted
    wanted = (record for record in found.records if same or not is_skeleton(record.header.name))
    try:
        for header in decode_tensors(wanted, writer, threads, budget, progress):
            found.done.append(header.name)
    except FormatError as error:
        found.lost.append(error)
    if found.tensor in found.done:  # then what is lost is not wanted
        found.lost.clear()
    found.check_names(frames=same)
    if found.lost and not (found.salvage and found.done):
        raise found.damage()


def _left_out(found: Contents, fmt: str, files: list[str]) -> tuple[dict[str, Any], str]:
    """What the output lacks of the original beside tensors, as data and in words."""
    came_from, kept = found.meta.get("format"), found.meta.get("kept", 0)
    kept = kept if isinstance(kept, int) else 0
    if fmt == came_from == "folder":
        return ({"files": files} if files else {}), f"what is not whole: {', '.join(files)}"
    parts = uncoded(found.meta)
    said = words(parts, kept)
    if came_from in ("npz", "safetensors") and fmt != came_from and found.tensor is None and parts:
        return {
            "uncoded": found.meta["uncoded"]
        }, f"{said} (--to {came_from} keeps {'it' if len(parts) == 1 else 'them'})"
    if not found.lacks_skeleton:
        return {}, ""
    listed = {"uncoded": found.meta["uncoded"]} if parts else {}
    if came_from == "h5":
        others = f"{said or plural(kept, 'dataset')}, " if kept else ""
        why = "which are lost" if fmt == "h5" else "--to h5 keeps them"
        return {
            "datasets": kept,
            "attributes": True,
            "links": True,
            **listed,
        }, f"{others}all attributes and links ({why})"
    others = f"{plural(kept, 'value')} without a record" if kept else ""
    if came_from in ("pt", "keras"):
        words_of = f"{others} (--to {came_from} keeps them)"
        return ({"values": kept, **listed}, words_of) if kept else ({}, "")
    beside = f"{others}{', ' * bool(kept)}all other files (--to folder keeps them)"
    return {"values": kept, "files": True, **listed}, beside


def _format(to: str | None, output: str | None, found: Contents) -> str:
    """What --to says, else the output's suffix, else the format that the tensors came from.

    From a file of torch.save come safetensors, which hold nothing but tensors; so does a single
    tensor of several.
    """
    if to is not None and to not in formats.MODULES:
        raise InvalidInput(f"--to {to}: unknown; known are {', '.join(formats.MODULES)}")
    suffix = Path(output or "").suffix
    came_from = found.meta.get("format")
    if came_from not in formats.MODULES:
        named = found.tensor is None and (found.named or any(found.meta.get("names", [])))
        came_from = "npz" if named else "npy"
    if came_from == "pt" or (came_from in ("folder", "keras") and found.tensor is not None):
        came_from = "safetensors"
    return to or formats.SUFFIXES.get(suffix.lower()) or came_from
