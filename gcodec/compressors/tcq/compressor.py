"""`tcq`: trellis-coded quantisation, the smallest elementwise code with a sure bound.

The coder of levels (spec/levels.md) with a trellis of 8 or 32 states: it lets each value use half
of the multiples of the step, and the encoder finds the path of least error + rate (Viterbi). See
spec/compressors/06-tcq.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import InvalidInput
from ...source import Source
from ..common.anatomy import arrays_of_levels, sections_of_levels
from ..common.elementwise import decoder_of
from ..common.fit import fit
from ..contract import CodedTensor, Compressor, Decode, Guarantee, Payload, Section, TensorSpec

STATES = {"best": 32, "fast": 8}  # of the trellis, by effort


@dataclass(frozen=True)
class Tcq(Compressor):
    """‖x̂ − x‖² ≤ α‖x‖², with the measured distortion close below α where the levels are not too few for that.

    effort: "best" uses more trellis states, which takes longer; "fast" does not.
    """

    effort: str = "best"
    kinds = ("alpha",)
    work_per_value = 16

    def encode(self, source: Source, guarantee: Guarantee) -> Payload:
        if self.effort not in STATES:
            raise InvalidInput(f'effort must be "best" or "fast", not {self.effort!r}')
        coder = fit(source, guarantee.bound, STATES[self.effort])
        return Payload(coder.head(), coder.classes.grid.chunk, coder.code)

    @classmethod
    def decoder(cls, head: bytes, spec: TensorSpec) -> Decode:
        return decoder_of("tcq", head, spec, tuple(STATES.values()))

    @classmethod
    def sections(cls, coded: CodedTensor) -> Sequence[Section]:
        return sections_of_levels("tcq", coded)

    @classmethod
    def arrays(cls, coded: CodedTensor) -> Mapping[str, np.ndarray]:
        return arrays_of_levels("tcq", coded)
