"""The values of a tensor on which an encoder makes its choices."""

from collections.abc import Sequence

import numpy as np

from ...kernels.levels.scales import BLOCK
from ...source import Source
from .scale_choice import Energies, Sample, read
from .scale_classes import LARGEST_BLOCK, Grid

_MOST, _PIECE = 1 << 17, 1 << 11  # values of a sample of a larger tensor, and of each of its pieces
_FEW = 1 << 9  # pieces with energy, where a tensor is so sparse that a sample has only zeros


def take(source: Source, grid: Grid, energies: Energies, unit: float) -> Sample:
    """All of a small tensor, else pieces of values times `unit`, each in one chunk from a block on.

    The pieces lie at random places. Where they have only zeros, as those of a sparse tensor, pieces
    that have other values join them; the energies say where these are.
    """
    spans = _spread(grid)
    values = _values(source, spans, unit)
    if values.any():
        return Sample(spans, values, values.size, grid.size)
    places = _places_of_energy(grid, energies)
    some = places
    if places.size > _FEW:
        some = np.sort(np.random.default_rng(0).choice(places, _FEW, replace=False))
    spans = sorted([*spans, *(_piece(grid, place, LARGEST_BLOCK) for place in some.tolist())])
    return Sample(spans, _values(source, spans, unit), some.size, places.size)


def _values(source: Source, spans: Sequence[tuple[int, int]], unit: float) -> np.ndarray:
    return np.concatenate([read(source, *span, unit) for span in spans])


def _spread(grid: Grid) -> list[tuple[int, int]]:
    if grid.size <= 2 * _MOST:
        return list(grid.spans())
    random = np.random.default_rng(0)
    places = np.sort(random.choice(grid.size // _PIECE, _MOST // _PIECE, replace=False)) * _PIECE
    return [_piece(grid, place - place % grid.chunk % LARGEST_BLOCK, _PIECE) for place in places.tolist()]


def _places_of_energy(grid: Grid, energies: Energies) -> np.ndarray:
    """Where blocks of the largest size begin that have a value other than zero."""
    chunk, at = np.divmod(np.flatnonzero(energies.blocks), -(-grid.chunk // BLOCK))
    places: np.ndarray = np.unique(chunk * grid.chunk + at * BLOCK // LARGEST_BLOCK * LARGEST_BLOCK)
    return places


def _piece(grid: Grid, start: int, size: int) -> tuple[int, int]:
    """The span from `start` on, cut at the end of its chunk."""
    end = min(start - start % grid.chunk + grid.chunk, grid.size)
    return start, min(start + size, end)
