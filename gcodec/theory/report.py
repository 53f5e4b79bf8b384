"""The table of `gcodec bounds`: the bits that a guarantee costs in a given dimension.

It has lower bounds, the methods of gcodec whose bits are known, and operators of the literature.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from . import baselines as known
from . import shannon, sphere, spherical
from . import sparse_dithering as sd
from .domain import check_dimension
from .lloyd_max import MOST_BITS

LOWER, OPTIMUM, UPPER = "lower bound", "optimum, about", "upper bound"
METHOD, BASELINE, TRAINING = "method", "baseline", "training"
STRICT = "for every input"


@dataclass(frozen=True)
class BoundsRow:
    """One line of the table. `dataclasses.asdict` of it can be written as JSON.

    group: LOWER (it is proven that nothing spends fewer bits), OPTIMUM (the best code lies here, up
    to a constant that is not known), UPPER (it is proven that the paper's compressors spend no
    more, at worst or on average), METHOD (what another method of gcodec spends on a certain kind of
    data), BASELINE (known operators) or TRAINING. kind, constant: the class of guarantee, "alpha"
    or "omega", and the operator's constant. bits, rate: the bits of the whole vector, and the bits
    per coordinate; None for TRAINING. rounds: gradient descent with such messages takes at most so
    many times its usual number of steps; None for a bound, and where nothing is promised. reaches:
    whether the constant meets the guarantee that was asked for. An operator that cannot meet it is
    listed with the best that it can do.
    """

    group: str
    name: str
    what: str
    kind: str
    constant: float
    bits: float | None
    rate: float | None
    rounds: float | None
    reaches: bool
    note: str


@dataclass(frozen=True)
class _Asked:
    """The question: the number of coordinates, and the guarantee in both classes."""

    d: int
    alpha: float
    omega: float

    def answer(
        self, group: str, name: str, what: str, constant: dict[str, float], bits: float | None, note: str = ""
    ) -> BoundsRow:
        ((kind, value),) = constant.items()
        wanted = self.alpha if kind == "alpha" else self.omega
        reaches = value <= wanted * (1 + 1e-12)  # 1e-12 covers the rounding errors of the formulas
        rounds = None if group in (LOWER, OPTIMUM) else _rounds(kind, value)
        return BoundsRow(
            group, name, what, kind, value, bits, None if bits is None else bits / self.d, rounds, reaches, note
        )


def rows(d: int, *, alpha: float | None = None, omega: float | None = None) -> list[BoundsRow]:
    """The table for d coordinates and exactly one of 0 < alpha < 1 and omega > 0.

    Raises ValueError for anything else.
    """
    check_dimension(d)
    if alpha is not None and omega is None:
        if not 0 < alpha < 1:
            raise ValueError(f"alpha must be between 0 and 1, not {alpha}")
        asked = _Asked(d, alpha, shannon.omega_of_alpha(alpha))
        note = "times 1/(1+omega); in expectation only"
        return _contractive(asked) + _contractive_baselines(asked) + _unbiased_baselines(asked, note)
    if omega is not None and alpha is None:
        asked = _Asked(d, shannon.alpha_of_omega(omega), omega)
        return _unbiased(asked) + _unbiased_baselines(asked, "")
    raise ValueError("exactly one of alpha and omega is needed")


def _contractive(asked: _Asked) -> list[BoundsRow]:
    d, alpha = asked.d, asked.alpha

    def line(group: str, name: str, what: str, bits: float | None, note: str) -> BoundsRow:
        return asked.answer(group, name, what, {"alpha": alpha}, bits, note)

    draws = (
        f"one block; 2^{sphere.cap_bits(alpha, d):.4g} directions to try; at most 3 bits above cap, without the norm"
    )
    low, high = sphere.optimum_bits(alpha, d)
    strict = "error for every input; direction alone"
    exact = "the exact optimum" if d <= 2 else ""
    table = [
        line(
            LOWER, "uncertainty", "any code, error in expectation", sphere.uncertainty_bits(alpha, d), "with the norm"
        ),
        line(LOWER, "cap", strict, sphere.cap_bits(alpha, d), "the norm's bits come on top; holds for mean bits, too"),
        line(
            OPTIMUM,
            "low end",
            strict,
            low,
            exact or "-log2 P + log2 d; right up to an unknown constant, so fewer bits may do",
        ),
        line(
            OPTIMUM,
            "high end",
            strict,
            high,
            exact or "-log2 P + log2 d + log2 log2 d; right up to an unknown constant",
        ),
        line(UPPER, "sd exact", "sparse dithering, worst vector", sd.exact_bits(alpha, d), "with 31 bits of norm"),
        line(UPPER, "sd closed", "the same in closed form", sd.closed_form_bits(alpha, d), "any alpha"),
        line(UPPER, "sd published", "the same, the paper's constant", sd.published_bits(d), "30 + log2 d + 3.35 d"),
        line(UPPER, "sc", "spherical compression, mean", spherical.expected_bits(alpha, d), draws),
        line(
            METHOD,
            "ecsq",
            "Gaussian data, fine steps",
            d * shannon.scalar_rate(alpha),
            "asymptotic in d; other data need less",
        ),
        line(TRAINING, "descent", "steps of gradient descent", None, "1/(1-alpha) times as many"),
    ]
    published = alpha == sd.PUBLISHED_NU and d >= 3  # below 3, only `sd exact` holds
    return [row for row in table if row.name != "sd published" or published]


def _unbiased(asked: _Asked) -> list[BoundsRow]:
    d, omega = asked.d, asked.omega
    cap = spherical.cap_for_omega(omega, d)
    per_message, in_all = sd.saving(omega)
    saving = f"{per_message:.3g} times fewer bits than float32, {in_all:.3g} times with the slow-down 1 + omega"
    draws = f"one block, cap {cap:.4g}; 2^{sphere.cap_bits(cap, d):.4g} directions to try"
    constant, reached = {"omega": omega}, {"omega": spherical.unbiased_omega(cap, d)}
    least, rsd = sphere.uncertainty_bits(asked.alpha, d), sd.published_expected_bits(omega, d)
    return [
        asked.answer(LOWER, "uncertainty", "any unbiased operator", constant, least, "d/2 log2((1+omega)/omega)"),
        asked.answer(UPPER, "rsd", "sparse dithering, mean at most", constant, rsd, saving),
        asked.answer(UPPER, "sc", "spherical compression, mean", reached, spherical.expected_bits(cap, d), draws),
        asked.answer(TRAINING, "descent", "steps of gradient descent", constant, None, "1+omega times as many"),
    ]


def _contractive_baselines(asked: _Asked) -> list[BoundsRow]:
    d, alpha = asked.d, asked.alpha

    def line(name: str, what: str, constant: float, bits: float, note: str) -> BoundsRow:
        return asked.answer(BASELINE, name, what, {"alpha": constant}, bits, note)

    k = max(1, math.ceil(d * (1 - alpha)))
    b, t = _fewest_bits(known.rotation_alpha, alpha), _fewest_bits(known.turboquant_alpha, alpha)
    sign, kept = known.sign_alpha(d), known.sparse_loco_count(d)
    mean = "in expectation, for large d"
    loco = f"{STRICT}; 3 % of each 4096 coordinates, 2 bits each; made for error feedback"
    return [
        line("top-k", f"k = {k}", known.top_k_alpha(d, k), known.sparse_bits(d, k), STRICT),
        line("sparseloco-like", f"k = {kept}", known.sparse_loco_alpha(d), known.sparse_loco_bits(d, kept), loco),
        line("scaled sign", "worst vector", sign, known.sign_bits(d), f"{STRICT}; 1 - 2/pi on Gaussian data"),
        *_rotated(
            d,
            line("drive/eden", f"b = {b}", known.rotation_alpha(b), known.rotation_bits(d, b), mean),
            line("turboquant", f"b = {t}", known.turboquant_alpha(t), known.rotation_bits(d, t), mean),
        ),
    ]


def _unbiased_baselines(asked: _Asked, note: str) -> list[BoundsRow]:
    d, omega = asked.d, asked.omega

    def line(name: str, what: str, constant: float, bits: float) -> BoundsRow:
        return asked.answer(BASELINE, name, what, {"omega": constant}, bits, note)

    k = min(d, math.ceil(d / (1 + omega)))
    s = max(1, math.ceil(min(math.sqrt(d / omega), math.sqrt(d) / omega, 2.0**62)))  # more would be no whole numbers
    n = _natural_levels(d, omega)
    b = _fewest_bits(known.rotation_omega, omega)
    natural_dithering = known.natural_dithering_omega(d, n), known.natural_dithering_bits(d, n)
    return [
        line("rand-k", f"k = {k}", known.rand_k_omega(d, k), known.sparse_bits(d, k)),
        line("terngrad", "three levels", known.terngrad_omega(d), known.ternary_bits(d)),
        line("qsgd", f"s = {s}, Elias codes, at most", known.dithering_omega(d, s), known.dithering_bits(d, s)),
        line("natural compression", "powers of two", known.NATURAL_OMEGA, known.natural_bits(d)),
        line("natural dithering", f"s = {n}", *natural_dithering),
        *_rotated(d, line("eden", f"b = {b}, large d", known.rotation_omega(b), known.rotation_bits(d, b))),
    ]


def _rotated(d: int, *rows: BoundsRow) -> tuple[BoundsRow, ...]:
    """Rows of operators that rotate, which have no constant in few dimensions."""
    return rows if d >= known.ROTATED_FROM else ()


def _rounds(kind: str, constant: float) -> float | None:
    """The slow-down of gradient descent; None if it is not finite."""
    rounds = shannon.slow_down(kind, constant)
    return rounds if math.isfinite(rounds) else None


def _fewest_bits(constant: Callable[[int], float], wanted: float) -> int:
    """The fewest bits per coordinate by which a rotation reaches a constant, up to MOST_BITS."""
    return next((bits for bits in range(1, MOST_BITS) if constant(bits) <= wanted), MOST_BITS)


def _natural_levels(d: int, omega: float) -> int:
    """The fewest levels of natural dithering that reach ω or come within 1 % of its least, 1/8."""
    levels = 1
    while known.natural_dithering_omega(d, levels) > max(omega, 1.01 * known.NATURAL_OMEGA):
        levels += 1
    return levels
