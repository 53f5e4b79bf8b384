"""`gcodec encode`: a file of tensors to a container."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import InvalidInput
from . import options as opt
from .files import encoded_name, tensor_file
from .output import binary_target, plural, progress_bar, show

if TYPE_CHECKING:
    from ..request.choice import Choice
    from ..request.policy import Policy
    from ..source import Source


def encode(
    input: opt.InputArg,
    output: opt.OutOpt = None,
    method: opt.MethodsOpt = None,
    alpha: opt.AlphasOpt = None,
    omega: opt.OmegaOpt = None,
    lossless: opt.LosslessOpt = False,
    exact: opt.ExactOpt = None,
    small: opt.SmallOpt = None,
    scope: opt.ScopeOpt = "tensor",
    seed: opt.SeedOpt = None,
    effort: opt.EffortOpt = None,
    max_draws: opt.MaxDrawsOpt = None,
    block: opt.BlockOpt = None,
    dtype: opt.DtypeOpt = None,
    nonfinite: opt.NonfiniteOpt = "refuse",
    threads: opt.ThreadsOpt = None,
    force: opt.ForceOpt = False,
    json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
) -> None:
    """Compress the tensors of INPUT into INPUT.gcz; the input is kept.

    A single array without a bound gets alpha 0.1 (the paper's choice; omega 1/4 for unbiased methods).
    """
    from ..container.describe import describe, original_bytes
    from ..parallel import thread_count
    from ..pipeline.convert import encode_tensors
    from ..request.policy import SMALL, Policy

    output = output or encoded_name(input)
    methods, alphas = _rules(method, "--method"), _rules(alpha, "--alpha")
    plain = methods.pop("", None), alphas.pop("", None)
    policy = Policy(
        method=plain[0],
        bounds=dict(alpha=None if plain[1] is None else _number(plain[1]), omega=omega, lossless=lossless),
        common=dict(threads=threads, nonfinite=nonfinite),
        options=_given(seed=seed, effort=effort, max_draws=max_draws, block=block),
        exact=tuple(exact or ()),
        methods=methods,
        alphas={glob: _number(text) for glob, text in alphas.items()},
        small=SMALL if small is None else small,
    )
    with tensor_file(input, dtype) as reader:
        tensors = list(reader.tensors())
        single = reader.meta["format"] == "npy"
        if single:
            policy = replace(policy, checkpoint=False, small=small or 0)
        choices, scoped = _choices(policy, tensors, scope)
        total = sum(source.size * source.dtype.itemsize for _, source in tensors)
        meta = {**reader.meta, **scoped, "bytes": total, "names": [name for name, _ in tensors]}
        with binary_target(output, force, input) as file, progress_bar(total, "encoding", quiet) as progress:
            headers = list(encode_tensors(tensors, meta, file, choices, thread_count(threads), progress))
    described = [describe(header) for header in headers]
    original, coded = sum(map(original_bytes, headers)), sum(tensor["bytes"] for tensor in described)
    lines = [f"{input} → {output}: {original:,} → {coded:,} bytes ({original / max(coded, 1):.1f} times fewer)"]
    lines += [_line(tensor) for tensor in described] if single else [_summary(described, scoped)]
    bounded = plain[1] is not None or omega is not None or alphas
    if not bounded and any(tensor["guarantee"]["class"] != "exact" for tensor in described):
        lines[-1] += " (the default; choose with --alpha, --omega or --lossless)"
    result = {"input": input, "output": output, "tensors": described}
    show(result, "\n".join(lines), as_json=json, quiet=quiet, to_stderr=output == "-")


def _rules(values: list[str] | None, option: str) -> dict[str, str]:
    """GLOB=VALUE options by glob; the plain VALUE is under the empty one."""
    rules: dict[str, str] = {}
    for text in values or ():
        glob, rule, value = text.rpartition("=")
        if rule and not glob:
            raise InvalidInput(f"{option} {text}: a rule is GLOB=VALUE, and the glob is missing")
        if glob in rules:
            raise InvalidInput(f"{option} {text}: given twice")
        rules[glob] = value
    return rules


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidInput(f"--alpha {text}: not a number") from None


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _choices(policy: "Policy", tensors: "list[tuple[str, Source]]", scope: str) -> "tuple[dict[str, Choice], dict]":
    """The choice of each tensor, and what the file should say of them."""
    if scope not in ("tensor", "file"):
        raise InvalidInput(f"--scope {scope}: unknown; it is tensor or file")
    return policy.over_file(tensors) if scope == "file" else (policy.choices(tensors), {})


def _line(tensor: dict) -> str:
    guarantee = tensor["guarantee"]
    kind, bound = guarantee["class"], guarantee["bound"]
    rate = f"{tensor['method']}, {tensor['rate']:.3f} bits per coordinate, "
    if kind == "exact":
        return rate + "bit for bit"
    error, words = tensor["distortion"], "relative squared L2 error"
    if kind == "omega":
        error, words = tensor["expected_distortion"], "unbiased, expected relative squared L2 error"
    return f"{rate}{words} {error:.4g} ≤ {bound:g}"


def _summary(tensors: list[dict], scoped: dict) -> str:
    """How many tensors went which way."""
    from ..io.skeleton import is_skeleton

    ways: dict[str, int] = {}
    for tensor in tensors:
        if is_skeleton(tensor["name"]):
            continue
        guarantee = tensor["guarantee"]
        bound = "in the file's" if scoped else f"{guarantee['class']} ≤ {guarantee['bound']:g}"
        way = "exact" if guarantee["class"] == "exact" else f"{tensor['method']} ({bound})"
        ways[way] = ways.get(way, 0) + 1
    count = plural(sum(ways.values()), "tensor") + (": " if ways else "")
    over = f"; alpha ≤ {scoped['scope']['alpha']:g} over all floating tensors as one vector" if scoped else ""
    return count + ", ".join(f"{count} {way}" for way, count in ways.items()) + over
