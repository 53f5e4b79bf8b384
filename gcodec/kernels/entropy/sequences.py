"""What a sequence of small numbers takes, coded as it is or as changes (spec/levels.md §5)."""

import numpy as np

from ..compiler.jit import njit
from .rans import SYMBOLS
from .rans_tables import EVEN, MAX_BITS, choose_table, code_length


@njit
def bits_of(numbers: np.ndarray, relative: bool) -> float:
    """The bits of a sequence, uint8, with its table; without lanes.

    relative: whether the differences modulo SYMBOLS from the number before are coded.
    """
    histogram, frequencies = np.zeros(SYMBOLS, np.int64), np.zeros(SYMBOLS, np.int64)
    before = 0
    for number in numbers:
        histogram[(int(number) - before) & (SYMBOLS - 1)] += 1
        before = int(number) if relative else 0
    no_law, out = np.zeros(SYMBOLS, np.int64), np.zeros(MAX_BITS // 8 + 16, np.uint8)
    at = choose_table(histogram, EVEN, no_law, out, np.int64(1), frequencies)
    return at + code_length(histogram, frequencies)
