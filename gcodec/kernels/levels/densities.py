"""Tables of frequencies made from a density, for symbols whose points differ at every phase.

dither.py says what phases are. A description gives the density of |decoded value| as a broken line:
its weights at 0, h, 2h, …, where h is a quarter of the step times a power of two. From it the
tables of all phases follow, by integers only:

    3 bits log2(4h) · 5 bits last node · weights of nodes (rans_tables.py) · 4 bits last token
"""

import numpy as np

from ..compiler.jit import njit
from ..entropy.bits import get_bits, put_bits
from ..entropy.rans import SYMBOLS, normalise
from ..entropy.rans_tables import FIRST_EXPONENT, MAX_BITS, code_length, put_weight, take_weight
from ..entropy.tokens import BIG, LAST_SYMBOL, STARTS

NODES = 33  # the most nodes, with an implicit one of weight 0 after the last
SPACINGS = 8
PLACES = 1024  # how many quarters of a step are counted apart
_UNIT = 16  # a step has so many units, in which the places of points are exact
_TAIL = 64  # where the cells of the last range end
_START_BITS, _TOKEN_BITS = np.array([8, 4])  # the widths of fields (rans_tables.py explains their type)
_ENDS = np.append(STARTS[1:], _TAIL)
_ZERO = np.int64(0)


@njit
def fill_phases(nodes: np.ndarray, spacing: int, last_token: int, frequencies: np.ndarray) -> None:
    """Frequencies of each phase (rows of an int64 array) from the weights of nodes.

    Nodes are h = 2^spacing / 4 steps apart. The point of number n at phase b of B lies at (2b +
    1)/(2B) + 2n, and its weight is that of the broken line there. A symbol's weight is the sum over
    its numbers. It is at least 1 up to the last token that occurs; a token is (symbol + 1) // 2.
    """
    phases = frequencies.shape[0]
    weights = np.empty(SYMBOLS, np.int64)
    for b in range(phases):
        place = (2 * b + 1) * _UNIT // (2 * phases)
        weights.fill(0)
        for symbol in range(LAST_SYMBOL + 1):
            token = (symbol + 1) >> 1
            if token > last_token:
                break
            weight = np.int64(0)
            if symbol < BIG:
                weight = _line(nodes, spacing, abs(2 * _UNIT * (token if symbol & 1 else -token) + place))
            else:
                found = (token & 2) | ((symbol & 1) ^ 1)
                for n in range(STARTS[found] + (token & 1), _ENDS[found], 2):
                    weight += _line(nodes, spacing, 2 * _UNIT * n + place) + _line(
                        nodes, spacing, 2 * _UNIT * n - place
                    )
            weights[symbol] = max(weight, 1)
        normalise(weights, frequencies[b])


@njit
def _line(nodes: np.ndarray, spacing: int, place: int) -> int:
    """The broken line at `place` (sixteenths of a step), times h in sixteenths."""
    width = (_UNIT // 4) << spacing
    left = place // width
    if left >= NODES - 1:
        return np.int64(0)
    rest = place - left * width
    return nodes[left] * (width - rest) + nodes[left + 1] * rest


@njit
def fit_nodes(counts: np.ndarray, spacing: int, sharp: bool, nodes: np.ndarray) -> int:
    """Weights of nodes (sum 4096) for counts of |value| by quarters of a step.

    Returns the last node that is not 0. The nodes on both sides share a count. If `sharp`, the node
    before it gets it all. That is for laws that end at a step's side, such as that of zeros, whose
    decoded values fill [−1, 1) evenly.
    """
    weights = np.zeros(NODES - 1)
    scale = 2.0**-spacing
    for i in range(counts.size - 1):
        at = (i + 0.5) * scale
        left = int(at)
        if left + 1 < weights.size:
            share = 0.0 if sharp else at - left
            weights[left] += counts[i] * (1 - share)
            weights[left + 1] += counts[i] * share
    if not sharp:
        weights[0] *= 2  # counts fall only on one side of node 0
    whole = np.empty(weights.size, np.int64)
    last = np.int64(0)
    for i in range(weights.size):
        whole[i] = np.int64(weights[i] * 16)
        if whole[i] > 0:
            last = i
    whole[0] = max(whole[0], 1)
    nodes.fill(0)
    normalise(whole, nodes[: whole.size])
    return last


@njit
def put_density(nodes: np.ndarray, spacing: int, last: int, last_token: int, out: np.ndarray, at: int) -> int:
    """Write a description and round the nodes to what it says. Returns the position after it."""
    at = put_bits(out, at, spacing << 5 | last, _START_BITS)
    before = FIRST_EXPONENT
    for i in range(last + 1):
        at, before, nodes[i] = put_weight(out, at, nodes[i], before)
    nodes[last + 1 :].fill(0)
    return put_bits(out, at, last_token, _TOKEN_BITS)


@njit
def get_density(data: np.ndarray, at: int, frequencies: np.ndarray) -> int:
    """Read a description at bit `at` into the phases' frequencies.

    Returns the position after it, or -1 when it is none.
    """
    start = get_bits(data, at, _START_BITS)
    spacing, last = start >> 5, start & 31
    at += _START_BITS
    nodes = np.zeros(NODES, np.int64)
    before = FIRST_EXPONENT
    for i in range(last + 1):
        at, before, nodes[i] = take_weight(data, at, before)
        if at < 0:
            return at
    last_token = get_bits(data, at, _TOKEN_BITS)
    if at + _TOKEN_BITS > 8 * data.size:
        return np.int64(-1)
    fill_phases(nodes, spacing, last_token, frequencies)
    return at + _TOKEN_BITS


@njit
def _data_bits(
    nodes: np.ndarray, spacing: int, last_token: int, histograms: np.ndarray, frequencies: np.ndarray
) -> float:
    fill_phases(nodes, spacing, last_token, frequencies)
    bits = 0.0
    for b in range(histograms.shape[0]):
        bits += code_length(histograms[b], frequencies[b])
    return bits


@njit
def choose_density(
    counts: np.ndarray, histograms: np.ndarray, out: np.ndarray, at: int, frequencies: np.ndarray
) -> int:
    """Write the description for which description and data are shortest.

    Returns the position after it.

    counts: how many |values| fall into each quarter of a step.
    histograms: the counts of symbols at each phase.
    frequencies: gets the chosen ones.
    """
    last_token = np.int64(0)
    for s in range(SYMBOLS):
        for b in range(histograms.shape[0]):
            if histograms[b, s] > 0:
                last_token = (s + 1) // 2
    nodes = np.zeros(NODES, np.int64)
    trial = np.zeros(MAX_BITS // 8, np.uint8)
    best, best_spacing, best_sharp = 1e30, _ZERO, False
    for fit in range(2 * SPACINGS):
        spacing, sharp = fit // 2, fit % 2 == 1
        trial.fill(0)
        last = fit_nodes(counts, spacing, sharp, nodes)
        bits = 0.0 + put_density(nodes, spacing, last, last_token, trial, _ZERO)
        bits += _data_bits(nodes, spacing, last_token, histograms, frequencies)
        if bits < best:
            best, best_spacing, best_sharp = bits, spacing, sharp
    last = fit_nodes(counts, best_spacing, best_sharp, nodes)
    at = put_density(nodes, best_spacing, last, last_token, out, at)
    fill_phases(nodes, best_spacing, last_token, frequencies)
    return at
