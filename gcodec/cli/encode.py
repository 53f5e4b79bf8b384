"""`gcodec encode`: a file of tensors to a container."""

from typing import TYPE_CHECKING, Any

from ..errors import InvalidInput
from . import options as opt
from .files import encoded_name, tensor_file
from .output import binary_target, progress_bar, show

if TYPE_CHECKING:
    from ..policy import Policy
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
    from ..convert import encode_tensors
    from ..describe import describe, original_bytes

    output = output or encoded_name(input)
    methods, alphas = _rules(method, "--method"), {glob: _number(a) for glob, a in _rules(alpha, "--alpha").items()}
    options: dict[str, Any] = dict(method=methods.pop("", None), alpha=alphas.pop("", None), omega=omega)
    options |= dict(lossless=lossless, nonfinite=nonfinite, threads=threads)
    options |= dict(seed=seed, effort=effort, max_draws=max_draws, block=block)
    defaulted = not (options["alpha"] or omega or lossless or options["method"] == "lossless")
    with tensor_file(input, dtype) as reader:
        tensors = list(reader.tensors())
        single = reader.meta["format"] == "npy"
        policy, scoped = _policy(tensors, single, options, tuple(exact or ()), methods, alphas, small, scope)
        total = sum(source.size * source.dtype.itemsize for _, source in tensors)
        meta = reader.meta | scoped | {"bytes": total, "names": [name for name, _ in tensors]}
        with binary_target(output, force, input) as file, progress_bar(total, "encoding", quiet) as progress:
            headers = list(encode_tensors(tensors, meta, file, policy, progress))
    described = [describe(header) for header in headers]
    original, coded = sum(map(original_bytes, headers)), sum(tensor["bytes"] for tensor in described)
    lines = [f"{input} → {output}: {original:,} → {coded:,} bytes ({original / max(coded, 1):.1f} times fewer)"]
    if single:
        lines += [_line(tensor, defaulted) for tensor in described]
    else:
        lines.append(_summary(described))
    result = {"input": input, "output": output, "tensors": described}
    show(result, "\n".join(lines), as_json=json, quiet=quiet, to_stderr=output == "-")


def _rules(values: list[str] | None, option: str) -> dict[str, str]:
    """GLOB=VALUE options by glob; the plain VALUE is under the empty one."""
    rules: dict[str, str] = {}
    for text in values or ():
        glob, _, value = text.rpartition("=")
        if glob in rules:
            raise InvalidInput(f"{option} {text}: given twice")
        rules[glob] = value
    return rules


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidInput(f"--alpha {text}: not a number") from None


def _policy(
    tensors: "list[tuple[str, Source]]",
    single: bool,
    options: dict[str, Any],
    exact: tuple[str, ...],
    methods: dict[str, str],
    alphas: dict[str, float],
    small: int | None,
    scope: str,
) -> "tuple[Policy, dict]":
    """The policy that the options stand for, and what the file should say of it."""
    from ..choice import choose, choose_for_checkpoint
    from ..policy import SMALL, Policy

    method = options.pop("method")
    default = choose(method or "auto", **options) if single else choose_for_checkpoint(method, **options)
    policy = Policy(default, exact, methods, alphas, (0 if single else SMALL) if small is None else small)
    policy.check_names([name for name, _ in tensors])
    if scope == "file":
        return policy.over_file(tensors)
    if scope != "tensor":
        raise InvalidInput(f"--scope {scope}: unknown; it is tensor or file")
    return policy, {}


def _line(tensor: dict, defaulted: bool) -> str:
    guarantee = tensor["guarantee"]
    kind, bound = guarantee["class"], guarantee["bound"]
    rate = f"{tensor['method']}, {tensor['rate']:.3f} bits per coordinate, "
    if kind == "exact":
        return rate + "bit for bit"
    error, words = tensor["distortion"], "relative squared L2 error"
    if kind == "omega":
        error, words = tensor["expected_distortion"], "unbiased, expected relative squared L2 error"
    default = " (the default; choose with --alpha, --omega or --lossless)" if defaulted else ""
    return f"{rate}{words} {error:.4g} ≤ {bound:g}{default}"


def _summary(tensors: list[dict]) -> str:
    """How many tensors went which way."""
    ways: dict[str, int] = {}
    for tensor in tensors:
        guarantee = tensor["guarantee"]
        exact = guarantee["class"] == "exact"
        way = "exact" if exact else f"{tensor['method']} ({guarantee['class']} ≤ {guarantee['bound']:g})"
        ways[way] = ways.get(way, 0) + 1
    return f"{len(tensors)} tensors: " + ", ".join(f"{count} {way}" for way, count in ways.items())
