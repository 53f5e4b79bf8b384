"""A payload of `klt` section by section, and its two factors."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ...coding.bitstring import BitReader
from ..common.anatomy import Tally
from ..contract import CodedTensor, Section
from .factors import Columns, View

if TYPE_CHECKING:
    from .compressor import Head


def sections(coded: CodedTensor, form: "Head") -> list[Section]:
    """The head's fields, and of each factor classes, tables, lanes, symbols and raw bits."""
    view, tally, labels = View.of(coded.spec.shape), Tally(), form.points.labels
    rest = len(coded.payload.head) - len(form.first) - len(form.second)
    tally.add("steps, offsets and rank", 8 * rest)
    form.columns.count(tally, BitReader(form.first, "klt first factor"), view.width, labels, "first factor: ")
    columns = Columns(form.basis(view).classes, form.has_rows)
    for reader, height in _second_factor(coded, form, view):
        columns.count(tally, reader, height, labels, "second factor: ")
    return tally.sections()


def arrays(coded: CodedTensor, form: "Head") -> dict[str, np.ndarray]:
    """ "vectors" (orthonormal) and "coefficients", both float64.

    The tensor's matrix is coefficients · vectorsᵀ, or the transpose of that if it is wide.
    """
    view = View.of(coded.spec.shape)
    basis, work = form.basis(view), np.dtype(np.float64)
    columns = Columns(basis.classes, form.has_rows)
    parts = [columns.decode(reader, height, form.points, work) for reader, height in _second_factor(coded, form, view)]
    return {"vectors": basis.vectors, "coefficients": np.concatenate(parts)}


def _second_factor(coded: CodedTensor, form: "Head", view: View) -> Iterator[tuple[BitReader, int]]:
    """The parts of the second factor, each with its number of rows: in the head, or in chunks."""
    if view.together:
        yield BitReader(form.second, "klt second factor"), view.height
        return
    for start, stop in coded.spans:
        height = view.height if view.transposed else (stop - start) // view.columns
        yield BitReader(coded.payload.code(start, stop), "klt chunk"), height
