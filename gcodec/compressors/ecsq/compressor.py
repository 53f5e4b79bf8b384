"""`ecsq`: an entropy-coded uniform scalar quantiser, the fast method with a guaranteed bound.

It is the coder of levels (spec/levels.md) without a trellis: all levels are even. The thresholds
have a dead zone for each scale class, and the smallest levels are reconstructed at their centroids.
See spec/compressors/05-ecsq.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...source import Source
from ..common.anatomy import arrays_of_levels, sections_of_levels
from ..common.elementwise import decoder_of, plan_of
from ..contract import CodedTensor, Compressor, Decode, Guarantee, Payload, Plan, Section, TensorSpec


@dataclass(frozen=True)
class Ecsq(Compressor):
    """‖x̂ − x‖² ≤ α‖x‖².

    The measured distortion is close below α, unless the levels are too few for that.
    """

    kinds = ("alpha",)
    work_per_value = 16

    def encode(self, source: Source, guarantee: Guarantee) -> Payload:
        return self.plan(source, guarantee).payload()

    def plan(self, source: Source, guarantee: Guarantee) -> Plan:
        return plan_of(source, guarantee.bound, states=1)

    @classmethod
    def decoder(cls, head: bytes, spec: TensorSpec) -> Decode:
        return decoder_of("ecsq", head, spec, (1,))

    @classmethod
    def sections(cls, coded: CodedTensor) -> Sequence[Section]:
        return sections_of_levels("ecsq", coded)

    @classmethod
    def arrays(cls, coded: CodedTensor) -> Mapping[str, np.ndarray]:
        return arrays_of_levels("ecsq", coded)
