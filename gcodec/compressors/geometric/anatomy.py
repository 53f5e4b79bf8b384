"""A payload of `geometric` section by section."""

import numpy as np

from ...coding.bitstring import BitReader
from ...coding.rans import decode_lanes
from ...kernels import geometric as kernels
from ..common.anatomy import Tally, count_symbols
from ..contract import CodedTensor, Section
from .head import Head
from .numbers import decode_numbers, read_sign_mode, read_signs, read_tables


def sections(coded: CodedTensor) -> list[Section]:
    """The head's fields, and of each chunk classes, tables, lanes, symbols, signs and raw bits."""
    tally = Tally()
    head = Head.unpack(coded.payload.head, coded.spec, tally)
    for start, stop in coded.spans:
        reader = BitReader(coded.payload.code(start, stop), "geometric chunk")
        with tally.part("classes", reader):
            classes = head.classes.unpack_chunk(reader, start, stop - start)
        with tally.part("tables", reader):
            mode = read_sign_mode(reader)
            _, frequencies = read_tables(reader, classes)
        before = reader.at
        zeros = decode_lanes(reader, classes, frequencies) == kernels.ZERO_SYMBOL
        reader.at = before
        count_symbols(tally, reader)
        with tally.part("signs", reader):
            read_signs(reader, mode, zeros)
        with tally.part("raw bits", reader):
            reader.rest()
    return tally.sections()


def arrays(coded: CodedTensor) -> dict[str, np.ndarray]:
    """Arrays like the tensor: "classes" (uint8), "levels" (int64, -1 for zero), "signs" (bool)."""
    head = Head.unpack(coded.payload.head, coded.spec)
    found: dict[str, list[np.ndarray]] = {"classes": [], "levels": [], "signs": []}
    for start, stop in coded.spans:
        reader = BitReader(coded.payload.code(start, stop), "geometric chunk")
        classes = head.classes.unpack_chunk(reader, start, stop - start)
        levels, negative = decode_numbers(reader, classes, head.centre, lambda levels: levels)
        for name, part in zip(found, (classes, levels, negative), strict=True):
            found[name].append(part)
    return {name: np.concatenate(parts).reshape(coded.spec.shape) for name, parts in found.items()}
