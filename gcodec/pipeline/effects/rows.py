"""The errors of a tensor's rows and heads, chunk by chunk."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...kernels import norms as kernels

# Heads and experts work side by side, so each of them counts, whatever its norm.
_LEAST, _SIDE = 256, 8  # values of a head, and of its last axis
_ACROSS = 256  # the most heads along the last axis but one; more are places of a sequence
_ERASED = 0.9  # the relative error of a head, or row, of which nothing is left
_LITTLE = 0.5  # the relative error from which little is left
_BLOCK, _MOST_BLOCKS = 16, 256  # rows of the smallest head of a matrix, and the most heads
_FEW = 0.1  # the share of the rows of a head that may differ from the others
_IN_PART, _MOST_IN_PART = 2, 1 / 4  # beside 0 and 1: neither kept nor lost; the share of such heads


@dataclass(frozen=True)
class Rows:
    """Rows of equal length, of which a chunk has some, the first and the last perhaps in part.

    begins: whether the chunk begins with a new row. edges: Σ(x̂ − x)² and Σx² over what the chunk
    has of its first row, and of its last row, if these are two. inner: what `tally` says of the
    rows between them. little: of which of these little is left.
    """

    begins: bool
    edges: np.ndarray
    inner: np.ndarray
    little: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray, start: int, columns: int) -> tuple["Rows", np.ndarray]:
        """(the rows of so many columns, the sums Σ(x̂ − x)², Σx² and Σx̂² over all of them)."""
        found, sums = _sums(x, y, start, columns)
        return cls.summed(found, start, columns), sums

    @classmethod
    def summed(cls, found: np.ndarray, start: int, columns: int) -> "Rows":
        """The rows with these sums Σ(x̂ − x)² and Σx², of a chunk that begins at a flat index."""
        edges, inner = found[[0, -1]] if len(found) > 1 else found, found[1:-1]
        if not inner.size:
            return cls(start % columns == 0, edges, np.zeros(3), np.zeros(0, bool))
        ratios = _ratios(inner)
        return cls(start % columns == 0, edges, _tally(ratios, inner), ratios >= _LITTLE)

    @staticmethod
    def joined(parts: Sequence["Rows"]) -> tuple[np.ndarray, np.ndarray]:
        """(the tally of all rows, of which of them little is left).

        A row may go through several chunks.
        """
        rows: list[np.ndarray] = []
        little: list[np.ndarray] = []
        for part in parts:
            if part.begins or not rows:
                rows.append(part.edges[0])
            else:
                rows[-1] = rows[-1] + part.edges[0]
                little.pop()
            little.append(_ratios(rows[-1:]) >= _LITTLE)
            if len(part.edges) > 1:
                rows.append(part.edges[1])
                little += [part.little, _ratios(rows[-1:]) >= _LITTLE]
        tallies = np.array([tally(np.array(rows).reshape(-1, 2)), *(part.inner for part in parts)])
        return np.array([tallies[:, 0].max(), *tallies[:, 1:].sum(0)]), np.concatenate(little)


def _sums(x: np.ndarray, y: np.ndarray, start: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """(Σ(x̂ − x)² and Σx² over what each row has here, the sums over all of them, and Σx̂²)."""
    found = room_for_rows(x.size, start, columns)
    return found, kernels.sum_rows(x, y, columns, start % columns, found)


def room_for_rows(size: int, start: int, columns: int) -> np.ndarray:
    """Room for two sums of each row of so many values that begin at a flat index."""
    return np.empty(((start % columns + size - 1) // columns + 1, 2))


def tally(rows: np.ndarray) -> np.ndarray:
    """(the largest Σ(x̂ − x)²/Σx² of a row, how many rows are erased, how many are not zero)."""
    return _tally(_ratios(rows), rows)


def _tally(ratios: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.array([ratios.max(initial=0.0), (ratios >= _ERASED).sum(), np.count_nonzero(rows[:, 1])])


def _ratios(rows: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
    """Σ(x̂ − x)²/Σx² of each row; 0 for a row of zeros, whose values are counted as filled."""
    error, norm = np.asarray(rows).reshape(-1, 2).T
    ratios: np.ndarray = np.divide(error, norm, out=np.zeros(norm.size), where=norm > 0)
    return ratios


def blocks_of_rows(little: np.ndarray, columns: int) -> tuple[int, int, int]:
    """(of how many blocks of rows little is left, how many there are, how many rows each has).

    The heads of a matrix are blocks of its rows. Where all of 16 rows are lost, or next to none,
    and so in all other places, blocks are what was lost: rows that are seldom met lie otherwise.
    Some heads may be lost in part, if whole ones take turns with ones that are kept.
    """
    if little.size % _BLOCK or not little.any() or columns < _SIDE:
        return 0, 0, 0
    shares = little.reshape(-1, _BLOCK).mean(1)
    kinds = np.where(np.minimum(shares, 1 - shares) > _FEW, _IN_PART, shares > 1 / 2)
    if (kinds == _IN_PART).any():
        return _beside_heads_in_part(kinds)
    if (kinds == kinds[0]).all():
        return 0, 0, 0
    length = math.gcd(kinds.size, *(np.flatnonzero(kinds[1:] != kinds[:-1]) + 1).tolist())
    count = kinds.size // length
    return (int(kinds[::length].sum()), count, length * _BLOCK) if count <= _MOST_BLOCKS else (0, 0, 0)


def _beside_heads_in_part(kinds: np.ndarray) -> tuple[int, int, int]:
    """`blocks_of_rows` with the largest heads of which at most a quarter is lost in part."""
    for count in range(2, min(kinds.size // 2, _MOST_BLOCKS) + 1):
        if kinds.size % count == 0:
            heads = kinds.reshape(count, -1)
            whole = heads[(heads == heads[:, :1]).all(1) & (heads[:, 0] != _IN_PART), 0]
            turns = np.count_nonzero(whole[1:] != whole[:-1])
            if whole.size >= (1 - _MOST_IN_PART) * count and turns > 1:
                return int(whole.sum()), count, kinds.size // count * _BLOCK
    return 0, 0, 0


@dataclass(frozen=True)
class Heads:
    """Where a tensor may have heads or experts: the slices of all its axes but the last two.

    inner, width: how many values lie in these two, and in the last one. across: how many heads
    there may be along the last axis but one instead; 0 for none. axes: that of the heads, if it is
    a single one, and the last one but one.
    """

    inner: int
    width: int
    across: int
    axes: tuple[int | None, int]

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> "Heads | None":
        """None for a vector, a matrix, and the kernel of a convolution."""
        long = [axis for axis, length in enumerate(shape) if length > 1]
        lengths = [shape[axis] for axis in long]
        if len(long) < 3 or lengths[-1] < _SIDE or lengths[-1] * lengths[-2] < _LEAST:
            return None
        across = lengths[-2] if lengths[-2] <= _ACROSS else 0
        return cls(lengths[-1] * lengths[-2], lengths[-1], across, (long[0] if len(long) == 3 else None, long[-2]))

    def sums_across(self, x: np.ndarray, y: np.ndarray, start: int) -> np.ndarray:
        """Σ(x̂ − x)² and Σx² of each head along the last axis but one, over a chunk."""
        found = _sums(x, y, start, self.width)[0]
        places = (start // self.width + np.arange(len(found))) % self.across
        return np.stack([np.bincount(places, column, self.across) for column in found.T], axis=1)
