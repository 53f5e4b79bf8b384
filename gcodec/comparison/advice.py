"""What to use, from a comparison: a line for each error and class of guarantee."""

import shlex
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from ..baselines import FAMILIES
from ..theory import shannon
from ..theory.report import BASELINE, METHOD
from .summary import Comparison, Row, fewest


@dataclass(frozen=True)
class Advice:
    """The method of fewest bits for one error and class.

    kind, bound: what to ask for, "alpha", "omega" or "pointwise". use: the method, or "auto" where
    different methods win on different tensors. winners: those. rate: bits per coordinate. known:
    the best known operator of the class that reaches the error, "" if none does; fewer: how many
    times fewer bits than it. complete: whether all known operators of the class were compared.
    compressible: whether the rate is below the lower bound for a vector about which nothing is
    known. command: what to type.
    """

    kind: str
    bound: float
    use: str
    winners: tuple[str, ...]
    rate: float
    known: str
    fewer: float | None
    complete: bool
    compressible: bool
    command: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The advice as a row of the table with HEADINGS."""
        promise = f"{'unbiased, ' * (self.kind == 'omega')}{self.kind} {self.bound:.4g}"
        beside = "" if self.fewer is None else f"{_times(self.fewer)} {self.known}{'' if self.complete else ' *'}"
        notes = [f"{', '.join(self.winners)} win on some tensors each"] if self.use == "auto" else []
        notes += ["compressible: below the sphere's lower bound"] if self.compressible else []
        return promise, self.use, f"{self.rate:.3f}", beside, "; ".join(notes), self.command


HEADINGS = ("promise", "use", "bits/coordinate", "bits, beside the best known operator", "", "command")
INCOMPLETE = "* of the known operators compared; others were left out"


def advice(comparison: Comparison, input: str = "INPUT") -> list[Advice]:
    """A line for each bound and class that was measured on all tensors.

    input: for the command.
    """
    found = [_line(comparison, alpha, kind, input) for alpha in comparison.alphas for kind in ("alpha", "omega")]
    found += [_of_each(comparison, bound, input) for bound in comparison.pointwises]
    return [line for line in found if line is not None]


def _of_each(comparison: Comparison, bound: float, input: str) -> Advice | None:
    """The line for a bound of each value, which no known operator promises."""
    best = fewest((row for row in comparison.pointwise if row.alpha == bound), METHOD, "pointwise")
    if best is None:
        return None
    command = f"gcodec encode {shlex.quote(input)} --pointwise {bound!r}"
    return Advice("pointwise", bound, best.name, (best.name,), best.rate, "", None, True, False, command)


def footnote(lines: Sequence[Advice]) -> str:
    """What a star in the table means, if there is one."""
    return INCOMPLETE if any(line.fewer is not None and not line.complete for line in lines) else ""


def _line(comparison: Comparison, alpha: float, kind: str, input: str) -> Advice | None:
    totals = [row for row in comparison.totals if row.alpha == alpha]
    best = fewest(totals, METHOD, kind)
    if best is None:
        return None
    by_tensor: dict[str, list[Row]] = defaultdict(list)
    for row in comparison.rows:
        if row.alpha == alpha:
            by_tensor[row.tensor].append(row)
    rows = [fewest(rows, METHOD, kind) for rows in by_tensor.values()]
    winners = tuple(sorted({row.name for row in rows if row}))
    # The bound is printed in full: a rounded one would ask for something else.
    bound = alpha if kind == "alpha" else shannon.omega_of_alpha(alpha)
    use = best.name if len(winners) <= 1 else "auto"
    method = "" if use == "auto" else f"--method {use} "
    known = fewest(totals, BASELINE, kind)
    every = {name for name, members in FAMILIES.items() if members[0].kind == kind}
    return Advice(
        kind=kind,
        bound=bound,
        use=use,
        winners=winners,
        rate=best.rate,
        known=known.name if known else "",
        fewer=known.rate / best.rate if known else None,
        complete=every <= {row.name for row in totals},
        compressible=best.gap is not None and best.gap < 0,
        command=f"gcodec encode {shlex.quote(input)} {method}--{kind} {bound!r}",
    )


def _times(fewer: float) -> str:
    """How many bits, beside another's, in words that its name ends."""
    if abs(fewer - 1) < 0.005:
        return "as many as"
    return f"{fewer:.3g} times fewer than" if fewer > 1 else f"{1 / fewer:.3g} times more than"
