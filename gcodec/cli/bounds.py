"""`gcodec bounds`: what theory says of a dimension and an error, without any data."""

from dataclasses import asdict
from typing import Annotated

import typer

from ..errors import InvalidInput
from . import options as opt
from .output import show, table


def bounds(
    dim: Annotated[int, typer.Option(help="Number of coordinates of the vector.")],
    alpha: opt.AlphaOpt = None,
    omega: opt.OmegaOpt = None,
    json: opt.JsonOpt = False,
) -> None:
    """Print lower bounds, upper bounds of the paper's compressors, and other operators' needs."""
    from ..theory import report

    if (alpha is None) == (omega is None):
        raise InvalidInput("give one of --alpha and --omega")
    try:
        rows = report.rows(dim, alpha=alpha, omega=omega)
    except ValueError as error:
        raise InvalidInput(str(error)) from None
    asked = f"alpha = {alpha:g}" if alpha is not None else f"omega = {omega:g}"
    cells = [("", "name", "bits", "bits/coordinate", "guarantee", "what it is")]
    for row in rows:
        promise = f"{row.kind} {row.constant:.4g}" + ("" if row.reaches else " (misses)")
        note = f" ({row.note})" if row.note else ""
        cells.append((row.group, row.name, f"{row.bits:,.1f}", f"{row.rate:.4f}", promise, f"{row.what}{note}"))
    text = f"Bits for a vector of {dim:,} coordinates, {asked}\n\n{table(cells, right=(2, 3))}"
    show({"dim": dim, "alpha": alpha, "omega": omega, "rows": [asdict(row) for row in rows]}, text, as_json=json)
