"""What the tensors of a checkpoint are, and what that asks of their coding: the one table of roles.

An L2 bound says nothing about small values. It ruins tensors of which small values matter: second
moments, scales, coordinates, counts. So their roles have guarantees of their own, which hold unless
a rule names the tensor. A role follows from the name, sometimes beside other names of the file, and
from what the format says. Where these do not decide, the values do.
"""

import re
from collections.abc import Container
from dataclasses import dataclass

import numpy as np

from ..compressors.contract import CHUNK
from ..dtypes import is_float
from ..source import Source, marks_of, spans

_BETWEEN = r"[/.:]+"  # what stands between the parts of a name
_LOOK = 1 << 14  # values that are looked at
_FEW = 16  # values; fewer may be in order by chance
SECOND_MOMENT = 0.05  # an update m/√v then changes by at most 2.5 %


@dataclass(frozen=True)
class Role:
    """What a tensor is.

    kind, bound: its guarantee; kind None: the one that the user gives. That of a field with fill
    values holds where they cannot be kept with a bound on all others.
    """

    name: str
    kind: str | None = None
    bound: float = 0.0


FIRST = Role("first moment")
SECOND = Role("second moment", "pointwise", SECOND_MOMENT)
SCALE = Role("scale or zero point", "exact")
SETTING = Role("step, count or rate", "exact")
MASK = Role("mask", "exact")
INDEX = Role("index", "exact")
COORDINATE = Role("coordinate", "exact")
NORM = Role("gain, norm or statistic", "exact")
CODED = Role("coded with a bound before", "exact")
FILLED = Role("field with fill values", "exact")


@dataclass(frozen=True)
class Sign:
    """A line of the table: how a tensor of this role is named.

    part: a regular expression for a whole part of the name (see `parts`).
    last: whether that has to be the last part.
    beside: (what, by what) to replace in that part; a tensor of the name that this gives has to be
        there.
    within: a regular expression for another part.
    axes: at most so many axes are longer than 1.
    """

    role: Role
    part: str
    last: bool = True
    beside: tuple[str, str] | None = None
    within: str = ""
    axes: int = 64


_OPTIMIZER = r"opt|.*optim.*|.*opt_?state.*|state|slots?|adam\w*|rmsprop|adagrad|adadelta"
TABLE = (
    Sign(INDEX, r"_i_.+", last=False),  # PyTables
    Sign(SECOND, r"(.*_)?(max_)?exp_avg_sqs?(_\w+)?|(.*_)?square_avg|(.*_)?acc_delta|exp_inf", last=False),
    Sign(SECOND, r"nu(_max|_hat)?|v_?hat|max_v|(.*_)?second_moments?|exp_hessian_diag(_sq)?", last=False),
    Sign(SECOND, r"(.*_)?(running|moving)_(var|variance)s?(_\d+)?|(.*_)?mean_squares?", last=False),
    Sign(SECOND, r"v(_row|_col)?", last=False, beside=("v(_row|_col)?", "m")),
    Sign(SECOND, r"v_row|v_col|v[rc]", last=False, within=_OPTIMIZER),
    Sign(SECOND, r"(.*_)?velocity(_\d+)?", last=False, beside=("velocity", "momentum")),
    Sign(SECOND, r"(.*_)?(velocity|accumulators?|sum)(_\d+)?", last=False, within=_OPTIMIZER),
    Sign(SECOND, r"adam_1", beside=("adam_1", "adam")),
    Sign(SECOND, r"rmsprop"),
    Sign(SECOND, r"(.*_)?(var|variance)", beside=("var(iance)?", "mean")),
    Sign(FIRST, r"(.*_)?exp_avg|(.*_)?momentum(s|_buffer)?(_\d+)?|mu|(.*_)?first_moments?|trace|adam", last=False),
    Sign(FIRST, r"m", last=False, beside=("m", "v")),
    Sign(SCALE, r"(.*_)?scales?(_inv)?|(.*_)?q?zeros|(.*_)?zero_?points?|(.*_)?absmax\d?|(.*_)?amax(_history)?"),
    Sign(SCALE, r"(.*_)?(quant_?map|qmap)\d?"),
    Sign(SETTING, r"(.*_)?(steps?|counts?|counter|iterations?|iter|epochs?|num_batches_tracked|inv_freq)", axes=1),
    Sign(SETTING, r"(.*_)?(lr|learning_rates?|weight_decay|beta_?[12]|betas|eps|epsilon|decay)", axes=1),
    Sign(MASK, r"(.*_)?masks?"),
    Sign(INDEX, r"(.*_)?(indices|index|idx|indptr|ids|row_ptr|col_ind)|axis\d+(_\w+)?|block\d+_items"),
    Sign(COORDINATE, r"lat|lon|latitude|longitude|times?|timestamps?|.*_(bnds|bounds)|coordinates?|x?lat|x?long?"),
    Sign(NORM, r".*norms?\d*|(ln|bn)(_?\w{1,3})?|layer_?norm.*|batch_?norm.*", last=False, axes=1),
    Sign(NORM, r"gamma|beta|(.*_)?(running|moving)_means?|weight_g|original0", axes=1),
    Sign(NORM, r"(.*_)?mean", beside=("mean", "var"), axes=1),
    Sign(NORM, r"(.*_)?mean", beside=("mean", "variance"), axes=1),
)


def role_of(name: str, source: Source, names: Container[str]) -> Role | None:
    """The role of a tensor; None for a weight, a gradient, and whatever else is not known.

    names: of all tensors of the file, in small letters, as far as they are known.
    """
    marks = marks_of(source)
    if marks.coded:
        return CODED
    if marks.coordinate:
        return COORDINATE
    found = next((sign.role for sign in TABLE if _fits(sign, name.lower(), source, names)), None)
    if found is not None or not is_float(source.dtype) or source.size == 0:
        return found
    if marks.fills and _has(source, np.array(marks.fills)):
        return FILLED
    if any(re.fullmatch(_OPTIMIZER, part) for part in parts(name)) and _none_is_negative(source):
        return SECOND
    return COORDINATE if _axes(source) <= 1 and _is_sorted(source) else None


def parts(name: str) -> list[str]:
    """The parts of a name between `/`, `.` and `:`, in small letters, without numbers.

    >>> parts("optimizer.state.0.exp_avg_sq")
    ['optimizer', 'state', 'exp_avg_sq']
    """
    return [part for part in re.split(_BETWEEN, name.lower()) if part and not part.isdigit()]


def _fits(sign: Sign, name: str, source: Source, names: Container[str]) -> bool:
    if _axes(source) > sign.axes:
        return False
    own = parts(name)
    found = [part for part in (own[-1:] if sign.last else own) if re.fullmatch(sign.part, part)]
    if not found or (sign.within and not any(re.fullmatch(sign.within, part) for part in own if part != found[0])):
        return False
    return sign.beside is None or any(_neighbour(name, part, *sign.beside) in names for part in found)


def _neighbour(name: str, part: str, what: str, by: str) -> str:
    """The name with something else in the place of one of its parts."""
    other = re.sub(what, by, part)
    return "".join(other if piece == part else piece for piece in re.split(f"({_BETWEEN})", name))


def _axes(source: Source) -> int:
    return sum(n > 1 for n in source.shape)


def _has(source: Source, fills: np.ndarray) -> bool:
    """Whether one of the fill values occurs."""
    with np.errstate(over="ignore"):
        wanted, missing = fills.astype(source.dtype), bool(np.isnan(fills).any())
    for start, stop in spans(source.size, CHUNK):
        values = source.read(start, stop)
        if np.isin(values, wanted).any() or (missing and np.isnan(values).any()):
            return True
    return False


def _none_is_negative(source: Source) -> bool:
    """Whether the first values are at least 0, and not all 0. Of few values nothing is said."""
    values = source.read(0, min(source.size, _LOOK)).astype(np.float64)
    return values.size >= _FEW and bool((values >= 0).all() and values.any())


def _is_sorted(source: Source) -> bool:
    """Whether each value is above the one before, or each is below."""
    first = source.read(0, min(source.size, _LOOK)).astype(np.float64)
    if first.size < _FEW or not (_rises(first) or _rises(-first)):
        return False
    values = source.read(0, source.size).astype(np.float64)
    return _rises(values) or _rises(-values)


def _rises(values: np.ndarray) -> bool:
    return bool((values[1:] > values[:-1]).all())
