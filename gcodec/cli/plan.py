"""`gcodec encode --plan`: what would become of each tensor, and nothing written.

The tensors go the way of `encode`, so what it says, warns of and refuses is what `encode` would.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .output import kept_words, label, plural, printable, promise_words, show, table, times

if TYPE_CHECKING:
    from ..container.layout import TensorHeader
    from ..request.roles import Role
    from ..request.rules import Chooser, Rules

SAMPLE = 8  # chunks of a tensor that are coded; those of a larger one lie at equal distances


def sampling(chooser: "Chooser") -> "Chooser":
    """The same choices for a plan: of a large tensor only a sample is coded."""
    return lambda name, source: replace(chooser(name, source), sample=SAMPLE)


def show_plan(
    file: str,
    headers: "Sequence[TensorHeader]",
    rules: "Rules",
    meta: Mapping[str, object],
    length: int,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    """Print what coding with a sample gave.

    meta: of the file's Reader. length: of the container.
    """
    from ..io.skeleton import is_skeleton

    said = [_planned(header, rules) for header in headers]
    original = sum(one["original_bytes"] for one in said)
    rows: list[tuple[str, ...]] = [
        ("name", "dtype", "shape", "role", "by", "method", "guarantee", "bytes", "estimated")
    ]
    rows += [_row(one) for one in said if not is_skeleton(one["name"])]
    head = f"{label(file)}: {plural(len(rows) - 1, 'tensor')}, {original:,} → about {length:,} bytes ({times(original, length)})"
    result: dict[str, Any] = {"input": file, "plan": said, "original_bytes": original, "estimated_bytes": length}
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


def _planned(header: "TensorHeader", rules: "Rules") -> dict[str, Any]:
    from ..container.describe import describe, original_bytes

    said, decision = describe(header), rules.decided[header.name]
    slices = {"slices": {"axis": said["slices"]["axis"]}} if "slices" in said else {}
    return {
        **{key: said[key] for key in ("name", "dtype", "shape")},
        "role": decision.role.name if decision.role else None,
        "by": decision.by,
        **{key: said[key] for key in ("method", "guarantee", "kept", "base") if key in said},
        **slices,
        "original_bytes": original_bytes(header),
        "estimated_bytes": said["bytes"],
    }


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    shape = "×".join(map(str, one["shape"])) or "scalar"
    return (
        printable(one["name"]) or "(array)", one["dtype"], shape, one["role"] or "", one["by"], one["method"],
        promise_words(one), f"{one['original_bytes']:,}", f"{one['estimated_bytes']:,}",
    )  # fmt: skip
