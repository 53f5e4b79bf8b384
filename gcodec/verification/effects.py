"""What a record says that its bound did, beside what it did."""

import math
from collections.abc import Iterator
from dataclasses import asdict

from ..compressors.contract import Check
from ..container.effects import KEY, Effects
from ..container.layout import TensorHeader

_RELATIVE, _ABSOLUTE = 0.01, 0.001  # how far numbers of three digits may be from those that are measured


def effects_checks(header: TensorHeader, measured: Effects | None) -> Iterator[Check]:
    """Whether the stated effects are those that were measured, where there is something to compare.

    measured: None where nothing was measured, or every bit is equal.
    """
    stated = Effects.of(header.attributes)
    if stated is None and KEY in header.attributes:
        yield Check("effects", False, "the record states them in a way that the format does not allow")
    elif measured is not None and header.guarantee.kind != "exact":
        agree = stated is None or _agree(asdict(stated), asdict(measured))
        said = "" if agree or stated is None else f"; but the file says: {stated.words() or 'nothing'}"
        yield Check("effects", agree, (measured.words() or "no zero, sign or row was lost") + said)
    elif stated is not None:
        yield Check("effects", True, f"stated: {stated.words()}")


def _agree(stated: dict[str, float], measured: dict[str, float]) -> bool:
    return all(math.isclose(stated[name], measured[name], rel_tol=_RELATIVE, abs_tol=_ABSOLUTE) for name in measured)
