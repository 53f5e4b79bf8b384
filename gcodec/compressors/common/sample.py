"""The values of a tensor on which an encoder makes its choices."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...kernels.levels.scales import BLOCK
from ...source import Source, Span
from .scale_choice import Energies, read
from .scale_classes import Tiling

_COUNT, _PIECE = 1 << 5, 1 << 11  # pieces of a sample of a larger tensor, and values of each of them


@dataclass(frozen=True)
class Sample:
    """Values that stand for a tensor, and the spans in which they lie.

    part, whole: the tensor has whole / part times as many bits and as large an error.
    """

    spans: Sequence[Span]
    values: np.ndarray
    part: int
    whole: int


def take(source: Source, tiling: Tiling, energies: Energies, scale: float) -> Sample:
    """All values of a small tensor, else some pieces of it, times `scale`.

    Each piece lies in one chunk and begins with a block. Pieces of zeros are left out: they cost
    hardly a bit. The others are sorted by their energies and cut into groups of one size. Each
    group gives the piece whose energy is nearest to the group's mean, so that the sample has its
    share of the energy, however few values have most of it.
    """
    if tiling.size <= 2 * _COUNT * _PIECE:
        return Sample(tiling.spans(), _values(source, tiling.spans(), scale), tiling.size, tiling.size)
    of_pieces = _by_piece(tiling, energies.blocks)
    order = np.argsort(of_pieces, kind="stable")[np.count_nonzero(of_pieces == 0) :]
    size = max(order.size // _COUNT, 1)
    groups = order[order.size % size :].reshape(-1, size)
    distances = np.abs(of_pieces[groups] - of_pieces[groups].mean(1, keepdims=True))
    chosen = np.sort(groups[np.arange(len(groups)), np.argmin(distances, axis=1)])
    spans = [_span(tiling, number) for number in chosen.tolist()]
    return Sample(spans, _values(source, spans, scale), chosen.size, order.size)


def _values(source: Source, spans: Sequence[Span], scale: float) -> np.ndarray:
    return np.concatenate([read(source, *span, scale) for span in spans])


def _by_piece(tiling: Tiling, blocks: np.ndarray) -> np.ndarray:
    """The energies of all pieces. Each chunk begins with a block and a piece."""
    width = -(-tiling.chunk // BLOCK)
    starts = np.arange(0, width, _PIECE // BLOCK)
    whole = blocks.size // width * width
    energies = [np.add.reduceat(blocks[:whole].reshape(-1, width), starts, axis=1).reshape(-1)] if whole else []
    if whole < blocks.size:
        energies.append(np.add.reduceat(blocks[whole:], starts[starts < blocks.size - whole]))
    return np.concatenate(energies)


def _span(tiling: Tiling, number: int) -> Span:
    """The span of a piece."""
    chunk, place = divmod(number, -(-tiling.chunk // _PIECE))
    start = chunk * tiling.chunk + place * _PIECE
    return start, min(start + _PIECE, (chunk + 1) * tiling.chunk, tiling.size)
