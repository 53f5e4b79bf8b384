"""The checks of a whole file: its tensors and metadata beside the original's, and its scope."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..compressors.contract import Check
from ..io.formats import user_metadata
from ..io.skeleton import is_skeleton
from .report import TensorReport
from .tensors import CERTIFICATE_TOLERANCE, compared

_MOST_NAMES = 3  # that a detail lists


def names_check(found: Iterable[str], originals: Iterable[str]) -> Check:
    """Whether the file has the tensors that the original has, and no others."""
    own, other = list(found), list(originals)
    if not any(map(is_skeleton, other)):  # then `frame_checks` speaks of frames
        own = [name for name in own if not is_skeleton(name)]
    added, lost = _without(own, other), _without(other, own)
    parts = [
        f"only in the {where}: {_listed(names)}" for where, names in (("file", added), ("original", lost)) if names
    ]
    tensors = [name for name in own if not is_skeleton(name)]
    return Check("tensors", not parts, "; ".join(parts) or f"those of the original, {len(tensors):,} in all")


def frame_checks(tensors: Iterable[TensorReport], originals: Collection[str]) -> Iterator[Check]:
    """Whether what stands around the tensors of a file is as in the original; one check for all.

    Nothing is compared with an original that has tensors alone, as one of another format.
    """
    frames = [tensor for tensor in tensors if is_skeleton(tensor.name)]
    if frames and not any(map(is_skeleton, originals)):
        yield Check("frame", True, "not compared: the original is of another format, which has tensors alone")
        return
    other = [tensor.name for tensor in frames if tensor.name in originals and tensor.measured_distortion != 0]
    if other:
        words = (
            "around the tensors, the original has other bytes: attributes, links, values that are not coded, or where "
            "chunks lie; a decoded HDF5 file has its chunks elsewhere, so compare with the file that was encoded"
        )
        yield Check("frame", False, f"{_listed(other)}: {words}")


def metadata_checks(own: Mapping[str, object], other: Mapping[str, object], limit: int | None) -> Iterator[Check]:
    """Whether the file has the metadata that the original has, and no others, if there are any.

    So too with what stands behind an .npz archive, which the metadata keep.

    own, other: `meta` of the container, and of the original's reader. limit: of the bytes that the
    container's metadata may unpack to. Raises Corrupt and LimitExceeded.
    """
    if own.get("format") == other.get("format") == "npz" and own.get("tail") != other.get("tail"):
        yield Check("frame", False, "behind the end of the archive, the original has other bytes")
    mine, yours = user_metadata(own, limit), user_metadata(other)
    if own.get("format") != other.get("format"):
        if yours:
            yield Check("metadata", True, f"not compared: the file was not made from the format {other['format']}")
        return
    changed = [key for key in mine if key in yours and mine[key] != yours[key]]
    sides = {"only in the file": _without(mine, yours), "only in the original": _without(yours, mine)}
    sides["of another value"] = changed
    parts = [f"{words}: {_listed(sorted(keys))}" for words, keys in sides.items() if keys]
    if mine or yours:
        detail = "; ".join(parts) or f"those of the original, {len(mine):,} in all"
        yield Check("metadata", not parts, detail)


def scope_check(scope: Mapping[str, Any], tensors: Sequence[TensorReport]) -> Check:
    """The scope "file": the error of all tensors as one vector, from their distortions and norms.

    Norms are measured where there is an original, and those that the file gives must agree.
    """
    stated: Mapping[str, float] = scope["norm2"]
    known = {tensor.name: tensor.norm2 for tensor in tensors if tensor.norm2 is not None}
    names = {tensor.name for tensor in tensors}
    lossy = [tensor.name for tensor in tensors if tensor.header.guarantee.kind == "alpha"]
    wrong = [name for name in {**stated, **known} if not _agree(stated.get(name, 0.0), known.get(name))]
    for words, wrongly in (
        ("the file has no tensor", _without(stated, names)),
        ("no ‖x‖² is given for", _without(lossy, stated)),
        ("‖x‖² is not as given for", wrong),
    ):
        if wrongly:
            return Check("scope", False, f"{words} {_listed(wrongly)}, so the bound over all tensors says nothing")
    norm2 = {**stated, **known}
    unit = math.frexp(max(norm2.values(), default=1.0))[1]  # beside this power of two, no sum overflows
    norm2 = {name: math.ldexp(value, -unit) for name, value in norm2.items()}
    error = math.fsum(_error(tensor, norm2.get(tensor.name, 0.0)) for tensor in tensors)
    reached, alpha = error / (math.fsum(norm2.values()) or 1.0), scope["alpha"]
    return Check("scope", reached <= alpha, f"over all tensors, relative squared L2 error {compared(reached, alpha)}")


def _error(tensor: TensorReport, norm2: float) -> float:
    """‖x̂ − x‖²; infinite where x is zero and x̂ is not."""
    power = 2 if tensor.header.guarantee.kind == "pointwise" else 1
    return tensor.distortion**power * norm2 if norm2 or math.isfinite(tensor.distortion) else math.inf


def _agree(stated: float, measured: float | None) -> bool:
    return measured is None or math.isclose(stated, measured, rel_tol=CERTIFICATE_TOLERANCE)


def _without(names: Iterable[str], others: Collection[str]) -> list[str]:
    known = set(others)
    return [name for name in names if name not in known]


def _listed(names: Sequence[str]) -> str:
    """The first few of the names."""
    more = f" and {len(names) - _MOST_NAMES:,} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(map(repr, names[:_MOST_NAMES])) + more
