"""Compile the kernels of methods ahead of their use."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from io import BytesIO
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from .. import dtypes as known
from ..arguments import several
from ..compressors import registry
from ..container.budget import Budget
from ..container.reader import Stream
from ..container.writer import ContainerWriter
from ..errors import InvalidInput
from ..request.choice import Choice, Effort, choose, kinds_of, options_of
from ..source import ArraySource
from . import auto
from .decompress import decompress

DTYPES = ("bfloat16", "float16", "float32", "float64")  # the kernels of these serve the other ones, too
ROWS, COLUMNS, SHORT = 512, 256, 500
_COARSE = {
    "alpha": {"alpha": 0.1},
    "omega": {"omega": 0.25},
    "pointwise": {"pointwise": 0.1},
    "exact": {"lossless": True},
}
_FINE = {"alpha": {"alpha": 0.002}}
_FINEST = {"alpha": {"alpha": 1e-5}, "omega": {"omega": 1e-3}, "pointwise": {"pointwise": 1e-6}}


def warm_up(methods: Iterable[str] | None = None, dtypes: Iterable[npt.DTypeLike] | None = None) -> None:
    """Compile what these methods need, so that no later call has to wait for it.

    A program calls this when it starts, or while its image is built. What was compiled is kept on
    disk: the first call for all methods takes one to two minutes, the next one about ten seconds.

    methods: names of methods as `encode` takes them; None for all. dtypes: of the arrays to come,
    as numpy or the command line name them; None for all floating ones. A method that is not made
    for a dtype is passed over. Raises InvalidInput for a method or a dtype that is unknown.
    """
    names = [entry.name for entry in registry.entries()] if methods is None else several("methods", methods, "['sd']")
    types = [_dtype(dtype) for dtype in several("dtypes", DTYPES if dtypes is None else dtypes, "['float32']")]
    for name in names:
        for array, bounds in _samples():
            for choice in _choices(name, bounds):
                for dtype in types:
                    _there_and_back(array.astype(dtype), choice)


def _choices(method: str, bounds: Mapping[str, dict[str, Any]]) -> Iterator[Choice]:
    """The guarantees that a method has and that have a bound, each with every effort."""
    efforts = get_args(Effort) if "effort" in options_of(method) else get_args(Effort)[:1]
    for kind in bounds.keys() & kinds_of(method):
        for effort in efforts:
            yield choose(method, effort=effort, threads=1, **bounds[kind])


def _dtype(dtype: npt.DTypeLike) -> np.dtype:
    try:
        return known.by_name(dtype if isinstance(dtype, str) else np.dtype(dtype).name)
    except TypeError:
        raise InvalidInput(f"{dtype!r:.200} is no dtype; dtypes are such as ['float32', 'bf16']") from None


def _samples() -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
    """Arrays, each with bounds by kind of guarantee, that together reach all kernels.

    Which kernels a method needs depends on an array's length and shape, and on the bound.
    """
    rng = np.random.default_rng(0)
    low_rank = rng.standard_normal((ROWS, 3)) @ rng.standard_normal((3, COLUMNS))
    rows_of_many_scales = np.exp(rng.standard_normal((ROWS, 1)))
    matrix = (low_rank + 0.3 * rng.standard_normal((ROWS, COLUMNS))) * rows_of_many_scales
    vector = matrix.reshape(-1)[:SHORT]
    many_exponents = np.exp(3.5 * rng.standard_normal(ROWS * COLUMNS)).clip(1e-7, 6e4)
    yield many_exponents, {"exact": {"lossless": True}}
    yield np.sign(matrix), {"exact": {"lossless": True}}
    yield np.repeat(np.sign(vector), 8), {"exact": {"lossless": True}}
    gains = 1 + 0.1 * vector / np.abs(vector).max()
    uneven = matrix[:, 1:]  # whose rows are no multiple of what fits vectors
    yield from ((matrix, _COARSE), (uneven, _COARSE), (matrix, _FINE))
    yield from ((vector, _COARSE), (gains, _FINE), (vector, _FINEST))


def _there_and_back(array: np.ndarray, choice: Choice) -> None:
    """Encode and decode an array, if the method is made for it."""
    file = BytesIO()
    writer = ContainerWriter(file)
    with suppress(InvalidInput), auto.compress("", ArraySource(array), choice) as coded:
        writer.add(coded.header, coded.pieces(), coded.work)
    writer.close()
    file.seek(0)
    for _ in decompress(Stream(file), 1, Budget.of(file, None)):
        pass
