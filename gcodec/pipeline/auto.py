"""`auto`: try what can win on a tensor and keep the fewest bytes that a reader accepts."""

from collections.abc import Sequence
from dataclasses import replace

from ..compressors import registry
from ..compressors.common.matricise import matricise
from ..dtypes import is_float
from ..errors import InvalidInput
from ..request.choice import Choice
from ..source import Source
from .compress import Coded
from .compress import compress as compress_by

EFFORTS = ("best", "fast")
LARGE = 1 << 26  # values; above, "large": only methods whose memory does not grow with the tensor
EXACT, OMEGA = ("lossless",), ("rsd", "lossless", "dither")
PROBE_SEED = 0x6763_6F64_6563  # of the codes by which an unbiased method is chosen
ALPHA = {  # by effort
    "best": ("sd", "lossless", "ecsq", "tcq", "klt"),
    "fast": ("sd", "lossless", "ecsq", "klt"),
    "large": ("sd", "lossless", "ecsq"),
}


def compress(name: str, source: Source, choice: Choice) -> Coded:
    """Compress with the chosen method; for "auto", with the candidate that needs the fewest bytes.

    The length of a random code tells something of its error, so a choice by length would bias it: among unbiased methods
    it is made with another seed, and so depends on the tensor and the bound alone.
    """
    methods = candidates(source, choice)
    if methods == OMEGA:
        probe = replace(choice, options=choice.options | {"seed": PROBE_SEED})
        with _smallest(name, source, probe, methods) as coded:
            methods = (registry.by_id(coded.header.compressor).name,)
    return _smallest(name, source, choice, methods)


def _smallest(name: str, source: Source, choice: Choice, methods: Sequence[str]) -> Coded:
    first, *others = methods
    best = _try(name, source, choice, first)
    for method in others:
        try:
            coded = _try(name, source, choice, method)
        except InvalidInput:  # not made for this tensor
            continue
        except BaseException:
            best.close()
            raise
        if (not coded.is_accepted, coded.size) < (not best.is_accepted, best.size):
            best, coded = coded, best
        coded.close()
    return best


def candidates(source: Source, choice: Choice) -> Sequence[str]:
    """The methods to try; the first one takes any tensor."""
    if choice.method != "auto":
        return (choice.method,)
    effort, kind = choice.options.get("effort", "best"), choice.guarantee.kind
    if effort not in EFFORTS:
        raise InvalidInput(f'effort must be "best" or "fast", not {effort!r}')
    if kind == "exact" or not is_float(source.dtype) or source.size == 0:
        return EXACT
    if kind == "omega":
        return OMEGA
    matrix = min(matricise(source.shape)) > 1
    return [method for method in ALPHA[effort if source.size <= LARGE else "large"] if matrix or method != "klt"]


def _try(name: str, source: Source, choice: Choice, method: str) -> Coded:
    known = registry.option_names(method)
    options = {key: value for key, value in choice.options.items() if key in known}
    return compress_by(name, source, replace(choice, method=method, options=options))
