"""`ecsq`: an entropy-coded uniform scalar quantiser, the fast compressor with a sure bound.

One step for the whole tensor; levels k = sign(x)·⌊|x|/step + rounding⌋; the decoder gives ±(|k| + offset)·step with
an offset for |k| = 1 and one for |k| = 2 (centroids). Levels are coded by interleaved rANS with static tables, one for
each class of local scale (scale_classes.py). The encoder finds the step in a closed loop, so that the distortion spends
the bound (ecsq_search.py). See spec/compressors/05-ecsq.md.
"""

from dataclasses import dataclass

import numpy as np

from ... import dtypes
from ...coding.bitstring import BitReader, BitWriter
from ...source import Source
from ..common.levels import Reconstruction, decode_levels
from ..common.scale_classes import ScaleClasses
from ..contract import Compressor, Decode, Guarantee, Payload, TensorSpec
from .search import search

_HEAD_ROOM = 256  # bits of the head's fields


@dataclass(frozen=True)
class Ecsq(Compressor):
    """‖x̂ − x‖² ≤ α‖x‖², with the measured distortion close below α where the levels are not too few for that."""

    kinds = ("alpha",)
    work_per_value = 16

    def encode(self, source: Source, guarantee: Guarantee) -> Payload:
        quantiser = search(source, guarantee.bound)
        writer = BitWriter(_HEAD_ROOM)
        quantiser.reconstruction().pack(writer)
        tail = quantiser.classes.pack_head(writer)
        return Payload(writer.to_bytes() + tail, quantiser.classes.grid.chunk, quantiser.code)

    @classmethod
    def decoder(cls, head: bytes, spec: TensorSpec) -> Decode:
        reader = BitReader(head, "ecsq head")
        reconstruction = Reconstruction.unpack(reader)
        shared = ScaleClasses.unpack_head(reader, spec)
        reader.align()
        shared = shared.unpack_columns(reader)
        reader.end()
        work = dtypes.work_dtype(spec.dtype)

        def decode(data: bytes, start: int, count: int) -> np.ndarray:
            chunk = BitReader(data, "ecsq chunk")
            tables = shared.unpack_chunk(chunk, start, count)
            return decode_levels(chunk, tables, reconstruction, work)

        return decode
