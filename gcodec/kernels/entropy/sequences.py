"""What a sequence of small numbers takes, coded as it is or as changes (spec/levels.md §5)."""

import numpy as np

from ..compiler.jit import njit
from .rans import SYMBOLS
from .rans_tables import EVEN, MAX_BITS, choose_table, code_length


@njit
def fill_changes(numbers: np.ndarray, changes: np.ndarray) -> None:
    """Fill in the differences modulo SYMBOLS from the number before. Both are uint8."""
    before = 0
    for i in range(numbers.size):
        changes[i] = (int(numbers[i]) - before) & (SYMBOLS - 1)
        before = int(numbers[i])


@njit
def bits_both_ways(numbers: np.ndarray) -> tuple[float, float]:
    """The bits of a sequence, uint8, as it is and as differences, with its table; without lanes."""
    changes = np.empty(numbers.size, np.uint8)
    fill_changes(numbers, changes)
    return _bits(numbers), _bits(changes)


@njit
def _bits(symbols: np.ndarray) -> float:
    histogram, frequencies = np.zeros(SYMBOLS, np.int64), np.zeros(SYMBOLS, np.int64)
    for symbol in symbols:
        histogram[symbol] += 1
    no_law, out = np.zeros(SYMBOLS, np.int64), np.zeros(MAX_BITS // 8 + 16, np.uint8)
    at = choose_table(histogram, EVEN, no_law, out, np.int64(1), frequencies)
    return at + code_length(histogram, frequencies)
