"""A policy at work: the checked choice of each tensor, by its name and size."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from ..compressors.contract import Guarantee
from ..errors import InvalidInput
from ..source import Source
from . import scope
from .choice import Choice, choose, kinds_of, options_of
from .policy import Policy

Chooser = Callable[[str, Source], Choice]
_SHOWN = 8  # names that an error lists


class Rules:
    """The choices that a policy makes.

    Whatever of the policy cannot hold, whichever tensors come, is refused at once: a bound out of
    its range, an unknown method, a default that does not fit. must_choose: whether a method or a
    guarantee has to be given (for a checkpoint it has: nobody's weights are degraded silently).
    """

    def __init__(self, policy: Policy, threads: int, *, must_choose: bool = True) -> None:
        if not isinstance(policy, Policy):
            raise InvalidInput(f"the policy must be a gcodec.Policy, such as Policy(alpha=1e-3), not {policy!r:.200}")
        self.policy = policy
        self._common: dict[str, Any] = dict(threads=threads, nonfinite=policy.nonfinite, effort=policy.effort)
        self._bounds: dict[str, Any] = dict(alpha=policy.alpha, omega=policy.omega, lossless=policy.lossless)
        own = dict(seed=policy.seed, max_draws=policy.max_draws, block=policy.block, states=policy.states)
        self._options = {name: value for name, value in {**own, **policy.options}.items() if value is not None}
        self._lossless = choose("lossless", **self._common)
        for glob, alpha in policy.alphas.items():
            self._ruled_by(glob, None, "auto", alpha=alpha)
        self._made: dict[tuple[str | None, str | None], Choice] = {(None, None): self._default(must_choose)}
        self._matched: set[str] = set()

    def choice(self, name: str, source: Source) -> Choice:
        """The choice for one tensor; raises InvalidInput when the rules for it do not fit."""
        self._matched.update(glob for glob in self._globs() if fnmatchcase(name, glob))
        if _last(self.policy.exact, name) is not None:
            return self._lossless
        rules = _last(self.policy.methods, name), _last(self.policy.alphas, name)
        if rules == (None, None) and source.size < self.policy.small:
            return self._lossless
        if rules not in self._made:
            self._made[rules] = self._ruled(*rules)
        return self._made[rules]

    def check(self, names: Sequence[str]) -> None:
        """Raise InvalidInput when a glob matches no name, or the rules for a name do not fit."""
        for glob in self._globs():
            if not any(fnmatchcase(name, glob) for name in names):
                raise InvalidInput(f"the rule {glob!r} matches no tensor; {_listed(names)}")
        for name in names:
            rules = _last(self.policy.methods, name), _last(self.policy.alphas, name)
            if rules not in self._made and _last(self.policy.exact, name) is None:
                self._made[rules] = self._ruled(*rules)

    def unmatched(self) -> list[str]:
        """The globs that have matched no tensor so far."""
        return [glob for glob in self._globs() if glob not in self._matched]

    def planned(self, tensors: Iterable[tuple[str, Source]]) -> tuple[Chooser, dict[str, Any]]:
        """What chooses for these tensors, and what the file says of that (spec/format.md §3.1).

        With the scope "file", one alpha is shared out over all floating tensors, so that Σ‖x̂ − x‖²
        ≤ alpha·Σ‖x‖² over them; every tensor is read for that. Raises InvalidInput for rules and
        guarantees that do not fit.
        """
        return self._over_file(list(tensors)) if self.policy.scope == "file" else (self.choice, {})

    def _over_file(self, tensors: list[tuple[str, Source]]) -> tuple[Chooser, dict[str, Any]]:
        alpha = self._made[None, None].guarantee
        if alpha.kind != "alpha" or self.policy.alphas:
            raise InvalidInput('the scope "file" needs one alpha for the whole file, and no rule with another one')
        choices = {name: self.choice(name, source) for name, source in tensors}
        norm2 = scope.norms(tensors)
        lossy = {name: source for name, source in tensors if choices[name].guarantee.kind == "alpha"}
        for name, share in scope.shares(lossy, norm2, alpha.bound).items():
            choices[name] = replace(choices[name], guarantee=Guarantee("alpha", share))
        return (lambda name, source: choices[name]), {"scope": {"alpha": alpha.bound, "norm2": norm2}}

    def _globs(self) -> tuple[str, ...]:
        return (*self.policy.exact, *self.policy.methods, *self.policy.alphas)

    def _default(self, must_choose: bool) -> Choice:
        """The choice where no rule speaks."""
        policy = self.policy
        bounded = policy.alpha is not None or policy.omega is not None or policy.lossless
        if must_choose and policy.method is None and not bounded:
            raise InvalidInput(
                "a checkpoint needs a choice: a bound alpha (the largest relative squared L2 error of each tensor, such "
                f"as 1e-3), a bound omega (unbiased), lossless, or a method{self._where_no_rule()}"
            )
        method = policy.method or "auto"
        known = options_of(method)
        for_others = {name for ruled in policy.methods.values() for name in options_of(ruled)}
        options = {k: v for k, v in self._options.items() if k in known or k not in for_others}
        try:
            return choose(method, **self._bounds, **self._common, options=options)
        except InvalidInput as error:
            raise InvalidInput(f"{error}{self._where_no_rule()}") from None

    def _where_no_rule(self) -> str:
        return " (that is for the tensors without a rule)" if self.policy.methods or self.policy.alphas else ""

    def _ruled(self, method_glob: str | None, alpha_glob: str | None) -> Choice:
        """The choice that the rules with these globs make of the default."""
        policy = self.policy
        method = (policy.method or "auto") if method_glob is None else policy.methods[method_glob]
        bounds: Mapping[str, Any] = self._bounds if alpha_glob is None else {"alpha": policy.alphas[alpha_glob]}
        if method_glob is not None and kinds_of(method) == ("exact",):
            bounds = {}
        return self._ruled_by(alpha_glob, method_glob, method, **bounds)

    def _ruled_by(self, alpha_glob: str | None, method_glob: str | None, method: str, **bounds: Any) -> Choice:
        """`choose`, with errors that name the rules."""
        options = {name: value for name, value in self._options.items() if name in options_of(method)}
        try:
            return choose(method, **bounds, **self._common, options=options)
        except InvalidInput as error:
            rules = [f"alpha {alpha_glob}={self.policy.alphas[alpha_glob]}"] if alpha_glob is not None else []
            rules += [f"method {method_glob}={method}"] if method_glob is not None else []
            needs = alpha_glob is None and bounds.get("lossless") and "alpha" in kinds_of(method)
            hint = f"; these tensors need a bound of their own, such as alpha {method_glob}=1e-3" if needs else ""
            raise InvalidInput(f"the rule {' with '.join(rules)}: {error}{hint}") from None


def _listed(names: Sequence[str]) -> str:
    """The first few names, in a sentence."""
    if list(names) in ([], [""]):
        return "there is none" if not names else "the only one has no name"
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return f"there {'is' if len(names) == 1 else 'are'} {', '.join(repr(name[:80]) for name in names[:_SHOWN])}{more}"


def _last(globs: Iterable[str], name: str) -> str | None:
    """The last glob that matches."""
    return next((glob for glob in reversed(list(globs)) if fnmatchcase(name, glob)), None)
