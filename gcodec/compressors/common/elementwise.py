"""What methods share that code each value as a level: `ecsq` and `tcq`."""

import numpy as np

from ... import dtypes
from ...coding.bitstring import BitReader
from ...source import Source
from ..contract import Decode, Payload, Plan, TensorSpec
from .fit import Survey
from .levels import Points, decode_levels
from .scale_classes import ScaleClasses

_EVEN = 0.8  # classes that leave more of the bits than that hardly matter
# What tensors took at least and at most, as multiples of the survey's bits: of tensors whose
# classes hardly matter, and of others. Measured over gradients, weights and moments at α = 0.5 to
# 0.001, and rounded away from 1.
_RANGE = {True: (0.8, 1.3), False: (0.6, 2.7)}
_PLAIN_MORE = 1.13  # times as many bits as with a trellis, at most, without one
_SMALL = 6000.0  # bits that heads, tables and lanes may take


def plan_of(source: Source, bound: float, states: int) -> Plan:
    """The plan of a method whose trellis has so many states (1: none)."""
    survey = Survey.of(source, bound, states)
    least, most = _RANGE[survey.bits > _EVEN * survey.plain_bits]

    def payload() -> Payload:
        coder = survey.fit()
        return Payload(coder.head(), coder.classes.tiling.chunk, coder.code)

    return Plan(least * survey.bits, (_PLAIN_MORE if states == 1 else 1.0) * most * survey.bits + _SMALL, payload)


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
