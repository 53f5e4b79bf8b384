"""What the tensors of a checkpoint are, and what that asks of their coding: the one table of roles.

An L2 bound says nothing about small values. It ruins tensors of which small values matter: second
moments, scales, coordinates, counts. So their roles have guarantees of their own, which hold unless
a rule names the tensor. A role follows from the name, sometimes beside other names of the file, and
from what the format says. Where these do not decide, the values do.
"""

import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..dtypes import is_float
from ..source import Source, marks_of
from . import looks

_BETWEEN = r"""[]['"/.:|]+"""  # what stands between the parts of a name
SECOND_MOMENT = 0.05  # an update m/√v then changes by at most 2.6 %


@dataclass(frozen=True)
class Role:
    """What a tensor is.

    kind, bound: its guarantee; kind None: the one that the user gives. That of a field with fill
    values holds where they cannot be kept with a bound on all others.
    guessed: whether it rests upon the values. It then takes the place of no other bound than alpha,
    and promises no less than that.
    """

    name: str
    kind: str | None = None
    bound: float = 0.0
    guessed: bool = False

    def replaces(self, kind: str) -> bool:
        """Whether it has a guarantee of its own, in the place of a default of this kind."""
        return self.kind is not None and kind not in ("exact", self.kind) and (kind == "alpha" or not self.guessed)


FIRST = Role("first moment")
SECOND = Role("second moment", "pointwise", SECOND_MOMENT)
LIKELY = Role("second moment", "pointwise", SECOND_MOMENT, guessed=True)
SQUARES = Role("second moment by its values", "pointwise", SECOND_MOMENT, guessed=True)
PRECONDITIONER = Role("preconditioner", "exact")
SCALE = Role("scale or zero point", "exact")
SETTING = Role("step, count or rate", "exact")
MASK = Role("mask", "exact")
INDEX = Role("index", "exact")
COORDINATE = Role("coordinate", "exact")
NORM = Role("gain, norm or statistic", "exact")
CODED = Role("coded with a bound before", "exact")
STATISTIC = Role("statistic that is subtracted", "exact")
FILLED = Role("field with fill values", "exact")


@dataclass(frozen=True)
class Sign:
    """A line of the table: how a tensor of this role is named.

    part: a regular expression for a whole part of the name (see `parts`).
    last: whether that has to be the last part.
    beside: (what, by what) to replace in that part; a tensor of the name that this gives has to be
        there.
    after, within: regular expressions for the part right before, and for any other part.
    axes: at most so many axes are longer than 1.
    unsigned: whether no value may be negative, for names that are also used for something else.
    name: a regular expression that the whole name has somewhere.
    """

    role: Role
    part: str
    last: bool = False
    beside: tuple[str, str] | None = None
    after: str = ""
    within: str = ""
    axes: int = 64
    unsigned: bool = False
    name: str = ""


_OPTIMIZER = (
    r"opt|.*optim.*|.*opt_?state.*|state|slots?|moments?|m_and_v|factored|(fused_?)?n?adam\w*|radam|adan|adafactor|"
    r"adagrad|adadelta|rmsprop|lamb|lars|lion|muon|shampoo|soap|sophia|came|sm3|prodigy|galore|ftrl"
)
_VAGUE = ("state", "opt", "slot", "slots", "factored")  # parts of the names of other things, too
_PRECONDITIONED = r".*optim.*|opt|.*opt_?state.*|(\w*_)?(shampoo|soap|muon|kron|psgd|kfac|k_fac|preconditioners?)"
_GRADIENTS = r"(grads?|gradients?|g|avg|averages?|mean|ema|sum|acc|exp|moments?)"
_SQUARED = r"(sq|sqr|square[ds]?)"
TABLE = (
    Sign(INDEX, r"_i_.+"),  # PyTables
    # What belongs to a moment and is none: its scales in 8 bits, the count of its steps
    Sign(SCALE, r"(.*_)?scales?(_inv|_\d+|_per_\w+|_and_\w+|_factors?)?|(.*_)?scales_\w+|(.*_)?scb", last=True),
    Sign(SCALE, r"(.*_)?q?zeros|(.*_)?zero_?points?|(.*_)?absmax\d?|(.*_)?amax(_history)?", last=True),
    Sign(SCALE, r"(.*_)?(quant_?map|qmap)\d?", last=True),
    Sign(
        SETTING,
        r"(.*_)?(steps?|counts?|counter|iterations?|iter|epochs?|num_batches_tracked|inv_freq)",
        last=True,
        axes=1,
    ),
    Sign(
        SETTING,
        r"(.*_)?(lr|learning_rates?|weight_decay|beta_?[12](_pow\w*)?|betas|eps|epsilon|decay)",
        last=True,
        axes=1,
    ),
    Sign(SETTING, r"(.*_)?(cluster_sizes?|cluster_usage|hits|step_?sizes?)|new_max\d|[ug]norm_vec", last=True, axes=1),
    # Means and means of squares of which the difference counts, which roundings make negative
    Sign(STATISTIC, r"grad_avg|(.*_)?average_gradients?|mg", last=True, within=_OPTIMIZER),
    Sign(STATISTIC, r"grad_avg", beside=("grad_avg", "square_avg")),
    Sign(STATISTIC, r"square_avg", beside=("square_avg", "grad_avg")),
    Sign(STATISTIC, r"rms", beside=("rms", "mg")),
    Sign(STATISTIC, r"(.*_)?velocity", beside=("velocity", "average_gradient")),
    Sign(STATISTIC, r"(.*_)?sq_mean", beside=("sq_mean", "mean")),
    # Second moments under names that are used for nothing else
    Sign(SECOND, rf"(.*_)?exp_?avg_?({_SQUARED}|var|res_row|res_col)s?(_\w+)?|exp_inf|exp_hessian\w*"),
    Sign(SECOND, rf"(.*_)?{_GRADIENTS}_(of_)?{_SQUARED}(_\w+)?|(.*_)?{_SQUARED}_{_GRADIENTS}(_\w+)?"),
    Sign(SECOND, r"(.*_)?(second|2nd)_?(order_)?mom(ent)?s?(_\w+)?|(.*_)?moments?_?2(_\w+)?"),
    Sign(SECOND, r"nu(_max|_hat)?|v_?hat|max_v|velocity_hat|v_?mean|v_row|v_col|row_var|col_var|acc_delta"),
    Sign(SECOND, r"(.*_)?adam\w*_v|(.*_)?slot_v[rc]?|(.*_)?(running|moving)_(var|variance)s?(_\d+)?"),
    Sign(SECOND, r"(.*_)?momentum_?2"),
    Sign(SECOND, r"(.*_)?momentum_?1|step_?sizes?", last=True, unsigned=True),  # rowwise Adagrad, Rprop
    Sign(SECOND, r"s_?d[wb]\w*", beside=("^s", "v")),
    Sign(SECOND, r"s", beside=("s", "v"), within=r"d[wb]\d*"),
    Sign(FIRST, r"v_?d[wb]\w*", beside=("^v", "s")),
    Sign(FIRST, r"v", beside=("v", "s"), within=r"d[wb]\d*"),
    Sign(SECOND, r"(.*_)?(m|mom)_?2", last=True, beside=("2$", "1"), unsigned=True),
    # First moments under names of their own
    Sign(FIRST, r"(.*_)?exp_?avg(_fast|_slow|_diff)?|mu|trace|grad_ema|(.*_)?adam\w*_m|(.*_)?slot_m"),
    Sign(FIRST, r"(.*_)?(first|1st)_?(order_)?mom(ent)?s?(_\w+)?|(.*_)?moments?_?1(_\w+)?"),
    # Names that tell both apart beside each other, or beside the optimizer's
    Sign(SECOND, r"v(_row|_col)?", beside=("v(_row|_col)?", "m")),
    Sign(SECOND, r"v\d?_.+", beside=("^v", "m")),
    Sign(SECOND, r".+_v\d?", beside=(r"_v(\d?)$", r"_m\1")),
    Sign(SECOND, r"(.*_)?velocity(_\d+)?", beside=("velocity", "momentum")),
    Sign(SECOND, r"adam_1", last=True, beside=("adam_1", "adam")),
    Sign(SECOND, r"(.*_)?(var|variance)", last=True, beside=("var(iance)?", "mean")),
    Sign(FIRST, r"m", beside=("m", "v")),
    Sign(FIRST, r"m\d?_.+", beside=("^m", "v")),
    Sign(FIRST, r".+_m\d?", beside=(r"_m(\d?)$", r"_v\1")),
    Sign(SECOND, r"v[rc]?", after=_OPTIMIZER),
    Sign(FIRST, r"m", after=_OPTIMIZER),
    Sign(SECOND, r"v[rc]?|rms|state_?2", last=True, within=_OPTIMIZER),
    Sign(FIRST, r"m|state_?1", last=True, within=_OPTIMIZER),
    Sign(SECOND, r"(.*_)?(velocity|accumulators?|sum)(_\d+)?", within=_OPTIMIZER),
    Sign(SECOND, r"rmsprop", last=True),
    Sign(FIRST, r"(.*_)?momentum(s|_buffers?)?(_?\d+)?"),
    Sign(FIRST, r"adam", last=True),
    # Names that others use, too
    Sign(LIKELY, r"v\d?|v[rc]|v\d?_.+|.+_v\d?|(.*_)?vel(ocit(y|ies))?(_.+)?", unsigned=True),
    Sign(LIKELY, r"(.*_)?(acc|accum|accumul)(_.+|ators?|ated.*)?|(.*_)?(fisher|hessian|second)(_.+)?", unsigned=True),
    Sign(LIKELY, r"(.*_)?(var|variances?|sum|rms|ms|sq|squares?|state_?2)(_\d+)?", last=True, unsigned=True),
    Sign(LIKELY, r"(.*_)?(g_?2|gsq|grads?_?(2|sq\w*)|sq(uared)?_?grads?|importances?|hess)", last=True, unsigned=True),
    Sign(LIKELY, r"(.*_)?(h_diag|inf_norm)|adam_1", last=True, unsigned=True),
    Sign(PRECONDITIONER, r"(.*_)?(inv_)?(preconditioners?|precond\w*|factor_matri(x|ces)|statistics)(_.+)?"),
    Sign(PRECONDITIONER, r"(row|col)_gg|gg|q[lr]|h_?diag|ortho_matrix", last=True, within=_OPTIMIZER),
    Sign(PRECONDITIONER, r"[qlr]", last=True, within=_PRECONDITIONED),
    Sign(PRECONDITIONER, r"[qlr]", last=True, name=r"\bstate\W+\d"),  # PyTorch's number of a weight
    # Everything else
    Sign(MASK, r"(.*_)?masks?", last=True),
    Sign(
        INDEX,
        r"(.*_)?(indices|index|idx|indptr|ids|row_ptr|col_ind)|axis\d+(_\w+)?|block\d+_items",
        last=True,
    ),
    Sign(COORDINATE, r"lat|lon|latitude|longitude|times?|timestamps?|.*_(bnds|bounds)", last=True),
    Sign(COORDINATE, r"coordinates?|[a-z]?lat|[a-z]?long?|(nav|grid|cell|geo|x)_?(lat|lon)\w*", last=True),
    Sign(COORDINATE, r"(.*_)?(latitude|longitude)s?|(lat|lon|x?lat|x?long)_\w{1,4}|(glam|gphi)[tuvf]", last=True),
    Sign(NORM, r".*norms?\d*|(ln|bn)(_?\w{1,3})?|layer_?norm.*|batch_?norm.*", axes=1),
    Sign(NORM, r"gamma|beta|(.*_)?(running|moving)_means?|weight_g|original0", last=True, axes=1),
    Sign(NORM, r"(.*_)?(mean|std)s?|(.*_)?(std_?dev|(min|max)_vals?)", last=True, axes=1),
)

_ANY = re.compile("|".join(f"(?:{sign.part})" for sign in TABLE))  # what a part of a name is that has a sign


def role_of(name: str, source: Source, names: Container[str], alike: Iterable[looks.Glimpse] = ()) -> Role | None:
    """The role of a tensor; None for a weight, a gradient, and whatever else is not known.

    names: of all tensors of the file, in small letters, as far as they are known. alike: those of
    the same shape, without this one.
    """
    marks = marks_of(source)
    if marks.coded:
        return CODED
    if marks.coordinate:
        return COORDINATE
    seen = _Seen(name.lower(), source)
    signs = TABLE if any(map(_ANY.fullmatch, seen.parts)) else ()
    found = next((sign.role for sign in signs if _fits(sign, seen, names)), None)
    if found is not None or not is_float(source.dtype) or source.size == 0:
        return found
    if marks.fills and looks.has_any(source, np.array(marks.fills)):
        return FILLED
    if any(re.fullmatch(_OPTIMIZER, part) for part in seen.parts) and seen.is_unsigned:
        plainly = any(re.fullmatch(_OPTIMIZER, part) and part not in _VAGUE for part in seen.parts)
        return SECOND if plainly or looks.are_like_squares(source) else None
    if _axes(source) <= 1 and looks.is_sorted(source):
        return COORDINATE
    others = list(alike)
    if _has_first(source, others):
        return SQUARES
    return FIRST if _has_second(source, others) else None


def _has_second(source: Source, others: Sequence[looks.Glimpse]) -> bool:
    """Whether these are means of gradients, and another tensor means of their squares."""
    squares = [other.values for other in others if other.may_be_squares]
    if not squares:
        return False
    values = looks.Glimpse(source, at_once=True).values
    return any(looks.are_moments(values, other) for other in squares)


def _has_first(source: Source, others: Sequence[looks.Glimpse]) -> bool:
    """Whether these are means of squares, and another tensor means of the same gradients."""
    if not others or not looks.are_like_squares(source, looks.WIDE_BESIDE):
        return False
    values = looks.Glimpse(source, at_once=True).values
    return any(looks.are_moments(other.values, values) for other in others)


def parts(name: str) -> list[str]:
    """The parts of a name between `/`, `.`, `:` and brackets, in small letters, without numbers.

    >>> parts("optimizer.state.0.exp_avg_sq")
    ['optimizer', 'state', 'exp_avg_sq']
    """
    return [part for part in re.split(_BETWEEN, name.lower()) if part and not part.isdigit()]


class _Seen:
    """A tensor, and what was found out about it so far. name: in small letters."""

    def __init__(self, name: str, source: Source) -> None:
        self.name, self.source, self.parts = name, source, parts(name)

    @cached_property
    def is_unsigned(self) -> bool:
        """Whether no value is negative."""
        return is_float(self.source.dtype) and looks.none_is_negative(self.source)


def _fits(sign: Sign, seen: _Seen, names: Container[str]) -> bool:
    own, last = seen.parts, len(seen.parts) - 1
    if _axes(seen.source) > sign.axes or not re.search(sign.name, seen.name):
        return False
    places = [i for i in ([last] if sign.last else range(last + 1)) if i >= 0 and re.fullmatch(sign.part, own[i])]
    if sign.after:
        places = [i for i in places if i and re.fullmatch(sign.after, own[i - 1])]
    if sign.within:
        places = [i for i in places if any(re.fullmatch(sign.within, own[j]) for j in range(last + 1) if j != i)]
    if sign.beside is not None:
        places = [i for i in places if _neighbour(seen.name, own[i], *sign.beside) in names]
    return bool(places) and (seen.is_unsigned or not sign.unsigned)


def _neighbour(name: str, part: str, what: str, by: str) -> str:
    """The name with something else in the place of one of its parts."""
    other = re.sub(what, by, part)
    return "".join(other if piece == part else piece for piece in re.split(f"({_BETWEEN})", name))


def _axes(source: Source) -> int:
    return sum(n > 1 for n in source.shape)
