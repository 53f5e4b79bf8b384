"""Files of `rsd` whose roundings lean in some places only, or scatter less than by chance."""

import math

import numpy as np
import pytest
from forging import X, coded, failing

import gcodec
from gcodec.compressors.sparse_dithering import compressor as sparse
from gcodec.compressors.sparse_dithering.parts import CHANCE, Cells, Parts, scatter_range

MATRIX = X.reshape(60, 50)
FOUND = {"roundings in parts", "scatter of roundings"}


def forged(monkeypatch, x: np.ndarray, ups) -> set[str]:
    """The failing checks of a file in whose levels the function `ups` of p and sign rounds up."""

    def draw(values, lows, highs, seed, start, levels):
        p = ((np.abs(values) - lows) / (highs - lows)).astype(float)
        levels += ups(p, np.sign(values)).astype(np.int64)
        levels[values < 0] *= -1

    monkeypatch.setattr(sparse.kernels, "draw_levels", draw)
    payload, record = coded("rsd", x, 0.25)
    return set(failing(record(payload), x))


def leaning(where) -> object:
    """Roundings with p + where·min(p, 1 − p), where `where` is −1 … 1 for each value."""

    def ups(p, sign):
        return np.random.default_rng(1).random(p.size) < p + where * np.minimum(p, 1 - p)

    return ups


PLACES = np.arange(X.size)
PATTERNS = {
    "halves": np.where(PLACES < 1500, 1.0, -1.0),
    "even and odd": np.where(PLACES % 2, 1.0, -1.0),
    "one run": np.where((PLACES >= 700) & (PLACES < 1200), 1.0, 0.0),
    "columns": np.where(PLACES % 50 < 25, 0.7, -0.7),
    "rows": np.where(PLACES // 50 % 4 < 2, 0.9, -0.9),
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_levels_that_lean_in_places(monkeypatch, pattern):
    assert forged(monkeypatch, MATRIX, leaning(PATTERNS[pattern])) & FOUND


def test_errors_that_are_carried_to_the_next_value(monkeypatch):
    """The sum of up − p, or of sign(x)·(up − p), is never beyond 1."""

    def plain(p, sign):
        return np.diff(np.floor(np.concatenate([[0], np.cumsum(p)]) + 0.5))

    def signed(p, sign):
        carried, ups = 0.0, np.zeros(p.size)
        for i, (share, s) in enumerate(zip(p, sign, strict=True)):
            ups[i] = abs(carried + s * (1 - share)) < abs(carried - s * share)
            carried += s * (ups[i] - share)
        return ups

    for x in (X, MATRIX, np.tile(X, 40)):
        for ups in (plain, signed) if x.size == X.size else (plain,):
            assert forged(monkeypatch, x, ups) == {"scatter of roundings"}


@pytest.mark.parametrize(("parts", "count", "most"), [(100, 16, 1.0), (400, 30, 1.0), (50, 300, 0.1), (1, 20, 1.0)])
def test_the_range_of_the_scatter(parts, count, most):
    """It is beyond what 4,000 draws of honest roundings give, and not far beyond."""
    random = np.random.default_rng(parts)
    p = most * random.random((parts, count))
    variances = (p * (1 - p)).sum(axis=1)
    drawn = [(((random.random(p.shape) < p) - p).sum(axis=1) ** 2 / variances).sum() for _ in range(4000)]
    low, high = scatter_range(variances, np.full(parts, count), 1e-3)
    assert (np.array(drawn) < low).mean() <= 1e-3 >= (np.array(drawn) > high).mean()
    if parts > 1:
        assert low > np.min(drawn) - 0.3 * parts and high < parts + 4 * (np.max(drawn) - parts)
    smaller = scatter_range(variances, np.full(parts, count), CHANCE)
    assert smaller[0] < low and smaller[1] > high


@pytest.mark.parametrize("shape", [(5,), (40,), (333,), (3000,), (60, 50), (2, 7, 11), (1, 300), (300, 1), (3, 5000)])
def test_honest_roundings(shape):
    """Each check fails once in 1,000,000 honest tensors, or says that it cannot tell."""
    random = np.random.default_rng(0)
    for number in range(30):
        size = math.prod(shape)
        p = random.random(size) ** random.choice([1, 8])
        up, sign = (random.random(size) < p).astype(float), random.choice([-1.0, 1.0], size)
        parts = Parts(shape, size)
        for start in range(0, size, 1000):
            part = slice(start, start + 1000)
            weights = np.array([np.ones(p[part].size), 1 - 2 * p[part], sign[part]])
            parts.add(np.arange(size)[part], weights, up[part], p[part])
        for check in parts.checks():
            assert check.ok, (number, check)
            assert size > 5 or "too few" in check.detail


def test_sums_of_cells():
    """Runs of 16 values and of twice as many; every 64th value, and every 32nd."""
    places = np.arange(1000)
    terms = np.array([places, 0 * places, 0 * places], float)
    for fold in (False, True):
        cells = Cells.of("run", 64 if fold else 1000, 1 if fold else 16, fold)
        cells.add(places, terms, terms)
        levels = [totals[0] for totals, _ in cells.levels()]
        assert [level.size for level in levels] == [64, 32, 16, 8, 4, 2]
        for level in levels:
            of = places % level.size if fold else places // (1024 // level.size)
            assert level.tolist() == np.bincount(of, places, level.size).tolist()


def test_few_values_are_not_enough():
    found = gcodec.verify(gcodec.encode(X[:8], "rsd", omega=0.25, seed=1), X[:8])
    details = {check.name: check.detail for check in found.tensors[0].checks}
    assert details["scatter of roundings"] == "too few values to tell"
