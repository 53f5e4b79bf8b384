"""`gcodec bounds`: what theory says of a dimension and an error, without any data."""

from dataclasses import asdict
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import InvalidInput
from .. import options as opt
from ..output import show, table

if TYPE_CHECKING:
    from ...theory.report import BoundsRow

DimOpt = Annotated[str, typer.Option(metavar="D", help="Number of coordinates of the vector, such as 1000000 or 1e6.")]


_MOST = 2.0**53  # larger numbers are not printed digit by digit


def bounds(dim: DimOpt, alpha: opt.AlphaOpt = None, omega: opt.OmegaOpt = None, json: opt.JsonOpt = False) -> None:
    """Print lower bounds, the optimum, what the paper's compressors and other operators need."""
    from ...theory import report

    if (alpha is None) == (omega is None):
        raise InvalidInput("give one of --alpha and --omega")
    size = _whole(dim)
    try:
        rows = report.rows(size, alpha=alpha, omega=omega)
    except ValueError as error:
        raise InvalidInput(str(error)) from None
    asked = f"alpha = {_constant(alpha)}" if alpha is not None else f"omega = {omega:g}"
    cells = [("", "name", "bits", "bits/coordinate", "rounds", "guarantee", "what it is"), *map(_cells, rows)]
    text = f"Bits for a vector of {size:,} coordinates, {asked}\n\n{table(cells, right=(2, 3, 4))}"
    show({"dim": size, "alpha": alpha, "omega": omega, "rows": [asdict(row) for row in rows]}, text, as_json=json)


def _cells(row: "BoundsRow") -> tuple[str, ...]:
    """A row as text; rounds are a multiple of those of plain gradient descent."""
    bits, rate = _number(row.bits, ",.1f"), _number(row.rate, ".4f")
    rounds = "" if row.rounds is None else f"×{row.rounds:.4g}"
    promise = f"{row.kind} {_constant(row.constant)}" + ("" if row.reaches else " (misses)")
    note = f" ({row.note})" if row.note else ""
    return row.group, row.name, bits, rate, rounds, promise, f"{row.what}{note}"


def _number(value: float | None, form: str) -> str:
    """A number in a form, or by its order of magnitude where no digit of that would be right."""
    return "" if value is None else format(value, form if value < _MOST else ".4g")


def _constant(value: float) -> str:
    """Four digits, or as many as are needed to show that a number is not 1."""
    short = f"{value:.4g}"
    return short if float(short) != 1 or value == 1 else f"{value:.16g}"


def _whole(text: str) -> int:
    """A whole number from 1 to 2^63 − 1, with or without an exponent."""
    try:
        number = Decimal(text)
        if number.is_finite() and 1 <= number < 2**63 and number == int(number):
            return int(number)
    except InvalidOperation:
        pass
    raise InvalidInput(f"--dim must be a whole number from 1 to 2^63 - 1, such as 1000000 or 1e6, not {text!r}")
