"""What `verify` can test of `dither` with the original at hand: its error is that of the theorem.

The error is independent of x, and its mean 0, because the levels are the path that is nearest to
y = x/step − u (see compressor.py). So the path is searched for again, and that of the record may be
no further from y. The bound of the variance follows from the step and the number of lanes.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...coding.bitstring import BitReader
from ...coding.rans import read_lanes
from ...source import Source
from ..common.anatomy import Tally
from ..common.noise import noise_check
from ..common.scale_choice import exponent_of, read, scan
from ..common.scale_classes import Tiling
from ..contract import Check, CodedTensor
from .anatomy import levels_of
from .head import read_head
from .noise import error_bound, rounding_noise
from .path import nearest_path, read_tables

_SLACK = 1e-9  # relative; more than the roundings of two sums of squares
_MOST = 2.0**52  # the largest value beside the step: integers are exact up to it
_BEYOND = 1000  # no step of scaled values is 2 to this power


@dataclass
class Path:
    """The squared distances of levels from y in steps²: those of the record, and the least.

    furthest: the largest distance of one level.
    """

    own: float = 0.0
    least: float = 0.0
    furthest: float = 0.0

    def add(self, targets: np.ndarray, levels: np.ndarray, nearest: np.ndarray) -> None:
        gaps = levels - targets
        self.own += float(gaps @ gaps)
        self.least += float((nearest - targets) @ (nearest - targets))
        self.furthest = max(self.furthest, float(np.abs(gaps).max()))

    def check(self) -> Check:
        """The record's path may be no further than the nearest one, up to roundings."""
        detail = f"the squared distance from x/step − u is {self.own:.6g}, that of the nearest path {self.least:.6g}"
        detail += f"; the furthest level is {self.furthest:.4g} steps away"
        return Check("nearest path", self.own <= self.least * (1 + _SLACK), detail)


def of_record(coded: CodedTensor, original: Source) -> Iterator[Check]:
    """Whether the path is the nearest one, and the noise that follows from the step."""
    tiling = Tiling.of(coded.spec.shape, coded.spec.size)
    largest = max(float(np.abs(original.read(*span)).max()) for span in tiling.spans())
    exponent = exponent_of(original)
    unit = math.ldexp(1.0, -exponent)
    dithering, shared = read_head(Tally(), BitReader(coded.payload.head, "dither head"), coded.spec)
    scaled = dithering.step.times(-exponent)
    if not math.log2(largest * unit / _MOST) < scaled.exponent < _BEYOND:
        yield Check("noise", False, "the step is not one that an encoder chooses for this original")
        return
    step, path, error = float(scaled), Path(), 0.0
    for start, stop in coded.spans:
        data = coded.payload.code(start, stop)
        chunk = BitReader(data, "dither chunk")
        classes = shared.unpack_chunk(chunk, start, stop - start)
        lanes = _lanes(data, chunk.at, classes)
        dither = dithering.dither(start, stop - start)
        targets = read(original, start, stop, unit).astype(np.float64) / step - dither
        levels = levels_of(chunk, classes, dither, dithering, start)
        nearest, _ = nearest_path(targets, dithering.first_states(start, lanes), dithering.states)
        path.add(targets, levels, nearest)
        error += error_bound(stop - start, lanes, dithering.states)
    yield path.check()
    energy = scan(original, tiling, unit).total
    expected = step * step * error / energy
    rounding = rounding_noise(coded.spec.dtype, expected, tiling.size, energy)
    yield noise_check(expected + rounding, coded, "step")


def _lanes(data: bytes, at: int, classes: np.ndarray) -> int:
    """In how many lanes a chunk is coded, whose classes end at bit `at`."""
    chunk = BitReader(data, "dither chunk")
    chunk.advance(at)
    read_tables(chunk, classes)
    return read_lanes(chunk)[0].size
