"""Which tensor of a checkpoint is compressed how: one choice for all, rules for names, and small tensors exact."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from . import scope
from .choice import choose
from .compressor import Guarantee
from .errors import InvalidInput
from .pipeline import Choice
from .source import Source

SMALL = 1024  # values; biases and norms below it are worth more than the bits they cost


@dataclass(frozen=True)
class Policy:
    """`choice_for` gives the choice of each tensor. Globs are those of fnmatch, case matters, the last match wins.

    exact: globs of tensors to store bit for bit (it wins over all else). methods, alphas: glob → method, glob → bound.
    small: floating tensors with fewer values are stored exactly. shares: bounds by name that replace the default's.
    """

    default: Choice
    exact: Sequence[str] = ()
    methods: Mapping[str, str] = field(default_factory=dict)
    alphas: Mapping[str, float] = field(default_factory=dict)
    small: int = 0
    shares: Mapping[str, float] = field(default_factory=dict)

    def choice_for(self, name: str, source: Source) -> Choice:
        """The choice for one tensor; raises InvalidInput when its method cannot give its guarantee."""
        if any(fnmatchcase(name, glob) for glob in self.exact):
            return self._lossless()
        methods = [value for glob, value in self.methods.items() if fnmatchcase(name, glob)]
        alphas = [value for glob, value in self.alphas.items() if fnmatchcase(name, glob)]
        if not methods and not alphas and source.size < self.small:
            return self._lossless()
        guarantee = self.default.guarantee
        if alphas or name in self.shares:
            guarantee = Guarantee("alpha", alphas[-1] if alphas else self.shares[name])
        if not methods:
            return replace(self.default, guarantee=guarantee)
        fits = methods[-1] != "lossless" and guarantee.kind != "exact"
        bounds: dict[str, Any] = {guarantee.kind: guarantee.bound} if fits else {}
        chosen = choose(methods[-1], **bounds)
        return replace(self.default, method=methods[-1], guarantee=chosen.guarantee, options={})

    def check_names(self, names: Sequence[str]) -> None:
        """Raise InvalidInput for a glob that matches no tensor: most likely it was mistyped."""
        for glob in (*self.exact, *self.methods, *self.alphas):
            if not any(fnmatchcase(name, glob) for name in names):
                raise InvalidInput(f"{glob!r} matches none of the {len(names)} tensors; gcodec info lists names")

    def over_file(self, tensors: Sequence[tuple[str, Source]]) -> tuple["Policy", dict]:
        """This policy with its alpha shared out over all floating tensors, and what the file says of that.

        Σ‖x̂ − x‖² ≤ alpha·Σ‖x‖² over all floating tensors. Raises InvalidInput for rules and guarantees that do not fit.
        """
        alpha = self.default.guarantee
        if alpha.kind != "alpha" or self.alphas:
            raise InvalidInput("--scope file needs one alpha for the whole file")
        norm2 = scope.norms(tensors)
        lossy = {name: source for name, source in tensors if self.choice_for(name, source).guarantee.kind == "alpha"}
        shares = scope.shares(lossy, norm2, alpha.bound)
        return replace(self, shares=shares), {"scope": {"alpha": alpha.bound, "norm2": norm2}}

    def _lossless(self) -> Choice:
        return replace(self.default, method="lossless", guarantee=Guarantee("exact"), options={})
