"""The base that a tensor may be coded against, and what its bound is then about."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from ..dtypes import is_float
from ..errors import InvalidInput
from ..source import Source

if TYPE_CHECKING:
    from .choice import Choice

AlphaOf = Literal["change", "tensor"]
FindBase = Callable[[str, Source], "OnBase | None"]


@dataclass(frozen=True)
class OnBase:
    """A base of a tensor.

    source: its decoded values. name: what it is called in its file. depth: how many records must be
    decoded one after the other to get it, counting itself: 0 if it is no record. alpha_of: whether
    a bound alpha is relative to the "change", ‖x − base‖², or to the "tensor", ‖x‖². block: which
    block of joined tensors with a base it is in, if it is in one. whole: whether the tensor is
    coded without the base, which then says alone what its bound is relative to.
    """

    source: Source = field(repr=False)
    name: str
    depth: int = 0
    alpha_of: AlphaOf = "change"
    block: Hashable = None
    whole: bool = False


def checked_alpha_of(alpha_of: str | None, has_base: bool) -> AlphaOf:
    """Raises InvalidInput for a word that is none of the two, and for one without a base."""
    if alpha_of not in (None, "change", "tensor"):
        raise InvalidInput(f'alpha_of must be "change" or "tensor", not {alpha_of!r}')
    if alpha_of is not None and not has_base:
        raise InvalidInput("alpha_of says what alpha is relative to where there is a base; give one")
    return "tensor" if alpha_of == "tensor" else "change"


@dataclass(frozen=True)
class OnBases:
    """What chooses as `chooser` does, with the base of each tensor that `find` has one for.

    With `keyframes` = k, one that k − 1 records would have to be decoded for is coded whole. Its
    bound is that of the change all the same, if it has one.
    """

    chooser: Callable[[str, Source], "Choice"]
    find: FindBase
    keyframes: int | None = None

    def __call__(self, name: str, source: Source) -> "Choice":
        choice = self.chooser(name, source)
        bounded = choice.guarantee.kind == "alpha" and is_float(source.dtype)
        found = self.find(name, source) if source.size else None
        if found is None:
            return choice
        whole = self.keyframes is not None and found.depth + 1 >= self.keyframes
        return replace(choice, base=replace(found, whole=whole)) if bounded or not whole else choice
