"""`uniform`: a uniform quantiser and zlib, an example of a compressor in a package of its own.

The contract that it follows is at the top of gcodec/compressors/contract.py.
"""

import math
import zlib
from dataclasses import dataclass

import numpy as np

from gcodec.compressors.contract import CHUNK, Compressor, Entry, Payload, TooFine
from gcodec.dtypes import widen, work_dtype
from gcodec.errors import Corrupt

ENTRY = Entry(200, "uniform", "gcodec_uniform:Uniform", "uniform quantiser and zlib")


@dataclass(frozen=True)
class Uniform(Compressor):
    """Each value becomes the nearest multiple of the step 2‖x‖·√(α/d), so ‖x̂ − x‖² ≤ α‖x‖².

    level: how hard zlib tries, 0 (not at all) to 9.
    """

    level: int = 6
    kinds = ("alpha",)
    work_per_value = 30

    def encode(self, source, guarantee):
        chunks = [(start, min(start + CHUNK, source.size)) for start in range(0, source.size, CHUNK)]
        largest = max(float(np.abs(widen(source.read(*span))).max()) for span in chunks)
        squares = [float(np.sum(np.square(widen(source.read(*span)).astype(float) / largest))) for span in chunks]
        step = 2 * largest * math.sqrt(math.fsum(squares) * guarantee.bound / source.size)
        if not largest / (1 << 30) < step < math.inf:
            raise TooFine

        def code(start, stop):
            levels = np.rint(widen(source.read(start, stop)).astype(float) / step).astype("<i4")
            return zlib.compress(levels.tobytes(), self.level)

        return Payload(np.float64(step).tobytes(), min(source.size, CHUNK), code)

    @classmethod
    def decoder(cls, head, spec):
        if len(head) != 8 or not 0 < (step := float(np.frombuffer(head, "<f8")[0])) < math.inf:
            raise Corrupt("uniform: the step is not a positive number")
        most = float(np.finfo(work_dtype(spec.dtype)).max)

        def decode(data, start, count):
            stream = zlib.decompressobj()
            try:
                levels = np.frombuffer(stream.decompress(data, 4 * count + 1), "<i4")
            except (zlib.error, ValueError) as error:
                raise Corrupt(f"uniform: {error}") from None
            if levels.size != count or not stream.eof or stream.unused_data:
                raise Corrupt("uniform: a chunk has the wrong length")
            with np.errstate(over="ignore"):  # which a step gives that no encoder wrote
                return np.clip(levels * step, -most, most).astype(work_dtype(spec.dtype))

        return decode
