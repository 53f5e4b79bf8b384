"""The decoder of methods that code each value as a level: `ecsq` and `tcq`."""

import numpy as np

from ... import dtypes
from ...coding.bitstring import BitReader
from ..contract import Decode, TensorSpec
from .levels import Points, decode_levels
from .scale_classes import ScaleClasses


def decoder_of(name: str, head: bytes, spec: TensorSpec, states: tuple[int, ...]) -> Decode:
    """The decoder of the chunks that belong to a head. name: of the method, for errors.

    Raises Corrupt if the head is damaged or its trellis has a number of states not in `states`.
    """
    reader = BitReader(head, f"{name} head")
    points = Points.unpack(reader)
    if points.labels.states not in states:
        raise reader.corrupt(f"a trellis of {points.labels.states} states is not one of this compressor")
    shared = ScaleClasses.unpack_head(reader, spec)
    reader.align()
    shared = shared.unpack_columns(reader)
    reader.end()
    work = dtypes.work_dtype(spec.dtype)

    def decode(data: bytes, start: int, count: int) -> np.ndarray:
        chunk = BitReader(data, f"{name} chunk")
        classes = shared.unpack_chunk(chunk, start, count)
        return decode_levels(chunk, classes, points, work)

    return decode
