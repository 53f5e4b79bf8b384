"""What `verify` says of a record's base."""

import math
from collections.abc import Iterator

from ..compressors.contract import Check
from ..container.budget import Budget
from ..container.reader import Record
from ..distortion import SLACK, scan_source
from ..pipeline.bases.pair import Pair
from ..source import Source


def base_checks(record: Record, original: Source | None, distortion: float, budget: Budget) -> Iterator[Check]:
    """That the base was found, and what is promised of the change, against the original.

    distortion: ‖x̂ − x‖²/‖x‖², rounded up.
    """
    header = record.header
    if header.base is None:
        return
    yield Check("base", True, f"{header.base.words}, behind it {header.base.depth - 1:,} more")
    alpha = header.base.alpha
    if original is None or alpha is None or header.guarantee.kind != "alpha":
        return
    scan = scan_source(header.name, original, "lossless")
    distance = Pair(header.name, original, record.base(budget), scan, 1).distance
    reached = distortion / distance if 0 < distance < math.inf else math.inf
    detail = f"squared error relative to the squared distance from the base {reached:.6g}"
    yield Check("change", reached <= alpha * (1 + 4 * SLACK), f"{detail} {'≤' if reached <= alpha else '>'} {alpha:g}")
