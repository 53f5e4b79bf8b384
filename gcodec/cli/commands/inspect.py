"""`gcodec inspect`: the sections of each payload, with their bits, beside the paper's count."""

import re
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import MissingTensor
from ...io.atomic import replacing
from .. import options as opt
from ..files import container_file
from ..output import label, printable, show, table
from ..targets import results_folder

if TYPE_CHECKING:
    import numpy as np

    from ...container.reader import Record
    from ...verification.inspection import Inspection

DumpOpt = Annotated[
    str | None,
    typer.Option(metavar="DIR", help="Write what payloads hold (levels, signs, norms, …) as .npy files."),
]
TensorOpt = Annotated[str | None, typer.Option(help="Inspect this tensor alone.")]


def inspect(
    file: opt.FileArg,
    tensor: TensorOpt = None,
    dump: DumpOpt = None,
    limit: opt.LimitOpt = None,
    force: opt.ForceOpt = False,
    json: opt.JsonOpt = False,
) -> None:
    """Show what the bits of each payload in FILE are for, beside what the paper counts."""
    from ...container.budget import Budget
    from ...container.reader import Stream, whole
    from ...pipeline.decompress import compressor_of
    from ...verification.inspection import arrays_of, inspect_record

    folder = None if dump is None else results_folder(dump, "--dump", force)
    found: list[Inspection] = []
    bare: list[str] = []
    with ExitStack() as stack:
        source = stack.enter_context(container_file(file))
        budget = Budget.of(source, limit)
        for number, record in enumerate(whole(Stream(source))):
            if tensor is not None and record.header.name != tensor:
                continue
            header = record.header
            budget.add(header, compressor_of(header).work(record.head(), header.spec))
            budget.check(header.name)
            found.append(inspect_record(record))
            if folder is not None:
                if len(found) == 1:
                    _clear(folder)
                if arrays := arrays_of(record):
                    _dump(arrays, folder, number, record)
                else:
                    bare.append(printable(record.header.name) or file)
    if tensor is not None and not found:
        raise MissingTensor(f"{label(file)} holds no tensor named {tensor!r}; gcodec info lists names")
    text = "\n\n".join(_text(file, one) for one in found) or f"{label(file)}: holds no tensor"
    if folder is not None:
        text += f"\n\narrays are in {folder}" if len(bare) < len(found) else ""
        text += f"\n\nno arrays to look at: {', '.join(bare)}" if bare else ""
    show({"tensors": [one.to_json() for one in found]}, text, as_json=json)


def _text(file: str, found: "Inspection") -> str:
    header, bits = found.header, max(found.bits, 1)
    shape = "×".join(map(str, header.spec.shape)) or "scalar"
    title = f"{printable(header.name) or label(file)}: {header.spec.dtype} {shape}, {found.bits:,} bits of payload"
    counted = any(part.formula is not None for part in found.sections)
    head = ("section", "bits", "share", *(("paper", "above it") if counted else ()), "")
    cells = [head]
    for part in found.sections:
        beside = ("", "") if part.formula is None else (f"{part.formula:,.1f}", f"{part.bits - part.formula:+,.1f}")
        row = part.name, f"{part.bits:,.1f}", f"{100 * part.bits / bits:.2f} %"
        cells.append((*row, *(beside if counted else ()), part.note))
    cells.append(("all", f"{found.bits:,.1f}", "100 %", *("" for _ in head[3:])))
    blocks = [title, table(cells, right=range(1, len(head) - 1))]
    if found.yardsticks:
        d = max(header.spec.size, 1)
        rows = [
            (words, f"{value:,.1f}", f"{found.bits - value:+,.1f}", f"{(found.bits - value) / d:+.4f}")
            for words, value in found.yardsticks
        ]
        blocks.append(
            table([("what theory says", "bits", "payload above it", "per coordinate"), *rows], right=(1, 2, 3))
        )
    return "\n".join(blocks)


def _clear(folder: Path) -> None:
    """Remove the arrays of an earlier dump, so that those of two files are never mixed."""
    for place in (*folder.glob("[0-9][0-9][0-9]_*"), folder):
        for old in place.glob("*.npy"):
            old.unlink()
        if place != folder and place.is_dir() and not any(place.iterdir()):
            place.rmdir()


def _dump(arrays: "Mapping[str, np.ndarray]", folder: Path, number: int, record: "Record") -> None:
    """Write a tensor's arrays into a folder of its own, or into `folder` if it has no name."""
    import numpy as np

    name = record.header.name
    place = folder / f"{number:03d}_{_safe(name)}" if name else folder
    place.mkdir(parents=True, exist_ok=True)
    for part, array in arrays.items():
        if (place / f"{part}.npy").is_symlink():  # what it points to is not ours
            (place / f"{part}.npy").unlink()
        with replacing(place / f"{part}.npy") as path, open(path, "wb") as file:
            np.save(file, array, allow_pickle=False)


def _safe(name: str) -> str:
    """A tensor's name as the end of a folder's name: no separators, dots or controls."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:80]
