"""Which tensor of a checkpoint is compressed how: one choice for all, rules for names, and small tensors exact."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from ..compressors.contract import Guarantee
from ..errors import InvalidInput
from ..source import Source
from . import scope
from .choice import Choice, choose, choose_for_checkpoint, kinds_of, options_of

SMALL = 1024  # values; biases and norms below it are worth more than the bits they cost
Tensors = Sequence[tuple[str, Source]]


@dataclass(frozen=True)
class Policy:
    """What was asked for; `choices` makes a checked choice for each tensor of it.

    `exact` wins over the rules, and they win over the default. Globs are those of fnmatch, case matters, the last match
    wins. A rule for the method leaves the bound as it is by default, and the other way round.

    method, bounds: the default; bounds are alpha, omega and lossless as `choose` takes them. common: threads and
    nonfinite. options: of the compressors (seed, effort, …); each method gets those that it knows. exact: globs of tensors
    to store bit for bit. methods, alphas: glob → method, glob → bound. small: tensors with fewer values that no rule
    speaks of are stored exactly. checkpoint: a default must be chosen.
    """

    method: str | None = None
    bounds: Mapping[str, Any] = field(default_factory=dict)
    common: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    exact: Sequence[str] = ()
    methods: Mapping[str, str] = field(default_factory=dict)
    alphas: Mapping[str, float] = field(default_factory=dict)
    small: int = 0
    checkpoint: bool = True

    def choices(self, tensors: Tensors) -> dict[str, Choice]:
        """The choice of each tensor by name.

        Raises InvalidInput for methods, bounds and options that do not fit each other, and for a glob that matches no
        tensor: most likely it was mistyped.
        """
        self._check_globs([name for name, _ in tensors])
        for glob, alpha in self.alphas.items():
            self._reported(glob, None, alpha=alpha)
        lossless = choose("lossless", **self.common)
        made: dict[tuple[str | None, str | None], Choice] = {(None, None): self.default()}
        found: dict[str, Choice] = {}
        for name, source in tensors:
            rules = _last(self.methods, name), _last(self.alphas, name)
            if _last(self.exact, name) or (rules == (None, None) and source.size < self.small):
                found[name] = lossless
            else:
                found[name] = made.get(rules) or made.setdefault(rules, self._ruled(*rules))
        return found

    def over_file(self, tensors: Tensors) -> tuple[dict[str, Choice], dict]:
        """The choices with one alpha shared out over all floating tensors, and what the file says of that.

        Σ‖x̂ − x‖² ≤ alpha·Σ‖x‖² over all floating tensors. Raises InvalidInput for rules and guarantees that do not fit.
        """
        alpha = self.default().guarantee
        if alpha.kind != "alpha" or self.alphas:
            raise InvalidInput("--scope file needs one alpha for the whole file")
        choices = self.choices(tensors)
        norm2 = scope.norms(tensors)
        lossy = {name: source for name, source in tensors if choices[name].guarantee.kind == "alpha"}
        for name, share in scope.shares(lossy, norm2, alpha.bound).items():
            choices[name] = replace(choices[name], guarantee=Guarantee("alpha", share))
        return choices, {"scope": {"alpha": alpha.bound, "norm2": norm2}}

    def default(self) -> Choice:
        """The choice where no rule speaks."""
        method = self.method or "auto"
        others = {name for ruled in self.methods.values() for name in options_of(ruled)}
        options = {k: v for k, v in self.options.items() if k in options_of(method) or k not in others}
        if self.method is not None:
            options["method"] = self.method
        make: Callable[..., Choice] = choose_for_checkpoint if self.checkpoint else choose
        try:
            return make(**self.bounds, **self.common, **options)
        except InvalidInput as error:
            if not self.methods and not self.alphas:
                raise
            raise InvalidInput(f"{error} (that is for the tensors without a rule)") from None

    def _ruled(self, method_glob: str | None, alpha_glob: str | None) -> Choice:
        """The choice that the rules with these globs make of the default."""
        method = (self.method or "auto") if method_glob is None else self.methods[method_glob]
        if alpha_glob is not None:
            bounds: Mapping[str, Any] = {"alpha": self.alphas[alpha_glob]}
        else:
            bounds = self.bounds
        if method_glob is not None and kinds_of(method) == ("exact",):
            bounds = {}
        return self._reported(alpha_glob, method_glob, method, **bounds)

    def _reported(self, alpha_glob: str | None, method_glob: str | None, method: str = "auto", **bounds: Any) -> Choice:
        """`choose`, with errors that name the rules."""
        options = {name: value for name, value in self.options.items() if name in options_of(method)}
        try:
            return choose(method, **bounds, **self.common, **options)
        except InvalidInput as error:
            rules = [f"--alpha {alpha_glob}={self.alphas[alpha_glob]:g}"] if alpha_glob is not None else []
            rules += [f"--method {method_glob}={method}"] if method_glob is not None else []
            needs = alpha_glob is None and bounds.get("lossless") and "alpha" in kinds_of(method)
            hint = f"; these tensors need a bound of their own, such as --alpha {method_glob}=1e-3" if needs else ""
            raise InvalidInput(f"{' with '.join(rules)}: {error}{hint}") from None

    def _check_globs(self, names: Sequence[str]) -> None:
        for glob in (*self.exact, *self.methods, *self.alphas):
            if not any(fnmatchcase(name, glob) for name in names):
                raise InvalidInput(f"{glob!r} matches none of the {len(names)} tensors; gcodec info lists names")


def _last(globs: Sequence[str] | Mapping[str, Any], name: str) -> str | None:
    """The last glob that matches."""
    return next((glob for glob in reversed(list(globs)) if fnmatchcase(name, glob)), None)
