"""`gcodec encode --plan`: what would become of each tensor, and nothing written."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .output import kept_words, plural, printable, show, table, times

if TYPE_CHECKING:
    from ..comparison.estimate import Estimate
    from ..request.roles import Role
    from ..request.rules import Decision, Rules
    from ..source import Source

Tensors = Sequence[tuple[str, "Source"]]


@dataclass(frozen=True)
class _Planned:
    """A tensor, what was decided for it, and what that is likely to give."""

    name: str
    source: "Source"
    decision: "Decision"
    estimate: "Estimate"

    @property
    def promise(self) -> tuple[str, float]:
        """The class and the bound of the guarantee; whatever is stored exactly has that class."""
        from ..compressors.registry import EXACT

        guarantee = self.decision.choice.guarantee
        exact = guarantee.kind == "exact" or self.estimate.method == EXACT.name
        return ("exact", 0.0) if exact else (guarantee.kind, guarantee.bound)

    def to_json(self) -> dict[str, Any]:
        role = self.decision.role
        kind, bound = self.promise
        return {
            "name": self.name,
            "dtype": str(self.source.dtype),
            "shape": list(self.source.shape),
            "role": role.name if role else None,
            "by": self.decision.by,
            "method": self.estimate.method,
            "guarantee": {"class": kind, "bound": bound},
            "original_bytes": self.source.size * self.source.dtype.itemsize,
            "estimated_bytes": self.estimate.bytes,
        }


def show_plan(
    file: str, rules: "Rules", tensors: Tensors, meta: Mapping[str, object], *, as_json: bool, quiet: bool
) -> None:
    """Print the plan for these tensors. meta: of the file's Reader."""
    from ..comparison.estimate import estimate
    from ..io.skeleton import is_skeleton
    from ..pipeline.effects import warn_of_losses

    chooser, _ = rules.planned(tensors)
    planned = []
    for name, source in tensors:
        decision = rules.decide(name, source)
        choice = chooser(name, source)
        found = estimate(name, source, choice)
        planned.append(_Planned(name, source, decision, found))
        warn_of_losses(name if found.whole else f"a sample of {name or 'the array'}", found.found, choice.guarantee)
    said = [one.to_json() for one in planned]
    original, coded = (sum(one[key] for one in said) for key in ("original_bytes", "estimated_bytes"))
    rows: list[tuple[str, ...]] = [
        ("name", "dtype", "shape", "role", "by", "method", "guarantee", "bytes", "estimated")
    ]
    rows += [_row(one) for one in said if not is_skeleton(one["name"])]
    head = f"{file}: {plural(len(rows) - 1, 'tensor')}, {original:,} → about {coded:,} bytes ({times(original, coded)})"
    result: dict[str, Any] = {"input": file, "plan": said, "original_bytes": original, "estimated_bytes": coded}
    text = f"{head}; nothing is written\n\n{table(rows, right=(7, 8))}"
    if rules.protected:
        text += f"\n\n{protection(list(rules.protected.values()))}"
    kept = kept_words(meta)
    if kept:
        result["uncoded"] = meta["uncoded"]
        text += f"\n\n{kept}"
    show(result, text, as_json=as_json, quiet=quiet)


def protection(roles: "Sequence[Role]") -> str:
    """How many tensors are protected by their roles, and how to override that."""
    kinds = Counter(
        f"{role.name}{'' if role.kind == 'exact' else f' ({role.kind} ≤ {role.bound:g})'}" for role in roles
    )
    named = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())
    return f"roles protect {plural(len(roles), 'tensor')}: {named}; {_OVERRIDE}"


_OVERRIDE = "a rule that names a tensor goes before its role, such as --alpha 'GLOB=1e-3'"


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    kind, bound = one["guarantee"]["class"], one["guarantee"]["bound"]
    promise = "exact" if kind == "exact" else f"{kind} ≤ {bound:g}"
    shape = "×".join(map(str, one["shape"])) or "scalar"
    return (
        printable(one["name"]) or "(array)", one["dtype"], shape, one["role"] or "", one["by"], one["method"], promise,
        f"{one['original_bytes']:,}", f"{one['estimated_bytes']:,}",
    )  # fmt: skip
