"""Every option of the command line, written once."""

from typing import Annotated

import typer

from ..errors import InvalidInput
from ..io.streams import is_standard_input, is_standard_output


def standard_input(name: str | None) -> str | None:
    """`-` for every other name of standard input."""
    return "-" if name and is_standard_input(name) else name


def standard_output(name: str | None) -> str | None:
    """`-` for every other name of standard output, so that nothing but the data goes there."""
    return "-" if name and is_standard_output(name) else name


InputArg = Annotated[
    str,
    typer.Argument(
        metavar="INPUT", callback=standard_input, help=".npy, .npz, .h5, .safetensors or .pt; - for standard input."
    ),
]
InputsArg = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        callback=lambda names: [standard_input(name) for name in names],
        help=".npy, .npz, .h5, .safetensors, .pt, or a folder of shards; - for standard input.",
    ),
]
FileArg = Annotated[
    str, typer.Argument(metavar="FILE", callback=standard_input, help="A gcodec file (.gcz), or - for standard input.")
]
OutOpt = Annotated[
    str | None, typer.Option("-o", "--output", callback=standard_output, help="Where to write; - for standard output.")
]
MethodsOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--method",
        help="auto (the default) or a compressor such as sd; GLOB=METHOD for some tensors, the last match wins.",
    ),
]
AlphasOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--alpha",
        help="Largest relative squared L2 error, 0 < alpha < 1; GLOB=ALPHA for some tensors, beside a default for the "
        "others (--lossless, too). --exact wins over rules, and rules over defaults. ALPHA@rows holds for each row "
        "by itself, @columns for each index of the last axis, @axis1 for each of axis 1; without @ it is that of the "
        "whole tensor, whatever other rules say. A tensor with fewer than two axes is one row.",
    ),
]
FillsOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--fill",
        help="A value that stands for what is missing, such as nan or -999, several with commas, or GLOB=VALUE: it is "
        "kept bit for bit, and the bound (alpha or pointwise) is about the others.",
    ),
]
KeepZerosOpt = Annotated[
    bool | None,
    typer.Option(
        "--keep-zeros/--no-keep-zeros",
        help="Zeros come back as zeros (-0 as 0; --fill=-0.0 keeps its sign); default: where they are frequent, if cheap.",
    ),
]
ExactOpt = Annotated[list[str] | None, typer.Option(help="GLOB of tensors to store bit for bit, whatever the rules.")]
SmallOpt = Annotated[
    int | None,
    typer.Option(min=0, help="Store tensors of fewer values exactly; default: 1024 in checkpoints, 0 for an array."),
]
PlanOpt = Annotated[
    bool,
    typer.Option(
        "--plan",
        help="Write nothing; say of each tensor what it is, how it is coded, and what it takes (of a large one a part is tried).",
    ),
]
ScopeOpt = Annotated[str, typer.Option(help="tensor: alpha holds for each; file: for all of them as one vector.")]
SkipOpt = Annotated[
    str | None,
    typer.Option(
        metavar="MARK",
        help="Go on with a stream that was cut: leave out the tensors that arrived, which decode --resume-from gives as "
        "a MARK such as 8-3fa91c02. With -o - alone.",
    ),
]
ResumeOpt = Annotated[
    str | None,
    typer.Option(
        metavar="PART",
        help="Keep what arrives of a stream in the file PART. After a cut, the same command goes on with it; the sender "
        "needs --skip, and this one says with what.",
    ),
]
SalvageOpt = Annotated[bool, typer.Option("--salvage", help="Of a damaged FILE, write the tensors that are whole.")]
AlphaOpt = Annotated[float | None, typer.Option(help="Largest relative squared L2 error, 0 < alpha < 1; enforced.")]
PointwisesOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--pointwise",
        help="Largest relative error of every single value, between 0 and 1; zeros and signs are exact. GLOB=BOUND for "
        "some tensors, where it wins over --alpha.",
    ),
]
OmegaOpt = Annotated[float | None, typer.Option(help="Unbiased, with at most this expected relative squared L2 error.")]
LosslessOpt = Annotated[bool, typer.Option("--lossless", help="Bit for bit.")]
SeedOpt = Annotated[
    int | None,
    typer.Option(
        help="Seed of the unbiased methods, any whole number: one that no two ranks and rounds share, such as "
        "round * ranks + rank. Default: a fresh one for each tensor."
    ),
]
MaxDrawsOpt = Annotated[
    int | None,
    typer.Option(help="sc: most directions tried for a block, 64 to 2^31; default: 2^22, of a short tensor 2^25."),
]
BlockOpt = Annotated[
    int | None,
    typer.Option(help="sc: length of the longest blocks, 1 to 128; the tensor's size for one block; default: chosen."),
]
StatesOpt = Annotated[
    int | None,
    typer.Option(help="dither: states of its trellis, 1, 8 or 32; default: the one of 1 and 8 that needs fewer bits."),
]
EffortOpt = Annotated[
    str, typer.Option(help="best (fewest bytes), or fast: without tcq, and klt only where the rank is low.")
]
ThreadsOpt = Annotated[int | None, typer.Option("-T", "--threads", help="Threads; default: one for each core.")]
ForceOpt = Annotated[bool, typer.Option("-f", "--force", help="Overwrite an existing output.")]
JsonOpt = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
QuietOpt = Annotated[bool, typer.Option("-q", "--quiet", help="Print nothing but errors, and what --json gives.")]
DtypeOpt = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[GLOB=]DTYPE", help="What raw integers of .npy and .npz files stand for, such as bf16. Repeatable."
    ),
]
NonfiniteOpt = Annotated[str, typer.Option(help="Tensors with NaN or infinity: refuse, or store them lossless.")]
TensorOpt = Annotated[str | None, typer.Option(help="Decode this tensor alone.")]
ToOpt = Annotated[str | None, typer.Option(help="Format of the output: npy, npz, h5, safetensors, pt or folder.")]
LimitOpt = Annotated[
    int | None,
    typer.Option(min=1, help="Accept this many decoded bytes in all, however few coded ones they come from."),
]
TrustOpt = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Read and write HDF5 within this process: 0.2 s quicker, for files that you made yourself.",
    ),
]
AgainstOpt = Annotated[
    str | None, typer.Option(callback=standard_input, help="The original, to measure the error against.")
]
SpecsOpt = Annotated[
    str | None,
    typer.Option(help="FILE is a message of a channel; its tensors are in this JSON, as `Channel.specs` writes it."),
]
NeededOutOpt = Annotated[
    str, typer.Option("-o", "--output", callback=standard_output, help="Where to write; - for standard output.")
]
BasesOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--base",
        metavar="FILE",
        help="A file of the tensors that these ones are coded against: a gcodec file, or a file of tensors; several for "
        "a chain.",
    ),
]
BaseDirOpt = Annotated[
    str | None,
    typer.Option(metavar="FOLDER", help="A folder of gcodec files, in which bases are found by their checksums."),
]
AlphaOfOpt = Annotated[
    str | None,
    typer.Option(
        help="With --base, what alpha is relative to: change, the squared distance from the base (the default), or "
        "tensor."
    ),
]
KeyframesOpt = Annotated[
    int | None,
    typer.Option(
        "--keyframes", metavar="K", min=1, help="With --base: code whole what has K - 1 records below it already."
    ),
]
TrialsOpt = Annotated[
    int,
    typer.Option(
        min=0, help="With --against: encode 10 to 2000 times with new seeds, and test what is promised of means."
    ),
]


def by_glob(values: list[str] | None, option: str) -> dict[str, str]:
    """The values of [GLOB=]VALUE options by glob; a plain VALUE is under the empty glob."""
    rules: dict[str, str] = {}
    for text in values or ():
        glob, value = rule(text, option)
        if glob in rules:
            what = f"the glob {glob!r} was" if glob else f"another {option} without a glob was"
            raise InvalidInput(f"{option} {text}: {what} given before, and each can be given once")
        rules[glob] = value
    return rules


def rule(text: str, option: str) -> tuple[str, str]:
    """(glob, value) of an option's GLOB=VALUE; a plain VALUE has the empty glob."""
    glob, sign, value = text.rpartition("=")
    if sign and not glob:
        raise InvalidInput(f"{option} {text}: a rule is GLOB=VALUE, and the glob is missing")
    return glob, value
