"""Compact descriptions of static rANS tables: how they are written, read and chosen.

A table gives frequencies of 12 bits to the symbols 0…31. A description begins with 2 bits of kind:

    SINGLE   5 bits `last`, the only symbol
    PAIRED   5 bits `last` and the weights of the entries 0…last; symbols that lie alike on both
             sides of zero are one entry and have one weight
    FULL     5 bits `last` and the weights of the symbols 0…last
    LAW      nothing: the frequencies follow from the sequence's law (laws.py), if it has one

The pairing says which symbols are one entry. They have the same magnitude of the cell (EVEN), of
the odd level where the odd book has no zero (ODD), or of ⌊cell / 2⌋ in classes with a raw width
(RAW). See spec/levels.md §4 for the normative text.
"""

import math

import numpy as np

from ..compiler.jit import njit, njit_inline
from .bits import get_bits, get_rice, put_bits, put_rice
from .rans import SYMBOLS, TOTAL, any_of, normalise
from .tokens import BIG, DIRECT

# They are numpy's integers, as numba compiles a function anew for every Python integer in a call.
SINGLE, PAIRED, FULL, LAW = np.arange(4)
EVEN, ODD, RAW = np.arange(3)
FIRST_EXPONENT = np.int64(12)  # the exponent that the one of the first weight is relative to
MAX_EXPONENT = 13  # the most bits of a weight
MAX_BITS = 1024  # no description is longer

_MANTISSA = 3  # bits of a weight below its leading one
_KIND_BITS, _LAST_BITS = np.array([2, 5])
_WORST = 1e30
_SHARES = 12  # a multiple of the number of symbols of each entry


def _entries() -> np.ndarray:
    """The entry of each symbol, by pairing and symbol. Symbols of large cells are not paired."""
    entries = np.empty((3, SYMBOLS), np.int64)
    for symbol in range(SYMBOLS):
        token = (symbol + 1) >> 1
        cell = token if symbol & 1 else -token
        alike = abs(cell), cell if cell >= 0 else -1 - cell, abs(cell >> 1)
        entries[:, symbol] = alike if symbol < BIG else DIRECT + symbol - BIG
    return entries


ENTRIES = _entries()
ENTRY_COUNT = DIRECT + SYMBOLS - BIG


@njit_inline
def put_weight(out: np.ndarray, at: int, f: int, before: int) -> tuple[int, int, int]:
    """Write f ≥ 0 as a float with 3 bits of mantissa and an exponent relative to the one before.

    Returns (position after it, exponent, f as it was rounded). The exponent is the number of bits
    of the rounded f.
    """
    exponent = np.int64(0)
    while f >> exponent:
        exponent += 1
    cut = max(0, exponent - 1 - _MANTISSA)
    if cut > 0:
        f = (f + (1 << (cut - 1))) >> cut << cut
        if f >> exponent:
            exponent, cut = exponent + 1, cut + 1
    change = before - exponent
    at = put_rice(out, at, 2 * change if change >= 0 else -2 * change - 1, np.int64(1))
    keep = max(exponent - 1 - cut, 0)
    return put_bits(out, at, (f >> cut) & ((1 << keep) - 1), keep), exponent, f


@njit_inline
def take_weight(data: np.ndarray, at: int, before: int) -> tuple[int, int, int]:
    """The inverse of `put_weight`: (position after it, or -1 if it is not valid; exponent; f)."""
    change, at = get_rice(data, at, np.int64(1), 2 * MAX_EXPONENT)
    exponent = before - ((change >> 1) ^ -(change & 1))
    if change < 0 or exponent < 0 or exponent > MAX_EXPONENT:
        return np.int64(-1), before, np.int64(0)
    if exponent == 0:
        return at, exponent, np.int64(0)
    keep = min(_MANTISSA, exponent - 1)
    weight = ((1 << keep) | get_bits(data, at, keep)) << (exponent - 1 - keep)
    return at + keep, exponent, weight


@njit
def put_table(kind: int, pairing: int, histogram: np.ndarray, out: np.ndarray, at: int, frequencies: np.ndarray) -> int:
    """Write a PAIRED or FULL description of a table that suits the counts in `histogram`.

    Fills in the frequencies that it stands for, and returns the position after it.
    """
    weights, sizes = np.zeros(SYMBOLS, np.int64), np.zeros(SYMBOLS, np.int64)
    last = np.int64(0)
    for symbol in range(SYMBOLS):
        entry = symbol if kind == FULL else ENTRIES[pairing, symbol]
        weights[entry] += histogram[symbol]
        sizes[entry] += 1
        if histogram[symbol] > 0:
            last = max(last, entry)
    for entry in range(SYMBOLS):
        weights[entry] *= _SHARES // max(sizes[entry], 1)
    normalise(weights.copy(), weights)
    at = put_bits(out, at, kind << _LAST_BITS | last, _KIND_BITS + _LAST_BITS)
    before = FIRST_EXPONENT
    for entry in range(last + 1):
        at, before, weights[entry] = put_weight(out, at, weights[entry], before)
    _spread(kind, pairing, weights, frequencies)
    return at


@njit
def _spread(kind: int, pairing: int, weights: np.ndarray, frequencies: np.ndarray) -> None:
    """Fill in the frequencies of symbols that follow from the weights of their entries."""
    weight_of = np.empty(SYMBOLS, np.int64)
    for symbol in range(SYMBOLS):
        weight_of[symbol] = weights[symbol if kind == FULL else ENTRIES[pairing, symbol]]
    normalise(weight_of, frequencies)


@njit
def get_table(data: np.ndarray, at: int, pairing: int, frequencies: np.ndarray) -> int:
    """Read the description that begins at bit `at`, and fill in the frequencies, int64.

    Returns the position after it, or -1 if it is not valid. Before, `frequencies` are those of the
    law, and the kind LAW leaves them as they are. If they are all 0, this kind is not valid.
    """
    kind = get_bits(data, at, _KIND_BITS)  # it reads zeros beyond the data
    at += _KIND_BITS
    if kind == LAW:
        return at if frequencies[0] > 0 and at <= 8 * data.size else np.int64(-1)
    last = get_bits(data, at, _LAST_BITS)
    at += _LAST_BITS
    frequencies.fill(0)
    if kind == SINGLE:
        frequencies[last] = TOTAL
        return at if at <= 8 * data.size else np.int64(-1)
    if kind == PAIRED and last >= ENTRY_COUNT:
        return np.int64(-1)
    exponent = FIRST_EXPONENT
    weights = np.zeros(SYMBOLS, np.int64)
    for entry in range(last + 1):
        at, exponent, weights[entry] = take_weight(data, at, exponent)
        if at < 0:
            return at
    if not any_of(weights) or at > 8 * data.size:
        return np.int64(-1)
    _spread(kind, pairing, weights, frequencies)
    return at


@njit
def code_length(histogram: np.ndarray, frequencies: np.ndarray) -> float:
    """Σ h·log2(TOTAL / f), in bits. It is huge if a symbol that occurs has the frequency 0."""
    bits = 0.0
    for s in range(SYMBOLS):
        if histogram[s] > 0:
            if frequencies[s] == 0:
                return _WORST
            bits += histogram[s] * (12 - math.log2(frequencies[s]))
    return bits


@njit_inline
def _only_symbol(histogram: np.ndarray) -> int:
    """The only symbol that occurs, or -1 if there are several or none."""
    only = -1
    for s in range(SYMBOLS):
        if histogram[s] > 0:
            if only >= 0:
                return -1
            only = s
    return only


@njit
def choose_table(
    histogram: np.ndarray, pairing: int, law: np.ndarray, out: np.ndarray, at: int, frequencies: np.ndarray
) -> int:
    """Write the description for which description and data are shortest; the position after it.

    histogram: int64 counts of the symbols. law: the frequencies of the kind LAW, or zeros if there
    is no law; counts that are all 0 need a law. out: zeros, with room for MAX_BITS from bit `at`
    on. frequencies: filled in.
    """
    by_law = _KIND_BITS + code_length(histogram, law) if law[0] > 0 else _WORST
    only = _only_symbol(histogram)
    if only >= 0 and by_law > _KIND_BITS + _LAST_BITS:
        frequencies.fill(0)
        frequencies[only] = TOTAL
        return put_bits(out, at, SINGLE << _LAST_BITS | only, _KIND_BITS + _LAST_BITS)
    paired, full = _WORST, _WORST
    if only < 0 and any_of(histogram):
        trial = np.zeros(MAX_BITS // 8, np.uint8)
        paired = put_table(PAIRED, pairing, histogram, trial, np.int64(0), frequencies)
        paired += code_length(histogram, frequencies)
        trial.fill(0)
        full = put_table(FULL, pairing, histogram, trial, np.int64(0), frequencies) + code_length(
            histogram, frequencies
        )
    if by_law <= min(paired, full):
        for symbol in range(law.size):
            frequencies[symbol] = law[symbol]
        return put_bits(out, at, np.int64(LAW), _KIND_BITS)
    return put_table(FULL if full < paired else PAIRED, pairing, histogram, out, at, frequencies)
