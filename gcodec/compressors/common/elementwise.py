"""What methods share that code each value as a level: `ecsq` and `tcq`."""

import math
from dataclasses import replace

import numpy as np

from ... import dtypes
from ...coding.bitstring import BitReader
from ...kernels.levels import values
from ...source import Source
from ..contract import Decode, Guarantee, Payload, Plan, TensorSpec
from .fit import KEPT, LevelCoder, Survey, finest_step
from .levels import Coded, Points, decode_levels, overhead, raw_words
from .scale_choice import exponent_of, renewed, scan
from .scale_classes import ScaleClasses
from .step_search import Spending

_EVEN = 0.8  # classes that leave more of the bits than that hardly matter
# What tensors took at least and at most, as multiples of the survey's bits: of tensors whose
# classes hardly matter, and of others. Measured over gradients, weights and moments at α = 0.5 to
# 0.001, and rounded away from 1.
_RANGE = {True: (0.8, 1.3), False: (0.6, 2.7)}
_PLAIN_MORE = 1.13  # times as many bits as with a trellis, at most, without one
# For a tensor much like the one before it: the share of the bound that may be left, and the steps
# that are tried at most.
_LEFT_AGAIN, _TRIES_AGAIN = 0.015, 4


def plan_of(source: Source, bound: float, states: int) -> Plan:
    """The plan of a method whose trellis has so many states (1: none)."""
    survey = Survey.of(source, bound)
    least, most = _RANGE[survey.bits > _EVEN * survey.plain_bits]

    most *= _PLAIN_MORE if states == 1 else 1.0
    return Plan(least * survey.bits, most * survey.bits + overhead(source.size), lambda: _payload(survey.fit(states)))


def _payload(coder: LevelCoder) -> Payload:
    def again(source: Source, guarantee: Guarantee) -> Payload | None:
        found = _fit_again(coder, source, guarantee.bound)
        return None if found is None else _payload(found)

    tiling = coder.classes.tiling
    known = (lambda: _values_of(coder)) if tiling.size <= KEPT else None
    return Payload(coder.head(), tiling.chunk, coder.code, again=again, values=known)


def _values_of(coder: LevelCoder) -> np.ndarray:
    """What the tensor will be decoded to. The coder has kept the levels of all chunks."""
    points, work, classes = coder.points(), dtypes.work_dtype(coder.source.dtype), coder.classes
    pieces = classes.tiling.spans()
    parts = [values_of(coder.kept[start], classes.fill(start, stop), points, work) for start, stop in pieces]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def values_of(coded: Coded, classes: np.ndarray, points: Points, work: np.dtype) -> np.ndarray:
    """The work values that `decode_levels` gives for the bytes of `coded.encode`."""
    out = points.decoded(coded.codes, work)
    if coded.raw_bits:
        raw = raw_words(BitReader(coded.settled(classes).raw, "raw bits"))
        law = points.labels.zero, *points.constants(work)
        values.values_with_raw(coded.codes, classes, coded.widths, *raw, *law, out)
    return out


def _fit_again(before: LevelCoder, source: Source, bound: float) -> LevelCoder | None:
    """A coder for a tensor much like that of another coder, by its labels, prices and centroids.

    Only classes and step follow from the tensor. None where the scale of float64 values differs.
    """
    if exponent_of(source) != before.exponent:
        return None
    tiling = before.classes.tiling
    energies = scan(source, tiling, math.ldexp(1.0, -before.exponent))
    growth = math.sqrt(energies.total / before.energy)
    reference, step = growth * before.reference, growth * before.quantiser.step
    classes = renewed(before.classes, energies, reference)
    coder = replace(
        before, source=source, classes=classes, kept={}, energy=energies.total, reference=reference, whole=None
    )
    trial = coder.tried_with(finest_step(energies, before.quantiser.labels.states))
    return Spending(trial, bound * energies.total).search(step, _LEFT_AGAIN, _TRIES_AGAIN)


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

    def decode(data: bytes, start: int, count: int) -> np.ndarray:
        chunk = BitReader(data, f"{name} chunk")
        classes = shared.unpack_chunk(chunk, start, count)
        return decode_levels(chunk, classes, points, spec.dtype)

    return decode
