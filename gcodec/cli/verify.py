"""`gcodec verify`: does a container keep its promises?"""

from contextlib import ExitStack

import typer

from ..errors import FormatError
from . import options as opt
from .files import container_file, tensor_file
from .output import printable, show, table


def verify(
    file: opt.FileArg,
    against: opt.AgainstOpt = None,
    trials: opt.TrialsOpt = 0,
    dtype: opt.DtypeOpt = None,
    limit: opt.LimitOpt = None,
    threads: opt.ThreadsOpt = None,
    json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
) -> None:
    """Check FILE's checksums, certificates and bounds; with --against, measure its error. Exit code 1: a promise is broken."""
    from ..verification.verify import verify as verify_container

    with ExitStack() as stack:
        source = stack.enter_context(container_file(file))
        originals = None
        if against is not None:
            originals = dict(stack.enter_context(tensor_file(against, dtype)).tensors())
        try:
            result = verify_container(source, originals, trials=trials, threads=threads, limit=limit)
        except FormatError as error:
            if json:
                show({"ok": False, "error": {"code": error.code, "message": str(error)}}, "", as_json=True)
            raise
    show(result, _text(file, result), as_json=json, quiet=quiet)
    if not result["ok"]:
        raise typer.Exit(1)


def _text(file: str, result: dict) -> str:
    blocks = []
    for tensor in result["tensors"]:
        shape = "×".join(map(str, tensor["shape"])) or "scalar"
        head = f"{printable(tensor['name']) or file}: {tensor['method']}, {tensor['dtype']} {shape}, {tensor['rate']:.4f} bits per coordinate"
        rows = [("  " + ("ok" if c["ok"] else "FAILS"), c["name"], c["detail"]) for c in tensor["checks"]]
        blocks.append(f"{head}\n{table(rows)}")
    if result["checks"]:
        blocks.append(table(("  " + ("ok" if c["ok"] else "FAILS"), c["name"], c["detail"]) for c in result["checks"]))
    every = [*result["checks"], *(check for tensor in result["tensors"] for check in tensor["checks"])]
    broken = sum(not check["ok"] for check in every)
    if not result["tensors"]:
        return f"{file}: intact, and holds no tensor"
    verdict = f"{file}: every promise holds" if result["ok"] else f"{file}: {broken} checks FAIL"
    return "\n\n".join([*blocks, verdict])
