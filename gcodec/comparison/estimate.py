"""What coding a tensor would give, estimated without coding it."""

import math
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from .. import ieee
from ..compressors import registry
from ..compressors.contract import Plan, TooFine
from ..container.layout import LEAST_RECORD
from ..distortion import Scan
from ..errors import InvalidInput
from ..pipeline import auto
from ..pipeline.compress import Attempt, scan_for_bound
from ..request.choice import Choice
from ..source import ArraySource, Source, matricise

SAMPLE = 1 << 15  # values that are coded to foretell the bytes of a tensor, where no plan says them


@dataclass(frozen=True)
class Estimate:
    """method: the one that is likely to be taken. bytes: of the record, about."""

    method: str
    bytes: int


@ieee.arithmetic()
def estimate(name: str, source: Source, choice: Choice) -> Estimate:
    """What `auto.compress` would give.

    Where plans are made, they say it. Else some rows are coded. Raises what `auto.compress` raises
    before it codes.
    """
    scan = scan_for_bound(name, source, choice) if source.size > SAMPLE else None
    plans = _plans(name, source, choice, scan) if scan is not None and choice.guarantee.kind == "alpha" else []
    if not plans:
        return _of_sample(name, source, choice)
    plan, method = min(plans, key=lambda pair: pair[0].most)
    bits = math.sqrt(max(plan.least, 1.0) * plan.most)
    return Estimate(method, LEAST_RECORD + len(name.encode()) + math.ceil(bits / 8))


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
    rows, columns = matricise(source.shape)
    wanted = max(SAMPLE // max(columns, 1), 1)
    if source.size <= SAMPLE or rows <= wanted:
        taken = source.read(0, min(source.size, SAMPLE)).reshape((-1,) if source.size > SAMPLE else source.shape)
    else:
        places = np.linspace(0, rows - 1, wanted).astype(np.int64).tolist()
        taken = np.concatenate([source.read(i * columns, (i + 1) * columns) for i in places]).reshape(wanted, columns)
    with auto.compress(name, ArraySource(taken), choice) as coded:
        method = registry.by_id(coded.header.compressor).name
        body = coded.header.body_length * source.size / max(taken.size, 1)
    return Estimate(method, LEAST_RECORD + len(name.encode()) + math.ceil(body))
