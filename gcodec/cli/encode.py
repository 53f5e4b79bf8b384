"""`gcodec encode`: a file of tensors to a container."""

from itertools import chain
from typing import Any

from . import options as opt
from .files import encoded_name, tensor_file
from .output import binary_target, progress_bar, show


def encode(
    input: opt.InputArg,
    output: opt.OutOpt = None,
    method: opt.MethodOpt = None,
    alpha: opt.AlphaOpt = None,
    omega: opt.OmegaOpt = None,
    lossless: opt.LosslessOpt = False,
    seed: opt.SeedOpt = None,
    effort: opt.EffortOpt = None,
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
    from .. import api
    from ..convert import encode_tensors
    from ..describe import describe, original_bytes

    output = output or encoded_name(input)
    with tensor_file(input, dtype) as reader:
        options: dict[str, Any] = dict(alpha=alpha, omega=omega, lossless=lossless, seed=seed, effort=effort)
        options |= dict(nonfinite=nonfinite, threads=threads)
        tensors = list(reader.tensors())
        if len(tensors) == 1:
            choice = api.choose(method or "auto", **options)
        else:
            choice = api.choose_for_checkpoint(method, **options)
        total = sum(source.size * source.dtype.itemsize for _, source in tensors)
        with binary_target(output, force) as file, progress_bar(total, "encoding", quiet) as progress:
            headers = list(encode_tensors(tensors, reader.meta, file, choice, progress))
    defaulted = alpha is None and omega is None and not lossless and method != "lossless"
    result: dict[str, Any] = {"input": input, "output": output, "tensors": [describe(header) for header in headers]}
    original, coded = sum(map(original_bytes, headers)), sum(t["bytes"] for t in result["tensors"])
    text = f"{input} → {output}: {original:,} → {coded:,} bytes ({original / max(coded, 1):.1f} times fewer)"
    lines = chain([text], (_line(tensor, defaulted) for tensor in result["tensors"] if len(headers) == 1))
    show(result, "\n".join(lines), as_json=json, quiet=quiet, to_stderr=output == "-")


def _line(tensor: dict, defaulted: bool) -> str:
    guarantee = tensor["guarantee"]
    default = " (the default; choose with --alpha, --omega or --lossless)" if defaulted else ""
    rate = f"{tensor['method']}, {tensor['rate']:.3f} bits per coordinate, "
    if guarantee["class"] == "exact":
        return rate + "bit for bit"
    if guarantee["class"] == "omega":
        return (
            rate
            + f"unbiased, expected relative squared L2 error {tensor['expected_distortion']:.4g} ≤ {guarantee['bound']:g}{default}"
        )
    return rate + f"relative squared L2 error {tensor['distortion']:.4g} ≤ {guarantee['bound']:g}{default}"
