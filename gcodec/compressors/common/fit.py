"""How an encoder chooses classes, labels, prices, centroids and a step that spends the bound.

All choices are made on a sample of the tensor. Then the whole tensor is quantised and its error is
measured. If that error meets the bound closely enough, the levels of this try are the ones that are
coded. If not, the step is corrected by what was measured.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from ...coding.bitstring import BitWriter
from ...coding.rans import lanes_for
from ...parallel import spread
from ...source import Source, remembered
from .levels import Coded, Labels, Points
from .quantiser import LARGEST_LEVEL, Part, Quantiser
from .sample import NO_ERROR, QUICK, ROUGH, learn, solved, take, train
from .scale_choice import Energies, SampledLevels, choose_classes, exponent_of, read, scan
from .scale_classes import ScaleClasses, Tiling
from .scaled import energy
from .step_search import FLATTEST, STEEPEST, TRIES, Spending

# The search for a step ends when no more than this share of the bound is left. It is _LEFT for a
# tensor of up to _LARGE values. For a larger one it depends on whether there is a trellis, with
# which each pass takes long. At most _FEW passes go over a larger tensor. In a short one, about
# _BITS_LEFT bits may be left.
_LEFT, _MOST_LEFT, _BITS_LEFT = 0.005, 0.03, 3.0
_LARGE, _LEFT_OF_LARGE, _FEW = 1 << 17, {False: 0.008, True: 0.015}, 8
_AIM = 0.4  # the share of it, below the target, that a sample's error aims at
# Where a value takes more bits than _FINE_RATE, a pass without a trellis is worth less.
_FINE_RATE, _LEFT_OF_FINE = 3.0, 0.003
_MOST = 0.9  # the error of a sample may be at most this share of the sample's energy
# A sample whose error differs by less than the share _LIKENESS from what is expected stands for the
# tensor. One that differs more, as if the tensor had up to _FAR times the error, does so with that.
_LIKENESS, _FAR = 0.01, 8.0
_STRIDE = 1.05  # two steps with this quotient tell how the error grows with the step
_CLASSES_MORE = 1.3  # times as many bits as the estimate says are taken by levels of classes
_THIN = 1 << 14  # about so many values are enough to choose a step without classes
# The levels of the last measurement are kept for at most so many values until they are coded.
KEPT = 1 << 26
# Without a trellis, a step is at least this share of the largest magnitude.
_FINEST = 2.0**-54
# The mean squared error of a fine step without a trellis is this many times the squared step.
_NOISE = 1 / 3


@dataclass(frozen=True)
class LevelCoder:
    """What makes the bytes of a tensor.

    quantiser: it is for the tensor's values times 2^-exponent. rate: about how many bits a value
    takes. kept: the levels of chunks that are quantised already, by their first flat index. energy:
    ‖x‖² of these values. reference: the step by which the classes were chosen. whole: the part that
    is the tensor, if it is a single chunk and the sample.
    """

    source: Source
    exponent: int
    classes: ScaleClasses
    quantiser: Quantiser
    rate: float
    kept: dict[int, Coded] = field(default_factory=dict)
    energy: float = 0.0
    reference: float = 0.0
    whole: Part | None = None

    def with_step(self, step: float) -> "LevelCoder":
        return LevelCoder(
            self.source, self.exponent, self.classes, self.quantiser.with_step(step), self.rate, {}, self.energy,
            self.reference, self.whole,
        )  # fmt: skip

    def tried_with(self, finest: float) -> Callable[[float], tuple["LevelCoder", float]]:
        """What tries a step, or the finest one if it is finer: a coder, and its error."""

        def trial(step: float) -> tuple[LevelCoder, float]:
            tried = self.with_step(max(step, finest))
            return tried, tried.measure()

        return trial

    def points(self) -> Points:
        """The points that a decoder uses, for the values of the source as they are."""
        points = self.quantiser.points
        return replace(points, step=points.step.times(self.exponent))

    def head(self) -> bytes:
        writer = BitWriter(256)
        self.points().pack(writer)
        tail = self.classes.pack_head(writer)
        return writer.to_bytes() + tail

    def part(self, start: int, stop: int) -> Part:
        if self.whole is not None:
            return self.whole
        values = read(self.source, start, stop, math.ldexp(1.0, -self.exponent))
        return Part(values, self.classes.fill(start, stop), lanes_for(self.rate * (stop - start)))

    def code(self, start: int, stop: int) -> bytes:
        """The bytes of the chunk with the flat indices start…stop-1."""
        coded = self.kept.get(start)
        lanes = lanes_for(self.rate * (stop - start))
        if coded is None or self.whole is not None:
            part = self.part(start, stop)
            coded, classes = coded or self.quantiser.find(part).coded, part.classes
        else:
            classes = self.classes.fill(start, stop)
        return self.classes.pack_chunk(start, stop) + coded.encode(classes, self.quantiser.labels, lanes)

    def measure(self) -> float:
        """The squared error of the decoded tensor. The levels of the first chunks are kept."""
        if self.whole is not None:
            found = self.quantiser.find(self.whole)
            self.kept[0] = found.coded
            return found.error
        errors, pieces = [], self.classes.tiling.spans()
        trials = spread(lambda span: self.quantiser.find(self.part(*span)), pieces)
        for (start, stop), found in zip(pieces, trials, strict=True):
            errors.append(found.error)
            if stop <= KEPT:
                self.kept[start] = found.coded
        return math.fsum(errors)


@dataclass(frozen=True)
class Survey:
    """A first look at a tensor: scale classes, and values of a sample.

    target: the squared error that the bound allows. share: the part of it, of ‖x‖², and of the
    bits, that falls to the sample. step: one without classes and trellis. bits, plain_bits: what
    levels take with classes and without, about.
    """

    source: Source
    exponent: int
    target: float
    energies: Energies
    classes: ScaleClasses
    part: Part
    share: float
    step: float
    bits: float
    plain_bits: float

    @classmethod
    def of(cls, source: Source, bound: float) -> "Survey":
        """source: a tensor with a value that is not zero."""
        return remembered(source, (cls, bound), lambda: cls._made(source, bound))

    @classmethod
    def _made(cls, source: Source, bound: float) -> "Survey":
        exponent = exponent_of(source)
        tiling = Tiling.of(source.shape, source.size)
        scale = math.ldexp(1.0, -exponent)
        energies = scan(source, tiling, scale)
        sample = take(source, tiling, energies, scale)
        values, share = sample.values, sample.part / sample.whole
        target = bound * energies.total
        step, numbers = _plain(values, _within(values, target * share), finest_step(energies, 1))
        levels = SampledLevels.of(sample.spans, numbers, 1 / share)
        classes, bits, plain_bits = choose_classes(energies, tiling, 2 * step, levels)
        longest = min(tiling.chunk, tiling.size)
        lanes = lanes_for(_CLASSES_MORE * bits * longest / tiling.size)
        part = Part(values, classes.fill_all(sample.spans), lanes)
        return cls(source, exponent, target, energies, classes, part, share, step, bits, plain_bits)

    def fit(self, states: int) -> LevelCoder:
        """The coder whose error is at most the target, and close to it where the levels allow that.

        states: of the trellis; 1 means no trellis. If not even the finest step meets the target,
        the coder has that step.
        """
        finest = finest_step(self.energies, states)
        part, tiling, dtype = self.part, self.classes.tiling, self.source.dtype
        share = self.share if states == 1 else self._share_of_errors()
        aim = _within(part.values, self.target * share)
        best = learn(part, dtype, max(self.step, finest), aim, states)
        rate = best.bits / self.share / tiling.size
        lanes = lanes_for(rate * min(tiling.chunk, tiling.size))
        if states > 1 and (
            lanes != part.lanes or part.values.size > QUICK
        ):  # where values are zero for long, a path through the trellis depends on the lanes
            part = replace(part, lanes=lanes)
            best = train(part, best.quantiser, aim, 1)
        total, reference = self.energies.total, 2 * self.step
        whole = None
        if part.values.size == min(tiling.chunk, tiling.size) == tiling.size:
            lanes = lanes_for(rate * tiling.size)
            whole = part if lanes == part.lanes else replace(part, lanes=lanes)
        coder = LevelCoder(self.source, self.exponent, self.classes, best.quantiser, rate, {}, total, reference, whole)
        left, tries, slope = _LEFT, TRIES, STEEPEST
        if states > 1:
            left = min(max(left, _BITS_LEFT / tiling.size), _MOST_LEFT)
        if tiling.size > _LARGE:
            left, tries = _LEFT_OF_LARGE[states > 1], _FEW
            if states == 1 and rate > _FINE_RATE:
                left = _LEFT_OF_FINE
        if part.values.size < tiling.size:
            coder, slope = _aimed(coder, part, (1 - (left / 2 if states == 1 else _AIM * left)) * aim, finest)
        return Spending(coder.tried_with(finest), self.target).search(coder.quantiser.step, left, tries, slope)

    def _share_of_errors(self) -> float:
        """The share of the tensor's error that falls to the sample.

        Levels without a trellis tell it. A sample of few large values among many small ones may
        have less of the error than of the energy.
        """
        spans = self.classes.tiling.spans()
        if self.part.values.size == self.classes.tiling.size:
            return self.share
        quantiser = Quantiser.fresh(Labels(1), self.source.dtype, self.step)

        def error(values: np.ndarray) -> float:
            return quantiser.find(Part(values, np.zeros(values.size, np.uint8), 1)).error

        scale = math.ldexp(1.0, -self.exponent)
        whole = math.fsum(spread(lambda span: error(read(self.source, *span, scale)), spans))
        ratio = error(self.part.values) / max(whole * self.share, NO_ERROR)
        return self.share * min(max(ratio, 1 / _FAR), _FAR) if abs(ratio - 1) > _LIKENESS else self.share


def finest_step(energies: Energies, states: int) -> float:
    """The finest step that is tried for values with these energies."""
    return math.sqrt(energies.blocks.max()) * (_FINEST if states == 1 else 1 / LARGEST_LEVEL)


def _within(values: np.ndarray, target: float) -> float:
    """The target, or what an error of these values can be at most."""
    return min(target, _MOST * energy(values.astype(np.float64)))


def _plain(values: np.ndarray, target: float, finest: float) -> tuple[float, np.ndarray]:
    """(step, numbers) of a quantiser without classes or trellis with about the target as error."""
    step = max(math.sqrt(target / values.size / _NOISE), finest)
    some = np.ascontiguousarray(values[:: values.size // _THIN | 1])  # an odd stride meets every column
    part = Part(some, np.zeros(some.size, np.uint8), 1)
    quantiser = Quantiser.fresh(Labels(1), values.dtype, step)
    quantiser, _ = solved(quantiser, part, target * some.size / values.size, ROUGH, finest)
    whole = Part(values, np.zeros(values.size, np.uint8), 1)
    return quantiser.step, quantiser.find(whole).numbers


def _aimed(coder: LevelCoder, part: Part, target: float, finest: float) -> tuple[LevelCoder, float]:
    """The coder with a step whose error on the sample `part` is near the target.

    The other result is the power of the step by which the error grows there.
    """
    quantiser = coder.quantiser.with_step(max(coder.quantiser.step, finest))
    error = max(quantiser.find(part).error, NO_ERROR)
    wider = quantiser.with_step(_STRIDE * quantiser.step)
    growth = max(wider.find(part).error, NO_ERROR) / error
    slope = min(max(math.log(growth) / math.log(wider.step / quantiser.step), FLATTEST), STEEPEST)
    share = min(max(target / error, 1 / 16), 16.0)
    return coder.with_step(max(quantiser.step * share ** (1 / slope), finest)), slope
