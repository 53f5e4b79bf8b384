"""A policy at work: the checked choice of each tensor, by its name, role and size."""

import math
import shlex
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from glob import escape
from typing import Any

from ..compressors import registry
from ..compressors.contract import Guarantee
from ..dtypes import is_float
from ..errors import InvalidInput
from ..source import ArraySource, Source, marks_of
from . import scope
from .choice import Choice, axis_of, check_terms, choose, fills_of, kinds_of, options_of
from .looks import Alike
from .policy import Policy
from .roles import FILLED, FIRST, Role, role_of

Chooser = Callable[[str, Source], Choice]
_BoundRule = tuple[str, str] | None  # the kind of guarantee, and the glob
_SHOWN = 8  # names that an error lists
_NEEDED = (
    "a bound alpha (the largest relative squared L2 error of each tensor, such as 1e-3), a bound pointwise (of each "
    "value), a bound omega (unbiased), lossless, or a method"
)


@dataclass(frozen=True)
class Decision:
    """The choice for a tensor, and where it comes from.

    role: what the tensor is, where that is known and counts. by: what decided: a "rule", its being
    "small" (or not of floats), its "role" or the "default".
    """

    choice: Choice
    role: Role | None
    by: str


class Rules:
    """The choices that a policy makes.

    Whatever of the policy cannot hold, whichever tensors come, is refused at once: a bound out of
    its range, an unknown method, a default that does not fit. must_choose: whether a method or a
    guarantee has to be given (for a checkpoint it has: nobody's weights are degraded silently), by
    rules for some tensors or for all. The roles of tensors count then, too.
    """

    def __init__(self, policy: Policy, threads: int, *, must_choose: bool = True) -> None:
        if not isinstance(policy, Policy):
            raise InvalidInput(f"the policy must be a gcodec.Policy, such as Policy(alpha=1e-3), not {policy!r:.200}")
        self.policy = policy
        self._common: dict[str, Any] = dict(threads=threads, nonfinite=policy.nonfinite, effort=policy.effort)
        self._bounds: dict[str, Any] = dict(
            alpha=policy.alpha, omega=policy.omega, pointwise=policy.pointwise, lossless=policy.lossless
        )
        self._rules = {"pointwise": policy.pointwises, "alpha": policy.alphas}  # the first that matches holds
        own = dict(seed=policy.seed, max_draws=policy.max_draws, block=policy.block, states=policy.states)
        self._options = {name: value for name, value in {**own, **policy.options}.items() if value is not None}
        self._lossless = choose("lossless", **self._common)
        for kind, bounds in self._rules.items():
            for glob, bound in bounds.items():
                self._ruled_by((kind, glob), None, "auto", **{kind: bound})
        default = self._default(must_choose)
        self._made: dict[tuple[str | None, _BoundRule], Choice] = {(None, None): default} if default else {}
        self._matched: set[str] = set()
        self._roles, self._names = must_choose, set[str]()
        self._alike = Alike(policy.small)
        self._doubted = False
        self.decided: dict[str, Decision] = {}  # by tensor, for those that were asked about

    @property
    def protected(self) -> dict[str, Role]:
        """The tensors so far whose roles have decided."""
        return {name: one.role for name, one in self.decided.items() if one.by == "role" and one.role is not None}

    def choice(self, name: str, source: Source) -> Choice:
        """The choice for one tensor; raises InvalidInput when the rules for it do not fit."""
        look = bool(self._globs) or source.size >= self.policy.small  # else the role decides nothing
        self.decided[name] = found = self.decide(name, source, look)
        return replace(found.choice, moment=True) if found.role is FIRST else found.choice

    def decide(self, name: str, source: Source, look: bool = True) -> Decision:
        """The choice for one tensor, and where it comes from; raises what `choice` raises."""
        self._matched.update(glob for glob in self._globs if fnmatchcase(name, glob))
        self._names.add(name.lower())
        role = role_of(name, source, self._names, self._alike.of(name, source)) if self._roles and look else None
        if self._roles and role in (None, FIRST):
            self._alike.note(name, source, at_once=True)
        if _last(self.policy.exact, name) is not None:
            return Decision(self._lossless, role, "rule")
        rules = _last(self.policy.methods, name), self._bound_rule(name)
        if rules != (None, None):
            if rules not in self._made:
                self._made[rules] = self._ruled(*rules)
            self._doubt(name, role, self._made[rules].guarantee)
            return Decision(self._with_marks(self._with_terms(name, self._made[rules]), source), role, "rule")
        default = self._made.get((None, None))
        if source.size < self.policy.small or not is_float(source.dtype):
            return Decision(self._lossless if is_float(source.dtype) or not default else default, role, "small")
        if default is None:
            raise InvalidInput(f"{name}: no rule names it, and it needs a choice: {_NEEDED}")
        if role is FILLED and self._keeps_values(default):
            return Decision(self._with_marks(self._with_terms(name, default), source), role, "default")
        if role is not None and role.replaces(default.guarantee.kind):
            return Decision(self._with_terms(name, self._protecting(role, default.guarantee)), role, "role")
        own = self._with_terms(name, default)
        if role is FIRST and own.keep_zeros is None and own.guarantee.kind == "alpha" and self._keeps_values(own):
            own = replace(own, fill=(*own.fill, 0.0))  # a moment of what was never met
        return Decision(own, role, "default")

    def note(self, tensors: Iterable[tuple[str, Source]]) -> None:
        """Learn what there is of tensors, which may say something of others."""
        for name, source in tensors:
            self._names.add(name.lower())
            if self._roles:
                self._alike.note(name, source, at_once=isinstance(source, ArraySource))

    def _with_terms(self, name: str, choice: Choice) -> Choice:
        """The choice with what is promised beside its bound for this tensor.

        Raises InvalidInput for what its guarantee cannot say. Where a rule or a role gives a bound
        pointwise, the axis of a bound alpha means nothing.
        """
        policy, kind = self.policy, choice.guarantee.kind
        by_axis = _last(policy.axes, name)
        axis = None if by_axis is None else axis_of(policy.axes[by_axis])
        axis = None if kind == "pointwise" and policy.pointwise is None else axis
        fills = [fill for glob, fill in policy.fills.items() if fnmatchcase(name, glob)]
        fill = tuple(value for found in fills for value in fills_of(found))
        try:
            check_terms(kind, policy.keep_zeros, fill, axis)
        except InvalidInput as error:
            raise InvalidInput(f"{name}: {error}" if name else str(error)) from None
        return choice if kind == "exact" else replace(choice, keep_zeros=policy.keep_zeros, axis=axis, fill=fill)

    def _with_marks(self, choice: Choice, source: Source) -> Choice:
        """The choice that keeps what the file says stands for missing values, too."""
        fills = marks_of(source).fills if self._keeps_values(choice) else ()
        return replace(choice, fill=choice.fill + tuple(fill for fill in fills if fill not in choice.fill))

    def _keeps_values(self, choice: Choice) -> bool:
        """Whether the choice can keep fill values, with the bound on all others."""
        able = registry.WRAPPED_WITH_KEPT.get(choice.guarantee.kind)
        return able is not None and choice.method in ("auto", *able) and self.policy.scope != "file"

    def know(self, names: Iterable[str]) -> None:
        """Have roles look at these names too."""
        self._names.update(name.lower() for name in names)

    def check(self, names: Sequence[str]) -> None:
        """Raise InvalidInput when a glob matches no name, or the rules for a name do not fit."""
        self.know(names)
        for glob in self._globs:
            if not any(fnmatchcase(name, glob) for name in names):
                raise InvalidInput(f"the rule {glob!r} matches no tensor; {_listed(names)}")
        for name in names:
            rules = _last(self.policy.methods, name), self._bound_rule(name)
            if _last(self.policy.exact, name) is not None:
                continue
            if rules not in self._made and rules != (None, None):
                self._made[rules] = self._ruled(*rules)
            if rules in self._made:
                self._with_terms(name, self._made[rules])

    def unmatched(self) -> list[str]:
        """The globs that have matched no tensor so far."""
        return [glob for glob in self._globs if glob not in self._matched]

    def planned(self, tensors: Iterable[tuple[str, Source]]) -> tuple[Chooser, dict[str, Any]]:
        """What chooses for these tensors, and what the file says of that (spec/format.md §3.1).

        With the scope "file", one alpha is shared out over all floating tensors, so that Σ‖x̂ − x‖²
        ≤ alpha·Σ‖x‖² over them; every tensor is read for that. What rules, or bounds for each
        slice, let some tensors take is taken off before. Raises InvalidInput for rules and
        guarantees that do not fit.
        """
        return self._over_file(list(tensors)) if self.policy.scope == "file" else (self.choice, {})

    def _over_file(self, tensors: list[tuple[str, Source]]) -> tuple[Chooser, dict[str, Any]]:
        default = self._made.get((None, None))
        if default is None or default.guarantee.kind != "alpha":
            raise InvalidInput('the scope "file" needs one alpha for the whole file')
        if self.policy.fills:
            raise InvalidInput('the scope "file" counts fill values as all others; use the scope "tensor" to keep some')
        choices = {name: self.choice(name, source) for name, source in tensors}
        own = {name for name, source in tensors if self._has_its_own(name, choices[name], source)}
        alpha, norm2 = default.guarantee.bound, scope.norms(tensors)
        choices = scope.shared_out(dict(tensors), choices, own, alpha, norm2, self._lossless)
        return (lambda name, source: choices[name]), {"scope": {"alpha": alpha, "norm2": norm2}}

    def _has_its_own(self, name: str, choice: Choice, source: Source) -> bool:
        """Whether a tensor keeps a bound of its own beside the file's: a rule's, or of slices."""
        return self._bound_rule(name) is not None or (choice.axis is not None and len(source.shape) > 1)

    def _doubt(self, name: str, role: Role | None, guarantee: Guarantee) -> None:
        """Warn of rules that bound the norm of what lives by its small values, once for all."""
        if role is not None and role.kind == "pointwise" and guarantee.kind in ("alpha", "omega") and not self._doubted:
            self._doubted = True
            warnings.warn(
                f"a rule asks for {guarantee.kind} {guarantee.bound:g} of {name}, a {role.name}: it bounds the norm, and may "
                f"ruin the small values; use {rule_of('--pointwise', name, '0.05')} (pointwises= in Python)",
                stacklevel=3,
            )

    def _protecting(self, role: Role, instead_of: Guarantee) -> Choice:
        """The choice that a role makes in the place of a guarantee."""
        if role.kind == "exact":
            return self._lossless
        options = {name: value for name, value in self._options.items() if name in options_of("auto")}
        least = math.sqrt(instead_of.bound) if role.guessed else 1.0  # each |x̂ − x| ≤ √α·|x| gives alpha
        bound: dict[str, Any] = {str(role.kind): min(role.bound, least)}
        return choose("auto", **bound, **self._common, options=options)

    @cached_property
    def _globs(self) -> tuple[str, ...]:
        policy = self.policy
        bounds = (*policy.alphas, *policy.pointwises, *policy.axes, *policy.fills)
        return (*policy.exact, *policy.methods, *bounds)

    def _bound_rule(self, name: str) -> _BoundRule:
        """The rule that gives the bound of a tensor, if there is one."""
        found = ((kind, _last(bounds, name)) for kind, bounds in self._rules.items())
        return next(((kind, glob) for kind, glob in found if glob is not None), None)

    def _default(self, must_choose: bool) -> Choice | None:
        """The choice where no rule speaks; None where rules are all that there is."""
        policy = self.policy
        bounded = any(bound is not None and bound is not False for bound in self._bounds.values())
        if must_choose and policy.method is None and not bounded:
            if policy.exact or policy.methods or any(self._rules.values()):
                return None
            raise InvalidInput(f"a checkpoint needs a choice: {_NEEDED}")
        method = policy.method or "auto"
        known = options_of(method)
        for_others = {name for ruled in policy.methods.values() for name in options_of(ruled)}
        options = {k: v for k, v in self._options.items() if k in known or k not in for_others}
        try:
            return choose(method, **self._bounds, **self._common, options=options)
        except InvalidInput as error:
            raise InvalidInput(f"{error}{self._where_no_rule()}") from None

    def _where_no_rule(self) -> str:
        return " (that is for the tensors without a rule)" if self.policy.methods or any(self._rules.values()) else ""

    def _ruled(self, method_glob: str | None, bound_rule: _BoundRule) -> Choice:
        """The choice that these rules make of the default."""
        policy = self.policy
        method = (policy.method or "auto") if method_glob is None else policy.methods[method_glob]
        bounds: Mapping[str, Any] = self._bounds
        if bound_rule is not None:
            bounds = {bound_rule[0]: self._rules[bound_rule[0]][bound_rule[1]]}
        if method_glob is not None and kinds_of(method) == ("exact",):
            bounds = {}
        return self._ruled_by(bound_rule, method_glob, method, **bounds)

    def _ruled_by(self, bound_rule: _BoundRule, method_glob: str | None, method: str, **bounds: Any) -> Choice:
        """`choose`, with errors that name the rules."""
        options = {name: value for name, value in self._options.items() if name in options_of(method)}
        try:
            return choose(method, **bounds, **self._common, options=options)
        except InvalidInput as error:
            rules = [f"{kind} {glob}={self._rules[kind][glob]}" for kind, glob in filter(None, [bound_rule])]
            rules += [f"method {method_glob}={method}"] if method_glob is not None else []
            needs = bound_rule is None and bounds.get("lossless") and "alpha" in kinds_of(method)
            hint = f"; these tensors need a bound of their own, such as alpha {method_glob}=1e-3" if needs else ""
            raise InvalidInput(f"the rule {' with '.join(rules)}: {error}{hint}") from None


def rule_of(option: str, name: str, value: str) -> str:
    """An option with a value for the tensor of this name alone, as a shell takes it."""
    text = f"{escape(name)}={value}" if name else value
    return f"{option} {shlex.quote(text)}"


def _listed(names: Sequence[str]) -> str:
    """The first few names, in a sentence."""
    if list(names) in ([], [""]):
        return "there is none" if not names else "the only one has no name"
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return f"there {'is' if len(names) == 1 else 'are'} {', '.join(repr(name[:80]) for name in names[:_SHOWN])}{more}"


def _last(globs: Collection[str], name: str) -> str | None:
    """The last glob that matches."""
    return None if not globs else next((glob for glob in reversed(list(globs)) if fnmatchcase(name, glob)), None)
