"""What a user asked for, checked: a method and a guarantee that fit each other."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

from ..compressors import registry
from ..compressors.contract import Guarantee
from ..errors import InvalidInput
from ..parallel import thread_count

DEFAULT_ALPHA, DEFAULT_OMEGA = 0.1, 0.25  # the paper's choices for a single array


@dataclass(frozen=True)
class Choice:
    """How to compress: a method's name, the guarantee, options for the compressor's fields, what to do with NaN and
    infinity (`nonfinite`: "refuse" or "lossless"), and who is told the number of values just coded (auto and tightened
    bounds code a tensor more than once)."""

    method: str
    guarantee: Guarantee
    options: dict[str, Any] = field(default_factory=dict)
    nonfinite: str = "refuse"
    threads: int = 1
    told: Callable[[int], object] = field(default=lambda count: None, compare=False, repr=False)


def choose(
    method: str = "auto",
    *,
    alpha: float | None = None,
    omega: float | None = None,
    lossless: bool = False,
    threads: int | None = None,
    nonfinite: str = "refuse",
    **options: Any,
) -> Choice:
    """The choice that a method's name and at most one bound stand for; raises InvalidInput when they do not fit.

    alpha: 0 < alpha < 1, the largest relative squared L2 error. omega: > 0, the largest expected one, unbiased. lossless: bit
    for bit. nonfinite: "refuse" tensors with NaN or infinity, or store them "lossless". options: fields of the
    compressor (seed, effort, …).
    """
    if nonfinite not in ("refuse", "lossless"):
        raise InvalidInput(f'nonfinite must be "refuse" or "lossless", not {nonfinite!r}')
    for name, value in (("alpha", alpha), ("omega", omega)):
        if value is not None and not isinstance(value, Real):
            raise InvalidInput(f"{name} must be a number, not {value!r}")
    if not isinstance(options.get("seed") or 0, Integral):
        raise InvalidInput(f"the seed must be a whole number, not {options['seed']!r}")
    kinds = kinds_of(method)
    bounds = {"alpha": alpha, "omega": omega, "exact": 0.0 if lossless else None}
    given = [kind for kind, bound in bounds.items() if bound is not None]
    if len(given) > 1:
        raise InvalidInput("give only one of alpha, omega and lossless")
    kind = given[0] if given else kinds[0]
    if kind not in kinds:
        raise InvalidInput(f"method {method} cannot guarantee {kind}; it guarantees {' or '.join(kinds)}")
    bound = bounds[kind]
    default = {"alpha": DEFAULT_ALPHA, "omega": DEFAULT_OMEGA, "exact": 0.0}[kind]
    guarantee = Guarantee(kind, default if bound is None else float(bound))
    if kind == "alpha" and not 0 < guarantee.bound < 1:
        raise InvalidInput(
            f"alpha must be between 0 and 1 (without either), not {alpha}; for a copy without error use lossless"
        )
    if kind == "omega" and not 0 < guarantee.bound < math.inf:
        raise InvalidInput(f"omega must be a positive number, not {omega}")
    used = {key: value for key, value in options.items() if value is not None}
    return Choice(method, guarantee, _accepted(method, used), nonfinite, thread_count(threads))


def choose_for_checkpoint(method: str | None = None, **options: Any) -> Choice:
    """As `choose`, but something must be chosen."""
    chosen = options.get("alpha") is not None or options.get("omega") is not None or options.get("lossless")
    if method is None and not chosen:
        raise InvalidInput(
            "a checkpoint needs a choice: a bound alpha (the largest relative squared L2 error of each tensor, such as "
            "1e-3), a bound omega (unbiased), lossless, or a method"
        )
    return choose(method or "auto", **options)


def kinds_of(method: str) -> tuple[str, ...]:
    """The kinds of guarantee that a method can give, its preferred one first."""
    return registry.KINDS if method == "auto" else registry.by_name(method).load().kinds


def options_of(method: str) -> tuple[str, ...]:
    """The options that a method has: fields of its class (auto passes on what each method knows)."""
    return registry.OPTIONS if method == "auto" else registry.option_names(method)


def _accepted(method: str, options: dict[str, Any]) -> dict[str, Any]:
    """The options, if the method has them."""
    known = options_of(method)
    for name in options:
        if name not in known:
            raise InvalidInput(
                f"method {method} has no option {name}" + (f"; it has {', '.join(known)}" if known else "")
            )
    return options
