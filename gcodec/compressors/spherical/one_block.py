"""Spherical compression of a whole tensor as one block: the paper's code, in few bytes.

The head says which Golomb code is used. The single chunk holds the index and then the scale,
‖x‖·√(1−α), or ‖x‖/c̄ for an unbiased code. The scale is a binary floating-point number whose digits
fill the last byte: eight digits or more. What they round off is charged to α. So the bound holds
for every input, and a whole payload stays below 31 − log2 P + 3 bits on average.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...dtypes import work_dtype
from ...errors import Corrupt, InvalidInput
from ...kernels import spherical as kernels
from ...kernels.spherical_tree import MAX_QUOTIENT
from ...theory.sphere import cap_bits, mean_cosine_excess
from ...theory.spherical import cap_for_omega, golomb_parameter
from ..common.scaled import energy, expected_before_rounding, power_of_two
from ..contract import LOOSEST, Guarantee, TensorSpec
from . import golomb
from .plan import MAX_EXPONENT
from .search import COINS, find, stream

MAX_VALUES = 1 << 16
MAX_HEAD = 10  # the most bytes of a head; all heads with blocks are longer
SEEDED = golomb.CODES  # the first byte of a head with a seed; else that byte is the modulus's code
_DIGITS, _MAX_DIGITS = 8, 52  # the fewest and the most binary digits of the scale behind the point
_SLACK = 2.0**-13  # the share of the bound that pays for rounding the scale
_WORK = 1 << 28  # how many components a search may draw on average when nobody asked for one block
_DRAWS_BITS, _MORE_DRAWS_BITS = 17, 20  # log2 of the draws on average that any block gets, and a short one
_MORE_WORK = 1 << 24  # how many components a search with more draws may draw on average
_BEYOND = 900  # a power of two that no right scale is away from another
_LONG = 1 << 10  # beyond this length, draws are counted by components, not by directions


@dataclass(frozen=True)
class Cap:
    """The cap of one block.

    alpha: α. scale: the scale at norm 1. digits: its fewest digits. unbiased: whether the code is.
    """

    alpha: float
    scale: float
    digits: int
    unbiased: bool

    @staticmethod
    @lru_cache(maxsize=64)  # every check and trial of one record asks for it again
    def of(guarantee: Guarantee, spec: TensorSpec) -> "Cap":
        """The cap for a guarantee of a tensor. It depends on nothing else, so readers know it too.

        A cosine c ≥ g = √(1−α) and any scale s give the error 1 − 2sc + s² ≤ (1 − g²) + (g − s)².
        With "omega", the rounding of the values to the dtype is paid for as well; where nothing can
        pay for it, `expected_in_dtype` shows that the bound is missed.
        """
        d, asked = spec.size, min(guarantee.bound, LOOSEST)
        bound = asked * (1 - _SLACK)
        digits = max(_DIGITS, math.ceil(6 - 0.5 * math.log2(asked)))
        digits = min(digits, _MAX_DIGITS - 7)  # up to 7 more fill the last byte
        if guarantee.kind == "omega":
            left = expected_before_rounding(asked, spec.dtype) - _variance(digits) * (1 + asked)
            alpha = cap_for_omega(min(bound, left) if left > 0 else bound, d)
            return Cap(alpha, 1 + mean_cosine_excess(alpha, d), digits, True)
        alpha = min(bound, 1 - _SLACK)
        return Cap(alpha, math.sqrt(1 - alpha), digits, False)

    @property
    def expected(self) -> float | None:
        """An upper bound of E‖x̂ − x‖²/‖x‖² for an unbiased code, None for others.

        It is (1 + variance of the rounded scale)/c̄² − 1.
        """
        return self.scale**2 * (1 + _variance(self.digits)) - 1 if self.unbiased else None


def _variance(digits: int) -> float:
    """That of a scale that is rounded at random to so many digits, beside its square, at most."""
    return 2.0 ** (-2 * digits - 2)


def _budget(d: int, draws: float) -> float:
    """log2 of the most draws on average for one block of d values.

    A long block gets fewer draws, since its directions take long to make.
    """
    return math.log2(draws) - max(0.0, math.log2(d / _LONG))


def default_draws(d: int) -> float:
    """The most draws on average for one block of d values when nobody gave a number.

    A short block gets more than others, because all of its blocks together would cost more bits,
    and its directions are made in no time. Its search takes some tenths of a second.
    """
    return max(2.0**_DRAWS_BITS, min(2.0**_MORE_DRAWS_BITS, _MORE_WORK / d))


def _bits(guarantee: Guarantee, spec: TensorSpec) -> float:
    """log2 of the draws that one block takes on average."""
    return cap_bits(Cap.of(guarantee, spec).alpha, spec.size)


def is_cheap(guarantee: Guarantee, spec: TensorSpec, draws: float) -> bool:
    """Whether `draws` draws on average are enough for one block.

    Its search must also take only a second or so.
    """
    d = spec.size
    if d > MAX_VALUES:
        return False
    bits = _bits(guarantee, spec)
    return bits <= _budget(d, draws) and d * 2.0**bits <= _WORK


def check(guarantee: Guarantee, spec: TensorSpec, draws: float) -> None:
    """Raise InvalidInput when `draws` draws on average are not enough for one block of this tensor.

    The message says what would fit.
    """
    d, kind, bound = spec.size, guarantee.kind, guarantee.bound
    of_shape = f" (shape {spec.shape})" if len(spec.shape) > 1 else ""
    if d > MAX_VALUES:
        raise InvalidInput(f"one block can have {MAX_VALUES} values, not {d}{of_shape}; leave the block length to sc")
    bits, budget = _bits(guarantee, spec), _budget(d, draws)
    if bits > budget:
        fits = [f"{kind} of {least:.10g} or more for {d} values"] if (least := _least_bound(kind, spec, draws)) else []
        fits += (
            [f"{most} values at {kind} = {bound:g}"] if (most := _most_values(guarantee, spec.dtype, draws)) > 1 else []
        )
        advice = f"What fits: {', or '.join(fits)}; or leave" if fits else "Leave"
        raise InvalidInput(
            f"one block of {d} values{of_shape} at {kind} = {bound:g} takes 2^{bits:.1f} draws on average, but max_draws is "
            f"enough for 2^{budget:.1f} of this length. {advice} the block length to sc"
        )


def _least_bound(kind: str, spec: TensorSpec, draws: float) -> float | None:
    """The least bound for which one block fits, rounded up.

    For an alpha near 1, the digits of 1 − alpha count. None if no bound fits.
    """
    budget = _budget(spec.size, draws)
    low, high = 0.0, 1 - 2.0**-20 if kind == "alpha" else 2.0 * spec.size
    if _bits(Guarantee(kind, high), spec) > budget:
        return None
    for _ in range(60):
        middle = (low + high) / 2
        fits = _bits(Guarantee(kind, middle), spec) <= budget
        low, high = (low, middle) if fits else (middle, high)
    scale = min(high, 1 - high) if kind == "alpha" else high
    unit = 10.0 ** (math.floor(math.log10(scale)) - 2)
    return math.ceil(high / unit) * unit


def _most_values(guarantee: Guarantee, dtype: np.dtype, draws: float) -> int:
    """The most values of one block that fit. 0 if none do."""
    low, high = 0, MAX_VALUES
    while low < high:
        middle = (low + high + 1) // 2
        fits = _bits(guarantee, TensorSpec(dtype, (middle,))) <= _budget(middle, draws)
        low, high = (middle, high) if fits else (low, middle - 1)
    return low


def exponent_field(dtype: np.dtype) -> tuple[int, int]:
    """The bits and the bias of the scale's exponent.

    They are enough for the norm of any tensor of this dtype.
    """
    return (12, 1120) if dtype == np.float64 else (9, 176)


def overhead_bits(cap: Cap, dtype: np.dtype, head_length: int) -> int:
    """What a payload may take beyond 31 − log2 P + 3 bits on average.

    This is a seed, the exponent of a float64, and digits for a small bound.
    """
    return 8 * (head_length - 1) + exponent_field(dtype)[0] - 9 + cap.digits - _DIGITS


def encode(
    values: np.ndarray, exponent: int, cap: Cap, seed: int, max_draws: int, spec: TensorSpec
) -> tuple[bytes, bytes]:
    """Head and chunk of values·2^exponent, for float64 values whose largest is about 1.

    Raises InvalidInput if the search fails.
    """
    norm = math.sqrt(energy(values))
    code = golomb.nearest_code(golomb_parameter(cap_bits(cap.alpha, values.size)))
    m = golomb.modulus(code)
    limit = min(max_draws, m * (MAX_QUOTIENT + 1))
    found, _ = find(values[None, :], np.array([norm]), np.array([cap.alpha]), np.array([limit]), seed)
    index = int(found[0])
    if index < 0:
        raise InvalidInput(f"sc: none of {limit} directions is in the cap, which is rare; use another seed, or blocks")
    bits, count = golomb.encode(index, m)
    width, bias = exponent_field(spec.dtype)
    digits = cap.digits + -(count + width + cap.digits) % 8
    mantissa, power = _rounded(cap.scale * norm, digits, seed if cap.unbiased else None)
    biased = min(max(power + exponent + bias, 0), (1 << width) - 1)
    bits = (bits << width | biased) << digits | mantissa
    data = bits.to_bytes((count + width + digits) // 8, "big")
    seed_bytes = seed.to_bytes((seed.bit_length() + 7) // 8, "little")
    return (bytes([SEEDED, code]) + seed_bytes if seed else bytes([code])), data


def _rounded(scale: float, digits: int, seed: int | None) -> tuple[int, int]:
    """(m, e) with (1 + m/2^digits)·2^e next to the scale.

    It is the nearest number. With a seed it is rounded up or down without bias.
    """
    fraction, power = math.frexp(scale)
    exact = (2 * fraction - 1) * 2.0**digits
    if seed is None:
        mantissa = math.floor(exact + 0.5)
    else:
        coin = np.empty(1)
        kernels.fill_coins(stream(seed, COINS), np.zeros(1, dtype=np.int64), coin)
        mantissa = math.floor(exact) + int(coin[0] < exact - math.floor(exact))
    return (0, power) if mantissa == 1 << digits else (mantissa, power - 1)


@dataclass(frozen=True)
class Head:
    """The parsed head: the seed, and the code of the modulus."""

    seed: int
    code: int

    @staticmethod
    def unpack(head: bytes) -> "Head":
        if len(head) == 1 and head[0] < golomb.CODES:
            return Head(0, head[0])
        if not 3 <= len(head) <= MAX_HEAD or head[0] != SEEDED or head[1] >= golomb.CODES or head[-1] == 0:
            raise Corrupt("sc: the head cannot be right")
        return Head(int.from_bytes(head[2:], "little"), head[1])

    @property
    def modulus(self) -> int:
        return golomb.modulus(self.code)


def read_index(data: bytes, head: Head) -> tuple[int, int]:
    """(index, number of bits that follow it). Raises Corrupt when there is no index."""
    try:
        return golomb.decode(int.from_bytes(data, "big"), 8 * len(data), head.modulus)
    except ValueError:
        raise Corrupt("sc: a chunk's index cannot be right") from None


def norm_of(data: bytes, head: Head, spec: TensorSpec) -> float:
    """‖x̂‖; infinite beyond float64. Raises Corrupt when the data cannot be right."""
    scale, exponent = _read_scale(data, read_index(data, head)[1], spec)
    with np.errstate(over="ignore"):
        return float(np.ldexp(scale, exponent))


def units_off(data: bytes, head: Head, wanted: float, exponent: int, spec: TensorSpec) -> float:
    """The stored scale less wanted·2^exponent, in units of its last digit where that is.

    An encoder rounds the scale to one of the two numbers next to it, which are less than 1 away.
    """
    left = read_index(data, head)[1]
    scale, power = _read_scale(data, left, spec)
    digits = left - exponent_field(spec.dtype)[0]
    fraction, own = math.frexp(wanted)
    apart = min(power - exponent - own + 1, _BEYOND)
    return (scale * 2.0**apart - 2 * fraction) * 2.0**digits


def _read_scale(data: bytes, left: int, spec: TensorSpec) -> tuple[float, int]:
    """(scale, exponent) of the last `left` bits, with ‖x̂‖ = scale·2^exponent. Raises Corrupt."""
    width, bias = exponent_field(spec.dtype)
    digits = left - width
    if not _DIGITS <= digits <= _MAX_DIGITS:
        raise Corrupt("sc: a chunk has the wrong length")
    rest = int.from_bytes(data, "big")
    exponent = (rest >> digits & ((1 << width) - 1)) - bias
    if exponent > MAX_EXPONENT:
        raise Corrupt("sc: a chunk's exponent is out of range")
    return 1 + (rest & ((1 << digits) - 1)) * 2.0**-digits, exponent


def decode(data: bytes, count: int, head: Head, spec: TensorSpec) -> np.ndarray:
    """The work values. Raises Corrupt when the data cannot be right."""
    if count != spec.size or count > MAX_VALUES or len(data) > 64:
        raise Corrupt("sc: one block of this size cannot be right")
    index, left = read_index(data, head)
    scale, exponent = _read_scale(data, left, spec)
    out = np.empty(count, dtype=work_dtype(spec.dtype))
    with np.errstate(over="ignore"):  # plain Python would warn
        kernels.fill_direction(
            stream(head.seed, count), index, scale, power_of_two(exponent), float(np.finfo(out.dtype).max), out
        )
    return out
