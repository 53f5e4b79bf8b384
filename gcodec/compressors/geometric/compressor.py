"""`geometric`: every value within a share of itself, zeros and signs exact.

Magnitudes are cut into intervals whose numbers are all within the bound of one of them, which
stands for the interval. The intervals are numbered, so that a level is about a logarithm. A row, a
column or a block foretells the levels of its values, and what is left is entropy coded. See
spec/compressors/09-geometric.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...source import Source
from ..contract import CodedTensor, Compressor, Decode, Guarantee, Payload, Plan, Section, TensorSpec
from . import anatomy
from .fit import fit
from .head import Head

_HEAD_WORK = 1 << 20  # the table of intervals
_LEAST, _MOST, _SMALL = 0.6, 1.5, 2000.0  # what tensors take, as multiples of an estimate, and more bits


@dataclass(frozen=True)
class Geometric(Compressor):
    """|x̂ᵢ − xᵢ| ≤ ε·|xᵢ| for every value; where an interval holds one number it is exact."""

    kinds = ("pointwise",)
    work_per_value = 64

    @classmethod
    def work(cls, head: bytes, spec: TensorSpec) -> int:
        return _HEAD_WORK + cls.work_per_value * spec.size

    def encode(self, source: Source, guarantee: Guarantee) -> Payload:
        return self.plan(source, guarantee).payload()

    def plan(self, source: Source, guarantee: Guarantee) -> Plan:
        fitted = fit(source, guarantee.bound)
        payload = Payload(fitted.head.pack(), fitted.head.classes.tiling.chunk, fitted.code)
        return Plan(_LEAST * fitted.bits, _MOST * fitted.bits + _SMALL, lambda: payload)

    @classmethod
    def decoder(cls, head: bytes, spec: TensorSpec) -> Decode:
        return Head.unpack(head, spec).decode

    @classmethod
    def sections(cls, coded: CodedTensor) -> Sequence[Section]:
        return anatomy.sections(coded)

    @classmethod
    def arrays(cls, coded: CodedTensor) -> Mapping[str, np.ndarray]:
        return anatomy.arrays(coded)
