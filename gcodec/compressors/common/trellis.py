"""Trellis-coded levels as bytes, and as values again: what `tcq` sends of a chunk and `klt` of a factor.

See spec/compressors/06-tcq.md.
"""

from dataclasses import dataclass

import numpy as np

from ...coding.bitstring import BitReader, BitWriter
from ...errors import Corrupt
from ...kernels import contexts as kernels
from ...kernels.tcq import CENTROIDS, TRELLISES, reconstruct
from ..contract import CHUNK
from .levels import Step
from .matricise import matricise

MEAN_CODES = 128  # of expected magnitudes: four per octave
_CONFIDENCE = 1.0  # of the expected magnitude that all columns of a tensor begin with
_KEEP = 1 - 2.0**-6  # of a plain tensor's past per value
_FIRST_BYTES = 256  # of the buffer for coded levels, which doubles when it is too short


@dataclass(frozen=True)
class Contexts:
    """What coder and decoder know of a matrix before its first row.

    means: float64, each column's expected magnitude. confidence: how many values that counts for. keep: what is left of a
    column's past after each value; below 1 where the values are one long column whose scale drifts.
    """

    means: np.ndarray
    confidence: float
    keep: float = 1.0


def mean_of_code(code: np.ndarray) -> np.ndarray:
    """Expected magnitudes 2^-8·2^(code // 4)·(1 + (code % 4)/4); exact."""
    return np.ldexp(4.0 + code % 4, code // 4 + kernels.OCTAVE_MIN - 2)


def code_of_mean(mean: np.ndarray) -> np.ndarray:
    """The code of about the nearest expected magnitude."""
    fraction, exponent = np.frexp(np.maximum(mean, kernels.EXPECT_MIN))
    code = 4 * (exponent - 1 - kernels.OCTAVE_MIN) + np.rint(8 * fraction - 4).astype(np.int64)
    return np.clip(code, 0, MEAN_CODES - 1)


@dataclass(frozen=True)
class Layout:
    """A tensor's values as the coder meets them: columns; chunk: values a chunk, whole rows. A plain tensor is one column."""

    columns: int
    chunk: int

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> "Layout":
        rows, columns = matricise(shape)
        if rows == 1 or columns > CHUNK:
            return cls(1, CHUNK)
        return cls(columns, CHUNK // columns * columns)

    def contexts(self, mean: int) -> Contexts:
        """What each chunk begins with, by the code of the expected magnitude."""
        means = np.full(self.columns, float(mean_of_code(np.array(mean))))
        return Contexts(means, _CONFIDENCE, _KEEP if self.columns == 1 else 1.0)


@dataclass(frozen=True)
class Labels:
    """How levels are numbered. zero: whether the odd codebook has a zero; trellis: an index of TRELLISES."""

    zero: bool
    trellis: int

    def pack(self, writer: BitWriter) -> None:
        writer.put(int(self.zero), 1)
        writer.put(self.trellis, 3)

    @classmethod
    def unpack(cls, reader: BitReader) -> "Labels":
        labels = cls(bool(reader.get(1)), reader.get(3))
        if labels.trellis >= len(TRELLISES):
            raise reader.corrupt(f"trellis {labels.trellis} is unknown")
        return labels

    def encode(self, levels: np.ndarray, contexts: Contexts) -> tuple[bytes, np.ndarray]:
        """The code of the levels (int32) of whole rows, and the bounds of the adaptive symbols after them."""
        room = _FIRST_BYTES + levels.size
        while True:
            model = kernels.prior_model(self.zero)
            out = np.empty(room, np.uint8)
            length = kernels.encode_levels(levels, *self._arguments(contexts), *model, out)
            if length >= 0:
                return out[:length].tobytes(), model[0]
            room *= 4

    def decode(self, data: np.ndarray, count: int, contexts: Contexts) -> np.ndarray:
        """The `count` levels (int32) coded as `data`; raises Corrupt."""
        levels = np.empty(count, np.int32)
        model = kernels.prior_model(self.zero)
        if kernels.decode_levels(data, *self._arguments(contexts), *model, levels):
            raise Corrupt("coded levels: not what an encoder writes")
        return levels

    def _arguments(self, contexts: Contexts) -> tuple:
        return contexts.means, contexts.confidence, contexts.keep, self.zero, *TRELLISES[self.trellis]


@dataclass(frozen=True)
class Points:
    """Where levels are reconstructed: the step, and the shifts of levels 1…CENTROIDS in 1/128 of the step."""

    step: Step
    shifts: tuple[int, ...] = (0,) * CENTROIDS

    def pack(self, writer: BitWriter) -> None:
        self.step.pack(writer)
        self.pack_shifts(writer)

    def pack_shifts(self, writer: BitWriter) -> None:
        writer.put(int(any(self.shifts)), 1)
        for shift in self.shifts if any(self.shifts) else ():
            writer.put(shift & 0xFF, 8)

    @classmethod
    def unpack(cls, reader: BitReader) -> "Points":
        return cls(Step.unpack(reader), cls.unpack_shifts(reader))

    @staticmethod
    def unpack_shifts(reader: BitReader) -> tuple[int, ...]:
        if not reader.get(1):
            return (0,) * CENTROIDS
        return tuple((reader.get(8) ^ 0x80) - 0x80 for _ in range(CENTROIDS))

    @staticmethod
    def offsets_of(shifts: tuple[int, ...]) -> np.ndarray:
        """Shifts in steps, float64, from level 0 on."""
        return np.array((0, *shifts), np.float64) / 128

    def values(self, levels: np.ndarray, work: np.dtype) -> np.ndarray:
        """Work values of levels."""
        out = np.empty(levels.size, work)
        reconstruct(levels, self.offsets_of(self.shifts), *self.step.factors(), float(np.finfo(work).max), out)
        return out
