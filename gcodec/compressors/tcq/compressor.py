"""`tcq`: trellis-coded quantisation with contexts of rows and columns, the smallest elementwise code with a sure bound.

One step for the whole tensor. A trellis of 8 or 32 states lets each value use half of the multiples of the step; the
encoder finds the path of least error + rate (Viterbi). Levels are coded by an adaptive range coder in contexts that follow
the scales of rows and columns. A closed loop makes the distortion spend the bound. See spec/compressors/06-tcq.md.
"""

from dataclasses import dataclass

import numpy as np

from ... import dtypes
from ...coding.bitstring import BitReader, BitWriter
from ...errors import Corrupt, InvalidInput
from ...source import Source
from ..common.scaled import Scaled
from ..common.trellis import Labels, Layout, Points
from ..contract import Compressor, Decode, Guarantee, Payload, TensorSpec
from .search import fit

_HEAD_ROOM = 128  # bits


@dataclass(frozen=True)
class Head:
    """How all levels are coded and reconstructed; mean: the code of the expected magnitude."""

    labels: Labels
    points: Points
    mean: int

    def pack(self) -> bytes:
        writer = BitWriter(_HEAD_ROOM)
        self.labels.pack(writer)
        self.points.pack(writer)
        writer.put(self.mean, 7)
        return writer.to_bytes()

    @classmethod
    def unpack(cls, head: bytes) -> "Head":
        reader = BitReader(head, "tcq head")
        found = cls(Labels.unpack(reader), Points.unpack(reader), reader.get(7))
        reader.end()
        return found


@dataclass(frozen=True)
class Tcq(Compressor):
    """‖x̂ − x‖² ≤ α‖x‖², with the measured distortion close below α where the levels are not too few for that.

    effort: "best" uses more trellis states where the tensor is small enough for that to take little time; "fast" does not.
    """

    effort: str = "best"
    kinds = ("alpha",)
    work_per_value = 48

    def encode(self, source: Source, guarantee: Guarantee) -> Payload:
        if self.effort not in ("best", "fast"):
            raise InvalidInput(f'effort must be "best" or "fast", not {self.effort!r}')
        layout = Layout.of(source.shape)
        coder = fit(Scaled.of(source), layout, guarantee.bound, self.effort == "best")
        head = Head(coder.quantiser.labels, coder.points(), coder.mean).pack()
        return Payload(head, layout.chunk, coder.code)

    @classmethod
    def decoder(cls, head: bytes, spec: TensorSpec) -> Decode:
        form = Head.unpack(head)
        layout = Layout.of(spec.shape)
        contexts = layout.contexts(form.mean)
        work = dtypes.work_dtype(spec.dtype)

        def decode(data: bytes, start: int, count: int) -> np.ndarray:
            if start % layout.columns or count % layout.columns:
                raise Corrupt("tcq: a chunk that is not of whole rows")
            levels = form.labels.decode(np.frombuffer(data, np.uint8), count, contexts)
            return form.points.values(levels, work)

        return decode
