"""Values of levels, from numbers and their books or from codes and raw bits. See spec/levels.md."""

import numpy as np

from ..compiler.jit import njit
from ..entropy.tokens import BIG, all_used, get_number, peek, with_raw

_STRIP = 256
_0 = np.uint64(0)
_u64 = np.uint64


@njit
def values_of_numbers(
    numbers: np.ndarray,
    books: np.ndarray,
    zero: bool,
    offsets: np.ndarray,
    scales: np.ndarray,
    largest: float,
    out: np.ndarray,
) -> None:
    """out[i] = the value of the number i of its book; see `value_of`."""
    for i in range(numbers.size):
        out[i] = value_of(level_of(np.int64(numbers[i]), books[i], zero), offsets, scales, largest)


@njit
def values_with_raw(
    codes: np.ndarray,
    classes: np.ndarray,
    widths: np.ndarray,
    words: np.ndarray,
    end: np.uint64,
    zero: bool,
    offsets: np.ndarray,
    scales: np.ndarray,
    largest: float,
    out: np.ndarray,
) -> bool:
    """Set the values of numbers that have raw bits; returns whether the raw bits are valid.

    words, end: see `get_number`. out: it has the values of all other codes.
    """
    at = _0
    wide = first_wide(widths)
    for start in range(0, codes.size, _STRIP):
        strip, beside, values = (
            codes[start : start + _STRIP],
            classes[start : start + _STRIP],
            out[start : start + _STRIP],
        )
        highest, top = np.uint8(0), np.uint8(0)
        for i in range(strip.size):
            highest, top = max(highest, strip[i] & np.uint8(31)), max(top, beside[i])
        if highest < BIG and top < wide:
            continue
        for i in range(strip.size):
            symbol, width = np.int64(strip[i]) & 31, widths[beside[i]]
            if symbol >= BIG or width > 32:
                if at > end:  # `get_number` may not begin there
                    return False
                number, at = get_number(symbol, width, words, at, end)
                if at > end:
                    return False
            elif width > 0:
                token = (symbol + 1) >> 1
                cell = token if symbol & 1 else -token
                number = with_raw(cell, width, peek(words, min(at, end), _u64(width)))
                at += _u64(width)
            else:
                continue
            values[i] = value_of(level_of(number, strip[i] >> 5, zero), offsets, scales, largest)
        if at > end:
            return False
    return all_used(words, at, end)


@njit
def first_wide(widths: np.ndarray) -> int:
    """The first class that has a raw width; as many as there are classes if none has one."""
    for group in range(widths.size):
        if widths[group] > 0:
            return group
    return widths.size


@njit
def fill_values(zero: bool, offsets: np.ndarray, scales: np.ndarray, largest: float, by_code: np.ndarray) -> None:
    """by_code[code] = the value of a code that has no raw bits, and 0 for all other codes."""
    for code in range(by_code.size):
        symbol = code & 31
        token = (symbol + 1) >> 1
        number = token if symbol & 1 else -token
        by_code[code] = value_of(level_of(number, code >> 5, zero), offsets, scales, largest) if symbol < BIG else 0.0


@njit
def level_of(number: int, odd: bool, zero: bool) -> int:
    """The level of a number. odd: whether its book is the odd book, which may have a `zero`."""
    if odd and zero:
        return 2 * number - np.int64(number > 0) + np.int64(number < 0)
    return 2 * number + np.int64(odd)


@njit
def value_of(level: int, offsets: np.ndarray, scales: np.ndarray, largest: float) -> float:
    """±min((|level| + offset)·scales[0]·scales[1], largest), in float64 and in this order.

    offsets: the centroid offsets of the levels 0, 1, 2 …, in steps.
    """
    size = abs(level)
    point = np.float64(size)
    if size < offsets.size:
        point += offsets[size]
    point = min(point * scales[0] * scales[1], largest)
    return point if level >= 0 else -point
