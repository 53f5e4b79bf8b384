"""`gcodec encode`: a file of tensors to a container."""

from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from ...errors import InvalidInput
from .. import options as opt
from ..files import encoded_name, is_named_for, several_files, tensor_file
from ..output import kept_words, plural, progress_bar, show, times, way
from ..plan import protection, sampling, show_plan
from ..targets import Counted, Nowhere, binary_target
from .bases import open_bases

if TYPE_CHECKING:
    from ...request.roles import Role


def encode(
    inputs: opt.InputsArg,
    output: opt.OutOpt = None,
    method: opt.MethodsOpt = None,
    alpha: opt.AlphasOpt = None,
    pointwise: opt.PointwisesOpt = None,
    omega: opt.OmegaOpt = None,
    lossless: opt.LosslessOpt = False,
    exact: opt.ExactOpt = None,
    small: opt.SmallOpt = None,
    scope: opt.ScopeOpt = "tensor",
    seed: opt.SeedOpt = None,
    effort: opt.EffortOpt = "best",
    max_draws: opt.MaxDrawsOpt = None,
    block: opt.BlockOpt = None,
    states: opt.StatesOpt = None,
    dtype: opt.DtypeOpt = None,
    nonfinite: opt.NonfiniteOpt = "refuse",
    keep_zeros: opt.KeepZerosOpt = None,
    fill: opt.FillsOpt = None,
    base: opt.BasesOpt = None,
    base_dir: opt.BaseDirOpt = None,
    alpha_of: opt.AlphaOfOpt = None,
    keyframes: opt.KeyframesOpt = None,
    trust: opt.TrustOpt = False,
    skip: opt.SkipOpt = None,
    plan: opt.PlanOpt = False,
    threads: opt.ThreadsOpt = None,
    force: opt.ForceOpt = False,
    json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
) -> None:
    """Compress the tensors of INPUT into INPUT.gcz; the input is kept.

    INPUT may be a folder of shards, whose other files are carried along; several INPUTs need -o.
    A single array without a bound gets alpha 0.1 (the paper's choice; omega 1/4 for unbiased
    methods).
    """
    from ...container.describe import describe, names_in_meta, original_bytes
    from ...container.resume import AFTER, left_out
    from ...io.skeleton import is_skeleton
    from ...parallel import thread_count
    from ...pipeline.convert import encode_tensors
    from ...request.on_base import OnBases, checked_alpha_of
    from ...request.policy import SMALL, Policy
    from ...request.rules import Rules

    if not all(inputs):
        raise InvalidInput("the name of the input is empty; name a file, or - for standard input")
    if len(inputs) > 1 and output is None and not plan:
        raise InvalidInput("several inputs give the output no name; choose one with -o")
    input = " ".join(inputs)
    if plan and output is not None:
        raise InvalidInput("--plan writes nothing; leave --output out")
    output = output or encoded_name("plan" if plan else input)
    if skip is not None and output != "-":
        raise InvalidInput("--skip goes on with a stream that was cut; send it to standard output with -o -")
    dtypes = opt.by_glob(dtype, "--dtype")
    methods = opt.by_glob(method, "--method")
    plain_method = methods.pop("", None)
    given = opt.by_glob(alpha, "--alpha")
    axes = _axes(given)
    plain_alpha, alphas = _bounds({glob: text.partition("@")[0] for glob, text in given.items()}, "--alpha")
    plain_pointwise, pointwises = _bounds(opt.by_glob(pointwise, "--pointwise"), "--pointwise")
    policy = Policy(
        method=plain_method,
        alpha=plain_alpha,
        omega=omega,
        pointwise=plain_pointwise,
        lossless=lossless,
        exact=exact or (),
        methods=methods,
        alphas=alphas,
        pointwises=pointwises,
        axes=axes,
        fills=_fills(fill),
        small=SMALL if small is None else small,
        scope=cast(Any, scope),
        effort=cast(Any, effort),
        nonfinite=cast(Any, nonfinite),
        keep_zeros=keep_zeros,
        seed=seed,
        max_draws=max_draws,
        block=block,
        states=states,
    )
    if keyframes is not None and not base:
        raise InvalidInput("--keyframes says how long chains of bases become; it needs a --base")
    if base_dir is not None and not base:
        raise InvalidInput("--base-dir finds the bases of a base; name the file that is coded against with --base")
    if scope == "file" and base:
        raise InvalidInput("--scope file and --base do not go together: the bound of a file is one of whole tensors")
    relative = checked_alpha_of(alpha_of, bool(base))
    opened = several_files(inputs) if len(inputs) > 1 else tensor_file(input, dtypes, trust)
    with opened as reader, open_bases(base, base_dir, thread_count(threads), dtypes) as bases:
        tensors = list(reader.tensors())
        single = reader.meta["format"] == "npy"
        if single:
            policy = replace(policy, small=small or 0)
        count = thread_count(threads)
        rules = Rules(policy, count, must_choose=not single)
        rules.check([name for name, _ in tensors])
        rules.note(tensors)
        chooser, scoped = rules.planned(tensors)
        if bases is not None:
            if not any(bases.fitting(name, source) for name, source in tensors):
                raise InvalidInput(
                    f"--base {' '.join(base or ())}: has no tensor of the same name, dtype and size as any of {input}; name another base"
                )
            chooser = OnBases(chooser, partial(bases.to_encode, alpha_of=relative), keyframes)
        chooser = sampling(chooser) if plan else chooser
        whole = sum(source.size * source.dtype.itemsize for _, source in tensors)
        names = {} if single or bases is not None else names_in_meta([name for name, _ in tensors], whole)
        meta = {**reader.meta, **scoped, "bytes": whole, **names}
        if single and not scoped and reader.meta == {"format": "npy"} and is_named_for(input, "npy"):
            meta = {}  # an array without a name is one of .npy, and its record says how large it is
        if skip is not None:
            arrived, meta = left_out(tensors, skip), meta | {AFTER: skip}
            tensors = tensors[arrived:]
        total = sum(source.size * source.dtype.itemsize for _, source in tensors)
        place = nullcontext(cast(BinaryIO, Nowhere())) if plan else binary_target(output, force, *inputs)
        with place as file, progress_bar(total, "planning" if plan else "encoding", quiet) as progress:
            counted = Counted(file)
            headers = list(
                encode_tensors(
                    tensors, meta, cast(BinaryIO, counted), chooser, count, progress, reader.check,
                    originals=output == "-" and not single,
                )
            )  # fmt: skip
    if plan:
        show_plan(input, headers, rules, reader.meta, counted.size, as_json=json, quiet=quiet)
        return
    bounded = bool(alpha or pointwise) or omega is not None
    protected = rules.protected
    described = [describe(header) | _role(protected, header.name) for header in headers]
    original = sum(map(original_bytes, headers))
    lines = [f"{way(input, output)}: {original:,} → {counted.size:,} bytes ({times(original, counted.size)})"]
    lines += [_line(tensor) for tensor in described] if single else [_summary(described, scoped)]
    if bases is not None:
        own = [tensor for tensor in described if not is_skeleton(tensor["name"])]
        lines[-1] += f"; {sum('base' in tensor for tensor in own):,} of {len(own):,} against a base"
    if skip is not None:
        lines.append(f"left out, as {'they' if arrived > 1 else 'it'} had arrived: {plural(arrived, 'record')}")
    if protected:
        lines.append(protection(list(protected.values())))
    if reader.meta.get("uncoded"):
        lines.append(kept_words(reader.meta))
    if not bounded and any(tensor["guarantee"]["class"] != "exact" for tensor in described):
        lines[1] += " (the default; choose with --alpha, --pointwise, --omega or --lossless)"
    result = {"input": input, "output": output, "tensors": described}
    show(result, "\n".join(lines), as_json=json, quiet=quiet, to_stderr=output == "-")


def _role(protected: "dict[str, Role]", name: str) -> dict[str, str]:
    return {"role": protected[name].name} if name in protected else {}


def _fills(values: list[str] | None) -> dict[str, list[float]]:
    """The values of --fill by glob, of which each may be given several times, or list several."""
    fills: dict[str, list[float]] = {}
    for text in values or ():
        glob, listed = opt.rule(text, "--fill")
        found = [_number(f"--fill {glob}{'=' * bool(glob)}", value) for value in listed.split(",")]
        fills.setdefault(glob or "*", []).extend(found)
    return fills


def _axes(alphas: dict[str, str]) -> dict[str, int | None]:
    """The axis of each bound such as 1e-2@rows; None for a bound of the whole tensor."""
    if not any("@" in text for text in alphas.values()):
        return {}
    plain = {"*": _axis(alphas[""], "--alpha ")} if "" in alphas else {}  # any other rule goes before it
    return {
        **(plain if "*" not in alphas else {}),
        **{glob: _axis(text, f"--alpha {glob}=") for glob, text in alphas.items() if glob},
    }


def _axis(text: str, rule: str) -> int | None:
    """The axis of a bound; `rule` is what stands before it."""
    bound, at, name = text.partition("@")
    number = name.removeprefix("axis")
    if not at:
        return None
    if not bound:
        raise InvalidInput(f"{rule}{text}: before @ comes a bound, such as {rule}1e-2{text}")
    if name not in ("rows", "columns") and not (name.startswith("axis") and number.isdecimal()):
        raise InvalidInput(
            f"{rule}{text}: after @ comes rows (for heads of a matrix, too), columns, or axis and its number, such as axis1"
        )
    return int(number) if number.isdecimal() else {"rows": 0, "columns": -1}[name]


def _bounds(rules: dict[str, str], option: str) -> tuple[float | None, dict[str, float]]:
    """(the plain number, the numbers by glob) of an option."""
    bounds = {glob: _number(f"{option} {glob}{'=' * bool(glob)}", text) for glob, text in rules.items()}
    return bounds.pop("", None), bounds


def _number(rule: str, text: str) -> float:
    """The number of an option; `rule` is what stands before it."""
    try:
        return float(text)
    except ValueError:
        if "@" in text:
            raise InvalidInput(
                f"{rule}{text}: only a bound --alpha holds for slices, by @; this one takes none"
            ) from None
        raise InvalidInput(f"{rule}{text}: {repr(text) if text else 'what follows'} is not a number") from None


def _line(tensor: dict[str, Any]) -> str:
    guarantee = tensor["guarantee"]
    kind, bound = guarantee["class"], guarantee["bound"]
    rate = f"{tensor['method']}, {tensor['rate']:.3f} bits per coordinate, "
    if kind == "exact":
        return rate + "bit for bit"
    error, words = tensor["distortion"], "relative squared L2 error"
    if kind == "pointwise":
        words = "largest relative error"
    if kind == "omega":
        error, words = tensor["expected_distortion"], "unbiased, expected relative squared L2 error"
    return f"{rate}{words} {error:.4g} ≤ {bound:g}"


def _summary(tensors: list[dict[str, Any]], scoped: dict[str, Any]) -> str:
    """How many tensors went which way."""
    from ...io.skeleton import is_skeleton

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
