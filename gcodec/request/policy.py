"""How each tensor of a file is coded: one default, rules for names, and small tensors exact."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ..errors import InvalidInput
from .choice import Effort, Nonfinite

SMALL = 1024  # values; biases, norms and learning rates below it are worth more than the bits they cost
Scope = Literal["tensor", "file"]


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What to do with each tensor of a file, as the options of `gcodec encode` say it.

    A tensor that a glob of `exact` matches is stored bit for bit. For any other, the last glob of
    `methods` that matches gives the method, and the last one of `alphas` gives the bound; what no
    rule gives comes from the default. A tensor without a rule and with fewer than `small` values is
    stored bit for bit, and so is whatever is not a float. Globs are those of fnmatch; case matters.

    >>> policy = Policy(alpha=1e-3, alphas={"*embed*": 1e-2}, exact=["*norm*"])
    >>> policy.small
    1024

    method: the default, "auto" or a name. None is "auto", and then a bound is needed.
    alpha, omega, lossless: the default guarantee, at most one of them, as for `gcodec.encode`.
    exact: globs of the tensors that are stored bit for bit.
    methods: glob → method.
    alphas: glob → alpha.
    small: a number of values.
    scope: "tensor" when alpha holds for each tensor; "file" when it holds for all floating tensors
    as one vector, Σ‖x̂ − x‖² ≤ alpha·Σ‖x‖².
    effort, nonfinite, seed, max_draws, block, states, options: as for `gcodec.encode`. Each method
    gets those options that it knows.

    Raises InvalidInput for a field of the wrong type. Whether the rules fit each other and the
    tensors is checked where the policy is used, before anything is written.
    """

    method: str | None = None
    alpha: float | None = None
    omega: float | None = None
    lossless: bool = False
    exact: Sequence[str] = ()
    methods: Mapping[str, str] = field(default_factory=dict)
    alphas: Mapping[str, float] = field(default_factory=dict)
    small: int = SMALL
    scope: Scope = "tensor"
    effort: Effort = "best"
    nonfinite: Nonfinite = "refuse"
    seed: int | None = None
    max_draws: int | None = None
    block: int | None = None
    states: int | None = None
    options: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.exact, str) or not all(isinstance(glob, str) for glob in self.exact):
            raise InvalidInput(f"exact must be a list of globs, such as ['*norm*'], not {self.exact!r}")
        for name, rules in (("methods", self.methods), ("alphas", self.alphas), ("options", self.options)):
            if not isinstance(rules, Mapping) or not all(isinstance(key, str) for key in rules):
                raise InvalidInput(f"{name} must be a dict with strings as keys, not {rules!r}")
            object.__setattr__(self, name, dict(rules))  # a copy, which the caller cannot change later
        object.__setattr__(self, "exact", tuple(self.exact))
        if not isinstance(self.small, int) or self.small < 0:
            raise InvalidInput(f"small must be a number of values, 0 or more, not {self.small!r}")
        if self.scope not in ("tensor", "file"):
            raise InvalidInput(f'scope must be "tensor" or "file", not {self.scope!r}')
