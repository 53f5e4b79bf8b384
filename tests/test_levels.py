"""The coder of levels: symbols, raw bits, laws, tables, classes, and the search in a trellis."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcodec.coding.bitstring import BitReader, BitWriter
from gcodec.coding.rans import encode_classes
from gcodec.compressors.common.levels import STATES, Coded, Labels, Points, Step, decode_levels
from gcodec.compressors.common.quantiser import WORTH, Part, Quantiser, choose_widths
from gcodec.compressors.common.scale_classes import PRODUCT, ScaleClasses
from gcodec.compressors.contract import TensorSpec
from gcodec.kernels.entropy import rans, tokens
from gcodec.kernels.levels import laws, level_tables, trellis
from gcodec.kernels.levels.paths import TRELLISES
from gcodec.kernels.levels.trellis import FIRST, RATED

LABELS = [Labels(1), *(Labels(states, zero) for states in (8, 32) for zero in (False, True))]
NUMBERS = st.one_of(
    st.integers(-3, 3), st.integers(-60, 60), st.integers(-(2**20), 2**20), st.integers(-(2**55), 2**55)
)
FLOAT64 = np.dtype(np.float64)


def books_of(numbers: list[int], labels: Labels, lanes: int) -> np.ndarray:
    """The books that the lanes' paths lead through."""
    paths, books = [0] * lanes, []
    for i, n in enumerate(numbers):
        path = paths[i % lanes]
        books.append(path & 1)
        paths[i % lanes] = (path >> 1) ^ (path & 1) * labels.jumps[0] ^ (n & 1) * labels.jumps[1]
    return np.array(books, np.uint8)


def level_of(number: int, book: int, zero: bool) -> int:
    if book and zero:
        return 2 * number - (number > 0) + (number < 0)
    return 2 * number + book


@given(st.floats(1e-300, 1e300))
def test_step(value):
    step = Step.below(value)
    assert value * (1 - 2**-12) < float(step) <= value
    writer = BitWriter(64)
    step.pack(writer)
    assert Step.unpack(BitReader(writer.to_bytes(), "step")) == step
    first, second = step.factors
    assert first * second == float(step)


@pytest.mark.parametrize("labels", LABELS, ids=str)
@pytest.mark.parametrize("offsets", [(0, 0, 0, 0), (0, -128, 0, 127), (5, -7, 1, 0)])
def test_points_are_what_was_packed(labels, offsets):
    """Without a trellis there are no odd levels, nor offsets of them."""
    points = Points(labels, Step(7, -3), offsets if labels.states > 1 else (0, offsets[1], 0, offsets[3]))
    writer = BitWriter(200)
    points.pack(writer)
    reader = BitReader(writer.to_bytes(), "points")
    assert Points.unpack(reader) == points
    reader.end()


def test_values():
    points = Points(Labels(8), Step.below(0.5), (10, -20, 0, 127))
    numbers, books = np.array([0, 0, -1, 1, -2, 2, 2, -(2**29)]), np.array([0, 1, 1, 0, 1, 0, 1, 0], np.uint8)
    wanted = [0, 0.5 + 5 / 128, -0.5 - 5 / 128, 1 - 10 / 128, -1.5, 2 + 63.5 / 128, 2.5, -(2.0**29)]
    assert points.values(numbers, books, FLOAT64).tolist() == wanted
    for work in (np.dtype(np.float32), FLOAT64):
        large = Points(Labels(8), Step(0, 1023)).values(np.array([-9, 9]), None, work)
        assert large.tolist() == [-float(np.finfo(work).max), float(np.finfo(work).max)]


@given(
    st.lists(st.tuples(NUMBERS, st.integers(0, 31)), min_size=1, max_size=300),
    st.sampled_from(LABELS),
    st.sampled_from([1, 2, 16, 64]),
)
@settings(max_examples=60)
def test_levels_of_any_size(pairs, labels, lanes):
    numbers, classes = np.array([n for n, _ in pairs]), np.array([c for _, c in pairs], np.uint8)
    books = books_of(numbers.tolist(), labels, lanes)
    coded = Coded.of(numbers, books, classes, choose_widths(numbers, classes))
    reader = BitReader(coded.encode(classes, labels, lanes), "levels")
    values = decode_levels(reader, classes, Points(labels, Step(0, 0)), FLOAT64)
    wanted = [level_of(n, book, labels.zero) for n, book in zip(numbers.tolist(), books.tolist(), strict=True)]
    assert np.array_equal(values, np.array(wanted, float))


@given(
    st.lists(st.tuples(NUMBERS, st.integers(0, 3)), min_size=1, max_size=300),
    st.lists(st.integers(0, 45), min_size=32, max_size=32),
)
def test_raw_bits(pairs, widths):
    """Numbers come back from symbols and raw bits, whatever the raw widths.

    A symbol tells the parity of its number. Compiled and plain Python agree.
    """
    numbers = np.array([n for n, _ in pairs])
    classes, widths = np.array([c for _, c in pairs], np.uint8), np.array(widths)
    symbols, plain_symbols = np.empty(numbers.size, np.uint8), np.empty(numbers.size, np.uint8)
    bits = tokens.tokenise(numbers, classes, widths, symbols)
    assert bits == tokens.tokenise.py_func(numbers, classes, widths, plain_symbols)
    assert np.array_equal(symbols, plain_symbols) and symbols.max() <= tokens.LAST_SYMBOL
    assert np.array_equal((symbols + 1) // 2 % 2, numbers % 2)
    words = np.zeros(bits // 32 + 1 + tokens.SPARE_WORDS, np.uint32)
    tokens.put_raw(numbers, classes, widths, words)
    at, end = np.uint64(0), np.uint64(bits)
    for number, symbol, c in zip(numbers, symbols, classes, strict=True):
        back, at = tokens.get_number(np.int64(symbol), widths[c], words, at, end)
        assert back == number and at <= end
        at = np.uint64(at)
    assert at == bits


LAWS = st.tuples(st.integers(0, 63), st.integers(0, 3), st.integers(0, 3), st.integers(0, 15))


@given(LAWS, st.integers(0, 31), st.integers(0, 57), st.sampled_from([0, 1, laws.ZERO_BOOK]))
def test_laws(law, group, width, book):
    """Each symbol up to the last token has a frequency, about the same on both sides of zero."""
    frequencies, plain = np.empty(32, np.int64), np.empty(32, np.int64)
    args = np.array(law), group, width, book if width == 0 else 2
    laws.fill_law(*args, frequencies)
    laws.fill_law.py_func(*args, plain)
    assert np.array_equal(frequencies, plain) and frequencies.sum() == rans.TOTAL
    last = min(2 * law[3], tokens.LAST_SYMBOL)
    assert (frequencies[: last + 1] > 0).all() and not frequencies[last + 1 :].any()
    if width == 0 and book != 1:
        # The largest frequency takes up what rounding leaves, so the two of a pair may differ by
        # that.
        assert (np.abs(frequencies[1:22:2] - frequencies[2:23:2]) <= 40).all()


@pytest.mark.parametrize("deviation", [0.2, 1.0, 5.0])
def test_a_law_that_is_fitted_is_nearly_as_good_as_tables(deviation):
    """Gaussian numbers of eight classes, each a third of an octave above the one before."""
    rng = np.random.default_rng(1)
    groups = np.arange(10, 18)
    histograms = np.zeros((groups.size, 32), np.int64)
    entropy = 0.0
    for row, group in enumerate(groups):
        numbers = np.rint(rng.normal(size=3000) * deviation * 2 ** ((group - 14) / 3) / 2).astype(np.int64)
        symbols = np.empty(numbers.size, np.uint8)
        tokens.tokenise(numbers, np.zeros(numbers.size, np.uint8), np.zeros(32, np.int64), symbols)
        histograms[row] = np.bincount(symbols, minlength=32)
        share = histograms[row][histograms[row] > 0] / numbers.size
        entropy -= numbers.size * float(share @ np.log2(share))
    law = laws.fit_law(histograms, groups, np.zeros_like(groups), np.zeros_like(groups))
    bits = laws.law_bits(law, histograms, groups, np.zeros_like(groups), np.zeros_like(groups))
    assert entropy <= bits <= 1.06 * entropy + 200


@given(st.data(), st.sampled_from([1, 2]), st.booleans())
@settings(max_examples=40)
def test_tables(data, books, zero):
    """What is read is what was written, and each symbol that occurs has a frequency."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    used = np.sort(rng.choice(32, rng.integers(1, 9), replace=False))
    widths, histograms = np.zeros(32, np.int64), np.zeros((level_tables.TABLES, 32), np.int64)
    widths[used] = rng.integers(0, 5, used.size) * (rng.random(used.size) < 0.3)
    for table in itertools.chain(2 * used, 2 * used + 1 if books == 2 else ()):
        histograms[table, :31] = rng.geometric(0.3, 31) * (rng.random(31) < 0.4) * 10 ** rng.integers(0, 5)
    out, written = np.zeros(level_tables.ROOM // 8, np.uint8), np.zeros_like(histograms)
    args = used, widths, books, zero, histograms.copy()
    end = level_tables.put_tables(level_tables.law_of(*args), *args, out, 3, written)
    read, read_widths = np.zeros_like(written), np.zeros_like(widths)
    assert level_tables.get_tables(out, 3, used, books, zero, read_widths, read) == end
    assert np.array_equal(read, written) and np.array_equal(read_widths[used], widths[used])
    assert (written[histograms > 0] > 0).all()


def test_product_that_leaves_the_classes():
    """Rows, columns and offset are independent fields, so a class is clipped to the range 0…31."""
    spec = TensorSpec(np.dtype(np.float32), (2, 3))
    writer = BitWriter(1 << 12)
    writer.put(PRODUCT, 2)
    writer.put(17, 5)
    reader = BitReader(writer.to_bytes() + encode_classes(np.array([0, 20, 31])), "head")
    shared = ScaleClasses.unpack_head(reader, spec)
    reader.align()
    shared = shared.unpack_columns(reader)
    chunk = BitReader(encode_classes(np.array([0, 31])), "chunk")
    assert shared.unpack_chunk(chunk, 0, 6).tolist() == [0, 3, 14, 14, 31, 31]


def _subset(level: int, odd: int, zero: bool) -> tuple[int, int]:
    """(subset, point) where the price of a level stands, in the direction of the level's sign."""
    size = abs(level)
    if odd == 0:
        return size // 2 % 2, size // 4
    if zero and size == 0:
        return 3, 0
    return (2, size // 4) if size % 4 == 1 else (3, (size + 1) // 4)


def _cost(values: list[float], numbers: tuple[int, ...], labels: Labels, prices: np.ndarray) -> float:
    """The error + rate of a path."""
    books = books_of(list(numbers), labels, 1).tolist()
    levels = [level_of(n, book, labels.zero) for n, book in zip(numbers, books, strict=True)]
    return sum(
        (y - level) ** 2 + WORTH * prices[0, *_subset(level, book, labels.zero)]
        for y, level, book in zip(values, levels, books, strict=True)
    )


@pytest.mark.parametrize("labels", [labels for labels in LABELS if labels.states > 1], ids=str)
def test_search_finds_the_best_path(labels):
    """No path near the values costs less, in one lane.

    The values lie in the middle of a quarter of a step, for which the tables are exact.
    """
    rng = np.random.default_rng(6)
    prices = np.broadcast_to(2.0 * np.arange(RATED), (32, 4, RATED)) + 0.7 * np.abs(FIRST)[:, None]
    step = float(Step.below(1.0))
    quantiser = Quantiser(Points(labels, Step.below(1.0)), FLOAT64, np.zeros(32, np.int64), prices)
    for _ in range(4):
        values = (rng.integers(-16, 16, size=5) * 0.25 + 0.125) * step
        found = quantiser.find(Part(values, np.zeros(5, np.uint8), 1))
        assert np.array_equal(found.books, books_of(found.numbers.tolist(), labels, 1))
        args = (values / step).tolist(), labels, prices
        best = min(_cost(args[0], numbers, *args[1:]) for numbers in itertools.product(range(-3, 4), repeat=5))
        assert _cost(args[0], tuple(found.numbers.tolist()), *args[1:]) <= best + 1e-5


@pytest.mark.parametrize("states", [8, 32])
@pytest.mark.parametrize(("size", "lanes"), [(700, 64), (129, 64), (63, 64), (50, 4), (1, 2)])
def test_lanes_are_searched_one_by_one(states, size, lanes):
    """Each lane has the numbers that it would have alone, in the books that a decoder finds."""
    rng = np.random.default_rng(size)
    values, classes = rng.standard_t(2, size=size).astype(np.float32) * 9, rng.integers(0, 3, size).astype(np.uint8)
    quantiser = Quantiser.fresh(Labels(states), np.dtype(np.float32), 1.0)
    quantiser = quantiser.guessed(Part(values, classes, lanes))
    found = quantiser.find(Part(values, classes, lanes))
    for lane in range(min(lanes, size)):
        alone = quantiser.find(Part(values[lane::lanes].copy(), classes[lane::lanes].copy(), 1))
        assert np.array_equal(alone.numbers, found.numbers[lane::lanes])
        assert np.array_equal(alone.books, found.books[lane::lanes])
    assert np.array_equal(found.books, books_of(found.numbers.tolist(), quantiser.labels, lanes))


def test_the_error_is_that_of_the_decoded_values():
    rng = np.random.default_rng(3)
    values = np.append(rng.normal(size=5000), [900.0]).astype(np.float32)
    part = Part(values, np.zeros(values.size, np.uint8), 16)
    for states in STATES:
        quantiser = Quantiser.fresh(Labels(states), np.dtype(np.float32), 0.4)
        quantiser = quantiser.learned(part, quantiser.guessed(part).find(part)) if states > 1 else quantiser
        found = quantiser.find(part)
        decoded = quantiser.points.values(found.numbers, found.books, np.dtype(np.float32)).astype(np.float64)
        assert math.isclose(found.error, float(((decoded - values) ** 2).sum()), rel_tol=1e-5)
        assert found.coded.raw_bits


def test_the_highest_bit_of_a_state_is_the_parity_of_the_one_before():
    for states, (bits, odd_jump, jump) in TRELLISES.items():
        for state, branch in itertools.product(range(states), (0, 1)):
            after = (state >> 1) ^ (state & 1) * odd_jump ^ branch * jump
            if states > 1:
                odd = after >> (bits - 1)
                assert odd == state & 1 and ((after ^ odd * odd_jump ^ branch * jump) << 1 | odd) == state
    assert trellis.REACH == trellis.BINS / trellis._PER_STEP
