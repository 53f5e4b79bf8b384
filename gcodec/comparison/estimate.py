"""What coding a tensor would give, estimated without coding it."""

import math
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from .. import ieee
from ..compressors import registry
from ..compressors.contract import LOOSEST, Plan, TooFine
from ..container.layout import LEAST_RECORD
from ..distortion import Scan
from ..errors import InvalidInput
from ..pipeline import auto
from ..pipeline.compress import Attempt, scan_for_bound
from ..pipeline.effects import Found, Heads
from ..request.choice import Choice
from ..source import ArraySource, Source, matricise

_MANY_HEADS, _OF_A_HEAD = 256, 512  # the most heads of which each is looked at, and values of each
SAMPLE = 1 << 15  # values that are coded to foretell the bytes of a tensor, where no plan says them


@dataclass(frozen=True)
class Estimate:
    """method: the one that is likely to be taken. bytes: of the record, about.

    found: what the bound would do to a sample, if it is one on the norm. whole: whether the sample
    is the whole tensor.
    """

    method: str
    bytes: int
    found: Found | None = None
    whole: bool = True


@ieee.arithmetic()
def estimate(name: str, source: Source, choice: Choice) -> Estimate:
    """What `auto.compress` would give.

    Where plans are made, they say it. Else some rows are coded. Raises what `auto.compress` raises
    before it codes.
    """
    scan = scan_for_bound(name, source, choice) if source.size > SAMPLE else None
    plans = _plans(name, source, choice, scan) if scan is not None and choice.guarantee.kind == "alpha" else []
    if scan is None or not plans:
        return _of_sample(name, source, choice)
    plan, method = min(plans, key=lambda pair: pair[0].most)
    bits = math.sqrt(max(plan.least, 1.0) * plan.most)
    return Estimate(method, _record(name, bits / 8), _found_in_sample(source, choice, scan), whole=False)


def _found_in_sample(source: Source, choice: Choice, scan: Scan) -> Found | None:
    """What the bound would do to a part, if each value got its share of the error."""
    taken = _sample_of_heads(source)
    taken = _sample(source) if taken is None else taken
    norm2 = float(((taken.astype(np.float64) / scale) ** 2).sum()) if (scale := scan.scale) else 0.0
    share = choice.guarantee.bound * scan.norm2 / source.size
    if not norm2:
        return None
    bound = min(share * taken.size / norm2, LOOSEST)
    options = choice.options | ({"effort": "fast"} if "effort" in choice.options else {})
    quick = replace(choice, guarantee=replace(choice.guarantee, bound=bound), options=options)
    with auto.compress("", ArraySource(taken), quick) as coded:
        heads, found = Heads.of(source.shape), coded.found
    if heads is None or found is None:
        return found
    erased = tuple(replace(one, axis=axis) for one, axis in zip(found.erased, heads.axes, strict=False))
    return replace(found, erased=erased)


def _record(name: str, body: float) -> int:
    """The bytes of a record with a body of so many."""
    return LEAST_RECORD + len(name.encode()) + math.ceil(body)


def _plans(name: str, source: Source, choice: Choice, scan: Scan) -> list[tuple[Plan, str]]:
    """The plans that say something, each with its method."""
    found = []
    for method in auto.candidates(source, choice):
        options = {key: value for key, value in choice.options.items() if key in registry.option_names(method)}
        with suppress(InvalidInput, TooFine):
            plan = Attempt.of(name, source, replace(choice, method=method, options=options), scan).plan
            if math.isfinite(plan.most):
                found.append((plan, method))
    return found


def _of_sample(name: str, source: Source, choice: Choice) -> Estimate:
    """The estimate that rows here and there give; of a small tensor, all of it is coded."""
    taken = _sample(source)
    with auto.compress(name, ArraySource(taken), choice) as coded:
        method = registry.by_id(coded.header.compressor).name
        body = coded.header.body_length * source.size / max(taken.size, 1)
        return Estimate(method, _record(name, body), coded.found, whole=taken.size == source.size)


def _sample(source: Source) -> np.ndarray:
    rows, columns = matricise(source.shape)
    wanted = max(SAMPLE // max(columns, 1), 1)
    if source.size <= SAMPLE or rows <= wanted:
        return source.read(0, min(source.size, SAMPLE)).reshape((-1,) if source.size > SAMPLE else source.shape)
    places = np.linspace(0, rows - 1, wanted).astype(np.int64).tolist()
    pieces = [source.read(i * columns, (i + 1) * columns) for i in places]
    rest = [length for length in source.shape if length > 1][1:]
    return np.concatenate(pieces).reshape(wanted, *rest)


def _sample_of_heads(source: Source) -> np.ndarray | None:
    """The first values of each slice that may be a head; None where there are none, or many."""
    heads = Heads.of(source.shape)
    if heads is None or source.size > _MANY_HEADS * heads.inner:
        return None
    count = source.size // heads.inner
    taken = min(max(SAMPLE // count, _OF_A_HEAD) // heads.width + 1, heads.inner // heads.width) * heads.width
    pieces = [source.read(i * heads.inner, i * heads.inner + taken) for i in range(count)]
    return np.concatenate(pieces).reshape(count, -1, heads.width)
