"""What a user asked for a tensor, checked: a method and a guarantee that fit each other."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ..arguments import check_flag, check_number, check_text, named, whole_number
from ..compressors import registry
from ..compressors.contract import Guarantee
from ..errors import InvalidInput
from ..parallel import thread_count
from .on_base import OnBase
from .terms import Terms

DEFAULT_ALPHA, DEFAULT_OMEGA = 0.1, 0.25  # the paper's choices for a single array
_DEFAULTS = {"alpha": DEFAULT_ALPHA, "omega": DEFAULT_OMEGA, "pointwise": 0.01, "exact": 0.0}
_AXES = {"rows": 0, "columns": -1}  # the words for an axis
WHOLE = ("seed", "max_draws", "block", "states")  # the options that are whole numbers
Effort = Literal["best", "fast"]
Nonfinite = Literal["refuse", "lossless"]


@dataclass(frozen=True)
class Choice:
    """How a tensor is compressed.

    method: a name. guarantee: what is promised. options: for the fields of the compressor's class.
    nonfinite: "refuse" NaN and infinity, or store such a tensor "lossless". threads: at most so
    many work on it. keep_zeros, fill, axis: as for `gcodec.encode`, and terms: what of them a
    tensor has. base: what the tensor may be coded against. sample: of a tensor with
    more chunks, only so many are coded, here and there; the record says what all would have, but
    nobody can decode it. progress: is called with the number of values that were just coded
    (`auto`, and a bound that had to be made tighter, code a tensor more than once). moment:
    whether it is a first moment of an optimizer, of which a value may be lost to 0, but must not
    come back many times as large as it was.
    """

    method: str
    guarantee: Guarantee
    options: dict[str, Any] = field(default_factory=dict)
    nonfinite: str = "refuse"
    threads: int = 1
    keep_zeros: bool | None = None
    fill: tuple[float, ...] = ()
    axis: int | None = None
    terms: Terms = Terms()
    base: OnBase | None = None
    sample: int | None = None
    moment: bool = False
    progress: Callable[[int], object] = field(default=lambda count: None, compare=False, repr=False)


def choose(
    method: str = "auto",
    *,
    alpha: float | None = None,
    omega: float | None = None,
    pointwise: float | None = None,
    lossless: bool = False,
    effort: Effort = "best",
    nonfinite: Nonfinite = "refuse",
    seed: int | None = None,
    max_draws: int | None = None,
    block: int | None = None,
    states: int | None = None,
    keep_zeros: bool | None = None,
    fill: float | Sequence[float] | None = None,
    axis: int | str | None = None,
    options: Mapping[str, object] | None = None,
    threads: int | None = None,
) -> Choice:
    """The choice that a method's name, at most one bound and the options stand for.

    The parameters are those of `gcodec.encode`, which says what each means. Raises InvalidInput
    when one is not in its range, when method and guarantee do not fit, and for an option that the
    method does not have. `effort` is accepted for every method: where there is nothing to choose,
    it changes nothing.
    """
    check_text("method", method)
    check_flag("lossless", lossless)
    check_words(effort, nonfinite)
    guarantee = _guarantee(method, {"alpha": alpha, "omega": omega, "pointwise": pointwise}, lossless)
    own = dict(seed=seed, max_draws=max_draws, block=block, states=states) | named(
        "options", {} if options is None else options
    )
    given = _accepted(method, {name: value for name, value in own.items() if value is not None})
    if "effort" in options_of(method):
        given["effort"] = effort
    check_keep_zeros(keep_zeros)
    fills, number = fills_of(fill), axis_of(axis)
    check_terms(guarantee.kind, keep_zeros, fills, number)
    return Choice(method, guarantee, given, nonfinite, thread_count(threads), keep_zeros, fills, number)


def kinds_of(method: str) -> tuple[str, ...]:
    """The kinds of guarantee that a method can give, its preferred one first."""
    return registry.KINDS if method == "auto" else registry.by_name(method).load().kinds


def options_of(method: str) -> tuple[str, ...]:
    """The options of a method: the fields of its class (`auto` gives each method what it knows)."""
    check_text("method", method)
    return registry.OPTIONS if method == "auto" else registry.option_names(method)


def fills_of(fill: float | Sequence[float] | None) -> tuple[float, ...]:
    """Values that stand for what is missing, as given: one, several or none."""
    given = () if fill is None else tuple(fill) if isinstance(fill, list | tuple) else (fill,)
    for value in given:
        if isinstance(value, str):
            raise InvalidInput(f"fill must be a number, not {value!r:.200}; NaN is float('nan') in Python")
        check_number("fill", value)
    return tuple(map(float, given))


def axis_of(axis: int | str | None) -> int | None:
    """The number of an axis, given as that or as "rows", the first, or "columns", the last."""
    if axis is None or (isinstance(axis, str) and axis in _AXES):
        return None if axis is None else _AXES[axis]
    if isinstance(axis, str):
        raise InvalidInput(f'axis must be "rows", "columns" or a whole number, not {axis!r:.200}')
    return whole_number("axis", axis)


def check_keep_zeros(keep_zeros: bool | None) -> None:
    if keep_zeros is not None:
        check_flag("keep_zeros", keep_zeros)


def check_terms(kind: str, keep_zeros: bool | None, fills: Sequence[float], axis: int | None) -> None:
    """Raise InvalidInput for what a guarantee of this kind cannot say beside its bound."""
    if kind == "omega" and (keep_zeros or fills or axis is not None):
        raise InvalidInput(
            "an unbiased code (omega) cannot keep zeros or fill values, nor hold its bound for each slice along an "
            "axis; a bound alpha can"
        )
    if kind == "pointwise" and axis is not None:
        raise InvalidInput("a bound pointwise holds for every value, so it takes no axis; a bound alpha does")


def check_words(effort: str, nonfinite: str) -> None:
    for name, value, words in (("effort", effort, registry.EFFORTS), ("nonfinite", nonfinite, ("refuse", "lossless"))):
        if value not in words:
            raise InvalidInput(f'{name} must be "{words[0]}" or "{words[1]}", not {value!r}')


def _accepted(method: str, options: dict[str, Any]) -> dict[str, Any]:
    """The options, if the method has them all."""
    known = options_of(method)
    for name, value in options.items():
        if name not in known:
            others = f"; it has {', '.join(known)}" if known else ""
            raise InvalidInput(f"method {method} has no option {name}{others}")
        if name in WHOLE:
            whole_number(name, value)
    return options


def check_bound(name: str, value: object) -> None:
    """Raise InvalidInput for a bound that is no number."""
    if isinstance(value, str) and "@" in value:
        raise InvalidInput(
            f'{name} must be a number, not {value!r:.200}; in Python the axis of slices is axis="rows", and '
            'axes={"GLOB": "rows"} for tensors by name'
        )
    check_number(name, value)


def _guarantee(method: str, asked: Mapping[str, float | None], lossless: bool) -> Guarantee:
    """The guarantee that was asked for, or the method's preferred one with its default bound.

    asked: the bound of each kind that has one, or None.
    """
    for name, value in asked.items():
        if value is not None:
            check_bound(name, value)
    kinds = kinds_of(method)
    bounds = {**asked, "exact": 0.0 if lossless else None}
    given = [kind for kind, bound in bounds.items() if bound is not None]
    if len(given) > 1:
        raise InvalidInput("give only one of alpha, omega, pointwise and lossless")
    kind = given[0] if given else kinds[0]
    if kind not in kinds:
        raise InvalidInput(f"method {method} cannot guarantee {kind}; it guarantees {' or '.join(kinds)}")
    bound = _DEFAULTS[kind] if not given else float(bounds[kind] or 0.0)
    if kind in ("alpha", "pointwise") and not 0 < bound < 1:
        raise InvalidInput(
            f"{kind} must be between 0 and 1 (without either), not {bounds[kind]}; for a copy without error use lossless"
        )
    if kind == "omega" and not 0 < bound < math.inf:
        raise InvalidInput(f"omega must be a positive number, not {bounds[kind]}")
    return Guarantee(kind, bound)
