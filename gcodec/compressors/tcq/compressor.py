"""`tcq`: trellis-coded quantisation, the smallest code of single values with a guaranteed bound.

It is the coder of levels (spec/levels.md) with a trellis of 8 or 32 states. The trellis lets each
value use half of the multiples of the step, and the encoder finds the path of least error + rate
with the Viterbi algorithm. See spec/compressors/06-tcq.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import InvalidInput
from ...source import Source
from ..common.anatomy import arrays_of_levels, sections_of_levels
from ..common.elementwise import decoder_of, plan_of
from ..contract import CodedTensor, Compressor, Decode, Guarantee, Payload, Plan, Section, TensorSpec

STATES_BY_EFFORT = {"best": 32, "fast": 8}  # states of the trellis


@dataclass(frozen=True)
class Tcq(Compressor):
    """‖x̂ − x‖² ≤ α‖x‖².

    The measured distortion is close below α, unless the levels are too few for that. effort: "best"
    uses 32 trellis states and takes longer; "fast" uses 8.
    """

    effort: str = "best"
    kinds = ("alpha",)
    work_per_value = 16

    def encode(self, source: Source, guarantee: Guarantee) -> Payload:
        return self.plan(source, guarantee).payload()

    def plan(self, source: Source, guarantee: Guarantee) -> Plan:
        if self.effort not in STATES_BY_EFFORT:
            raise InvalidInput(f'effort must be "best" or "fast", not {self.effort!r}')
        return plan_of(source, guarantee.bound, STATES_BY_EFFORT[self.effort])

    @classmethod
    def decoder(cls, head: bytes, spec: TensorSpec) -> Decode:
        return decoder_of("tcq", head, spec, tuple(STATES_BY_EFFORT.values()))

    @classmethod
    def sections(cls, coded: CodedTensor) -> Sequence[Section]:
        return sections_of_levels("tcq", coded)

    @classmethod
    def arrays(cls, coded: CodedTensor) -> Mapping[str, np.ndarray]:
        return arrays_of_levels("tcq", coded)
