"""The values of a tensor on which an encoder makes its choices, and what it learns from them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...kernels.entropy.rans import MAX_LANES
from ...kernels.levels.scales import BLOCK
from ...source import Source, Span
from .levels import Labels
from .quantiser import Found, Part, Quantiser
from .scale_choice import Energies, read
from .scale_classes import Tiling
from .step_search import solve_step

_COUNT, _PIECE = 1 << 5, 1 << 11  # pieces of a sample of a larger tensor, and values of each of them
ROUGH = 0.03  # while classes are chosen, a sample's error may miss its target by this share
# There are at most _ROUNDS rounds of learning on about _LESSONS values, in blocks of _BLOCK. A
# round that changes error and bits by less than the share _SETTLED is the last one.
_ROUNDS, _SETTLED, _LESSONS, _BLOCK = 3, 0.01, 1 << 15, 1 << 10
NO_ERROR = 1e-30  # stands for an error of 0, which has no logarithm
QUICK = 1 << 12  # so few values that a trellis of any size takes less than what is around it
# The trellis has so few states until only prices and the step are left to be chosen.
_FEW_STATES = 8
# Below so many bits for each value, an odd book with a zero is tried as well.
_ZERO_RATE = 1.5


@dataclass(frozen=True)
class Sample:
    """Values that stand for a tensor, and the spans in which they lie.

    part, whole: the tensor has whole / part times as many bits and as large an error.
    """

    spans: Sequence[Span]
    values: np.ndarray
    part: int
    whole: int


def take(source: Source, tiling: Tiling, energies: Energies, scale: float) -> Sample:
    """All values of a small tensor, else some pieces of it, times `scale`.

    Each piece lies in one chunk and begins with a block. Pieces of zeros are left out: they cost
    hardly a bit. The others are sorted by their energies and cut into groups of one size. Each
    group gives the piece whose energy is nearest to the group's mean, so that the sample has its
    share of the energy, however few values have most of it.
    """
    if tiling.size <= 2 * _COUNT * _PIECE:
        return Sample(tiling.spans(), _values(source, tiling.spans(), scale), tiling.size, tiling.size)
    of_pieces = _by_piece(tiling, energies.blocks)
    order = np.argsort(of_pieces, kind="stable")[np.count_nonzero(of_pieces == 0) :]
    size = max(order.size // _COUNT, 1)
    groups = order[order.size % size :].reshape(-1, size)
    distances = np.abs(of_pieces[groups] - of_pieces[groups].mean(1, keepdims=True))
    chosen = np.sort(groups[np.arange(len(groups)), np.argmin(distances, axis=1)])
    spans = [_span(tiling, number) for number in chosen.tolist()]
    return Sample(spans, _values(source, spans, scale), chosen.size, order.size)


def _values(source: Source, spans: Sequence[Span], scale: float) -> np.ndarray:
    return np.concatenate([read(source, *span, scale) for span in spans])


def _by_piece(tiling: Tiling, blocks: np.ndarray) -> np.ndarray:
    """The energies of all pieces. Each chunk begins with a block and a piece."""
    width = -(-tiling.chunk // BLOCK)
    starts = np.arange(0, width, _PIECE // BLOCK)
    whole = blocks.size // width * width
    energies = [np.add.reduceat(blocks[:whole].reshape(-1, width), starts, axis=1).reshape(-1)] if whole else []
    if whole < blocks.size:
        energies.append(np.add.reduceat(blocks[whole:], starts[starts < blocks.size - whole]))
    return np.concatenate(energies)


def _span(tiling: Tiling, number: int) -> Span:
    """The span of a piece."""
    chunk, place = divmod(number, -(-tiling.chunk // _PIECE))
    start = chunk * tiling.chunk + place * _PIECE
    return start, min(start + _PIECE, (chunk + 1) * tiling.chunk, tiling.size)


@dataclass(frozen=True)
class Trained:
    """A quantiser whose error on a sample is about the target.

    bits: about how many bits the sample takes when its error is the target.
    """

    quantiser: Quantiser
    bits: float


def learn(part: Part, dtype: np.dtype, step: float, target: float, states: int) -> Trained:
    """Labels, prices, centroids and a step whose error on the sample is about the target."""
    if states == 1:
        return _train_thresholds(part, Quantiser.fresh(Labels(1), dtype, step), target)
    if part.values.size <= QUICK:
        return _train_all(part, Quantiser.fresh(Labels(states), dtype, step), target)
    some = _thinned(part)
    due = target * some.values.size / part.values.size
    best = train(some, Quantiser.fresh(Labels(_FEW_STATES), dtype, step), due, _ROUNDS)
    if best.bits / some.values.size < _ZERO_RATE:
        fresh = Quantiser.fresh(Labels(_FEW_STATES, True), dtype, best.quantiser.step)
        best = min(best, train(some, fresh, due, _ROUNDS), key=lambda trained: trained.bits)
    return train(part, best.quantiser.with_states(states), target, 1)


def _train_all(part: Part, fresh: Quantiser, target: float) -> Trained:
    """A quantiser for few values, which learns from all of them with its own trellis at once."""
    best = train(part, fresh, target, _ROUNDS)
    if best.bits / part.values.size < _ZERO_RATE:
        with_zero = Quantiser.fresh(Labels(fresh.labels.states, True), fresh.dtype, best.quantiser.step)
        best = min(best, train(part, with_zero, target, _ROUNDS), key=lambda trained: trained.bits)
    return best


def _thinned(part: Part) -> Part:
    """Some blocks of a part, in as many lanes as are fast."""
    width = min(_BLOCK, part.values.size)
    count = part.values.size // width
    stride = count * width // _LESSONS | 1  # an odd one, as pieces and rows are often of an even number of blocks

    def some(values: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(values[: count * width].reshape(count, width)[::stride]).reshape(-1)

    return Part(some(part.values), some(part.classes), MAX_LANES) if stride > 1 else part


def train(part: Part, quantiser: Quantiser, target: float, rounds: int) -> Trained:
    """A quantiser with a trellis that has learned from its own levels until little changes."""
    quantiser = quantiser if quantiser.has_prices else quantiser.guessed(part)
    before = math.inf
    for _ in range(rounds):
        found = quantiser.find(part)
        share = max(found.error / target, NO_ERROR)
        bits = quantiser.bits(part, found)
        bits += _expected_excess(share, bits, part.values.size)
        quantiser = quantiser.learned(part, found).with_step(quantiser.step * min(max(share**-0.5, 0.5), 2.0))
        if abs(share - 1) < _SETTLED and abs(bits - before) < _SETTLED * bits:
            break
        before = bits
    return Trained(quantiser, bits)


def _expected_excess(share: float, bits: float, count: int) -> float:
    """About how many more bits an error of share·target takes to come down to the target.

    bits: what the values take now. count: how many values there are.
    """
    return 0.5 * math.log2(share) * min(bits, count)


def _train_thresholds(part: Part, quantiser: Quantiser, target: float) -> Trained:
    """A quantiser without a trellis that has learned from its own levels twice.

    Dead zones that learn from their own levels again and again would grow without end.
    """
    for _ in range(2):
        quantiser, found = solved(quantiser, part, target, ROUGH)
        bits = quantiser.bits(part, found)
        quantiser = quantiser.learned(part, found)
    return Trained(quantiser, bits)


def solved(
    quantiser: Quantiser, part: Part, target: float, tolerance: float, finest: float = 0.0
) -> tuple[Quantiser, Found]:
    """The quantiser with the step at which the error on a part is the target, if there is one.

    The other result is what it found on the part.
    """
    tried: dict[float, tuple[Quantiser, Found]] = {}

    def error(step: float) -> float:
        trial = quantiser.with_step(max(step, finest))
        tried[step] = trial, trial.find(part)
        return tried[step][1].error

    return tried[solve_step(error, target, quantiser.step, tolerance) or min(tried)]
