"""What encoder and decoder of `dither` share: the trellis, the seed, the step, and the classes."""

from dataclasses import dataclass

import numpy as np

from ...coding.bitstring import BitReader, BitWriter
from ...kernels import dither as kernels
from ...kernels import rng
from ..common.anatomy import Tally
from ..common.levels import Step
from ..common.scale_classes import ScaleClasses
from ..contract import TensorSpec

STATES = (1, 8, 32)  # trellises, by their code in the head
_CODE_BITS, _SEED_BITS = 2, 4


@dataclass(frozen=True)
class Dithering:
    """What encoder and decoder share: the trellis, the seed, and the step."""

    states: int
    seed: int
    step: Step

    def pack(self, writer: BitWriter) -> None:
        writer.put(STATES.index(self.states), _CODE_BITS)
        seed = self.seed.to_bytes((self.seed.bit_length() + 7) // 8, "little")
        writer.put(len(seed), _SEED_BITS)
        for byte in seed:
            writer.put(byte, 8)
        self.step.pack(writer)

    @classmethod
    def unpack(cls, reader: BitReader) -> "Dithering":
        code, length = reader.get(_CODE_BITS), reader.get(_SEED_BITS)
        if code >= len(STATES) or length > 8:
            raise reader.corrupt("the trellis or the length of the seed is not defined")
        seed = int.from_bytes(bytes(reader.get(8) for _ in range(length)), "little")
        return cls(STATES[code], seed, Step.unpack(reader))

    def dither(self, start: int, count: int) -> np.ndarray:
        """The dither of the values start…start + count - 1, float64."""
        out = np.empty(count)
        kernels.fill_dither(self._key(kernels.DITHER_STREAM), start, out)
        return out

    def first_states(self, start: int, lanes: int) -> np.ndarray:
        """The first state, int64, of each lane of the chunk that begins at `start`."""
        key = self._key(kernels.STATE_STREAM)
        return np.array([int(rng.random_at(key, start + lane)) % self.states for lane in range(lanes)])

    def finish(self, values: np.ndarray, start: int, dtype: np.dtype) -> np.ndarray:
        """Values of the dtype from values in steps, which are overwritten."""
        kernels.scale_values(values, *self.step.factors, float(np.finfo(dtype).max))
        if dtype == np.float64:
            return values
        kernels.round_randomly(values, values.view(np.uint64), self._key(kernels.ROUNDING_STREAM), start)
        return values.astype(np.float32)

    def _key(self, stream: int) -> np.uint64:
        return np.uint64(rng.stream_key(np.uint64(self.seed), stream))


def read_head(tally: Tally, reader: BitReader, spec: TensorSpec) -> tuple[Dithering, ScaleClasses]:
    """What all chunks share, from the fields of a head, which are counted. Raises Corrupt."""
    with tally.part("trellis, seed and step", reader):
        dithering = Dithering.unpack(reader)
    with tally.part("classes", reader):
        shared = ScaleClasses.unpack_head(reader, spec)
        reader.align()
        shared = shared.unpack_columns(reader)
    reader.end()
    return dithering, shared
