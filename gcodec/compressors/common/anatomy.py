"""What the bits of a payload are for: they are counted by section while it is parsed."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from ...coding.bitstring import BitReader
from ...coding.rans import read_lanes
from ...kernels.entropy.rans import MAX_LANES
from ..contract import CodedTensor, Section
from .levels import Labels, Points, Step, decode_levels, read_tables
from .scale_classes import ScaleClasses

_NOTES = {
    "classes": "the scales of rows, columns or blocks",
    "tables": "raw widths and frequencies of symbols",
    "lanes": "the first state of each lane, and their numbers",
    "symbols": "the entropy-coded levels",
    "signs": "a bit for each value that has one",
    "raw bits": "the low bits of large levels",
}


class Tally:
    """Bits by section, in the order in which sections were met first."""

    def __init__(self) -> None:
        self._bits: dict[str, float] = {}

    def add(self, name: str, bits: float) -> None:
        self._bits[name] = self._bits.get(name, 0.0) + bits

    @contextmanager
    def part(self, name: str, reader: BitReader) -> Iterator[None]:
        """What is read within belongs to this section."""
        before = reader.at
        yield
        self.add(name, reader.at - before)

    def sections(self) -> list[Section]:
        return [Section(name, bits, note=_NOTES.get(name.split(": ")[-1], "")) for name, bits in self._bits.items()]


def count_levels(tally: Tally, reader: BitReader, classes: np.ndarray, labels: Labels, of: str = "") -> None:
    """Count a sequence of levels, up to the end of the data. of: how the sections' names begin."""
    with tally.part(f"{of}tables", reader):
        read_tables(reader, classes, labels)
    count_lanes(tally, reader, of)


def count_lanes(tally: Tally, reader: BitReader, of: str = "") -> None:
    """Lanes with their symbols, and the raw bits after them."""
    count_symbols(tally, reader, of)
    with tally.part(f"{of}raw bits", reader):
        reader.rest()


def count_symbols(tally: Tally, reader: BitReader, of: str = "") -> None:
    """Lanes with their symbols."""
    before = reader.at
    symbols = 16 * (read_lanes(reader)[1].size - MAX_LANES)
    tally.add(f"{of}lanes", reader.at - before - symbols)
    tally.add(f"{of}symbols", symbols)


def read_head(tally: Tally, name: str, coded: CodedTensor) -> tuple[Points, ScaleClasses]:
    """The head of a method whose values are levels, one each."""
    reader = BitReader(coded.payload.head, f"{name} head")
    with tally.part("step and centroids", reader):
        points = Points.unpack(reader)
    with tally.part("classes", reader):
        shared = ScaleClasses.unpack_head(reader, coded.spec)
        reader.align()
        shared = shared.unpack_columns(reader)
    return points, shared


def sections_of_levels(name: str, coded: CodedTensor) -> list[Section]:
    """The sections of a method whose values are levels, one each: `ecsq` and `tcq`."""
    tally = Tally()
    points, shared = read_head(tally, name, coded)
    for start, stop in coded.spans:
        reader = BitReader(coded.payload.code(start, stop), f"{name} chunk")
        with tally.part("classes", reader):
            classes = shared.unpack_chunk(reader, start, stop - start)
        count_levels(tally, reader, classes, points.labels)
    return tally.sections()


def arrays_of_levels(name: str, coded: CodedTensor) -> dict[str, np.ndarray]:
    """Arrays: "classes" (uint8) and "levels" (int64) in the shape of the tensor, "step", "offsets".

    The work value of a level j is sign(j)·(|j| + offsets[min(|j|, 5)])·step.
    """
    points, shared = read_head(Tally(), name, coded)
    whole = Points(points.labels, Step(0, 0))
    classes, levels = [], []
    for start, stop in coded.spans:
        reader = BitReader(coded.payload.code(start, stop), f"{name} chunk")
        classes.append(shared.unpack_chunk(reader, start, stop - start))
        levels.append(decode_levels(reader, classes[-1], whole, np.dtype(np.float64)).astype(np.int64))
    shape = coded.spec.shape
    return {
        "classes": np.concatenate(classes).reshape(shape),
        "levels": np.concatenate(levels).reshape(shape),
        "step": np.array(float(points.step)),
        "offsets": points.in_steps,
    }
