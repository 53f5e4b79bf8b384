"""How each tensor of a file is coded: one default, rules for names, and small tensors exact."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ..arguments import check_flag, check_text, named, several, whole_number
from ..errors import InvalidInput
from .choice import WHOLE, Effort, Nonfinite, axis_of, check_bound, check_keep_zeros, check_words, fills_of

SMALL = 1024  # values; biases, norms and learning rates below it are worth more than the bits they cost
Scope = Literal["tensor", "file"]
_MAPPINGS = ("methods", "alphas", "pointwises", "axes", "fills", "options")
_CHECKS: dict[str, Callable[[str, Any], object]] = {  # what fields must be unless they are None
    "method": check_text,
    **dict.fromkeys(("alpha", "omega", "pointwise"), check_bound),
    **dict.fromkeys(WHOLE, whole_number),
}


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What to do with each tensor of a file, as the options of `gcodec encode` say it.

    A tensor that a glob of `exact` matches is stored bit for bit. For any other, the last glob of
    `methods` that matches gives the method. The last one of `pointwises` gives the bound, or if
    there is none, the last one of `alphas`. What no rule gives comes from the default. A tensor
    without a rule and with fewer than `small` values is stored bit for bit, and so is whatever is
    not a float. Where no rule names a tensor, its role may go before the default: second moments of
    optimizers get pointwise 0.05; scales, coordinates, indexes, masks and counts are stored bit for
    bit; first moments keep their zeros (the table is in gcodec/request/roles.py). Globs are those
    of fnmatch; case matters.

    >>> policy = Policy(alpha=1e-3, alphas={"*embed*": 1e-2}, exact=["*norm*"])
    >>> policy.small
    1024

    method: the default, "auto" or a name. None is "auto", and then a bound is needed, unless the
        rules name all tensors that are not stored bit for bit anyway.
    alpha, omega, pointwise, lossless: the default guarantee, at most one of them, as for
        `gcodec.encode`.
    exact: globs of the tensors that are stored bit for bit.
    methods: glob → method.
    alphas, pointwises: glob → bound.
    small: a number of values.
    scope: "tensor" when alpha holds for each tensor; "file" when it holds for all floating tensors
    as one vector, Σ‖x̂ − x‖² ≤ alpha·Σ‖x‖².
    axes: glob → axis of the slices for which alpha holds one by one: a number, "rows" (the first)
    or "columns" (the last); None where alpha is that of the whole tensor. The last glob that
    matches holds. fills: glob → the value that stands for what is missing, or several; a tensor has
    those of all globs that match.
    effort, nonfinite, keep_zeros, seed, max_draws, block, states, options: as for `gcodec.encode`.
    Each method gets those options that it knows.

    Raises InvalidInput for a field of the wrong type. Whether the rules fit each other and the
    tensors is checked where the policy is used, before anything is written.
    """

    method: str | None = None
    alpha: float | None = None
    omega: float | None = None
    pointwise: float | None = None
    lossless: bool = False
    exact: Sequence[str] = ()
    methods: Mapping[str, str] = field(default_factory=dict)
    alphas: Mapping[str, float] = field(default_factory=dict)
    pointwises: Mapping[str, float] = field(default_factory=dict)
    axes: Mapping[str, int | str | None] = field(default_factory=dict)
    fills: Mapping[str, float | Sequence[float]] = field(default_factory=dict)
    small: int = SMALL
    scope: Scope = "tensor"
    effort: Effort = "best"
    nonfinite: Nonfinite = "refuse"
    keep_zeros: bool | None = None
    seed: int | None = None
    max_draws: int | None = None
    block: int | None = None
    states: int | None = None
    options: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kept: dict[str, Any] = {name: named(name, getattr(self, name)) for name in _MAPPINGS}
        kept["exact"] = tuple(several("exact", self.exact, "['*norm*']"))
        kept["small"] = whole_number("small", self.small, 0)
        for name, value in kept.items():  # copies, which the caller cannot change later
            object.__setattr__(self, name, value)
        self._check_rules()
        for name, check in _CHECKS.items():
            if getattr(self, name) is not None:
                check(name, getattr(self, name))
        check_flag("lossless", self.lossless)
        check_words(self.effort, self.nonfinite)
        if self.scope not in ("tensor", "file"):
            raise InvalidInput(f'scope must be "tensor" or "file", not {self.scope!r}')

    def _check_rules(self) -> None:
        for glob in self.exact:
            check_text("each glob of exact", glob)
        for glob, method in self.methods.items():
            check_text(f"the method of {glob!r}", method)
        for kind, bounds in (("alpha", self.alphas), ("pointwise", self.pointwises)):
            for glob, bound in bounds.items():
                check_bound(f"the {kind} of {glob!r}", bound)
        check_keep_zeros(self.keep_zeros)
        for axis in self.axes.values():
            axis_of(axis)
        for fill in self.fills.values():
            fills_of(fill)
