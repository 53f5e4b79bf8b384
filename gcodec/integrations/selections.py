"""Which part of a chunk a selection of zarr is, and what errors call the chunk."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from gcodec.errors import GcodecError

from .chunks import Shape


def corner(selection: Any, shape: Shape) -> tuple[Shape, bool]:
    """The smallest box at a chunk's origin that holds a selection, and whether it holds no more.

    selection: an index of numpy within the chunk. Any but whole numbers and slices of step 1 stand
    for the whole chunk, not filled.
    """
    parts = selection if isinstance(selection, tuple) else (selection,)
    spans = [slice(int(part), int(part) + 1) if isinstance(part, int | np.integer) else part for part in parts]
    if len(spans) != len(shape) or not all(isinstance(span, slice) and span.step in (None, 1) for span in spans):
        return shape, False
    ends = [span.indices(side)[:2] for span, side in zip(spans, shape, strict=True)]
    return tuple(stop for _, stop in ends), all(start == 0 for start, _ in ends)


def rows_of(selection: Any, shape: tuple[int, ...]) -> tuple[int, int]:
    """The rows of a chunk that a selection lies in, from the first to the one after the last."""
    first = selection[0] if isinstance(selection, tuple) and selection else ...
    if isinstance(first, slice):
        return first.indices(shape[0])[0], first.indices(shape[0])[1]
    if isinstance(first, int | np.integer | np.ndarray) and np.size(first):
        return int(np.min(first)), int(np.max(first)) + 1
    return 0, (shape or (0,))[0]


@contextmanager
def about(chunk: str) -> Iterator[None]:
    """Errors say which chunk they are about."""
    try:
        yield
    except GcodecError as error:
        error.args = (f"{chunk}: {error}",)
        raise
