"""`auto`: try what can win on a tensor and keep the fewest bytes that a reader accepts."""

from collections.abc import Sequence
from dataclasses import replace

from ..compressors import registry
from ..compressors.common.matricise import matricise
from ..compressors.contract import Entry
from ..dtypes import is_float
from ..errors import InvalidInput, NonFinite
from ..request.choice import Choice
from ..source import Source
from .compress import CodedRecord
from .compress import compress as compress_by

LARGE = 1 << 26  # values; above, only methods are tried whose memory does not grow with the tensor
PROBE_SEED = 0x6763_6F64_6563  # seed of the codes by which an unbiased method is chosen


def compress(name: str, source: Source, choice: Choice) -> CodedRecord:
    """Compress with the chosen method; for "auto", with the candidate that needs the fewest bytes.

    Among unbiased methods the choice is made with another seed. For the length of a random code
    says something about its error, so a choice by the length of the code that is kept would bias
    it. With another seed, the choice depends on the tensor and the bound alone.
    """
    methods = candidates(source, choice)
    if choice.guarantee.kind == "omega" and len(methods) > 1:
        probe = replace(choice, options=choice.options | {"seed": PROBE_SEED})
        with _smallest(name, source, probe, methods) as coded:
            methods = (registry.by_id(coded.header.compressor).name,)
    if len(methods) == 1:
        return _by(name, source, choice, methods[0])
    return _smallest(name, source, choice, methods)


def candidates(source: Source, choice: Choice) -> Sequence[str]:
    """The methods to try. If there are several, the last one takes any tensor."""
    if choice.method != "auto":
        return (choice.method,)
    effort, kind = choice.options.get("effort", registry.EFFORTS[0]), choice.guarantee.kind
    if effort not in registry.EFFORTS:
        known = " or ".join(f'"{one}"' for one in registry.EFFORTS)
        raise InvalidInput(f"effort must be {known}, not {effort!r}")
    if kind == "exact" or not is_float(source.dtype) or source.size == 0:
        return (registry.EXACT.name,)
    fitting = [entry for entry in registry.ENTRIES if effort in entry.efforts and _fits(entry, source)]
    lossy = [entry.name for entry in fitting if kind in entry.load().kinds]
    return (*lossy, registry.EXACT.name)


def _fits(entry: Entry, source: Source) -> bool:
    """Whether a method is made for a tensor of this shape and size."""
    if entry.matrix and min(matricise(source.shape)) == 1:
        return False
    return not entry.whole or source.size <= LARGE


def _smallest(name: str, source: Source, choice: Choice, methods: Sequence[str]) -> CodedRecord:
    """The smallest of what the methods give, with what readers want to be paid.

    A method that refuses the tensor is left out.
    """
    best: CodedRecord | None = None
    for method in methods:
        try:
            coded = _by(name, source, choice, method)
        except NonFinite:  # no method takes it
            raise
        except InvalidInput:  # not made for this tensor
            continue
        except BaseException:
            if best is not None:
                best.close()
            raise
        if best is None:
            best = coded
        elif _rank(coded) < _rank(best):
            best.close()
            best = coded
        else:
            coded.close()
    assert best is not None  # the last one takes any tensor
    return best


def _rank(coded: CodedRecord) -> int:
    return coded.paid_size


def _by(name: str, source: Source, choice: Choice, method: str) -> CodedRecord:
    """The tensor compressed by one method, with those of the options that it has."""
    known = registry.option_names(method)
    options = {key: value for key, value in choice.options.items() if key in known}
    return compress_by(name, source, replace(choice, method=method, options=options))
