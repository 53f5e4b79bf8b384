"""`gcodec verify`: does a container keep its promises?"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import typer

from ...errors import InvalidInput
from .. import options as opt
from ..contents import coded_file
from ..files import tensor_file
from ..output import label, plural, printable, show, table
from . import datasets
from .bases import open_bases

if TYPE_CHECKING:
    from ...compressors.contract import Check
    from ...verification.report import Report, TensorReport


def verify(
    file: opt.FileArg,
    against: opt.AgainstOpt = None,
    specs: opt.SpecsOpt = None,
    trials: opt.TrialsOpt = 0,
    dtype: opt.DtypeOpt = None,
    base: opt.BasesOpt = None,
    base_dir: opt.BaseDirOpt = None,
    limit: opt.LimitOpt = None,
    threads: opt.ThreadsOpt = None,
    json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
) -> None:
    """Check FILE's checksums, certificates and bounds; with --against, measure its error.

    Exit code 1: a promise is broken.
    """
    if datasets.is_hdf5(file):
        datasets.refuse(file, {"--specs": specs, "--trials": trials, "--limit": limit})
        datasets.show_checks(file, against, opt.by_glob(dtype, "--dtype"), threads, as_json=json, quiet=quiet)
        return
    from ...parallel import thread_count
    from ...verification.verify import verify as verify_container

    if specs and against:
        raise InvalidInput(
            "--specs and --against do not go together: a message has the tensors with what earlier ones left out"
        )
    with ExitStack() as stack:
        source = stack.enter_context(coded_file(file, specs))
        originals, metadata = None, None
        if against is not None:
            reader = stack.enter_context(tensor_file(against, opt.by_glob(dtype, "--dtype")))
            originals, metadata = dict(reader.tensors()), reader.meta
        bases = stack.enter_context(open_bases(base, base_dir, thread_count(threads)))
        report = verify_container(
            source, originals, trials=trials, threads=threads, limit=limit, sections=json, metadata=metadata, base=bases
        )
    data, text = (report.to_json(), "") if json else ({}, _text(file, report))
    show(data, text, as_json=json, quiet=quiet)
    if not report.ok:
        raise typer.Exit(1)


def _text(file: str, report: "Report") -> str:
    """The report as text: a table for each tensor, one for the file as a whole, and the verdict."""
    if not report.tensors:
        return f"{label(file)}: intact, and holds no tensor"
    blocks = [f"{_title(file, tensor)}\n{table(_rows(tensor.checks))}" for tensor in report.tensors]
    if report.checks:
        blocks.append(table(_rows(report.checks)))
    return "\n\n".join([*blocks, f"{label(file)}: {_verdict(report)}"])


def _verdict(report: "Report") -> str:
    """What was found, in a few words; without the original nothing is said about the error."""
    count = len(report.failures)
    if count:
        return "1 check FAILS" if count == 1 else f"{count} checks FAIL"
    if not report.measured:
        return "consistent; the error was not measured (give --against)"
    ruined = [tensor for tensor in report.tensors if tensor.loss]
    if ruined:
        more = f"; see also the effects of {plural(len(ruined) - 1, 'more tensor')}" if len(ruined) > 1 else ""
        return f"every promise holds, but {printable(ruined[0].loss)}{more}"
    return "every promise holds"


def _title(file: str, tensor: "TensorReport") -> str:
    from ...container.describe import describe

    said = describe(tensor.header)
    shape = "×".join(map(str, said["shape"])) or "scalar"
    name = printable(tensor.name) or label(file)
    return f"{name}: {said['method']}, {said['dtype']} {shape}, {said['rate']:.4f} bits per coordinate"


def _rows(checks: "Iterable[Check]") -> Iterator[tuple[str, str, str]]:
    return (("  ok" if check.ok else "  FAILS", check.name, check.detail) for check in checks)
