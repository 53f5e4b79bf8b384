"""What all chunks of `geometric` share: the intervals, what classes foretell, and the classes."""

from dataclasses import dataclass

import numpy as np

from ...coding.bitstring import BitReader, BitWriter
from ..common.anatomy import Tally
from ..common.scale_classes import ScaleClasses
from ..contract import TensorSpec
from .intervals import Intervals, floats
from .numbers import Centre, decode_numbers

_ROOM = 512  # bits, enough for all fields


@dataclass(frozen=True)
class Head:
    """The head of a payload."""

    intervals: Intervals
    centre: Centre
    classes: ScaleClasses

    def pack(self) -> bytes:
        writer = BitWriter(_ROOM)
        self.intervals.pack(writer)
        self.centre.pack(writer)
        tail = self.classes.pack_head(writer)
        return writer.to_bytes() + tail

    @classmethod
    def unpack(cls, data: bytes, spec: TensorSpec, tally: Tally | None = None) -> "Head":
        """The head that `pack` wrote. Its parts are counted in `tally`. Raises Corrupt."""
        reader, tally = BitReader(data, "geometric head"), tally or Tally()
        with tally.part("intervals", reader):
            intervals, centre = Intervals.unpack(reader, spec.dtype), Centre.unpack(reader)
        with tally.part("classes", reader):
            classes = ScaleClasses.unpack_head(reader, spec)
            reader.align()
            classes = classes.unpack_columns(reader)
        reader.end()
        return cls(intervals, centre, classes)

    def decode(self, data: bytes, start: int, count: int) -> np.ndarray:
        """The values of a chunk, in the tensor's dtype; raises Corrupt."""
        reader = BitReader(data, "geometric chunk")
        classes = self.classes.unpack_chunk(reader, start, count)
        patterns, negative = decode_numbers(reader, classes, self.centre, self.intervals.patterns)
        return floats(patterns, negative, self.intervals.dtype)
