"""A payload of `dither` section by section."""

import numpy as np

from ...coding.bitstring import BitReader
from ...kernels.entropy.rans import MAX_LANES
from ...kernels.levels.paths import TRELLISES
from ..common.anatomy import Tally, count_lanes
from ..contract import CodedTensor, Section
from .head import Dithering, read_head
from .path import decode_path, read_tables


def sections(coded: CodedTensor) -> list[Section]:
    """The head's fields, and of each chunk classes, tables, lanes, symbols and raw bits."""
    tally, reader = Tally(), BitReader(coded.payload.head, "dither head")
    _, shared = read_head(tally, reader, coded.spec)
    for start, stop in coded.spans:
        chunk = BitReader(coded.payload.code(start, stop), "dither chunk")
        with tally.part("classes", chunk):
            classes = shared.unpack_chunk(chunk, start, stop - start)
        with tally.part("tables", chunk):
            read_tables(chunk, classes)
        count_lanes(tally, chunk)
    return tally.sections()


def arrays(coded: CodedTensor) -> dict[str, np.ndarray]:
    """ "classes", "levels" (int64) and "dither": a value is step·(level + dither), and rounded."""
    dithering, shared = read_head(Tally(), BitReader(coded.payload.head, "dither head"), coded.spec)
    found: dict[str, list[np.ndarray]] = {"classes": [], "levels": [], "dither": []}
    for start, stop in coded.spans:
        chunk = BitReader(coded.payload.code(start, stop), "dither chunk")
        classes = shared.unpack_chunk(chunk, start, stop - start)
        dither = dithering.dither(start, stop - start)
        levels = levels_of(chunk, classes, dither, dithering, start).astype(np.int64)
        for name, part in zip(found, (classes, levels, dither), strict=True):
            found[name].append(part)
    whole = {name: np.concatenate(parts).reshape(coded.spec.shape) for name, parts in found.items()}
    return whole | {"step": np.array(float(dithering.step))}


def levels_of(
    chunk: BitReader, classes: np.ndarray, dither: np.ndarray, dithering: Dithering, start: int
) -> np.ndarray:
    """The integers, as float64, of the paths of a chunk whose classes were read."""
    moved, firsts = dither.copy(), dithering.first_states(start, MAX_LANES)
    decode_path(chunk, moved, classes, firsts, TRELLISES[dithering.states][1:])
    levels: np.ndarray = np.rint(moved - dither)
    return levels
