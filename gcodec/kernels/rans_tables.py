"""Compact descriptions of static rANS tables: how they are written, read, and chosen.

A table gives 12-bit frequencies to the symbols 0…31. Of quantiser levels a symbol is a token with a sign: symbol 0 is token 0,
2t − 1 is token t > 0, 2t is token −t. A description is 2 bits of kind, 5 bits `last`, and weights:

    SINGLE       none; `last` is the only symbol
    SYMMETRIC    of the tokens 0…last, both signs alike
    FULL         of the symbols 0…last

Bits are written with kernels/bits.py. See spec/compressors/05-ecsq.md for the normative text.
"""

import math

import numpy as np

from ._jit import njit
from .bits import get_bits, get_rice, put_bits, put_rice
from .rans import SYMBOLS, TOTAL, normalise
from .tokens import TOKENS

# Numbers of numpy's: numba compiles functions anew for every Python number that they are called with.
SINGLE, SYMMETRIC, FULL = np.arange(3)
FIRST_EXPONENT = np.int64(12)  # that the first weight's is relative to
MAX_EXPONENT = 13  # number of bits of a weight at most
MAX_BITS = 1024  # no description is longer

_MANTISSA = 3  # bits of a weight below its leading one
_ZERO, _START_BITS, _LAST_BITS = np.array([0, 7, 5])
_WORST = 1e30


@njit
def _entry_symbols(kind, entry):
    """(first symbol, second symbol or -1) whose weight is number `entry` of a description."""
    if kind == FULL or entry == 0:
        return entry, -1
    return 2 * entry - 1, 2 * entry


@njit
def put_weight(out, at, f, before):
    """Write f ≥ 0 as a float with 3 bits of mantissa, its exponent relative to the one before.

    Returns (position after it, exponent, what was written: f rounded). The exponent is the number of f's bits.
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
    at = put_rice(out, at, 2 * change if change >= 0 else -2 * change - 1, 1)
    keep = max(exponent - 1 - cut, 0)
    return put_bits(out, at, (f >> cut) & ((1 << keep) - 1), keep), exponent, f


@njit
def take_weight(data, at, before):
    """The inverse of `put_weight`: (position after it, -1 when it is none, exponent, number)."""
    change, at = get_rice(data, at, 1, 2 * MAX_EXPONENT)
    exponent = before - ((change >> 1) ^ -(change & 1))
    if change < 0 or exponent < 0 or exponent > MAX_EXPONENT:
        return np.int64(-1), before, np.int64(0)
    if exponent == 0:
        return at, exponent, np.int64(0)
    keep = min(_MANTISSA, exponent - 1)
    weight = ((1 << keep) | get_bits(data, at, keep)) << (exponent - 1 - keep)
    return at + keep, exponent, weight


@njit
def put_table(kind, histogram, out, at, frequencies):
    """Write the SYMMETRIC or FULL description of a law like `histogram`; fills the frequencies that it stands for.

    Returns the position after it.
    """
    weights = np.zeros(SYMBOLS, np.int64)
    last = np.int64(0)
    for entry in range(SYMBOLS if kind == FULL else TOKENS):
        one, two = _entry_symbols(kind, entry)
        weights[entry] = histogram[one] + (histogram[two] if two >= 0 else 0)
        if weights[entry] > 0:
            last = entry
    if kind == SYMMETRIC:
        weights[0] *= 2  # the others are sums of two
    normalise(weights.copy(), weights)
    frequencies.fill(0)
    at = put_bits(out, at, kind << _LAST_BITS | last, _START_BITS)
    before = FIRST_EXPONENT
    for entry in range(last + 1):
        at, before, weight = put_weight(out, at, weights[entry], before)
        one, two = _entry_symbols(kind, entry)
        frequencies[one] = weight
        if two >= 0:
            frequencies[two] = weight
    normalise(frequencies.copy(), frequencies)
    return at


@njit
def get_table(data, at, frequencies):
    """Read a description from bits at `at`; fills int64 frequencies; returns the position after it, -1 when it is none."""
    frequencies.fill(0)
    start = get_bits(data, at, _START_BITS)  # zeros stand for what is beyond the data
    kind, last = start >> _LAST_BITS, start & (SYMBOLS - 1)
    at += _START_BITS
    if kind > FULL or (kind == SYMMETRIC and last >= TOKENS):
        return np.int64(-1)
    if kind == SINGLE:
        frequencies[last] = TOTAL
        return at if at <= 8 * data.size else np.int64(-1)
    exponent = FIRST_EXPONENT
    total = 0
    for entry in range(last + 1):
        at, exponent, weight = take_weight(data, at, exponent)
        if at < 0:
            return at
        one, two = _entry_symbols(kind, entry)
        frequencies[one] = weight
        if two >= 0:
            frequencies[two] = weight
        total += weight
    if total == 0 or at > 8 * data.size:
        return np.int64(-1)
    normalise(frequencies.copy(), frequencies)
    return at


@njit
def code_length(histogram, frequencies):
    """Σ h·log2(TOTAL / f) in bits; huge when a symbol that occurs has frequency 0."""
    bits = 0.0
    for s in range(SYMBOLS):
        if histogram[s] > 0:
            if frequencies[s] == 0:
                return _WORST
            bits += histogram[s] * (12 - math.log2(frequencies[s]))
    return bits


@njit
def _only_symbol(histogram):
    """The only symbol that occurs, or -1 when there are several."""
    only = -1
    for s in range(SYMBOLS):
        if histogram[s] > 0:
            if only >= 0:
                return -1
            only = s
    return only


@njit
def choose_table(histogram, out, at, frequencies):
    """Write the description that makes description and data shortest; returns the position after it.

    `histogram`: int64 counts of the symbols, not all 0. `out`: zeros with room for MAX_BITS from bit `at` on.
    """
    only = _only_symbol(histogram)
    if only >= 0:
        frequencies.fill(0)
        frequencies[only] = TOTAL
        return put_bits(out, at, SINGLE << _LAST_BITS | only, _START_BITS)
    trial = np.zeros(MAX_BITS // 8, np.uint8)
    symmetric = put_table(SYMMETRIC, histogram, trial, _ZERO, frequencies) + code_length(histogram, frequencies)
    trial.fill(0)
    full = put_table(FULL, histogram, trial, _ZERO, frequencies) + code_length(histogram, frequencies)
    return put_table(FULL if full < symmetric else SYMMETRIC, histogram, out, at, frequencies)
